//! Writer of traces: `ExportTraceServiceRequest` to `CTraces` contexts.

use super::capabilities::{MAX_LIST, ReaderCapabilities, SPAN_TEXT};
use super::loss::FormatLoss;
use super::scan::{FieldScan, WriteResult, each, known};
use super::value::{MapHead, OutputBuffer};
use super::walk::{self, ContextEnvelope, ItemSink};
use crate::codec::msgpack;
use crate::codec::records::{DecodeError, DecodeKind, Transcoded};

const RESOURCE: u32 = known(&[1, 2, 3]);
const SCOPE: u32 = known(&[1, 2, 3, 4]);
const SPAN: u32 = known(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const EVENT: u32 = known(&[1, 2, 3, 4]);
const LINK: u32 = known(&[1, 2, 3, 4, 5, 6]);
const STATUS: u32 = known(&[2, 3]);

/// Appends the spans of an `ExportTraceServiceRequest` to `out` as `CTraces`: one context, or
/// several where lists become longer than readers take.
///
/// A span that is not valid, by the same rules as for records, is left out and counted; those
/// beside it are kept.
///
/// # Errors
/// The request itself, a `ResourceSpans` or a `ScopeSpans` is not valid; nothing is appended.
pub fn traces_to_ctraces(
    request: &[u8],
    out: &mut Vec<u8>,
    capabilities: ReaderCapabilities,
) -> Result<super::written::WrittenRequest, DecodeError> {
    walk::write(request, out, |out| Spans {
        out,
        capabilities,
        resource: Vec::new(),
        scope: Vec::new(),
        levels: [Level::CLOSED; 3],
        contexts: 0,
    })
}

/// A list that is being written: of a context's resources, a resource's scopes or a scope's spans.
#[derive(Debug, Clone, Copy)]
struct Level {
    /// Where the entry that holds the list begins, and the list's header.
    open: Option<(usize, MapHead)>,
    count: u32,
}

impl Level {
    const CLOSED: Self = Self { open: None, count: 0 };
}

struct Spans {
    out: OutputBuffer,
    capabilities: ReaderCapabilities,
    /// The resource's part of a `resource_span`, up to the list of scopes.
    resource: Vec<u8>,
    /// The scope's part, from behind its map's header up to the list of spans, and its schema URL.
    scope: Vec<u8>,
    /// The lists that are open, from the outermost on.
    levels: [Level; 3],
    contexts: usize,
}

impl Spans {
    /// Opens the lists around the next span that are not open, after closing those that are full.
    fn open(&mut self) {
        for depth in 0..self.levels.len() {
            if self.levels.get(depth).is_some_and(|level| level.count >= MAX_LIST) {
                self.close(depth);
            }
        }
        for depth in 0..self.levels.len() {
            let Some(level) = self.levels.get(depth) else { return };
            if level.open.is_some() {
                continue;
            }
            if let Some(outer) = depth.checked_sub(1).and_then(|outer| self.levels.get_mut(outer)) {
                outer.count = outer.count.saturating_add(1);
            }
            let start = self.out.bytes.len();
            match depth {
                0 => {
                    self.contexts = self.contexts.saturating_add(1);
                    msgpack::map_header(&mut self.out.bytes, 1);
                    msgpack::str(&mut self.out.bytes, "resourceSpans");
                }
                1 => {
                    self.out.bytes.extend_from_slice(&self.resource);
                    msgpack::str(&mut self.out.bytes, "scope_spans");
                }
                _ => {
                    self.out.bytes.extend_from_slice(&self.scope);
                    msgpack::str(&mut self.out.bytes, "spans");
                }
            }
            let head = MapHead::list(&mut self.out.bytes, MAX_LIST);
            if let Some(level) = self.levels.get_mut(depth) {
                *level = Level { open: Some((start, head)), count: 0 };
            }
        }
    }

    /// Closes the lists from `depth` on, the innermost first.
    fn close(&mut self, depth: usize) {
        for depth in (depth..self.levels.len()).rev() {
            let Some(level) = self.levels.get_mut(depth) else { return };
            let Level { open, count } = std::mem::replace(level, Level::CLOSED);
            let Some((start, head)) = open else { continue };
            if count > 0 {
                head.close(&mut self.out.bytes, count);
                continue;
            }
            // Nothing came into the list: what was opened for it goes.
            self.out.bytes.truncate(start);
            match depth.checked_sub(1).and_then(|outer| self.levels.get_mut(outer)) {
                Some(outer) => outer.count = outer.count.saturating_sub(1),
                None => self.contexts = self.contexts.saturating_sub(1),
            }
        }
    }
}

impl ItemSink for Spans {
    const NAMES: [&'static str; 3] = ["resource_spans", "scope_spans", "spans"];

    fn resource(&mut self, resource: &ContextEnvelope<'_>) -> WriteResult {
        self.out.aside(&mut self.resource, |out| write_resource(out, resource))
    }

    fn scope(&mut self, scope: &ContextEnvelope<'_>) -> WriteResult {
        let capabilities = self.capabilities;
        self.out.aside(&mut self.scope, |out| write_scope(out, scope, capabilities))
    }

    fn item(&mut self, item: &[u8], _done: &mut Transcoded) -> WriteResult<usize> {
        self.out.room()?;
        self.open();
        let mark = self.out.bytes.len();
        if let Err(problem) = write_span(&mut self.out, item, self.capabilities) {
            self.out.bytes.truncate(mark);
            return Err(problem);
        }
        let [.., spans] = &mut self.levels;
        spans.count = spans.count.saturating_add(1);
        Ok(1)
    }

    fn count_invalid(&self, _item: &[u8]) -> usize {
        1
    }

    fn scope_end(&mut self) {
        self.close(2);
    }

    fn resource_end(&mut self) {
        self.close(1);
    }

    fn end(mut self) -> (OutputBuffer, usize) {
        self.close(0);
        (self.out, self.contexts)
    }
}

/// Writes a list's attributes, or nil, and the count of those that were dropped on the way here
/// and before.
fn attributes(
    out: &mut OutputBuffer,
    scan: &FieldScan<'_>,
    number: u32,
    dropped: usize,
) -> WriteResult {
    msgpack::str(&mut out.bytes, "attributes");
    let count = scan.count(number as usize);
    let lost = if count == 0 {
        msgpack::nil(&mut out.bytes);
        0
    } else {
        out.attributes(scan.message(), number, count)?
    };
    let before = scan.varint32(dropped)?;
    let all = before.saturating_add(u64::from(lost)).min(u64::from(u32::MAX));
    pair(out, "dropped_attributes_count", all);
    Ok(())
}

fn pair(out: &mut OutputBuffer, key: &str, value: u64) {
    msgpack::str(&mut out.bytes, key);
    msgpack::uint(&mut out.bytes, value);
}

fn text(out: &mut OutputBuffer, key: &str, bytes: &[u8]) -> WriteResult {
    msgpack::str(&mut out.bytes, key);
    out.text_or_nil(bytes, SPAN_TEXT)
}

/// Lower-case hex text, or nil.
fn id(out: &mut OutputBuffer, key: &str, bytes: &[u8]) -> WriteResult {
    msgpack::str(&mut out.bytes, key);
    if bytes.is_empty() {
        msgpack::nil(&mut out.bytes);
        return Ok(());
    }
    if bytes.len().saturating_mul(2) > SPAN_TEXT {
        return Err(super::scan::WriteProblem::Form(
            "an id is longer than Fluent Bit's traces allow",
        ));
    }
    let hex = crate::model::hex(bytes);
    msgpack::str(&mut out.bytes, &hex);
    Ok(())
}

fn write_resource(out: &mut OutputBuffer, envelope: &ContextEnvelope<'_>) -> WriteResult {
    let scan = FieldScan::new(envelope.header.as_deref().unwrap_or_default(), RESOURCE)?;
    if scan.has(3) {
        out.losses.add(FormatLoss::EntityRefs);
    }
    if scan.has_unknown || envelope.has_unknown {
        out.losses.add(FormatLoss::UnknownFields);
    }
    msgpack::map_header(&mut out.bytes, 3);
    msgpack::str(&mut out.bytes, "resource");
    msgpack::map_header(&mut out.bytes, 2);
    attributes(out, &scan, 1, 2)?;
    text(out, "schema_url", envelope.schema_url)
}

fn write_scope(
    out: &mut OutputBuffer,
    envelope: &ContextEnvelope<'_>,
    capabilities: ReaderCapabilities,
) -> WriteResult {
    // The schema URL comes first, so that everything around the spans is before them.
    msgpack::map_header(&mut out.bytes, 3);
    text(out, "schema_url", envelope.schema_url)?;
    msgpack::str(&mut out.bytes, "scope");
    if envelope.header.is_none() && capabilities.unset_scope {
        msgpack::nil(&mut out.bytes);
        return Ok(());
    }
    let scan = FieldScan::new(envelope.header.as_deref().unwrap_or_default(), SCOPE)?;
    if scan.has_unknown || envelope.has_unknown {
        out.losses.add(FormatLoss::UnknownFields);
    }
    msgpack::map_header(&mut out.bytes, 4);
    text(out, "name", scan.bytes(1)?)?;
    text(out, "version", scan.bytes(2)?)?;
    attributes(out, &scan, 3, 4)
}

/// A span is not valid without ids: opentelemetry-proto, `Span.trace_id` and `Span.span_id`.
fn check_ids(scan: &FieldScan<'_>) -> WriteResult {
    let valid = |id: &[u8], length| id.len() == length && id.iter().any(|byte| *byte != 0);
    let (trace, span) = (scan.bytes(1)?, scan.bytes(2)?);
    if !valid(trace, 16) {
        return Err(DecodeKind::TraceId(trace.len()).into());
    }
    if !valid(span, 8) {
        return Err(DecodeKind::SpanId(span.len()).into());
    }
    Ok(())
}

fn write_span(
    out: &mut OutputBuffer,
    span: &[u8],
    capabilities: ReaderCapabilities,
) -> WriteResult {
    let scan = FieldScan::new(span, SPAN)?;
    check_ids(&scan)?;
    if scan.fixed32(16)? != 0 {
        out.losses.add(FormatLoss::Flags);
    }
    if scan.has_unknown {
        out.losses.add(FormatLoss::UnknownFields);
    }
    msgpack::map_header(&mut out.bytes, if capabilities.long_spans { 16 } else { 13 });
    id(out, "trace_id", scan.bytes(1)?)?;
    id(out, "span_id", scan.bytes(2)?)?;
    id(out, "parent_span_id", scan.bytes(4)?)?;
    text(out, "trace_state", scan.bytes(3)?)?;
    text(out, "name", scan.bytes(5)?)?;
    enumeration(out, "kind", scan.varint32(6)?);
    pair(out, "start_time_unix_nano", scan.fixed64(7)?.unwrap_or(0));
    pair(out, "end_time_unix_nano", scan.fixed64(8)?.unwrap_or(0));
    attributes(out, &scan, 9, 10)?;
    let kept = |number: usize| scan.count(number).min(MAX_LIST);
    if capabilities.long_spans {
        for (key, number, dropped) in
            [("dropped_events_count", 11, 12), ("dropped_links_count", 13, 14)]
        {
            let lost = scan.count(number).saturating_sub(kept(number));
            let before = scan.varint32(dropped)?;
            let all = before.saturating_add(u64::from(lost)).min(u64::from(u32::MAX));
            pair(out, key, all);
        }
    } else if scan.varint32(12)? != 0 || scan.varint32(14)? != 0 {
        out.losses.add(FormatLoss::ListLength);
    }
    many(out, &scan, ("events", 11, kept(11)), write_event)?;
    many(out, &scan, ("links", 13, kept(13)), write_link)?;
    if capabilities.long_spans {
        text(out, "schema_url", &[])?;
    }
    let status = scan.sub(15)?.unwrap_or_default();
    let status = FieldScan::new(&status, STATUS)?;
    msgpack::str(&mut out.bytes, "status");
    msgpack::map_header(&mut out.bytes, 2);
    enumeration(out, "code", status.varint32(3)?);
    text(out, "message", status.bytes(2)?)
}

/// An enum's number, which has a sign.
fn enumeration(out: &mut OutputBuffer, key: &str, value: u64) {
    msgpack::str(&mut out.bytes, key);
    let number = u32::try_from(value).unwrap_or(0).cast_signed();
    msgpack::int(&mut out.bytes, i64::from(number));
}

fn many(
    out: &mut OutputBuffer,
    scan: &FieldScan<'_>,
    (key, number, count): (&str, u32, u32),
    write: fn(&mut OutputBuffer, &[u8]) -> WriteResult,
) -> WriteResult {
    msgpack::str(&mut out.bytes, key);
    msgpack::array_header(&mut out.bytes, count);
    let mut left = count;
    each(scan.message(), number, |message| {
        out.room()?;
        match left.checked_sub(1) {
            Some(fewer) => {
                left = fewer;
                write(out, message)
            }
            None => {
                out.losses.add(FormatLoss::ListLength);
                Ok(())
            }
        }
    })
}

fn write_event(out: &mut OutputBuffer, event: &[u8]) -> WriteResult {
    let scan = FieldScan::new(event, EVENT)?;
    if scan.has_unknown {
        out.losses.add(FormatLoss::UnknownFields);
    }
    msgpack::map_header(&mut out.bytes, 4);
    pair(out, "time_unix_nano", scan.fixed64(1)?.unwrap_or(0));
    text(out, "name", scan.bytes(2)?)?;
    attributes(out, &scan, 3, 4)
}

fn write_link(out: &mut OutputBuffer, link: &[u8]) -> WriteResult {
    let scan = FieldScan::new(link, LINK)?;
    if scan.fixed32(6)? != 0 {
        out.losses.add(FormatLoss::Flags);
    }
    if scan.has_unknown {
        out.losses.add(FormatLoss::UnknownFields);
    }
    msgpack::map_header(&mut out.bytes, 5);
    id(out, "trace_id", scan.bytes(1)?)?;
    id(out, "span_id", scan.bytes(2)?)?;
    text(out, "trace_state", scan.bytes(3)?)?;
    attributes(out, &scan, 4, 5)
}
