//! Model calls: which operations call a model, and what a refusal is called.

/// The values of `gen_ai.operation.name` of operations that call a model themselves; all others are made of
/// calls below them.
pub const MODEL_CALLS: [&str; 4] = ["chat", "text_completion", "generate_content", "embeddings"];

/// Why a model stopped when it, or who runs it, refused to answer: by the conventions, Anthropic, Google, Amazon.
pub const REFUSALS: [&str; 12] = [
    "content_filter",
    "refusal",
    "safety",
    "SAFETY",
    "PROHIBITED_CONTENT",
    "BLOCKLIST",
    "SPII",
    "RECITATION",
    "IMAGE_SAFETY",
    "recitation",
    "guardrail_intervened",
    "content_filtered",
];
