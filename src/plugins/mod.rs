//! One file per plugin: options in, parts wired together, nothing else.

mod emitter;
pub mod filter_ai_context;
pub mod in_ai_emitter;
pub mod in_ai_otlp;
pub mod out_multi_otlp;
