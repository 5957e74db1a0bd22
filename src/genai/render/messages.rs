//! Message mapping, the other way: messages of the conventions -> what dialects spread over keys.

use serde_json::{Map, Value};

use crate::genai::normalize::messages::parsed;

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
pub(super) fn system(value: Value) -> Option<Message> {
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
    ToolAnswer { id: member("id"), text: member("response").unwrap_or_default() }
}
