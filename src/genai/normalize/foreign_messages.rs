//! Messages that stand under their current names in another form: that of a provider's API.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::messages;
use super::parts::parsed;
use crate::genai::json_value::{Arena, Json};

/// How far into a text the first message shows its form.
const HEAD: usize = 256;

/// The name of the parts.
static PARTS: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"parts\""));

/// Members of parts in Google's form, which have no type.
const GOOGLE_PARTS: [&[u8]; 5] =
    [b"\"text\"", b"\"thought\"", b"\"functionCall\"", b"\"functionResponse\"", b"\"inlineData\""];

/// What follows a token, and the space before it.
fn after<'a>(text: &'a [u8], token: &[u8]) -> Option<&'a [u8]> {
    text.trim_ascii_start().strip_prefix(token)
}

/// What follows the name of the parts, where they come after the role, as with most.
fn parts_after_role(message: &[u8]) -> Option<&[u8]> {
    let role = after(after(after(message, b"\"role\"")?, b":")?, b"\"")?;
    let end = role.iter().take(16).position(|byte| *byte == b'"')?;
    after(after(role.get(end..)?.get(1..)?, b",")?, b"\"parts\"")
}

/// What follows the name of the parts, wherever it is in the beginning.
fn parts_in_head(text: &[u8]) -> Option<&[u8]> {
    let head = text.get(..HEAD).unwrap_or(text);
    let at = PARTS.find(head)?;
    text.get(at..)?.get(PARTS.needle().len()..)
}

/// Whether the JSON text of messages may have another form. Only the beginning of the first one is looked at.
pub(super) fn may_be_foreign(text: &[u8]) -> bool {
    let Some(message) = after(text, b"[").and_then(|list| after(list, b"{")) else { return false };
    let Some(parts) = parts_after_role(message).or_else(|| parts_in_head(message)) else {
        return true;
    };
    let first = after(parts, b":").and_then(|list| after(list, b"["));
    let first = first.and_then(|part| after(part, b"{")).map(<[u8]>::trim_ascii_start);
    first.is_some_and(|part| GOOGLE_PARTS.iter().any(|key| part.starts_with(key)))
}

/// The messages in the form of the conventions; `None` if they have it, or are none. `role` is that of messages
/// that have none.
pub(super) fn of_foreign<'a>(
    arena: &'a Arena,
    text: &'a str,
    role: &'a str,
) -> Option<&'a [Json<'a>]> {
    let json = parsed(arena, text)?;
    if json.as_list()?.iter().all(is_current) {
        return None;
    }
    match messages::of_value(arena, json, role)? {
        (list, messages::Remainder::Nothing) => Some(list),
        // What cannot be said would be lost.
        _ => None,
    }
}

fn is_current(message: &Json<'_>) -> bool {
    let is_typed = |part: &Json<'_>| part.get("type").is_some_and(Json::is_text);
    message.get("role").is_some_and(Json::is_text)
        && message.get("parts").and_then(Json::as_list).is_some_and(|it| it.iter().all(is_typed))
}

#[cfg(test)]
mod tests {
    use super::super::parts::rendered;
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn of_foreign(text: &str, role: &str) -> Option<String> {
        rendered(super::of_foreign(&Arena::default(), text, role)?)
    }

    fn soup() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            prop::sample::select(vec!["user", "model", "human", "text", "tool_use", "[1]", ""])
                .prop_map(Value::from),
            Just(json!(null)),
            Just(json!(true)),
        ];
        leaf.prop_recursive(5, 32, 5, |inner| {
            let key = prop::sample::select(vec![
                "role",
                "content",
                "parts",
                "text",
                "type",
                "thought",
                "functionCall",
                "name",
                "args",
                "tool_calls",
                "message",
                "finish_reason",
                "generation_info",
                "kwargs",
                "lc",
                "toolUse",
                "x",
            ]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::Array),
                prop::collection::vec((key, inner), 0..6).prop_map(|pairs| {
                    Value::Object(pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
                }),
            ]
        })
    }

    proptest! {
        /// Scenario: messages with any members. Guarantees: what becomes of them stays.
        #[test]
        fn doing_it_twice_is_doing_it_once(
            messages in prop::collection::vec((prop::option::of("[a-z]{3,5}"), soup()), 1..3),
        ) {
            let with_role = messages.into_iter().map(|(role, mut message)| {
                if let (Some(role), Some(members)) = (role, message.as_object_mut()) {
                    members.insert("role".to_owned(), json!(role));
                }
                message
            });
            let given = Value::Array(with_role.collect()).to_string();
            if let Some(once) = of_foreign(&given, "user") {
                let again = of_foreign(&once, "user").filter(|again| *again != once);
                prop_assert_eq!(again, None, "{} {}", given, once);
            }
        }
    }

    /// Scenario: messages in the forms of OpenAI and Google, in that of the conventions, and what is none.
    /// Guarantees: the first become the third with all that they say, and what is right or none stays.
    #[test]
    fn messages_get_the_form_of_the_conventions_once() {
        let of_openai = r#"[{"role":"user","content":"hi","name":"u"},{"role":"assistant","content":null,
            "tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}]"#;
        let choices = r#"[{"index":0,"finish_reason":"tool_calls","logprobs":null,
            "message":{"role":"assistant","content":"hi","refusal":null,"annotations":[]},"logit":1}]"#;
        let of_google = r#"[{"role":"model","parts":[{"text":"hm","thought":true},
            {"functionCall":{"name":"f","args":{"a":1},"id":"c"},"thoughtSignature":"s"}]},
            {"role":"user","parts":[{"functionResponse":{"id":"c","name":"f","response":{"o":1}}}]}]"#;
        for (given, expected) in [
            (
                of_openai,
                Some(
                    r#"[{"role":"user","parts":[{"type":"text","content":"hi"}],"name":"u"},
                    {"role":"assistant","parts":[
                        {"type":"tool_call","id":"c","name":"f","arguments":{}}]}]"#,
                ),
            ),
            (
                choices,
                Some(
                    r#"[{"role":"assistant","parts":[{"type":"text","content":"hi"}],
                    "finish_reason":"tool_call","logit":1}]"#,
                ),
            ),
            (
                of_google,
                Some(
                    r#"[{"role":"assistant","parts":[{"type":"reasoning","content":"hm"},
                        {"type":"tool_call","id":"c","name":"f","arguments":{"a":1},
                        "thoughtSignature":"s"}]},
                    {"role":"user","parts":[
                        {"type":"tool_call_response","id":"c","name":"f","response":{"o":1}}]}]"#,
                ),
            ),
            (r#"[{"content":"no role"}]"#, None),
            (r#"["a"]"#, None),
            ("hi", None),
            (r#"{"role":"user","content":"no list"}"#, None),
        ] {
            let made = of_foreign(given, "user");
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(made.as_deref().map(read), expected.map(read), "{given}");
            assert!(made.is_none() || may_be_foreign(given.as_bytes()), "{given}");
            assert_eq!(made.as_deref().and_then(|made| of_foreign(made, "user")), None, "{given}");
            assert!(made.is_none_or(|made| !may_be_foreign(made.as_bytes())), "{given}");
        }
        for current in [
            "[]",
            r#"[{"role":"user","parts":[]}]"#,
            r#"[{"role": "user", "parts": [{"type": "text", "content": "a"}]}]"#,
            r#"[{"parts":[{"content":"\"parts\":[{\"text\"","type":"text"}],"role":"user"}]"#,
        ] {
            assert!(!may_be_foreign(current.as_bytes()), "{current}");
            assert_eq!(of_foreign(current, "user"), None, "{current}");
        }
    }
}
