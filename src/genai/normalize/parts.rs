//! Parts of messages in the form of the GenAI conventions, and the JSON that a text holds.

use std::borrow::Cow;

use crate::genai::json_value::{Json, Members};

/// JSON text longer than this is not read.
const MAX_JSON: usize = 1 << 20;

/// A part of text.
pub(crate) fn text_part<'a>(content: impl Into<Cow<'a, str>>) -> Json<'a> {
    let content = Json::Text(content.into());
    Json::Object(Members::from([("type", "text".into()), ("content", content)]))
}

/// A part of the model's reasoning.
pub(crate) fn reasoning_part<'a>(content: impl Into<Cow<'a, str>>) -> Json<'a> {
    let content = Json::Text(content.into());
    Json::Object(Members::from([("type", "reasoning".into()), ("content", content)]))
}

/// A part that names an image.
pub(super) fn image_part<'a>(url: impl Into<Cow<'a, str>>) -> Json<'a> {
    let uri = Json::Text(url.into());
    let members = [("type", "uri".into()), ("modality", "image".into()), ("uri", uri)];
    Json::Object(Members::from(members))
}

/// The JSON text of a list, as of messages; `None` if it is empty.
#[cfg(test)]
pub(super) fn rendered(list: &[Json<'_>]) -> Option<String> {
    if list.is_empty() { None } else { Some(Json::list_text(list)) }
}

/// Whether a value says nothing: null, an empty list, or an object of such.
pub(super) fn says_nothing(value: &Json<'_>) -> bool {
    match value {
        Json::Null => true,
        Json::List(list) => list.is_empty(),
        Json::Object(members) => members.iter().all(|(_, value)| says_nothing(value)),
        _ => false,
    }
}

/// The object or array that a text holds as JSON.
pub(crate) fn parsed(text: &str) -> Option<Json<'_>> {
    let json = text.len() <= MAX_JSON && text.trim_start().starts_with(['{', '[']);
    json.then(|| Json::read(text)).flatten()
}

/// The same of a text that may not live as long as what is made of it.
pub(crate) fn parsed_text<'a>(text: &Cow<'a, str>) -> Option<Json<'a>> {
    match text {
        Cow::Borrowed(text) => parsed(text),
        Cow::Owned(text) => parsed(text).map(Json::into_owned),
    }
}
