//! `KeyValue` and `AnyValue` to msgpack.

use crate::codec::msgpack;
use crate::codec::records::error::{DecodeKind, Decoded, Fault};
use crate::codec::records::schema::EXT_RAW;
use crate::codec::wire::{Fields, WireField, WireValue};

/// Whether msgpack can express the value that was just written. If not, what was written only proved
/// that the value is valid, and the caller puts an extension in its place.
type Expressible = bool;

/// Reads a field; `None` at the end.
#[inline(always)]
pub(super) fn next<'a>(fields: &mut Fields<'a>) -> Decoded<Option<WireField<'a>>> {
    let near = fields.rest();
    fields.read().map_err(|error| Fault::new(error, near))
}

/// Writes text, if it is UTF-8.
#[inline]
pub(super) fn text(bytes: &[u8], out: &mut Vec<u8>) -> Decoded {
    // Most text is ASCII, which is quicker to see.
    if !bytes.is_ascii() && std::str::from_utf8(bytes).is_err() {
        return Err(Fault::new(DecodeKind::Utf8, bytes));
    }
    msgpack::str_bytes(out, bytes);
    Ok(())
}

/// Writes one `KeyValue` as a pair of a map; values may nest `depth` levels.
#[inline]
pub(super) fn key_value(bytes: &[u8], out: &mut Vec<u8>, depth: u32) -> Decoded {
    let Some((key, value)) = plain_key_value(bytes) else {
        return odd_key_value(bytes, out, depth);
    };
    text(key, out).map_err(|fault| fault.within("key"))?;
    let mark = out.len();
    if !any_value(value, out, depth).map_err(|fault| fault.within_key(key))? {
        out.truncate(mark);
        raw_key_value(bytes, out)?;
    }
    Ok(())
}

/// Key and value of a `KeyValue` as every encoder writes it: the key, then the value, and no more.
#[inline]
fn plain_key_value(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let [0x0a, length, rest @ ..] = bytes else { return None };
    if *length >= 0x80 {
        return None;
    }
    let (key, rest) = rest.split_at_checked(usize::from(*length))?;
    let [0x12, rest @ ..] = rest else { return None };
    let mut value = Fields::new(rest);
    let length = value.varint().ok()?;
    (length == value.rest().len() as u64).then_some((key, value.rest()))
}

/// Any `KeyValue`: fields in any order, repeated, absent or unknown.
#[cold]
fn odd_key_value(bytes: &[u8], out: &mut Vec<u8>, depth: u32) -> Decoded {
    let (mut key, mut values, mut plain): (&[u8], u32, bool) = (&[], 0, true);
    let mut value = Vec::new();
    let mut fields = Fields::new(bytes);
    while let Some(field) = next(&mut fields)? {
        match (field.number, field.value) {
            (1, WireValue::Bytes(text)) => key = text,
            (2, WireValue::Bytes(message)) => {
                value.extend_from_slice(message);
                values += 1;
            }
            (3, WireValue::Varint(0)) => {}
            (1..=2, _) => return Err(Fault::new(DecodeKind::WireType, field.raw)),
            _ => plain = false,
        }
    }
    text(key, out).map_err(|fault| fault.within("key"))?;
    let mark = out.len();
    plain &= any_value(&value, out, depth).map_err(|fault| fault.within_key(key))?;
    if !plain || values == 0 {
        out.truncate(mark);
        raw_key_value(bytes, out)?;
    }
    Ok(())
}

/// Writes a `KeyValue` without its key as an extension.
#[cold]
fn raw_key_value(bytes: &[u8], out: &mut Vec<u8>) -> Decoded {
    let mut raw = Vec::with_capacity(bytes.len());
    let mut fields = Fields::new(bytes);
    while let Some(field) = next(&mut fields)? {
        if field.number != 1 {
            raw.extend_from_slice(field.raw);
        }
    }
    msgpack::ext(out, EXT_RAW, &raw);
    Ok(())
}

/// Writes an `AnyValue` that stands in no map: what msgpack cannot express becomes an extension.
#[inline]
pub(super) fn element(bytes: &[u8], out: &mut Vec<u8>, depth: u32) -> Decoded<Expressible> {
    let mark = out.len();
    let expressible = any_value(bytes, out, depth)?;
    if !expressible {
        out.truncate(mark);
        msgpack::ext(out, EXT_RAW, bytes);
    }
    Ok(expressible)
}

/// Writes an `AnyValue`.
#[inline]
fn any_value(bytes: &[u8], out: &mut Vec<u8>, depth: u32) -> Decoded<Expressible> {
    let mut fields = Fields::new(bytes);
    match next(&mut fields)? {
        None => {
            check_depth(bytes, depth)?;
            msgpack::nil(out);
            Ok(true)
        }
        Some(field) if fields.rest().is_empty() => one_value(&field, out, depth),
        Some(_) => odd_value(bytes, out, depth),
    }
}

#[inline]
fn check_depth(bytes: &[u8], depth: u32) -> Decoded {
    if depth == 0 { Err(Fault::new(DecodeKind::Depth, bytes)) } else { Ok(()) }
}

/// Writes the one field of an `AnyValue`.
#[inline]
fn one_value(field: &WireField<'_>, out: &mut Vec<u8>, depth: u32) -> Decoded<Expressible> {
    check_depth(field.raw, depth)?;
    match (field.number, field.value) {
        (1, WireValue::Bytes(bytes)) => text(bytes, out)?,
        (2, WireValue::Varint(value)) => msgpack::bool(out, value != 0),
        (3, WireValue::Varint(value)) => msgpack::int(out, value.cast_signed()),
        (4, WireValue::Fixed64(bits)) => msgpack::f64(out, f64::from_bits(bits)),
        (5, WireValue::Bytes(array)) => return array_value(array, out, depth - 1),
        (6, WireValue::Bytes(list)) => return kvlist(list, out, depth - 1),
        (7, WireValue::Bytes(bytes)) => msgpack::bin(out, bytes),
        (8, WireValue::Varint(_)) => return Ok(false),
        (1..=8, _) => return Err(Fault::new(DecodeKind::WireType, field.raw)),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Any `AnyValue`: of several fields the last counts, and a message that comes twice is merged, as
/// protobuf asks.
#[cold]
fn odd_value(bytes: &[u8], out: &mut Vec<u8>, depth: u32) -> Decoded<Expressible> {
    let mut last: Option<WireField<'_>> = None;
    let mut merged = Vec::new();
    let mut plain = true;
    let mut fields = Fields::new(bytes);
    while let Some(field) = next(&mut fields)? {
        match (field.number, field.value) {
            (5 | 6, WireValue::Bytes(message)) => {
                if last.is_none_or(|last| last.number != field.number) {
                    merged.clear();
                }
                merged.extend_from_slice(message);
            }
            (1..=8, _) => {}
            _ => {
                plain = false;
                continue;
            }
        }
        last = Some(field);
    }
    let Some(mut field) = last else { return Ok(false) };
    if let (5 | 6, WireValue::Bytes(_)) = (field.number, field.value) {
        field.value = WireValue::Bytes(&merged);
    }
    Ok(one_value(&field, out, depth)? && plain)
}

/// The number of fields 1 that hold a message, and whether there is nothing else.
#[inline]
fn count(bytes: &[u8]) -> Decoded<(u32, bool)> {
    let (mut count, mut plain) = (0, true);
    let mut fields = Fields::new(bytes);
    while let Some(field) = next(&mut fields)? {
        match (field.number, field.value) {
            (1, WireValue::Bytes(_)) => count += 1,
            (1, _) => return Err(Fault::new(DecodeKind::WireType, field.raw)),
            _ => plain = false,
        }
    }
    Ok((count, plain))
}

fn array_value(bytes: &[u8], out: &mut Vec<u8>, depth: u32) -> Decoded<Expressible> {
    let (count, plain) = count(bytes)?;
    msgpack::array_header(out, count);
    let mut fields = Fields::new(bytes);
    let mut index = 0;
    while let Some(field) = next(&mut fields)? {
        if let (1, WireValue::Bytes(value)) = (field.number, field.value) {
            element(value, out, depth).map_err(|fault| fault.within_index("", index))?;
            index += 1;
        }
    }
    Ok(plain)
}

fn kvlist(bytes: &[u8], out: &mut Vec<u8>, depth: u32) -> Decoded<Expressible> {
    let (count, plain) = count(bytes)?;
    msgpack::map_header(out, count);
    let mut fields = Fields::new(bytes);
    while let Some(field) = next(&mut fields)? {
        if let (1, WireValue::Bytes(pair)) = (field.number, field.value) {
            key_value(pair, out, depth)?;
        }
    }
    Ok(plain)
}

/// Whether the fields of a `KeyValue` without key are valid.
pub(in crate::codec::records) fn key_value_is_valid(bytes: &[u8], depth: u32) -> bool {
    odd_key_value(bytes, &mut Vec::new(), depth).is_ok()
}

/// Whether the fields of an `AnyValue` are valid.
pub(in crate::codec::records) fn any_value_is_valid(bytes: &[u8], depth: u32) -> bool {
    any_value(bytes, &mut Vec::new(), depth).is_ok()
}
