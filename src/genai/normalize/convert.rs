//! Type conversion: values of whatever type -> the type that the conventions ask for.

use super::field::{FieldType, GenAiField};
use super::{foreign_messages, tool_definitions, values};
use crate::codec::msgpack::{self, Reader, Token, elements, text_of};
use crate::genai::json_value::{Arena, Json};

/// Whether an encoded value has a type that `shape` does not allow and that may be converted. Looks
/// at the first byte only. An integer where a double belongs is left alone: it compares and sums
/// the same.
#[inline(always)]
pub(super) fn has_wrong_type(shape: FieldType, value: &[u8]) -> bool {
    match shape {
        FieldType::Text | FieldType::Any => false,
        FieldType::Int => is_text(value) || matches!(value.first(), Some(0xca | 0xcb)),
        FieldType::Double | FieldType::Bool | FieldType::Texts => is_text(value),
        _ => has_other_value(shape, value),
    }
}

fn is_text(value: &[u8]) -> bool {
    matches!(value.first(), Some(0xa0..=0xbf | 0xd9..=0xdb))
}

/// The same for the shapes that take a closer look.
fn has_other_value(shape: FieldType, value: &[u8]) -> bool {
    match shape {
        FieldType::Operation => values::is_other_operation(value),
        FieldType::Provider => values::is_other_provider(value),
        FieldType::Reasons => is_text(value) || values::has_other_reason(value),
        FieldType::Messages => {
            is_text(value) && foreign_messages::may_be_foreign(text_bytes(value))
        }
        FieldType::Tools => is_text(value) && tool_definitions::may_be_foreign(text_bytes(value)),
        _ => false,
    }
}

/// The bytes of an encoded text.
pub(super) fn text_bytes(value: &[u8]) -> &[u8] {
    match Reader::new(value).token() {
        Ok(Token::Str(text)) => text,
        _ => &[],
    }
}

/// Appends `value` as the type of `field`. Gives false, and appends nothing, when it has no such
/// form or is empty.
pub(super) fn convert(arena: &Arena, field: GenAiField, value: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(token) = Reader::new(value).token() else { return false };
    match field.shape() {
        FieldType::Any => any(token, value, out),
        FieldType::Messages | FieldType::Tools => {
            in_form(arena, field, token, out) || any(token, value, out)
        }
        FieldType::Text if field != GenAiField::OutputType && matches!(token, Token::Str(_)) => {
            any(token, value, out)
        }
        FieldType::Text | FieldType::Operation | FieldType::Provider => text(field, token, out),
        FieldType::Int => int(token).map(|int| msgpack::int(out, int)).is_some(),
        FieldType::Double => double(token).map(|number| msgpack::f64(out, number)).is_some(),
        FieldType::Bool => bool(token).map(|bool| msgpack::bool(out, bool)).is_some(),
        FieldType::Texts | FieldType::Reasons => texts(arena, field, token, value, out),
    }
}

/// Messages and definitions of tools that have another form, in that of the conventions.
fn in_form(arena: &Arena, field: GenAiField, token: Token<'_>, out: &mut Vec<u8>) -> bool {
    let Token::Str(bytes) = token else { return false };
    let is_tools = field.shape() == FieldType::Tools;
    let may_be = if is_tools {
        tool_definitions::may_be_foreign(bytes)
    } else {
        foreign_messages::may_be_foreign(bytes)
    };
    // Most texts are long, and in the form of the conventions.
    let Some(text) = may_be.then(|| std::str::from_utf8(bytes).ok()).flatten() else {
        return false;
    };
    let made = match field {
        _ if is_tools => tool_definitions::of_foreign(arena, text),
        GenAiField::OutputMessages => foreign_messages::of_foreign(arena, text, "assistant"),
        _ => foreign_messages::of_foreign(arena, text, "user"),
    };
    made.is_some_and(|made| Json::append_list(made, out))
}

fn any(token: Token<'_>, value: &[u8], out: &mut Vec<u8>) -> bool {
    let empty = matches!(token, Token::Nil | Token::Str(b"") | Token::Ext(..));
    if !empty {
        out.extend_from_slice(value);
    }
    !empty
}

fn text(field: GenAiField, token: Token<'_>, out: &mut Vec<u8>) -> bool {
    // What most are.
    let known = match (field, token) {
        (GenAiField::ProviderName, Token::Str(name)) => values::current_provider(name),
        (GenAiField::OperationName, Token::Str(name)) => values::current_operation(name),
        _ => None,
    };
    if let Some(known) = known {
        return written(out, known);
    }
    let text = match token {
        Token::Str(text) => std::str::from_utf8(text).unwrap_or_default(),
        Token::Uint(number) => return written(out, &number.to_string()),
        Token::Int(number) => return written(out, &number.to_string()),
        _ => return false,
    };
    match field {
        GenAiField::ProviderName => written(out, values::provider(text)),
        GenAiField::OperationName => written(out, values::operation(text, [])),
        GenAiField::OutputType => written(out, values::output_type(text)),
        _ => written(out, text),
    }
}

fn written(out: &mut Vec<u8>, text: &str) -> bool {
    if !text.is_empty() {
        msgpack::str(out, text);
    }
    !text.is_empty()
}

fn utf8(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok().map(str::trim)
}

fn int(token: Token<'_>) -> Option<i64> {
    match token {
        Token::Uint(value) => i64::try_from(value).ok(),
        Token::Int(value) => Some(value),
        Token::Float(value) => whole(value),
        Token::Str(text) => {
            let text = utf8(text)?;
            text.parse().ok().or_else(|| whole(text.parse().ok()?))
        }
        _ => None,
    }
}

/// A number without fraction that a double holds exactly.
fn whole(value: f64) -> Option<i64> {
    let exact = value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0;
    exact.then(|| format!("{value:.0}").parse().ok()).flatten()
}

fn double(token: Token<'_>) -> Option<f64> {
    match token {
        Token::Float(value) => Some(value),
        Token::Uint(value) => value.to_string().parse().ok(),
        Token::Int(value) => value.to_string().parse().ok(),
        Token::Str(text) => utf8(text)?.parse().ok().filter(|value: &f64| value.is_finite()),
        _ => None,
    }
}

fn bool(token: Token<'_>) -> Option<bool> {
    match token {
        Token::Bool(value) => Some(value),
        Token::Uint(0) => Some(false),
        Token::Uint(1) => Some(true),
        Token::Str(text) if text.eq_ignore_ascii_case(b"true") => Some(true),
        Token::Str(text) if text.eq_ignore_ascii_case(b"false") => Some(false),
        _ => None,
    }
}

/// A list of texts; from a text the list that it holds as JSON, or the list of it alone.
fn texts(
    arena: &Arena,
    field: GenAiField,
    token: Token<'_>,
    value: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    match token {
        Token::Array(count) => {
            let is_text = |element| matches!(Reader::new(element).token(), Ok(Token::Str(_)));
            let fits = count > 0 && elements(value).all(is_text);
            if !fits {
                return false;
            }
            if field == GenAiField::FinishReasons && value != values::STOPPED {
                let reasons = elements(value).filter_map(text_of).map(values::finish_reason);
                return text_list(out, &reasons.collect::<Vec<&str>>());
            }
            out.extend_from_slice(value);
            true
        }
        Token::Str(text) => {
            let Ok(text) = std::str::from_utf8(text) else { return false };
            let word = |text| match field {
                GenAiField::FinishReasons => values::finish_reason(text),
                _ => text,
            };
            let is_list = text.trim_start().starts_with('[');
            let listed = is_list.then(|| Json::read(arena, text)?.as_list()).flatten();
            let listed: Option<Vec<&str>> =
                listed.and_then(|list| list.iter().map(|text| text.as_str().map(word)).collect());
            match listed {
                Some(words) => text_list(out, &words),
                None => text_list(out, &[word(text)]),
            }
        }
        _ => false,
    }
}

/// Appends a list of texts, unless it is empty or of empty texts.
pub(super) fn text_list(out: &mut Vec<u8>, list: &[&str]) -> bool {
    if list.iter().all(|text| text.is_empty()) {
        return false;
    }
    msgpack::array_header(out, u32::try_from(list.len()).unwrap_or(0));
    list.iter().for_each(|text| msgpack::str(out, text));
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn converted(field: GenAiField, write: impl FnOnce(&mut Vec<u8>)) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        write(&mut value);
        let mut out = Vec::new();
        convert(&Arena::default(), field, &value, &mut out).then_some(out)
    }

    fn encoded(write: impl FnOnce(&mut Vec<u8>)) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        write(&mut value);
        Some(value)
    }

    #[test]
    fn texts_become_what_they_say() {
        let text = |text: &'static str| move |out: &mut Vec<u8>| msgpack::str(out, text);
        let twelve = encoded(|out| msgpack::int(out, 12));
        assert_eq!(converted(GenAiField::InputTokens, text("12")), twelve);
        assert_eq!(converted(GenAiField::InputTokens, text(" 12.0 ")), twelve);
        assert_eq!(converted(GenAiField::InputTokens, |out| msgpack::f64(out, 12.0)), twelve);
        assert_eq!(converted(GenAiField::InputTokens, text("many")), None);
        assert_eq!(converted(GenAiField::InputTokens, |out| msgpack::f64(out, 1e300)), None);
        let yes = encoded(|out| msgpack::bool(out, true));
        assert_eq!(converted(GenAiField::Stream, text("True")), yes);
        let half = encoded(|out| msgpack::f64(out, 0.5));
        assert_eq!(converted(GenAiField::Temperature, text("0.5")), half);
        assert_eq!(converted(GenAiField::Temperature, text("NaN")), None);
        assert_eq!(converted(GenAiField::RequestModel, text("")), None);
    }

    #[test]
    fn lists_are_read_from_json_or_made_of_one() {
        let list = |texts: &[&str]| {
            encoded(|out| {
                text_list(out, texts);
            })
        };
        let text = |text: &'static str| move |out: &mut Vec<u8>| msgpack::str(out, text);
        let reasons = GenAiField::FinishReasons;
        assert_eq!(converted(reasons, text(r#"["stop","length"]"#)), list(&["stop", "length"]));
        assert_eq!(converted(reasons, text("stop")), list(&["stop"]));
        assert_eq!(converted(reasons, text("[stop")), list(&["[stop"]));
        assert_eq!(converted(reasons, text("")), None);
        let listed = |word: &'static str| {
            move |out: &mut Vec<u8>| {
                text_list(out, &[word, "stop"]);
            }
        };
        assert_eq!(converted(reasons, listed("STOP")), list(&["stop", "stop"]));
        assert_eq!(converted(reasons, listed("other")), list(&["other", "stop"]));
        assert_eq!(converted(reasons, |out| msgpack::array_header(out, 0)), None);
    }

    proptest! {
        /// Scenario: reasons as texts, as JSON and as lists, with bytes that are no text. Guarantees: what they
        /// become stays, so that a value made of an attribute says what the attribute's would.
        #[test]
        fn reasons_are_converted_once(
            words in prop::collection::vec("[\\[\"a]{0,2}|STOP|stop|tool-calls|tool_call|END_TURN", 0..4),
            form in 0..3,
            odd: bool,
        ) {
            let mut given = Vec::new();
            match form {
                0 => msgpack::str(&mut given, &words.concat()),
                1 => msgpack::str(&mut given, &serde_json::to_string(&words).unwrap()),
                _ => {
                    msgpack::array_header(&mut given, u32::try_from(words.len()).unwrap() + u32::from(odd));
                    words.iter().for_each(|word| msgpack::str(&mut given, word));
                    if odd {
                        msgpack::str_bytes(&mut given, b"\xff");
                    }
                }
            }
            let (mut once, mut again) = (Vec::new(), Vec::new());
            let arena = Arena::default();
            if convert(&arena, GenAiField::FinishReasons, &given, &mut once) {
                prop_assert!(convert(&arena, GenAiField::FinishReasons, &once, &mut again));
                prop_assert_eq!(once, again);
            }
        }
    }

    #[test]
    fn only_wrong_types_are_wrong() {
        let value = |write: fn(&mut Vec<u8>)| encoded(write).unwrap();
        let text = value(|out| msgpack::str(out, "1"));
        let int = value(|out| msgpack::int(out, 1));
        assert!(has_wrong_type(FieldType::Int, &text) && has_wrong_type(FieldType::Bool, &text));
        assert!(!has_wrong_type(FieldType::Int, &int) && !has_wrong_type(FieldType::Double, &int));
        assert!(!has_wrong_type(FieldType::Text, &text) && !has_wrong_type(FieldType::Any, &text));
        for (word, wrong) in [
            ("stop", false),
            ("length", false),
            ("other", false),
            ("STOP", true),
            ("tool-calls", true),
        ] {
            let mut list = Vec::new();
            text_list(&mut list, &[word]);
            assert_eq!(has_wrong_type(FieldType::Reasons, &list), wrong, "{word}");
        }
    }
}
