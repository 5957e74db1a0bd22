//! Metric writer: metric records from scratch, for telemetry that we derive.

use super::edit::{Pairs, write_position};
use super::layout::{VERSION, keys};
use super::record::{EventTime, event_head};
use crate::codec::msgpack;
use crate::model::{Position, SCOPE_NAME, Signal, SpanId, TraceId};

/// The resource and the scope of derived telemetry.
#[derive(Debug, Clone, Copy)]
pub struct MetricOrigin<'a> {
    /// The encoded resource map as a record has it, or nothing.
    pub resource: &'a [u8],
    /// The scope's name.
    pub scope_name: &'a str,
    /// The scope's version.
    pub scope_version: &'a str,
    /// The schema URL of the scope.
    pub schema_url: &'a str,
    /// Who emits the record.
    pub position: Option<Position>,
}

impl MetricOrigin<'_> {
    /// That of what our filters derive, without a resource.
    #[must_use]
    pub const fn derived(position: Position) -> Self {
        Self {
            resource: &[],
            scope_name: SCOPE_NAME,
            scope_version: env!("CARGO_PKG_VERSION"),
            schema_url: "",
            position: Some(position),
        }
    }
}

/// Whether a point tells what happened since the one before it, or since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Temporality {
    /// Since the point before.
    Delta,
    /// Since the start.
    Cumulative,
}

impl Temporality {
    const fn name(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Cumulative => "cumulative",
        }
    }
}

/// What all points of a metric have in common.
#[derive(Debug, Clone, Copy)]
pub struct MetricHead<'a> {
    /// The name.
    pub name: &'a str,
    /// The description.
    pub description: &'a str,
    /// The unit, in UCUM.
    pub unit: &'a str,
}

/// The points of a metric.
#[derive(Debug, Clone, Copy)]
pub enum MetricData<'a> {
    /// The last value.
    Gauge(&'a [MetricPoint<'a>]),
    /// A sum.
    Sum {
        /// Whether it only grows.
        monotonic: bool,
        /// What a point covers.
        temporality: Temporality,
        /// The points; their values are numbers.
        points: &'a [MetricPoint<'a>],
    },
    /// A histogram.
    Histogram {
        /// What a point covers.
        temporality: Temporality,
        /// The points; their values are histograms.
        points: &'a [MetricPoint<'a>],
    },
    /// An exponential histogram.
    ExponentialHistogram {
        /// What a point covers.
        temporality: Temporality,
        /// The points; their values are exponential histograms.
        points: &'a [MetricPoint<'a>],
    },
}

/// One data point.
#[derive(Debug, Clone, Copy)]
pub struct MetricPoint<'a> {
    /// The encoded map of attributes, or nothing.
    pub attributes: &'a [u8],
    /// Nanoseconds since the Unix epoch.
    pub start_unix_nanos: u64,
    /// Nanoseconds since the Unix epoch.
    pub unix_nanos: u64,
    /// The value.
    pub value: PointValue<'a>,
    /// Examples of what was measured.
    pub exemplars: &'a [PointExemplar<'a>],
}

/// The value of a data point.
#[derive(Debug, Clone, Copy)]
pub enum PointValue<'a> {
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
    /// A histogram: one count more than bounds.
    Histogram {
        /// What all buckets have.
        totals: HistogramTotals,
        /// The count of each bucket.
        counts: &'a [u64],
        /// The bounds between the buckets, ascending.
        bounds: &'a [f64],
    },
    /// An exponential histogram.
    Exponential {
        /// What all buckets have.
        totals: HistogramTotals,
        /// The scale; the base is 2^(2^-scale).
        scale: i32,
        /// How many values are within the threshold around zero.
        zero_count: u64,
        /// That threshold.
        zero_threshold: f64,
        /// Buckets of positive values: the offset of the first, and the counts.
        positive: (i32, &'a [u64]),
        /// Buckets of negative values.
        negative: (i32, &'a [u64]),
    },
}

/// What a histogram says of all its values.
#[derive(Debug, Clone, Copy)]
pub struct HistogramTotals {
    /// How many there are.
    pub count: u64,
    /// Their sum, if it means something.
    pub sum: Option<f64>,
    /// The least.
    pub min: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
}

/// A single measurement that a data point holds, with the span that it comes from.
#[derive(Debug, Clone, Copy)]
pub struct PointExemplar<'a> {
    /// Nanoseconds since the Unix epoch.
    pub unix_nanos: u64,
    /// What was measured.
    pub value: ExemplarValue,
    /// The span in which it was measured.
    pub span: Option<(TraceId, SpanId)>,
    /// The encoded map of the attributes that the data point does not have, or nothing.
    pub filtered_attributes: &'a [u8],
}

/// A number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ExemplarValue {
    /// An integer.
    Int(i64),
    /// A double.
    Double(f64),
}

/// Appends the encoded metadata map of metric records; write it once for many of them.
pub fn metadata(origin: &MetricOrigin<'_>, out: &mut Vec<u8>) {
    let mut scope = Pairs::new();
    let texts = [
        ("name", origin.scope_name),
        ("version", origin.scope_version),
        ("schema_url", origin.schema_url),
    ];
    texts
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .for_each(|(key, text)| scope.text(key, text));
    let mut otlp = Pairs::new();
    msgpack::uint(otlp.key(keys::VERSION), VERSION);
    otlp.text(keys::SIGNAL, Signal::Metrics.item());
    if !origin.resource.is_empty() {
        otlp.push(keys::RESOURCE, origin.resource);
    }
    if !scope.is_empty() {
        scope.write_map(otlp.key(keys::SCOPE));
    }
    if let Some(position) = origin.position {
        write_position(position, &mut otlp);
    }
    msgpack::map_header(out, 1);
    msgpack::str_bytes(out, keys::OTLP);
    otlp.write_map(out);
}

/// Appends a metric record. `metadata` is what [`metadata`] wrote; the event's time is
/// `unix_nanos`.
pub fn metric(
    out: &mut Vec<u8>,
    unix_nanos: u64,
    metadata: &[u8],
    head: &MetricHead<'_>,
    data: &MetricData<'_>,
) {
    event_head(out, EventTime::from_unix_nanos(unix_nanos));
    out.extend_from_slice(metadata);
    let mut body = Pairs::new();
    let texts = [("name", head.name), ("description", head.description), ("unit", head.unit)];
    texts
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .for_each(|(key, text)| body.text(key, text));
    let (key, points, temporality, monotonic) = match *data {
        MetricData::Gauge(points) => ("gauge", points, None, false),
        MetricData::Sum { monotonic, temporality, points } => {
            ("sum", points, Some(temporality), monotonic)
        }
        MetricData::Histogram { temporality, points } => {
            ("histogram", points, Some(temporality), false)
        }
        MetricData::ExponentialHistogram { temporality, points } => {
            ("exponential_histogram", points, Some(temporality), false)
        }
    };
    let mut map = Pairs::new();
    list(map.key("data_points"), points, point);
    if let Some(temporality) = temporality {
        map.text("aggregation_temporality", temporality.name());
    }
    if monotonic {
        msgpack::bool(map.key("is_monotonic"), true);
    }
    map.write_map(body.key(key));
    body.write_map(out);
}

fn list<T>(out: &mut Vec<u8>, elements: &[T], write: impl Fn(&T, &mut Vec<u8>)) {
    msgpack::array_header(out, u32::try_from(elements.len()).unwrap_or(u32::MAX));
    elements.iter().for_each(|element| write(element, out));
}

fn point(point: &MetricPoint<'_>, out: &mut Vec<u8>) {
    let mut map = Pairs::new();
    if !point.attributes.is_empty() {
        map.push(keys::ATTRIBUTES, point.attributes);
    }
    nonzero(&mut map, "start_time_unix_nano", point.start_unix_nanos);
    nonzero(&mut map, "time_unix_nano", point.unix_nanos);
    match point.value {
        PointValue::Int(value) => number(&mut map, ExemplarValue::Int(value)),
        PointValue::Double(value) => number(&mut map, ExemplarValue::Double(value)),
        PointValue::Histogram { totals, counts, bounds } => {
            write_totals(&mut map, totals);
            if !counts.is_empty() {
                list(map.key("bucket_counts"), counts, |count, out| msgpack::uint(out, *count));
            }
            if !bounds.is_empty() {
                list(map.key("explicit_bounds"), bounds, |bound, out| msgpack::f64(out, *bound));
            }
        }
        PointValue::Exponential {
            totals,
            scale,
            zero_count,
            zero_threshold,
            positive,
            negative,
        } => {
            write_totals(&mut map, totals);
            if scale != 0 {
                msgpack::int(map.key("scale"), i64::from(scale));
            }
            nonzero(&mut map, "zero_count", zero_count);
            if zero_threshold.to_bits() != 0 {
                msgpack::f64(map.key("zero_threshold"), zero_threshold);
            }
            for (key, (offset, counts)) in [("positive", positive), ("negative", negative)] {
                if !counts.is_empty() {
                    buckets(offset, counts).write_map(map.key(key));
                }
            }
        }
    }
    if !point.exemplars.is_empty() {
        list(map.key("exemplars"), point.exemplars, exemplar);
    }
    map.write_map(out);
}

fn buckets(offset: i32, counts: &[u64]) -> Pairs {
    let mut map = Pairs::new();
    if offset != 0 {
        msgpack::int(map.key("offset"), i64::from(offset));
    }
    list(map.key("bucket_counts"), counts, |count, out| msgpack::uint(out, *count));
    map
}

fn write_totals(map: &mut Pairs, totals: HistogramTotals) {
    nonzero(map, "count", totals.count);
    for (key, value) in [("sum", totals.sum), ("min", totals.min), ("max", totals.max)] {
        if let Some(value) = value {
            msgpack::f64(map.key(key), value);
        }
    }
}

fn exemplar(exemplar: &PointExemplar<'_>, out: &mut Vec<u8>) {
    let mut map = Pairs::new();
    nonzero(&mut map, "time_unix_nano", exemplar.unix_nanos);
    number(&mut map, exemplar.value);
    if let Some((trace, span)) = exemplar.span {
        map.text("span_id", &format!("{span:?}"));
        map.text("trace_id", &format!("{trace:?}"));
    }
    if !exemplar.filtered_attributes.is_empty() {
        map.push("filtered_attributes", exemplar.filtered_attributes);
    }
    map.write_map(out);
}

fn number(map: &mut Pairs, value: ExemplarValue) {
    match value {
        ExemplarValue::Int(value) => msgpack::int(map.key("as_int"), value),
        ExemplarValue::Double(value) => msgpack::f64(map.key("as_double"), value),
    }
}

fn nonzero(map: &mut Pairs, key: &str, value: u64) {
    if value != 0 {
        msgpack::uint(map.key(key), value);
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use prost::Message;

    use super::*;
    use crate::codec::records::{Events, RequestBuilder, metrics_to_records};

    const TOTALS: HistogramTotals =
        HistogramTotals { count: 3, sum: Some(0.0), min: None, max: Some(2.5) };

    fn records() -> Vec<u8> {
        let mut attributes = Pairs::new();
        attributes.text("k", "v");
        let mut map = Vec::new();
        attributes.write_map(&mut map);
        let mut resource = Pairs::new();
        attributes.write_map(resource.key("attributes"));
        let mut resource_map = Vec::new();
        resource.write_map(&mut resource_map);
        let origin = MetricOrigin {
            resource: &resource_map,
            scope_name: "scope",
            scope_version: "1",
            schema_url: "https://s",
            position: None,
        };
        let exemplar = PointExemplar {
            unix_nanos: 7,
            value: ExemplarValue::Double(1.5),
            span: Some((TraceId([1; 16]), SpanId([2; 8]))),
            filtered_attributes: &map,
        };
        let values = [
            PointValue::Int(-5),
            PointValue::Double(0.0),
            PointValue::Histogram { totals: TOTALS, counts: &[1, 2], bounds: &[0.5] },
            PointValue::Exponential {
                totals: TOTALS,
                scale: -1,
                zero_count: 1,
                zero_threshold: 0.1,
                positive: (-3, &[1, 300]),
                negative: (0, &[]),
            },
        ];
        let points = values.map(|value| MetricPoint {
            attributes: &map,
            start_unix_nanos: 1,
            unix_nanos: 2,
            value,
            exemplars: std::slice::from_ref(&exemplar),
        });
        let temporality = Temporality::Delta;
        let data = [
            MetricData::Gauge(&points[..1]),
            MetricData::Sum { monotonic: true, temporality, points: &points[..2] },
            MetricData::Histogram { temporality, points: &points[2..3] },
            MetricData::ExponentialHistogram { temporality, points: &points[3..] },
        ];
        let mut head = Vec::new();
        metadata(&origin, &mut head);
        let mut chunk = Vec::new();
        for data in data {
            let metric_head = MetricHead { name: "m", description: "d", unit: "s" };
            metric(&mut chunk, 2, &head, &metric_head, &data);
        }
        chunk
    }

    #[test]
    fn records_are_byte_for_byte_those_of_the_transcoder() {
        let chunk = records();
        let mut builder = RequestBuilder::new(Signal::Metrics);
        for event in Events::new(&chunk).map(Result::unwrap) {
            builder.push(&event, &event.telemetry().unwrap()).unwrap();
        }
        assert_eq!(builder.items(), 5);
        let request = builder.finish();
        let decoded = ExportMetricsServiceRequest::decode(request.as_slice()).unwrap();
        let scope = &decoded.resource_metrics[0].scope_metrics[0];
        assert_eq!((scope.metrics.len(), scope.schema_url.as_str()), (4, "https://s"));
        let mut again = Vec::new();
        metrics_to_records(&request, &mut again, 0).unwrap();
        assert_eq!(again, chunk);
    }

    #[test]
    fn the_position_is_in_the_metadata() {
        let position = Some(Position { run: 9, after: 2 });
        let origin = MetricOrigin {
            resource: &[],
            scope_name: "",
            scope_version: "",
            schema_url: "",
            position,
        };
        let (mut head, mut chunk) = (Vec::new(), Vec::new());
        metadata(&origin, &mut head);
        let metric_head = MetricHead { name: "m", description: "", unit: "" };
        metric(&mut chunk, 2, &head, &metric_head, &MetricData::Gauge(&[]));
        let event = Events::new(&chunk).next().unwrap().unwrap();
        assert_eq!(event.telemetry().unwrap().position, position);
    }
}
