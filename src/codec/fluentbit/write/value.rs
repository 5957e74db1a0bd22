//! Value writer: text, values and attributes in the host's form.

use std::borrow::Cow;

use super::capabilities::{MAX_DEPTH, MAX_KEY, MAX_VALUES};
use super::loss::{FormatLoss, FormatLosses};
use super::scan::{FieldScan, WriteProblem, WriteResult, each, known, next};
use crate::codec::msgpack;
use crate::codec::records::DecodeKind;
use crate::codec::wire::{WireFields, WireValue};

/// The replacement character, in place of bytes that the host's text cannot hold.
const REPLACEMENT: &str = "\u{fffd}";

/// A buffer, and what was lost on the way into it.
#[derive(Debug, Default)]
pub(super) struct OutputBuffer {
    pub(super) bytes: Vec<u8>,
    pub(super) losses: FormatLosses,
    /// How long the buffer may become.
    pub(super) limit: usize,
}

/// A map or list whose length is put right at its end. The header has the size for the largest
/// length that may come.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub(super) struct MapHead {
    at: usize,
    max: u32,
    map: bool,
}

impl MapHead {
    pub(super) fn map(out: &mut Vec<u8>, max: u32) -> Self {
        let head = Self { at: out.len(), max, map: true };
        msgpack::map_header(out, max);
        head
    }

    pub(super) fn list(out: &mut Vec<u8>, max: u32) -> Self {
        let head = Self { at: out.len(), max, map: false };
        msgpack::array_header(out, max);
        head
    }

    /// Writes the length, which is not more than announced.
    pub(super) fn close(self, out: &mut [u8], count: u32) {
        let [a, b, c, d] = count.min(self.max).to_be_bytes();
        let fix = if self.map { 0x80 } else { 0x90 };
        let Some(header) = out.get_mut(self.at..) else { return };
        match (self.max, header) {
            (0..=15, [head, ..]) => *head = fix | d,
            (16..=0xffff, [_, high, low, ..]) => [*high, *low] = [c, d],
            (_, [_, w, x, y, z, ..]) => [*w, *x, *y, *z] = [a, b, c, d],
            _ => {}
        }
    }
}

/// One `KeyValue`.
pub(super) struct AttributePair<'a> {
    pub(super) key: &'a [u8],
    pub(super) value: Cow<'a, [u8]>,
}

impl<'a> AttributePair<'a> {
    pub(super) fn read(message: &'a [u8]) -> WriteResult<Self> {
        let scan = FieldScan::new(message, known(&[1, 2]))?;
        Ok(Self { key: scan.bytes(1)?, value: scan.sub(2)?.unwrap_or_default() })
    }
}

/// The content of an `AnyValue`.
#[derive(Debug)]
pub(super) enum AnyContent<'a> {
    Unset,
    Text(&'a [u8]),
    Bool(bool),
    Int(i64),
    Double(f64),
    List(Cow<'a, [u8]>),
    Map(Cow<'a, [u8]>),
    Bytes(&'a [u8]),
}

impl<'a> AnyContent<'a> {
    /// Of several fields the last counts, and a message that comes in parts is put together.
    pub(super) fn read(message: &'a [u8]) -> WriteResult<Self> {
        let mut any = Self::Unset;
        let mut fields = WireFields::new(message);
        while let Some(field) = next(&mut fields)? {
            any = match (field.number, field.value, any) {
                (1, WireValue::Bytes(text), _) => Self::Text(text),
                (2, WireValue::Varint(value), _) => Self::Bool(value != 0),
                (3, WireValue::Varint(value), _) => Self::Int(value.cast_signed()),
                (4, WireValue::Fixed64(bits), _) => Self::Double(f64::from_bits(bits)),
                (5, WireValue::Bytes(part), Self::List(mut list)) => {
                    list.to_mut().extend_from_slice(part);
                    Self::List(list)
                }
                (5, WireValue::Bytes(list), _) => Self::List(Cow::Borrowed(list)),
                (6, WireValue::Bytes(part), Self::Map(mut map)) => {
                    map.to_mut().extend_from_slice(part);
                    Self::Map(map)
                }
                (6, WireValue::Bytes(map), _) => Self::Map(Cow::Borrowed(map)),
                (7, WireValue::Bytes(bytes), _) => Self::Bytes(bytes),
                (1..=7, ..) => return Err(DecodeKind::WireType.into()),
                (_, _, any) => any,
            };
        }
        Ok(any)
    }
}

/// Text, which must be UTF-8.
pub(super) fn utf8(bytes: &[u8]) -> WriteResult<&str> {
    std::str::from_utf8(bytes).map_err(|_| DecodeKind::Utf8.into())
}

impl OutputBuffer {
    /// Runs `write` with `buffer`, emptied, in place of the output.
    pub(super) fn aside<T>(
        &mut self,
        buffer: &mut Vec<u8>,
        write: impl FnOnce(&mut Self) -> WriteResult<T>,
    ) -> WriteResult<T> {
        buffer.clear();
        std::mem::swap(buffer, &mut self.bytes);
        let written = write(self);
        std::mem::swap(buffer, &mut self.bytes);
        written
    }

    /// Whether there is room for more.
    pub(super) fn room(&self) -> WriteResult {
        if self.bytes.len() < self.limit { Ok(()) } else { Err(DecodeKind::Growth.into()) }
    }

    /// Writes text of at most `longest` bytes; the rest is cut off.
    pub(super) fn text(&mut self, bytes: &[u8], longest: usize) -> WriteResult {
        let mut text = utf8(bytes)?;
        if text.len() > longest {
            self.losses.add(FormatLoss::TextLength);
            text = text.get(..text.floor_char_boundary(longest)).unwrap_or_default();
        }
        if memchr::memchr(0, text.as_bytes()).is_none() {
            msgpack::str(&mut self.bytes, text);
            return Ok(());
        }
        self.losses.add(FormatLoss::Nul);
        let mut clean = text.replace('\0', REPLACEMENT);
        clean.truncate(clean.floor_char_boundary(longest));
        msgpack::str(&mut self.bytes, &clean);
        Ok(())
    }

    /// Writes text, and nil if there is none.
    pub(super) fn text_or_nil(&mut self, bytes: &[u8], longest: usize) -> WriteResult {
        if bytes.is_empty() {
            msgpack::nil(&mut self.bytes);
            return Ok(());
        }
        self.text(bytes, longest)
    }

    /// Writes the attributes in the fields `number` of `message` as one map, and says how many
    /// were left out.
    pub(super) fn attributes(
        &mut self,
        message: &[u8],
        number: u32,
        count: u32,
    ) -> WriteResult<u32> {
        self.pairs(message, number, count, MAX_DEPTH)
    }

    fn pairs(&mut self, message: &[u8], number: u32, count: u32, depth: u32) -> WriteResult<u32> {
        let head = MapHead::map(&mut self.bytes, count);
        let mut written = 0_u32;
        each(message, number, |pair| {
            self.room()?;
            let mark = self.bytes.len();
            let pair = AttributePair::read(pair)?;
            if pair.key.len() > MAX_KEY {
                self.losses.add(FormatLoss::KeyLength);
                return Ok(());
            }
            self.text(pair.key, MAX_KEY)?;
            match self.value(&pair.value, depth) {
                Ok(()) => written = written.saturating_add(1),
                Err(WriteProblem::Otlp(DecodeKind::Depth)) if depth == MAX_DEPTH => {
                    self.losses.add(FormatLoss::Depth);
                    self.bytes.truncate(mark);
                }
                Err(WriteProblem::Form(_)) if depth == MAX_DEPTH => {
                    self.losses.add(FormatLoss::ListLength);
                    self.bytes.truncate(mark);
                }
                Err(problem) => return Err(problem),
            }
            Ok(())
        })?;
        head.close(&mut self.bytes, written);
        Ok(count.saturating_sub(written))
    }

    /// Writes a value.
    fn value(&mut self, any: &[u8], depth: u32) -> WriteResult {
        let deeper = || depth.checked_sub(1).ok_or(WriteProblem::Otlp(DecodeKind::Depth));
        match AnyContent::read(any)? {
            // The host's encoders of OTLP crash on nil among the attributes of a scope, or lose all
            // attributes beside it.
            AnyContent::Unset => {
                self.losses.add(FormatLoss::Unset);
                msgpack::str(&mut self.bytes, "");
            }
            AnyContent::Text(text) => self.text(text, usize::MAX)?,
            AnyContent::Bool(value) => msgpack::bool(&mut self.bytes, value),
            AnyContent::Int(value) => msgpack::int(&mut self.bytes, value),
            AnyContent::Double(value) => msgpack::f64(&mut self.bytes, value),
            AnyContent::Bytes(bytes) => msgpack::bin(&mut self.bytes, bytes),
            AnyContent::List(list) => {
                let depth = deeper()?;
                let count = super::scan::count(&list, 1)?;
                if count >= MAX_VALUES {
                    return Err(WriteProblem::Form("a list is too long"));
                }
                msgpack::array_header(&mut self.bytes, count);
                each(&list, 1, |element| {
                    self.room()?;
                    self.value(element, depth)
                })?;
            }
            AnyContent::Map(map) => {
                let depth = deeper()?;
                let count = super::scan::count(&map, 1)?;
                self.pairs(&map, 1, count, depth)?;
            }
        }
        Ok(())
    }
}
