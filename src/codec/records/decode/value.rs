//! Value transcoder: `KeyValue` and `AnyValue` to msgpack.

use super::raw::{self, ValueForm};
use crate::codec::msgpack;
use crate::codec::records::error::{DecodeFault, DecodeKind, DecodeResult};
use crate::codec::records::layout::Nesting;
use crate::codec::wire::{WireField, WireFields, WireValue};

/// Reads a field; `None` at the end.
#[inline(always)]
pub(super) fn next<'a>(fields: &mut WireFields<'a>) -> DecodeResult<Option<WireField<'a>>> {
    let near = fields.rest();
    fields.read().map_err(|error| DecodeFault::new(error, near))
}

/// Writes text, if it is UTF-8.
#[inline]
pub(super) fn text(bytes: &[u8], out: &mut Vec<u8>) -> DecodeResult {
    // Most text is ASCII, which is quicker to see.
    if !bytes.is_ascii() && std::str::from_utf8(bytes).is_err() {
        return Err(DecodeFault::new(DecodeKind::Utf8, bytes));
    }
    msgpack::str_bytes(out, bytes);
    Ok(())
}

/// Writes one `KeyValue` as a pair of a map. Returns [`ValueForm::Whole`] or [`ValueForm::Marked`].
#[inline(always)]
pub(super) fn key_value(
    bytes: &[u8],
    out: &mut Vec<u8>,
    nesting: Nesting,
) -> DecodeResult<ValueForm> {
    let Some((key, value)) = plain_key_value(bytes) else {
        return odd_key_value(bytes, out, nesting);
    };
    text(key, out).map_err(|fault| fault.within("key"))?;
    let start = out.len();
    let form = any_value(value, out, nesting).map_err(|fault| fault.within_key(key))?;
    Ok(if form >= ValueForm::Partly { mark_plain_pair(value, form, out, start) } else { form })
}

/// Marks the value of a pair that has nothing but a key and this value.
#[cold]
#[inline(never)]
fn mark_plain_pair(value: &[u8], form: ValueForm, out: &mut Vec<u8>, start: usize) -> ValueForm {
    raw::mark_pair(out, start, Vec::new(), Some(raw::remainder(value, form)));
    ValueForm::Marked
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
    let mut value = WireFields::new(rest);
    let length = value.varint().ok()?;
    (length == value.rest().len() as u64).then_some((key, value.rest()))
}

/// Any `KeyValue`: fields in any order, repeated, absent or unknown.
#[cold]
fn odd_key_value(bytes: &[u8], out: &mut Vec<u8>, nesting: Nesting) -> DecodeResult<ValueForm> {
    let mut key: &[u8] = &[];
    let (mut value, mut others) = (None::<Vec<u8>>, Vec::new());
    let mut fields = WireFields::new(bytes);
    while let Some(field) = next(&mut fields)? {
        match (field.number, field.value) {
            (1, WireValue::Bytes(text)) => key = text,
            (2, WireValue::Bytes(part)) => value.get_or_insert_default().extend_from_slice(part),
            (3, WireValue::Varint(0)) => {}
            (1..=2, _) => return Err(DecodeFault::new(DecodeKind::WireType, field.raw)),
            _ => others.extend_from_slice(field.raw),
        }
    }
    text(key, out).map_err(|fault| fault.within("key"))?;
    let start = out.len();
    let given = value.as_deref().unwrap_or_default();
    let form = any_value(given, out, nesting).map_err(|fault| fault.within_key(key))?;
    if form < ValueForm::Partly && others.is_empty() && value.is_some() {
        return Ok(form);
    }
    // Nil in the record says nothing: all that was given is beside it.
    let beside = if out.get(start) == Some(&0xc0) { ValueForm::Unsaid } else { form };
    let rest = value.is_some().then(|| raw::remainder(given, beside));
    raw::mark_pair(out, start, others, rest.filter(|_| beside >= ValueForm::Partly));
    Ok(ValueForm::Marked)
}

/// Writes an `AnyValue` that stands in no map. Returns [`ValueForm::Whole`] or [`ValueForm::Marked`].
#[inline]
pub(super) fn element(
    bytes: &[u8],
    out: &mut Vec<u8>,
    nesting: Nesting,
) -> DecodeResult<ValueForm> {
    let start = out.len();
    let form = any_value(bytes, out, nesting)?;
    if form >= ValueForm::Partly {
        raw::mark(out, start, &raw::remainder(bytes, form));
        return Ok(ValueForm::Marked);
    }
    Ok(form)
}

/// Writes an `AnyValue`.
#[inline(always)]
fn any_value(bytes: &[u8], out: &mut Vec<u8>, nesting: Nesting) -> DecodeResult<ValueForm> {
    let mut fields = WireFields::new(bytes);
    match next(&mut fields)? {
        None => {
            check_depth(bytes, nesting)?;
            msgpack::nil(out);
            Ok(ValueForm::Whole)
        }
        Some(field) if fields.rest().is_empty() => one_value(&field, out, nesting),
        Some(_) => odd_value(bytes, out, nesting),
    }
}

#[inline]
fn check_depth(bytes: &[u8], nesting: Nesting) -> DecodeResult {
    if nesting.is_too_deep() { Err(DecodeFault::new(DecodeKind::Depth, bytes)) } else { Ok(()) }
}

/// Writes the one field of an `AnyValue`.
#[inline(always)]
fn one_value(
    field: &WireField<'_>,
    out: &mut Vec<u8>,
    nesting: Nesting,
) -> DecodeResult<ValueForm> {
    check_depth(field.raw, nesting)?;
    match (field.number, field.value) {
        (1, WireValue::Bytes(bytes)) => text(bytes, out)?,
        (2, WireValue::Varint(value)) => msgpack::bool(out, value != 0),
        (3, WireValue::Varint(value)) => msgpack::int(out, value.cast_signed()),
        (4, WireValue::Fixed64(bits)) => msgpack::f64(out, f64::from_bits(bits)),
        (5 | 6, WireValue::Bytes(inner)) => return container(field.number, inner, out, nesting),
        // The host's opentelemetry output crashes on bytes of length 0.
        (7, WireValue::Bytes([])) => return Ok(unsaid(out)),
        (7, WireValue::Bytes(bytes)) => msgpack::bin(out, bytes),
        (1..=7, _) => return Err(DecodeFault::new(DecodeKind::WireType, field.raw)),
        (8, WireValue::Varint(_)) => return Ok(unsaid(out)),
        (8, _) => return Err(DecodeFault::new(DecodeKind::WireType, field.raw)),
        _ => return Ok(unsaid(out)),
    }
    Ok(ValueForm::Whole)
}

#[cold]
fn unsaid(out: &mut Vec<u8>) -> ValueForm {
    msgpack::nil(out);
    ValueForm::Unsaid
}

/// Writes a list or a map, or nil in its place if it is nested deeper than hosts read; it has to be
/// valid all the same.
#[inline(never)]
fn container(
    number: u32,
    inner: &[u8],
    out: &mut Vec<u8>,
    nesting: Nesting,
) -> DecodeResult<ValueForm> {
    let start = out.len();
    let form = if number == 5 {
        array_value(inner, out, nesting.inner())?
    } else {
        kvlist(inner, out, nesting.inner())?
    };
    if !nesting.is_in_place() {
        out.truncate(start);
        return Ok(unsaid(out));
    }
    Ok(form)
}

/// Any `AnyValue`: of several fields the last counts, and a message that comes twice is merged, as
/// protobuf asks.
#[cold]
fn odd_value(bytes: &[u8], out: &mut Vec<u8>, nesting: Nesting) -> DecodeResult<ValueForm> {
    let mut last: Option<WireField<'_>> = None;
    let mut merged = Vec::new();
    let mut plain = true;
    let mut fields = WireFields::new(bytes);
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
    let Some(mut field) = last else {
        check_depth(bytes, nesting)?;
        return Ok(unsaid(out));
    };
    if let (5 | 6, WireValue::Bytes(_)) = (field.number, field.value) {
        field.value = WireValue::Bytes(&merged);
    }
    let form = one_value(&field, out, nesting)?;
    Ok(if plain { form } else { form.max(ValueForm::Partly) })
}

/// The number of fields 1 that hold a message, and whether there is nothing else.
#[inline]
fn count(bytes: &[u8]) -> DecodeResult<(u32, bool)> {
    let (mut count, mut plain) = (0, true);
    let mut fields = WireFields::new(bytes);
    while let Some(field) = next(&mut fields)? {
        match (field.number, field.value) {
            (1, WireValue::Bytes(_)) => count += 1,
            (1, _) => return Err(DecodeFault::new(DecodeKind::WireType, field.raw)),
            _ => plain = false,
        }
    }
    Ok((count, plain))
}

fn array_value(bytes: &[u8], out: &mut Vec<u8>, nesting: Nesting) -> DecodeResult<ValueForm> {
    let (count, plain) = count(bytes)?;
    let mut form = if plain { ValueForm::Whole } else { ValueForm::Partly };
    msgpack::array_header(out, count);
    let mut fields = WireFields::new(bytes);
    let mut index = 0;
    while let Some(field) = next(&mut fields)? {
        if let (1, WireValue::Bytes(value)) = (field.number, field.value) {
            let inner =
                element(value, out, nesting).map_err(|fault| fault.within_index("", index))?;
            form = form.max(inner);
            index += 1;
        }
    }
    Ok(form)
}

fn kvlist(bytes: &[u8], out: &mut Vec<u8>, nesting: Nesting) -> DecodeResult<ValueForm> {
    let (count, plain) = count(bytes)?;
    let mut form = if plain { ValueForm::Whole } else { ValueForm::Partly };
    msgpack::map_header(out, count);
    let mut fields = WireFields::new(bytes);
    while let Some(field) = next(&mut fields)? {
        if let (1, WireValue::Bytes(pair)) = (field.number, field.value) {
            form = form.max(key_value(pair, out, nesting)?);
        }
    }
    Ok(form)
}

/// Whether the fields of a `KeyValue` without key are valid.
pub(in crate::codec::records) fn key_value_is_valid(bytes: &[u8], depth: u32) -> bool {
    odd_key_value(bytes, &mut Vec::new(), Nesting::of_validated(depth)).is_ok()
}

/// Whether the fields of an `AnyValue` are valid.
pub(in crate::codec::records) fn any_value_is_valid(bytes: &[u8], depth: u32) -> bool {
    any_value(bytes, &mut Vec::new(), Nesting::of_validated(depth)).is_ok()
}
