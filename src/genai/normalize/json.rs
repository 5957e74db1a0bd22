//! What JSON objects inside attributes say.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::convert::text_list;
use super::field::{Field, Shape};
use crate::codec::msgpack;

/// JSON text longer than this is not read.
const MAX_JSON: usize = 256 << 10;

/// Members of request parameters, by the names of providers' APIs.
const PARAMETERS: &[(&str, Field)] = &[
    ("model", Field::RequestModel),
    ("model_name", Field::RequestModel),
    ("temperature", Field::Temperature),
    ("top_p", Field::TopP),
    ("top_k", Field::TopK),
    ("max_tokens", Field::MaxTokens),
    ("max_completion_tokens", Field::MaxTokens),
    ("max_output_tokens", Field::MaxTokens),
    ("max_tokens_to_sample", Field::MaxTokens),
    ("n", Field::ChoiceCount),
    ("frequency_penalty", Field::FrequencyPenalty),
    ("presence_penalty", Field::PresencePenalty),
    ("stop", Field::StopSequences),
    ("stop_sequences", Field::StopSequences),
    ("seed", Field::Seed),
    ("stream", Field::Stream),
    ("encoding_format", Field::EncodingFormats),
    ("dimensions", Field::EmbeddingDimensions),
];

/// Reads an object; `None` for anything else.
pub(crate) fn read_object(text: &[u8]) -> Option<Map<String, Value>> {
    if text.len() > MAX_JSON || !text.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    serde_json::from_slice(text).ok()
}

/// The fields that request parameters say, each once, and whether that is all they say.
pub(crate) fn parameters(object: &Map<String, Value>) -> (Vec<(Field, &Value)>, bool) {
    let mut said: Vec<(Field, &Value)> = Vec::new();
    let mut known = 0_usize;
    for (name, field) in PARAMETERS {
        let Some(value) = object.get(*name) else { continue };
        known = known.saturating_add(1);
        if said.iter().all(|(seen, _)| seen != field) {
            said.push((*field, value));
        }
    }
    (said, known == object.len())
}

/// How the input tokens split.
pub(crate) const INPUT_DETAILS: &[(&str, Field)] =
    &[("cache_read", Field::CacheReadTokens), ("cache_creation", Field::CacheCreationTokens)];

/// How the output tokens split.
pub(crate) const OUTPUT_DETAILS: &[(&str, Field)] = &[("reasoning", Field::ReasoningTokens)];

/// Appends a JSON value as the type of `field`; false if it has another type or is empty.
pub(crate) fn append(field: Field, value: &Value, out: &mut Vec<u8>) -> bool {
    match (field.shape(), value) {
        (Shape::Text, Value::String(text)) if !text.is_empty() => msgpack::str(out, text),
        (Shape::Int, Value::Number(number)) => match number.as_i64() {
            Some(int) => msgpack::int(out, int),
            None => return false,
        },
        (Shape::Double, Value::Number(number)) => match number.as_f64() {
            Some(double) => msgpack::f64(out, double),
            None => return false,
        },
        (Shape::Bool, Value::Bool(value)) => msgpack::bool(out, *value),
        (Shape::Texts, Value::String(text)) => return text_list(out, std::slice::from_ref(text)),
        (Shape::Texts, Value::Array(list)) => {
            let texts: Option<Vec<String>> =
                list.iter().map(|text| text.as_str().map(str::to_owned)).collect();
            return texts.is_some_and(|texts| text_list(out, &texts));
        }
        _ => return false,
    }
    true
}

/// What a whole response of an `OpenAI` API says beyond its content.
#[derive(Debug, Default, serde::Deserialize)]
pub(crate) struct Response<'a> {
    #[serde(borrow)]
    object: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    service_tier: Option<Cow<'a, str>>,
    #[serde(borrow)]
    system_fingerprint: Option<Cow<'a, str>>,
}

impl<'a> Response<'a> {
    /// Reads a response; `None` for JSON of another meaning.
    pub(crate) fn read(text: &'a [u8]) -> Option<Self> {
        if text.len() > MAX_JSON || memchr::memmem::find(text, b"\"object\"").is_none() {
            return None;
        }
        let read: Self = serde_json::from_slice(text).ok()?;
        let kinds = ["chat.completion", "text_completion", "response"];
        let object = read.object.as_deref()?;
        kinds.iter().any(|kind| object.starts_with(kind)).then_some(read)
    }

    /// The fields it says.
    pub(crate) fn fields(&self) -> [(Field, Option<&str>); 3] {
        [
            (Field::ResponseId, self.id.as_deref()),
            (Field::OpenaiResponseTier, self.service_tier.as_deref()),
            (Field::OpenaiFingerprint, self.system_fingerprint.as_deref()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_by_any_name_and_what_is_left() {
        let object = read_object(
            br#" {"max_completion_tokens": 8, "max_tokens": 9, "stop": "x", "stream_options": 1}"#,
        )
        .unwrap();
        let (said, whole) = parameters(&object);
        let fields: Vec<Field> = said.iter().map(|(field, _)| *field).collect();
        assert_eq!(fields, [Field::MaxTokens, Field::StopSequences]);
        assert_eq!(said[0].1, &Value::from(9));
        assert!(!whole);
        assert!(read_object(b"[1]").is_none());
        assert!(read_object(b"{").is_none());
    }

    #[test]
    fn only_responses_are_responses() {
        let response = br#"{"id":"r1","object":"chat.completion","service_tier":null,"x":[1]}"#;
        let read = Response::read(response).unwrap();
        assert_eq!(read.fields()[0], (Field::ResponseId, Some("r1")));
        assert!(Response::read(br#"{"id":"x","object":"list"}"#).is_none());
        assert!(Response::read(br#"{"id":7,"object":"response"}"#).is_none());
    }
}
