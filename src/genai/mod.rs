//! What `ai_context` does to a chunk: GenAI dialects become the current conventions, logs get their
//! place in the trace, and what must not leave is masked.
//!
//! A chunk is walked once, by its bytes. A record that needs no change is not rebuilt, and of one
//! that does only the changed parts are written anew.

mod carry;
mod content;
mod correlate;
mod dialect;
mod findings;
mod mask;
mod normalize;
mod process;
mod redact;
mod span;
mod walk;

pub use content::{
    CONTENT_NAMES, ContentClass, ContentNames, content_class, is_content, is_content_event,
    is_content_text, is_dialect_mark, is_text_key,
};
pub use dialect::Dialect;
pub use findings::FINDINGS;
pub use process::{Processor, Settings, Tally};
pub use redact::{Detector, HashKey, Pattern, Replacement};
