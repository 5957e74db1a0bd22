//! Parts of messages in the form of the GenAI conventions, and the JSON that a text holds.

use crate::genai::json_value::{Arena, Json, Text};

/// JSON text longer than this is not read.
const MAX_JSON: usize = 1 << 20;

/// A part of text.
pub(crate) fn text_part<'a>(arena: &'a Arena, content: Text<'a>) -> Json<'a> {
    Json::object(arena, [("type", Json::word("text")), ("content", Json::Text(content))])
}

/// A part of the model's reasoning.
pub(crate) fn reasoning_part<'a>(arena: &'a Arena, content: Text<'a>) -> Json<'a> {
    Json::object(arena, [("type", Json::word("reasoning")), ("content", Json::Text(content))])
}

/// A part that names an image.
pub(super) fn image_part<'a>(arena: &'a Arena, url: Text<'a>) -> Json<'a> {
    let (kind, modality) = (("type", Json::word("uri")), ("modality", Json::word("image")));
    Json::object(arena, [kind, modality, ("uri", Json::Text(url))])
}

/// The JSON text of a list, as of messages; `None` if it is empty.
#[cfg(test)]
pub(super) fn rendered(list: &[Json<'_>]) -> Option<String> {
    if list.is_empty() { None } else { Some(Json::List(list).to_text()) }
}

/// Whether a value says nothing: null, an empty list, or an object of such.
pub(super) fn says_nothing(value: Json<'_>) -> bool {
    match value {
        Json::Null => true,
        Json::List(list) => list.is_empty(),
        Json::Object(members) => members.iter().all(|(_, value)| says_nothing(value)),
        _ => false,
    }
}

/// The object or array that a text holds as JSON.
pub(crate) fn parsed<'a>(arena: &'a Arena, text: &'a str) -> Option<Json<'a>> {
    let json = text.len() <= MAX_JSON && text.trim_start().starts_with(['{', '[']);
    json.then(|| Json::read(arena, text)).flatten()
}
