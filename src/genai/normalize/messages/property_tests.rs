//! Properties of messages: they are what the plainest way of making them gives.

use proptest::prelude::*;

use super::super::parts::{rendered, says_nothing};
use super::*;

/// The message, by its members one after the other.
fn finished_plainly<'a>(arena: &'a Arena, message: Members<'a>, role: &'a str) -> Json<'a> {
    let mut said = Said::default();
    let mut others = Vec::new();
    for (name, value) in message.pairs() {
        if !said.take(name, *value) && !says_nothing(*value) {
            others.push((*name, *value));
        }
    }
    let role = said.role.filter(|role| !role.is_empty()).map_or(role, Text::as_str);
    let reason = said.finish_reason;
    let mut members = vec![(Text::from("role"), role_of(role).into())];
    members.push((Text::from("parts"), Json::List(said.into_parts(arena, role))));
    if let Some(reason) = reason {
        let reason = values::finish_reason(reason.as_str()).into();
        members.push((Text::from("finish_reason"), reason));
    }
    Json::Object(Members::collect(arena, members.into_iter().chain(others)))
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
    /// Scenario: messages with any members. Guarantees: role, parts and reason come first, then what else they have,
    /// in its order.
    #[test]
    fn messages_have_what_they_say_before_what_they_keep(text in soup(), role in "[a-z]{0,4}") {
        let arena = Arena::default();
        let read = Json::read(&arena, &text).and_then(Json::as_object).unwrap_or_default();
        let made = rendered(&[finished(&arena, read, &role)]);
        prop_assert_eq!(made, rendered(&[finished_plainly(&arena, read, &role)]));
    }

    /// Scenario: a part with a type of any kind and a text. Guarantees: it is a text with what else it has.
    #[test]
    fn texts_keep_what_else_they_have(kind in soup(), text in "[a-z\\[]{0,3}", last in any::<bool>()) {
        let given = match last {
            true => format!("{{\"type\":{kind},\"text\":\"{text}\"}}"),
            false => format!("{{\"text\":\"{text}\",\"type\":{kind}}}"),
        };
        let arena = Arena::default();
        let read = Json::read(&arena, &given).and_then(Json::as_object).unwrap_or_default();
        let expected = format!("{{\"type\":\"text\",\"content\":\"{text}\"}}");
        prop_assert_eq!(provider_part(&arena, read).to_text(), expected);
    }

    /// Scenario: any JSON, whole and cut. Guarantees: what is written into memory that is there is what a text of its
    /// own would be, and serde_json reads it as it reads what was given.
    #[test]
    fn lists_are_written_as_texts(text in soup(), cut in 0_usize..200) {
        use crate::codec::msgpack::text_of;
        use serde_json::Value;
        let arena = Arena::default();
        let cut = text.get(..cut).unwrap_or(&text);
        let is_json = serde_json::from_str::<Value>(cut).is_ok();
        prop_assert_eq!(Json::read(&arena, cut).is_some(), is_json);
        let Some(Json::List(list)) = Json::read(&arena, &text) else { return Ok(()) };
        let mut out = vec![7];
        prop_assert_eq!(Json::append_list(list, &mut out), !list.is_empty());
        let written = out.get(1..).and_then(text_of);
        let anew = rendered(list);
        prop_assert_eq!(written, anew.as_deref());
        if let Some(written) = written {
            let of = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            prop_assert_eq!(of(written), of(&text));
        }
    }
}
