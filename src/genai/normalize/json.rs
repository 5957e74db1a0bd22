//! JSON mapping: what JSON objects inside attributes say.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::convert::text_list;
use super::field::{FieldType, GenAiField};
use super::{parts, tool_definitions, values};
use crate::codec::msgpack;
use crate::genai::json_value::{Json, Members};

/// JSON text longer than this is not read.
const MAX_JSON: usize = 256 << 10;

/// Members of request parameters, by the names of providers' APIs; of those of one field the first counts.
pub(super) const PARAMETERS: &[(&str, GenAiField)] = &[
    ("model", GenAiField::RequestModel),
    ("model_name", GenAiField::RequestModel),
    ("temperature", GenAiField::Temperature),
    ("top_p", GenAiField::TopP),
    ("top_k", GenAiField::TopK),
    ("max_tokens", GenAiField::MaxTokens),
    ("max_completion_tokens", GenAiField::MaxTokens),
    ("max_output_tokens", GenAiField::MaxTokens),
    ("max_tokens_to_sample", GenAiField::MaxTokens),
    ("n", GenAiField::ChoiceCount),
    ("frequency_penalty", GenAiField::FrequencyPenalty),
    ("presence_penalty", GenAiField::PresencePenalty),
    ("stop", GenAiField::StopSequences),
    ("stop_sequences", GenAiField::StopSequences),
    ("seed", GenAiField::Seed),
    ("stream", GenAiField::Stream),
    ("encoding_format", GenAiField::EncodingFormats),
    ("dimensions", GenAiField::EmbeddingDimensions),
];

/// Reads an object; `None` for anything else.
pub(super) fn read_object(text: &[u8]) -> Option<Members<'_>> {
    if text.len() > MAX_JSON || !text.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    Json::read_bytes(text)?.into_object()
}

/// Reads any value.
pub(super) fn read_value(text: &[u8]) -> Option<Json<'_>> {
    (text.len() <= MAX_JSON).then(|| Json::read_bytes(text)).flatten()
}

/// The value at a path: names of members, with `/` between.
pub(super) fn member<'m, 'a>(object: &'m Members<'a>, path: &str) -> Option<&'m Json<'a>> {
    // Paths are short: a search made for long texts takes longer.
    let Some(slash) = path.bytes().position(|byte| byte == b'/') else { return object.get(path) };
    let inner = object.get(path.get(..slash)?)?.as_object()?;
    member(inner, path.get(slash.saturating_add(1)..)?)
}

/// Whether all that an object has is at one of the paths, but for totals, which follow from the rest.
pub(super) fn is_all_at(object: &Members<'_>, paths: &[(&str, GenAiField)]) -> bool {
    let is_path = |outer: &str, inner: Option<&str>| {
        paths.iter().any(|(path, _)| match inner {
            None => *path == outer,
            Some(inner) => path.split_once('/') == Some((outer, inner)),
        })
    };
    object.iter().all(|(key, value)| {
        let within = |object: &Members<'_>| object.keys().all(|inner| is_path(key, Some(inner)));
        matches!(key, "total" | "total_tokens" | "tokens")
            || is_path(key, None)
            || value.as_object().is_some_and(within)
    })
}

/// Appends a JSON value as the type of `field`; false if it has another type or is empty.
pub(super) fn append(field: GenAiField, value: &Json<'_>, out: &mut Vec<u8>) -> bool {
    match (field.shape(), value) {
        (FieldType::Text, Json::Text(text)) if !text.is_empty() => msgpack::str(out, text),
        (FieldType::Provider, Json::Text(text)) if !text.is_empty() => {
            msgpack::str(out, values::provider(text));
        }
        (FieldType::Operation, Json::Text(text)) if !text.is_empty() => {
            msgpack::str(out, values::operation(text, []));
        }
        (FieldType::Any | FieldType::Messages | FieldType::Tools, Json::Text(text))
            if !text.is_empty() =>
        {
            msgpack::str(out, text);
        }
        (FieldType::Tools, Json::List(list)) => {
            let Some(text) = parts::rendered(tool_definitions::definitions(list.clone())) else {
                return false;
            };
            msgpack::str(out, &text);
        }
        (
            FieldType::Any | FieldType::Messages | FieldType::Tools,
            Json::List(_) | Json::Object(_),
        ) => {
            msgpack::str(out, &value.to_text());
        }
        (FieldType::Int, Json::Number(number)) => match number.as_i64() {
            Some(int) => msgpack::int(out, int),
            None => return false,
        },
        (FieldType::Double, Json::Number(number)) => match number.as_f64() {
            Some(double) => msgpack::f64(out, double),
            None => return false,
        },
        (FieldType::Bool, Json::Bool(value)) => msgpack::bool(out, *value),
        (FieldType::Texts | FieldType::Reasons, value) => {
            let list = match value {
                Json::List(list) => list.as_slice(),
                one => std::slice::from_ref(one),
            };
            let texts: Option<Vec<&str>> = match field.shape() {
                FieldType::Reasons => {
                    list.iter().map(|text| text.as_str().map(values::finish_reason)).collect()
                }
                _ => list.iter().map(Json::as_str).collect(),
            };
            return texts.is_some_and(|texts| text_list(out, &texts));
        }
        _ => return false,
    }
    true
}

/// Finds the member that says what a response is.
static OBJECT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"object\""));

/// What a whole response of an `OpenAI` API says beyond its content.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct ProviderResponse<'a> {
    #[serde(borrow)]
    object: Option<Cow<'a, str>>,
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    service_tier: Option<Cow<'a, str>>,
    #[serde(borrow)]
    system_fingerprint: Option<Cow<'a, str>>,
}

impl<'a> ProviderResponse<'a> {
    /// Reads a response; `None` for JSON of another meaning.
    pub(super) fn read(text: &'a [u8]) -> Option<Self> {
        if text.len() > MAX_JSON || OBJECT.find(text).is_none() {
            return None;
        }
        let read: Self = serde_json::from_slice(text).ok()?;
        let kinds = ["chat.completion", "text_completion", "response"];
        let object = read.object.as_deref()?;
        kinds.iter().any(|kind| object.starts_with(kind)).then_some(read)
    }

    /// The fields it says.
    pub(super) fn fields(&self) -> [(GenAiField, Option<&str>); 3] {
        [
            (GenAiField::ResponseId, self.id.as_deref()),
            (GenAiField::OpenaiResponseTier, self.service_tier.as_deref()),
            (GenAiField::OpenaiFingerprint, self.system_fingerprint.as_deref()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_responses_are_responses() {
        let response = br#"{"id":"r1","object":"chat.completion","service_tier":null,"x":[1]}"#;
        let read = ProviderResponse::read(response).unwrap();
        assert_eq!(read.fields()[0], (GenAiField::ResponseId, Some("r1")));
        assert!(ProviderResponse::read(br#"{"id":"x","object":"list"}"#).is_none());
        assert!(ProviderResponse::read(br#"{"id":7,"object":"response"}"#).is_none());
    }
}
