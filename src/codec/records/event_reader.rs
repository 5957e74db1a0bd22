//! Event iterator: reads the log events of a chunk one by one, in the forms of every writer.

use super::layout::keys;
use super::record::{Event, EventKind, Group, event_kind, event_time};
use crate::codec::msgpack::{ReadError, Reader, Token};

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

    /// Goes on with `rest`, after a record that another reader read, and gives the record's group.
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
        let kind = time.map(|time| event_kind(parts.time, time));
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
        if body.str() != Ok(keys::SCOPE) || !matches!(body.rest(), [0x92, ..]) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{MapView, array_header, ext, int, map_header, str};
    use crate::model::{Position, Signal};

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
