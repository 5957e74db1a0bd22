//! Message mapping, the other way: messages of the conventions -> what dialects spread over keys.

use serde_json::{Map, Value};

use super::rendering::Rendering;
use crate::genai::normalize::field::GenAiField;
use crate::genai::normalize::parts::parsed;

/// One message.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) role: String,
    /// Parts that are neither a call of a tool nor its answer.
    pub(super) parts: Vec<Map<String, Value>>,
    pub(super) calls: Vec<Call>,
    pub(super) answer: Option<ToolAnswer>,
    pub(super) finish_reason: Option<String>,
    /// Its other members.
    pub(super) others: Map<String, Value>,
}

/// The call of a tool.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: Option<String>,
    pub(super) name: String,
    /// JSON text, unless the arguments are a text.
    pub(super) arguments: Option<String>,
}

/// What a tool gave.
#[derive(Debug)]
pub(super) struct ToolAnswer {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
    pub(super) text: String,
}

impl Message {
    /// The text, if it is all that the message has for content.
    pub(super) fn plain_text(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [part] if part.len() == 2 && part.get("type")? == "text" => {
                let text = part.get("content")?.as_str()?;
                // A reader could take it for something else.
                let is_plain = !text.is_empty() && parsed(text).is_none();
                is_plain.then_some(text)
            }
            _ => None,
        }
    }

    /// All text of it.
    pub(super) fn all_text(&self) -> Option<String> {
        let is_text = |part: &&Map<String, Value>| part.get("type").is_some_and(|it| it == "text");
        let texts = self.parts.iter().filter(is_text);
        let texts: Vec<&str> =
            texts.filter_map(|part| part.get("content").and_then(Value::as_str)).collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    }
}

/// How a dialect spreads messages over keys.
pub(super) struct SpreadForm {
    /// What stands between the number of a message and the names of its members.
    pub(super) message: &'static str,
    /// The same of a call.
    pub(super) call: &'static str,
    /// What stands before the name and the arguments of the function that is called.
    pub(super) function: &'static str,
    /// Writes the parts of a message that are no plain text, below this key.
    pub(super) parts: fn(&mut Rendering<'_>, &str, &[Map<String, Value>]),
}

impl SpreadForm {
    /// Spreads messages over keys. What the sender wrote so is not written again.
    pub(super) fn spread(&self, span: &mut Rendering<'_>, prefix: &str, messages: &[Message]) {
        if span.has_list(prefix) {
            return;
        }
        for (number, message) in messages.iter().enumerate() {
            let base = format!("{prefix}{number}{}", self.message);
            span.put_text(&format!("{base}role"), &message.role);
            self.content(span, &base, message);
            for (number, call) in message.calls.iter().enumerate() {
                self.call(span, &format!("{base}tool_calls.{number}{}", self.call), call);
            }
            if let Some(reason) = &message.finish_reason {
                span.put_text(&format!("{base}finish_reason"), reason);
            }
            for (key, value) in &message.others {
                span.put_json(&format!("{base}{key}"), value);
            }
        }
    }

    fn content(&self, span: &mut Rendering<'_>, base: &str, message: &Message) {
        if let Some(answer) = &message.answer {
            if let Some(id) = &answer.id {
                span.put_text(&format!("{base}tool_call_id"), id);
            }
            if let Some(name) = &answer.name {
                span.put_text(&format!("{base}name"), name);
            }
            span.put_text(&format!("{base}content"), &answer.text);
        } else if let Some(text) = message.plain_text() {
            span.put_text(&format!("{base}content"), text);
        } else if !message.parts.is_empty() {
            (self.parts)(span, base, &message.parts);
        }
    }

    fn call(&self, span: &mut Rendering<'_>, base: &str, call: &Call) {
        if let Some(id) = &call.id {
            span.put_text(&format!("{base}id"), id);
        }
        span.put_text(&format!("{base}{}name", self.function), &call.name);
        if let Some(arguments) = &call.arguments {
            span.put_text(&format!("{base}{}arguments", self.function), arguments);
        }
    }
}

/// Takes what was said to a model: the system's instructions and the messages.
pub(super) fn take_input(span: &mut Rendering<'_>) -> Vec<Message> {
    let mut input = Vec::new();
    if let Some(value) = span.json(GenAiField::SystemInstructions)
        && let Some(system) = system(value)
    {
        input.push(system);
        span.take(GenAiField::SystemInstructions);
    }
    if let Some(value) = span.json(GenAiField::InputMessages)
        && let Some(read) = read(value)
    {
        input.extend(read);
        span.take(GenAiField::InputMessages);
    }
    input
}

/// Takes what a model answered.
pub(super) fn take_output(span: &mut Rendering<'_>) -> Option<Vec<Message>> {
    let output = read(span.json(GenAiField::OutputMessages)?)?;
    span.take(GenAiField::OutputMessages);
    Some(output)
}

fn text_or_json(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// A value that is a list, as such or as JSON text.
pub(super) fn list_of(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) => Some(list),
        Value::String(text) => match parsed(&text)? {
            Value::Array(list) => Some(list),
            _ => None,
        },
        _ => None,
    }
}

/// The messages of a field; `None` for what has not the form of the conventions.
pub(super) fn read(value: Value) -> Option<Vec<Message>> {
    let mut messages = Vec::new();
    for message in list_of(value)? {
        let Value::Object(mut members) = message else { return None };
        let role = members.remove("role")?.as_str()?.to_owned();
        let Value::Array(parts) = members.remove("parts")? else { return None };
        let finish_reason = members.remove("finish_reason");
        let finish_reason = finish_reason.as_ref().and_then(text_or_json);
        let mut message = Message { role, finish_reason, others: members, ..Message::default() };
        let mut answers = Vec::new();
        for part in parts {
            let Value::Object(part) = part else { return None };
            match part.get("type")?.as_str()? {
                "tool_call" => message.calls.push(call(&part)),
                "tool_call_response" if part.get("response").is_some_and(|it| !it.is_null()) => {
                    answers.push(answer(&part));
                }
                _ => message.parts.push(part),
            }
        }
        if answers.is_empty() || !message.parts.is_empty() || !message.calls.is_empty() {
            messages.push(message);
            message = Message::default();
            message.role = "tool".to_owned();
        }
        for answer in answers {
            let (role, others) = (message.role.clone(), std::mem::take(&mut message.others));
            messages.push(Message { role, others, answer: Some(answer), ..Message::default() });
        }
    }
    Some(messages)
}

/// System instructions as a message.
fn system(value: Value) -> Option<Message> {
    let role = "system".to_owned();
    let parts = match value {
        Value::String(text) if parsed(&text).is_none() => {
            let mut part = Map::new();
            part.insert("type".to_owned(), Value::from("text"));
            part.insert("content".to_owned(), Value::from(text));
            vec![part]
        }
        other => {
            let parts = list_of(other)?.into_iter().map(|part| match part {
                Value::Object(part) => Some(part),
                _ => None,
            });
            parts.collect::<Option<_>>()?
        }
    };
    Some(Message { role, parts, ..Message::default() })
}

fn call(part: &Map<String, Value>) -> Call {
    let member = |key: &str| part.get(key).and_then(text_or_json);
    Call {
        id: member("id"),
        name: member("name").unwrap_or_default(),
        arguments: member("arguments"),
    }
}

fn answer(part: &Map<String, Value>) -> ToolAnswer {
    let member = |key: &str| part.get(key).and_then(text_or_json);
    let text = member("response").unwrap_or_default();
    ToolAnswer { id: member("id"), name: member("name"), text }
}
