//! GenAI dialect table: LiveKit Agents.

use RuleAction::To;

use crate::genai::dialect::{ContentNames, Dialect, DialectSigns, RuleAction, rule};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "livekit",
    detection: DialectSigns { beginnings: &["lk."], ..DialectSigns::NONE },
    rules: &[
        rule("lk.response.ttft", To(GenAiField::TimeToFirstChunk)),
        rule("lk.function_tool.name", To(GenAiField::ToolName)),
        rule("lk.function_tool.id", To(GenAiField::ToolCallId)),
        rule("lk.pii.function_tool.arguments", To(GenAiField::ToolArguments)),
        rule("lk.pii.function_tool.output", To(GenAiField::ToolResult)),
        // As they were before content was marked as personal.
        rule("lk.function_tool.arguments", To(GenAiField::ToolArguments)).tier(1),
        rule("lk.function_tool.output", To(GenAiField::ToolResult)).tier(1),
        rule("gen_ai.usage.input_cached_tokens", To(GenAiField::CacheReadTokens)).tier(1),
    ],
    tool_sign: Some(GenAiField::ToolName),
    content: ContentNames {
        names: &[
            "lk.pii",
            "lk.user_input",
            "lk.user_transcript",
            "lk.input_text",
            "lk.chat_ctx",
            "lk.instructions",
            "lk.response.text",
            "lk.response.function_calls",
            "lk.function_tool.arguments",
            "lk.function_tool.output",
            "lk.function_tools",
            "lk.amd.transcript",
        ],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
