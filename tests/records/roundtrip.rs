//! Round-trip tests: nothing is lost on the way there and back.

use fluent_bit_ai::codec::records::{EventKind, Events, LogOptions, logs_to_records};
use fluent_bit_ai::codec::wire;
use fluent_bit_ai::model::Signal;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use proptest::prelude::*;
use prost::Message;

use crate::generate;
use crate::support::{GROUPS, to_records, to_request};

/// What remains of the envelopes: each item with its resource, scope and schema URLs.
macro_rules! flat {
    ($request:expr, $resources:ident, $scopes:ident, $items:ident) => {
        $request
            .$resources
            .iter()
            .flat_map(|outer| {
                outer.$scopes.iter().flat_map(move |inner| {
                    inner.$items.iter().map(move |item| {
                        let outer_key = (outer.resource.clone(), outer.schema_url.clone());
                        (outer_key, inner.scope.clone(), inner.schema_url.clone(), item.clone())
                    })
                })
            })
            .collect::<Vec<_>>()
    };
}

fn points(request: &ExportMetricsServiceRequest) -> usize {
    let metrics = flat!(request, resource_metrics, scope_metrics, metrics);
    let count = |data: &Data| match data {
        Data::Gauge(data) => data.data_points.len(),
        Data::Sum(data) => data.data_points.len(),
        Data::Histogram(data) => data.data_points.len(),
        Data::ExponentialHistogram(data) => data.data_points.len(),
        Data::Summary(data) => data.data_points.len(),
    };
    metrics.iter().filter_map(|(.., metric)| metric.data.as_ref()).map(count).sum()
}

/// Takes out the envelopes that hold nothing; they have no records, because only items do.
macro_rules! without_empty {
    ($request:expr, $resources:ident, $scopes:ident, $items:ident) => {{
        let mut request = $request;
        for outer in &mut request.$resources {
            outer.$scopes.retain(|inner| !inner.$items.is_empty());
        }
        request.$resources.retain(|outer| !outer.$scopes.is_empty());
        request
    }};
}

/// How many requests of each signal go there and back: `ROUND_TRIPS`, or a few.
fn round_trips() -> ProptestConfig {
    let cases = std::env::var("ROUND_TRIPS").map_or(60, |count| {
        count.parse().unwrap_or_else(|_| panic!("ROUND_TRIPS: '{count}' is no number"))
    });
    ProptestConfig { cases, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(round_trips())]

    #[test]
    fn traces(request in generate::traces()) {
        let mut chunk = Vec::new();
        let done = to_records(Signal::Traces, &request.encode_to_vec(), &mut chunk).unwrap();
        let expected = flat!(request, resource_spans, scope_spans, spans);
        prop_assert_eq!((done.items, done.records, done.rejected), (expected.len(), expected.len(), 0));
        let (encoded, items) = to_request(Signal::Traces, &chunk);
        let back = ExportTraceServiceRequest::decode(encoded.as_slice()).unwrap();
        prop_assert_eq!(items, expected.len());
        prop_assert_eq!(back, without_empty!(request, resource_spans, scope_spans, spans));
    }

    #[test]
    fn metrics(request in generate::metrics()) {
        let mut chunk = Vec::new();
        let done = to_records(Signal::Metrics, &request.encode_to_vec(), &mut chunk).unwrap();
        let expected = flat!(request, resource_metrics, scope_metrics, metrics);
        prop_assert_eq!((done.records, done.rejected), (expected.len(), 0));
        prop_assert_eq!(done.items, points(&request));
        let (encoded, items) = to_request(Signal::Metrics, &chunk);
        let back = ExportMetricsServiceRequest::decode(encoded.as_slice()).unwrap();
        prop_assert_eq!(items, done.items);
        prop_assert_eq!(back, without_empty!(request, resource_metrics, scope_metrics, metrics));
    }

    #[test]
    fn logs(request in generate::logs(), groups in any::<bool>()) {
        let mut chunk = Vec::new();
        let options = LogOptions { groups, ..GROUPS };
        let done = logs_to_records(&request.encode_to_vec(), &mut chunk, options).unwrap();
        let expected = flat!(request, resource_logs, scope_logs, log_records);
        prop_assert_eq!((done.items, done.records, done.rejected), (expected.len(), expected.len(), 0));
        let kinds: Vec<EventKind> = Events::new(&chunk).map(|event| event.unwrap().kind).collect();
        prop_assert_eq!(kinds.len(), done.events);
        prop_assert_eq!(kinds.iter().any(|kind| *kind != EventKind::Record), groups && !expected.is_empty());
        prop_assert!(!kinds.windows(2).any(|pair| pair == [EventKind::GroupStart, EventKind::GroupEnd]));
        let (encoded, _) = to_request(Signal::Logs, &chunk);
        let back = ExportLogsServiceRequest::decode(encoded.as_slice()).unwrap();
        prop_assert_eq!(back, without_empty!(request, resource_logs, scope_logs, log_records));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Two requests, appended to one chunk, keep their order and come back as one request.
    #[test]
    fn chunks_add_up(first in generate::traces(), second in generate::traces()) {
        let mut chunk = Vec::new();
        to_records(Signal::Traces, &first.encode_to_vec(), &mut chunk).unwrap();
        to_records(Signal::Traces, &second.encode_to_vec(), &mut chunk).unwrap();
        let (encoded, _) = to_request(Signal::Traces, &chunk);
        let back = ExportTraceServiceRequest::decode(encoded.as_slice()).unwrap();
        let mut expected = flat!(first, resource_spans, scope_spans, spans);
        expected.extend(flat!(second, resource_spans, scope_spans, spans));
        prop_assert_eq!(flat!(back, resource_spans, scope_spans, spans), expected);
    }

    /// Protobuf lets a writer repeat and split messages; merging two copies of a span's bytes means
    /// the same to prost and to us.
    #[test]
    fn merged_messages_mean_the_same(one in generate::traces(), two in generate::traces(), metric in generate::metrics(), other in generate::metrics()) {
        use opentelemetry_proto::tonic::metrics::v1::Metric;
        use opentelemetry_proto::tonic::trace::v1::Span;
        let spans: Vec<Span> = [&one, &two].iter().flat_map(|request| flat!(request, resource_spans, scope_spans, spans)).map(|item| item.3).collect();
        let metrics: Vec<Metric> = [&metric, &other].iter().flat_map(|request| flat!(request, resource_metrics, scope_metrics, metrics)).map(|item| item.3).collect();
        let span: Vec<u8> = spans.iter().flat_map(Message::encode_to_vec).collect();
        let metric: Vec<u8> = metrics.iter().flat_map(Message::encode_to_vec).collect();
        if !spans.is_empty() {
            let back = ExportTraceServiceRequest::decode(there_and_back(Signal::Traces, &span).as_slice()).unwrap();
            let item = flat!(back, resource_spans, scope_spans, spans).remove(0).3;
            prop_assert_eq!(item, Span::decode(span.as_slice()).unwrap());
        }
        let back = ExportMetricsServiceRequest::decode(there_and_back(Signal::Metrics, &metric).as_slice()).unwrap();
        let item = flat!(back, resource_metrics, scope_metrics, metrics).remove(0).3;
        prop_assert_eq!(item, Metric::decode(metric.as_slice()).unwrap());
    }
}

fn there_and_back(signal: Signal, item: &[u8]) -> Vec<u8> {
    let mut chunk = Vec::new();
    let done = to_records(signal, &request_of(item), &mut chunk).unwrap();
    assert_eq!(done.records, 1, "{:?}", done.reason);
    to_request(signal, &chunk).0
}

/// A request with one item and no resource or scope.
fn request_of(item: &[u8]) -> Vec<u8> {
    let (mut scope, mut resource, mut request) = (Vec::new(), Vec::new(), Vec::new());
    wire::bytes(&mut scope, 2, item);
    wire::bytes(&mut resource, 2, &scope);
    wire::bytes(&mut request, 1, &resource);
    request
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn unknown_fields_are_kept_at_every_level() {
    let mut markers = 0_u8;
    let mut unknown = |out: &mut Vec<u8>| {
        markers += 1;
        wire::bytes(out, 999, &[b'u', b'n', b'k', markers]);
    };
    let (mut value, mut pair, mut event, mut span) = (vec![], vec![], vec![], vec![]);
    wire::bytes(&mut value, 1, b"text");
    unknown(&mut value);
    wire::bytes(&mut pair, 1, b"key");
    wire::bytes(&mut pair, 2, &value);
    unknown(&mut pair);
    wire::bytes(&mut event, 3, &pair);
    unknown(&mut event);
    wire::bytes(&mut span, 1, &[1; 16]);
    wire::bytes(&mut span, 2, &[2; 8]);
    wire::bytes(&mut span, 11, &event);
    let (mut nested, mut list) = (vec![], vec![]);
    wire::bytes(&mut list, 1, &value);
    unknown(&mut list);
    wire::bytes(&mut nested, 5, &list);
    let mut second = vec![];
    wire::bytes(&mut second, 1, b"list");
    wire::bytes(&mut second, 2, &nested);
    wire::bytes(&mut span, 9, &second);
    unknown(&mut span);
    let (mut resource, mut scope, mut outer, mut inner) = (vec![], vec![], vec![], vec![]);
    unknown(&mut resource);
    unknown(&mut scope);
    wire::bytes(&mut inner, 1, &scope);
    wire::bytes(&mut inner, 2, &span);
    unknown(&mut inner);
    wire::bytes(&mut outer, 1, &resource);
    wire::bytes(&mut outer, 2, &inner);
    unknown(&mut outer);
    let mut request = vec![];
    wire::bytes(&mut request, 1, &outer);
    let mut chunk = Vec::new();
    let done = to_records(Signal::Traces, &request, &mut chunk).unwrap();
    assert_eq!((done.items, done.rejected), (1, 0), "{:?}", done.reason);
    let (back, _) = to_request(Signal::Traces, &chunk);
    assert_eq!(markers, 9);
    for marker in 1..=markers {
        assert!(contains(&back, &[b'u', b'n', b'k', marker]), "marker {marker}");
    }
    let before = ExportTraceServiceRequest::decode(request.as_slice()).unwrap();
    assert_eq!(ExportTraceServiceRequest::decode(back.as_slice()).unwrap(), before);
    assert_eq!(back.len(), request.len());
}

#[test]
fn doubles_keep_their_bits() {
    for bits in [f64::NAN.to_bits(), 0x7ff0_0000_0000_0001, 0xfff8_dead_beef_0001, 1 << 63] {
        let (mut point, mut gauge, mut metric) = (vec![], vec![], vec![]);
        wire::fixed64(&mut point, 4, bits);
        wire::bytes(&mut gauge, 1, &point);
        wire::bytes(&mut metric, 5, &gauge);
        assert!(contains(&there_and_back(Signal::Metrics, &metric), &bits.to_le_bytes()));
    }
}

#[test]
fn unpacked_numbers_and_values_that_come_twice_are_read() {
    let mut point = vec![];
    wire::fixed64(&mut point, 6, 1);
    let mut packed = vec![];
    packed.extend_from_slice(&2_u64.to_le_bytes());
    packed.extend_from_slice(&3_u64.to_le_bytes());
    wire::bytes(&mut point, 6, &packed);
    wire::fixed64(&mut point, 3, 50);
    wire::fixed64(&mut point, 3, 60);
    wire::fixed64(&mut point, 6, 4);
    for bound in [1.0_f64, 2.0, 3.0] {
        wire::fixed64(&mut point, 7, bound.to_bits());
    }
    let (mut histogram, mut metric) = (vec![], vec![]);
    wire::bytes(&mut histogram, 1, &point);
    wire::bytes(&mut metric, 9, &histogram);
    let back = there_and_back(Signal::Metrics, &metric);
    let back = ExportMetricsServiceRequest::decode(back.as_slice()).unwrap();
    let Some(Data::Histogram(histogram)) =
        flat!(back, resource_metrics, scope_metrics, metrics).remove(0).3.data
    else {
        panic!()
    };
    assert_eq!(histogram.data_points[0].bucket_counts, [1, 2, 3, 4]);
    assert_eq!(histogram.data_points[0].time_unix_nano, 60);
}
