//! Reader of `CTraces` contexts: the spans that Fluent Bit's own inputs and processors write.
//!
//! Spans have 13 keys up to Fluent Bit 3.2.6 and 16 keys later; both are read by their keys. The
//! format has no place for span flags, link flags and entity references.

use super::context_reader::{NativeRequest, read_chunk};
use super::fields;
use super::message::{self, KeyRow, KeyType, field};
use super::tally::{AtField, ReadPosition, ReadProblem, ReadTally};
use crate::codec::msgpack::MapView;
use crate::codec::otlp::OtlpMessage;
use crate::codec::wire;

const SPAN: &[KeyRow] = &[
    field(OtlpMessage::Span, "trace_id", KeyType::Id),
    field(OtlpMessage::Span, "span_id", KeyType::Id),
    field(OtlpMessage::Span, "parent_span_id", KeyType::Id),
    field(OtlpMessage::Span, "trace_state", KeyType::Text),
    field(OtlpMessage::Span, "name", KeyType::Text),
    field(OtlpMessage::Span, "kind", KeyType::Enum),
    field(OtlpMessage::Span, "start_time_unix_nano", KeyType::Time),
    field(OtlpMessage::Span, "end_time_unix_nano", KeyType::Time),
    field(OtlpMessage::Span, "attributes", KeyType::Attributes),
    field(OtlpMessage::Span, "dropped_attributes_count", KeyType::Count),
    field(OtlpMessage::Span, "dropped_events_count", KeyType::Count),
    field(OtlpMessage::Span, "dropped_links_count", KeyType::Count),
    field(OtlpMessage::Span, "events", KeyType::Many(EVENT)),
    field(OtlpMessage::Span, "links", KeyType::Many(LINK)),
    field(OtlpMessage::Span, "status", KeyType::One(STATUS)),
];

const EVENT: &[KeyRow] = &[
    field(OtlpMessage::SpanEvent, "time_unix_nano", KeyType::Time),
    field(OtlpMessage::SpanEvent, "name", KeyType::Text),
    field(OtlpMessage::SpanEvent, "attributes", KeyType::Attributes),
    field(OtlpMessage::SpanEvent, "dropped_attributes_count", KeyType::Count),
];

const LINK: &[KeyRow] = &[
    field(OtlpMessage::SpanLink, "trace_id", KeyType::Id),
    field(OtlpMessage::SpanLink, "span_id", KeyType::Id),
    field(OtlpMessage::SpanLink, "trace_state", KeyType::Text),
    field(OtlpMessage::SpanLink, "attributes", KeyType::Attributes),
    field(OtlpMessage::SpanLink, "dropped_attributes_count", KeyType::Count),
];

const STATUS: &[KeyRow] = &[
    field(OtlpMessage::Status, "code", KeyType::Enum),
    field(OtlpMessage::Status, "message", KeyType::Text),
];

const RESOURCE: &[KeyRow] = &[
    field(OtlpMessage::Resource, "attributes", KeyType::Attributes),
    field(OtlpMessage::Resource, "dropped_attributes_count", KeyType::Count),
];

const SCOPE: &[KeyRow] = &[
    field(OtlpMessage::InstrumentationScope, "name", KeyType::Text),
    field(OtlpMessage::InstrumentationScope, "version", KeyType::Text),
    field(OtlpMessage::InstrumentationScope, "attributes", KeyType::Attributes),
    field(OtlpMessage::InstrumentationScope, "dropped_attributes_count", KeyType::Count),
];

/// Reads a chunk of `CTraces` contexts into one `ExportTraceServiceRequest`.
///
/// What cannot be read is skipped as narrowly as possible, an attribute, event, link, span or
/// context, and counted; everything beside it is kept. A start time that is missing is zero,
/// "unknown": the time of reading would say something that was not measured.
#[must_use]
pub fn ctraces_to_otlp(chunk: &[u8]) -> NativeRequest {
    read_chunk(chunk, context)
}

fn context(
    out: &mut Vec<u8>,
    raw: &[u8],
    position: ReadPosition,
    tally: &mut ReadTally,
) -> Result<(), ReadProblem> {
    let spans = MapView::new(raw).get(b"resourceSpans");
    let spans = spans.ok_or(ReadProblem::new("resourceSpans", "is missing"))?;
    for (index, item) in fields::list(spans).at("resourceSpans")?.enumerate() {
        resource_spans(out, item, position.with("resourceSpans", index), tally);
    }
    Ok(())
}

/// An envelope: what its items come from, and the items.
struct Envelope {
    field: u32,
    owner: &'static str,
    table: &'static [KeyRow],
    items: &'static str,
}

const RESOURCE_SPANS: Envelope =
    Envelope { field: 1, owner: "resource", table: RESOURCE, items: "scope_spans" };

const SCOPE_SPANS: Envelope = Envelope { field: 2, owner: "scope", table: SCOPE, items: "spans" };

fn resource_spans(out: &mut Vec<u8>, raw: &[u8], position: ReadPosition, tally: &mut ReadTally) {
    envelope(out, &RESOURCE_SPANS, raw, position, tally, scope_spans);
}

fn scope_spans(out: &mut Vec<u8>, raw: &[u8], position: ReadPosition, tally: &mut ReadTally) {
    envelope(out, &SCOPE_SPANS, raw, position, tally, span);
}

/// Writes an envelope with what is readable in it; one without any span is left out.
fn envelope(
    out: &mut Vec<u8>,
    envelope: &Envelope,
    raw: &[u8],
    position: ReadPosition,
    tally: &mut ReadTally,
    item: fn(&mut Vec<u8>, &[u8], ReadPosition, &mut ReadTally),
) {
    if !fields::is_map(raw) {
        return tally.skip(position, ReadProblem::new("", "is not a map"));
    }
    let (length, spans) = (out.len(), tally.items);
    wire::message(out, envelope.field, |out| {
        let map = MapView::new(raw);
        if let Some(owner) = map.get(envelope.owner.as_bytes())
            && let Err(bad) = owner_message(out, envelope, owner, position, tally)
        {
            tally.skip(position, bad);
        }
        let items = map.get(envelope.items.as_bytes()).unwrap_or_default();
        match fields::list(items).at(envelope.items) {
            Ok(items) => items.enumerate().for_each(|(index, raw)| {
                item(out, raw, position.with(envelope.items, index), tally);
            }),
            Err(bad) => tally.skip(position, bad),
        }
        match fields::text(map.get(b"schema_url").unwrap_or_default()).at("schema_url") {
            Ok(url) => wire::nonempty(out, 3, url),
            Err(bad) => tally.skip(position, bad),
        }
    });
    if tally.items == spans {
        out.truncate(length);
    }
}

fn owner_message(
    out: &mut Vec<u8>,
    envelope: &Envelope,
    owner: &[u8],
    position: ReadPosition,
    tally: &mut ReadTally,
) -> Result<(), ReadProblem> {
    fields::map(owner).at(envelope.owner)?;
    if fields::is_map(owner) {
        wire::try_message(out, 1, |out| {
            message::write(out, envelope.table, owner, position, tally)
        })?;
    }
    Ok(())
}

fn span(out: &mut Vec<u8>, raw: &[u8], position: ReadPosition, tally: &mut ReadTally) {
    let result =
        wire::try_message(out, 2, |out| match message::write(out, SPAN, raw, position, tally)? {
            0 => Err(ReadProblem::new("", "is not a span")),
            _ => Ok(()),
        });
    match result {
        Ok(()) => tally.items = tally.items.saturating_add(1),
        Err(bad) => tally.skip(position, bad),
    }
}
