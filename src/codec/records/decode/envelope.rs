//! Envelope reader: what is around the items of a request, `ResourceSpans` and `ScopeSpans`, and
//! their likes of the other signals, which have the same field numbers.

use std::borrow::Cow;

use super::histogram::LeftOut;
use super::message::MessageScan;
use super::raw::{RawValuesFound, ValueForm, unmark};
use super::transcoded::Transcoded;
use super::value::{next, text};
use crate::codec::msgpack::{self, Reader};
use crate::codec::records::edit::{Pairs, insert_otlp};
use crate::codec::records::error::{DecodeError, DecodeFault, DecodeKind, DecodeResult};
use crate::codec::records::layout::{VERSION, keys};
use crate::codec::records::record::{EventTime, event_head};
use crate::codec::records::schema::{MessageLayout, RESOURCE, SCOPE};
use crate::codec::wire::{WireFields, WireValue};
use crate::model::Signal;

/// The names of a request's parts, for paths.
struct Names {
    resources: &'static str,
    scopes: &'static str,
    items: &'static str,
}

const fn names(signal: Signal) -> Names {
    match signal {
        Signal::Traces => {
            Names { resources: "resource_spans", scopes: "scope_spans", items: "spans" }
        }
        Signal::Metrics => {
            Names { resources: "resource_metrics", scopes: "scope_metrics", items: "metrics" }
        }
        Signal::Logs => {
            Names { resources: "resource_logs", scopes: "scope_logs", items: "log_records" }
        }
        Signal::Profiles => {
            Names { resources: "resource_profiles", scopes: "scope_profiles", items: "profiles" }
        }
    }
}

/// What an item became: how many spans, data points or log records it holds.
pub(super) type ItemCount = usize;

/// Writes the items of one signal.
pub(super) trait RecordSink {
    /// The signal.
    const SIGNAL: Signal;

    /// A scope begins; the maps are empty slices where there is none. `resource_changed` says
    /// that the scope is the first of its resource.
    fn begin(&mut self, scope: ScopeStart<'_>, out: &mut Vec<u8>);

    /// Appends the record of one item.
    fn item(&mut self, item: &[u8], out: &mut Vec<u8>) -> DecodeResult<ItemCount>;

    /// How many items an item that is not valid counts for.
    fn count_invalid(&self, _item: &[u8]) -> ItemCount {
        1
    }

    /// What was left out of the item that was appended last, while the rest of it is kept.
    #[inline]
    fn left_out(&mut self) -> Option<LeftOut> {
        None
    }

    /// The scope ends after `records` records.
    fn end(&mut self, records: usize, out: &mut Vec<u8>);
}

/// A scope and the resource that it is in.
pub(super) struct ScopeStart<'a> {
    /// The encoded resource map, or nothing.
    pub(super) resource: &'a [u8],
    /// The encoded scope map, or nothing.
    pub(super) scope: &'a [u8],
    /// Whether the scope is the first of its resource.
    pub(super) new_resource: bool,
    /// How many envelopes with an equal resource, and within this one with an equal scope, stand
    /// directly before: without them, readers would take neighbours for one.
    pub(super) repeats: [u32; 2],
}

/// The envelope before the one that is being read, of those that have records.
#[derive(Default)]
struct Previous {
    header: Vec<u8>,
    seen: bool,
    repeats: u32,
}

impl Previous {
    /// How often the header came directly before.
    fn repeats(&self, header: &[u8]) -> u32 {
        if self.seen && self.header == header { self.repeats.saturating_add(1) } else { 0 }
    }

    /// An envelope with this header, which is given away, has records.
    fn passed(&mut self, header: &mut Vec<u8>, repeats: u32) {
        std::mem::swap(&mut self.header, header);
        self.seen = true;
        self.repeats = repeats;
    }
}

/// Every record holds its resource and scope, so that a small request with a large resource and many
/// small items could fill the memory: the records of a request take at most this much and
/// [`MAX_GROWTH`] times its length, and the items after that are rejected.
const MAX_RECORDS: usize = 16 << 20;

/// See [`MAX_RECORDS`].
const MAX_GROWTH: usize = 16;

/// How many bytes of unknown fields beside the envelopes are kept. Each record holds them, because
/// any of them may be the only one that is left; so what is longer would crowd out the items.
const MAX_REQUEST_FIELDS: usize = 1024;

/// Transcodes a request; on an error nothing is appended.
pub(super) fn transcode<S: RecordSink>(
    request: &[u8],
    out: &mut Vec<u8>,
    sink: &mut S,
) -> Result<Transcoded, DecodeError> {
    let start = out.len();
    out.reserve(request.len() + request.len() / 2 + 256);
    let mut done = Transcoded::default();
    let limit = start + MAX_RECORDS + MAX_GROWTH * request.len();
    let walked = Walk { request, sink, done: &mut done, limit }.resources(out);
    match walked {
        Ok(()) => Ok(done),
        Err(fault) => {
            out.truncate(start);
            Err(fault.error(request, request))
        }
    }
}

/// The encoded resource and scope that the walk is in, and those before them.
#[derive(Default)]
struct Room {
    /// The fields of the request beside its envelopes.
    unknown: Vec<u8>,
    resource: Vec<u8>,
    scope: Vec<u8>,
    previous_resource: Previous,
    previous_scope: Previous,
}

struct Walk<'r, 's, S> {
    request: &'r [u8],
    sink: &'s mut S,
    done: &'s mut Transcoded,
    /// The length of the output at which no more items are accepted.
    limit: usize,
}

impl<S: RecordSink> Walk<'_, '_, S> {
    fn resources(&mut self, out: &mut Vec<u8>) -> DecodeResult {
        let name = names(S::SIGNAL).resources;
        let mut fields = WireFields::new(self.request);
        let mut index = 0;
        let mut room = Room { unknown: unknown_fields(self.request)?, ..Room::default() };
        if room.unknown.len() > MAX_REQUEST_FIELDS {
            self.done.lost_fields = room.unknown.len();
            room.unknown.clear();
        }
        while let Some(field) = next(&mut fields)? {
            if field.number != 1 {
                continue;
            }
            let WireValue::Bytes(bytes) = field.value else {
                return Err(DecodeFault::new(DecodeKind::WireType, field.raw).within(name));
            };
            self.scopes(index, bytes, &mut room, out)
                .map_err(|fault| fault.within_index(name, index))?;
            index += 1;
        }
        Ok(())
    }

    fn scopes(
        &mut self,
        resource_index: u32,
        bytes: &[u8],
        room: &mut Room,
        out: &mut Vec<u8>,
    ) -> DecodeResult {
        let names = names(S::SIGNAL);
        let Room { unknown, resource, scope, previous_resource, previous_scope } = room;
        let envelope = Envelope::new(bytes, ["resource", names.scopes])?;
        resource.clear();
        envelope.write_header(&RESOURCE, "resource", unknown, resource)?;
        previous_scope.seen = false;
        let resource_repeats = previous_resource.repeats(resource);
        let before = self.done.records;
        let mut index = 0;
        envelope.each(|bytes| {
            let path = [resource_index, index];
            index += 1;
            Envelope::new(bytes, ["scope", names.items])
                .and_then(|inner| {
                    scope.clear();
                    inner.write_header(&SCOPE, "scope", &[], scope)?;
                    let new_resource = path == [resource_index, 0];
                    let scope_repeats = previous_scope.repeats(scope);
                    let repeats = [resource_repeats, scope_repeats];
                    self.sink.begin(ScopeStart { resource, scope, new_resource, repeats }, out);
                    let before = self.done.records;
                    self.items(path, &inner, out)?;
                    if self.done.records > before {
                        previous_scope.passed(scope, scope_repeats);
                    }
                    Ok(())
                })
                .map_err(|fault| fault.within_index(names.scopes, index - 1))
        })?;
        if self.done.records > before {
            previous_resource.passed(resource, resource_repeats);
        }
        Ok(())
    }

    fn items(&mut self, path: [u32; 2], scope: &Envelope<'_>, out: &mut Vec<u8>) -> DecodeResult {
        let mut index = 0;
        let mut records = 0;
        scope.each(|item| {
            let mark = out.len();
            let appended = if mark < self.limit {
                self.sink.item(item, out)
            } else {
                Err(DecodeFault::new(DecodeKind::Growth, item))
            };
            match appended {
                Ok(items) => {
                    records += 1;
                    self.done.items += items;
                    if let Some(left) = self.sink.left_out() {
                        let at = [path[0], path[1], index];
                        self.reject((left.points, left.fault), item, at);
                    }
                }
                Err(fault) => {
                    out.truncate(mark);
                    let items = self.sink.count_invalid(item);
                    self.reject((items, fault), item, [path[0], path[1], index]);
                }
            }
            index += 1;
            Ok(())
        })?;
        self.done.records += records;
        self.done.events += records;
        self.sink.end(records, out);
        Ok(())
    }

    #[cold]
    fn reject(
        &mut self,
        (items, fault): (ItemCount, Box<DecodeFault>),
        item: &[u8],
        path: [u32; 3],
    ) {
        self.done.rejected += items;
        if self.done.reason.is_some() {
            return;
        }
        let names = names(S::SIGNAL);
        let [resource, scope, index] = path;
        let fault = fault
            .within_index(names.items, index)
            .within_index(names.scopes, scope)
            .within_index(names.resources, resource);
        self.done.reason = Some(fault.error(self.request, item).to_string());
    }
}

/// The fields of a request beside its envelopes, which no version of OTLP so far has.
fn unknown_fields(request: &[u8]) -> DecodeResult<Vec<u8>> {
    let mut unknown = Vec::new();
    let mut fields = WireFields::new(request);
    while let Some(field) = next(&mut fields)? {
        if field.number != 1 {
            unknown.extend_from_slice(field.raw);
        }
    }
    Ok(unknown)
}

/// A message with the fields 1 (a header: the resource or the scope), 2 (what it holds) and 3 (a
/// schema URL).
struct Envelope<'a> {
    header: Option<Cow<'a, [u8]>>,
    schema_url: &'a [u8],
    unknown: Vec<u8>,
    bytes: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn new(bytes: &'a [u8], [header, contents]: [&str; 2]) -> DecodeResult<Self> {
        let mut envelope = Self { header: None, schema_url: &[], unknown: Vec::new(), bytes };
        let mut fields = WireFields::new(bytes);
        while let Some(field) = next(&mut fields)? {
            match (field.number, field.value) {
                (2, WireValue::Bytes(_)) => {}
                (1, WireValue::Bytes(part)) => match &mut envelope.header {
                    Some(header) => header.to_mut().extend_from_slice(part),
                    None => envelope.header = Some(Cow::Borrowed(part)),
                },
                (3, WireValue::Bytes(url)) => envelope.schema_url = url,
                (1..=3, _) => {
                    let name = match field.number {
                        1 => header,
                        2 => contents,
                        _ => "schema_url",
                    };
                    return Err(DecodeFault::new(DecodeKind::WireType, field.raw).within(name));
                }
                _ => envelope.unknown.extend_from_slice(field.raw),
            }
        }
        Ok(envelope)
    }

    /// Calls `each` with what the envelope holds.
    #[inline]
    fn each(&self, mut each: impl FnMut(&'a [u8]) -> DecodeResult) -> DecodeResult {
        let mut fields = WireFields::new(self.bytes);
        while let Some(field) = next(&mut fields)? {
            if let (2, WireValue::Bytes(bytes)) = (field.number, field.value) {
                each(bytes)?;
            }
        }
        Ok(())
    }

    /// Writes the map of the resource or scope, or nothing if there is nothing to keep. `beside`
    /// are unknown fields of the request.
    fn write_header(
        &self,
        message: &'static MessageLayout,
        name: &str,
        beside: &[u8],
        out: &mut Vec<u8>,
    ) -> DecodeResult {
        let unset = self.header.is_none();
        let (url, unknown) = (!self.schema_url.is_empty(), !self.unknown.is_empty());
        let more_unknown = !beside.is_empty();
        if unset && !url && !unknown && !more_unknown {
            return Ok(());
        }
        let bytes = self.header.as_deref().unwrap_or_default();
        let mut scan = MessageScan::new(message, bytes);
        scan.read().map_err(|fault| fault.within(name))?;
        let more = u32::from(unset) + u32::from(url) + u32::from(unknown);
        let more = more + u32::from(more_unknown);
        let (mut fields, mut found) = (Vec::new(), None);
        if scan.write(&mut fields).map_err(|fault| fault.within(name))? != ValueForm::Whole {
            found = Some(unmark(&mut fields, 0));
        }
        msgpack::map_header(out, scan.pairs() + more + u32::from(found.is_some()));
        if unset {
            msgpack::str(out, "unset");
            msgpack::bool(out, true);
        }
        let mut pairs = Reader::new(&fields);
        pairs.map().map_err(|_| DecodeFault::new(DecodeKind::WireType, bytes))?;
        out.extend_from_slice(pairs.rest());
        if url {
            msgpack::str_bytes(out, keys::SCHEMA_URL);
            text(self.schema_url, out).map_err(|fault| fault.within("schema_url"))?;
        }
        if unknown {
            msgpack::str(out, "envelope_unknown_fields");
            msgpack::bin(out, &self.unknown);
        }
        if more_unknown {
            msgpack::str(out, "request_unknown_fields");
            msgpack::bin(out, beside);
        }
        if let Some(found) = found {
            msgpack::str_bytes(out, keys::RAW_VALUES);
            found.write_bin(out);
        }
        Ok(())
    }
}

/// Appends the record of a span or metric.
#[inline]
pub(super) fn record(
    time: EventTime,
    metadata: &[u8],
    item: &MessageScan<'_>,
    out: &mut Vec<u8>,
) -> DecodeResult {
    event_head(out, time);
    let start = out.len();
    out.extend_from_slice(metadata);
    let body = out.len();
    if item.write(out)? != ValueForm::Whole {
        let mut found = RawValuesFound::default();
        found.add_root("body", &unmark(out, body));
        put_beside(out, [start, body], &found);
    }
    Ok(())
}

/// Puts what was found in a record into its metadata, which `out` has between two places.
#[cold]
pub(super) fn put_beside(out: &mut Vec<u8>, [start, end]: [usize; 2], found: &RawValuesFound) {
    let mut pairs = Pairs::new();
    found.write_bin(pairs.key(keys::RAW_VALUES));
    let body = out.split_off(end);
    let metadata = out.split_off(start);
    insert_otlp(&metadata, &pairs, out);
    out.extend_from_slice(&body);
}

/// Appends the pairs of the `otlp` map that every record of a scope has, and returns how many they
/// are.
pub(super) fn common_pairs(signal: Signal, scope: &ScopeStart<'_>, out: &mut Vec<u8>) -> u32 {
    msgpack::str_bytes(out, keys::VERSION);
    msgpack::uint(out, VERSION);
    msgpack::str_bytes(out, keys::SIGNAL);
    msgpack::str(out, signal.item());
    let mut pairs = 2;
    for (key, map) in [(keys::RESOURCE, scope.resource), (keys::SCOPE, scope.scope)] {
        if !map.is_empty() {
            msgpack::str_bytes(out, key);
            out.extend_from_slice(map);
            pairs += 1;
        }
    }
    if scope.repeats != [0, 0] {
        msgpack::str_bytes(out, keys::ENVELOPE);
        msgpack::array_header(out, 2);
        for repeats in scope.repeats {
            msgpack::uint(out, u64::from(repeats));
        }
        pairs += 1;
    }
    pairs
}

/// Writes the metadata map of a span or metric record.
pub(super) fn metadata(signal: Signal, scope: &ScopeStart<'_>, out: &mut Vec<u8>) {
    let pairs = 2
        + u32::from(!scope.resource.is_empty())
        + u32::from(!scope.scope.is_empty())
        + u32::from(scope.repeats != [0, 0]);
    msgpack::map_header(out, 1);
    msgpack::str_bytes(out, keys::OTLP);
    msgpack::map_header(out, pairs);
    common_pairs(signal, scope, out);
}
