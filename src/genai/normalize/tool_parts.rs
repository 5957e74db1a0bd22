//! Tool parts: calls of tools and their results, as providers and SDKs write them -> parts of messages of
//! the GenAI conventions.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::indexed_keys::object;
use super::parts::{parsed, reasoning_part};

/// The type of a part that answers a call of a tool.
const TOOL_RESPONSE: &str = "tool_call_response";

/// The parts of a JSON list of tool calls; none if it is no such list.
pub(crate) fn tool_calls(text: &str) -> Option<Vec<Value>> {
    let calls = parsed(text)?;
    let calls: Option<Vec<Value>> =
        calls.as_array()?.iter().map(|call| call.as_object().map(call_part)).collect();
    calls.filter(|calls| !calls.is_empty())
}

/// Whether content is a list of parts that each say which call they answer.
pub(super) fn is_result_list(content: &Value) -> bool {
    let list = match content {
        Value::String(text) => parsed(text).map(Cow::Owned),
        other => Some(Cow::Borrowed(other)),
    };
    let is_result = |part: &Value| {
        provider_call(part)
            .is_some_and(|part| part.get("type").and_then(Value::as_str) == Some(TOOL_RESPONSE))
    };
    list.as_deref()
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty() && list.iter().all(is_result))
}

/// A part of Anthropic, Amazon Bedrock, Google or the Vercel AI SDK that calls a tool, gives its result, or reasons.
pub(super) fn provider_call(part: &Value) -> Option<Value> {
    let first = |keys: &[&str]| keys.iter().find_map(|key| part.get(*key)).cloned();
    let id = || first(&["toolCallId", "tool_use_id", "id"]).unwrap_or(Value::Null);
    // Google's parts have no type.
    for key in ["function_call", "functionCall"] {
        if let Some(called) = part.get(key) {
            let name = called.get("name")?.as_str()?;
            return Some(call(called.get("id"), name, called.get("args")));
        }
    }
    for key in ["function_response", "functionResponse"] {
        if let Some(answered) = part.get(key) {
            let response = answered.get("response").cloned().unwrap_or(Value::Null);
            return Some(tool_response(
                answered.get("id").cloned(),
                answered.get("name"),
                response,
            ));
        }
    }
    // Nor have those of Amazon Bedrock's Converse.
    if let Some(called) = part.get("toolUse") {
        let name = called.get("name")?.as_str()?;
        return Some(call(called.get("toolUseId"), name, called.get("input")));
    }
    if let Some(answered) = part.get("toolResult") {
        let succeeded = answered.get("status").is_none_or(|status| status == "success");
        let response = if succeeded { answered.get("content")? } else { answered };
        return Some(tool_response(answered.get("toolUseId").cloned(), None, response.clone()));
    }
    match part.get("type")?.as_str()? {
        "tool-call" | "tool_use" => {
            let name = first(&["toolName", "name"])?;
            Some(call(Some(&id()), name.as_str()?, first(&["input", "args"]).as_ref()))
        }
        "tool-result" | "tool_result" => {
            let response = first(&["output", "result", "content"])?;
            let response = typed_output(&response).unwrap_or(response);
            Some(tool_response(Some(id()), part.get("toolName"), response))
        }
        "thinking" => Some(reasoning_part(part.get("thinking")?.as_str()?)),
        _ => None,
    }
}

/// The value of an output of the Vercel AI SDK that only says besides whether it is a text.
fn typed_output(output: &Value) -> Option<Value> {
    let value = output.get("value")?;
    let is_typed = match output.get("type")?.as_str()? {
        "text" => value.is_string(),
        "json" => true,
        _ => false,
    };
    (is_typed && output.as_object()?.len() == 2).then(|| value.clone())
}

/// A part that answers a call of a tool; the tool's name is no member of the conventions, which allow more
/// than theirs.
pub(super) fn tool_response(id: Option<Value>, name: Option<&Value>, response: Value) -> Value {
    let mut part = object([
        ("type", Value::from(TOOL_RESPONSE)),
        ("id", id.unwrap_or(Value::Null)),
        ("response", response),
    ]);
    if let (Some(name), Some(members)) = (name.filter(|it| it.is_string()), part.as_object_mut()) {
        members.insert("name".to_owned(), name.clone());
    }
    part
}

/// A call of a tool, as lists of calls have it.
pub(super) fn call_part(element: &Map<String, Value>) -> Value {
    let element = element.get("tool_call").and_then(Value::as_object).unwrap_or(element);
    let function = element.get("function").and_then(Value::as_object).unwrap_or(element);
    let first = |map: &Map<String, Value>, keys: [&str; 3]| {
        keys.iter().find_map(|key| map.get(*key)).cloned()
    };
    let name = first(function, ["name", "toolName", "tool_name"]).unwrap_or_default();
    let id = first(element, ["id", "toolCallId", "tool_call_id"]);
    let arguments = first(function, ["arguments", "input", "args"]);
    call(id.as_ref(), name.as_str().unwrap_or_default(), arguments.as_ref())
}

/// A part that calls a tool; arguments that are JSON text are read.
pub(super) fn call(id: Option<&Value>, name: &str, arguments: Option<&Value>) -> Value {
    let arguments = match arguments {
        Some(Value::String(text)) => parsed(text).unwrap_or_else(|| Value::from(text.as_str())),
        Some(other) => other.clone(),
        None => Value::Null,
    };
    object([
        ("type", Value::from("tool_call")),
        ("id", id.cloned().unwrap_or(Value::Null)),
        ("name", Value::from(name)),
        ("arguments", arguments),
    ])
}

#[cfg(test)]
mod tests {
    use crate::genai::normalize::messages::of_text;
    use serde_json::Value;

    fn of_json(text: &str, role: &str) -> Option<String> {
        of_text(text, role).map(|(messages, _)| messages)
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
