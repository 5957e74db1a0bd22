//! Field scanner: the fields of one protobuf message, found in one pass over its top level.

use std::borrow::Cow;

use crate::codec::otlp::MAX_NUMBER;
use crate::codec::records::DecodeKind;
use crate::codec::wire::{WireField, WireFields, WireValue};

/// Why an item or an envelope cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum WriteProblem {
    /// It is not OTLP.
    #[error("{0}")]
    Otlp(#[from] DecodeKind),
    /// The host's form has no place for it.
    #[error("{0}")]
    Form(&'static str),
}

pub(super) type WriteResult<T = ()> = Result<T, WriteProblem>;

/// Reads a field; `None` at the end.
#[inline]
pub(super) fn next<'a>(fields: &mut WireFields<'a>) -> WriteResult<Option<WireField<'a>>> {
    fields.read().map_err(|error| DecodeKind::Wire(error).into())
}

/// Calls `each` with the messages in the repeated field `number`.
#[inline]
pub(super) fn each<'a>(
    message: &'a [u8],
    number: u32,
    mut each: impl FnMut(&'a [u8]) -> WriteResult,
) -> WriteResult {
    let mut fields = WireFields::new(message);
    while let Some(field) = next(&mut fields)? {
        match field.value {
            WireValue::Bytes(bytes) if field.number == number => each(bytes)?,
            _ if field.number == number => return Err(DecodeKind::WireType.into()),
            _ => {}
        }
    }
    Ok(())
}

/// How often the field `number` comes.
pub(super) fn count(message: &[u8], number: u32) -> WriteResult<u32> {
    let mut count = 0_u32;
    each(message, number, |_| {
        count = count.saturating_add(1);
        Ok(())
    })?;
    Ok(count)
}

/// The last value of each field, by number.
#[derive(Debug)]
pub(super) struct FieldScan<'a> {
    message: &'a [u8],
    values: [Option<WireValue<'a>>; MAX_NUMBER + 1],
    counts: [u32; MAX_NUMBER + 1],
    /// Whether there was a field whose number is not in the bits of `known`.
    pub(super) has_unknown: bool,
}

impl<'a> FieldScan<'a> {
    /// Reads the message; `known` has a bit for each number that it may have.
    pub(super) fn new(message: &'a [u8], known: u32) -> WriteResult<Self> {
        let mut scan = Self {
            message,
            values: [None; MAX_NUMBER + 1],
            counts: [0; MAX_NUMBER + 1],
            has_unknown: false,
        };
        let mut fields = WireFields::new(message);
        while let Some(field) = next(&mut fields)? {
            if field.number > 31 || known & (1 << field.number) == 0 {
                scan.has_unknown = true;
                continue;
            }
            let index = field.number as usize;
            if let (Some(value), Some(count)) =
                (scan.values.get_mut(index), scan.counts.get_mut(index))
            {
                *value = Some(field.value);
                *count = count.saturating_add(1);
            }
        }
        Ok(scan)
    }

    /// The whole message.
    pub(super) const fn message(&self) -> &'a [u8] {
        self.message
    }

    fn value(&self, number: usize) -> Option<WireValue<'a>> {
        self.values.get(number).copied().flatten()
    }

    /// How often the field comes.
    pub(super) fn count(&self, number: usize) -> u32 {
        self.counts.get(number).copied().unwrap_or(0)
    }

    /// Whether the field is there.
    pub(super) fn has(&self, number: usize) -> bool {
        self.count(number) > 0
    }

    /// Text or bytes; empty if the field is not there.
    pub(super) fn bytes(&self, number: usize) -> WriteResult<&'a [u8]> {
        match self.value(number) {
            None => Ok(&[]),
            Some(WireValue::Bytes(bytes)) => Ok(bytes),
            Some(_) => Err(DecodeKind::WireType.into()),
        }
    }

    /// A varint; zero if the field is not there.
    pub(super) fn varint(&self, number: usize) -> WriteResult<u64> {
        match self.value(number) {
            None => Ok(0),
            Some(WireValue::Varint(value)) => Ok(value),
            Some(_) => Err(DecodeKind::WireType.into()),
        }
    }

    /// A varint of 32 bits.
    pub(super) fn varint32(&self, number: usize) -> WriteResult<u64> {
        Ok(self.varint(number)? & u64::from(u32::MAX))
    }

    /// A `sint32`.
    pub(super) fn sint(&self, number: usize) -> WriteResult<i64> {
        let value = self.varint32(number)?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// Eight bytes, if the field is there.
    pub(super) fn fixed64(&self, number: usize) -> WriteResult<Option<u64>> {
        match self.value(number) {
            None => Ok(None),
            Some(WireValue::Fixed64(value)) => Ok(Some(value)),
            Some(_) => Err(DecodeKind::WireType.into()),
        }
    }

    /// A double, if the field is there.
    pub(super) fn double(&self, number: usize) -> WriteResult<Option<f64>> {
        Ok(self.fixed64(number)?.map(f64::from_bits))
    }

    /// Four bytes; zero if the field is not there.
    pub(super) fn fixed32(&self, number: usize) -> WriteResult<u32> {
        match self.value(number) {
            None => Ok(0),
            Some(WireValue::Fixed32(value)) => Ok(value),
            Some(_) => Err(DecodeKind::WireType.into()),
        }
    }

    /// A message. One that comes in parts is put together, as protobuf asks.
    pub(super) fn sub(&self, number: usize) -> WriteResult<Option<Cow<'a, [u8]>>> {
        if !self.has(number) {
            return Ok(None);
        }
        if self.count(number) == 1 {
            return Ok(Some(Cow::Borrowed(self.bytes(number)?)));
        }
        let mut whole = Vec::new();
        each(self.message, u32::try_from(number).unwrap_or(0), |part| {
            whole.extend_from_slice(part);
            Ok(())
        })?;
        Ok(Some(Cow::Owned(whole)))
    }

    /// The numbers of eight bytes in a repeated field, packed or not.
    pub(super) fn fixed64s(&self, number: u32) -> WriteResult<Vec<u64>> {
        let mut numbers = Vec::new();
        self.values(number, |value| {
            match value {
                WireValue::Fixed64(value) => numbers.push(value),
                WireValue::Bytes(packed) => {
                    let (values, rest) = packed.as_chunks::<8>();
                    if !rest.is_empty() {
                        return Err(DecodeKind::Packed.into());
                    }
                    numbers.extend(values.iter().map(|value| u64::from_le_bytes(*value)));
                }
                _ => return Err(DecodeKind::WireType.into()),
            }
            Ok(())
        })?;
        Ok(numbers)
    }

    /// The varints in a repeated field, packed or not.
    pub(super) fn varints(&self, number: u32) -> WriteResult<Vec<u64>> {
        let mut numbers = Vec::new();
        self.values(number, |value| {
            match value {
                WireValue::Varint(value) => numbers.push(value),
                WireValue::Bytes(packed) => {
                    let mut left = WireFields::new(packed);
                    while !left.rest().is_empty() {
                        numbers.push(left.varint().map_err(DecodeKind::Wire)?);
                    }
                }
                _ => return Err(DecodeKind::WireType.into()),
            }
            Ok(())
        })?;
        Ok(numbers)
    }

    /// Calls `take` with what each occurrence of a field has.
    fn values(
        &self,
        number: u32,
        mut take: impl FnMut(WireValue<'_>) -> WriteResult,
    ) -> WriteResult {
        let mut fields = WireFields::new(self.message);
        while let Some(field) = next(&mut fields)? {
            if field.number == number {
                take(field.value)?;
            }
        }
        Ok(())
    }
}

/// The bits of the field numbers that a message has.
pub(super) const fn known(numbers: &[u32]) -> u32 {
    let mut bits = 0;
    let mut rest = numbers;
    while let [number, tail @ ..] = rest {
        bits |= 1 << *number;
        rest = tail;
    }
    bits
}
