//! Message mapping: messages of the dialects -> `gen_ai.input.messages` and
//! `gen_ai.output.messages`.
//!
//! The form is that of the GenAI conventions 1.41, "gen-ai-input-messages.json" and
//! "gen-ai-output-messages.json": `[{"role", "parts": [{"type", ...}], "finish_reason"}]`, as JSON
//! text, which the conventions allow on spans.

use serde_json::{Map, Value};

use super::indexed_keys::{KeyTree, list, object};
use super::parts::{image_part, parsed, text_part};
use super::tool_parts::{call, call_part, is_result_list, provider_call, tool_response};
use super::values;

/// What came out as one message of these parts.
pub(crate) fn answer(parts: Vec<Value>, reason: Option<&str>) -> Option<String> {
    if parts.is_empty() {
        return None;
    }
    let mut message = Map::new();
    message.insert("role".to_owned(), Value::from("assistant"));
    message.insert("parts".to_owned(), Value::Array(parts));
    if let Some(reason) = reason {
        message.insert("finish_reason".to_owned(), Value::from(values::finish_reason(reason)));
    }
    rendered(vec![Value::Object(message)])
}

/// A whole message of one text.
pub(crate) fn single(role: &str, content: &str) -> Value {
    let parts = Value::Array(vec![text_part(content)]);
    object([("role", Value::from(role)), ("parts", parts)])
}

/// One user message for each prompt.
pub(crate) fn of_prompts(prompts: &[String]) -> Option<String> {
    let messages: Vec<Value> = prompts.iter().map(|prompt| single("user", prompt)).collect();
    rendered(messages)
}

/// The JSON text of messages; `None` if there are none.
pub(super) fn rendered(messages: Vec<Value>) -> Option<String> {
    if messages.is_empty() { None } else { serde_json::to_string(&messages).ok() }
}

/// Messages of `OpenInference`, `llm.input_messages.N.message.*`.
pub(crate) fn of_open_inference(tree: &KeyTree, role: &str) -> Option<String> {
    let messages = tree.list().into_iter().filter_map(|element| {
        let message = element.get("message").and_then(Value::as_object)?;
        let mut parts = Vec::new();
        for inner in nested(message, "contents") {
            let content = inner.get("message_content").and_then(Value::as_object);
            parts.extend(content.and_then(open_inference_part));
        }
        Some(finished(message, role, parts, nested(message, "tool_calls")))
    });
    rendered(messages.collect())
}

fn nested<'a>(message: &'a Map<String, Value>, key: &str) -> Vec<&'a Map<String, Value>> {
    message.get(key).and_then(Value::as_object).map(list).unwrap_or_default()
}

fn open_inference_part(content: &Map<String, Value>) -> Option<Value> {
    if let Some(text) = content.get("text").and_then(Value::as_str) {
        return Some(text_part(text));
    }
    let image = content.get("image").and_then(|image| image.get("image")?.get("url")?.as_str());
    match image {
        Some(url) => Some(image_part(url)),
        // What has no form of its own stays whole.
        None if content.len() > 1 => Some(Value::Object(content.clone())),
        None => None,
    }
}

/// Messages of OpenLLMetry, `gen_ai.prompt.N.*` and `gen_ai.completion.N.*`.
pub(crate) fn of_traceloop(tree: &KeyTree, role: &str) -> Option<String> {
    let messages = tree
        .list()
        .into_iter()
        .map(|message| finished(message, role, Vec::new(), nested(message, "tool_calls")));
    rendered(messages.collect())
}

/// The finish reasons of OpenLLMetry's completions.
pub(crate) fn finish_reasons(tree: &KeyTree) -> Vec<String> {
    let reason = |message: &Map<String, Value>| {
        message.get("finish_reason").and_then(Value::as_str).map(str::to_owned)
    };
    tree.list().into_iter().filter_map(reason).collect()
}

/// Completes a message of the given parts with what its other members say.
fn finished(
    message: &Map<String, Value>,
    role: &str,
    mut parts: Vec<Value>,
    calls: Vec<&Map<String, Value>>,
) -> Value {
    let text_of = |key: &str| message.get(key).and_then(Value::as_str);
    let role = text_of("role").filter(|role| !role.is_empty()).unwrap_or(role);
    let call_id = text_of("tool_call_id");
    match message.get("content") {
        Some(content) if (role == "tool" || call_id.is_some()) && !is_result_list(content) => {
            parts.push(tool_response(call_id.map(Value::from), None, content.clone()));
        }
        Some(content) => content_parts(content, &mut parts),
        None => {
            let given = message.get("parts").and_then(Value::as_array);
            parts.extend(given.into_iter().flatten().map(provider_part));
        }
    }
    parts.extend(calls.into_iter().map(call_part));
    if let Some(name) = text_of("function_call_name") {
        parts.push(call(None, name, message.get("function_call_arguments_json")));
    }
    let mut members = Map::new();
    members.insert("role".to_owned(), Value::from(role_of(role)));
    members.insert("parts".to_owned(), Value::Array(parts));
    if let Some(reason) = text_of("finish_reason") {
        let reason = values::finish_reason(reason);
        members.insert("finish_reason".to_owned(), Value::from(reason));
    }
    // What else a message has, it keeps.
    let others = message.iter().filter(|(key, _)| !SAID.contains(&key.as_str()));
    for (key, value) in others.filter(|(_, value)| !value.is_null()) {
        members.insert(key.clone(), value.clone());
    }
    Value::Object(members)
}

/// Members of messages that parts, roles and reasons say.
const SAID: &[&str] = &[
    "role",
    "content",
    "contents",
    "parts",
    "tool_calls",
    "tool_call_id",
    "finish_reason",
    "function_call_name",
    "function_call_arguments_json",
];

/// LangChain's words for roles.
fn role_of(role: &str) -> &str {
    match role {
        "human" => "user",
        "ai" | "model" => "assistant",
        other => other,
    }
}

/// Content that is a text, a list of parts as providers write them, or the JSON text of such.
fn content_parts(content: &Value, parts: &mut Vec<Value>) {
    match content {
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => match parsed(text).filter(is_part_list) {
            Some(list) => content_parts(&list, parts),
            None => parts.push(text_part(text)),
        },
        Value::Array(list) => parts.extend(list.iter().map(provider_part)),
        Value::Object(_) => parts.push(provider_part(content)),
        _ => {}
    }
}

fn is_part_list(value: &Value) -> bool {
    let is_part = |part: &Value| part.get("type").is_some_and(Value::is_string) || is_block(part);
    value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(is_part))
}

/// Whether it is a content block of Amazon Bedrock's Converse, which has one member that names its kind.
fn is_block(part: &Value) -> bool {
    const KINDS: [&str; 7] =
        ["text", "toolUse", "toolResult", "reasoningContent", "image", "document", "video"];
    let members = part.as_object().filter(|members| members.len() == 1);
    members.is_some_and(|members| KINDS.iter().any(|kind| members.contains_key(*kind)))
}

/// The message with these members as providers have them; `None` if no part comes of them.
pub(super) fn of_members(members: &Map<String, Value>, role: &str) -> Option<Value> {
    let listed = match members.get("tool_calls") {
        Some(Value::String(text)) => Some(parsed(text)?),
        other => other.cloned(),
    };
    let calls = match &listed {
        Some(list) => list.as_array()?.iter().map(Value::as_object).collect::<Option<_>>()?,
        None => Vec::new(),
    };
    let message = finished(members, role, Vec::new(), calls);
    let parts = message.get("parts").and_then(Value::as_array);
    parts.is_some_and(|parts| !parts.is_empty()).then_some(message)
}

/// One part as providers write it.
fn provider_part(part: &Value) -> Value {
    // It has the form of the conventions already.
    if part.get("type").is_some() && part.get("content").is_some_and(Value::is_string) {
        return part.clone();
    }
    if let Some(text) = part.get("text").and_then(Value::as_str).or_else(|| part.as_str()) {
        return text_part(text);
    }
    if let Some(called) = provider_call(part) {
        return called;
    }
    let url = part.get("image_url").map(|image| image.get("url").unwrap_or(image));
    match url.and_then(Value::as_str) {
        Some(url) => image_part(url),
        None => part.clone(),
    }
}

/// Messages given as one text, as JSON or as the one message's content, and what of the text they do not say.
pub(crate) fn of_text(text: &str, role: &str) -> Option<(String, Remainder)> {
    let whole = match text.trim_start().as_bytes().first()? {
        b'{' | b'[' => {
            let json = parsed(text)?;
            return Some((of_value(&json, role)?, remainder(json)));
        }
        b'"' => {
            let inner: String = serde_json::from_str(text).ok()?;
            single(role, &inner)
        }
        _ => single(role, text),
    };
    Some((rendered(vec![whole])?, Remainder::Nothing))
}

/// What of a text no message says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Remainder {
    /// Nothing.
    Nothing,
    /// This JSON object.
    Object(String),
    /// More than can be told apart.
    All,
}

/// What messages that were made of JSON leave of it.
fn remainder(json: Value) -> Remainder {
    let is_said = |element: &Value| {
        let is_known = |key: &String| matches!(key.as_str(), "message" | "finish_reason" | "index");
        element.get("message").is_none()
            || element.as_object().is_some_and(|choice| choice.keys().all(is_known))
    };
    let is_list = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(is_said));
    match json {
        Value::Object(mut map) => {
            let key = LISTS.iter().find(|key| map.get(**key).is_some_and(Value::is_array));
            match key.and_then(|key| map.remove(*key)).filter(is_list) {
                Some(_) if map.is_empty() => Remainder::Nothing,
                Some(_) => serde_json::to_string(&map).map_or(Remainder::All, Remainder::Object),
                None => Remainder::All,
            }
        }
        list if is_list(&list) => Remainder::Nothing,
        _ => Remainder::All,
    }
}

/// Members of JSON objects that have messages.
const LISTS: [&str; 3] = ["messages", "choices", "contents"];

/// Messages given as one JSON value: a list of messages, or an object that has one.
fn of_value(json: &Value, role: &str) -> Option<String> {
    let list = match json {
        Value::Array(list) => list,
        Value::Object(map) => LISTS.iter().find_map(|key| map.get(*key)?.as_array())?,
        _ => return None,
    };
    let messages: Option<Vec<Value>> = list
        .iter()
        .map(|element| {
            let message = element.get("message").unwrap_or(element).as_object()?;
            message.get("role")?.as_str()?;
            let calls = message.get("tool_calls").and_then(Value::as_array);
            let calls = calls.map(|calls| calls.iter().filter_map(Value::as_object).collect());
            let mut whole = finished(message, role, Vec::new(), calls.unwrap_or_default());
            let reason = element.get("finish_reason").and_then(Value::as_str);
            if let (Some(reason), Some(members)) = (reason, whole.as_object_mut()) {
                let reason = Value::from(values::finish_reason(reason));
                members.insert("finish_reason".to_owned(), reason);
            }
            Some(whole)
        })
        .collect();
    rendered(messages?)
}

/// Tool definitions of `OpenInference`, each a JSON text.
pub(crate) fn tools(tree: &KeyTree) -> Option<String> {
    let schemas = tree.list().into_iter().filter_map(|element| {
        let schema = element.get("tool")?.get("json_schema")?.as_str()?;
        Some(parsed(schema).unwrap_or_else(|| Value::from(schema)))
    });
    rendered(schemas.collect())
}

/// Tool definitions of OpenLLMetry.
pub(crate) fn functions(tree: &KeyTree) -> Option<String> {
    let definitions = tree.list().into_iter().map(|function| {
        let mut definition = Map::new();
        definition.insert("type".to_owned(), Value::from("function"));
        for key in ["name", "description", "parameters"] {
            let Some(value) = function.get(key) else { continue };
            let value = value.as_str().and_then(parsed).unwrap_or_else(|| value.clone());
            definition.insert(key.to_owned(), value);
        }
        Value::Object(definition)
    });
    rendered(definitions.collect())
}

/// Documents that a retrieval found.
pub(crate) fn documents(tree: &KeyTree) -> Option<String> {
    let documents = tree.list().into_iter().filter_map(|element| element.get("document").cloned());
    rendered(documents.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack;

    fn tree(pairs: &[(&str, &str)]) -> KeyTree {
        let mut tree = KeyTree::default();
        for (path, text) in pairs {
            let mut value = Vec::new();
            msgpack::str(&mut value, text);
            tree.insert(path.as_bytes(), &value);
        }
        tree
    }

    fn of_json(text: &str, role: &str) -> Option<String> {
        of_value(&parsed(text)?, role)
    }

    fn same(text: Option<String>, expected: &str) {
        let read: Value = serde_json::from_str(&text.unwrap()).unwrap();
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(read, expected);
    }

    #[test]
    fn open_inference_messages_with_tool_calls_and_images() {
        let tree = tree(&[
            ("0.message.role", "user"),
            ("0.message.contents.0.message_content.type", "text"),
            ("0.message.contents.0.message_content.text", "what is this"),
            ("0.message.contents.1.message_content.image.image.url", "https://x/y.png"),
            ("1.message.role", "assistant"),
            ("1.message.tool_calls.0.tool_call.id", "call_1"),
            ("1.message.tool_calls.0.tool_call.function.name", "add"),
            ("1.message.tool_calls.0.tool_call.function.arguments", r#"{"a": 1}"#),
            ("2.message.role", "tool"),
            ("2.message.tool_call_id", "call_1"),
            ("2.message.content", "3"),
        ]);
        same(
            of_open_inference(&tree, "user"),
            r#"[{"role":"user","parts":[{"type":"text","content":"what is this"},
                {"type":"uri","modality":"image","uri":"https://x/y.png"}]},
               {"role":"assistant","parts":[
                {"type":"tool_call","id":"call_1","name":"add","arguments":{"a":1}}]},
               {"role":"tool","parts":[
                {"type":"tool_call_response","id":"call_1","response":"3"}]}]"#,
        );
    }

    #[test]
    fn traceloop_completions_with_reasons() {
        let tree = tree(&[
            ("0.role", "assistant"),
            ("0.content", "hi"),
            ("0.finish_reason", "tool_calls"),
            ("0.tool_calls.0.id", "c"),
            ("0.tool_calls.0.name", "f"),
            ("0.tool_calls.0.arguments", "not json"),
        ]);
        assert_eq!(finish_reasons(&tree), ["tool_calls"]);
        same(
            of_traceloop(&tree, "assistant"),
            r#"[{"role":"assistant","finish_reason":"tool_call","parts":[
                {"type":"text","content":"hi"},
                {"type":"tool_call","id":"c","name":"f","arguments":"not json"}]}]"#,
        );
    }

    #[test]
    fn json_messages_and_what_is_none() {
        let text = r#"{"choices":[{"finish_reason":"stop","message":{"role":"assistant",
            "content":[{"type":"text","text":"a"}]}}]}"#;
        same(
            of_json(text, "assistant"),
            r#"[{"role":"assistant","finish_reason":"stop","parts":[
                {"type":"text","content":"a"}]}]"#,
        );
        assert_eq!(of_json("hi there", "user"), None);
        assert_eq!(of_json(r#"["a"]"#, "user"), None);
    }

    #[test]
    fn tool_definitions() {
        let given = tree(&[("0.name", "f"), ("0.parameters", r#"{"type":"object"}"#)]);
        let expected = r#"[{"type":"function","name":"f","parameters":{"type":"object"}}]"#;
        same(functions(&given), expected);
        let given = tree(&[("0.tool.json_schema", r#"{"name":"g"}"#)]);
        same(tools(&given), r#"[{"name":"g"}]"#);
    }
}
