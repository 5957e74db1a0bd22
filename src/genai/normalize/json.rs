//! JSON mapping: what JSON objects inside attributes say.

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::convert::text_list;
use super::field::{FieldType, GenAiField};
use super::{tool_definitions, values};
use crate::codec::msgpack;
use crate::genai::json_value::{Arena, Json, Members};

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
pub(super) fn read_object<'a>(arena: &'a Arena, text: &'a [u8]) -> Option<Members<'a>> {
    if text.len() > MAX_JSON || !text.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    Json::read_bytes(arena, text)?.as_object()
}

/// Reads any value.
pub(super) fn read_value<'a>(arena: &'a Arena, text: &'a [u8]) -> Option<Json<'a>> {
    (text.len() <= MAX_JSON).then(|| Json::read_bytes(arena, text)).flatten()
}

/// The value at a path: names of members, with `/` between.
pub(super) fn member<'a>(object: Members<'a>, path: &str) -> Option<Json<'a>> {
    // Whether a name is the first of the path: what comes behind it is seen at once with most that are not.
    let is_first = |name: &str| {
        let ends = match path.as_bytes().get(name.len()) {
            Some(next) => *next == b'/',
            None => path.len() == name.len(),
        };
        ends && path.starts_with(name) && !name.contains('/')
    };
    let (name, value) = object.iter().find(|(name, _)| is_first(name))?;
    match path.get(name.len().saturating_add(1)..) {
        Some(rest) => member(value.as_object()?, rest),
        None => Some(value),
    }
}

/// Whether all that an object has is at one of the paths, but for totals, which follow from the rest.
pub(super) fn is_all_at(object: Members<'_>, paths: &[(&str, GenAiField)]) -> bool {
    let is_path = |outer: &str, inner: Option<&str>| {
        paths.iter().any(|(path, _)| match inner {
            None => *path == outer,
            Some(inner) => path.split_once('/') == Some((outer, inner)),
        })
    };
    object.iter().all(|(key, value)| {
        let within = |object: Members<'_>| object.names().all(|inner| is_path(key, Some(inner)));
        matches!(key, "total" | "total_tokens" | "tokens")
            || is_path(key, None)
            || value.as_object().is_some_and(within)
    })
}

/// Appends a JSON value as the type of `field`; false if it has another type or is empty.
pub(super) fn append<'a>(
    arena: &'a Arena,
    field: GenAiField,
    value: Json<'a>,
    out: &mut Vec<u8>,
) -> bool {
    match (field.shape(), value) {
        (FieldType::Text, Json::Text(text)) if !text.is_empty() => msgpack::str(out, &text),
        (FieldType::Provider, Json::Text(text)) if !text.is_empty() => {
            msgpack::str(out, values::provider(&text));
        }
        (FieldType::Operation, Json::Text(text)) if !text.is_empty() => {
            msgpack::str(out, values::operation(&text, []));
        }
        (FieldType::Any | FieldType::Messages | FieldType::Tools, Json::Text(text))
            if !text.is_empty() =>
        {
            msgpack::str(out, &text);
        }
        (FieldType::Tools, Json::List(list)) => {
            return Json::append_list(tool_definitions::definitions(arena, list), out);
        }
        (
            FieldType::Any | FieldType::Messages | FieldType::Tools,
            Json::List(_) | Json::Object(_),
        ) => return value.append(out),
        (FieldType::Int, Json::Number(number)) => match number.as_i64() {
            Some(int) => msgpack::int(out, int),
            None => return false,
        },
        (FieldType::Double, Json::Number(number)) => match number.as_f64() {
            Some(double) => msgpack::f64(out, double),
            None => return false,
        },
        (FieldType::Bool, Json::Bool(value)) => msgpack::bool(out, value),
        (FieldType::Texts | FieldType::Reasons, value) => {
            let list = match value {
                Json::List(list) => list,
                _ => std::slice::from_ref(&value),
            };
            let texts: Option<Vec<&str>> = match field.shape() {
                FieldType::Reasons => {
                    list.iter().map(|text| text.as_str().map(values::finish_reason)).collect()
                }
                _ => list.iter().map(|text| text.as_str()).collect(),
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
    use proptest::prelude::*;

    /// The value at a path, name by name.
    fn by_names<'a>(object: Members<'a>, path: &str) -> Option<Json<'a>> {
        match path.split_once('/') {
            Some((outer, inner)) => by_names(object.get(outer)?.as_object()?, inner),
            None => object.get(path),
        }
    }

    fn soup(depth: u32) -> BoxedStrategy<String> {
        let leaf = Just("1".to_owned());
        leaf.prop_recursive(depth, 16, 4, |inner| {
            let members = prop::collection::vec(("[ab/]{0,3}", inner), 0..4);
            members.prop_map(|members| {
                let members = members.iter().map(|(key, value)| format!("\"{key}\":{value}"));
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            })
        })
        .boxed()
    }

    proptest! {
        /// Scenario: objects whose names repeat, are empty, and have slashes. Guarantees: a path leads where going
        /// from name to name does.
        #[test]
        fn paths_lead_from_name_to_name(text in soup(3), path in "[ab/]{0,5}") {
            let arena = Arena::default();
            let object = read_object(&arena, text.as_bytes()).unwrap_or_default();
            prop_assert_eq!(member(object, &path), by_names(object, &path));
        }
    }

    /// Scenario: names that begin as others do, are empty or have a slash, and a name that occurs twice. Guarantees:
    /// a path leads to the first member of each name, and nowhere else.
    #[test]
    fn paths_lead_to_members_by_their_whole_names() {
        let text = br#"{"":0,"a/b":1,"a":{"b":2,"bc":3,"":4},"a":{"d":5},"ab":6,"c/":7}"#;
        let arena = Arena::default();
        let object = read_object(&arena, text).unwrap();
        for (path, expected) in [
            ("", Some("0")),
            ("a", Some(r#"{"b":2,"bc":3,"":4}"#)),
            ("ab", Some("6")),
            ("a/b", Some("2")),
            ("a/bc", Some("3")),
            ("a/", Some("4")),
            ("a/d", None),
            ("ab/x", None),
            ("abc", None),
            ("c/", None),
        ] {
            let found = member(object, path).map(Json::to_text);
            assert_eq!(found.as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn only_responses_are_responses() {
        let response = br#"{"id":"r1","object":"chat.completion","service_tier":null,"x":[1]}"#;
        let read = ProviderResponse::read(response).unwrap();
        assert_eq!(read.fields()[0], (GenAiField::ResponseId, Some("r1")));
        assert!(ProviderResponse::read(br#"{"id":"x","object":"list"}"#).is_none());
        assert!(ProviderResponse::read(br#"{"id":7,"object":"response"}"#).is_none());
    }
}
