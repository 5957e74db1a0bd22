//! Transformation: what `ai_context` does to a chunk: GenAI dialects become the current
//! conventions, logs get their place in the trace, and what must not leave is masked.
//!
//! A chunk is walked once, by its bytes. A record that needs no change is not rebuilt, and of one
//! that does only the changed parts are written anew.

mod body_metadata;
mod content;
mod correlate;
pub mod dialect;
mod dialects;
mod failure;
mod findings;
mod json_value;
mod mask;
mod normalize;
mod process;
mod redact;
mod render;
mod span;
mod unknown;

pub use content::{
    ContentClass, content_class, is_content, is_content_event, is_content_text, is_dialect_mark,
    is_text_key, register,
};
pub use dialects::DIALECTS;
pub use dialects::DialectCounts;
pub use dialects::added::AddedDialects;
pub use dialects::added::{MergedTables, dialect_rules};
pub use dialects::is_built_in;
pub use failure::{FailedEvent, FailureReason, OnFailure, without_search};
pub use findings::FINDINGS;
pub use normalize::Conventions;
pub use normalize::field::GenAiField;
pub use normalize::{OPERATIONS, messages, provider};
pub use process::{ContextProcessor, ContextSettings, ContextTally};
pub use redact::{ContentSwitches, Detector, HashKey, KeyRules, Pattern, Replacement};
pub use render::{BackendDialect, RenderedSpan, SpanRenderer};
