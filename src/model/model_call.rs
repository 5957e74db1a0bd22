//! Which operations call a model.

/// The values of `gen_ai.operation.name` of operations that call a model themselves; all others are made of
/// calls below them.
pub const MODEL_CALLS: [&str; 4] = ["chat", "text_completion", "generate_content", "embeddings"];
