//! Parts of messages in the form of the GenAI conventions, and the JSON that a text holds.

use serde_json::Value;

use super::indexed_keys::object;

/// JSON text longer than this is not read.
const MAX_JSON: usize = 1 << 20;

/// A part of text.
pub(crate) fn text_part(content: &str) -> Value {
    object([("type", Value::from("text")), ("content", Value::from(content))])
}

/// A part of the model's reasoning.
pub(crate) fn reasoning_part(content: &str) -> Value {
    object([("type", Value::from("reasoning")), ("content", Value::from(content))])
}

/// A part that names an image.
pub(super) fn image_part(url: &str) -> Value {
    object([
        ("type", Value::from("uri")),
        ("modality", Value::from("image")),
        ("uri", Value::from(url)),
    ])
}

/// The object or array that a text holds as JSON.
pub(crate) fn parsed(text: &str) -> Option<Value> {
    let json = text.len() <= MAX_JSON && text.trim_start().starts_with(['{', '[']);
    json.then(|| serde_json::from_str(text).ok()).flatten()
}
