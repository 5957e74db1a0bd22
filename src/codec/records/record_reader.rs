//! Record iterator with memoised metadata: reads a chunk of records together with what their metadata
//! says, each byte of it once.
//!
//! The records of a scope carry equal bytes: the whole metadata of spans and metrics, and a run of
//! pairs in that of logs. What was read once is compared from then on, which costs a fraction of
//! reading it.

use std::sync::atomic::{AtomicU64, Ordering};

use super::event_reader::Events;
use super::record::{Event, EventKind, EventTime, record_time};
use super::telemetry::{Telemetry, read_otlp};
use crate::codec::msgpack::{ReadError, Reader, before};
use crate::model::Signal;

/// A metadata map with nothing but `otlp`.
const OTLP: [u8; 6] = [0x81, 0xa4, b'o', b't', b'l', b'p'];

/// Numbers for what records share; 0 is none.
static CONTEXTS: AtomicU64 = AtomicU64::new(1);

/// The events of a chunk, each with what [`Event::telemetry`] says of it.
#[derive(Debug, Clone)]
pub struct RecordReader<'a> {
    events: Events<'a>,
    /// The body, as long as its end is not known.
    open: Option<&'a [u8]>,
    /// The metadata read last, and what it says.
    metadata: &'a [u8],
    telemetry: Telemetry<'a>,
    /// The common pairs read last.
    common: &'a [u8],
    /// The number of what they say; 0 if they are not all that records share.
    context: u64,
}

/// A log record of our own layout of which nothing was read but its time. What it shares with the
/// record before is known, if it goes on as that did.
#[derive(Debug, Clone, Copy)]
pub struct OpenLogRecord<'a> {
    /// The chunk from the `otlp` map on.
    pub(super) otlp: &'a [u8],
    /// What the record before says.
    pub(super) known: Telemetry<'a>,
    /// The common pairs of the record before.
    pub(super) common: &'a [u8],
    /// See [`RecordReader::context`].
    pub(super) context: u64,
}

/// What comes before the body of a record.
struct Head<'a> {
    /// The chunk from the record on.
    start: &'a [u8],
    time: EventTime,
    metadata: &'a [u8],
    /// The chunk from the body on.
    after: &'a [u8],
}

impl<'a> RecordReader<'a> {
    /// The events of `chunk`.
    #[must_use]
    pub fn new(chunk: &'a [u8]) -> Self {
        Self {
            events: Events::new(chunk),
            open: None,
            metadata: &[],
            telemetry: Telemetry::default(),
            common: &[],
            context: 0,
        }
    }

    /// The number of what the record given last shares with others: those with the same number have
    /// the same version, signal, resource, scope and envelope. 0 says nothing.
    #[must_use]
    pub const fn context(&self) -> u64 {
        self.context
    }

    /// The next record, if it is a log of our own layout after another one. It stays the next one
    /// until [`RecordReader::end_log`] says where it ends.
    #[inline]
    pub fn next_open_log(&mut self) -> Option<OpenLogRecord<'a>> {
        self.settle();
        if self.context == 0 || self.telemetry.signal != Some(Signal::Logs) {
            return None;
        }
        let (_, metadata) = record_time(self.events.rest())?;
        let otlp = metadata.strip_prefix(&OTLP)?;
        let (known, common, context) = (self.telemetry, self.common, self.context);
        Some(OpenLogRecord { otlp, known, common, context })
    }

    /// Says how many bytes an open log has from its `otlp` map on.
    #[inline]
    pub fn end_log(&mut self, log: &OpenLogRecord<'a>, length: usize) {
        if let Some(rest) = log.otlp.get(length..) {
            self.events.advance(rest);
        }
    }

    /// The next span or metric of our own layout with a body whose end is not known: its
    /// slice is all that is left of the chunk, and so is [`Event::raw`]. Who reads the body says
    /// with [`RecordReader::end`] how long it was; otherwise it is looked for. `None` is anything else,
    /// which [`Iterator::next`] gives.
    #[inline]
    pub fn next_open(&mut self) -> Option<(Event<'a>, Telemetry<'a>)> {
        self.settle();
        let Head { start: raw, time, metadata, after: body } = self.head()?;
        let ours = self.telemetry.version.is_some()
            && matches!(self.telemetry.signal, Some(Signal::Traces | Signal::Metrics));
        if !ours {
            return None;
        }
        self.open = Some(body);
        let kind = EventKind::Record;
        let event = Event { raw, kind, time, metadata, body, group: None };
        Some((event, self.telemetry))
    }

    /// Says how many bytes the open body has.
    #[inline]
    pub fn end(&mut self, length: usize) {
        if let Some(rest) = self.open.and_then(|body| body.get(length..)) {
            self.events.advance(rest);
            self.open = None;
        }
    }

    /// Looks for the end of an open body. Returns whether there is one: a chunk that stops being
    /// msgpack within the body is told of by [`Iterator::next`].
    #[inline]
    pub fn settle(&mut self) -> bool {
        let Some(body) = self.open.take() else { return true };
        let mut reader = Reader::new(body);
        let whole = reader.skip().is_ok();
        if whole {
            self.events.advance(reader.rest());
        }
        whole
    }

    /// Bytes of the chunk that have not been read yet.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.events.rest().len()
    }

    /// A record as we write it; `None` where the general way has to look.
    #[inline]
    fn record(&mut self) -> Option<(Event<'a>, Telemetry<'a>)> {
        let Head { start, time, metadata, after } = self.head()?;
        let mut reader = Reader::new(after);
        let body = reader.skip().ok()?;
        let raw = before(start, reader.rest());
        let group = self.events.advance(reader.rest());
        let event = Event { raw, kind: EventKind::Record, time, metadata, body, group };
        Some((event, self.telemetry))
    }

    /// The start of a record, its time, its metadata, and what follows.
    #[inline]
    fn head(&mut self) -> Option<Head<'a>> {
        let start = self.events.rest();
        let (time, rest) = record_time(start)?;
        let after = match rest.strip_prefix(self.metadata) {
            Some(after) if !self.metadata.is_empty() => after,
            _ => self.read_metadata(rest)?,
        };
        Some(Head { start, time, metadata: before(rest, after), after })
    }

    /// Reads a metadata map that has `otlp` alone, and gives what follows it.
    fn read_metadata(&mut self, metadata: &'a [u8]) -> Option<&'a [u8]> {
        let otlp = metadata.strip_prefix(&OTLP)?;
        let (mut telemetry, after) = read_otlp(otlp, &self.telemetry, self.common).ok()?;
        let from = otlp.get(telemetry.common.at..).unwrap_or_default();
        let common = from.get(..telemetry.common.length).unwrap_or_default();
        if common.is_empty() {
            self.context = 0;
            telemetry.take_from(self.events.group());
        } else if self.context == 0 || common != self.common {
            self.context = CONTEXTS.fetch_add(1, Ordering::Relaxed);
            telemetry.take_from(self.events.group());
        }
        self.common = common;
        (self.metadata, self.telemetry) = (before(metadata, after), telemetry);
        Some(after)
    }
}

impl<'a> Iterator for RecordReader<'a> {
    type Item = Result<(Event<'a>, Option<Telemetry<'a>>), ReadError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.settle();
        if let Some((event, telemetry)) = self.record() {
            return Some(Ok((event, Some(telemetry))));
        }
        let event = self.events.next()?;
        if event.is_ok_and(|event| event.kind != EventKind::Record) {
            // What follows stands in another group.
            (self.metadata, self.common, self.context) = (&[], &[], 0);
        }
        Some(event.map(|event| (event, event.telemetry())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{ext, map_header, str, uint};

    fn head(out: &mut Vec<u8>, seconds: u32) {
        out.extend_from_slice(&[0x92, 0x92]);
        let mut time = seconds.to_be_bytes().to_vec();
        time.extend_from_slice(&[0, 0, 0, 1]);
        ext(out, 0, &time);
    }

    #[test]
    fn pairs_in_another_order_are_read_each_time() {
        let record = |signal: &str, service: &str| {
            let mut out = Vec::new();
            head(&mut out, 9);
            map_header(&mut out, 1);
            str(&mut out, "otlp");
            map_header(&mut out, 3);
            for (key, value) in [("resource", service), ("signal", signal)] {
                str(&mut out, key);
                str(&mut out, value);
            }
            str(&mut out, "v");
            uint(&mut out, 1);
            map_header(&mut out, 0);
            out
        };
        let given = [("span", "shop"), ("metric", "shop"), ("log", "bank"), ("span", "bank")];
        let chunk: Vec<u8> =
            given.iter().flat_map(|(signal, service)| record(signal, service)).collect();
        let read: Vec<_> = RecordReader::new(&chunk)
            .map(|event| {
                let telemetry = event.unwrap().1.unwrap();
                let service = crate::codec::msgpack::text_of(telemetry.resource.unwrap()).unwrap();
                (telemetry.signal.unwrap().item(), service)
            })
            .collect();
        assert_eq!(read, given);
    }

    /// A log whose own pairs stand around the common ones.
    fn log(own: &str, service: &str, form: Option<&str>) -> Vec<u8> {
        let mut out = Vec::new();
        head(&mut out, 9);
        map_header(&mut out, 1);
        str(&mut out, "otlp");
        map_header(&mut out, if form.is_some() { 5 } else { 4 });
        str(&mut out, "severity_text");
        str(&mut out, own);
        str(&mut out, "v");
        uint(&mut out, 1);
        str(&mut out, "signal");
        str(&mut out, "log");
        str(&mut out, "resource");
        map_header(&mut out, 1);
        str(&mut out, "service");
        str(&mut out, service);
        if let Some(form) = form {
            str(&mut out, "body");
            str(&mut out, form);
        }
        map_header(&mut out, 1);
        str(&mut out, "log");
        str(&mut out, own);
        out
    }

    fn agrees(chunk: &[u8]) {
        let walked: Vec<_> = RecordReader::new(chunk).collect();
        let read: Vec<_> =
            Events::new(chunk).map(|event| event.map(|event| (event, event.telemetry()))).collect();
        assert_eq!(walked, read);
    }

    #[test]
    fn what_is_compared_says_the_same_as_what_is_read() {
        let same = log("a", "one", None);
        let group = [&[0x92, 0x92, 0xd7, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0x80, 0x80][..]];
        let foreign = [0x92, 0x92, 0x05, 0x81, 0xa1, b'k', 0x01, 0x80];
        let all = [
            &same[..],
            &same,
            &log("b", "one", Some("none")),
            &log("bc", "one", None),
            &log("c", "two", Some("kvlist")),
            group[0],
            &log("d", "two", None),
            &foreign,
            &[0x93, 1, 2, 3],
            &log("e", "two", None),
        ];
        agrees(&all.concat());
        let chunk = all.concat();
        let records: Vec<_> = RecordReader::new(&chunk).flatten().collect();
        let forms: Vec<&[u8]> =
            records.iter().filter_map(|(_, said)| Some(said.as_ref()?.body_form)).collect();
        assert_eq!(forms, [&b""[..], b"", b"none", b"", b"kvlist", b"", b""]);
    }

    #[test]
    fn bodies_are_open_for_spans_of_ours_only() {
        let mut span = Vec::new();
        head(&mut span, 9);
        map_header(&mut span, 1);
        str(&mut span, "otlp");
        map_header(&mut span, 2);
        str(&mut span, "v");
        uint(&mut span, 1);
        str(&mut span, "signal");
        str(&mut span, "span");
        let body = [0x81, 0xa1, b'k', 0x91, 0x01];
        span.extend_from_slice(&body);
        let chunk = [&span[..], &span, &log("a", "one", None), &span[..span.len() - 1]].concat();
        let mut records = RecordReader::new(&chunk);
        let (event, telemetry) = records.next_open().unwrap();
        assert_eq!(
            (telemetry.signal, event.body),
            (Some(Signal::Traces), &chunk[span.len() - 5..])
        );
        records.end(body.len());
        // The end of this one is not known.
        assert!(records.next_open().is_some());
        assert!(records.next_open().is_none());
        let (event, telemetry) = records.next().unwrap().unwrap();
        assert_eq!((telemetry.unwrap().signal, event.body[0]), (Some(Signal::Logs), 0x81));
        assert!(records.next_open().is_some());
        records.end(usize::MAX);
        assert_eq!(records.next(), Some(Err(ReadError::Truncated)));
        assert_eq!(records.next(), None);
    }

    #[test]
    fn pairs_that_stand_apart_are_read() {
        let pair = |out: &mut Vec<u8>, key: &str, service: &str| {
            str(out, key);
            map_header(out, 1);
            str(out, "service");
            str(out, service);
        };
        let record = |before: Option<&str>, inside: Option<&str>, after: Option<&str>| {
            let mut out = Vec::new();
            head(&mut out, 9);
            map_header(&mut out, 1);
            str(&mut out, "otlp");
            let several = [before, inside, after].into_iter().flatten().count();
            map_header(&mut out, 3 + u32::try_from(several).unwrap());
            before.into_iter().for_each(|service| pair(&mut out, "resource", service));
            str(&mut out, "v");
            uint(&mut out, 1);
            str(&mut out, "signal");
            str(&mut out, "log");
            inside.into_iter().for_each(|service| pair(&mut out, "resource", service));
            str(&mut out, "severity_text");
            str(&mut out, "INFO");
            after.into_iter().for_each(|service| pair(&mut out, "resource", service));
            map_header(&mut out, 0);
            out
        };
        let extras = [None, Some("a"), Some("b")];
        let mut all = Vec::new();
        for before in extras {
            for inside in extras {
                for after in extras {
                    all.push(record(before, inside, after));
                }
            }
        }
        for first in &all {
            for second in &all {
                agrees(&[&first[..], second, second, first].concat());
            }
        }
    }

    #[test]
    fn every_cut_and_every_changed_byte_reads_the_same() {
        let chunk = [log("a", "one", None), log("b", "one", Some("none"))].concat();
        for cut in 0..chunk.len() {
            agrees(&chunk[..cut]);
        }
        for index in 0..chunk.len() {
            for byte in [0x00, 0x80, 0x81, 0x92, 0xa1, 0xc1, 0xdf] {
                let mut changed = chunk.clone();
                changed[index] = byte;
                agrees(&changed);
            }
        }
    }
}
