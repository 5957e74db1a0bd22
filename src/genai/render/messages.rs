//! Message mapping, the other way: messages of the conventions -> what dialects spread over keys.

use std::borrow::Cow;

use super::rendering::Rendering;
use crate::genai::json_value::{Json, Members};
use crate::genai::normalize::field::GenAiField;
use crate::genai::normalize::parts::{parsed, parsed_text, text_part};

/// One message.
#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub(super) role: Cow<'a, str>,
    /// Parts that are neither a call of a tool nor its answer.
    pub(super) parts: Vec<Members<'a>>,
    pub(super) calls: Vec<Call<'a>>,
    pub(super) answer: Option<ToolAnswer<'a>>,
    pub(super) finish_reason: Option<Cow<'a, str>>,
    /// Its other members.
    pub(super) others: Members<'a>,
}

/// The call of a tool.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Cow<'a, str>,
    /// JSON text, unless the arguments are a text.
    pub(super) arguments: Option<Cow<'a, str>>,
}

/// What a tool gave.
#[derive(Debug)]
pub(super) struct ToolAnswer<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) name: Option<Cow<'a, str>>,
    pub(super) text: Cow<'a, str>,
}

impl Message<'_> {
    /// The text, if it is all that the message has for content.
    pub(super) fn plain_text(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [part] if part.len() == 2 && part.get("type")?.as_str() == Some("text") => {
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
        let is_text = |part: &&Members<'_>| part.get("type").and_then(Json::as_str) == Some("text");
        let texts = self.parts.iter().filter(is_text);
        let texts: Vec<&str> =
            texts.filter_map(|part| part.get("content").and_then(Json::as_str)).collect();
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
    pub(super) parts: fn(&mut Rendering<'_>, &str, &[Members<'_>]),
}

impl SpreadForm {
    /// Spreads messages over keys. What the sender wrote so is not written again.
    pub(super) fn spread(&self, span: &mut Rendering<'_>, prefix: &str, messages: &[Message<'_>]) {
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
            for (key, value) in message.others.iter() {
                span.put_json(&format!("{base}{key}"), value);
            }
        }
    }

    fn content(&self, span: &mut Rendering<'_>, base: &str, message: &Message<'_>) {
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

    fn call(&self, span: &mut Rendering<'_>, base: &str, call: &Call<'_>) {
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
pub(super) fn take_input<'a>(span: &mut Rendering<'a>) -> Vec<Message<'a>> {
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
pub(super) fn take_output<'a>(span: &mut Rendering<'a>) -> Option<Vec<Message<'a>>> {
    let output = read(span.json(GenAiField::OutputMessages)?)?;
    span.take(GenAiField::OutputMessages);
    Some(output)
}

fn text_or_json(value: Json<'_>) -> Option<Cow<'_, str>> {
    match value {
        Json::Null => None,
        Json::Text(text) => Some(text),
        other => Some(Cow::Owned(other.to_string())),
    }
}

/// A value that is a list, as such or as JSON text.
pub(super) fn list_of(value: Json<'_>) -> Option<Vec<Json<'_>>> {
    match value {
        Json::Text(text) => parsed_text(&text)?.into_list(),
        other => other.into_list(),
    }
}

/// The messages of a field; `None` for what has not the form of the conventions.
pub(super) fn read(value: Json<'_>) -> Option<Vec<Message<'_>>> {
    let mut messages = Vec::new();
    for message in list_of(value)? {
        let mut members = message.into_object()?;
        let role = members.take("role")?.into_text()?;
        let parts = members.take("parts")?.into_list()?;
        let finish_reason = members.take("finish_reason").and_then(text_or_json);
        let mut message = Message { role, finish_reason, others: members, ..Message::default() };
        let mut answers = Vec::new();
        for part in parts {
            let part = part.into_object()?;
            match part.get("type")?.as_str()? {
                "tool_call" => message.calls.push(call(part)),
                "tool_call_response" if part.get("response").is_some_and(|it| !it.is_null()) => {
                    answers.push(answer(part));
                }
                _ => message.parts.push(part),
            }
        }
        if answers.is_empty() || !message.parts.is_empty() || !message.calls.is_empty() {
            messages.push(message);
            message = Message { role: Cow::Borrowed("tool"), ..Message::default() };
        }
        for answer in answers {
            let (role, others) = (message.role.clone(), std::mem::take(&mut message.others));
            messages.push(Message { role, others, answer: Some(answer), ..Message::default() });
        }
    }
    Some(messages)
}

/// System instructions as a message.
fn system(value: Json<'_>) -> Option<Message<'_>> {
    let parts = match value {
        Json::Text(text) if parsed(&text).is_none() => vec![text_part(text)],
        other => list_of(other)?,
    };
    let parts = parts.into_iter().map(Json::into_object).collect::<Option<_>>()?;
    Some(Message { role: Cow::Borrowed("system"), parts, ..Message::default() })
}

fn call(mut part: Members<'_>) -> Call<'_> {
    let mut member = |key: &str| part.take(key).and_then(text_or_json);
    Call {
        id: member("id"),
        name: member("name").unwrap_or_default(),
        arguments: member("arguments"),
    }
}

fn answer(mut part: Members<'_>) -> ToolAnswer<'_> {
    let mut member = |key: &str| part.take(key).and_then(text_or_json);
    let text = member("response").unwrap_or_default();
    ToolAnswer { id: member("id"), name: member("name"), text }
}
