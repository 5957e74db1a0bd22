//! Raw value restoration: what stands beside a record's values is put back into them.
//!
//! The result is a record as earlier builds wrote it: with extensions of type 79 where msgpack has
//! no word. What a filter changed stays as the filter left it.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::value::ProtobufEncoder;
use crate::codec::msgpack::{self, MapView, ReadError, Reader, Token, elements};
use crate::codec::records::layout::{EXT_RAW, MAX_DEPTH};
use crate::codec::wire::{self, WireFields, WireValue};

/// No record nests deeper, as we write it.
const MAX_STEPS: u32 = 64;

/// A step to a value, and what tells apart values with the same step.
type Step<'a> = (Option<&'a [u8]>, u64, u64);

/// What belongs to a value: entries of what is below it, and its own.
#[derive(Debug, Clone, Copy, Default)]
struct Beside<'a> {
    below: &'a [u8],
    own: &'a [u8],
}

/// The list of entries in an encoded string of bytes, which filters may have made text.
fn list(raw_values: &[u8]) -> &[u8] {
    match Reader::new(raw_values).token() {
        Ok(Token::Bin(list) | Token::Str(list)) => list,
        _ => &[],
    }
}

/// The entries of a list by their steps.
fn entries(list: &[u8]) -> HashMap<Step<'_>, Beside<'_>> {
    let mut all: HashMap<Step<'_>, Beside<'_>> = HashMap::new();
    for entry in elements(list) {
        let mut reader = Reader::new(entry);
        let step = match (reader.token(), reader.token(), reader.token()) {
            (Ok(Token::Array(3)), Ok(Token::Str(key)), Ok(Token::Uint(number))) => {
                (Some(key), 0, number)
            }
            (Ok(Token::Array(3)), Ok(Token::Uint(index)), Ok(Token::Uint(number))) => {
                (None, index, number)
            }
            _ => continue,
        };
        let beside = all.entry(step).or_default();
        match reader.rest().first() {
            Some(0x90..=0x9f | 0xdc | 0xdd) => beside.below = reader.rest(),
            _ => beside.own = reader.rest(),
        }
    }
    all
}

/// A map, such as a resource, with what its own `raw_values` say.
#[cold]
pub(super) fn restored_map(map: &[u8], raw_values: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(map.len().saturating_mul(2));
    let below = Beside { below: list(raw_values), own: &[] };
    match restore(&mut Reader::new(map), below, &mut out, MAX_STEPS) {
        Ok(()) => out,
        Err(_) => map.to_vec(),
    }
}

/// A record with what was beside its values.
#[derive(Debug, Default)]
pub(super) struct RestoredRecord {
    /// The `otlp` map.
    pub(super) otlp: Vec<u8>,
    /// The body.
    pub(super) body: Vec<u8>,
    /// Whether the body is a value under its key, whatever form it had.
    pub(super) is_value: bool,
}

/// The `otlp` map and the body of a record with what its `raw_values` say. `log` says that the body
/// is a log's, of this form, and the key that its value stands under.
#[cold]
pub(super) fn restored(
    otlp: &[u8],
    body: &[u8],
    raw_values: &[u8],
    log: Option<(&[u8], &[u8])>,
) -> RestoredRecord {
    let all = entries(list(raw_values));
    let of =
        |name: &'static str| all.get(&(Some(name.as_bytes()), 0, 0)).copied().unwrap_or_default();
    let whole = Reader::new(body).skip().unwrap_or_default();
    let (mut new_otlp, mut new_body, mut is_value) = (Vec::new(), Vec::new(), false);
    // The value of a log's body may be the only one in its map.
    let key = log.map_or(&b"log"[..], |(_, key)| key);
    let only = log.is_some_and(|(form, _)| form != b"kvlist")
        && MapView::new(whole).len() == 1
        && MapView::new(whole).get(key).is_some();
    let mut value = Reader::new(whole);
    let mut read = restore(&mut Reader::new(otlp), of("otlp"), &mut new_otlp, MAX_STEPS);
    if only {
        read = read.and_then(|()| value.map()).and_then(|_| value.str()).map(drop);
        msgpack::map_header(&mut new_body, 1);
        msgpack::str_bytes(&mut new_body, key);
    }
    let beside = of("body");
    let start = new_body.len();
    let in_place = value.rest();
    read = read.and_then(|()| restore(&mut value, beside, &mut new_body, MAX_STEPS));
    if let Some(any_value) = own(beside.own, in_place, new_body.get(start..).unwrap_or_default()) {
        is_value = true;
        new_body.clear();
        msgpack::map_header(&mut new_body, 1);
        msgpack::str_bytes(&mut new_body, key);
        msgpack::ext(&mut new_body, EXT_RAW, &any_value);
    }
    match read {
        Ok(()) => RestoredRecord { otlp: new_otlp, body: new_body, is_value },
        Err(_) => RestoredRecord { otlp: otlp.to_vec(), body: whole.to_vec(), is_value: false },
    }
}

/// Copies the value that `reader` has next, with what is beside those in it.
fn restore(
    reader: &mut Reader<'_>,
    beside: Beside<'_>,
    out: &mut Vec<u8>,
    steps: u32,
) -> Result<(), ReadError> {
    let before = *reader;
    let below =
        if steps == 0 || beside.below.is_empty() { HashMap::new() } else { entries(beside.below) };
    if below.is_empty() {
        out.extend_from_slice(reader.skip()?);
        return Ok(());
    }
    match reader.token()? {
        Token::Array(count) => {
            msgpack::array_header(out, count);
            for index in 0..count {
                let step = (None, u64::from(index), u64::from(count));
                let beside = below.get(&step).copied().unwrap_or_default();
                let (start, in_place) = (out.len(), reader.rest());
                restore(reader, beside, out, steps - 1)?;
                let restored = out.get(start..).unwrap_or_default();
                if let Some(any_value) = own(beside.own, in_place, restored) {
                    out.truncate(start);
                    msgpack::ext(out, EXT_RAW, &any_value);
                }
            }
        }
        Token::Map(pairs) => {
            let mut seen: HashMap<&[u8], u64> = HashMap::new();
            msgpack::map_header(out, pairs);
            for _ in 0..pairs {
                let encoded = reader.skip()?;
                out.extend_from_slice(encoded);
                let Ok(key) = Reader::new(encoded).str() else {
                    out.extend_from_slice(reader.skip()?);
                    continue;
                };
                let number = seen.entry(key).or_default();
                let beside = below.get(&(Some(key), 0, *number)).copied().unwrap_or_default();
                *number = number.saturating_add(1);
                let (start, in_place) = (out.len(), reader.rest());
                restore(reader, beside, out, steps - 1)?;
                let restored = out.get(start..).unwrap_or_default();
                if let Some(key_value) = own_pair(beside.own, in_place, restored) {
                    out.truncate(start);
                    msgpack::ext(out, EXT_RAW, &key_value);
                }
            }
        }
        _ => {
            *reader = before;
            out.extend_from_slice(reader.skip()?);
        }
    }
    Ok(())
}

/// Whether something is beside a value that still is what it was.
#[derive(Debug, PartialEq, Eq)]
enum Beneath<'a> {
    /// All of the value; nil stands in its place.
    All(&'a [u8]),
    /// The rest of the value.
    Rest(&'a [u8]),
}

fn beneath<'a>(own: &'a [u8], in_place: &[u8]) -> Option<Beneath<'a>> {
    let in_place = Reader::new(in_place).skip().ok()?;
    let mut reader = Reader::new(own);
    match reader.token().ok()? {
        Token::Bin(raw) if in_place == [0xc0] => Some(Beneath::All(raw)),
        Token::Map(1) if reader.token() == Ok(Token::Uint(xxh3_64(in_place))) => {
            match reader.token() {
                Ok(Token::Bin(raw)) => Some(Beneath::Rest(raw)),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The `AnyValue` of a value that stands in no map.
fn own(own: &[u8], in_place: &[u8], restored: &[u8]) -> Option<Vec<u8>> {
    match beneath(own, in_place)? {
        Beneath::All(raw) => Some(raw.to_vec()),
        Beneath::Rest(raw) => merged(restored, raw),
    }
}

/// The `KeyValue` without key of a value that stands in a map.
fn own_pair(own: &[u8], in_place: &[u8], restored: &[u8]) -> Option<Vec<u8>> {
    let raw = match beneath(own, in_place)? {
        Beneath::All(raw) => return Some(raw.to_vec()),
        Beneath::Rest(raw) => raw,
    };
    let (mut rest, mut pair) = (&[][..], Vec::new());
    let mut fields = WireFields::new(raw);
    while let Some(field) = fields.read().ok()? {
        match (field.number, field.value) {
            (2, WireValue::Bytes(value)) => rest = value,
            _ => pair.extend_from_slice(field.raw),
        }
    }
    wire::bytes(&mut pair, 2, &merged(restored, rest)?);
    Some(pair)
}

/// The `AnyValue` of an encoded value together with its other fields.
fn merged(value: &[u8], rest: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = ProtobufEncoder::default();
    encoder.any_value(1, &mut Reader::new(value), MAX_DEPTH).ok()?;
    let mut outer = WireFields::new(&encoder.out);
    let WireValue::Bytes(known) = outer.read().ok()??.value else { return None };
    let known = WireFields::new(known).read().ok()??;
    let (mut list, mut others) = (Vec::new(), Vec::new());
    let mut fields = WireFields::new(rest);
    while let Some(field) = fields.read().ok()? {
        match field.value {
            WireValue::Bytes(more) if field.number == known.number => list.extend_from_slice(more),
            _ => others.extend_from_slice(field.raw),
        }
    }
    let mut merged = Vec::new();
    match known.value {
        WireValue::Bytes(elements) if !list.is_empty() => {
            wire::bytes(&mut merged, known.number, &[elements, &list].concat());
        }
        _ => merged.extend_from_slice(known.raw),
    }
    merged.extend_from_slice(&others);
    Some(merged)
}
