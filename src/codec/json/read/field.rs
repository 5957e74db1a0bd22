//! Field visitor: values to fields.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::context::JsonReadContext;
use super::message::{drain_map, message};
use super::scalar::{drain_seq, expected};
use crate::codec::json::schema::{FieldSchema, JsonFieldType, MessageSchema, ProtoPresence};
use crate::codec::wire::{NestedMessage, bytes};

/// Writes the value of a field, or one element of it; says whether there was one, which there is
/// not for `null`.
pub(super) struct FieldVisitor<'c, 'o> {
    pub(super) context: &'c mut JsonReadContext<'o>,
    pub(super) field: &'static FieldSchema,
    /// Whether the key came before, so that also a zero must be written.
    pub(super) again: bool,
    /// Whether this is an element of a list.
    pub(super) element: bool,
}

impl FieldVisitor<'_, '_> {
    /// Whether an empty value is left out.
    #[inline]
    pub(super) fn skips_empty(&self) -> bool {
        self.field.presence == ProtoPresence::Implicit && !self.again && !self.element
    }

    #[cold]
    pub(super) fn wrong<E: Error>(&mut self, found: impl FnOnce() -> String) -> Result<bool, E> {
        let wanted = expected(self.field.kind, self.element);
        self.context.fail(|| format!("expected {wanted}, found {}", found()))?;
        Ok(true)
    }

    /// The message that an object here stands for.
    fn object(&self) -> Option<&'static MessageSchema> {
        match (self.field.kind, self.element) {
            (JsonFieldType::Message(message), false)
            | (
                JsonFieldType::Messages(message)
                | JsonFieldType::Points(message)
                | JsonFieldType::Items(message),
                true,
            ) => Some(message),
            _ => None,
        }
    }

    fn is_list(&self) -> bool {
        let list = matches!(
            self.field.kind,
            JsonFieldType::Messages(_)
                | JsonFieldType::Points(_)
                | JsonFieldType::Items(_)
                | JsonFieldType::Strs
                | JsonFieldType::Fixed64s
                | JsonFieldType::Varints
                | JsonFieldType::Doubles
        );
        list && !self.element
    }

    /// Reads the next element; whether there was one.
    #[inline]
    fn next<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<bool, A::Error> {
        let field = self.field;
        let element = FieldVisitor { context: self.context, field, again: false, element: true };
        Ok(list.next_element_seed(element)?.is_some())
    }

    fn items<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<(), A::Error> {
        loop {
            let mark = self.context.out.len();
            self.context.begin_item();
            let more = self.next(list)?;
            self.context.end_item(mark);
            if !more {
                return Ok(());
            }
            self.context.check_limit()?;
            self.context.path.advance();
        }
    }

    fn points<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<(), A::Error> {
        loop {
            let more = if self.context.failed() {
                list.next_element::<IgnoredAny>()?.is_some()
            } else {
                self.next(list)?
            };
            if !more {
                return Ok(());
            }
            self.context.points += 1;
            self.context.check_limit()?;
            self.context.path.advance();
        }
    }

    fn elements<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<(), A::Error> {
        while !self.context.failed() {
            if !self.next(list)? {
                return Ok(());
            }
            self.context.check_limit()?;
            self.context.path.advance();
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn packed<'de, A: SeqAccess<'de>>(&mut self, list: &mut A) -> Result<(), A::Error> {
        let mark = self.context.out.len();
        let nested = NestedMessage::open(self.context.out, self.field.number, 100);
        let start = nested.start();
        self.elements(list)?;
        if self.context.out.len() == start {
            self.context.out.truncate(mark);
        } else {
            nested.close(self.context.out);
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for FieldVisitor<'_, '_> {
    type Value = bool;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<bool, D::Error> {
        value.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FieldVisitor<'_, '_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&expected(self.field.kind, self.element))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, map: A) -> Result<bool, A::Error> {
        let Some(inner) = self.object() else {
            drain_map(map)?;
            return self.wrong(|| "an object".to_owned());
        };
        message(self.context, self.field.number, inner, map)?;
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<bool, A::Error> {
        if !self.is_list() {
            drain_seq(list)?;
            return self.wrong(|| "an array".to_owned());
        }
        self.context.enter_list();
        match self.field.kind {
            JsonFieldType::Items(_) => self.items(&mut list)?,
            JsonFieldType::Points(_) => self.points(&mut list)?,
            JsonFieldType::Fixed64s | JsonFieldType::Varints | JsonFieldType::Doubles => {
                self.packed(&mut list)?
            }
            _ => self.elements(&mut list)?,
        }
        self.context.path.pop();
        Ok(true)
    }

    fn visit_unit<E: Error>(mut self) -> Result<bool, E> {
        if !self.element {
            return Ok(false);
        }
        // A value in a list cannot be left out without moving those behind it: it is there, and is
        // none.
        if let Some(inner) = self.object()
            && inner.is_value
        {
            bytes(self.context.out, self.field.number, b"");
            return Ok(true);
        }
        self.wrong(|| "null".to_owned())
    }

    #[inline]
    fn visit_str<E: Error>(mut self, text: &str) -> Result<bool, E> {
        if self.text(text) {
            return Ok(true);
        }
        self.wrong(|| format!("text of {} bytes", text.len()))
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<bool, E> {
        if self.boolean(value) {
            return Ok(true);
        }
        self.wrong(|| value.to_string())
    }

    #[inline]
    fn visit_u64<E: Error>(mut self, value: u64) -> Result<bool, E> {
        // JSON has one kind of number: for a double, the nearest one is meant.
        if self.double(value as f64) || self.whole(i128::from(value)) {
            return Ok(true);
        }
        self.wrong(|| value.to_string())
    }

    #[inline]
    fn visit_i64<E: Error>(mut self, value: i64) -> Result<bool, E> {
        // JSON has one kind of number: for a double, the nearest one is meant.
        if self.double(value as f64) || self.whole(i128::from(value)) {
            return Ok(true);
        }
        self.wrong(|| value.to_string())
    }

    #[inline]
    fn visit_f64<E: Error>(mut self, value: f64) -> Result<bool, E> {
        if self.double(value) || self.whole_double(value) {
            return Ok(true);
        }
        self.wrong(|| value.to_string())
    }
}
