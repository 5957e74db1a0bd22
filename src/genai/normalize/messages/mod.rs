//! Message mapping: messages of the dialects -> `gen_ai.input.messages` and
//! `gen_ai.output.messages`.
//!
//! The form is that of the GenAI conventions 1.41, "gen-ai-input-messages.json" and
//! "gen-ai-output-messages.json": `[{"role", "parts": [{"type", ...}], "finish_reason"}]`, as JSON
//! text, which the conventions allow on spans.

use super::parts::{image_part, parsed, reasoning_part, says_nothing, text_part};
use super::tool_parts::{call, call_part, is_result_list, provider_call, tool_response};
use super::{langchain, tool_definitions, values};
use crate::genai::json_value::{self, Arena, Building, Json, Members, Pair, Text};

/// What came out as one message of these parts.
#[must_use]
pub fn answer<'a>(
    arena: &'a Arena,
    parts: &'a [Json<'a>],
    reason: Option<&'a str>,
) -> Option<Json<'a>> {
    if parts.is_empty() {
        return None;
    }
    let (role, parts) = (("role", Json::word("assistant")), ("parts", Json::List(parts)));
    Some(match reason {
        Some(reason) => Json::object(
            arena,
            [role, parts, ("finish_reason", values::finish_reason(reason).into())],
        ),
        None => Json::object(arena, [role, parts]),
    })
}

/// A whole message of one text.
pub fn single<'a>(arena: &'a Arena, role: &'static str, content: Text<'a>) -> Json<'a> {
    let parts = Json::List(arena.list([text_part(arena, content)]));
    Json::object(arena, [("role", Json::word(role)), ("parts", parts)])
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
    List(&'a [Json<'a>]),
    /// One of this role with this content.
    Single(&'a str, Text<'a>),
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
pub fn of_open_inference<'a>(
    arena: &'a Arena,
    elements: &'a [Members<'a>],
    role: &'a str,
) -> &'a [Json<'a>] {
    let messages = elements.iter().filter_map(|element| element.get("message")?.as_object());
    arena.list(messages.map(|message| finished(arena, message, role)))
}

fn open_inference_part<'a>(arena: &'a Arena, content: Members<'a>) -> Option<Json<'a>> {
    if let Some(text) = content.get("text").and_then(Json::as_text) {
        return Some(text_part(arena, text));
    }
    let image = content.get("image").and_then(|image| image.get("image")?.get("url"));
    match image.and_then(Json::as_text) {
        Some(url) => Some(image_part(arena, url)),
        // What has no form of its own stays whole.
        None if content.len() > 1 => Some(Json::Object(content)),
        None => None,
    }
}

/// Messages of OpenLLMetry, `gen_ai.prompt.N.*` and `gen_ai.completion.N.*`.
#[must_use]
pub fn of_traceloop<'a>(
    arena: &'a Arena,
    elements: &'a [Members<'a>],
    role: &'a str,
) -> &'a [Json<'a>] {
    arena.list(elements.iter().map(|message| finished(arena, *message, role)))
}

/// Members of messages that parts, roles and reasons say.
#[derive(Default)]
struct Said<'a> {
    role: Option<Text<'a>>,
    content: Option<Json<'a>>,
    /// Contents of `OpenInference`, by their numbers.
    contents: Members<'a>,
    parts: &'a [Json<'a>],
    /// Calls of tools: a list of objects, or objects by their numbers.
    calls: Json<'a>,
    call_id: Option<Text<'a>>,
    finish_reason: Option<Text<'a>>,
    function: Option<Text<'a>>,
    arguments: Option<Json<'a>>,
}

impl<'a> Said<'a> {
    /// Takes a member; false if it is another one.
    fn take(&mut self, name: &str, value: Json<'a>) -> bool {
        match name {
            "role" => self.role = value.as_text(),
            "content" => self.content = Some(value),
            "contents" => self.contents = value.as_object().unwrap_or_default(),
            "parts" => self.parts = value.as_list().unwrap_or_default(),
            "tool_calls" => self.calls = value,
            "tool_call_id" => self.call_id = value.as_text(),
            "finish_reason" => self.finish_reason = value.as_text(),
            "function_call_name" => self.function = value.as_text(),
            "function_call_arguments_json" => self.arguments = Some(value),
            _ => return false,
        }
        true
    }

    /// The parts of the message.
    fn into_parts(self, arena: &'a Arena, role: &str) -> &'a [Json<'a>] {
        let mut parts = arena.building(self.parts.len().max(1));
        for inner in self.contents.numbered() {
            let content = inner.get("message_content").and_then(Json::as_object);
            parts.extend(content.and_then(|content| open_inference_part(arena, content)));
        }
        match self.content {
            Some(content) if role == "tool" || self.call_id.is_some() => {
                match is_result_list(arena, content) {
                    true => content_parts(arena, content, &mut parts),
                    false => {
                        let id = self.call_id.map(Json::Text);
                        parts.push(tool_response(arena, id, None, content));
                    }
                }
            }
            Some(content) => content_parts(arena, content, &mut parts),
            None => add_parts(arena, self.parts, &mut parts),
        }
        match self.calls {
            Json::List(list) => {
                let calls = list.iter().filter_map(|call| call.as_object());
                parts.extend(calls.map(|call| call_part(arena, call)));
            }
            Json::Object(numbered) => {
                parts.extend(numbered.numbered().map(|call| call_part(arena, call)));
            }
            _ => {}
        }
        if let Some(name) = self.function {
            parts.push(call(arena, None, name, self.arguments));
        }
        parts.into_bump_slice()
    }
}

/// The message in the form of the conventions.
fn finished<'a>(arena: &'a Arena, message: Members<'a>, role: &'a str) -> Json<'a> {
    let mut said = Said::default();
    // Before what else a message has, which it keeps, is room for what parts, roles and reasons say.
    let none: Pair<'a> = (Text::default(), Json::Null);
    let mut made = arena.building(message.len().saturating_add(3));
    made.extend([none; 3]);
    for (name, value) in message.pairs() {
        if !said.take(name, *value) && !says_nothing(*value) {
            made.push((*name, *value));
        }
    }
    let role = said.role.filter(|role| !role.is_empty()).unwrap_or(role.into());
    let reason = said.finish_reason;
    let role_pair = (Text::word("role"), Json::Text(role.map(role_of)));
    let parts = Json::List(said.into_parts(arena, role.as_str()));
    let parts = (Text::word("parts"), parts);
    let made = made.into_bump_slice_mut();
    // Without a reason the first place stays empty.
    let skipped = usize::from(reason.is_none());
    let said = [Some(role_pair), Some(parts), reason.map(reason_pair)];
    for (place, pair) in made.iter_mut().skip(skipped).zip(said.into_iter().flatten()) {
        *place = pair;
    }
    let all: &'a [Pair<'a>] = made;
    let all = all.get(skipped..).unwrap_or_default();
    Json::Object(Members::new(all))
}

/// The reason that a message ended for, in the words of the conventions.
fn reason_pair(reason: Text<'_>) -> Pair<'_> {
    (Text::word("finish_reason"), Json::Text(reason.map(values::finish_reason)))
}

/// LangChain's words for roles.
fn role_of(role: &str) -> &str {
    match role {
        "human" => "user",
        "ai" | "model" => "assistant",
        _ => role,
    }
}

/// Content that is a text, a list of parts as providers write them, or the JSON text of such.
fn content_parts<'a>(arena: &'a Arena, content: Json<'a>, parts: &mut Building<'a, Json<'a>>) {
    match content {
        Json::Text(text) if text.is_empty() => {}
        Json::Text(text) => match parsed(arena, text.as_str()).filter(is_part_list) {
            Some(list) => content_parts(arena, list, parts),
            None => parts.push(text_part(arena, text)),
        },
        Json::List(list) => add_parts(arena, list, parts),
        Json::Object(members) => parts.push(provider_part(arena, members)),
        _ => {}
    }
}

/// Adds the parts that providers write so.
fn add_parts<'a>(arena: &'a Arena, list: &'a [Json<'a>], parts: &mut Building<'a, Json<'a>>) {
    parts.extend(list.iter().map(|part| match part {
        Json::Object(members) => provider_part(arena, *members),
        Json::Text(text) => text_part(arena, *text),
        other => *other,
    }));
}

fn is_part_list(value: &Json<'_>) -> bool {
    let is_part = |part: &Json<'_>| part.get("type").is_some_and(Json::is_text) || is_block(*part);
    value.as_list().is_some_and(|list| !list.is_empty() && list.iter().all(is_part))
}

/// Whether it is a content block of Amazon Bedrock's Converse, which has one member that names its kind.
fn is_block(part: Json<'_>) -> bool {
    const KINDS: [&str; 7] =
        ["text", "toolUse", "toolResult", "reasoningContent", "image", "document", "video"];
    let members = part.as_object().filter(|members| members.len() == 1);
    members.is_some_and(|members| members.names().all(|name| KINDS.contains(&name)))
}

/// The message with these members as providers have them; `None` if no part comes of them.
pub(super) fn of_members<'a>(
    arena: &'a Arena,
    mut members: Members<'a>,
    role: &'a str,
) -> Option<Json<'a>> {
    if let Some(calls) = members.take(arena, "tool_calls") {
        let calls = match calls {
            Json::Text(text) => parsed(arena, text.as_str())?,
            other => other,
        };
        if !calls.as_list()?.iter().all(|call| call.as_object().is_some()) {
            return None;
        }
        members = members.with(arena, "tool_calls", calls);
    }
    let message = finished(arena, members, role);
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
fn with_others<'a>(arena: &'a Arena, part: Json<'a>, others: Members<'a>) -> Json<'a> {
    let Json::Object(said) = part else { return part };
    let mut stays = others
        .pairs()
        .iter()
        .filter(|(name, value)| !says_nothing(*value) && !said.has(name))
        .peekable();
    if stays.peek().is_none() {
        return part;
    }
    let mut all = arena.building(said.len().saturating_add(others.len()));
    all.extend(said.pairs().iter().copied());
    for (name, value) in stays {
        if all.iter().all(|(known, _): &Pair<'a>| known != name) {
            all.push((*name, *value));
        }
    }
    Json::Object(Members::of(all))
}

/// One part as providers write it.
fn provider_part<'a>(arena: &'a Arena, mut members: Members<'a>) -> Json<'a> {
    // It has the form of the conventions already.
    if members.has("type") && members.get("content").is_some_and(Json::is_text) {
        return Json::Object(members);
    }
    if let Some(text) = members.get("text").and_then(Json::as_text) {
        members.take(arena, "text");
        let part = match members.take(arena, "thought") {
            Some(Json::Bool(true)) => reasoning_part(arena, text),
            _ => text_part(arena, text),
        };
        return with_others(arena, part, members);
    }
    if let Some(called) = provider_call(arena, members) {
        if members.has("type") {
            return called;
        }
        let others = members.filtered(arena, |name, _| !SAID_BY_PART.contains(&name));
        return with_others(arena, called, others);
    }
    let url = members.get("image_url").map(|image| image.get("url").unwrap_or(image));
    match url.and_then(Json::as_text) {
        Some(url) => image_part(arena, url),
        None => Json::Object(members),
    }
}

/// Messages given as one text, as JSON or as the one message's content, and what of the text they do not say.
#[must_use]
pub fn of_text<'a>(
    arena: &'a Arena,
    text: &'a str,
    role: &'a str,
) -> Option<(Messages<'a>, Remainder<'a>)> {
    let content = match text.trim_start().as_bytes().first()? {
        b'{' | b'[' => {
            let (list, rest) = of_value(arena, parsed(arena, text)?, role)?;
            return Some((Messages::List(list), rest));
        }
        b'"' => Json::read(arena, text)?.as_text()?,
        _ => text.into(),
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
    arena: &'a Arena,
    json: Json<'a>,
    role: &'a str,
) -> Option<(&'a [Json<'a>], Remainder<'a>)> {
    let (mut list, others) = match json {
        Json::List(list) => (list, Members::default()),
        Json::Object(members) => {
            let is_list = |key: &&&str| members.get(key).is_some_and(|it| it.as_list().is_some());
            match LISTS.iter().find(is_list) {
                Some(key) => (members.get(key)?.as_list()?, members.without(arena, key)),
                None if is_message(members) => (arena.list([json]), Members::default()),
                None => return None,
            }
        }
        _ => return None,
    };
    // The messages of one conversation of several that could have been.
    if let [Json::List(inner)] = list {
        list = inner;
    }
    let mut whole = true;
    let mut messages = arena.building(list.len());
    for element in list {
        let (message, says_all) = message_of(arena, element.as_object()?, role)?;
        whole &= says_all;
        messages.push(message);
    }
    if messages.is_empty() {
        return None;
    }
    let rest = match whole {
        false => Remainder::All,
        true if others.is_empty() => Remainder::Nothing,
        true => Remainder::Object(others),
    };
    Some((messages.into_bump_slice(), rest))
}

/// Whether an object is one message.
fn is_message(members: Members<'_>) -> bool {
    let says = ["content", "tool_calls", "parts"].iter().any(|key| members.has(key));
    says && members.get("role").is_some_and(Json::is_text)
}

/// A message, or a choice that has one, and whether it says all that the element does.
fn message_of<'a>(
    arena: &'a Arena,
    mut element: Members<'a>,
    role: &'a str,
) -> Option<(Json<'a>, bool)> {
    let Some(message) = element.take(arena, "message") else {
        let message = langchain::plain(arena, element);
        return Some((plain_message(arena, message, role)?, true));
    };
    let mut message = langchain::plain(arena, message.as_object()?);
    langchain::take_generation(arena, &mut element, &mut message);
    if let Some(reason) = element.get("finish_reason").filter(|reason| reason.is_text()) {
        element.take(arena, "finish_reason");
        message = message.without(arena, "finish_reason").with(arena, "finish_reason", reason);
    }
    let mut says_all = true;
    let mut all = arena.building(message.len().saturating_add(element.len()));
    all.extend(message.pairs().iter().copied());
    for (name, value) in element.pairs() {
        if name.as_str() == "index" || says_nothing(*value) {
            continue;
        }
        if all.iter().any(|(known, _): &Pair<'a>| known == name) {
            says_all = false;
        } else {
            all.push((*name, *value));
        }
    }
    Some((plain_message(arena, Members::of(all), role)?, says_all))
}

/// A message by its members, if it has a role.
fn plain_message<'a>(
    arena: &'a Arena,
    mut message: Members<'a>,
    role: &'a str,
) -> Option<Json<'a>> {
    // What is no list of calls is none.
    if message.get("tool_calls").is_some_and(|calls| calls.as_list().is_none()) {
        message.take(arena, "tool_calls");
    }
    message.get("role")?.as_str()?;
    Some(finished(arena, message, role))
}

/// Tool definitions of `OpenInference`, each a JSON text.
#[must_use]
pub fn tools<'a>(arena: &'a Arena, elements: &'a [Members<'a>]) -> &'a [Json<'a>] {
    let schemas = elements.iter().filter_map(|element| {
        let schema = element.get("tool")?.get("json_schema")?;
        Some(parsed(arena, schema.as_str()?).unwrap_or(schema))
    });
    tool_definitions::definitions(arena, arena.list(schemas))
}

/// Tool definitions of OpenLLMetry.
#[must_use]
pub fn functions<'a>(arena: &'a Arena, elements: &'a [Members<'a>]) -> &'a [Json<'a>] {
    let definitions = elements.iter().map(|function| {
        let named = ["name", "description", "parameters"].into_iter().filter_map(|name| {
            let value = function.get(name)?;
            let read = value.as_str().and_then(|text| parsed(arena, text));
            Some((Text::word(name), read.unwrap_or(value)))
        });
        let kind = (Text::word("type"), Json::word("function"));
        Json::Object(Members::collect(arena, std::iter::once(kind).chain(named)))
    });
    arena.list(definitions)
}

/// Documents that a retrieval found.
#[must_use]
pub fn documents<'a>(arena: &'a Arena, elements: &'a [Members<'a>]) -> &'a [Json<'a>] {
    arena.list(elements.iter().filter_map(|element| element.get("document")))
}

#[cfg(test)]
mod property_tests;

#[cfg(test)]
mod tests {
    use super::super::indexed_keys::IndexedKeys;
    use super::super::parts::rendered;
    use super::*;
    use crate::codec::msgpack::{self, text_of};
    use serde_json::Value;

    /// Gives `read` what keys with these texts hold.
    fn of_keys<R>(
        pairs: &[(&str, &str)],
        read: impl for<'a> FnOnce(&'a Arena, &'a [Members<'a>]) -> R,
    ) -> R {
        let encoded = pairs.iter().map(|(path, text)| {
            let mut value = Vec::new();
            msgpack::str(&mut value, text);
            (*path, value)
        });
        let encoded: Vec<(&str, Vec<u8>)> = encoded.collect();
        let mut keys = IndexedKeys::default();
        encoded.iter().for_each(|(path, value)| keys.insert(path.as_bytes(), value));
        let arena = Arena::default();
        read(&arena, keys.elements(&arena))
    }

    fn of_json(text: &str, role: &str) -> Option<String> {
        let arena = Arena::default();
        of_value(&arena, parsed(&arena, text)?, role).and_then(|(messages, _)| rendered(messages))
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
            let arena = Arena::default();
            let message = single(&arena, "user", content.into());
            assert_eq!(text_of(&written), rendered(&[message]).as_deref());
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
            of_keys(&pairs, |arena, elements| rendered(of_open_inference(arena, elements, "user"))),
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
        same(
            of_keys(&pairs, |arena, elements| rendered(of_traceloop(arena, elements, "assistant"))),
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
        same(of_keys(&given, |arena, elements| rendered(functions(arena, elements))), expected);
        let given = [("0.tool.json_schema", r#"{"name":"g"}"#)];
        same(
            of_keys(&given, |arena, elements| rendered(tools(arena, elements))),
            r#"[{"name":"g"}]"#,
        );
    }
}
