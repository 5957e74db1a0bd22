//! Properties of messages that are made in the memory of what they are made of: they are what they are when they are
//! made anew.

use proptest::prelude::*;

use super::super::parts::{rendered, says_nothing};
use super::*;

/// The message, made anew.
fn finished_anew<'a>(message: Members<'a>, role: &'a str) -> Json<'a> {
    let mut said = Said::default();
    let mut others = Vec::new();
    for (key, value) in message {
        let other = said.take(&key, value).filter(|value| !says_nothing(value));
        others.extend(other.map(|value| (key, value)));
    }
    let role = said.role.take().filter(|role| !role.is_empty()).unwrap_or(Cow::Borrowed(role));
    let reason = said.finish_reason.take();
    let parts = said.into_parts(&role);
    let mut members = Members::default();
    members.push("role", Json::Text(role_of(role)));
    members.push("parts", Json::List(parts));
    if let Some(reason) = reason {
        members.push("finish_reason", Json::Text(finish_reason(reason)));
    }
    others.into_iter().for_each(|(key, value)| members.push(key, value));
    Json::Object(members)
}

/// A part with a text, made anew.
fn text_anew(mut part: Members<'_>) -> Json<'_> {
    let text = part.take("text").and_then(Json::into_text).unwrap_or_default();
    with_others(text_part(text), part)
}

/// JSON text with names and values of messages, names that repeat, escapes, large numbers and depth.
fn soup() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "null",
        "true",
        "\"\"",
        "\"user\"",
        "\"model\"",
        "\"tool\"",
        "\"stop\"",
        "\"tool_calls\"",
        "\"a \\\"b\\\" \\u00e9\\n\"",
        "\"[{\\\"type\\\":\\\"text\\\",\\\"text\\\":\\\"x\\\"}]\"",
        "\"[1,\"",
        "1",
        "-1.50e3",
        "123456789012345678901234567890",
        "[]",
        "{}",
    ]);
    leaf.prop_map(str::to_owned).prop_recursive(4, 32, 5, |inner| {
        let key = prop::sample::select(vec![
            "role",
            "content",
            "parts",
            "tool_calls",
            "tool_call_id",
            "finish_reason",
            "function_call_name",
            "text",
            "type",
            "image_url",
            "function",
            "name",
            "x",
            "\\u0078",
        ]);
        let list = prop::collection::vec(inner.clone(), 0..4)
            .prop_map(|values| format!("[{}]", values.join(" , ")));
        let object = prop::collection::vec((key, inner), 0..6).prop_map(|members| {
            let members = members.iter().map(|(key, value)| format!(" \"{key}\" : {value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        });
        prop_oneof![list, object]
    })
}

proptest! {
    /// Scenario: messages with any members. Guarantees: the same as from new memory, in the same order.
    #[test]
    fn messages_are_the_same_in_place(text in soup(), role in "[a-z]{0,4}") {
        let read = || Json::read(&text).and_then(Json::into_object).unwrap_or_default();
        let made = rendered(&[finished(read(), &role)]);
        prop_assert_eq!(made, rendered(&[finished_anew(read(), &role)]));
    }

    /// Scenario: a part with a type of any kind and a text. Guarantees: the same as from new memory.
    #[test]
    fn texts_are_the_same_in_place(kind in soup(), text in "[a-z\\[]{0,3}", last in any::<bool>()) {
        let text = match last {
            true => format!("{{\"type\":{kind},\"text\":\"{text}\"}}"),
            false => format!("{{\"text\":\"{text}\",\"type\":{kind}}}"),
        };
        let read = || Json::read(&text).and_then(Json::into_object).unwrap_or_default();
        prop_assert_eq!(provider_part(Json::Object(read())), text_anew(read()));
    }

    /// Scenario: any JSON, whole and cut. Guarantees: what is written into memory that is there is what a text of its
    /// own would be, and serde_json reads it as it reads what was given.
    #[test]
    fn lists_are_written_as_texts(text in soup(), cut in 0_usize..200) {
        use crate::codec::msgpack::text_of;
        use serde_json::Value;
        let cut = text.get(..cut).unwrap_or(&text);
        prop_assert_eq!(Json::read(cut).is_some(), serde_json::from_str::<Value>(cut).is_ok());
        let Some(Json::List(list)) = Json::read(&text) else { return Ok(()) };
        let mut out = vec![7];
        prop_assert_eq!(Json::append_list(&list, &mut out), !list.is_empty());
        let written = out.get(1..).and_then(text_of);
        let anew = rendered(&list);
        prop_assert_eq!(written, anew.as_deref());
        if let Some(written) = written {
            let of = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            prop_assert_eq!(of(written), of(&text));
        }
    }
}
