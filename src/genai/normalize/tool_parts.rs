//! Tool parts: calls of tools and their results, as providers and SDKs write them -> parts of messages of
//! the GenAI conventions.

use super::parts::{parsed, reasoning_part};
use crate::genai::json_value::{Arena, Json, Members, Text};

/// The type of a part that answers a call of a tool.
const TOOL_RESPONSE: &str = "tool_call_response";

/// The parts of a JSON list of tool calls; none if it is no such list.
pub(super) fn tool_calls<'a>(arena: &'a Arena, text: &'a str) -> Option<&'a [Json<'a>]> {
    let calls = parsed(arena, text)?.as_list()?;
    let mut parts = arena.building(calls.len());
    for call in calls {
        parts.push(call_part(arena, call.as_object()?));
    }
    (!parts.is_empty()).then(|| parts.into_bump_slice())
}

/// Whether content is a list of parts that each say which call they answer.
pub(super) fn is_result_list<'a>(arena: &'a Arena, content: Json<'a>) -> bool {
    let is_result = |part: &Json<'a>| {
        let said = part.as_object().and_then(|part| provider_call(arena, part));
        said.and_then(|part| part.get("type")?.as_str()) == Some(TOOL_RESPONSE)
    };
    let list = match content {
        Json::Text(text) => parsed(arena, text.as_str()).and_then(Json::as_list),
        other => other.as_list(),
    };
    list.is_some_and(|list| !list.is_empty() && list.iter().all(is_result))
}

/// A part of Anthropic, Amazon Bedrock, Google or the Vercel AI SDK that calls a tool, gives its result, or reasons.
pub(super) fn provider_call<'a>(arena: &'a Arena, part: Members<'a>) -> Option<Json<'a>> {
    let id = || part.first(&["toolCallId", "tool_use_id", "id"]);
    // Google's parts have no type.
    if let Some(called) = part.first(&["function_call", "functionCall"]) {
        let name = called.get("name")?.as_text()?;
        return Some(call(arena, called.get("id"), name, called.get("args")));
    }
    if let Some(answered) = part.first(&["function_response", "functionResponse"]) {
        let response = answered.get("response").unwrap_or_default();
        return Some(tool_response(arena, answered.get("id"), answered.get("name"), response));
    }
    // Nor have those of Amazon Bedrock's Converse.
    if let Some(called) = part.get("toolUse") {
        let name = called.get("name")?.as_text()?;
        return Some(call(arena, called.get("toolUseId"), name, called.get("input")));
    }
    if let Some(answered) = part.get("toolResult") {
        let status = answered.get("status").map(Json::as_str);
        let succeeded = status.is_none_or(|status| status == Some("success"));
        let response = if succeeded { answered.get("content")? } else { answered };
        return Some(tool_response(arena, answered.get("toolUseId"), None, response));
    }
    match part.get("type")?.as_str()? {
        "tool-call" | "tool_use" => {
            let name = part.first(&["toolName", "name"])?.as_text()?;
            Some(call(arena, id(), name, part.first(&["input", "args"])))
        }
        "tool-result" | "tool_result" => {
            let response = part.first(&["output", "result", "content"])?;
            let response = typed_output(response).unwrap_or(response);
            Some(tool_response(arena, id(), part.get("toolName"), response))
        }
        "thinking" => Some(reasoning_part(arena, part.get("thinking")?.as_text()?)),
        _ => None,
    }
}

/// The value of an output of the Vercel AI SDK that only says besides whether it is a text.
fn typed_output(output: Json<'_>) -> Option<Json<'_>> {
    let value = output.get("value")?;
    let is_typed = match output.get("type")?.as_str()? {
        "text" => value.is_text(),
        "json" => true,
        _ => false,
    };
    (is_typed && output.as_object()?.len() == 2).then_some(value)
}

/// A part that answers a call of a tool; the tool's name is no member of the conventions, which allow more
/// than theirs.
pub(super) fn tool_response<'a>(
    arena: &'a Arena,
    id: Option<Json<'a>>,
    name: Option<Json<'a>>,
    response: Json<'a>,
) -> Json<'a> {
    let (kind, id) = (("type", Json::word(TOOL_RESPONSE)), ("id", id.unwrap_or_default()));
    match name.filter(|name| name.is_text()) {
        Some(name) => Json::object(arena, [kind, id, ("response", response), ("name", name)]),
        None => Json::object(arena, [kind, id, ("response", response)]),
    }
}

/// A call of a tool, as lists of calls have it.
pub(super) fn call_part<'a>(arena: &'a Arena, element: Members<'a>) -> Json<'a> {
    let element = element.get("tool_call").and_then(Json::as_object).unwrap_or(element);
    let function = element.get("function").and_then(Json::as_object).unwrap_or(element);
    let name = function.first(&["name", "toolName", "tool_name"]).and_then(Json::as_text);
    let id = element.first(&["id", "toolCallId", "tool_call_id"]);
    let arguments = function.first(&["arguments", "input", "args"]);
    call(arena, id, name.unwrap_or_default(), arguments)
}

/// A part that calls a tool; arguments that are JSON text are read.
pub(super) fn call<'a>(
    arena: &'a Arena,
    id: Option<Json<'a>>,
    name: Text<'a>,
    arguments: Option<Json<'a>>,
) -> Json<'a> {
    let given = arguments.unwrap_or_default();
    let arguments = given.as_str().and_then(|text| parsed(arena, text)).unwrap_or(given);
    Json::object(
        arena,
        [
            ("type", Json::word("tool_call")),
            ("id", id.unwrap_or_default()),
            ("name", Json::Text(name)),
            ("arguments", arguments),
        ],
    )
}

#[cfg(test)]
mod tests {
    use crate::codec::msgpack::text_of;
    use crate::genai::json_value::Arena;
    use crate::genai::normalize::messages::of_text;
    use serde_json::Value;

    fn of_json(text: &str, role: &str) -> Option<String> {
        let arena = Arena::default();
        let (messages, _) = of_text(&arena, text, role)?;
        let mut encoded = Vec::new();
        assert!(messages.append(&mut encoded));
        text_of(&encoded).map(str::to_owned)
    }

    fn same(rendered: Option<String>, expected: &str) {
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(read(&rendered.unwrap()), read(expected));
    }

    #[test]
    fn results_of_tools_say_which_call_they_answer() {
        let response = |id: &str, response: &str| {
            format!(
                r#"[{{"role":"tool","parts":[{{"type":"tool_call_response","id":{id},
                    "response":{response}}}]}}]"#
            )
        };
        for (content, id, said) in [
            (
                r#"[{"type":"tool-result","toolCallId":"c","toolName":"f",
                    "output":{"type":"text","value":"a"}}]"#,
                r#""c","name":"f""#,
                r#""a""#,
            ),
            (
                r#"[{"type":"tool-result","toolCallId":"c","output":{"type":"json","value":{"a":1}}}]"#,
                r#""c""#,
                r#"{"a":1}"#,
            ),
            (
                r#"[{"type":"tool-result","toolCallId":"c","output":{"type":"error-text","value":"a"}}]"#,
                r#""c""#,
                r#"{"type":"error-text","value":"a"}"#,
            ),
            (
                r#"[{"toolResult":{"toolUseId":"c","content":[{"text":"a"}],"status":"success"}}]"#,
                r#""c""#,
                r#"[{"text":"a"}]"#,
            ),
            (
                r#"[{"toolResult":{"toolUseId":"c","content":[],"status":"error"}}]"#,
                r#""c""#,
                r#"{"toolUseId":"c","content":[],"status":"error"}"#,
            ),
            (r#"[{"type":"text","text":"a"}]"#, "null", r#"[{"type":"text","text":"a"}]"#),
            (r#""a""#, "null", r#""a""#),
        ] {
            let given = format!(r#"[{{"role":"tool","content":{content}}}]"#);
            same(of_json(&given, "user"), &response(id, said));
        }
        same(
            of_json(
                r#"[{"role":"assistant","content":[{"toolUse":{"toolUseId":"c","name":"f","input":{"a":1}}}]}]"#,
                "assistant",
            ),
            r#"[{"role":"assistant","parts":[
                {"type":"tool_call","id":"c","name":"f","arguments":{"a":1}}]}]"#,
        );
    }
}
