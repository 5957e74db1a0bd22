//! Table-driven encoder: a map to any OTLP message.
//!
//! Filters rewrite maps: keys may come in any order, integers may have become floats, bytes may have
//! become text, an empty map may have become an empty array. All of that is read.

use super::value::{ProtobufEncoder, odd_key};
use crate::codec::msgpack::{ReadError, Reader, Token};
use crate::codec::records::error::{EncodeError, ValueError};
use crate::codec::records::layout::MAX_DEPTH;
use crate::codec::records::record::integer;
use crate::codec::records::schema::{
    FieldForm, FieldLayout, LayoutPresence, MessageLayout, UNKNOWN_FIELDS,
};
use crate::codec::wire::{self, NestedMessage, WireFields};
use crate::model::hex_digit;

impl ProtobufEncoder {
    /// Appends the fields of the message that the map `reader` has next stands for.
    pub(super) fn map(
        &mut self,
        message: &'static MessageLayout,
        reader: &mut Reader<'_>,
    ) -> Result<(), EncodeError> {
        let pairs = pairs(reader.token().map_err(|error| at("record", error))?)
            .map_err(|error| at("record", error))?;
        self.message(message, pairs, reader)
    }

    /// Appends the fields of a message that `pairs` pairs stand for.
    pub(super) fn message(
        &mut self,
        message: &'static MessageLayout,
        pairs: u32,
        reader: &mut Reader<'_>,
    ) -> Result<(), EncodeError> {
        let mut expected = message.fields;
        for _ in 0..pairs {
            let field = match find(expected, reader) {
                Some((field, rest)) => {
                    expected = rest;
                    field
                }
                None => {
                    let key = reader.token().map_err(|error| at("key", error))?;
                    match self.odd_field(message, key, reader)? {
                        Some(field) => field,
                        None => continue,
                    }
                }
            };
            self.field(field, reader)?;
        }
        Ok(())
    }

    /// Finds the field of a key that comes out of order; appends what no field has.
    #[cold]
    fn odd_field(
        &mut self,
        message: &'static MessageLayout,
        key: Token<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<Option<&'static FieldLayout>, EncodeError> {
        let key = odd_key(key).map_err(|error| at("key", error))?;
        if let Some(field) = message.index_of_key(&key).and_then(|index| message.fields.get(index))
        {
            return Ok(Some(field));
        }
        if *key == *UNKNOWN_FIELDS.as_bytes() {
            let raw = reader.skip().map_err(|error| at(UNKNOWN_FIELDS, error))?;
            self.raw_fields(raw).map_err(|error| at(UNKNOWN_FIELDS, error))?;
        } else if message.extras != 0 {
            self.key_value(message.extras, &key, reader, MAX_DEPTH)
                .map_err(|error| at("attributes", error))?;
        } else {
            reader.skip().map_err(|error| at("record", error))?;
        }
        Ok(None)
    }

    /// Appends fields that were kept as they came.
    pub(super) fn raw_fields(&mut self, encoded: &[u8]) -> Result<(), ValueError> {
        let (Token::Bin(raw) | Token::Str(raw)) = Reader::new(encoded).token()? else {
            return Err(ReadError::Type.into());
        };
        let mut fields = WireFields::new(raw);
        while fields.read().map_err(|_| ValueError::Raw)?.is_some() {}
        self.out.extend_from_slice(raw);
        Ok(())
    }

    #[inline]
    pub(super) fn field(
        &mut self,
        field: &'static FieldLayout,
        reader: &mut Reader<'_>,
    ) -> Result<(), EncodeError> {
        if matches!(field.kind, FieldForm::Body) {
            // The body has no key; a pair whose key is empty is none of ours.
            return reader.skip().map(drop).map_err(|error| at(field.name, error));
        }
        let token = reader.token().map_err(|error| at(field.name, error))?;
        match (field.kind, token) {
            (_, Token::Nil) => Ok(()),
            (FieldForm::Message(inner), token) => {
                let pairs = pairs(token).map_err(|error| at(field.name, error))?;
                self.nested(inner, field.number, pairs, reader)
            }
            (FieldForm::Messages(inner), token) => self.messages(field, inner, token, reader),
            (FieldForm::Attributes(_), token) => pairs(token)
                .and_then(|pairs| self.key_values(field.number, pairs, reader, MAX_DEPTH))
                .map_err(|error| at(field.name, error)),
            (
                FieldForm::Strs | FieldForm::Fixed64s | FieldForm::Doubles | FieldForm::Varints,
                token,
            ) => self.list(field, token, reader).map_err(|error| at(field.name, error)),
            (_, Token::Array(_) | Token::Map(_)) => Err(at(field.name, ReadError::Type)),
            (FieldForm::Str | FieldForm::Hex | FieldForm::Bin, token) => {
                self.bytes(field, token).map_err(|error| at(field.name, error))
            }
            (_, token) => self.number(field, token).map_err(|error| at(field.name, error)),
        }
    }

    #[inline]
    fn nested(
        &mut self,
        message: &'static MessageLayout,
        number: u32,
        pairs: u32,
        reader: &mut Reader<'_>,
    ) -> Result<(), EncodeError> {
        let nested = NestedMessage::open(&mut self.out, number, pairs as usize * 24);
        self.message(message, pairs, reader)?;
        nested.close(&mut self.out);
        Ok(())
    }

    fn messages(
        &mut self,
        field: &'static FieldLayout,
        message: &'static MessageLayout,
        token: Token<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<(), EncodeError> {
        let elements = elements(token).map_err(|error| at(field.name, error))?;
        if field.name == "data_points" {
            self.points += elements as usize;
        }
        for _ in 0..elements {
            let pairs = reader
                .token()
                .map_err(ValueError::from)
                .and_then(pairs)
                .map_err(|error| at(field.name, error))?;
            self.nested(message, field.number, pairs, reader)?;
        }
        Ok(())
    }

    fn list(
        &mut self,
        field: &FieldLayout,
        token: Token<'_>,
        reader: &mut Reader<'_>,
    ) -> Result<(), ValueError> {
        let elements = elements(token)?;
        if elements == 0 {
            return Ok(());
        }
        if matches!(field.kind, FieldForm::Strs) {
            for _ in 0..elements {
                let (Token::Str(text) | Token::Bin(text)) = reader.token()? else {
                    return Err(ReadError::Type.into());
                };
                let text = self.text(text);
                wire::bytes(&mut self.out, field.number, &text);
            }
            return Ok(());
        }
        let packed = NestedMessage::open(&mut self.out, field.number, elements as usize * 8);
        for _ in 0..elements {
            let token = reader.token()?;
            match field.kind {
                FieldForm::Doubles => self.out.extend_from_slice(&double(token)?.to_le_bytes()),
                FieldForm::Varints => wire::varint(&mut self.out, unsigned(token)?),
                _ => self.out.extend_from_slice(&unsigned(token)?.to_le_bytes()),
            }
        }
        packed.close(&mut self.out);
        Ok(())
    }

    #[inline]
    fn number(&mut self, field: &FieldLayout, token: Token<'_>) -> Result<(), ValueError> {
        let bits = match field.kind {
            FieldForm::Double => double(token)?,
            FieldForm::Uint32 | FieldForm::Fixed32 => {
                u64::from(narrow::<u32, _>(unsigned(token)?)?)
            }
            FieldForm::Fixed64 => unsigned(token)?,
            FieldForm::Sfixed64 => signed(token)?.cast_unsigned(),
            FieldForm::Sint32 => wire::zigzag(i64::from(narrow::<i32, _>(signed(token)?)?)),
            FieldForm::Enum([]) if signed(token).is_err() => {
                // A severity that is no number, which JSON can bring in, is not worth the record.
                self.repaired += 1;
                return Ok(());
            }
            FieldForm::Enum(names) => enumeration(names, token)?,
            FieldForm::Bool => match token {
                Token::Bool(value) => u64::from(value),
                token => u64::from(double(token)? << 1 != 0),
            },
            _ => return Ok(()),
        };
        if bits == 0 && matches!(field.presence, LayoutPresence::Implicit | LayoutPresence::Always)
        {
            return Ok(());
        }
        match field.kind {
            FieldForm::Double | FieldForm::Fixed64 | FieldForm::Sfixed64 => {
                wire::fixed64(&mut self.out, field.number, bits);
            }
            FieldForm::Fixed32 => wire::fixed32(&mut self.out, field.number, narrow(bits)?),
            _ => wire::uint(&mut self.out, field.number, bits),
        }
        Ok(())
    }

    #[inline]
    fn bytes(&mut self, field: &FieldLayout, token: Token<'_>) -> Result<(), ValueError> {
        match (field.kind, token) {
            (FieldForm::Str, Token::Str(text) | Token::Bin(text)) => {
                if !text.is_empty() {
                    let text = self.text(text);
                    wire::bytes(&mut self.out, field.number, &text);
                }
            }
            (FieldForm::Str, other) => wire::bytes(&mut self.out, field.number, &odd_key(other)?),
            (FieldForm::Bin, token) => self.log_id(field, token),
            (_, Token::Bin(bytes)) => self.id(field.number, bytes),
            (_, Token::Str(text)) => return self.hex(field.number, text),
            _ => return Err(ReadError::Type.into()),
        }
        Ok(())
    }

    #[inline]
    fn id(&mut self, number: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            wire::bytes(&mut self.out, number, bytes);
        }
    }

    #[inline]
    fn hex(&mut self, number: u32, text: &[u8]) -> Result<(), ValueError> {
        if text.is_empty() {
            return Ok(());
        }
        let (pairs, rest) = text.as_chunks::<2>();
        if !rest.is_empty() {
            return Err(ValueError::Hex);
        }
        if let Some(id) = pairs.first_chunk::<16>().filter(|id| id.len() == pairs.len()) {
            wire::bytes(&mut self.out, number, &read_hex(id)?);
        } else if let Some(id) = pairs.first_chunk::<8>().filter(|id| id.len() == pairs.len()) {
            wire::bytes(&mut self.out, number, &read_hex(id)?);
        } else {
            let bytes = pairs.iter().map(|pair| read_hex(&[*pair]).map(|[byte]| byte));
            wire::bytes(&mut self.out, number, &bytes.collect::<Result<Vec<u8>, _>>()?);
        }
        Ok(())
    }

    /// The id of a log record: bytes as we and Fluent Bit write it, hex text from JSON, or bytes
    /// that a filter turned into text. Anything else is dropped and counted, because the rest of
    /// the record is worth more.
    fn log_id(&mut self, field: &FieldLayout, token: Token<'_>) {
        let length = if field.number == 9 { 16 } else { 8 };
        match token {
            Token::Bin(bytes) => self.id(field.number, bytes),
            Token::Str(text) if text.len() == length => self.id(field.number, text),
            Token::Str(text) if self.hex(field.number, text).is_ok() => {}
            _ => self.repaired += 1,
        }
    }
}

/// The bytes that pairs of digits stand for.
#[inline]
fn read_hex<const N: usize>(pairs: &[[u8; 2]; N]) -> Result<[u8; N], ValueError> {
    let mut bytes = [0; N];
    let mut valid = true;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (hex_digit(*high), hex_digit(*low));
        valid &= high.is_some() && low.is_some();
        *byte = (high.unwrap_or(0) << 4) | low.unwrap_or(0);
    }
    if valid { Ok(bytes) } else { Err(ValueError::Hex) }
}

fn at(field: &'static str, error: impl Into<ValueError>) -> EncodeError {
    EncodeError::Field { field, error: error.into() }
}

/// The field whose key `reader` has next, searched from where a record in our own order has it, and
/// the fields after it.
#[inline]
pub(super) fn find(
    expected: &'static [FieldLayout],
    reader: &mut Reader<'_>,
) -> Option<(&'static FieldLayout, &'static [FieldLayout])> {
    let rest = reader.rest();
    let mut fields = expected;
    while let [field, after @ ..] = fields {
        if let Some(value) = field.key.strip(rest) {
            *reader = Reader::new(value);
            return Some((field, after));
        }
        fields = after;
    }
    None
}

/// The pairs of a map; an empty array is an empty map that went through Lua.
fn pairs(token: Token<'_>) -> Result<u32, ValueError> {
    match token {
        Token::Map(pairs) => Ok(pairs),
        Token::Array(0) => Ok(0),
        _ => Err(ReadError::Type.into()),
    }
}

/// The elements of an array; an empty map is an empty array that went through Lua.
fn elements(token: Token<'_>) -> Result<u32, ValueError> {
    match token {
        Token::Array(elements) => Ok(elements),
        Token::Map(0) => Ok(0),
        _ => Err(ReadError::Type.into()),
    }
}

#[inline]
fn narrow<T: TryFrom<V>, V>(value: V) -> Result<T, ValueError> {
    T::try_from(value).map_err(|_| ValueError::Range)
}

#[inline]
fn unsigned(token: Token<'_>) -> Result<u64, ValueError> {
    match token {
        Token::Uint(value) => Ok(value),
        Token::Int(value) => narrow(value),
        Token::Float(value) => integer(value).ok_or(ValueError::Range),
        _ => Err(ReadError::Type.into()),
    }
}

#[inline]
fn signed(token: Token<'_>) -> Result<i64, ValueError> {
    match token {
        Token::Uint(value) => narrow(value),
        Token::Int(value) => Ok(value),
        Token::Float(value) if value < 0.0 => {
            let positive = integer(-value).ok_or(ValueError::Range)?;
            0_i64.checked_sub_unsigned(positive).ok_or(ValueError::Range)
        }
        Token::Float(value) => narrow(integer(value).ok_or(ValueError::Range)?),
        _ => Err(ReadError::Type.into()),
    }
}

/// The bits of a double.
#[inline]
fn double(token: Token<'_>) -> Result<u64, ValueError> {
    match token {
        Token::Float(value) => Ok(value.to_bits()),
        Token::Uint(value) => Ok((value as f64).to_bits()),
        Token::Int(value) => Ok((value as f64).to_bits()),
        _ => Err(ReadError::Type.into()),
    }
}

fn enumeration(names: &[&str], token: Token<'_>) -> Result<u64, ValueError> {
    if let Token::Str(text) = token {
        let position = names.iter().position(|name| name.as_bytes() == text);
        return position.map(|position| position as u64).ok_or(ValueError::Range);
    }
    Ok(i64::from(narrow::<i32, _>(signed(token)?)?).cast_unsigned())
}
