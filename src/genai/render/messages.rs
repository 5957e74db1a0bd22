//! Message mapping, the other way: messages of the conventions -> what dialects spread over keys.

use super::rendering::Rendering;
use crate::genai::json_value::{Arena, Json, Members};
use crate::genai::normalize::field::GenAiField;
use crate::genai::normalize::parts::{parsed, text_part};

/// One message.
#[derive(Debug, Default)]
pub(super) struct Message<'a> {
    pub(super) role: &'a str,
    /// Parts that are neither a call of a tool nor its answer.
    pub(super) parts: Vec<Members<'a>>,
    pub(super) calls: Vec<Call<'a>>,
    pub(super) answer: Option<ToolAnswer<'a>>,
    pub(super) finish_reason: Option<&'a str>,
    /// Its other members.
    pub(super) others: Members<'a>,
}

/// The call of a tool.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) name: &'a str,
    /// JSON text, unless the arguments are a text.
    pub(super) arguments: Option<&'a str>,
}

/// What a tool gave.
#[derive(Debug)]
pub(super) struct ToolAnswer<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) text: &'a str,
}

impl<'a> Message<'a> {
    /// The text, if it is all that the message has for content.
    pub(super) fn plain_text(&self, arena: &'a Arena) -> Option<&'a str> {
        match self.parts.as_slice() {
            [part] if part.len() == 2 && part.get("type")?.as_str() == Some("text") => {
                let text = part.get("content")?.as_str()?;
                // A reader could take it for something else.
                let is_plain = !text.is_empty() && parsed(arena, text).is_none();
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
    pub(super) fn spread<'a>(
        &self,
        span: &mut Rendering<'a>,
        prefix: &str,
        messages: &[Message<'a>],
    ) {
        if span.has_list(prefix) {
            return;
        }
        for (number, message) in messages.iter().enumerate() {
            let base = format!("{prefix}{number}{}", self.message);
            span.put_text(&format!("{base}role"), message.role);
            self.content(span, &base, message);
            for (number, call) in message.calls.iter().enumerate() {
                self.call(span, &format!("{base}tool_calls.{number}{}", self.call), call);
            }
            if let Some(reason) = message.finish_reason {
                span.put_text(&format!("{base}finish_reason"), reason);
            }
            for (key, value) in message.others.iter() {
                span.put_json(&format!("{base}{key}"), value);
            }
        }
    }

    fn content<'a>(&self, span: &mut Rendering<'a>, base: &str, message: &Message<'a>) {
        if let Some(answer) = &message.answer {
            if let Some(id) = answer.id {
                span.put_text(&format!("{base}tool_call_id"), id);
            }
            if let Some(name) = answer.name {
                span.put_text(&format!("{base}name"), name);
            }
            span.put_text(&format!("{base}content"), answer.text);
        } else if let Some(text) = message.plain_text(span.arena) {
            span.put_text(&format!("{base}content"), text);
        } else if !message.parts.is_empty() {
            (self.parts)(span, base, &message.parts);
        }
    }

    fn call(&self, span: &mut Rendering<'_>, base: &str, call: &Call<'_>) {
        if let Some(id) = call.id {
            span.put_text(&format!("{base}id"), id);
        }
        span.put_text(&format!("{base}{}name", self.function), call.name);
        if let Some(arguments) = call.arguments {
            span.put_text(&format!("{base}{}arguments", self.function), arguments);
        }
    }
}

/// Takes what was said to a model: the system's instructions and the messages.
pub(super) fn take_input<'a>(span: &mut Rendering<'a>) -> Vec<Message<'a>> {
    let mut input = Vec::new();
    if let Some(value) = span.json(GenAiField::SystemInstructions)
        && let Some(system) = system(span.arena, value)
    {
        input.push(system);
        span.take(GenAiField::SystemInstructions);
    }
    if let Some(value) = span.json(GenAiField::InputMessages)
        && let Some(read) = read(span.arena, value)
    {
        input.extend(read);
        span.take(GenAiField::InputMessages);
    }
    input
}

/// Takes what a model answered.
pub(super) fn take_output<'a>(span: &mut Rendering<'a>) -> Option<Vec<Message<'a>>> {
    let output = read(span.arena, span.json(GenAiField::OutputMessages)?)?;
    span.take(GenAiField::OutputMessages);
    Some(output)
}

fn text_or_json<'a>(arena: &'a Arena, value: Json<'a>) -> Option<&'a str> {
    match value {
        Json::Null => None,
        Json::Text(text) => Some(text.as_str()),
        other => Some(arena.text(&other.to_text())),
    }
}

/// A value that is a list, as such or as JSON text.
pub(super) fn list_of<'a>(arena: &'a Arena, value: Json<'a>) -> Option<&'a [Json<'a>]> {
    match value {
        Json::Text(text) => parsed(arena, text.as_str())?.as_list(),
        other => other.as_list(),
    }
}

/// The messages of a field; `None` for what has not the form of the conventions.
pub(super) fn read<'a>(arena: &'a Arena, value: Json<'a>) -> Option<Vec<Message<'a>>> {
    let mut messages = Vec::new();
    for message in list_of(arena, value)? {
        let mut members = message.as_object()?;
        let role = members.take(arena, "role")?.as_str()?;
        let parts = members.take(arena, "parts")?.as_list()?;
        let finish_reason = members.take(arena, "finish_reason");
        let finish_reason = finish_reason.and_then(|reason| text_or_json(arena, reason));
        let mut message = Message { role, finish_reason, others: members, ..Message::default() };
        let mut answers = Vec::new();
        for part in parts {
            let part = part.as_object()?;
            match part.get("type")?.as_str()? {
                "tool_call" => message.calls.push(call(arena, part)),
                "tool_call_response" if part.get("response").is_some_and(|it| !it.is_null()) => {
                    answers.push(answer(arena, part));
                }
                _ => message.parts.push(part),
            }
        }
        if answers.is_empty() || !message.parts.is_empty() || !message.calls.is_empty() {
            messages.push(message);
            message = Message { role: "tool", ..Message::default() };
        }
        for answer in answers {
            let (role, others) = (message.role, std::mem::take(&mut message.others));
            messages.push(Message { role, others, answer: Some(answer), ..Message::default() });
        }
    }
    Some(messages)
}

/// System instructions as a message.
fn system<'a>(arena: &'a Arena, value: Json<'a>) -> Option<Message<'a>> {
    let parts = match value {
        Json::Text(text) if parsed(arena, text.as_str()).is_none() => {
            arena.list([text_part(arena, text)])
        }
        other => list_of(arena, other)?,
    };
    let parts = parts.iter().map(|part| part.as_object()).collect::<Option<_>>()?;
    Some(Message { role: "system", parts, ..Message::default() })
}

fn call<'a>(arena: &'a Arena, part: Members<'a>) -> Call<'a> {
    let member = |name: &str| part.get(name).and_then(|value| text_or_json(arena, value));
    Call {
        id: member("id"),
        name: member("name").unwrap_or_default(),
        arguments: member("arguments"),
    }
}

fn answer<'a>(arena: &'a Arena, part: Members<'a>) -> ToolAnswer<'a> {
    let member = |name: &str| part.get(name).and_then(|value| text_or_json(arena, value));
    let text = member("response").unwrap_or_default();
    ToolAnswer { id: member("id"), name: member("name"), text }
}
