//! GenAI dialect table: Qwen Code, which took Gemini CLI's names along.

use RuleAction::{Event, To, Total};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, RuleAction, common, kind,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "qwen_code",
    detection: DialectSigns {
        beginnings: &["qwen-code", "qwen_code"],
        values: &[("event.name", "qwen-code.")],
        ..DialectSigns::NONE
    },
    rules: &[
        common("event.name", Event),
        common("model", To(GenAiField::RequestModel)),
        common("input_token_count", To(GenAiField::InputTokens)),
        common("output_token_count", To(GenAiField::OutputTokens)),
        common("cached_content_token_count", To(GenAiField::CacheReadTokens)),
        common("thoughts_token_count", To(GenAiField::ReasoningTokens)),
        common("total_token_count", Total),
        common("finish_reasons", To(GenAiField::FinishReasons)),
        common("function_name", To(GenAiField::ToolName)),
        common("function_args", To(GenAiField::ToolArguments)),
        common("error_type", To(GenAiField::ErrorType)),
        common("session.id", To(GenAiField::ConversationId)).stays(),
    ],
    kinds: &[KindNames {
        key: "event.name",
        names: &[
            kind("qwen-code.tool_call", "execute_tool"),
            kind("qwen-code.api_response", "chat"),
        ],
    }],
    excludes_reasoning: true,
    content: ContentNames {
        words: &[
            "prompt",
            "request_text",
            "response_text",
            "function_args",
            "hook_input",
            "hook_output",
        ],
        common_words: &["args", "request", "response", "result", "text"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
