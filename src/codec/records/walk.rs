//! Reading a chunk of records together with what their metadata says, each byte of it once.
//!
//! The records of a scope carry equal bytes: the whole metadata of spans and metrics, and a run of
//! pairs in that of logs. What was read once is compared from then on, which costs a fraction of
//! reading it.

use super::event::{Event, EventKind, EventTime, Events, Telemetry};
use super::spans::before;
use crate::codec::msgpack::{ReadError, Reader, Token};
use crate::model::Signal;

/// What stands before the metadata of a record: two arrays of two, and the time's extension.
const HEAD: [u8; 4] = [0x92, 0x92, 0xd7, 0x00];
/// A metadata map with nothing but `otlp`.
const OTLP: [u8; 6] = [0x81, 0xa4, b'o', b't', b'l', b'p'];
/// Seconds from here on mark groups.
const MARKERS: u32 = u32::MAX - 1;

/// Where an encoded `otlp` map has the pairs that all records of a scope share: `v`, `signal`,
/// `resource`, `scope` and `envelope`, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Common {
    /// Bytes of the map before them.
    pub at: usize,
    /// Bytes that they take.
    pub length: usize,
    /// Pairs of the map before them.
    pub before: u32,
    /// How many pairs they are; 0 if there are none.
    pub pairs: u32,
}

/// The events of a chunk, each with what [`Event::telemetry`] says of it.
#[derive(Debug, Clone)]
pub struct Records<'a> {
    events: Events<'a>,
    /// The body whose end nobody has told yet.
    open: Option<&'a [u8]>,
    /// The metadata read last, and what it says.
    metadata: &'a [u8],
    telemetry: Telemetry<'a>,
    /// The common pairs read last.
    common: &'a [u8],
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

impl<'a> Records<'a> {
    /// The events of `chunk`.
    #[must_use]
    pub fn new(chunk: &'a [u8]) -> Self {
        Self {
            events: Events::new(chunk),
            open: None,
            metadata: &[],
            telemetry: Telemetry::default(),
            common: &[],
        }
    }

    /// The next span or metric of our own layout with a body that ends nobody knows where: its
    /// slice is all that is left of the chunk, and so is [`Event::raw`]. Who reads the body says
    /// with [`Records::end`] how long it was; otherwise it is looked for. `None` is anything else,
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
        let rest = start.strip_prefix(&HEAD)?;
        let (time, rest) = rest.split_first_chunk::<8>()?;
        let [a, b, c, d, e, f, g, h] = *time;
        let seconds = u32::from_be_bytes([a, b, c, d]);
        if seconds >= MARKERS {
            return None;
        }
        let time = EventTime { seconds, nanos: u32::from_be_bytes([e, f, g, h]) };
        let after = match rest.strip_prefix(self.metadata) {
            Some(after) if !self.metadata.is_empty() => after,
            _ => self.read_metadata(rest)?,
        };
        Some(Head { start, time, metadata: before(rest, after), after })
    }

    /// Reads a metadata map that has `otlp` alone, and gives what follows it.
    fn read_metadata(&mut self, metadata: &'a [u8]) -> Option<&'a [u8]> {
        let otlp = metadata.strip_prefix(&OTLP)?;
        let (telemetry, after) = read_otlp(otlp, &self.telemetry, self.common).ok()?;
        // Filters may have brought the pairs into another order. A run that does not say all that is
        // known must not stand for it.
        if telemetry.common.pairs > 0 && telemetry.common.pairs == said(&telemetry) {
            let from = otlp.get(telemetry.common.at..).unwrap_or_default();
            self.common = from.get(..telemetry.common.length).unwrap_or_default();
        } else {
            self.common = &[];
        }
        (self.metadata, self.telemetry) = (before(metadata, after), telemetry);
        Some(after)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(Event<'a>, Option<Telemetry<'a>>), ReadError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.settle();
        if let Some((event, telemetry)) = self.record() {
            return Some(Ok((event, Some(telemetry))));
        }
        let event = self.events.next()?;
        Some(event.map(|event| (event, event.telemetry())))
    }
}

/// Reads the `otlp` map that `encoded` starts with. `common` are the common pairs of the record
/// before it, of which `known` says what they mean.
pub(super) fn read_otlp<'a>(
    encoded: &'a [u8],
    known: &Telemetry<'a>,
    common: &[u8],
) -> Result<(Telemetry<'a>, &'a [u8]), ReadError> {
    let mut telemetry = Telemetry::default();
    let mut reader = Reader::new(encoded);
    let pairs = reader.map()?;
    let mut index = 0;
    while index < pairs {
        let at = encoded.len().saturating_sub(reader.rest().len());
        if known.common.pairs <= pairs - index
            && !common.is_empty()
            && let Some(rest) = reader.rest().strip_prefix(common)
        {
            let Telemetry { version, signal, resource, scope, envelope, .. } = *known;
            telemetry = Telemetry { version, signal, resource, scope, envelope, ..telemetry };
            let pairs = known.common.pairs;
            telemetry.common = Common { at, length: common.len(), before: index, pairs };
            reader = Reader::new(rest);
            index += pairs;
            continue;
        }
        let key = reader.token()?;
        skip_rest(&mut reader, key)?;
        let value = reader.skip()?;
        if let Token::Str(key) = key {
            telemetry.see(key, value);
            let end = encoded.len().saturating_sub(reader.rest().len());
            extend(&mut telemetry.common, key, index, at, end);
        }
        index += 1;
    }
    telemetry.otlp = before(encoded, reader.rest());
    Ok((telemetry, reader.rest()))
}

/// How many of the pairs that records of a scope share the metadata has.
fn said(telemetry: &Telemetry<'_>) -> u32 {
    let there = [
        telemetry.version.is_some(),
        telemetry.signal.is_some(),
        telemetry.resource.is_some(),
        telemetry.scope.is_some(),
        telemetry.envelope != [0, 0],
    ];
    there.into_iter().map(u32::from).sum()
}

/// Makes a pair part of the common ones if it continues them.
#[inline]
fn extend(common: &mut Common, key: &[u8], index: u32, at: usize, end: usize) {
    let next = common.before + common.pairs;
    if key == b"v" {
        *common = Common { at, length: end - at, before: index, pairs: 1 };
    } else if common.pairs > 0
        && index == next
        && matches!(key, b"signal" | b"resource" | b"scope" | b"envelope")
    {
        common.length = end - common.at;
        common.pairs += 1;
    }
}

/// Skips the elements of a container whose token was read.
#[inline]
pub(super) fn skip_rest(reader: &mut Reader<'_>, token: Token<'_>) -> Result<(), ReadError> {
    let elements = match token {
        Token::Array(count) => u64::from(count),
        Token::Map(pairs) => u64::from(pairs) * 2,
        _ => 0,
    };
    for _ in 0..elements {
        reader.skip()?;
    }
    Ok(())
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
        let read: Vec<_> = Records::new(&chunk)
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
        let walked: Vec<_> = Records::new(chunk).collect();
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
        let records: Vec<_> = Records::new(&chunk).flatten().collect();
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
        let mut records = Records::new(&chunk);
        let (event, telemetry) = records.next_open().unwrap();
        assert_eq!(
            (telemetry.signal, event.body),
            (Some(Signal::Traces), &chunk[span.len() - 5..])
        );
        records.end(body.len());
        // Nobody says where this one ends.
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
    fn every_cut_and_every_changed_byte_reads_the_same() {
        let chunk = [log("a", "one", None), log("b", "one", Some("none"))].concat();
        for cut in 0..chunk.len() {
            agrees(&chunk[..cut]);
        }
        for place in 0..chunk.len() {
            for byte in [0x00, 0x80, 0x81, 0x92, 0xa1, 0xc1, 0xdf] {
                let mut changed = chunk.clone();
                changed[place] = byte;
                agrees(&changed);
            }
        }
    }
}
