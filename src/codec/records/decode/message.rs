//! Table-driven transcoder: any OTLP message to a map.

use std::borrow::Cow;

use super::raw::ValueForm;
use super::value::{key_value, next, text};
use crate::codec::msgpack;
use crate::codec::records::error::{DecodeFault, DecodeKind, DecodeResult};
use crate::codec::records::layout::Nesting;
use crate::codec::records::schema::{
    FieldForm, FieldLayout, LayoutPresence, MAX_FIELDS, MessageLayout, UNKNOWN_FIELDS,
};
use crate::codec::wire::{WireError, WireField, WireFields, WireValue, varint_count};
use crate::model::write_hex;

/// What one field has on the wire.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldSlot<'a> {
    /// The payload; for repeated fields the message from the first of them on.
    pub(super) bytes: &'a [u8],
    /// A number as it is on the wire; for repeated numbers how many there are.
    pub(super) value: u64,
    /// How often the field comes.
    pub(super) count: u32,
}

impl FieldSlot<'_> {
    const EMPTY: Self = Self { bytes: &[], value: 0, count: 0 };
}

/// The fields of one message, found in one pass over its top level.
pub(super) struct MessageScan<'a> {
    message: &'static MessageLayout,
    bytes: &'a [u8],
    slots: [FieldSlot<'a>; MAX_FIELDS],
    /// The bits, by index, of the fields to write.
    present: u32,
    /// The field of the `oneof` that came last.
    chosen: Option<usize>,
    unknown: usize,
}

impl<'a> MessageScan<'a> {
    /// A scan that has found nothing yet.
    #[inline(always)]
    pub(super) fn new(message: &'static MessageLayout, bytes: &'a [u8]) -> Self {
        let slots = [FieldSlot::EMPTY; MAX_FIELDS];
        Self { message, bytes, slots, present: message.always, chosen: None, unknown: 0 }
    }

    /// Finds the fields.
    #[inline]
    pub(super) fn read(&mut self) -> DecodeResult {
        let mut fields = WireFields::new(self.bytes);
        // The number and the index of a field that comes again and again.
        let mut run = (0, 0);
        loop {
            let here = fields.rest();
            let Some(found) = next(&mut fields)? else { return Ok(()) };
            if found.number == run.0
                && let (WireValue::Bytes(_), Some(slot)) = (found.value, self.slots.get_mut(run.1))
            {
                slot.count += 1;
                continue;
            }
            let Some(index) = self.message.index(found.number) else {
                self.unknown += found.raw.len();
                continue;
            };
            let (Some(field), Some(slot)) =
                (self.message.fields.get(index), self.slots.get_mut(index))
            else {
                continue;
            };
            let Some(there) = take(slot, field.kind, &found, here) else {
                return Err(mismatch(field, &found));
            };
            if matches!(field.kind, FieldForm::Attributes(_) | FieldForm::Messages(_)) {
                run = (found.number, index);
            }
            let bit = 1 << index;
            match field.presence {
                LayoutPresence::Implicit if !there => self.present &= !bit,
                LayoutPresence::OneOf => self.choose(index),
                _ => self.present |= bit,
            }
        }
    }

    /// Finds the fields and writes the message as a map.
    #[inline]
    fn transcode(
        message: &'static MessageLayout,
        bytes: &'a [u8],
        out: &mut Vec<u8>,
    ) -> DecodeResult<ValueForm> {
        let mut scan = Self::new(message, bytes);
        scan.read()?;
        scan.write(out)
    }

    fn choose(&mut self, index: usize) {
        if let Some(before) = self.chosen.filter(|before| *before != index) {
            self.present &= !(1 << before);
        }
        self.chosen = Some(index);
        self.present |= 1 << index;
    }

    /// The slot of the field with this number, if the field is to be written.
    pub(super) fn slot(&self, number: u32) -> Option<&FieldSlot<'a>> {
        let index = self.message.index(number)?;
        if self.present & (1 << index) == 0 { None } else { self.slots.get(index) }
    }

    /// The payload of a singular message field; occurrences are merged by appending them, as
    /// protobuf asks.
    pub(super) fn merged(&self, number: u32) -> Option<Cow<'a, [u8]>> {
        let slot = self.slot(number)?;
        if slot.count <= 1 {
            return Some(Cow::Borrowed(slot.bytes));
        }
        Some(Cow::Owned(self.concatenated(number)))
    }

    #[cold]
    fn concatenated(&self, number: u32) -> Vec<u8> {
        let one_of = |number| {
            let field = self.message.index(number).and_then(|index| self.message.fields.get(index));
            field.is_some_and(|field| field.presence == LayoutPresence::OneOf)
        };
        let mut merged = Vec::new();
        let mut fields = WireFields::new(self.bytes);
        while let Ok(Some(field)) = fields.read() {
            match field.value {
                WireValue::Bytes(payload) if field.number == number => {
                    merged.extend_from_slice(payload);
                }
                _ if one_of(number) && one_of(field.number) => merged.clear(),
                _ => {}
            }
        }
        merged
    }

    /// Takes a field out of what is to be written.
    pub(super) fn leave_out(&mut self, number: u32) {
        if let Some(index) = self.message.index(number) {
            self.present &= !(1 << index);
        }
    }

    /// The number of pairs that [`Self::write_pairs`] writes.
    #[inline]
    pub(super) fn pairs(&self) -> u32 {
        self.present.count_ones() + u32::from(self.unknown > 0)
    }

    /// Writes the message as a map. Returns whether values in it are marked.
    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>) -> DecodeResult<ValueForm> {
        msgpack::map_header(out, self.pairs());
        self.write_pairs(out)
    }

    /// Writes the pairs of the map. Returns whether values in them are marked.
    pub(super) fn write_pairs(&self, out: &mut Vec<u8>) -> DecodeResult<ValueForm> {
        let mut form = ValueForm::Whole;
        let mut left = self.present;
        for (field, slot) in self.message.fields.iter().zip(&self.slots) {
            if left & 1 == 1 {
                field.key.write(out);
                form = form.max(self.write_value(field, slot, out)?);
            }
            left >>= 1;
        }
        if self.unknown > 0 {
            self.write_unknown(out)?;
        }
        Ok(form)
    }

    #[cold]
    fn write_unknown(&self, out: &mut Vec<u8>) -> DecodeResult {
        let mut unknown = Vec::with_capacity(self.unknown);
        let mut fields = WireFields::new(self.bytes);
        while let Some(field) = next(&mut fields)? {
            if self.message.index(field.number).is_none() {
                unknown.extend_from_slice(field.raw);
            }
        }
        msgpack::str(out, UNKNOWN_FIELDS);
        msgpack::bin(out, &unknown);
        Ok(())
    }

    #[inline]
    fn write_value(
        &self,
        field: &FieldLayout,
        slot: &FieldSlot<'_>,
        out: &mut Vec<u8>,
    ) -> DecodeResult<ValueForm> {
        match field.kind {
            FieldForm::Uint32 | FieldForm::Fixed32 | FieldForm::Fixed64 => {
                msgpack::uint(out, slot.value)
            }
            FieldForm::Enum(names) => enumeration(names, slot.value, out),
            FieldForm::Bool => msgpack::bool(out, slot.value != 0),
            FieldForm::Sint32 => {
                let half = (slot.value >> 1).cast_signed();
                msgpack::int(out, half ^ -(slot.value & 1).cast_signed());
            }
            FieldForm::Sfixed64 => msgpack::int(out, slot.value.cast_signed()),
            FieldForm::Double => msgpack::f64(out, f64::from_bits(slot.value)),
            FieldForm::Str => text(slot.bytes, out).map_err(|fault| fault.within(field.name))?,
            FieldForm::Hex => hex(slot.bytes, out),
            FieldForm::Bin => msgpack::bin(out, slot.bytes),
            FieldForm::Message(message) => {
                let bytes = self.merged(field.number).unwrap_or_default();
                return MessageScan::transcode(message, &bytes, out)
                    .map_err(|fault| fault.within(field.name));
            }
            FieldForm::Body => msgpack::nil(out),
            FieldForm::Messages(message) => return messages(message, field, slot, out),
            FieldForm::Attributes(levels) => {
                return attributes(field, slot, out, Nesting::within(levels));
            }
            FieldForm::Strs => strings(field, slot, out)?,
            FieldForm::Fixed64s | FieldForm::Doubles | FieldForm::Varints => {
                numbers(field, slot, out).map_err(|fault| fault.within(field.name))?;
            }
        }
        Ok(ValueForm::Whole)
    }
}

/// Puts a field into its slot and says whether there is something in it; `None` for a wire type that
/// the field cannot have.
#[inline]
fn take<'a>(
    slot: &mut FieldSlot<'a>,
    kind: FieldForm,
    found: &WireField<'a>,
    here: &'a [u8],
) -> Option<bool> {
    match (kind, found.value) {
        (FieldForm::Uint32 | FieldForm::Enum(_) | FieldForm::Sint32, WireValue::Varint(value)) => {
            slot.value = value & u64::from(u32::MAX);
        }
        (FieldForm::Bool, WireValue::Varint(value)) => slot.value = u64::from(value != 0),
        (
            FieldForm::Fixed64 | FieldForm::Sfixed64 | FieldForm::Double,
            WireValue::Fixed64(value),
        ) => {
            slot.value = value;
        }
        (FieldForm::Fixed32, WireValue::Fixed32(value)) => slot.value = u64::from(value),
        (
            FieldForm::Str
            | FieldForm::Hex
            | FieldForm::Bin
            | FieldForm::Message(_)
            | FieldForm::Body,
            WireValue::Bytes(bytes),
        ) => {
            slot.bytes = bytes;
            slot.count += 1;
            return Some(!bytes.is_empty());
        }
        (
            FieldForm::Messages(_) | FieldForm::Attributes(_) | FieldForm::Strs,
            WireValue::Bytes(_),
        ) => {
            slot.begin(here);
            return Some(true);
        }
        (FieldForm::Fixed64s | FieldForm::Doubles, WireValue::Bytes(packed)) => {
            slot.begin(here);
            slot.value += packed.len() as u64 / 8;
        }
        (FieldForm::Varints, WireValue::Bytes(packed)) => {
            slot.begin(here);
            slot.value += varint_count(packed) as u64;
        }
        (FieldForm::Fixed64s | FieldForm::Doubles, WireValue::Fixed64(_))
        | (FieldForm::Varints, WireValue::Varint(_)) => {
            slot.begin(here);
            slot.value += 1;
        }
        _ => return None,
    }
    Some(slot.value != 0)
}

impl<'a> FieldSlot<'a> {
    #[inline]
    fn begin(&mut self, here: &'a [u8]) {
        if self.count == 0 {
            self.bytes = here;
        }
        self.count += 1;
    }
}

#[cold]
fn mismatch(field: &FieldLayout, found: &WireField<'_>) -> Box<DecodeFault> {
    DecodeFault::new(DecodeKind::WireType, found.raw).within(field.name)
}

fn enumeration(names: &[&str], value: u64, out: &mut Vec<u8>) {
    let name = usize::try_from(value).ok().and_then(|value| names.get(value));
    match (name, u32::try_from(value)) {
        (Some(name), _) => msgpack::str(out, name),
        (None, Ok(value)) => msgpack::int(out, i64::from(value.cast_signed())),
        (None, Err(_)) => msgpack::nil(out),
    }
}

/// Writes bytes as lower-case hex text.
#[inline]
fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.len() > 32 {
        return long_hex(bytes, out);
    }
    let mut digits = [0_u8; 64];
    write_hex(bytes, &mut digits);
    msgpack::str_bytes(out, digits.get(..bytes.len() * 2).unwrap_or_default());
}

#[cold]
fn long_hex(bytes: &[u8], out: &mut Vec<u8>) {
    let mut digits = vec![0; bytes.len() * 2];
    write_hex(bytes, &mut digits);
    msgpack::str_bytes(out, &digits);
}

/// Calls `each` with the occurrences of a repeated field.
#[inline]
fn occurrences<'a>(
    field: &FieldLayout,
    slot: &FieldSlot<'a>,
    mut each: impl FnMut(u32, WireValue<'a>) -> DecodeResult,
) -> DecodeResult {
    let mut fields = WireFields::new(slot.bytes);
    let mut index = 0;
    while index < slot.count {
        let Some(found) = next(&mut fields)? else { break };
        if found.number == field.number {
            each(index, found.value)?;
            index += 1;
        }
    }
    Ok(())
}

fn messages(
    message: &'static MessageLayout,
    field: &FieldLayout,
    slot: &FieldSlot<'_>,
    out: &mut Vec<u8>,
) -> DecodeResult<ValueForm> {
    let mut form = ValueForm::Whole;
    msgpack::array_header(out, slot.count);
    occurrences(field, slot, |index, value| {
        let WireValue::Bytes(bytes) = value else { return Ok(()) };
        let inner = MessageScan::transcode(message, bytes, out)
            .map_err(|fault| fault.within_index(field.name, index))?;
        form = form.max(inner);
        Ok(())
    })?;
    Ok(form)
}

#[inline]
fn attributes(
    field: &FieldLayout,
    slot: &FieldSlot<'_>,
    out: &mut Vec<u8>,
    nesting: Nesting,
) -> DecodeResult<ValueForm> {
    let mut form = ValueForm::Whole;
    msgpack::map_header(out, slot.count);
    occurrences(field, slot, |_, value| {
        let WireValue::Bytes(bytes) = value else { return Ok(()) };
        let inner = key_value(bytes, out, nesting).map_err(|fault| fault.within(field.name))?;
        form = form.max(inner);
        Ok(())
    })?;
    Ok(form)
}

fn strings(field: &FieldLayout, slot: &FieldSlot<'_>, out: &mut Vec<u8>) -> DecodeResult {
    msgpack::array_header(out, slot.count);
    occurrences(field, slot, |index, value| {
        let WireValue::Bytes(bytes) = value else { return Ok(()) };
        text(bytes, out).map_err(|fault| fault.within_index(field.name, index))
    })
}

fn numbers(field: &FieldLayout, slot: &FieldSlot<'_>, out: &mut Vec<u8>) -> DecodeResult {
    let elements = u32::try_from(slot.value)
        .map_err(|_| DecodeFault::new(WireError::Truncated, slot.bytes))?;
    msgpack::array_header(out, elements);
    let double = matches!(field.kind, FieldForm::Doubles);
    let number = |out: &mut Vec<u8>, bits: u64| {
        if double { msgpack::f64(out, f64::from_bits(bits)) } else { msgpack::uint(out, bits) }
    };
    occurrences(field, slot, |_, value| {
        match value {
            WireValue::Fixed64(value) | WireValue::Varint(value) => number(out, value),
            WireValue::Bytes(packed) if matches!(field.kind, FieldForm::Varints) => {
                let mut left = WireFields::new(packed);
                while !left.rest().is_empty() {
                    let near = left.rest();
                    number(out, left.varint().map_err(|error| DecodeFault::new(error, near))?);
                }
            }
            WireValue::Bytes(packed) => {
                let (values, rest) = packed.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(DecodeFault::new(DecodeKind::Packed, rest));
                }
                values.iter().for_each(|value| number(out, u64::from_le_bytes(*value)));
            }
            _ => {}
        }
        Ok(())
    })
}
