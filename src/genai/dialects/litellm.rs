//! GenAI dialect table: LiteLLM, `litellm.*`, `metadata.user_api_key_*`, values as text.

use RuleAction::{ApiBaseWithin, To};

use crate::genai::dialect::{
    ContentNames, Dialect, DialectSigns, KindNames, NameFamily, NameParts, RuleAction, kind, rule,
};
use crate::genai::normalize::field::GenAiField;

/// What it calls things.
pub(crate) const DIALECT: Dialect = Dialect {
    name: "litellm",
    detection: DialectSigns {
        beginnings: &["litellm."],
        attributes: &[
            "litellm.call_id",
            "litellm.provider.model",
            "litellm.team.id",
            "metadata.user_api_key_hash",
            "gen_ai.cost.total_cost",
        ],
        ..DialectSigns::NONE
    },
    rules: &[
        rule("hidden_params", ApiBaseWithin),
        rule("litellm.end_user.id", To(GenAiField::UserId)).tier(1),
        rule("metadata.user_api_key_end_user_id", To(GenAiField::UserId)).tier(2),
        rule("metadata.user_api_key_user_id", To(GenAiField::UserId)).tier(2),
    ],
    operations: &[("completion", "chat")],
    // OpenLLMetry's name; LiteLLM calls a chat a completion.
    kinds: &[KindNames { key: "llm.request.type", names: &[kind("completion", "chat")] }],
    content: ContentNames {
        names: &[
            "metadata.mcp_tool_call_metadata",
            "metadata.vector_store_request_metadata",
            "metadata.prompt_management_metadata",
            "metadata.guardrail_information",
            "metadata.standard_logging_guardrail_information",
        ],
        words: &["guardrail_request", "guardrail_response"],
        families: &[NameFamily {
            root: "litellm.",
            parts: NameParts::Only(&["messages", "prompt", "input", "output", "response", "tools"]),
        }],
        ..ContentNames::NONE
    },
    ..Dialect::NONE
};

/// What follows `llm.` in names of OpenInference, OpenLLMetry and others, and so is no provider.
const NO_PROVIDERS: [&[u8]; 20] = [
    b"token_count",
    b"usage",
    b"request",
    b"response",
    b"cost",
    b"chat",
    b"latency",
    b"headers",
    b"model",
    b"client",
    b"server",
    b"vendor",
    b"session",
    b"user",
    b"stream",
    b"metrics",
    b"is_streaming",
    b"context",
    b"function",
    b"retrieved",
];

/// Fields of raw requests and answers that are no content. All others may be: what a
/// provider takes and gives beside its own fields is not known beforehand.
const RAW_FIELDS: [&[u8]; 36] = [
    b"model",
    b"id",
    b"object",
    b"type",
    b"role",
    b"created",
    b"created_at",
    b"usage",
    b"status",
    b"stream",
    b"stream_options",
    b"n",
    b"seed",
    b"user",
    b"timeout",
    b"temperature",
    b"top_p",
    b"top_k",
    b"max_tokens",
    b"max_completion_tokens",
    b"max_output_tokens",
    b"max_retries",
    b"presence_penalty",
    b"frequency_penalty",
    b"stop_reason",
    b"stop_sequence",
    b"finish_reason",
    b"reasoning_effort",
    b"parallel_tool_calls",
    b"service_tier",
    b"system_fingerprint",
    b"encoding_format",
    b"dimensions",
    b"api_version",
    b"moderation",
    b"warnings",
];

/// Whether a name is that of a raw field of LiteLLM, `llm.PROVIDER.FIELD`, that may hold content.
#[inline]
pub(crate) fn is_raw_field(name: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(b"llm.") else { return false };
    let mut parts = rest.splitn(2, |byte| *byte == b'.');
    let (Some(provider), Some(field)) = (parts.next(), parts.next()) else { return false };
    let field = field.split(|byte| *byte == b'.').next().unwrap_or_default();
    !NO_PROVIDERS.contains(&provider) && !RAW_FIELDS.contains(&field)
}
