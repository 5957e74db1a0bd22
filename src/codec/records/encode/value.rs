//! Value encoder: msgpack values to `AnyValue` and `KeyValue`.

use std::borrow::Cow;

use crate::codec::msgpack::{ReadError, Reader, Token};
use crate::codec::records::decode::{any_value_is_valid, key_value_is_valid};
use crate::codec::records::error::ValueError;
use crate::codec::records::layout::EXT_RAW;
use crate::codec::short_copy::ShortText;
use crate::codec::wire::{self, NestedMessage, WireFields, varint_len};

/// Writes protobuf from msgpack.
#[derive(Debug, Default)]
pub struct ProtobufEncoder {
    /// What was written.
    pub out: Vec<u8>,
    /// How many texts and keys were not UTF-8, which protobuf forbids, and got U+FFFD in the places
    /// that are not; and how many ids of logs were dropped because they are none.
    pub repaired: usize,
    /// How many data points were written.
    pub(super) points: usize,
    /// Fields of the request itself, for its end.
    pub(super) request_fields: Vec<u8>,
}

/// A value that is written without knowing what follows: everything but arrays and maps.
enum Scalar<'a> {
    Nil,
    Text(Cow<'a, [u8]>),
    Bool(bool),
    Int(i64),
    Double(u64),
    Bytes(&'a [u8]),
}

impl<'a> Scalar<'a> {
    /// The number of bytes that the `AnyValue` takes.
    #[inline]
    fn len(&self) -> usize {
        let sized = |length: usize| 1 + varint_len(length as u64) + length;
        match self {
            Self::Nil => 0,
            Self::Text(text) => sized(text.len()),
            Self::Bool(_) => 2,
            Self::Int(value) => 1 + varint_len(value.cast_unsigned()),
            Self::Double(_) => 9,
            Self::Bytes(bytes) => sized(bytes.len()),
        }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => {}
            Self::Text(text) => wire::bytes(out, 1, text),
            Self::Bool(value) => wire::uint(out, 2, u64::from(*value)),
            Self::Int(value) => wire::uint(out, 3, value.cast_unsigned()),
            Self::Double(bits) => wire::fixed64(out, 4, *bits),
            Self::Bytes(bytes) => wire::bytes(out, 7, bytes),
        }
    }
}

impl ProtobufEncoder {
    /// Text as protobuf wants it.
    #[inline]
    pub(super) fn text<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if bytes.is_ascii() || std::str::from_utf8(bytes).is_ok() {
            return Cow::Borrowed(bytes);
        }
        self.repaired += 1;
        Cow::Owned(String::from_utf8_lossy(bytes).into_owned().into_bytes())
    }

    #[inline]
    fn scalar<'a>(&mut self, token: Token<'a>) -> Option<Scalar<'a>> {
        Some(match token {
            Token::Str(bytes) => Scalar::Text(self.text(bytes)),
            Token::Uint(value) => match i64::try_from(value) {
                Ok(value) => Scalar::Int(value),
                // OpenTelemetry, "Mapping arbitrary data to OTLP AnyValue", section "Integer".
                Err(_) => Scalar::Text(Cow::Owned(value.to_string().into_bytes())),
            },
            Token::Int(value) => Scalar::Int(value),
            Token::Bool(value) => Scalar::Bool(value),
            Token::Float(value) => Scalar::Double(value.to_bits()),
            Token::Nil => Scalar::Nil,
            Token::Bin(bytes) => Scalar::Bytes(bytes),
            Token::Ext(kind, bytes) if kind != EXT_RAW => Scalar::Bytes(bytes),
            _ => return None,
        })
    }

    /// Appends field `number`, a `KeyValue`: its key, and the value that `reader` has next.
    ///
    /// # Errors
    /// The value is not msgpack, nested deeper than `depth`, or not valid raw protobuf.
    #[inline]
    pub fn key_value(
        &mut self,
        number: u32,
        key: &[u8],
        reader: &mut Reader<'_>,
        depth: u32,
    ) -> Result<(), ValueError> {
        if depth == 0 {
            return Err(ValueError::Depth);
        }
        let key = self.text(key);
        let token = reader.token()?;
        if let Some(value) = self.scalar(token) {
            let inner = value.len();
            let total = 1 + varint_len(key.len() as u64) + key.len();
            let total = total + 1 + varint_len(inner as u64) + inner;
            self.out.reserve(total + 16);
            wire::key(&mut self.out, number, 2);
            wire::varint(&mut self.out, total as u64);
            wire::bytes(&mut self.out, 1, &key);
            wire::key(&mut self.out, 2, 2);
            wire::varint(&mut self.out, inner as u64);
            value.write(&mut self.out);
            return Ok(());
        }
        let pair = NestedMessage::open(&mut self.out, number, 32 + estimate(token));
        wire::bytes(&mut self.out, 1, &key);
        if let Token::Ext(_, raw) = token {
            self.raw_key_value(raw, depth)?;
        } else {
            let value = NestedMessage::open(&mut self.out, 2, estimate(token));
            self.container(token, reader, depth)?;
            value.close(&mut self.out);
        }
        pair.close(&mut self.out);
        Ok(())
    }

    /// Appends the pair that `reader` has next if it is a short key and a text, as most are; both
    /// have to be UTF-8.
    #[inline]
    fn text_pair(&mut self, number: u32, reader: &mut Reader<'_>) -> bool {
        let Some((key, rest)) = text_ahead(reader.rest()) else { return false };
        let Some((value, rest)) = text_ahead(rest) else { return false };
        if key.len() >= 0x80 || number > 15 || !key.is_utf8() || !value.is_utf8() {
            return false;
        }
        let out = &mut self.out;
        let ([key_length, ..], [value_length, ..]) =
            (key.len().to_le_bytes(), value.len().to_le_bytes());
        let [tag, ..] = ((number << 3) | 2).to_le_bytes();
        let total = key.len() + value.len() + 6;
        out.reserve(total + 64);
        if total < 0x80 {
            out.extend_from_slice(&[tag, key_length + value_length + 6, 0x0a, key_length]);
            key.write(out);
            out.extend_from_slice(&[0x12, value_length + 2, 0x0a, value_length]);
            value.write(out);
        } else {
            let inner = 1 + varint_len(value.len() as u64) + value.len();
            let total = 2 + key.len() + 1 + varint_len(inner as u64) + inner;
            out.push(tag);
            wire::varint(out, total as u64);
            out.extend_from_slice(&[0x0a, key_length]);
            key.write(out);
            out.push(0x12);
            wire::varint(out, inner as u64);
            out.push(0x0a);
            wire::varint(out, value.len() as u64);
            value.write(out);
        }
        *reader = Reader::new(rest);
        true
    }

    #[cold]
    fn raw_key_value(&mut self, raw: &[u8], depth: u32) -> Result<(), ValueError> {
        if !key_value_is_valid(raw, depth) {
            return Err(ValueError::Raw);
        }
        let mut fields = WireFields::new(raw);
        while let Ok(Some(field)) = fields.read() {
            if field.number != 1 {
                self.out.extend_from_slice(field.raw);
            }
        }
        Ok(())
    }

    /// Appends field `number`, an `AnyValue`: the value that `reader` has next.
    ///
    /// # Errors
    /// The value is not msgpack, nested deeper than `depth`, or not valid raw protobuf.
    #[inline]
    pub fn any_value(
        &mut self,
        number: u32,
        reader: &mut Reader<'_>,
        depth: u32,
    ) -> Result<(), ValueError> {
        if depth == 0 {
            return Err(ValueError::Depth);
        }
        let token = reader.token()?;
        if let Some(value) = self.scalar(token) {
            wire::key(&mut self.out, number, 2);
            wire::varint(&mut self.out, value.len() as u64);
            value.write(&mut self.out);
        } else if let Token::Ext(_, raw) = token {
            if !any_value_is_valid(raw, depth) {
                return Err(ValueError::Raw);
            }
            wire::bytes(&mut self.out, number, raw);
        } else {
            let value = NestedMessage::open(&mut self.out, number, estimate(token));
            self.container(token, reader, depth)?;
            value.close(&mut self.out);
        }
        Ok(())
    }

    /// Appends the field of an `AnyValue` that is an array or a map.
    fn container(
        &mut self,
        token: Token<'_>,
        reader: &mut Reader<'_>,
        depth: u32,
    ) -> Result<(), ValueError> {
        match token {
            Token::Array(elements) => {
                let array = NestedMessage::open(&mut self.out, 5, estimate(token));
                for _ in 0..elements {
                    self.any_value(1, reader, depth - 1)?;
                }
                array.close(&mut self.out);
            }
            Token::Map(pairs) => {
                let list = NestedMessage::open(&mut self.out, 6, estimate(token));
                self.key_values(1, pairs, reader, depth - 1)?;
                list.close(&mut self.out);
            }
            _ => {}
        }
        Ok(())
    }

    /// Appends the pairs that `reader` has next, each as field `number`.
    ///
    /// # Errors
    /// A value is not msgpack, nested deeper than `depth`, or not valid raw protobuf.
    #[inline]
    pub fn key_values(
        &mut self,
        number: u32,
        pairs: u32,
        reader: &mut Reader<'_>,
        depth: u32,
    ) -> Result<(), ValueError> {
        for _ in 0..pairs {
            if depth > 0 && self.text_pair(number, reader) {
                continue;
            }
            match reader.token()? {
                Token::Str(key) => self.key_value(number, key, reader, depth)?,
                other => {
                    let key = odd_key(other)?;
                    self.key_value(number, &key, reader, depth)?;
                }
            }
        }
        Ok(())
    }
}

/// The text that an input starts with, if it is shorter than 64 KiB, and what follows it.
#[inline(always)]
fn text_ahead(input: &[u8]) -> Option<(ShortText<'_>, &[u8])> {
    match input {
        [head @ 0xa0..=0xbf, from @ ..] => ShortText::new(from, usize::from(head & 0x1f)),
        [0xd9, length, from @ ..] => ShortText::new(from, usize::from(*length)),
        [0xda, high, low, from @ ..] => {
            ShortText::new(from, usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}

/// The text of a key that is none, as filters and inputs without a schema write them.
#[cold]
pub(super) fn odd_key(token: Token<'_>) -> Result<Cow<'_, [u8]>, ValueError> {
    let text = match token {
        Token::Str(bytes) | Token::Bin(bytes) => return Ok(Cow::Borrowed(bytes)),
        Token::Uint(value) => value.to_string(),
        Token::Int(value) => value.to_string(),
        Token::Float(value) => value.to_string(),
        Token::Bool(value) => value.to_string(),
        Token::Nil => return Ok(Cow::Borrowed(b"null")),
        Token::Array(_) | Token::Map(_) | Token::Ext(..) => return Err(ReadError::Type.into()),
    };
    Ok(Cow::Owned(text.into_bytes()))
}

/// About how many bytes a container will take.
#[inline]
const fn estimate(token: Token<'_>) -> usize {
    match token {
        Token::Array(count) => count as usize * 16,
        Token::Map(count) => count as usize * 32,
        _ => 0,
    }
}
