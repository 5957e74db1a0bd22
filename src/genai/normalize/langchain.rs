//! Messages as LangChain writes its objects: constructors with their arguments, and roles as types.

use super::parts::says_nothing;
use crate::genai::json_value::{Arena, Json, Members};

/// Types of messages, and their roles.
const ROLES: [(&str, &str); 8] = [
    ("human", "user"),
    ("ai", "assistant"),
    ("system", "system"),
    ("tool", "tool"),
    ("function", "tool"),
    ("HumanMessageChunk", "user"),
    ("AIMessageChunk", "assistant"),
    ("ToolMessageChunk", "tool"),
];

/// The members of a message, with its role and its finish reason as others have them.
pub(super) fn plain<'a>(arena: &'a Arena, mut message: Members<'a>) -> Members<'a> {
    if message.has("lc")
        && let Some(Json::Object(arguments)) = message.get("kwargs")
    {
        message = arguments;
    }
    let kind = message.get("type").and_then(Json::as_str);
    let role = kind.and_then(|kind| ROLES.iter().find(|(known, _)| *known == kind));
    let Some((_, role)) = role.filter(|_| !message.has("role")) else { return message };
    let message = message.without(arena, "type").with(arena, "role", Json::word(role));
    let metadata = message.get("response_metadata").and_then(Json::as_object);
    let reason = metadata.and_then(|metadata| metadata.first(&["finish_reason", "stop_reason"]));
    match reason.filter(|reason| reason.is_text() && !message.has("finish_reason")) {
        Some(reason) => message.with(arena, "finish_reason", reason),
        None => message,
    }
}

/// Takes what a generation says that its message says, too, and leaves the rest.
pub(super) fn take_generation<'a>(
    arena: &'a Arena,
    generation: &mut Members<'a>,
    message: &mut Members<'a>,
) {
    let is_one = generation
        .get("type")
        .and_then(Json::as_str)
        .is_some_and(|kind| kind.ends_with("Generation"));
    if !is_one {
        return;
    }
    generation.take(arena, "type");
    if generation.get("text") == message.get("content") {
        generation.take(arena, "text");
    }
    let Some(Json::Object(mut info)) = generation.get("generation_info") else { return };
    generation.take(arena, "generation_info");
    if let Some(reason) = info.get("finish_reason").filter(|reason| reason.is_text()) {
        info.take(arena, "finish_reason");
        *message = message.without(arena, "finish_reason").with(arena, "finish_reason", reason);
    }
    let info = Json::Object(info);
    if !says_nothing(info) {
        *generation = generation.with(arena, "generation_info", info);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::text_of;
    use crate::genai::normalize::messages::{Remainder, of_text};
    use serde_json::Value;

    /// Scenario: what a chat model of LangChain was given and gave, and what an agent has for a state.
    /// Guarantees: these are messages with roles, calls and reasons, and keep what else they say.
    #[test]
    fn objects_of_langchain_are_messages() {
        for (given, expected, rest) in [
            (
                r#"{"messages":[[{"lc":1,"type":"constructor","id":["langchain","SystemMessage"],
                    "kwargs":{"content":"be","type":"system","additional_kwargs":{"refusal":null}}},
                    {"lc":1,"type":"constructor","id":[],"kwargs":{"content":"hi","type":"human"}}]]}"#,
                r#"[{"role":"system","parts":[{"type":"text","content":"be"}]},
                    {"role":"user","parts":[{"type":"text","content":"hi"}]}]"#,
                None,
            ),
            (
                r#"{"generations":[[{"text":"","type":"ChatGeneration",
                    "generation_info":{"finish_reason":"tool_calls","logprobs":null},
                    "message":{"lc":1,"type":"constructor","kwargs":{"content":"","type":"ai","id":"r",
                    "tool_calls":[{"name":"f","args":{"a":1},"id":"c","type":"tool_call"}],
                    "invalid_tool_calls":[]}}}]],"llm_output":{"id":"x"}}"#,
                r#"[{"role":"assistant","finish_reason":"tool_call","id":"r","parts":[
                    {"type":"tool_call","id":"c","name":"f","arguments":{"a":1}}]}]"#,
                Some(r#"{"llm_output":{"id":"x"}}"#),
            ),
            (
                r#"{"messages":[{"content":"sunny","type":"tool","tool_call_id":"c","status":"success"},
                    {"content":"done","type":"ai","response_metadata":{"finish_reason":"stop"}}]}"#,
                r#"[{"role":"tool","status":"success","parts":[
                    {"type":"tool_call_response","id":"c","response":"sunny"}]},
                    {"role":"assistant","finish_reason":"stop",
                    "response_metadata":{"finish_reason":"stop"},
                    "parts":[{"type":"text","content":"done"}]}]"#,
                None,
            ),
        ] {
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            let arena = Arena::default();
            let (messages, left) = of_text(&arena, given, "user").unwrap();
            let mut encoded = Vec::new();
            assert!(messages.append(&mut encoded));
            assert_eq!(read(text_of(&encoded).unwrap()), read(expected));
            let left = match left {
                Remainder::Object(left) => Some(read(&Json::Object(left).to_text())),
                Remainder::Nothing => None,
                Remainder::All => panic!("{given}"),
            };
            assert_eq!(left, rest.map(read));
        }
        // Two conversations are no one.
        let two = r#"{"messages":[[{"type":"human","content":"a"}],[]]}"#;
        assert!(of_text(&Arena::default(), two, "user").is_none());
    }
}
