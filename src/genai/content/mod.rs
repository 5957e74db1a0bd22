//! Content classifier: which names hold content: prompts, completions, tool arguments, tool
//! results, tool definitions.
//!
//! There is one list, that of [`super::dialects`] and of the dialects that configurations add. It holds for
//! every item, because instrumentations of several dialects meet in one trace, and because a reader that
//! must not see content must not see it under
//! another one's name either.

mod added;
mod lookup;
mod text;

pub use added::register;
pub use text::{is_content_text, is_text_key};

pub use lookup::ContentClass;
use lookup::TABLE;

/// What a name says of its value.
pub fn content_class(name: &[u8]) -> ContentClass {
    added::class(name, TABLE.class(name))
}

/// Whether an attribute of this name holds content, whatever the item.
#[must_use]
pub fn is_content(name: &str) -> bool {
    matches!(content_class(name.as_bytes()), ContentClass::Content | ContentClass::Word)
}

/// Whether a span event or a log record of this name carries nothing but content.
pub fn is_content_event(name: &str) -> bool {
    let of_messages =
        |rest: &str| rest == "choice" || rest.starts_with("content.") || rest.ends_with(".message");
    name.strip_prefix("gen_ai.").is_some_and(of_messages)
        || TABLE.is_event(name)
        || added::is_event(name)
}

/// Whether the name of an attribute, an event, a span, a scope or a service shows that an item
/// speaks a dialect.
pub fn is_dialect_mark(name: &[u8]) -> bool {
    TABLE.is_mark(name) || added::is_mark(name)
}

#[cfg(test)]
mod tests;
