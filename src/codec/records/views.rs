//! Views: the fields of a record that decisions need, without decoding its attributes.

use super::layout::keys;
use super::record::{StatusCode, integer};
use crate::codec::msgpack::{MapView, Reader, Token, elements, text_of};
use crate::model::{SpanId, TraceId};

/// A span record's body. Text that is not UTF-8 reads as empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SpanView<'a> {
    /// `None` for an id that is missing or not valid.
    pub trace_id: Option<TraceId>,
    /// `None` for an id that is missing or not valid.
    pub span_id: Option<SpanId>,
    /// `None` for a root span.
    pub parent_span_id: Option<SpanId>,
    /// The W3C `tracestate`.
    pub trace_state: &'a str,
    /// The W3C trace flags, and OTLP's own above them.
    pub flags: u32,
    /// The name.
    pub name: &'a str,
    /// `internal`, `server` and so on; empty where it is not known.
    pub kind: &'a str,
    /// Nanoseconds since the Unix epoch.
    pub start_unix_nanos: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_unix_nanos: u64,
    /// How it ended.
    pub status: StatusCode,
    /// The status message.
    pub status_message: &'a str,
    /// The encoded map of attributes; empty if there are none.
    pub attributes: &'a [u8],
    /// The encoded array of events; empty if there are none.
    pub events: &'a [u8],
    /// The encoded array of links; empty if there are none.
    pub links: &'a [u8],
}

impl<'a> SpanView<'a> {
    /// Reads the body of a span record.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        let mut view = Self::default();
        for entry in MapView::new(body) {
            let value = entry.value;
            match entry.key {
                b"trace_id" => view.trace_id = id(value, TraceId, TraceId::from_hex),
                b"span_id" => view.span_id = id(value, SpanId, SpanId::from_hex),
                b"parent_span_id" => view.parent_span_id = id(value, SpanId, SpanId::from_hex),
                b"trace_state" => view.trace_state = text_of(value).unwrap_or_default(),
                b"flags" => view.flags = number(value).try_into().unwrap_or_default(),
                b"name" => view.name = text_of(value).unwrap_or_default(),
                b"kind" => view.kind = text_of(value).unwrap_or_default(),
                b"start_time_unix_nano" => view.start_unix_nanos = number(value),
                b"end_time_unix_nano" => view.end_unix_nanos = number(value),
                b"status" => view.read_status(value),
                keys::ATTRIBUTES => view.attributes = value,
                b"events" => view.events = value,
                b"links" => view.links = value,
                _ => {}
            }
        }
        view
    }

    fn read_status(&mut self, status: &'a [u8]) {
        for entry in MapView::new(status) {
            match entry.key {
                b"code" => {
                    self.status = match Reader::new(entry.value).token() {
                        Ok(Token::Str(b"ok") | Token::Uint(1)) => StatusCode::Ok,
                        Ok(Token::Str(b"error") | Token::Uint(2)) => StatusCode::Error,
                        _ => StatusCode::Unset,
                    }
                }
                b"message" => self.status_message = text_of(entry.value).unwrap_or_default(),
                _ => {}
            }
        }
    }

    /// How long the span took; 0 when it ended before it began.
    #[must_use]
    pub const fn duration_nanos(&self) -> u64 {
        self.end_unix_nanos.saturating_sub(self.start_unix_nanos)
    }

    /// The encoded value of an attribute.
    #[must_use]
    pub fn attribute(&self, key: &[u8]) -> Option<&'a [u8]> {
        MapView::new(self.attributes).get(key)
    }
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
        .any(|event| MapView::new(event).get(b"name").and_then(text_of) == Some(EXCEPTION))
}

/// Whether a span record's body tells of a failure beside its status: by an attribute
/// `error.type` or an event `exception`.
#[must_use]
pub fn is_failure(body: &[u8]) -> bool {
    MapView::new(body).any(|field| match field.key {
        keys::ATTRIBUTES => MapView::new(field.value)
            .any(|attribute| names_an_error(attribute.key, attribute.value)),
        b"events" => has_exception(field.value),
        _ => false,
    })
}

/// The `otlp` map of a log record, ours or Fluent Bit's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogView<'a> {
    /// `None` for an id that is missing or not valid.
    pub trace_id: Option<TraceId>,
    /// `None` for an id that is missing or not valid.
    pub span_id: Option<SpanId>,
    /// Nanoseconds since the Unix epoch; 0 where the record has none.
    pub unix_nanos: u64,
    /// Nanoseconds since the Unix epoch; 0 where the record has none.
    pub observed_unix_nanos: u64,
    /// 1 to 24; 0 where it is not known.
    pub severity_number: u32,
    /// The severity as its source spells it.
    pub severity_text: &'a str,
    /// The name of the event, for a log record that is one.
    pub event_name: &'a str,
    /// The encoded map of attributes; empty if there are none.
    pub attributes: &'a [u8],
}

impl<'a> LogView<'a> {
    /// Reads the `otlp` map of a log record's metadata.
    #[must_use]
    pub fn new(otlp: &'a [u8]) -> Self {
        let mut view = Self::default();
        for entry in MapView::new(otlp) {
            let value = entry.value;
            match entry.key {
                b"trace_id" => view.trace_id = id(value, TraceId, TraceId::from_hex),
                b"span_id" => view.span_id = id(value, SpanId, SpanId::from_hex),
                b"timestamp" => view.unix_nanos = number(value),
                b"observed_timestamp" => view.observed_unix_nanos = number(value),
                b"severity_number" => {
                    view.severity_number = number(value).try_into().unwrap_or_default();
                }
                b"severity_text" => view.severity_text = text_of(value).unwrap_or_default(),
                b"event_name" => view.event_name = text_of(value).unwrap_or_default(),
                keys::ATTRIBUTES => view.attributes = value,
                _ => {}
            }
        }
        view
    }
}

/// The kinds of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MetricKind {
    /// A metric without data.
    #[default]
    None,
    /// A gauge.
    Gauge,
    /// A sum.
    Sum,
    /// A histogram with explicit bounds.
    Histogram,
    /// An exponential histogram.
    ExponentialHistogram,
    /// A summary.
    Summary,
}

/// A metric record's body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MetricView<'a> {
    /// The name.
    pub name: &'a str,
    /// The unit, in UCUM.
    pub unit: &'a str,
    /// The description.
    pub description: &'a str,
    /// What kind of data it has.
    pub kind: MetricKind,
    /// The encoded map of the data: `data_points`, `aggregation_temporality`, `is_monotonic`.
    pub data: &'a [u8],
}

impl<'a> MetricView<'a> {
    /// Reads the body of a metric record.
    #[must_use]
    pub fn new(body: &'a [u8]) -> Self {
        let mut view = Self::default();
        for entry in MapView::new(body) {
            let kind = match entry.key {
                b"gauge" => MetricKind::Gauge,
                b"sum" => MetricKind::Sum,
                b"histogram" => MetricKind::Histogram,
                b"exponential_histogram" => MetricKind::ExponentialHistogram,
                b"summary" => MetricKind::Summary,
                b"name" => {
                    view.name = text_of(entry.value).unwrap_or_default();
                    continue;
                }
                b"unit" => {
                    view.unit = text_of(entry.value).unwrap_or_default();
                    continue;
                }
                b"description" => {
                    view.description = text_of(entry.value).unwrap_or_default();
                    continue;
                }
                _ => continue,
            };
            (view.kind, view.data) = (kind, entry.value);
        }
        view
    }

    /// The encoded maps of the data points.
    pub fn data_points(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        elements(MapView::new(self.data).get(b"data_points").unwrap_or_default())
    }
}

/// An id as hex text or as bytes.
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

/// A number that is not negative, also one that Lua turned into a float; 0 for anything else.
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
        assert!(view.trace_id.is_some());
        assert_eq!(view.span_id, Some(SpanId([1; 8])));
        assert_eq!(view.parent_span_id, None);
        assert_eq!((view.name, view.kind, view.duration_nanos()), ("chat", "client", 500));
        assert_eq!((view.status, view.status_message), (StatusCode::Error, "boom"));
        assert_eq!(view.attribute(b"k").and_then(text_of), Some("v"));
        assert_eq!(SpanView::new(&[0xc1]), SpanView::default());
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
        assert_eq!((view.name, view.unit, view.kind), ("m", "s", MetricKind::Sum));
        assert_eq!(view.data_points().count(), 2);
        let mut otlp = Pairs::new();
        msgpack::bin(otlp.key("trace_id"), &[3; 16]);
        otlp.text("span_id", "0202020202020202");
        msgpack::uint(otlp.key("severity_number"), 9);
        let mut map = Vec::new();
        otlp.write_map(&mut map);
        let view = LogView::new(&map);
        assert_eq!(view.trace_id, Some(TraceId([3; 16])));
        assert_eq!((view.span_id, view.severity_number), (Some(SpanId([2; 8])), 9));
    }
}
