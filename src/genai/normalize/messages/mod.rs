//! Message mapping: messages of the dialects -> `gen_ai.input.messages` and
//! `gen_ai.output.messages`.
//!
//! The form is that of the GenAI conventions 1.41, "gen-ai-input-messages.json" and
//! "gen-ai-output-messages.json": `[{"role", "parts": [{"type", ...}], "finish_reason"}]`, as JSON
//! text, which the conventions allow on spans.

use std::borrow::Cow;

use super::indexed_keys::KeyTree;
use super::parts::{image_part, parsed, parsed_text, reasoning_part, says_nothing, text_part};
use super::tool_parts::{call, call_part, is_result_list, provider_call, tool_response};
use super::{langchain, tool_definitions, values};
use crate::genai::json_value::{self, Json, Members};

/// What came out as one message of these parts.
#[must_use]
pub fn answer<'a>(parts: Vec<Json<'a>>, reason: Option<&'a str>) -> Option<Json<'a>> {
    if parts.is_empty() {
        return None;
    }
    let mut message = Members::with_capacity(3);
    message.push("role", "assistant".into());
    message.push("parts", Json::List(parts));
    if let Some(reason) = reason {
        message.push("finish_reason", values::finish_reason(reason).into());
    }
    Some(Json::Object(message))
}

/// A whole message of one text.
pub fn single<'a>(role: &'a str, content: impl Into<Cow<'a, str>>) -> Json<'a> {
    let parts = Json::List(vec![text_part(content)]);
    Json::Object(Members::from([("role", role.into()), ("parts", parts)]))
}

/// The message of one text, as it is written.
#[derive(serde::Serialize)]
struct SingleMessage<'a> {
    role: &'a str,
    parts: [SinglePart<'a>; 1],
}

/// Its one part.
#[derive(serde::Serialize)]
struct SinglePart<'a> {
    r#type: &'static str,
    content: &'a str,
}

/// Appends the JSON text of a list of one message of one text, as an encoded text.
pub(super) fn append_single(role: &str, content: &str, out: &mut Vec<u8>) -> bool {
    let message = SingleMessage { role, parts: [SinglePart { r#type: "text", content }] };
    json_value::append(&[message], out)
}

/// Messages that a text says.
#[derive(Debug)]
pub enum Messages<'a> {
    /// These.
    List(Vec<Json<'a>>),
    /// One of this role with this content.
    Single(&'a str, Cow<'a, str>),
}

impl Messages<'_> {
    /// Appends their JSON text as an encoded text.
    pub(super) fn append(&self, out: &mut Vec<u8>) -> bool {
        match self {
            Self::List(list) => Json::append_list(list, out),
            Self::Single(role, content) => append_single(role, content, out),
        }
    }
}

/// Messages of `OpenInference`, `llm.input_messages.N.message.*`.
#[must_use]
pub fn of_open_inference<'a>(tree: KeyTree<'a>, role: &'a str) -> Vec<Json<'a>> {
    let messages = tree.into_list().into_iter();
    let messages = messages.filter_map(|mut element| element.take("message")?.into_object());
    messages.map(|message| finished(message, role)).collect()
}

fn open_inference_part(mut content: Members<'_>) -> Option<Json<'_>> {
    if content.get("text").is_some_and(Json::is_text) {
        return content.take("text")?.into_text().map(text_part);
    }
    let image = content.get("image").and_then(|image| image.get("image")?.get("url"));
    match image.and_then(Json::as_str) {
        Some(url) => Some(image_part(url.to_owned())),
        // What has no form of its own stays whole.
        None if content.len() > 1 => Some(Json::Object(content)),
        None => None,
    }
}

/// Messages of OpenLLMetry, `gen_ai.prompt.N.*` and `gen_ai.completion.N.*`.
#[must_use]
pub fn of_traceloop<'a>(tree: KeyTree<'a>, role: &'a str) -> Vec<Json<'a>> {
    tree.into_list().into_iter().map(|message| finished(message, role)).collect()
}

/// Members of messages that parts, roles and reasons say.
#[derive(Default)]
struct Said<'a> {
    role: Option<Cow<'a, str>>,
    content: Option<Json<'a>>,
    /// Contents of `OpenInference`, by their numbers.
    contents: Option<Members<'a>>,
    parts: Vec<Json<'a>>,
    calls: Vec<Members<'a>>,
    call_id: Option<Cow<'a, str>>,
    finish_reason: Option<Cow<'a, str>>,
    function: Option<Cow<'a, str>>,
    arguments: Option<Json<'a>>,
}

impl<'a> Said<'a> {
    /// Takes a member; gives it back if it is another one.
    fn take(&mut self, key: &str, value: Json<'a>) -> Option<Json<'a>> {
        match key {
            "role" => self.role = value.into_text(),
            "content" => self.content = Some(value),
            "contents" => self.contents = value.into_object(),
            "parts" => self.parts = value.into_list().unwrap_or_default(),
            "tool_calls" => self.calls = calls(value),
            "tool_call_id" => self.call_id = value.into_text(),
            "finish_reason" => self.finish_reason = value.into_text(),
            "function_call_name" => self.function = value.into_text(),
            "function_call_arguments_json" => self.arguments = Some(value),
            _ => return Some(value),
        }
        None
    }

    /// The parts of the message.
    fn into_parts(self, role: &str) -> Vec<Json<'a>> {
        let mut parts = Vec::new();
        for mut inner in self.contents.map(Members::into_numbered).unwrap_or_default() {
            let content = inner.take("message_content").and_then(Json::into_object);
            parts.extend(content.and_then(open_inference_part));
        }
        match self.content {
            Some(content) if role == "tool" || self.call_id.is_some() => {
                match is_result_list(&content) {
                    true => content_parts(content, &mut parts),
                    false => parts.push(tool_response(self.call_id.map(Json::Text), None, content)),
                }
            }
            Some(content) => content_parts(content, &mut parts),
            None => add_parts(self.parts, &mut parts),
        }
        parts.extend(self.calls.iter().map(call_part));
        if let Some(name) = self.function {
            parts.push(call(None, name, self.arguments));
        }
        parts
    }
}

/// Calls of tools: a list of objects, or objects by their numbers.
fn calls(value: Json<'_>) -> Vec<Members<'_>> {
    match value {
        Json::List(list) => list.into_iter().filter_map(Json::into_object).collect(),
        Json::Object(numbered) => numbered.into_numbered(),
        _ => Vec::new(),
    }
}

/// The message in the form of the conventions.
fn finished<'a>(mut message: Members<'a>, role: &'a str) -> Json<'a> {
    let mut said = Said::default();
    // What else a message has, it keeps.
    message.sort_out(|key, value| said.take(key, value).filter(|value| !says_nothing(value)));
    let role = said.role.take().filter(|role| !role.is_empty()).unwrap_or(Cow::Borrowed(role));
    let reason = said.finish_reason.take();
    let parts = said.into_parts(&role);
    if let Some(reason) = reason {
        message.prepend("finish_reason", Json::Text(finish_reason(reason)));
    }
    message.prepend("parts", Json::List(parts));
    message.prepend("role", Json::Text(role_of(role)));
    Json::Object(message)
}

/// LangChain's words for roles.
fn role_of(role: Cow<'_, str>) -> Cow<'_, str> {
    match role.as_ref() {
        "human" => Cow::Borrowed("user"),
        "ai" | "model" => Cow::Borrowed("assistant"),
        _ => role,
    }
}

fn finish_reason(reason: Cow<'_, str>) -> Cow<'_, str> {
    match reason {
        Cow::Borrowed(reason) => Cow::Borrowed(values::finish_reason(reason)),
        Cow::Owned(reason) => Cow::Owned(values::finish_reason(&reason).to_owned()),
    }
}

/// Content that is a text, a list of parts as providers write them, or the JSON text of such.
fn content_parts<'a>(content: Json<'a>, parts: &mut Vec<Json<'a>>) {
    match content {
        Json::Text(text) if text.is_empty() => {}
        Json::Text(text) => match parsed_text(&text).filter(is_part_list) {
            Some(list) => content_parts(list, parts),
            None if parts.is_empty() => *parts = vec![text_part(text)],
            None => parts.push(text_part(text)),
        },
        Json::List(list) => add_parts(list, parts),
        Json::Object(_) => parts.push(provider_part(content)),
        _ => {}
    }
}

/// Adds the parts that providers write so; the first in the memory of the list.
fn add_parts<'a>(list: Vec<Json<'a>>, parts: &mut Vec<Json<'a>>) {
    let mut made: Vec<Json<'a>> = list.into_iter().map(provider_part).collect();
    match parts.is_empty() {
        true => *parts = made,
        false => parts.append(&mut made),
    }
}

fn is_part_list(value: &Json<'_>) -> bool {
    let is_part = |part: &Json<'_>| part.get("type").is_some_and(Json::is_text) || is_block(part);
    value.as_list().is_some_and(|list| !list.is_empty() && list.iter().all(is_part))
}

/// Whether it is a content block of Amazon Bedrock's Converse, which has one member that names its kind.
fn is_block(part: &Json<'_>) -> bool {
    const KINDS: [&str; 7] =
        ["text", "toolUse", "toolResult", "reasoningContent", "image", "document", "video"];
    let members = part.as_object().filter(|members| members.len() == 1);
    members.is_some_and(|members| members.keys().all(|key| KINDS.contains(&key)))
}

/// The message with these members as providers have them; `None` if no part comes of them.
pub(super) fn of_members<'a>(mut members: Members<'a>, role: &'a str) -> Option<Json<'a>> {
    if let Some(calls) = members.take("tool_calls") {
        let calls = match calls {
            Json::Text(text) => parsed_text(&text)?,
            other => other,
        };
        if !calls.as_list()?.iter().all(|call| call.as_object().is_some()) {
            return None;
        }
        members.push("tool_calls", calls);
    }
    let message = finished(members, role);
    let parts = message.get("parts").and_then(Json::as_list);
    parts.is_some_and(|parts| !parts.is_empty()).then_some(message)
}

/// Members of Google's and Amazon's parts that a part of the conventions says.
const SAID_BY_PART: [&str; 6] = [
    "functionCall",
    "function_call",
    "functionResponse",
    "function_response",
    "toolUse",
    "toolResult",
];

/// The part with the other members of what it was made of.
fn with_others<'a>(part: Json<'a>, others: Members<'a>) -> Json<'a> {
    let Json::Object(mut part) = part else { return part };
    for (key, value) in others {
        if !says_nothing(&value) && !part.has(&key) {
            part.push(key, value);
        }
    }
    Json::Object(part)
}

/// One part as providers write it.
fn provider_part(part: Json<'_>) -> Json<'_> {
    let Json::Object(mut members) = part else {
        return match part {
            Json::Text(text) => text_part(text),
            other => other,
        };
    };
    // It has the form of the conventions already.
    if members.has("type") && members.get("content").is_some_and(Json::is_text) {
        return Json::Object(members);
    }
    // What most are: the same with another name for the text.
    if let [(kind, of_kind), (name, Json::Text(_))] = members.pairs_mut()
        && kind == "type"
        && name == "text"
    {
        (*of_kind, *name) = ("text".into(), Cow::Borrowed("content"));
        return Json::Object(members);
    }
    if members.get("text").is_some_and(Json::is_text)
        && let Some(text) = members.take("text").and_then(Json::into_text)
    {
        let part = match members.take("thought") {
            Some(Json::Bool(true)) => reasoning_part(text),
            _ => text_part(text),
        };
        return with_others(part, members);
    }
    if let Some(called) = provider_call(&members) {
        if members.has("type") {
            return called;
        }
        members.retain(|key, _| !SAID_BY_PART.contains(&key));
        return with_others(called, members);
    }
    let url = members.get("image_url").map(|image| image.get("url").unwrap_or(image));
    match url.and_then(Json::as_str) {
        Some(url) => image_part(url.to_owned()),
        None => Json::Object(members),
    }
}

/// Messages given as one text, as JSON or as the one message's content, and what of the text they do not say.
#[must_use]
pub fn of_text<'a>(text: &'a str, role: &'a str) -> Option<(Messages<'a>, Remainder<'a>)> {
    let content = match text.trim_start().as_bytes().first()? {
        b'{' | b'[' => {
            let (list, rest) = of_value(parsed(text)?, role)?;
            return Some((Messages::List(list), rest));
        }
        b'"' => Json::read(text)?.into_text()?,
        _ => Cow::Borrowed(text),
    };
    Some((Messages::Single(role, content), Remainder::Nothing))
}

/// What of a text no message says.
#[derive(Debug, PartialEq)]
pub enum Remainder<'a> {
    /// Nothing.
    Nothing,
    /// This JSON object.
    Object(Members<'a>),
    /// More than can be told apart.
    All,
}

/// Members of JSON objects that have messages.
const LISTS: [&str; 4] = ["messages", "choices", "contents", "generations"];

/// Messages given as one JSON value: a list of messages, an object that has one, or one message; and what they
/// leave of it.
pub(super) fn of_value<'a>(
    json: Json<'a>,
    role: &'a str,
) -> Option<(Vec<Json<'a>>, Remainder<'a>)> {
    let (mut list, others) = match json {
        Json::List(list) => (list, Members::default()),
        Json::Object(mut members) => {
            let is_list = |key: &&&str| members.get(key).is_some_and(|it| it.as_list().is_some());
            match LISTS.iter().find(is_list) {
                Some(key) => (members.take(key)?.into_list()?, members),
                None if is_message(&members) => (vec![Json::Object(members)], Members::default()),
                None => return None,
            }
        }
        _ => return None,
    };
    // The messages of one conversation of several that could have been.
    if list.len() == 1
        && let Some(Json::List(inner)) = list.first_mut()
    {
        list = std::mem::take(inner);
    }
    let mut whole = true;
    let messages = list.into_iter().map(|element| {
        let (message, says_all) = message_of(element.into_object()?, role)?;
        whole &= says_all;
        Some(message)
    });
    let messages = messages.collect::<Option<Vec<_>>>().filter(|list| !list.is_empty())?;
    let rest = match whole {
        false => Remainder::All,
        true if others.is_empty() => Remainder::Nothing,
        true => Remainder::Object(others),
    };
    Some((messages, rest))
}

/// Whether an object is one message.
fn is_message(members: &Members<'_>) -> bool {
    let says = ["content", "tool_calls", "parts"].iter().any(|key| members.has(key));
    says && members.get("role").is_some_and(Json::is_text)
}

/// A message, or a choice that has one, and whether it says all that the element does.
fn message_of<'a>(mut element: Members<'a>, role: &'a str) -> Option<(Json<'a>, bool)> {
    let Some(message) = element.take("message") else {
        return Some((plain_message(langchain::plain(element), role)?, true));
    };
    let mut message = langchain::plain(message.into_object()?);
    langchain::take_generation(&mut element, &mut message);
    if element.get("finish_reason").is_some_and(Json::is_text)
        && let Some(reason) = element.take("finish_reason")
    {
        message.take("finish_reason");
        message.push("finish_reason", reason);
    }
    let mut says_all = true;
    for (key, value) in element {
        if key == "index" || says_nothing(&value) {
            continue;
        }
        if message.has(&key) {
            says_all = false;
        } else {
            message.push(key, value);
        }
    }
    Some((plain_message(message, role)?, says_all))
}

/// A message by its members, if it has a role.
fn plain_message<'a>(mut message: Members<'a>, role: &'a str) -> Option<Json<'a>> {
    // What is no list of calls is none.
    if message.get("tool_calls").is_some_and(|calls| calls.as_list().is_none()) {
        message.take("tool_calls");
    }
    message.get("role")?.as_str()?;
    Some(finished(message, role))
}

/// Tool definitions of `OpenInference`, each a JSON text.
#[must_use]
pub fn tools(tree: KeyTree<'_>) -> Vec<Json<'_>> {
    let schemas = tree.into_list().into_iter().filter_map(|mut element| {
        let schema = element.take("tool")?.into_object()?.take("json_schema")?.into_text()?;
        Some(parsed_text(&schema).unwrap_or(Json::Text(schema)))
    });
    tool_definitions::definitions(schemas.collect())
}

/// Tool definitions of OpenLLMetry.
#[must_use]
pub fn functions(tree: KeyTree<'_>) -> Vec<Json<'_>> {
    let definitions = tree.into_list().into_iter().map(|mut function| {
        let mut definition = Members::from([("type", "function".into())]);
        for key in ["name", "description", "parameters"] {
            let Some(value) = function.take(key) else { continue };
            let read = match &value {
                Json::Text(text) => parsed_text(text),
                _ => None,
            };
            definition.push(key, read.unwrap_or(value));
        }
        Json::Object(definition)
    });
    definitions.collect()
}

/// Documents that a retrieval found.
#[must_use]
pub fn documents(tree: KeyTree<'_>) -> Vec<Json<'_>> {
    let documents = tree.into_list().into_iter();
    documents.filter_map(|mut element| element.take("document")).collect()
}

#[cfg(test)]
mod property_tests;

#[cfg(test)]
mod tests {
    use super::super::parts::rendered;
    use super::*;
    use crate::codec::msgpack::{self, text_of};
    use serde_json::Value;

    /// Gives `read` what keys with these texts hold.
    fn of_tree<R>(pairs: &[(&str, &str)], read: impl FnOnce(KeyTree<'_>) -> R) -> R {
        let encoded = pairs.iter().map(|(path, text)| {
            let mut value = Vec::new();
            msgpack::str(&mut value, text);
            (*path, value)
        });
        let encoded: Vec<(&str, Vec<u8>)> = encoded.collect();
        let mut tree = KeyTree::default();
        encoded.iter().for_each(|(path, value)| tree.insert(path.as_bytes(), value));
        read(tree)
    }

    fn of_json(text: &str, role: &str) -> Option<String> {
        of_value(parsed(text)?, role).and_then(|(messages, _)| rendered(&messages))
    }

    fn same(text: Option<String>, expected: &str) {
        let read: Value = serde_json::from_str(&text.unwrap()).unwrap();
        let expected: Value = serde_json::from_str(expected).unwrap();
        assert_eq!(read, expected);
    }

    #[test]
    fn a_single_message_is_written_as_its_value() {
        for content in ["", "hi", "a \"b\"\n\u{1}\u{e9}"] {
            let mut written = Vec::new();
            assert!(append_single("user", content, &mut written));
            assert_eq!(text_of(&written), rendered(&[single("user", content)]).as_deref());
        }
    }

    #[test]
    fn open_inference_messages_with_tool_calls_and_images() {
        let pairs = [
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
        ];
        same(
            of_tree(&pairs, |tree| rendered(&of_open_inference(tree, "user"))),
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
        let pairs = [
            ("0.role", "assistant"),
            ("0.content", "hi"),
            ("0.finish_reason", "tool_calls"),
            ("0.tool_calls.0.id", "c"),
            ("0.tool_calls.0.name", "f"),
            ("0.tool_calls.0.arguments", "not json"),
        ];
        of_tree(&pairs, |tree| assert_eq!(tree.texts("finish_reason"), ["tool_calls"]));
        same(
            of_tree(&pairs, |tree| rendered(&of_traceloop(tree, "assistant"))),
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
        let given = [("0.name", "f"), ("0.parameters", r#"{"type":"object"}"#)];
        let expected = r#"[{"type":"function","name":"f","parameters":{"type":"object"}}]"#;
        same(of_tree(&given, |tree| rendered(&functions(tree))), expected);
        let given = [("0.tool.json_schema", r#"{"name":"g"}"#)];
        same(of_tree(&given, |tree| rendered(&tools(tree))), r#"[{"name":"g"}]"#);
    }
}
