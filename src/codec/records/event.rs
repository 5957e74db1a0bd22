//! Reading a chunk of log events, whoever wrote them.

use super::walk::{Common, read_otlp, skip_rest};
use crate::codec::msgpack::{MapView, ReadError, Reader, Token, text_of};
use crate::model::{Position, Signal};

/// The time of a log event, as Fluent Bit writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EventTime {
    /// Seconds since the Unix epoch; group markers have `u32::MAX` or `u32::MAX - 1`.
    pub seconds: u32,
    /// Nanoseconds within the second.
    pub nanos: u32,
}

impl EventTime {
    /// The time as nanoseconds since the Unix epoch.
    #[must_use]
    pub fn unix_nanos(self) -> u64 {
        u64::from(self.seconds) * 1_000_000_000 + u64::from(self.nanos)
    }

    /// The event time of a moment, for writing. What lies after January 2038 becomes the last second
    /// that every release reads as a time: before 5.1 the host takes seconds for signed 32 bits and
    /// negative ones for a broken mark of a group, with which it ends a chunk (3.1 to 4.1) or leaves
    /// out the record (4.2 and 5.0). The exact time is in the record.
    #[must_use]
    pub fn from_unix_nanos(unix_nanos: u64) -> Self {
        let seconds = u32::try_from(unix_nanos / 1_000_000_000).unwrap_or(u32::MAX);
        let nanos = u32::try_from(unix_nanos % 1_000_000_000).unwrap_or(0);
        Self { seconds: seconds.min(i32::MAX.unsigned_abs()), nanos }
    }
}

/// What an event is to Fluent Bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A record.
    Record,
    /// The start of a group: its metadata and body hold for the records that follow.
    GroupStart,
    /// The end of a group.
    GroupEnd,
}

/// The group that a record stands in: its encoded metadata and body maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group<'a> {
    /// For OTLP logs `{"schema": "otlp", "resource_id": n, "scope_id": n}`.
    pub metadata: &'a [u8],
    /// For OTLP logs `{"resource": {...}, "scope": {...}}`.
    pub body: &'a [u8],
}

/// An encoded map without pairs.
const EMPTY_MAP: &[u8] = &[0x80];

/// One log event of a chunk; all slices are encoded msgpack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<'a> {
    /// The whole event.
    pub raw: &'a [u8],
    /// What it is.
    pub kind: EventKind,
    /// Its time.
    pub time: EventTime,
    /// Its metadata map; an empty slice in the legacy form `[time, body]`.
    pub metadata: &'a [u8],
    /// Its body, in general a map.
    pub body: &'a [u8],
    /// The group that it stands in.
    pub group: Option<Group<'a>>,
}

/// What the metadata map of a telemetry record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Telemetry<'a> {
    /// The signal; `None` when the record is an OTLP log as Fluent Bit writes it, or unknown.
    pub signal: Option<Signal>,
    /// The encoded resource map.
    pub resource: Option<&'a [u8]>,
    /// The encoded scope map.
    pub scope: Option<&'a [u8]>,
    /// The filter position at which one of our filters emitted the record.
    pub position: Option<Position>,
    /// The layout's version; `None` when the record is not of our layout.
    pub version: Option<u64>,
    /// How many envelopes with an equal resource, and with an equal scope, stood before the record's
    /// own: neighbours that differ in them do not share an envelope.
    pub envelope: [u64; 2],
    /// The id of the scope in the group that the record came in.
    pub scope_id: Option<u64>,
    /// For log records of our layout, what is special about the body: `kvlist` or `none`, and `ext`
    /// in records of earlier builds.
    pub body_form: &'a [u8],
    /// For log records of our layout, the key that the body's value has, if that is not `log`; see
    /// [`Telemetry::body_key`].
    pub given_body_key: Option<&'a [u8]>,
    /// What of the record's values stands beside them, as `otlp.raw_values` has it; empty if
    /// nothing does.
    pub raw_values: &'a [u8],
    /// The encoded `otlp` map itself.
    pub otlp: &'a [u8],
    /// Where that map has what all records of a scope share.
    pub common: Common,
}

impl<'a> Event<'a> {
    /// What the metadata says, if it has an `otlp` map.
    #[must_use]
    pub fn telemetry(&self) -> Option<Telemetry<'a>> {
        let mut metadata = Reader::new(self.metadata);
        for _ in 0..metadata.map().ok()? {
            let key = metadata.token().ok()?;
            if key == Token::Str(b"otlp") {
                let known = Telemetry::default();
                let (mut said, _) = read_otlp(metadata.rest(), &known, &[]).ok()?;
                said.take_from(self.group);
                return Some(said);
            }
            skip_rest(&mut metadata, key).ok()?;
            metadata.skip().ok()?;
        }
        None
    }
}

/// Whether a key of an `otlp` map is one that an ordinary log gets when it is placed in its trace.
#[must_use]
pub const fn is_placing_key(key: &[u8]) -> bool {
    matches!(key, b"trace_id" | b"span_id" | b"trace_flags" | b"severity_number" | b"severity_text")
}

impl<'a> Telemetry<'a> {
    /// Whether the event, whose metadata this is, is an ordinary log that only got its place in a
    /// trace: there is nothing but ids and a severity in its `otlp` map, and no group.
    #[must_use]
    pub fn is_ordinary(&self, event: &Event<'_>) -> bool {
        self.signal.is_none()
            && event.group.is_none()
            && MapView::new(self.otlp).all(|entry| is_placing_key(entry.key))
    }

    /// The key under which a log's body stands, unless the body is the record itself.
    #[inline]
    #[must_use]
    pub fn body_key(&self) -> &'a [u8] {
        self.given_body_key.unwrap_or(b"log")
    }

    /// Takes resource and scope from the group that the record came in, where it still stands in
    /// it: processors change the group alone. Filters drop the marks of groups, so that the group
    /// around a record may also be another one.
    #[inline]
    pub(super) fn take_from(&mut self, group: Option<Group<'a>>) {
        let Some(group) = group else { return };
        if self.version.is_none() && self.given_body_key.is_none() {
            // A record in the host's own layout does not say it itself.
            let key = MapView::new(group.metadata).get(b"body_key");
            self.given_body_key = key.and_then(|key| Reader::new(key).str().ok());
        }
        let Some(id) = self.scope_id else { return };
        if MapView::new(group.metadata).get(b"scope_id").and_then(whole_number) != Some(id) {
            return;
        }
        let body = MapView::new(group.body);
        let now = |key: &[u8], own: Option<&'a [u8]>| {
            let map = body.get(key).unwrap_or(EMPTY_MAP);
            // A group says that there is none by an empty map.
            if own.is_none() && MapView::new(map).next().is_none() { None } else { Some(map) }
        };
        (self.resource, self.scope) = (now(b"resource", self.resource), now(b"scope", self.scope));
    }

    /// Notes what one pair of the `otlp` map says.
    #[inline]
    pub(super) fn see(&mut self, key: &[u8], value: &'a [u8]) {
        match key {
            b"signal" => self.signal = text_of(value).and_then(signal_of),
            b"resource" => self.resource = Some(value),
            b"scope" => self.scope = Some(value),
            b"from" => self.position = position_of(value),
            b"envelope" => self.envelope = envelope_of(value),
            b"scope_id" => self.scope_id = whole_number(value),
            b"v" => self.version = whole_number(value),
            b"raw_values" => self.raw_values = value,
            b"body_key" => self.given_body_key = Reader::new(value).str().ok(),
            b"body" => self.body_form = Reader::new(value).str().unwrap_or_default(),
            _ => {}
        }
    }
}

/// A number as filters leave it: Lua turns integers into floats.
fn whole_number(encoded: &[u8]) -> Option<u64> {
    match Reader::new(encoded).token().ok()? {
        Token::Uint(value) => Some(value),
        Token::Int(value) => u64::try_from(value).ok(),
        Token::Float(value) => integer(value),
        _ => None,
    }
}

/// The integer that a float stands for, if it is one.
pub(super) fn integer(value: f64) -> Option<u64> {
    // 2^64 itself is the first float that does not fit.
    let fits = value.fract() == 0.0 && (0.0..18_446_744_073_709_551_616.0).contains(&value);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked above")]
    fits.then_some(value as u64)
}

fn signal_of(item: &str) -> Option<Signal> {
    Signal::WITH_PROFILES.into_iter().find(|signal| signal.item() == item)
}

fn position_of(encoded: &[u8]) -> Option<Position> {
    let mut parts = crate::codec::msgpack::elements(encoded);
    let run = parts.next().and_then(whole_number)?;
    let after = parts.next().and_then(whole_number)?;
    Some(Position { run, after: u32::try_from(after).ok()? })
}

fn envelope_of(encoded: &[u8]) -> [u64; 2] {
    let mut parts = crate::codec::msgpack::elements(encoded);
    [(); 2].map(|()| parts.next().and_then(whole_number).unwrap_or_default())
}

/// Reads the events of a chunk one by one. What is msgpack but no event is an error of its own, and
/// the events after it are read; where the bytes stop being msgpack, the last error comes.
#[derive(Debug, Clone)]
pub struct Events<'a> {
    reader: Reader<'a>,
    group: Option<Group<'a>>,
}

impl<'a> Events<'a> {
    /// The events of `chunk`.
    #[must_use]
    pub const fn new(chunk: &'a [u8]) -> Self {
        Self { reader: Reader::new(chunk), group: None }
    }

    /// What has not been read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.reader.rest()
    }

    /// The group that the next record stands in, if it is no marker itself.
    pub(super) const fn group(&self) -> Option<Group<'a>> {
        self.group
    }

    /// Goes on with `rest`, after a record that somebody else read, and gives the record's group.
    pub(super) const fn advance(&mut self, rest: &'a [u8]) -> Option<Group<'a>> {
        self.reader = Reader::new(rest);
        self.group
    }

    fn read(&mut self) -> Result<Event<'a>, ReadError> {
        let start = self.reader;
        let mut parts = match split(start) {
            Ok(parts) => parts,
            Err(_) => return Err(self.skip_rubbish(start)),
        };
        let time = event_time(parts.time);
        let kind = time.map(|time| kind(parts.time, time));
        if kind == Ok(EventKind::GroupStart) {
            parts.repair_group(start.rest());
        }
        self.reader = parts.rest;
        let (time, kind) = (time?, kind?);
        let Parts { metadata, body, rest, .. } = parts;
        match kind {
            EventKind::GroupStart => self.group = Some(Group { metadata, body }),
            EventKind::GroupEnd => self.group = None,
            EventKind::Record => {}
        }
        let length = start.rest().len().saturating_sub(rest.rest().len());
        let raw = start.rest().get(..length).unwrap_or_default();
        Ok(Event { raw, kind, time, metadata, body, group: self.group })
    }

    /// Skips one object that is no event.
    #[cold]
    fn skip_rubbish(&mut self, start: Reader<'a>) -> ReadError {
        self.reader = start;
        match self.reader.skip() {
            Ok(_) => ReadError::Type,
            Err(error) => {
                self.reader = Reader::new(&[]);
                error
            }
        }
    }
}

/// The parts of an event.
struct Parts<'a> {
    time: Token<'a>,
    metadata: &'a [u8],
    body: &'a [u8],
    rest: Reader<'a>,
}

/// Splits `[[time, metadata], body]`, or the legacy form `[time, body]`.
#[inline]
fn split(mut reader: Reader<'_>) -> Result<Parts<'_>, ReadError> {
    let Token::Array(2) = reader.token()? else { return Err(ReadError::Type) };
    let (mut time, mut metadata): (_, &[u8]) = (reader.token()?, &[]);
    match time {
        Token::Array(elements @ 1..) => {
            time = reader.token()?;
            if matches!(time, Token::Array(_) | Token::Map(_)) {
                return Err(ReadError::Type);
            }
            for index in 1..elements {
                let skipped = reader.skip()?;
                if index == 1 {
                    metadata = skipped;
                }
            }
        }
        Token::Array(_) | Token::Map(_) => return Err(ReadError::Type),
        _ => {}
    }
    let body = reader.skip()?;
    Ok(Parts { time, metadata, body, rest: reader })
}

fn kind(token: Token<'_>, time: EventTime) -> EventKind {
    match (token, time) {
        (Token::Ext(..), EventTime { seconds: u32::MAX, nanos: 0 }) | (Token::Int(-1), _) => {
            EventKind::GroupStart
        }
        (Token::Ext(..), EventTime { seconds: 0xffff_fffe, nanos: 0 }) | (Token::Int(-2), _) => {
            EventKind::GroupEnd
        }
        _ => EventKind::Record,
    }
}

impl<'a> Parts<'a> {
    /// Fluent Bit 3.1.0 to about 3.2.2 wrote the key `scope` without a value for a scope that has
    /// nothing in it, so that the next event looks like the value. A scope is never an array: the
    /// body ends before it.
    fn repair_group(&mut self, start: &'a [u8]) {
        let mut body = Reader::new(self.body);
        let Ok(pairs @ 1..) = body.map() else { return };
        for _ in 1..pairs {
            if body.skip().and_then(|_| body.skip()).is_err() {
                return;
            }
        }
        if body.str() != Ok(b"scope") || !matches!(body.rest(), [0x92, ..]) {
            return;
        }
        let after = body.rest().len();
        let kept = self.body.len().saturating_sub(after);
        let end = start.len().saturating_sub(self.rest.rest().len() + after);
        self.rest = Reader::new(start.get(end..).unwrap_or_default());
        self.body = self.body.get(..kept).unwrap_or_default();
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<Event<'a>, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() {
            return None;
        }
        Some(self.read())
    }
}

/// Fluent Bit's event time (extension type 0), or a number of seconds in the legacy forms.
pub(super) fn event_time(token: Token<'_>) -> Result<EventTime, ReadError> {
    Ok(match token {
        Token::Ext(_, &[a, b, c, d, e, f, g, h]) => EventTime {
            seconds: u32::from_be_bytes([a, b, c, d]),
            nanos: u32::from_be_bytes([e, f, g, h]),
        },
        Token::Uint(seconds) => {
            let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
            EventTime { seconds: seconds.min(u32::MAX - 2), nanos: 0 }
        }
        Token::Int(_) => EventTime::default(),
        Token::Float(seconds) => {
            let time = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default();
            let seconds = u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
            EventTime { seconds: seconds.min(u32::MAX - 2), nanos: time.subsec_nanos() }
        }
        _ => return Err(ReadError::Type),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{array_header, ext, int, map_header, str};

    fn event(seconds: u32, metadata: impl Fn(&mut Vec<u8>), key: &str) -> Vec<u8> {
        let mut out = Vec::new();
        array_header(&mut out, 2);
        array_header(&mut out, 2);
        let mut time = seconds.to_be_bytes().to_vec();
        time.extend_from_slice(&[0; 4]);
        ext(&mut out, 0, &time);
        metadata(&mut out);
        map_header(&mut out, 1);
        str(&mut out, key);
        int(&mut out, 1);
        out
    }

    #[test]
    fn groups_hold_for_their_records() {
        let empty = |out: &mut Vec<u8>| map_header(out, 0);
        let mut chunk = event(u32::MAX, empty, "group");
        chunk.extend(event(100, empty, "inside"));
        chunk.extend(event(u32::MAX - 1, empty, "end"));
        chunk.extend(event(101, empty, "outside"));
        let events: Vec<Event<'_>> = Events::new(&chunk).map(Result::unwrap).collect();
        let kinds: Vec<EventKind> = events.iter().map(|event| event.kind).collect();
        use EventKind::{GroupEnd, GroupStart, Record};
        assert_eq!(kinds, [GroupStart, Record, GroupEnd, Record]);
        assert!(events[1].group.is_some());
        assert!(events[3].group.is_none());
        assert_eq!(events[3].time.unix_nanos(), 101_000_000_000);
    }

    #[test]
    fn telemetry_is_read_from_the_metadata() {
        let metadata = |out: &mut Vec<u8>| {
            map_header(out, 1);
            str(out, "otlp");
            map_header(out, 2);
            str(out, "signal");
            str(out, "span");
            str(out, "from");
            array_header(out, 2);
            int(out, 77);
            int(out, 3);
        };
        let chunk = event(1, metadata, "name");
        let telemetry = Events::new(&chunk).next().unwrap().unwrap().telemetry().unwrap();
        assert_eq!(telemetry.signal, Some(Signal::Traces));
        assert_eq!(telemetry.position, Some(Position { run: 77, after: 3 }));
    }

    #[test]
    fn a_group_whose_scope_has_no_value_keeps_its_first_record() {
        let mut chunk = vec![0x92, 0x92, 0xd7, 0];
        chunk.extend_from_slice(&u32::MAX.to_be_bytes());
        chunk.extend_from_slice(&[0, 0, 0, 0, 0x80, 0x82]);
        str(&mut chunk, "resource");
        map_header(&mut chunk, 0);
        str(&mut chunk, "scope");
        chunk.extend(event(100, |out| map_header(out, 0), "first"));
        chunk.extend(event(101, |out| map_header(out, 0), "second"));
        let events: Vec<Event<'_>> = Events::new(&chunk).map(Result::unwrap).collect();
        assert_eq!(
            events.iter().map(|event| event.time.seconds).collect::<Vec<_>>(),
            [u32::MAX, 100, 101]
        );
        let group = events[1].group.unwrap();
        assert_eq!(MapView::new(group.body).get(b"resource"), Some(&[0x80][..]));
        assert_eq!(MapView::new(group.body).get(b"scope"), None);
        let whole: Vec<u8> = events.iter().flat_map(|event| event.raw.to_vec()).collect();
        assert_eq!(whole, chunk);
    }

    #[test]
    fn no_written_time_is_negative_for_older_hosts() {
        let last = i32::MAX.unsigned_abs();
        for (seconds, written) in
            [(1, 1), (u64::from(last), last), (u64::from(last) + 1, last), (4_294_967_295, last)]
        {
            let time = EventTime::from_unix_nanos(seconds * 1_000_000_000 + 5);
            assert_eq!(time, EventTime { seconds: written, nanos: 5 });
        }
        assert_eq!(EventTime::from_unix_nanos(u64::MAX).seconds, last);
    }

    #[test]
    fn legacy_forms_and_rubbish() {
        let legacy = [0x92, 0x05, 0x81, 0xa1, b'k', 0x01];
        let event = Events::new(&legacy).next().unwrap().unwrap();
        assert_eq!((event.time.seconds, event.metadata), (5, &[][..]));
        let mut events = Events::new(&[0x93, 1, 2, 3, 0x92]);
        assert_eq!(events.next(), Some(Err(ReadError::Type)));
        assert_eq!(events.next(), Some(Err(ReadError::Truncated)));
        assert!(events.next().is_none());
    }
}
