//! Span visitor: reads span records in one pass, for filters that decide on spans without rewriting
//! them.
//!
//! [`SpanReader`] reads each event once: the metadata of a span is compared with that of the span
//! before it, because spans of one scope carry equal bytes, and the body's fields are picked up
//! while its end is looked for.

use super::layout::keys;
use super::record::{Event, EventKind, EventTime, StatusCode, before, event_time, integer};
use super::telemetry::Telemetry;
use crate::codec::msgpack::{MapView, ReadError, Reader, Token};
use crate::model::Signal;

/// The fields of a span's body that decisions need; all slices are borrowed from the chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpanHead<'a> {
    /// Hex text, empty when missing.
    pub trace_id: &'a [u8],
    /// Hex text, empty when missing.
    pub span_id: &'a [u8],
    /// Hex text, empty for a root.
    pub parent_span_id: &'a [u8],
    /// The W3C tracestate, empty when missing.
    pub trace_state: &'a [u8],
    /// Nanoseconds since the Unix epoch, 0 when missing.
    pub start_unix_nanos: u64,
    /// Nanoseconds since the Unix epoch, 0 when missing.
    pub end_unix_nanos: u64,
    /// The status.
    pub status: StatusCode,
}

/// A span record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanEvent<'a> {
    /// The whole event.
    pub raw: &'a [u8],
    /// Its time.
    pub time: EventTime,
    /// Its encoded metadata map.
    pub metadata: &'a [u8],
    /// Whether the metadata differs from that of the span before it in the chunk.
    pub new_metadata: bool,
    /// What the metadata says.
    pub telemetry: Telemetry<'a>,
    /// Its encoded body map.
    pub body: &'a [u8],
    /// The body's fields.
    pub span: SpanHead<'a>,
}

/// One step through a chunk.
#[expect(clippy::large_enum_variant, reason = "a step lives on the stack for one turn of a loop")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanStep<'a> {
    /// A span record.
    Span(SpanEvent<'a>),
    /// Any other event, whole.
    Other(&'a [u8]),
    /// The bytes stop being msgpack here; nothing follows.
    Broken(&'a [u8]),
}

/// Sees the attributes of spans while they are read.
pub trait AttributeVisitor<'a> {
    /// One attribute of the span: its key, and its encoded value.
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]);

    /// The span's events, an encoded array.
    #[inline]
    fn events(&mut self, _events: &'a [u8]) {}
}

/// Sees nothing.
impl<'a> AttributeVisitor<'a> for () {
    #[inline]
    fn attribute(&mut self, _key: &'a [u8], _value: &'a [u8]) {}
}

/// Walks over the events of a chunk.
#[derive(Debug, Clone, Copy)]
pub struct SpanReader<'a> {
    rest: &'a [u8],
    metadata: &'a [u8],
    telemetry: Telemetry<'a>,
}

impl<'a> SpanReader<'a> {
    /// A walk over `chunk`, a stream of log events.
    #[must_use]
    pub fn new(chunk: &'a [u8]) -> Self {
        Self { rest: chunk, metadata: &[], telemetry: Telemetry::default() }
    }

    /// The next event. The visitor may have seen attributes although the step turns out not to be
    /// a span, so it is to be cleared before each step.
    #[inline]
    pub fn step(&mut self, visitor: &mut impl AttributeVisitor<'a>) -> Option<SpanStep<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let start = self.rest;
        let mut reader = Reader::new(start);
        if let Ok(Some(span)) = self.span(start, &mut reader, visitor) {
            self.rest = reader.rest();
            return Some(SpanStep::Span(span));
        }
        Some(self.other(start))
    }

    #[cold]
    fn other(&mut self, start: &'a [u8]) -> SpanStep<'a> {
        let mut reader = Reader::new(start);
        if let Ok(raw) = reader.skip() {
            self.rest = reader.rest();
            SpanStep::Other(raw)
        } else {
            self.rest = &[];
            SpanStep::Broken(start)
        }
    }

    fn span(
        &mut self,
        start: &'a [u8],
        reader: &mut Reader<'a>,
        visitor: &mut impl AttributeVisitor<'a>,
    ) -> Result<Option<SpanEvent<'a>>, ReadError> {
        if reader.token()? != Token::Array(2) || reader.token()? != Token::Array(2) {
            return Ok(None);
        }
        let time = event_time(reader.token()?)?;
        let new_metadata = !self.repeated(reader);
        if new_metadata && !self.read_metadata(reader, time)? {
            return Ok(None);
        }
        let body_start = reader.rest();
        let span = read_body(reader, visitor)?;
        let body = before(body_start, reader.rest());
        let (metadata, telemetry) = (self.metadata, self.telemetry);
        let raw = before(start, reader.rest());
        Ok(Some(SpanEvent { raw, time, metadata, new_metadata, telemetry, body, span }))
    }

    /// Steps over the metadata if it is that of the span before. An encoded object is never the
    /// start of another one, so equal bytes are the whole object.
    #[inline]
    fn repeated(&self, reader: &mut Reader<'a>) -> bool {
        if self.metadata.is_empty() {
            return false;
        }
        let Some(rest) = reader.rest().strip_prefix(self.metadata) else { return false };
        *reader = Reader::new(rest);
        true
    }

    fn read_metadata(
        &mut self,
        reader: &mut Reader<'a>,
        time: EventTime,
    ) -> Result<bool, ReadError> {
        let metadata = reader.skip()?;
        let kind = EventKind::Record;
        let event = Event { raw: metadata, kind, time, metadata, body: &[], group: None };
        match event.telemetry() {
            Some(telemetry) if telemetry.signal == Some(Signal::Traces) => {
                (self.metadata, self.telemetry) = (metadata, telemetry);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

/// Reads one object; a container is skipped and counts as nil.
#[inline]
fn scalar<'a>(reader: &mut Reader<'a>) -> Result<Token<'a>, ReadError> {
    let at = *reader;
    let token = reader.token()?;
    if matches!(token, Token::Array(_) | Token::Map(_)) {
        *reader = at;
        reader.skip()?;
        return Ok(Token::Nil);
    }
    Ok(token)
}

#[inline]
fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], ReadError> {
    Ok(match scalar(reader)? {
        Token::Str(text) => text,
        _ => &[],
    })
}

#[inline]
fn nanos(reader: &mut Reader<'_>) -> Result<u64, ReadError> {
    Ok(match scalar(reader)? {
        Token::Uint(nanos) => nanos,
        Token::Int(nanos) => u64::try_from(nanos).unwrap_or(0),
        // Lua has no integers.
        Token::Float(nanos) => integer(nanos).unwrap_or(0),
        _ => 0,
    })
}

fn read_body<'a>(
    reader: &mut Reader<'a>,
    visitor: &mut impl AttributeVisitor<'a>,
) -> Result<SpanHead<'a>, ReadError> {
    let mut span = SpanHead::default();
    for _ in 0..reader.map()? {
        match text(reader)? {
            b"trace_id" => span.trace_id = text(reader)?,
            b"span_id" => span.span_id = text(reader)?,
            b"parent_span_id" => span.parent_span_id = text(reader)?,
            b"trace_state" => span.trace_state = text(reader)?,
            b"start_time_unix_nano" => span.start_unix_nanos = nanos(reader)?,
            b"end_time_unix_nano" => span.end_unix_nanos = nanos(reader)?,
            b"status" => span.status = status_of(reader.skip()?),
            keys::ATTRIBUTES => visit(reader, visitor)?,
            b"events" => visitor.events(reader.skip()?),
            _ => {
                reader.skip()?;
            }
        }
    }
    Ok(span)
}

fn visit<'a>(
    reader: &mut Reader<'a>,
    visitor: &mut impl AttributeVisitor<'a>,
) -> Result<(), ReadError> {
    let at = *reader;
    let Token::Map(pairs) = reader.token()? else {
        *reader = at;
        reader.skip()?;
        return Ok(());
    };
    for _ in 0..pairs {
        let key = text(reader)?;
        visitor.attribute(key, reader.skip()?);
    }
    Ok(())
}

fn status_of(encoded: &[u8]) -> StatusCode {
    let code = MapView::new(encoded).get(b"code").unwrap_or_default();
    match Reader::new(code).token() {
        Ok(Token::Str(b"ok") | Token::Uint(1)) => StatusCode::Ok,
        Ok(Token::Str(b"error") | Token::Uint(2)) => StatusCode::Error,
        _ => StatusCode::Unset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{array_header, ext, int, map_header, str, uint};

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
        let mut walker = SpanReader::new(&chunk);
        let mut keys = Keys::default();
        let Some(SpanStep::Span(span)) = walker.step(&mut keys) else { panic!("a span") };
        assert_eq!((span.raw, span.new_metadata), (&first[..], true));
        assert_eq!(span.span.trace_id, b"0af7651916cd43dd8448eb211c80319c");
        assert_eq!((span.span.start_unix_nanos, span.span.status), (5, StatusCode::Error));
        assert_eq!((span.span.span_id, span.time.seconds), (&b""[..], 9));
        assert_eq!(keys.0, [[b'k', 0x90]]);
        let Some(SpanStep::Span(span)) = walker.step(&mut keys) else { panic!("a span") };
        assert!(!span.new_metadata && span.telemetry.resource.is_some());
        assert_eq!(walker.step(&mut keys), Some(SpanStep::Other(&log[..])));
        let Some(SpanStep::Span(span)) = walker.step(&mut keys) else { panic!("a span") };
        assert!(span.new_metadata);
        assert_eq!(walker.step(&mut keys), Some(SpanStep::Broken(&[0xc1][..])));
        assert_eq!(walker.step(&mut keys), None);
    }

    #[test]
    fn a_truncated_span_is_broken_at_every_length() {
        let whole = span_event("a", "one");
        for length in 1..whole.len() {
            let step = SpanReader::new(&whole[..length]).step(&mut ());
            assert_eq!(step, Some(SpanStep::Broken(&whole[..length])));
        }
    }
}
