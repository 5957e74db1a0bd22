//! Lenient scalar reader: fields whose type is known, where nil is the empty value everywhere.

use super::tally::ReadFault;
use crate::codec::msgpack::{MapView, Reader, Token, elements};
use crate::codec::wire;
use crate::model::hex_digit;

/// The first token of an encoded value.
pub(super) fn token(value: &[u8]) -> Token<'_> {
    Reader::new(value).token().unwrap_or(Token::Nil)
}

pub(super) fn is_map(value: &[u8]) -> bool {
    matches!(token(value), Token::Map(_))
}

/// A map; nil is an empty one.
pub(super) fn map(value: &[u8]) -> Result<MapView<'_>, ReadFault> {
    match token(value) {
        Token::Map(_) | Token::Nil => Ok(MapView::new(value)),
        _ => Err("is not a map"),
    }
}

/// A list; nil is an empty one.
pub(super) fn list(value: &[u8]) -> Result<impl Iterator<Item = &[u8]>, ReadFault> {
    match token(value) {
        Token::Array(_) | Token::Nil => Ok(elements(value)),
        _ => Err("is not a list"),
    }
}

pub(super) fn uint(value: &[u8]) -> Result<u64, ReadFault> {
    match token(value) {
        Token::Uint(number) => Ok(number),
        Token::Int(number) => u64::try_from(number).map_err(|_| "is negative"),
        Token::Nil => Ok(0),
        _ => Err("is not an integer"),
    }
}

/// A number of 32 bits; a larger one becomes the largest, a negative one zero.
pub(super) fn uint32(value: &[u8]) -> Result<u64, ReadFault> {
    Ok(u64::try_from(int(value)?).unwrap_or(0).min(u64::from(u32::MAX)))
}

pub(super) fn int(value: &[u8]) -> Result<i64, ReadFault> {
    match token(value) {
        Token::Uint(number) => Ok(i64::try_from(number).unwrap_or(i64::MAX)),
        Token::Int(number) => Ok(number),
        Token::Nil => Ok(0),
        _ => Err("is not an integer"),
    }
}

/// A number of 32 bits with a sign; what lies outside becomes the nearest one.
pub(super) fn int32(value: &[u8]) -> Result<i64, ReadFault> {
    Ok(int(value)?.clamp(i64::from(i32::MIN), i64::from(i32::MAX)))
}

/// A double; an integer is one too.
pub(super) fn double(value: &[u8]) -> Result<f64, ReadFault> {
    match token(value) {
        Token::Float(number) => Ok(number),
        Token::Uint(number) => Ok(number as f64),
        Token::Int(number) => Ok(number as f64),
        _ => Err("is not a number"),
    }
}

/// A double that is given as the integer which has the same bits.
pub(super) fn double_bits(value: &[u8]) -> Result<f64, ReadFault> {
    match token(value) {
        Token::Float(number) => Ok(number),
        _ => uint(value).map(f64::from_bits),
    }
}

/// Text; bytes are taken for text too.
pub(super) fn text(value: &[u8]) -> Result<&[u8], ReadFault> {
    match token(value) {
        Token::Str(text) | Token::Bin(text) => Ok(text),
        Token::Nil => Ok(&[]),
        _ => Err("is not text"),
    }
}

/// The field `number` of type `bytes` with an id of any length: hex text of either case, or the
/// bytes themselves. What fails may have written a part.
pub(super) fn write_id(out: &mut Vec<u8>, number: u32, value: &[u8]) -> Result<(), ReadFault> {
    match token(value) {
        Token::Nil | Token::Bin([]) | Token::Str([]) => Ok(()),
        Token::Bin(bytes) => {
            wire::bytes(out, number, bytes);
            Ok(())
        }
        Token::Str(text) if text.len() % 2 == 0 => {
            wire::length(out, number, text.len() / 2);
            text.chunks_exact(2).try_for_each(|pair| {
                out.push(hex_pair(pair).ok_or("is not hex")?);
                Ok(())
            })
        }
        Token::Str(_) => Err("has an odd number of hex digits"),
        _ => Err("is not an id"),
    }
}

fn hex_pair(pair: &[u8]) -> Option<u8> {
    match *pair {
        [high, low] => Some((hex_digit(high)? << 4) | hex_digit(low)?),
        _ => None,
    }
}
