//! Table-driven JSON writer: messages to objects.

use std::borrow::Cow;

use super::text;
use super::unwritable::Unwritable;
use crate::codec::json::schema::{
    FieldSchema, JsonFieldType, MAX_DEPTH, MAX_FIELDS, MessageSchema, ProtoPresence,
};
use crate::codec::wire::{WireField, WireFields, WireValue};

/// Writes JSON.
pub(super) struct JsonWriter<'o> {
    pub(super) out: &'o mut Vec<u8>,
    /// How many fields had no name.
    pub(super) unknown: usize,
    /// How many values are around this one.
    pub(super) depth: u32,
}

/// What one field has on the wire.
#[derive(Clone, Copy)]
struct Slot<'a> {
    /// The message from the field's first occurrence on.
    from: &'a [u8],
    last: WireValue<'a>,
    count: usize,
}

impl JsonWriter<'_> {
    /// Writes a message as an object.
    pub(super) fn message(
        &mut self,
        message: &MessageSchema,
        bytes: &[u8],
    ) -> Result<(), Unwritable> {
        if message.is_value {
            if self.depth >= MAX_DEPTH {
                return Err(Unwritable::Depth);
            }
            self.depth += 1;
        }
        let slots = self.scan(message, bytes)?;
        self.out.push(b'{');
        let mut first = true;
        for (field, slot) in message.fields.iter().zip(&slots) {
            if slot.count == 0 || !is_there(field, slot) {
                continue;
            }
            if !std::mem::take(&mut first) {
                self.out.push(b',');
            }
            text::string(self.out, field.name);
            self.out.push(b':');
            self.field(message, field, slot)?;
        }
        self.out.push(b'}');
        if message.is_value {
            self.depth -= 1;
        }
        Ok(())
    }

    /// Finds the fields: of the `oneof` only the last.
    fn scan<'a>(
        &mut self,
        message: &MessageSchema,
        bytes: &'a [u8],
    ) -> Result<[Slot<'a>; MAX_FIELDS], Unwritable> {
        let mut slots = [Slot { from: &[], last: WireValue::Group, count: 0 }; MAX_FIELDS];
        let mut chosen = None;
        let mut fields = WireFields::new(bytes);
        loop {
            let from = fields.rest();
            let Some(found) = fields.read()? else { return Ok(slots) };
            let Some((index, field)) = message
                .index(found.number)
                .and_then(|index| message.fields.get(index).map(|field| (index, field)))
            else {
                self.unknown += 1;
                continue;
            };
            if !fits(field.kind, &found) {
                return Err(Unwritable::WireType(field.name));
            }
            if field.presence == ProtoPresence::OneOf
                && let Some(before) = chosen.replace(index).filter(|before| *before != index)
                && let Some(slot) = slots.get_mut(before)
            {
                slot.count = 0;
            }
            if let Some(slot) = slots.get_mut(index) {
                if slot.count == 0 {
                    slot.from = from;
                }
                slot.last = found.value;
                slot.count += 1;
            }
        }
    }

    fn field(
        &mut self,
        message: &MessageSchema,
        field: &FieldSchema,
        slot: &Slot<'_>,
    ) -> Result<(), Unwritable> {
        match (field.kind, slot.last) {
            (JsonFieldType::Message(inner), WireValue::Bytes(bytes)) => {
                // Parts of one message are merged by putting them together, as protobuf asks.
                let bytes = if slot.count == 1 {
                    Cow::Borrowed(bytes)
                } else {
                    Cow::Owned(merged(message, field, slot)?)
                };
                self.message(inner, &bytes)?;
            }
            (
                JsonFieldType::Messages(_)
                | JsonFieldType::Points(_)
                | JsonFieldType::Items(_)
                | JsonFieldType::Strs
                | JsonFieldType::Fixed64s
                | JsonFieldType::Varints
                | JsonFieldType::Doubles,
                _,
            ) => self.list(field, slot)?,
            (_, value) => self.scalar(field, value)?,
        }
        Ok(())
    }

    fn list(&mut self, field: &FieldSchema, slot: &Slot<'_>) -> Result<(), Unwritable> {
        self.out.push(b'[');
        let start = self.out.len();
        let mut fields = WireFields::new(slot.from);
        let mut left = slot.count;
        while left > 0 {
            let Some(found) = fields.read()? else { break };
            if found.number != field.number {
                continue;
            }
            left -= 1;
            match (field.kind, found.value) {
                (
                    JsonFieldType::Messages(inner)
                    | JsonFieldType::Points(inner)
                    | JsonFieldType::Items(inner),
                    WireValue::Bytes(bytes),
                ) => {
                    self.comma(start);
                    self.message(inner, bytes)?;
                }
                (JsonFieldType::Strs, _) => {
                    self.comma(start);
                    self.scalar(field, found.value)?;
                }
                (_, WireValue::Bytes(packed)) => self.packed(field, packed, start)?,
                (_, value) => {
                    self.comma(start);
                    self.scalar(field, value)?;
                }
            }
        }
        self.out.push(b']');
        Ok(())
    }

    /// Separates an element of the list that begins at `start` from the one before.
    fn comma(&mut self, start: usize) {
        if self.out.len() > start {
            self.out.push(b',');
        }
    }

    fn packed(
        &mut self,
        field: &FieldSchema,
        packed: &[u8],
        start: usize,
    ) -> Result<(), Unwritable> {
        if matches!(field.kind, JsonFieldType::Varints) {
            let mut left = WireFields::new(packed);
            while !left.rest().is_empty() {
                self.comma(start);
                let value = left.varint()?;
                text::quoted(self.out, value);
            }
            return Ok(());
        }
        let (values, rest) = packed.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(Unwritable::Packed(field.name));
        }
        for value in values {
            self.comma(start);
            self.scalar(field, WireValue::Fixed64(u64::from_le_bytes(*value)))?;
        }
        Ok(())
    }

    fn scalar(&mut self, field: &FieldSchema, value: WireValue<'_>) -> Result<(), Unwritable> {
        let out = &mut *self.out;
        match (field.kind, value) {
            (JsonFieldType::Bool, WireValue::Varint(value)) => {
                out.extend_from_slice(if value == 0 { b"false" } else { b"true" });
            }
            (JsonFieldType::Uint32, WireValue::Varint(value)) => {
                text::number(out, i64::from(low_half(value)));
            }
            (JsonFieldType::Int32 | JsonFieldType::Enum(_), WireValue::Varint(value)) => {
                text::number(out, i64::from(low_half(value).cast_signed()));
            }
            (JsonFieldType::Sint32, WireValue::Varint(value)) => {
                let value = low_half(value);
                let half = (value >> 1).cast_signed();
                text::number(out, i64::from(half ^ -(value & 1).cast_signed()));
            }
            (JsonFieldType::Fixed32, WireValue::Fixed32(value)) => {
                text::number(out, i64::from(value))
            }
            (JsonFieldType::Int64, WireValue::Varint(value)) => {
                text::quoted(out, value.cast_signed())
            }
            (JsonFieldType::Varints, WireValue::Varint(value)) => text::quoted(out, value),
            (JsonFieldType::Fixed64 | JsonFieldType::Fixed64s, WireValue::Fixed64(value)) => {
                text::quoted(out, value);
            }
            (JsonFieldType::Sfixed64, WireValue::Fixed64(value)) => {
                text::quoted(out, value.cast_signed());
            }
            (JsonFieldType::Double | JsonFieldType::Doubles, WireValue::Fixed64(bits)) => {
                text::double(out, f64::from_bits(bits));
            }
            (JsonFieldType::Str | JsonFieldType::Strs, WireValue::Bytes(bytes)) => {
                let text = std::str::from_utf8(bytes).map_err(|_| Unwritable::Utf8(field.name))?;
                text::string(out, text);
            }
            (JsonFieldType::Hex | JsonFieldType::Id(_), WireValue::Bytes(bytes)) => {
                text::hex(out, bytes)
            }
            (JsonFieldType::Bytes, WireValue::Bytes(bytes)) => text::base64(out, bytes),
            _ => return Err(Unwritable::WireType(field.name)),
        }
        Ok(())
    }
}

/// The low 32 bits: what protobuf takes of a longer varint for a number of 32 bits.
fn low_half(value: u64) -> u32 {
    let [a, b, c, d, ..] = value.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

/// Whether a field can have this wire type.
fn fits(kind: JsonFieldType, found: &WireField<'_>) -> bool {
    match kind {
        JsonFieldType::Uint32
        | JsonFieldType::Int32
        | JsonFieldType::Sint32
        | JsonFieldType::Int64
        | JsonFieldType::Enum(_)
        | JsonFieldType::Bool => {
            matches!(found.value, WireValue::Varint(_))
        }
        JsonFieldType::Fixed32 => matches!(found.value, WireValue::Fixed32(_)),
        JsonFieldType::Fixed64 | JsonFieldType::Sfixed64 | JsonFieldType::Double => {
            matches!(found.value, WireValue::Fixed64(_))
        }
        JsonFieldType::Fixed64s | JsonFieldType::Doubles => {
            matches!(found.value, WireValue::Fixed64(_) | WireValue::Bytes(_))
        }
        JsonFieldType::Varints => matches!(found.value, WireValue::Varint(_) | WireValue::Bytes(_)),
        _ => matches!(found.value, WireValue::Bytes(_)),
    }
}

/// Whether a field that came is there: with implicit presence, only if it is not empty.
fn is_there(field: &FieldSchema, slot: &Slot<'_>) -> bool {
    if field.presence != ProtoPresence::Implicit {
        return true;
    }
    match (field.kind, slot.last) {
        (
            JsonFieldType::Uint32
            | JsonFieldType::Int32
            | JsonFieldType::Sint32
            | JsonFieldType::Enum(_),
            WireValue::Varint(value),
        ) => low_half(value) != 0,
        (JsonFieldType::Bool | JsonFieldType::Int64, WireValue::Varint(value)) => value != 0,
        (JsonFieldType::Fixed32, WireValue::Fixed32(value)) => value != 0,
        (
            JsonFieldType::Fixed64 | JsonFieldType::Sfixed64 | JsonFieldType::Double,
            WireValue::Fixed64(value),
        ) => value != 0,
        (
            JsonFieldType::Str | JsonFieldType::Hex | JsonFieldType::Id(_) | JsonFieldType::Bytes,
            WireValue::Bytes(bytes),
        ) => !bytes.is_empty(),
        _ => true,
    }
}

/// The parts of a message that came in several. Within a `oneof`, a part does not count if another
/// field came after it.
#[cold]
fn merged(
    message: &MessageSchema,
    field: &FieldSchema,
    slot: &Slot<'_>,
) -> Result<Vec<u8>, Unwritable> {
    let one_of = |number| {
        let found = message.fields.iter().find(|field| field.number == number);
        found.is_some_and(|field| field.presence == ProtoPresence::OneOf)
    };
    let mut parts = Vec::new();
    let mut fields = WireFields::new(slot.from);
    while let Some(found) = fields.read()? {
        match found.value {
            WireValue::Bytes(bytes) if found.number == field.number => {
                parts.extend_from_slice(bytes);
            }
            _ if field.presence == ProtoPresence::OneOf && one_of(found.number) => parts.clear(),
            _ => {}
        }
    }
    Ok(parts)
}
