//! Item views: the parts of a span, a log record or a metric, found in one pass over its map and
//! decoded when they are asked for.

use super::layout::keys;
use super::record::{StatusCode, integer};
use crate::codec::msgpack::{Entry, MapView, ReadError, Reader, Token, before, elements, text_of};
use crate::model::{SpanId, TraceId};

/// Sees the attributes of spans while they are read.
pub trait AttributeVisitor<'a> {
    /// Whether it wants to; otherwise attributes are skipped, which is faster.
    const LOOKS: bool = true;

    /// One attribute of the span: its key, and its encoded value.
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]);

    /// The same with the encoded pair.
    #[inline(always)]
    fn pair(&mut self, entry: Entry<'a>) {
        self.attribute(entry.key, entry.value);
    }
}

/// Sees nothing.
impl<'a> AttributeVisitor<'a> for () {
    const LOOKS: bool = false;

    #[inline]
    fn attribute(&mut self, _key: &'a [u8], _value: &'a [u8]) {}
}

/// The body of a span record. Its parts are encoded; what it does not have is an empty slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpanView<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    start_time: &'a [u8],
    end_time: &'a [u8],
    /// The parent's id; a root has none.
    pub parent_span_id: &'a [u8],
    /// The W3C `tracestate`.
    pub trace_state: &'a [u8],
    /// The W3C trace flags, and OTLP's own above them.
    pub flags: &'a [u8],
    /// The name.
    pub name: &'a [u8],
    /// `internal`, `server` and so on.
    pub kind: &'a [u8],
    /// The map of status code and message.
    pub status: &'a [u8],
    /// The map of attributes.
    pub attributes: &'a [u8],
    /// The array of events.
    pub events: &'a [u8],
    /// The array of links.
    pub links: &'a [u8],
}

impl<'a> SpanView<'a> {
    /// A view of a span record's body; what is no map has no parts.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        Self::read(&mut Reader::new(body), &mut ()).unwrap_or_default()
    }

    /// Reads the body that comes next, shows its attributes, and leaves the reader behind it.
    ///
    /// # Errors
    /// The body ends too early, or is not msgpack.
    #[inline]
    pub(super) fn read<V: AttributeVisitor<'a>>(
        reader: &mut Reader<'a>,
        visitor: &mut V,
    ) -> Result<Self, ReadError> {
        let mut view = Self::default();
        view.read_parts(reader, visitor)?;
        Ok(view)
    }

    /// The same for a view of nothing, which gets the parts.
    #[inline]
    pub(super) fn read_parts<V: AttributeVisitor<'a>>(
        &mut self,
        reader: &mut Reader<'a>,
        visitor: &mut V,
    ) -> Result<(), ReadError> {
        let mut parts = PartsInOrder { reader, left: 0 };
        parts.left = pairs_or_skip(parts.reader)?;
        parts.next(b"\xa8trace_id", &mut self.trace_id)?;
        parts.next(b"\xa7span_id", &mut self.span_id)?;
        parts.next(b"\xaeparent_span_id", &mut self.parent_span_id)?;
        parts.next(b"\xabtrace_state", &mut self.trace_state)?;
        parts.next(b"\xa5flags", &mut self.flags)?;
        parts.next(b"\xa4name", &mut self.name)?;
        parts.next(b"\xa4kind", &mut self.kind)?;
        parts.next(b"\xb4start_time_unix_nano", &mut self.start_time)?;
        parts.next(b"\xb2end_time_unix_nano", &mut self.end_time)?;
        parts.next(b"\xa6status", &mut self.status)?;
        for _ in 0..parts.left {
            self.read_part(reader, visitor)?;
        }
        Ok(())
    }

    /// Reads the part that comes next, whichever it is.
    #[inline]
    fn read_part<V: AttributeVisitor<'a>>(
        &mut self,
        reader: &mut Reader<'a>,
        visitor: &mut V,
    ) -> Result<(), ReadError> {
        let part = match reader.key()? {
            keys::TRACE_ID => &mut self.trace_id,
            keys::SPAN_ID => &mut self.span_id,
            keys::PARENT_SPAN_ID => &mut self.parent_span_id,
            keys::TRACE_STATE => &mut self.trace_state,
            keys::FLAGS => &mut self.flags,
            keys::NAME => &mut self.name,
            keys::KIND => &mut self.kind,
            keys::START_TIME => &mut self.start_time,
            keys::END_TIME => &mut self.end_time,
            keys::STATUS => &mut self.status,
            keys::ATTRIBUTES if V::LOOKS => {
                let start = reader.rest();
                for _ in 0..pairs_or_skip(reader)? {
                    let pair = reader.rest();
                    let (key, value) = (reader.key()?, reader.skip()?);
                    visitor.pair(Entry { key, value, raw: before(pair, reader.rest()) });
                }
                self.attributes = before(start, reader.rest());
                return Ok(());
            }
            keys::ATTRIBUTES => &mut self.attributes,
            keys::EVENTS => &mut self.events,
            keys::LINKS => &mut self.links,
            _ => {
                reader.skip()?;
                return Ok(());
            }
        };
        *part = reader.skip()?;
        Ok(())
    }

    /// `None` for an id that is missing or not valid.
    #[inline]
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        trace_id_of(self.trace_id)
    }

    /// `None` for an id that is missing or not valid.
    #[inline]
    #[must_use]
    pub fn span_id(&self) -> Option<SpanId> {
        span_id_of(self.span_id)
    }

    /// `None` for an id that is missing or not valid.
    #[inline]
    #[must_use]
    pub fn parent_span_id(&self) -> Option<SpanId> {
        span_id_of(self.parent_span_id)
    }

    /// The text of the W3C `tracestate`, empty when missing.
    #[inline]
    #[must_use]
    pub fn trace_state(&self) -> &'a [u8] {
        bytes_of_text(self.trace_state)
    }

    /// Whether its W3C trace flags, the lowest bits of `flags`, say that it was sampled.
    #[inline]
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        number(self.flags) & 1 == 1
    }

    /// Nanoseconds since the Unix epoch, 0 when missing.
    #[inline]
    #[must_use]
    pub fn start_unix_nanos(&self) -> u64 {
        number(self.start_time)
    }

    /// Nanoseconds since the Unix epoch, 0 when missing.
    #[inline]
    #[must_use]
    pub fn end_unix_nanos(&self) -> u64 {
        number(self.end_time)
    }

    /// How it ended.
    #[inline]
    #[must_use]
    pub fn status_code(&self) -> StatusCode {
        let code = MapView::new(self.status).get(keys::STATUS_CODE).unwrap_or_default();
        match Reader::new(code).token() {
            Ok(Token::Str(b"ok")) => StatusCode::Ok,
            Ok(Token::Str(b"error")) => StatusCode::Error,
            _ => match number(code) {
                1 => StatusCode::Ok,
                2 => StatusCode::Error,
                _ => StatusCode::Unset,
            },
        }
    }

    /// Whether it tells of a failure beside its status: by an attribute `error.type` or an event
    /// `exception`.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        MapView::new(self.attributes).any(|entry| names_an_error(entry.key, entry.value))
            || has_exception(self.events)
    }
}

/// The first parts of a span in the order in which they are written, so that a key is compared with the one that is
/// expected and not looked for.
struct PartsInOrder<'r, 'a> {
    reader: &'r mut Reader<'a>,
    /// Pairs that are left of the map.
    left: u32,
}

impl<'a> PartsInOrder<'_, 'a> {
    /// Reads the value of the next pair if it has this encoded key.
    #[inline(always)]
    fn next<const N: usize>(
        &mut self,
        key: &[u8; N],
        part: &mut &'a [u8],
    ) -> Result<(), ReadError> {
        if self.left > 0
            && let Some(rest) = self.reader.rest().strip_prefix(key)
        {
            *self.reader = Reader::new(rest);
            *part = self.reader.skip()?;
            self.left -= 1;
        }
        Ok(())
    }
}

/// The pairs of the map that comes next; anything else is skipped and has none.
#[inline]
fn pairs_or_skip(reader: &mut Reader<'_>) -> Result<u32, ReadError> {
    let start = *reader;
    if let Token::Map(pairs) = reader.token()? {
        return Ok(pairs);
    }
    *reader = start;
    reader.skip()?;
    Ok(0)
}

/// The attribute by which instrumentation names an error, and the event by which it tells of an
/// exception (semantic conventions, sections "Recording errors" and "Recording exceptions").
const ERROR_TYPE: &[u8] = b"error.type";
const EXCEPTION: &str = "exception";

/// Whether an attribute of a span says that it failed: `error.type` with any value but none.
#[inline]
#[must_use]
pub fn names_an_error(key: &[u8], value: &[u8]) -> bool {
    key == ERROR_TYPE
        && !matches!(Reader::new(value).token(), Ok(Token::Nil | Token::Str([])) | Err(_))
}

/// Whether one of a span's events, an encoded array, is an exception.
#[must_use]
pub fn has_exception(events: &[u8]) -> bool {
    elements(events)
        .any(|event| MapView::new(event).get(keys::NAME).and_then(text_of) == Some(EXCEPTION))
}

/// The `otlp` map of a log record, ours or Fluent Bit's. Its parts are encoded; what it does not
/// have is an empty slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogView<'a> {
    /// The id of its trace.
    pub trace_id: &'a [u8],
    span_id: &'a [u8],
    /// The W3C trace flags.
    pub trace_flags: &'a [u8],
    /// 1 to 24; 0 where it is not known.
    pub severity_number: &'a [u8],
    /// The severity as its source spells it.
    pub severity_text: &'a [u8],
    /// The name of the event, for a log record that is one.
    pub event_name: &'a [u8],
    /// The map of attributes.
    pub attributes: &'a [u8],
    /// The key that the body's value has, if it is not `log`.
    pub body_key: &'a [u8],
    /// What is special about the body: see [`super::Telemetry::body_form`].
    pub body_form: &'a [u8],
}

impl<'a> LogView<'a> {
    /// A view of the `otlp` map of a log record's metadata.
    #[must_use]
    pub fn new(otlp: &'a [u8]) -> Self {
        let mut view = Self::default();
        for entry in MapView::new(otlp) {
            let part = match entry.key {
                keys::TRACE_ID => &mut view.trace_id,
                keys::SPAN_ID => &mut view.span_id,
                keys::TRACE_FLAGS => &mut view.trace_flags,
                keys::SEVERITY_NUMBER => &mut view.severity_number,
                keys::SEVERITY_TEXT => &mut view.severity_text,
                keys::EVENT_NAME => &mut view.event_name,
                keys::ATTRIBUTES => &mut view.attributes,
                keys::BODY_KEY => &mut view.body_key,
                keys::BODY => &mut view.body_form,
                _ => continue,
            };
            *part = entry.value;
        }
        view
    }

    /// `None` for an id that is missing or not valid.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        trace_id_of(self.trace_id)
    }

    /// `None` for an id that is missing or not valid.
    #[must_use]
    pub fn span_id(&self) -> Option<SpanId> {
        span_id_of(self.span_id)
    }
}

/// The key of a metric's data that is this one.
fn metric_data(key: &[u8]) -> Option<&'static [u8]> {
    keys::METRIC_DATA.into_iter().find(|kind| *kind == key)
}

/// Whether a metric has its data under this key.
#[must_use]
pub fn is_metric_data(key: &[u8]) -> bool {
    metric_data(key).is_some()
}

/// The body of a metric record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetricView<'a> {
    /// The encoded name; empty if it has none.
    pub name: &'a [u8],
    /// What kind of data it has, as the record names it; empty if it has none.
    pub kind: &'static [u8],
    /// The encoded map of the data: `data_points`, `aggregation_temporality`, `is_monotonic`.
    pub data: &'a [u8],
}

impl<'a> MetricView<'a> {
    /// A view of a metric record's body.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        let mut view = Self::default();
        for entry in MapView::new(body) {
            if entry.key == keys::NAME {
                view.name = entry.value;
            } else if let Some(kind) = metric_data(entry.key) {
                (view.kind, view.data) = (kind, entry.value);
            }
        }
        view
    }

    /// The encoded maps of the data points.
    pub fn data_points(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        elements(MapView::new(self.data).get(keys::DATA_POINTS).unwrap_or_default())
    }
}

#[inline]
fn trace_id_of(encoded: &[u8]) -> Option<TraceId> {
    id(encoded, TraceId, TraceId::from_hex)
}

#[inline]
fn span_id_of(encoded: &[u8]) -> Option<SpanId> {
    id(encoded, SpanId, SpanId::from_hex)
}

/// An id as hex text or as bytes.
#[inline]
fn id<const N: usize, T>(
    encoded: &[u8],
    from_bytes: impl Fn([u8; N]) -> T,
    from_hex: impl Fn(&[u8]) -> Option<T>,
) -> Option<T> {
    match Reader::new(encoded).token() {
        Ok(Token::Str(text)) => from_hex(text),
        Ok(Token::Bin(bytes)) => {
            let bytes: [u8; N] = bytes.try_into().ok()?;
            bytes.iter().any(|byte| *byte != 0).then(|| from_bytes(bytes))
        }
        _ => None,
    }
}

/// The bytes of an encoded text, which need not be UTF-8; none for other types.
#[inline]
fn bytes_of_text(encoded: &[u8]) -> &[u8] {
    Reader::new(encoded).str().unwrap_or_default()
}

/// A number that is not negative, also one that Lua turned into a float; 0 for anything else.
#[inline]
fn number(encoded: &[u8]) -> u64 {
    match Reader::new(encoded).token() {
        Ok(Token::Uint(value)) => value,
        Ok(Token::Int(value)) => u64::try_from(value).unwrap_or(0),
        Ok(Token::Float(value)) => integer(value).unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack;
    use crate::codec::records::edit::Pairs;
    use crate::codec::records::schema::SPAN;

    #[test]
    fn a_span_is_read_as_a_view() {
        let mut body = Pairs::new();
        body.text("trace_id", "0af7651916cd43dd8448eb211c80319c");
        msgpack::bin(body.key("span_id"), &[1; 8]);
        body.text("parent_span_id", "0000000000000000");
        body.text("name", "chat");
        body.text("kind", "client");
        msgpack::uint(body.key("start_time_unix_nano"), 1000);
        msgpack::f64(body.key("end_time_unix_nano"), 1500.0);
        let mut status = Pairs::new();
        status.text("code", "error");
        status.text("message", "boom");
        status.write_map(body.key("status"));
        let mut attributes = Pairs::new();
        attributes.text("k", "v");
        attributes.write_map(body.key("attributes"));
        let mut map = Vec::new();
        body.write_map(&mut map);
        let view = SpanView::new(&map);
        assert!(view.trace_id().is_some());
        assert_eq!(view.span_id(), Some(SpanId([1; 8])));
        assert_eq!(view.parent_span_id(), None);
        assert_eq!((text_of(view.name), text_of(view.kind)), (Some("chat"), Some("client")));
        assert_eq!((view.start_unix_nanos(), view.end_unix_nanos()), (1000, 1500));
        assert_eq!(view.status_code(), StatusCode::Error);
        assert_eq!(MapView::new(view.attributes).get(b"k").and_then(text_of), Some("v"));
        assert_eq!(SpanView::new(&[0xc1]), SpanView::default());
    }

    /// Scenario: the parts of a span in the order of the layout, in the opposite one, and each of them twice.
    /// Guarantees: all are found, and of two the last counts.
    #[test]
    fn parts_are_found_in_any_order() {
        let keys: Vec<&str> = SPAN.fields.iter().map(|field| field.name).collect();
        let pairs: Vec<(&str, usize)> = keys.iter().copied().zip(1..).collect();
        let view = |pairs: &[(&str, usize)]| {
            let mut body = Vec::new();
            msgpack::map_header(&mut body, u32::try_from(pairs.len()).unwrap());
            for (key, value) in pairs {
                msgpack::str(&mut body, key);
                msgpack::uint(&mut body, u64::try_from(*value).unwrap());
            }
            let view = SpanView::new(&body);
            let SpanView { trace_id, span_id, start_time, end_time, .. } = view;
            let SpanView { parent_span_id, trace_state, flags, name, kind, .. } = view;
            let SpanView { status, attributes, events, links, .. } = view;
            let parts = [
                trace_id,
                span_id,
                start_time,
                end_time,
                parent_span_id,
                trace_state,
                flags,
                name,
                kind,
                status,
                attributes,
                events,
                links,
            ];
            parts.map(|part| part.first().copied().map(usize::from))
        };
        let at = |name: &str| keys.iter().position(|key| *key == name).map(|at| at + 1);
        let expected = [
            "trace_id",
            "span_id",
            "start_time_unix_nano",
            "end_time_unix_nano",
            "parent_span_id",
            "trace_state",
            "flags",
            "name",
            "kind",
            "status",
            "attributes",
            "events",
            "links",
        ];
        let expected = expected.map(at);
        assert!(expected.iter().all(Option::is_some));
        assert_eq!(view(&pairs), expected);
        let reversed: Vec<(&str, usize)> = pairs.iter().rev().copied().collect();
        assert_eq!(view(&reversed), expected);
        let first: Vec<(&str, usize)> = keys.iter().map(|key| (*key, 99)).collect();
        assert_eq!(view(&[first, pairs].concat()), expected);
    }

    #[test]
    fn metrics_and_logs_are_read_as_views() {
        let mut data = Pairs::new();
        msgpack::array_header(data.key("data_points"), 2);
        data.clear();
        let points = data.key("data_points");
        points.extend_from_slice(&[0x92, 0x80, 0x80]);
        let mut body = Pairs::new();
        body.text("name", "m");
        body.text("unit", "s");
        data.write_map(body.key("sum"));
        let mut map = Vec::new();
        body.write_map(&mut map);
        let view = MetricView::new(&map);
        assert_eq!((text_of(view.name), view.kind), (Some("m"), &b"sum"[..]));
        assert_eq!(view.data_points().count(), 2);
        let mut otlp = Pairs::new();
        msgpack::bin(otlp.key("trace_id"), &[3; 16]);
        msgpack::uint(otlp.key("severity_number"), 9);
        let mut map = Vec::new();
        otlp.write_map(&mut map);
        let view = LogView::new(&map);
        assert_eq!(view.trace_id(), Some(TraceId([3; 16])));
        assert_eq!(msgpack::int_of(view.severity_number), Some(9));
    }
}
