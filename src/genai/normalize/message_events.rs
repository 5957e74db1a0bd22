//! Message events: span events that each say one message, as the GenAI conventions had them up to 1.36
//! ("gen-ai-events": `gen_ai.user.message`, `gen_ai.choice` and their likes) -> messages; and the event
//! `gen_ai.client.inference.operation.details`, which has attributes of the span.

use super::convert::text_bytes;
use super::field::GenAiField;
use super::messages;
use super::parts::parsed;
use crate::codec::msgpack::{MapView, elements, text_of};
use crate::codec::records::layout::keys;
use crate::genai::json_value::{Arena, Building, Json, Members, Pair};

/// Fields that say what events say.
const SAID: [GenAiField; 4] = [
    GenAiField::SystemInstructions,
    GenAiField::InputMessages,
    GenAiField::OutputMessages,
    GenAiField::ToolDefinitions,
];

/// The event that has content as attributes of the conventions.
const DETAILS: &[u8] = b"gen_ai.client.inference.operation.details";

/// What a span's events say of it.
#[derive(Debug, Default)]
pub(crate) struct EventValues<'a> {
    /// The time from the span's start to its first token, in seconds.
    pub first_token: Option<f64>,
    /// The values of fields, encoded or as messages.
    encoded: Vec<(GenAiField, &'a [u8])>,
    messages: Vec<(GenAiField, &'a [Json<'a>])>,
    /// Of each event the fields that say all of it; none of an event that stays.
    said: Vec<u64>,
    /// The fields that were taken.
    taken: u64,
}

impl<'a> EventValues<'a> {
    /// Reads the events of a span with these attributes. `own` are the fields that it has already, which are
    /// not read.
    pub(crate) fn read(
        arena: &'a Arena,
        events: &'a [u8],
        attributes: &[u8],
        own: u64,
        first_token: Option<f64>,
    ) -> Self {
        let mut read = Self { first_token, ..Self::default() };
        if !elements(events).any(|event| says_lacking(name_of(event), own)) {
            return read;
        }
        let operation = MapView::new(attributes).get(GenAiField::OperationName.name().as_bytes());
        if operation.and_then(text_of) == Some("execute_tool") {
            elements(events).for_each(|event| read.tool_event(event, own));
            return read;
        }
        let (mut input, mut output) = (arena.building(0), arena.building(0));
        for event in elements(events) {
            let name = name_of(event);
            let attributes = MapView::new(event).get(keys::ATTRIBUTES).unwrap_or_default();
            let said = match name {
                DETAILS => read.details(attributes),
                _ if !says_lacking(name, own) => 0,
                b"gen_ai.choice" => {
                    keep(choice(arena, attributes), &mut output, GenAiField::OutputMessages)
                }
                name => {
                    let message = role_of(name).and_then(|role| message(arena, attributes, role));
                    keep(message, &mut input, GenAiField::InputMessages)
                }
            };
            read.said.push(said);
        }
        for (field, messages) in
            [(GenAiField::InputMessages, input), (GenAiField::OutputMessages, output)]
        {
            if !messages.is_empty() {
                read.messages.push((field, messages.into_bump_slice()));
            }
        }
        read
    }

    /// Whether they say anything but a time.
    pub(crate) fn has_content(&self) -> bool {
        !self.messages.is_empty() || !self.encoded.is_empty()
    }

    /// The encoded values of fields.
    pub(super) fn encoded(&self) -> impl Iterator<Item = (GenAiField, &'a [u8])> {
        self.encoded.iter().copied()
    }

    /// The values of fields that are messages.
    pub(super) fn messages(&self) -> impl Iterator<Item = (GenAiField, &'a [Json<'a>])> {
        self.messages.iter().copied()
    }

    /// Notes which fields were taken.
    pub(super) fn take(&mut self, fields: u64) {
        self.taken = fields;
    }

    /// Whether the event with this number is wholly said by fields that were taken.
    pub(crate) fn is_said(&self, number: usize) -> bool {
        self.said.get(number).is_some_and(|said| *said != 0 && said & !self.taken == 0)
    }

    /// Whether any event is.
    pub(crate) fn any_said(&self) -> bool {
        (0..self.said.len()).any(|number| self.is_said(number))
    }

    /// Takes what an event says of the call of a tool: its arguments as the tool's message, its result as the choice.
    fn tool_event(&mut self, event: &'a [u8], own: u64) {
        let (key, field): (&[u8], _) = match name_of(event) {
            b"gen_ai.tool.message" => (b"content", GenAiField::ToolArguments),
            b"gen_ai.choice" => (b"message", GenAiField::ToolResult),
            _ => {
                self.said.push(0);
                return;
            }
        };
        let mut attributes =
            MapView::new(MapView::new(event).get(keys::ATTRIBUTES).unwrap_or_default());
        let value = attributes.get(key).filter(|value| text_of(value).is_some());
        // The id is that of the span's call.
        let has_id = own & GenAiField::ToolCallId.bit() != 0;
        let is_said = |name: &[u8]| name == key || name == b"role" || (name == b"id" && has_id);
        let whole = value.is_some() && attributes.all(|entry| is_said(entry.key));
        self.encoded.extend(value.map(|value| (field, value)));
        self.said.push(if whole { field.bit() } else { 0 });
    }

    /// Takes the attributes of an event that are fields of the span. The fields that say all of it; none if it
    /// has more.
    fn details(&mut self, attributes: &'a [u8]) -> u64 {
        let (mut said, mut whole) = (0, true);
        for entry in MapView::new(attributes) {
            let key = text_of_key(entry.key);
            match SAID.into_iter().find(|field| field.has_name(key)) {
                Some(field) if said & field.bit() == 0 => {
                    said |= field.bit();
                    self.encoded.push((field, entry.value));
                }
                _ => whole = false,
            }
        }
        if whole { said } else { 0 }
    }
}

/// Adds a message, and gives the field that says it; none without a message.
fn keep<'a>(
    message: Option<Json<'a>>,
    messages: &mut Building<'a, Json<'a>>,
    field: GenAiField,
) -> u64 {
    let said = message.map_or(0, |_| field.bit());
    messages.extend(message);
    said
}

fn name_of(event: &[u8]) -> &[u8] {
    MapView::new(event).get(keys::NAME).map_or(&[], text_bytes)
}

fn text_of_key(key: &[u8]) -> &str {
    std::str::from_utf8(key).unwrap_or_default()
}

/// Whether an event of this name says anything beside these fields.
fn says_lacking(name: &[u8], own: u64) -> bool {
    let says = match name {
        DETAILS => SAID.iter().fold(0, |fields, field| fields | field.bit()),
        b"gen_ai.choice" => GenAiField::OutputMessages.bit(),
        name if role_of(name).is_some() => GenAiField::InputMessages.bit(),
        _ => 0,
    };
    says & !own != 0
}

/// The role of the message that an event of this name says.
fn role_of(name: &[u8]) -> Option<&'static str> {
    Some(match name {
        b"gen_ai.system.message" => "system",
        b"gen_ai.user.message" => "user",
        b"gen_ai.assistant.message" => "assistant",
        b"gen_ai.tool.message" => "tool",
        _ => return None,
    })
}

/// The members of an event: its attributes, or those that one of them has as JSON text.
fn members<'a>(arena: &'a Arena, attributes: &'a [u8]) -> Members<'a> {
    let said = Json::of_encoded(arena, attributes).as_object().unwrap_or_default();
    let content = said.get("gen_ai.event.content").and_then(Json::as_str);
    let content = content.and_then(|content| parsed(arena, content)?.as_object());
    // The span has the provider.
    let is_own = |key: &str| !matches!(key, "gen_ai.system" | "gen_ai.provider.name");
    content.unwrap_or_else(|| said.filtered(arena, |key, _| is_own(key)))
}

/// A message that was said to the model; `None` without content.
fn message<'a>(arena: &'a Arena, attributes: &'a [u8], role: &'static str) -> Option<Json<'a>> {
    let mut members = members(arena, attributes);
    // Of the event of a tool the id of the call that it answers.
    if role == "tool"
        && let Some(id) = members.take(arena, "id").filter(|id| id.is_text())
    {
        members = members.without(arena, "tool_call_id").with(arena, "tool_call_id", id);
    }
    members.take(arena, "index");
    messages::of_members(arena, members, role)
}

/// A message that the model gave; `None` without content.
fn choice<'a>(arena: &'a Arena, attributes: &'a [u8]) -> Option<Json<'a>> {
    let mut members = members(arena, attributes);
    members.take(arena, "index");
    let reason = members.take(arena, "finish_reason");
    let said = members.take(arena, "message");
    let read = said.and_then(|said| parsed(arena, said.as_str()?)).or(said);
    match read {
        // What the message says counts before what stands beside it.
        Some(Json::Object(message)) => {
            let is_beside = |(name, _): &&Pair<'a>| !message.has(name);
            let beside = members.pairs().iter().filter(is_beside);
            members = Members::collect(arena, message.pairs().iter().chain(beside).copied());
        }
        Some(content) => {
            members = members.without(arena, "content").with(arena, "content", content);
        }
        None => {}
    }
    if let Some(reason) = reason {
        members = members.without(arena, "finish_reason").with(arena, "finish_reason", reason);
    }
    messages::of_members(arena, members, "assistant")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack;
    use serde_json::Value;

    /// The events of a span, by their names and attributes.
    fn events(events: &[(&str, &[(&str, &str)])]) -> Vec<u8> {
        let mut out = Vec::new();
        msgpack::array_header(&mut out, u32::try_from(events.len()).unwrap());
        for (name, attributes) in events {
            msgpack::map_header(&mut out, 2);
            msgpack::str_bytes(&mut out, keys::NAME);
            msgpack::str(&mut out, name);
            msgpack::str_bytes(&mut out, keys::ATTRIBUTES);
            msgpack::map_header(&mut out, u32::try_from(attributes.len()).unwrap());
            for (key, value) in *attributes {
                msgpack::str(&mut out, key);
                msgpack::str(&mut out, value);
            }
        }
        out
    }

    #[test]
    fn an_event_is_said_by_what_was_taken() {
        let events = events(&[
            ("gen_ai.user.message", &[("content", "hi"), ("gen_ai.system", "openai")]),
            ("retry", &[("content", "hi")]),
            ("gen_ai.choice", &[("message", "ho"), ("finish_reason", "stop")]),
            ("gen_ai.tool.message", &[("id", "c")]),
            (
                "gen_ai.client.inference.operation.details",
                &[("gen_ai.system_instructions", "[]"), ("other", "x")],
            ),
        ]);
        let arena = Arena::default();
        let mut read = EventValues::read(&arena, &events, &[0x80], 0, None);
        let texts: Vec<String> =
            read.messages().map(|(_, list)| Json::List(list).to_text()).collect();
        let user = r#"[{"role":"user","parts":[{"type":"text","content":"hi"}]}]"#;
        let same = |one: &str, other: &str| {
            let read = |text| serde_json::from_str::<Value>(text).unwrap();
            assert_eq!(read(one), read(other));
        };
        assert_eq!(texts.len(), 2);
        same(&texts[0], user);
        let answer = r#"[{"role":"assistant","parts":[{"type":"text","content":"ho"}],
            "finish_reason":"stop"}]"#;
        same(&texts[1], answer);
        assert_eq!(read.encoded().count(), 1);
        read.take(GenAiField::InputMessages.bit() | GenAiField::SystemInstructions.bit());
        let said: Vec<bool> = (0..5).map(|number| read.is_said(number)).collect();
        assert_eq!(said, [true, false, false, false, false]);
    }

    /// Scenario: the events of a tool's call, with its id and with more. Guarantees: they are its arguments and
    /// its result, and no messages; an event that says more stays.
    #[test]
    fn events_of_a_tool_are_its_arguments_and_its_result() {
        let events = events(&[
            ("gen_ai.tool.message", &[("role", "tool"), ("content", "{}"), ("id", "c")]),
            ("gen_ai.choice", &[("message", "sunny"), ("status", "ok")]),
            ("gen_ai.user.message", &[("content", "hi")]),
        ]);
        let mut attributes = Vec::new();
        msgpack::map_header(&mut attributes, 1);
        msgpack::str(&mut attributes, "gen_ai.operation.name");
        msgpack::str(&mut attributes, "execute_tool");
        let own = GenAiField::ToolCallId.bit();
        for (own, goes) in [(own, true), (0, false)] {
            let arena = Arena::default();
            let mut read = EventValues::read(&arena, &events, &attributes, own, None);
            let said: Vec<(GenAiField, Option<&str>)> =
                read.encoded().map(|(field, value)| (field, text_of(value))).collect();
            let expected =
                [(GenAiField::ToolArguments, Some("{}")), (GenAiField::ToolResult, Some("sunny"))];
            assert_eq!(said, expected);
            assert_eq!(read.messages().count(), 0);
            read.take(GenAiField::ToolArguments.bit() | GenAiField::ToolResult.bit());
            let said: Vec<bool> = (0..3).map(|number| read.is_said(number)).collect();
            assert_eq!(said, [goes, false, false]);
        }
    }

    #[test]
    fn events_of_other_names_say_nothing() {
        for none in [events(&[]), events(&[("message", &[("content", "hi")])]), vec![0xc0]] {
            let arena = Arena::default();
            let read = EventValues::read(&arena, &none, &[0x80], 0, Some(0.5));
            assert!(!read.has_content() && !read.any_said());
            assert_eq!(read.first_token, Some(0.5));
        }
    }
}
