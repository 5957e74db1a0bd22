//! Item iterator: reads the items of a chunk in one pass, for filters that decide on them or change
//! parts of them.
//!
//! Each event is read once: the metadata of a span or metric is compared with that of the one before
//! it, because those of one scope carry equal bytes, and a span's parts are picked up while its end is
//! looked for.

use super::event_reader::Events;
use super::record::{Event, EventKind, record_time};
use super::telemetry::Telemetry;
use super::views::{AttributeVisitor, SpanView};
use crate::codec::msgpack::{ReadError, Reader, before};
use crate::model::Signal;

/// A record, telemetry or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its event.
    pub event: Event<'a>,
    /// What the metadata says; `None` for an ordinary log. What it names may stand in an earlier
    /// record with equal metadata.
    pub telemetry: Option<Telemetry<'a>>,
    /// Whether the metadata differs from that of the span or metric before it in the chunk; logs
    /// are not compared.
    pub new_metadata: bool,
    /// Of a span, its parts.
    pub span: SpanView<'a>,
}

/// One step through a chunk.
#[expect(clippy::large_enum_variant, reason = "a step lives on the stack for one turn of a loop")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemStep<'a> {
    /// A record.
    Item(Item<'a>),
    /// The start or the end of a group.
    Marker(Event<'a>),
    /// An object that is no event, or, where the bytes stop being msgpack, all that is left.
    Malformed(&'a [u8]),
}

impl<'a> ItemStep<'a> {
    /// The item with what its metadata says, if it is a span.
    #[inline]
    #[must_use]
    pub fn span(&self) -> Option<(&Item<'a>, &Telemetry<'a>)> {
        let Self::Item(item) = self else { return None };
        let telemetry = item.telemetry.as_ref()?;
        (telemetry.signal == Some(Signal::Traces)).then_some((item, telemetry))
    }

    /// The bytes that were read.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        match self {
            Self::Item(Item { event, .. }) | Self::Marker(event) => event.raw,
            Self::Malformed(raw) => raw,
        }
    }
}

impl Item<'_> {
    /// What it is; what does not say so is a log.
    #[inline]
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.telemetry.and_then(|telemetry| telemetry.signal).unwrap_or(Signal::Logs)
    }
}

/// Walks over the items of a chunk.
#[derive(Debug, Clone)]
pub struct ItemReader<'a> {
    events: Events<'a>,
    /// The metadata of the last span or metric, and what it says.
    metadata: &'a [u8],
    telemetry: Telemetry<'a>,
}

impl<'a> ItemReader<'a> {
    /// A walk over `chunk`, a stream of log events.
    #[must_use]
    pub fn new(chunk: &'a [u8]) -> Self {
        Self { events: Events::new(chunk), metadata: &[], telemetry: Telemetry::default() }
    }

    /// The next step. The visitor sees the attributes of a span; it may have seen some although the
    /// step turns out to be malformed, so it is to be cleared before each step.
    #[inline]
    pub fn step(&mut self, visitor: &mut impl AttributeVisitor<'a>) -> Option<ItemStep<'a>> {
        let start = self.events.rest();
        if start.is_empty() {
            return None;
        }
        match self.record(start, visitor) {
            None => Some(self.other(start, visitor)),
            record => record,
        }
    }

    /// A record as we and Fluent Bit write it; `None` where the general way has to look. It is returned as
    /// the step that it is, since an item is too large to be moved for nothing.
    #[inline]
    fn record(
        &mut self,
        start: &'a [u8],
        visitor: &mut impl AttributeVisitor<'a>,
    ) -> Option<ItemStep<'a>> {
        let (time, rest) = record_time(start)?;
        let group = self.events.group();
        let known = if self.metadata.is_empty() { None } else { rest.strip_prefix(self.metadata) };
        // An encoded object is never the start of another one, so equal bytes are the whole object.
        let (telemetry, after) = if let Some(after) = known {
            (Some(self.telemetry), after)
        } else {
            let mut reader = Reader::new(rest);
            (Telemetry::of_next(&mut reader, group).ok()?, reader.rest())
        };
        let metadata = before(rest, after);
        let mut reader = Reader::new(after);
        let signal = telemetry.as_ref().and_then(|telemetry| telemetry.signal);
        let mut span = SpanView::default();
        if signal == Some(Signal::Traces) {
            span.read_parts(&mut reader, visitor).ok()?;
        } else {
            reader.skip().ok()?;
        }
        let new_metadata = known.is_none();
        if new_metadata {
            self.remember(metadata, telemetry.as_ref());
        }
        self.events.advance(reader.rest());
        let (raw, body) = (before(start, reader.rest()), before(after, reader.rest()));
        let event = Event { raw, kind: EventKind::Record, time, metadata, body, group };
        Some(ItemStep::Item(Item { event, telemetry, new_metadata, span }))
    }

    #[cold]
    fn other(&mut self, start: &'a [u8], visitor: &mut impl AttributeVisitor<'a>) -> ItemStep<'a> {
        let Some(Ok(event)) = self.events.next() else {
            return ItemStep::Malformed(before(start, self.events.rest()));
        };
        if event.kind != EventKind::Record {
            // What follows stands in another group.
            self.metadata = &[];
            return ItemStep::Marker(event);
        }
        let telemetry = event.telemetry();
        let signal = telemetry.and_then(|telemetry| telemetry.signal);
        let span = read_body(&mut Reader::new(event.body), signal, visitor).unwrap_or_default();
        self.remember(event.metadata, telemetry.as_ref());
        ItemStep::Item(Item { event, telemetry, new_metadata: true, span })
    }

    #[inline]
    fn remember(&mut self, metadata: &'a [u8], telemetry: Option<&Telemetry<'a>>) {
        if let Some(telemetry) = telemetry
            && matches!(telemetry.signal, Some(Signal::Traces | Signal::Metrics))
        {
            (self.metadata, self.telemetry) = (metadata, *telemetry);
        }
    }
}

/// Reads over a body, and finds the parts of a span's.
#[inline]
fn read_body<'a>(
    reader: &mut Reader<'a>,
    signal: Option<Signal>,
    visitor: &mut impl AttributeVisitor<'a>,
) -> Result<SpanView<'a>, ReadError> {
    if signal == Some(Signal::Traces) {
        return SpanView::read(reader, visitor);
    }
    reader.skip()?;
    Ok(SpanView::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{array_header, ext, int, map_header, str, uint};
    use crate::codec::records::StatusCode;
    use crate::model::TraceId;

    fn span_event(service: &str, name: &str) -> Vec<u8> {
        let mut out = vec![0x92, 0x92];
        ext(&mut out, 0, &[0, 0, 0, 9, 0, 0, 0, 1]);
        map_header(&mut out, 1);
        str(&mut out, "otlp");
        map_header(&mut out, 2);
        str(&mut out, "signal");
        str(&mut out, "span");
        str(&mut out, "resource");
        map_header(&mut out, 1);
        str(&mut out, "service");
        str(&mut out, service);
        map_header(&mut out, 6);
        str(&mut out, "trace_id");
        str(&mut out, "0af7651916cd43dd8448eb211c80319c");
        str(&mut out, "name");
        str(&mut out, name);
        str(&mut out, "start_time_unix_nano");
        uint(&mut out, 5);
        str(&mut out, "status");
        map_header(&mut out, 1);
        str(&mut out, "code");
        str(&mut out, "error");
        str(&mut out, "span_id");
        array_header(&mut out, 1);
        int(&mut out, 3);
        str(&mut out, "attributes");
        map_header(&mut out, 1);
        str(&mut out, "k");
        array_header(&mut out, 0);
        out
    }

    #[derive(Default)]
    struct Keys(Vec<Vec<u8>>);

    impl<'a> AttributeVisitor<'a> for Keys {
        fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
            self.0.push([key, value].concat());
        }
    }

    #[test]
    fn spans_others_and_rubbish() {
        let first = span_event("a", "one");
        let log = [0x92, 0x92, 0x05, 0x80, 0x81, 0xa1, b'k', 0x01];
        let chunk = [&first[..], &span_event("a", "two"), &log, &span_event("b", "x"), &[0xc1]];
        let chunk = chunk.concat();
        let mut items = ItemReader::new(&chunk);
        let mut keys = Keys::default();
        let Some(ItemStep::Item(item)) = items.step(&mut keys) else { panic!("a span") };
        assert_eq!((item.event.raw, item.new_metadata), (&first[..], true));
        let id = TraceId::from_hex(b"0af7651916cd43dd8448eb211c80319c");
        assert_eq!((item.span.trace_id(), item.span.span_id()), (id, None));
        assert_eq!(item.span.start_unix_nanos(), 5);
        assert_eq!((item.span.status_code(), item.event.time.seconds), (StatusCode::Error, 9));
        assert_eq!(keys.0, [[b'k', 0x90]]);
        let Some(ItemStep::Item(item)) = items.step(&mut keys) else { panic!("a span") };
        assert!(!item.new_metadata && item.telemetry.unwrap().resource.is_some());
        let Some(ItemStep::Item(item)) = items.step(&mut keys) else { panic!("a log") };
        assert_eq!((item.event.raw, item.telemetry, item.signal()), (&log[..], None, Signal::Logs));
        let Some(ItemStep::Item(item)) = items.step(&mut keys) else { panic!("a span") };
        assert!(item.new_metadata && item.signal() == Signal::Traces);
        assert_eq!(items.step(&mut keys), Some(ItemStep::Malformed(&[0xc1][..])));
        assert_eq!(items.step(&mut keys), None);
    }

    #[test]
    fn a_truncated_span_is_malformed_at_every_length() {
        let whole = span_event("a", "one");
        for length in 1..whole.len() {
            let step = ItemReader::new(&whole[..length]).step(&mut ());
            assert_eq!(step, Some(ItemStep::Malformed(&whole[..length])));
        }
    }

    /// Scenario: spans whose events have a time in an older form between spans of another metadata.
    /// Guarantees: they are read alike, and who compares metadata is told of each change.
    #[test]
    fn spans_of_all_forms_of_events_are_read() {
        let (first, other) = (span_event("a", "one"), span_event("b", "two"));
        let older = [&[0x92, 0x92, 0x05], &other[12..]].concat();
        let marker = [0x92, 0x92, 0xd7, 0, 255, 255, 255, 254, 0, 0, 0, 0, 0x80, 0x80];
        let chunk = [&first[..], &older, &first, &marker, &first, &[0x93, 1, 2, 3]].concat();
        let mut items = ItemReader::new(&chunk);
        let mut raw = Vec::new();
        let mut new = Vec::new();
        while let Some(step) = items.step(&mut ()) {
            raw.extend_from_slice(step.raw());
            new.push(match step {
                ItemStep::Item(item) => item.new_metadata && item.span.trace_id().is_some(),
                ItemStep::Marker(event) => event.raw != marker,
                ItemStep::Malformed(raw) => raw != [0x93, 1, 2, 3],
            });
        }
        assert_eq!((raw, new), (chunk.clone(), vec![true, true, true, false, true, false]));
    }
}
