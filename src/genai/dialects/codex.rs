//! GenAI dialect table: OpenAI's Codex CLI.

use RuleAction::{Event, Millis, To, Total};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, RuleAction, common, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "codex",
    detection: DialectSigns {
        beginnings: &["codex.", "codex-", "codex_"],
        values: &[("event.name", "codex.")],
        ..DialectSigns::NONE
    },
    rules: &[
        common("event.name", Event),
        common("model", To(GenAiField::RequestModel)),
        common("provider_name", To(GenAiField::ProviderName)),
        common("input_token_count", To(GenAiField::InputTokens)),
        common("output_token_count", To(GenAiField::OutputTokens)),
        common("cached_token_count", To(GenAiField::CacheReadTokens)),
        common("cache_write_token_count", To(GenAiField::CacheCreationTokens)),
        common("reasoning_token_count", To(GenAiField::ReasoningTokens)),
        common("ttft_ms", Millis(GenAiField::TimeToFirstChunk)),
        common("conversation.id", To(GenAiField::ConversationId)),
        common("tool_name", To(GenAiField::ToolName)),
        common("call_id", To(GenAiField::ToolCallId)),
        common("arguments", To(GenAiField::ToolArguments)),
        common("output", To(GenAiField::ToolResult)),
        rule("codex.usage.reasoning_output_tokens", To(GenAiField::ReasoningTokens)),
        rule("codex.usage.total_tokens", Total),
    ],
    kinds: &[KindNames {
        key: "event.name",
        // What was decided of a tool (`codex.tool_decision`) is no call of it.
        names: &[kind("codex.tool_result", "execute_tool")],
    }],
    // Its spans of responses name no model.
    serves_models: true,
    content: ContentNames {
        words: &["prompt"],
        common_words: &["arguments", "output", "input", "instructions", "command"],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};
