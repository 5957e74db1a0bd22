//! Message visitor: objects to messages.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::context::{JsonReadContext, snake_case};
use super::field::FieldVisitor;
use super::scalar::drain_seq;
use crate::codec::json::schema::{FieldSchema, MAX_DEPTH, MessageSchema};
use crate::codec::wire::{NestedMessage, WireFields};

/// The whole request.
pub(super) struct RequestVisitor<'c, 'o> {
    pub(super) context: &'c mut JsonReadContext<'o>,
    pub(super) message: &'static MessageSchema,
}

impl RequestVisitor<'_, '_> {
    fn wrong<E: Error>(self, found: &str) -> Result<(), E> {
        self.context.fail(|| format!("expected an object, found {found}"))
    }
}

impl<'de> Visitor<'de> for RequestVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        fields(self.context, self.message, map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        drain_seq(list)?;
        self.wrong("an array")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.wrong("null")
    }

    fn visit_bool<E: Error>(self, _value: bool) -> Result<(), E> {
        self.wrong("true or false")
    }

    fn visit_u64<E: Error>(self, _value: u64) -> Result<(), E> {
        self.wrong("a number")
    }

    fn visit_i64<E: Error>(self, _value: i64) -> Result<(), E> {
        self.wrong("a number")
    }

    fn visit_f64<E: Error>(self, _value: f64) -> Result<(), E> {
        self.wrong("a number")
    }

    fn visit_str<E: Error>(self, _value: &str) -> Result<(), E> {
        self.wrong("text")
    }
}

/// Writes an object as the field `number`.
pub(super) fn message<'de, A: MapAccess<'de>>(
    context: &mut JsonReadContext<'_>,
    number: u32,
    message: &'static MessageSchema,
    map: A,
) -> Result<(), A::Error> {
    let nested = NestedMessage::open(context.out, number, message.estimate);
    if message.is_value {
        value(context, message, map)?;
    } else {
        fields(context, message, map)?;
    }
    nested.close(context.out);
    Ok(())
}

/// Reads an `AnyValue`, the only message that may be in itself.
fn value<'de, A: MapAccess<'de>>(
    context: &mut JsonReadContext<'_>,
    message: &'static MessageSchema,
    map: A,
) -> Result<(), A::Error> {
    if context.depth >= MAX_DEPTH {
        context.fail(|| format!("values are nested deeper than {MAX_DEPTH}"))?;
        return drain_map(map);
    }
    context.depth += 1;
    fields(context, message, map)?;
    context.depth -= 1;
    Ok(())
}

/// Reads what is left of an object that is of no use.
pub(super) fn drain_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Writes the fields of an object.
fn fields<'de, A: MapAccess<'de>>(
    context: &mut JsonReadContext<'_>,
    message: &'static MessageSchema,
    mut map: A,
) -> Result<(), A::Error> {
    let start = context.out.len();
    let (mut seen, mut given, mut hint) = (0_u32, 0_u32, 0);
    let mut repeats = Repeats::default();
    while let Some(key) = map.next_key_seed(Key { message, hint })? {
        let (index, field) = match key {
            Named::Field(index, field) => (index, field),
            other => {
                if let Named::Misnamed(should) = other {
                    context.misnamed(should);
                }
                map.next_value::<IgnoredAny>()?;
                continue;
            }
        };
        if context.failed() && !message.counted {
            map.next_value::<IgnoredAny>()?;
            continue;
        }
        hint = index + 1;
        let bit = 1_u32 << index;
        let again = seen & bit != 0;
        if again {
            repeats.remember(field.number, context.out.len() - start);
        }
        seen |= bit;
        context.enter(field.name);
        let visitor = FieldVisitor { context, field, again, element: false };
        if map.next_value_seed(visitor)? {
            given |= bit;
        } else {
            given &= !bit;
        }
        context.path.pop();
    }
    repeats.apply(context.out, start);
    check(context, message, given)
}

/// Checks the rules that a message as a whole has; `given` has the bits of its fields.
#[inline]
fn check<E: Error>(
    context: &mut JsonReadContext<'_>,
    message: &MessageSchema,
    given: u32,
) -> Result<(), E> {
    if (given & message.one_of).count_ones() > 1 {
        context.fail(|| {
            format!("expected one of these fields, found more: {}", names(message, given))
        })?;
    }
    let missing = message.required & !given;
    if missing != 0 {
        context.fail(|| {
            let first = message.fields.get(missing.trailing_zeros() as usize);
            let name = first.map_or("", |field| field.name);
            format!("the field {name} is missing; a span has a traceId and a spanId")
        })?;
    }
    Ok(())
}

/// The names of the fields of the `oneof` that were given.
fn names(message: &MessageSchema, given: u32) -> String {
    let given = given & message.one_of;
    let fields = message.fields.iter().enumerate();
    let names = fields.filter(|(index, _)| given & (1 << index) != 0).map(|(_, field)| field.name);
    names.collect::<Vec<_>>().join(", ")
}

/// The fields whose keys came more than once, with where the last value begins.
#[derive(Default)]
struct Repeats {
    last: Vec<(u32, usize)>,
}

impl Repeats {
    #[cold]
    fn remember(&mut self, number: u32, offset: usize) {
        match self.last.iter_mut().find(|(known, _)| *known == number) {
            Some((_, last)) => *last = offset,
            None => self.last.push((number, offset)),
        }
    }

    /// Takes the earlier values out of the message that begins at `start`.
    #[inline]
    fn apply(&self, out: &mut Vec<u8>, start: usize) {
        if !self.last.is_empty() {
            self.keep_last(out, start);
        }
    }

    #[cold]
    fn keep_last(&self, out: &mut Vec<u8>, start: usize) {
        let written = out.split_off(start.min(out.len()));
        let mut fields = WireFields::new(&written);
        loop {
            let offset = written.len() - fields.rest().len();
            let Ok(Some(field)) = fields.read() else { return };
            let stale = |(number, last): &(u32, usize)| *number == field.number && offset < *last;
            if !self.last.iter().any(stale) {
                out.extend_from_slice(field.raw);
            }
        }
    }
}

/// What a key names.
enum Named {
    /// A field, and its index.
    Field(usize, &'static FieldSchema),
    /// The field that has this name, but in snake_case.
    Misnamed(&'static str),
    Unknown,
}

/// A key, and where the search for its field begins.
struct Key {
    message: &'static MessageSchema,
    hint: usize,
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Named;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        key.deserialize_str(self)
    }
}

impl Visitor<'_> for Key {
    type Value = Named;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    #[inline]
    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(match self.message.find(name, self.hint) {
            Some((index, field)) => Named::Field(index, field),
            None if name.contains('_') => misnamed(self.message, name),
            None => Named::Unknown,
        })
    }
}

/// The field that has this name, but in snake_case, as the protobuf files have it.
#[cold]
fn misnamed(message: &'static MessageSchema, name: &str) -> Named {
    let same = message.fields.iter().find(|field| snake_case(field.name) == name);
    same.map_or(Named::Unknown, |field| Named::Misnamed(field.name))
}
