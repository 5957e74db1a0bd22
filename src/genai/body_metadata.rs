//! Envelope in the body: telemetry records that travel as bodies only, as through Kafka.
//!
//! Fluent Bit's Kafka output writes the body of a record, mostly as JSON, and not the metadata. So
//! what the metadata says of OTLP is copied into the body before. Fluent Bit's Kafka input makes a
//! record of each message and puts what it carried under `payload`, beside topic and offset. There
//! the record is taken out and its metadata put back.

use crate::codec::msgpack::{
    Entry, MapView, Reader, Token, array_header, before, elements, map_header, str, str_bytes,
    text_of,
};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, EventKind, EventTime, Events, Group, Telemetry, event_head};
use crate::model::hex;

/// Where Fluent Bit's Kafka output writes a record's time, as seconds.
const TIMESTAMP: &[u8] = b"@timestamp";

/// How deep values are looked into; the layout does not nest as deep.
const MAX_DEPTH: usize = 12;

/// Writes the record with the copy to `out`. `false` and nothing written if it has no such
/// metadata, no map as body, or something under that key already. `group` is what the record stands
/// in: resource and scope are copied as processors left them there.
pub(super) fn copy(record: &[u8], group: Option<Group<'_>>, out: &mut Vec<u8>) -> bool {
    let Some(Ok(event)) = Events::new(record).next() else { return false };
    let mut body = Reader::new(event.body);
    let (Some(otlp), Ok(count)) = (event.otlp(), body.map()) else { return false };
    if MapView::new(event.body).get(keys::OTLP).is_some() {
        return false;
    }
    out.extend_from_slice(before(record, event.body));
    map_header(out, count.saturating_add(1));
    out.extend_from_slice(body.rest());
    str_bytes(out, keys::OTLP);
    let said = Telemetry::of(event.metadata, group).unwrap_or_default();
    write(otlp, [(keys::RESOURCE, said.resource), (keys::SCOPE, said.scope)], out);
    true
}

/// Appends the metadata, with resource and scope of the record's `origin`. The ids of logs are bytes,
/// which JSON does not have; hex text stands for them just as well.
fn write(otlp: &[u8], origin: [(&[u8], Option<&[u8]>); 2], out: &mut Vec<u8>) {
    let kept = || {
        MapView::new(otlp).filter(|entry| entry.key != keys::RESOURCE && entry.key != keys::SCOPE)
    };
    let there = origin.iter().filter(|(_, map)| map.is_some()).count();
    map_header(out, u32::try_from(kept().count().saturating_add(there)).unwrap_or(0));
    for (name, map) in origin {
        if let Some(map) = map {
            str_bytes(out, name);
            out.extend_from_slice(map);
        }
    }
    for entry in kept() {
        match (entry.key, Reader::new(entry.value).token()) {
            (keys::TRACE_ID | keys::SPAN_ID, Ok(Token::Bin(id))) => {
                str_bytes(out, entry.key);
                str(out, &hex(id));
            }
            _ => out.extend_from_slice(entry.raw),
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
    let timed = time.is_some();
    event_head(out, time.unwrap_or(event.time));
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
    if matches!(entry.key, keys::ATTRIBUTES | keys::FILTERED_ATTRIBUTES | keys::METADATA) {
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
