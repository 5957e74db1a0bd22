//! Envelope in the body: telemetry records that travel as bodies only, as through Kafka.
//!
//! Fluent Bit's Kafka output writes the body of a record, mostly as JSON, and not the metadata. So
//! what the metadata says of OTLP is copied into the body before. Fluent Bit's Kafka input makes a
//! record of each message and puts what it carried under `payload`, beside topic and offset. There
//! the record is taken out and its metadata put back.

use super::patch::{ByteRange, Cursor, find, head, pairs};
use crate::codec::msgpack::{
    Entry, MapView, Reader, Token, array_header, elements, ext, map_header, str, str_bytes, text_of,
};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, EventKind, EventTime, Events};
use crate::model::hex;

/// Where Fluent Bit's Kafka output writes a record's time, as seconds.
const TIMESTAMP: &[u8] = b"@timestamp";

/// How deep values are looked into; the layout does not nest as deep.
const MAX_DEPTH: usize = 12;

/// Writes the record with the copy to `out`. `false` and nothing written if it has no such
/// metadata, no map as body, or something under that key already. `known` is as for [`head`],
/// `marker` is the mark of the group that the record stands in, or empty: resource and scope are
/// copied as processors left them there.
pub(super) fn copy(record: &[u8], known: &[u8], marker: &[u8], out: &mut Vec<u8>) -> bool {
    let Ok(read) = head(record, known) else { return false };
    let body = ByteRange { start: read.cursor.position(), end: record.len() };
    let otlp = read.metadata.and_then(|metadata| find(record, metadata, keys::OTLP));
    let mut cursor = Cursor::at(record, body.start);
    let (Some(otlp), Ok(Token::Map(count))) = (otlp, cursor.token()) else { return false };
    if find(record, body, keys::OTLP).is_some() {
        return false;
    }
    out.extend_from_slice(record.get(..body.start).unwrap_or_default());
    map_header(out, count.saturating_add(1));
    out.extend_from_slice(record.get(cursor.position()..).unwrap_or_default());
    str_bytes(out, keys::OTLP);
    let origin = origin(read.metadata.map_or(&[], |metadata| metadata.of(record)), marker);
    write(record, otlp, &origin, out);
    true
}

/// The resource and the scope of the record with this metadata.
fn origin<'a>(metadata: &'a [u8], marker: &'a [u8]) -> [(&'static str, Option<&'a [u8]>); 2] {
    let group = Events::new(marker).next().and_then(Result::ok).and_then(|event| event.group);
    let kind = EventKind::Record;
    let event = Event { raw: &[], kind, time: EventTime::default(), metadata, body: &[], group };
    let said = event.telemetry().unwrap_or_default();
    [("resource", said.resource), ("scope", said.scope)]
}

/// Appends the metadata. The ids of logs are bytes, which JSON does not have; hex text stands for
/// them just as well.
fn write(record: &[u8], otlp: ByteRange, origin: &[(&str, Option<&[u8]>)], out: &mut Vec<u8>) {
    let of = |key: &[u8]| origin.iter().find(|(name, _)| name.as_bytes() == key);
    let kept = pairs(record, otlp).filter(|pair| of(pair.key).is_none()).count();
    let there = origin.iter().filter(|(_, map)| map.is_some()).count();
    map_header(out, u32::try_from(kept.saturating_add(there)).unwrap_or(0));
    for (name, map) in origin {
        if let Some(map) = map {
            str(out, name);
            out.extend_from_slice(map);
        }
    }
    for pair in pairs(record, otlp).filter(|pair| of(pair.key).is_none()) {
        let value = pair.value.of(record);
        match (pair.key, Reader::new(value).token()) {
            (b"trace_id" | b"span_id", Ok(Token::Bin(id))) => {
                str_bytes(out, pair.key);
                str(out, &hex(id));
            }
            _ => out.extend_from_slice(pair.whole.of(record)),
        }
    }
}

/// The chunk with the records that are under `key` in the place of those that hold them; `None` if
/// there is none. What is no such record stays as it is.
pub(super) fn unpack(chunk: &[u8], key: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(chunk.len());
    let (mut read, mut any) = (0_usize, false);
    for event in Events::new(chunk) {
        let Ok(event) = event else { break };
        read = read.saturating_add(event.raw.len());
        if unpack_one(&event, key, &mut out) {
            any = true;
        } else {
            out.extend_from_slice(event.raw);
        }
    }
    // What cannot be read is for others to judge.
    out.extend_from_slice(chunk.get(read..).unwrap_or_default());
    any.then_some(out)
}

/// Appends the record that an event holds. `false`, and nothing appended, if it holds none.
fn unpack_one(event: &Event<'_>, key: &str, out: &mut Vec<u8>) -> bool {
    if event.kind != EventKind::Record || event.telemetry().is_some() {
        return false;
    }
    let Some(carried) = MapView::new(event.body).get(key.as_bytes()) else { return false };
    if !is_map(&carried) {
        return false;
    }
    let inner = MapView::new(carried);
    let otlp = inner.get(keys::OTLP).filter(is_map);
    let time = inner.get(TIMESTAMP).and_then(seconds);
    array_header(out, 2);
    array_header(out, 2);
    let timed = time.is_some();
    let time = time.unwrap_or(event.time);
    let [a, b, c, d] = time.seconds.to_be_bytes();
    let [e, f, g, h] = time.nanos.to_be_bytes();
    ext(out, 0, &[a, b, c, d, e, f, g, h]);
    match otlp {
        Some(otlp) => {
            map_header(out, 1);
            str_bytes(out, keys::OTLP);
            known_fields(otlp, MAX_DEPTH, out);
        }
        None if event.metadata.is_empty() => map_header(out, 0),
        None => out.extend_from_slice(event.metadata),
    }
    let ours = |entry_key: &[u8]| {
        (entry_key == keys::OTLP && otlp.is_some()) || (entry_key == TIMESTAMP && timed)
    };
    let signal = otlp.and_then(|otlp| MapView::new(otlp).get(keys::SIGNAL)).and_then(text_of);
    let layout = matches!(signal, Some("span" | "metric"));
    let gone = |entry: &Entry<'_>| ours(entry.key) || (layout && is_unknown(entry.key));
    let kept = || inner.filter(|entry| !gone(entry));
    map_header(out, u32::try_from(kept().count()).unwrap_or(u32::MAX));
    for entry in kept() {
        if layout { known_pair(&entry, MAX_DEPTH, out) } else { out.extend_from_slice(entry.raw) }
    }
    true
}

/// Appends a part of a span, a metric or the metadata without fields that this version does not
/// know: they are bytes, and JSON has made something else of them, for which the whole item would
/// be refused.
fn known_fields(value: &[u8], depth: usize, out: &mut Vec<u8>) {
    match Reader::new(value).token() {
        Ok(Token::Map(_)) if depth > 0 => {
            let kept = || MapView::new(value).filter(|entry| !is_unknown(entry.key));
            map_header(out, u32::try_from(kept().count()).unwrap_or(u32::MAX));
            kept().for_each(|entry| known_pair(&entry, depth.saturating_sub(1), out));
        }
        Ok(Token::Array(count)) if depth > 0 => {
            array_header(out, count);
            elements(value).for_each(|value| known_fields(value, depth.saturating_sub(1), out));
        }
        _ => out.extend_from_slice(value),
    }
}

/// The same with a pair of a map. The keys of attributes are the users' own.
fn known_pair(entry: &Entry<'_>, depth: usize, out: &mut Vec<u8>) {
    if matches!(entry.key, b"attributes" | b"filtered_attributes" | b"metadata") {
        return out.extend_from_slice(entry.raw);
    }
    let key = entry.raw.len().saturating_sub(entry.value.len());
    out.extend_from_slice(entry.raw.get(..key).unwrap_or_default());
    known_fields(entry.value, depth, out);
}

fn is_unknown(key: &[u8]) -> bool {
    matches!(key, b"unknown_fields" | b"envelope_unknown_fields")
}

fn is_map(value: &&[u8]) -> bool {
    matches!(Reader::new(value).token(), Ok(Token::Map(_)))
}

fn seconds(value: &[u8]) -> Option<EventTime> {
    let seconds = match Reader::new(value).token().ok()? {
        Token::Float(seconds) => std::time::Duration::try_from_secs_f64(seconds).ok()?,
        Token::Uint(seconds) => std::time::Duration::from_secs(seconds),
        _ => return None,
    };
    u64::try_from(seconds.as_nanos()).ok().map(EventTime::from_unix_nanos)
}
