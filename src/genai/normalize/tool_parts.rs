//! Tool parts: calls of tools and their results, as providers and SDKs write them -> parts of messages of
//! the GenAI conventions.

use std::borrow::Cow;

use super::parts::{parsed, parsed_text, reasoning_part};
use crate::genai::json_value::{Json, Members};

/// The type of a part that answers a call of a tool.
const TOOL_RESPONSE: &str = "tool_call_response";

/// The parts of a JSON list of tool calls; none if it is no such list.
pub(super) fn tool_calls(text: &str) -> Option<Vec<Json<'_>>> {
    let calls = parsed(text)?;
    let calls: Option<Vec<Json<'_>>> =
        calls.as_list()?.iter().map(|call| call.as_object().map(call_part)).collect();
    calls.filter(|calls| !calls.is_empty())
}

/// Whether content is a list of parts that each say which call they answer.
pub(super) fn is_result_list(content: &Json<'_>) -> bool {
    let is_result = |part: &Json<'_>| {
        part.as_object()
            .and_then(provider_call)
            .is_some_and(|part| part.get("type").and_then(Json::as_str) == Some(TOOL_RESPONSE))
    };
    let is_list_of_results = |list: &[Json<'_>]| !list.is_empty() && list.iter().all(is_result);
    match content {
        Json::Text(text) => {
            parsed(text).and_then(Json::into_list).as_deref().is_some_and(is_list_of_results)
        }
        other => other.as_list().is_some_and(is_list_of_results),
    }
}

/// A part of Anthropic, Amazon Bedrock, Google or the Vercel AI SDK that calls a tool, gives its result, or reasons.
pub(super) fn provider_call<'a>(part: &Members<'a>) -> Option<Json<'a>> {
    let id = || part.first(&["toolCallId", "tool_use_id", "id"]).cloned();
    // Google's parts have no type.
    if let Some(called) = part.first(&["function_call", "functionCall"]) {
        let name = text_member(called, "name")?;
        return Some(call(called.get("id").cloned(), name, called.get("args").cloned()));
    }
    if let Some(answered) = part.first(&["function_response", "functionResponse"]) {
        let response = answered.get("response").cloned().unwrap_or_default();
        return Some(tool_response(answered.get("id").cloned(), answered.get("name"), response));
    }
    // Nor have those of Amazon Bedrock's Converse.
    if let Some(called) = part.get("toolUse") {
        let name = text_member(called, "name")?;
        return Some(call(called.get("toolUseId").cloned(), name, called.get("input").cloned()));
    }
    if let Some(answered) = part.get("toolResult") {
        let status = answered.get("status").map(Json::as_str);
        let succeeded = status.is_none_or(|status| status == Some("success"));
        let response = if succeeded { answered.get("content")? } else { answered };
        return Some(tool_response(answered.get("toolUseId").cloned(), None, response.clone()));
    }
    match part.get("type")?.as_str()? {
        "tool-call" | "tool_use" => {
            let name = part.first(&["toolName", "name"])?.clone().into_text()?;
            Some(call(id(), name, part.first(&["input", "args"]).cloned()))
        }
        "tool-result" | "tool_result" => {
            let response = part.first(&["output", "result", "content"])?;
            let response = typed_output(response).unwrap_or(response).clone();
            Some(tool_response(id(), part.get("toolName"), response))
        }
        "thinking" => Some(reasoning_part(part.get("thinking")?.clone().into_text()?)),
        _ => None,
    }
}

fn text_member<'a>(value: &Json<'a>, key: &str) -> Option<Cow<'a, str>> {
    value.get(key)?.clone().into_text()
}

/// The value of an output of the Vercel AI SDK that only says besides whether it is a text.
fn typed_output<'m, 'a>(output: &'m Json<'a>) -> Option<&'m Json<'a>> {
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
    id: Option<Json<'a>>,
    name: Option<&Json<'a>>,
    response: Json<'a>,
) -> Json<'a> {
    let mut part = Members::with_capacity(4);
    part.push("type", TOOL_RESPONSE.into());
    part.push("id", id.unwrap_or_default());
    part.push("response", response);
    if let Some(name) = name.filter(|name| name.is_text()) {
        part.push("name", name.clone());
    }
    Json::Object(part)
}

/// A call of a tool, as lists of calls have it.
pub(super) fn call_part<'a>(element: &Members<'a>) -> Json<'a> {
    let element = element.get("tool_call").and_then(Json::as_object).unwrap_or(element);
    let function = element.get("function").and_then(Json::as_object).unwrap_or(element);
    let name = function.first(&["name", "toolName", "tool_name"]).cloned();
    let id = element.first(&["id", "toolCallId", "tool_call_id"]).cloned();
    let arguments = function.first(&["arguments", "input", "args"]).cloned();
    call(id, name.and_then(Json::into_text).unwrap_or_default(), arguments)
}

/// A part that calls a tool; arguments that are JSON text are read.
pub(super) fn call<'a>(
    id: Option<Json<'a>>,
    name: Cow<'a, str>,
    arguments: Option<Json<'a>>,
) -> Json<'a> {
    let arguments = match arguments {
        Some(Json::Text(text)) => parsed_text(&text).unwrap_or(Json::Text(text)),
        other => other.unwrap_or_default(),
    };
    let mut part = Members::with_capacity(4);
    part.push("type", "tool_call".into());
    part.push("id", id.unwrap_or_default());
    part.push("name", Json::Text(name));
    part.push("arguments", arguments);
    Json::Object(part)
}

#[cfg(test)]
mod tests {
    use crate::codec::msgpack::text_of;
    use crate::genai::normalize::messages::of_text;
    use serde_json::Value;

    fn of_json(text: &str, role: &str) -> Option<String> {
        let (messages, _) = of_text(text, role)?;
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
