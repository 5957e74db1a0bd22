//! OTLP through Fluent Bit's own contexts and back, for every layout that its readers ever had.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod expected;
#[expect(dead_code, reason = "shared with the tests of records")]
#[path = "../records/generate.rs"]
mod generate;

use fluent_bit_ai::codec::fluentbit::write::{
    FormatLoss, ReaderCapabilities, metrics_to_cmetrics, traces_to_ctraces,
};
use fluent_bit_ai::codec::fluentbit::{cmetrics_to_otlp, ctraces_to_otlp};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message as _;

/// One release of each layout of metrics and of spans.
const RELEASES: [&str; 7] = ["3.0.0", "3.2.7", "4.2.8", "5.0.0", "5.0.1", "5.0.5", "5.1.1"];

fn release() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&RELEASES[..])
}

fn points(request: &ExportMetricsServiceRequest) -> usize {
    expected::flat_metrics(request.clone()).len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn traces(request in generate::traces(), release in release()) {
        let mut chunk = b"kept".to_vec();
        let forms = ReaderCapabilities::of_release(release);
        let written = traces_to_ctraces(&request.encode_to_vec(), &mut chunk, forms).unwrap();
        let expected = expected::traces(request, expected::release(release));
        prop_assert_eq!((written.transcoded.items, written.transcoded.rejected), (expected.len(), 0));
        let read = ctraces_to_otlp(chunk.strip_prefix(b"kept").unwrap());
        prop_assert_eq!((read.items, read.skipped, read.reason), (expected.len(), 0, None));
        prop_assert_eq!(read.contexts, written.transcoded.records);
        let back = ExportTraceServiceRequest::decode(&read.request[..]).unwrap();
        prop_assert_eq!(expected::flat_traces(&back), expected);
    }

    #[test]
    fn metrics(request in generate::metrics(), release in release()) {
        let request = expected::sensible(request);
        let mut chunk = b"kept".to_vec();
        let forms = ReaderCapabilities::of_release(release);
        let written = metrics_to_cmetrics(&request.encode_to_vec(), &mut chunk, forms).unwrap();
        let all = points(&request);
        let mut expected = expected::metrics(request, expected::release(release));
        let done = written.transcoded;
        prop_assert_eq!(done.items, expected.len(), "{:?}", done.reason);
        prop_assert_eq!(done.items + done.rejected, all);
        let read = cmetrics_to_otlp(chunk.strip_prefix(b"kept").unwrap());
        prop_assert_eq!((read.items, read.skipped, read.reason), (expected.len(), 0, None));
        prop_assert_eq!(read.contexts, done.records);
        let back = ExportMetricsServiceRequest::decode(&read.request[..]).unwrap();
        let mut back = expected::flat_metrics(back);
        expected.sort();
        back.sort();
        prop_assert_eq!(back, expected);
    }

    #[test]
    fn whatever_comes_is_written_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for release in RELEASES {
            let mut chunk = Vec::new();
            let forms = ReaderCapabilities::of_release(release);
            if traces_to_ctraces(&bytes, &mut chunk, forms).is_err() {
                prop_assert!(chunk.is_empty());
            }
            chunk.clear();
            if metrics_to_cmetrics(&bytes, &mut chunk, forms).is_err() {
                prop_assert!(chunk.is_empty());
            }
        }
    }
}

fn golden(name: &str) -> Vec<u8> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/native/");
    std::fs::read(format!("{path}{name}.msgpack")).unwrap()
}

/// What Fluent Bit wrote says the same after it was read and written again.
#[test]
fn what_fluent_bit_wrote_is_written_again() {
    for release in ["4.0.14", "4.2.8", "5.1.1"] {
        let forms = ReaderCapabilities::of_release(release);
        let first = ctraces_to_otlp(&golden(&format!("v{release}_traces_0")));
        let mut chunk = Vec::new();
        traces_to_ctraces(&first.request, &mut chunk, forms).unwrap();
        let second = ctraces_to_otlp(&chunk);
        let decode = |request: &[u8]| ExportTraceServiceRequest::decode(request).unwrap();
        assert_eq!(decode(&first.request), decode(&second.request), "{release}");
        let first = cmetrics_to_otlp(&golden(&format!("v{release}_metrics_0")));
        let mut chunk = Vec::new();
        metrics_to_cmetrics(&first.request, &mut chunk, forms).unwrap();
        let second = cmetrics_to_otlp(&chunk);
        let decode = |request: &[u8]| ExportMetricsServiceRequest::decode(request).unwrap();
        let mut expected = decode(&first.request);
        expected::scopes(&mut expected, expected::release(release));
        assert_eq!(expected, decode(&second.request), "{release}");
    }
}

fn span(attributes: Vec<KeyValue>, events: usize) -> ExportTraceServiceRequest {
    let span = Span {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        name: "a\0b".to_owned(),
        attributes,
        events: vec![Default::default(); events],
        flags: 1,
        ..Span::default()
    };
    let scope = ScopeSpans { spans: vec![span], ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![resource] }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// What readers do not take is left out or cut, and counted.
#[test]
fn what_has_no_place_is_counted() {
    let deep = (0..31).fold(Value::IntValue(1), |value, _| {
        Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(value) }] })
    });
    let attributes = vec![
        attribute(&"k".repeat(256), Value::IntValue(1)),
        attribute("deep", deep),
        attribute("kept", Value::IntValue(1)),
    ];
    let mut chunk = Vec::new();
    let request = span(attributes, 65_537).encode_to_vec();
    let written =
        traces_to_ctraces(&request, &mut chunk, ReaderCapabilities::of_release("5.1.1")).unwrap();
    let losses: Vec<_> = written.losses.iter().collect();
    let expected = [
        (FormatLoss::KeyLength, 1),
        (FormatLoss::Depth, 1),
        (FormatLoss::Nul, 1),
        (FormatLoss::Flags, 1),
        (FormatLoss::ListLength, 2),
    ];
    assert_eq!(losses, expected);
    let read = ctraces_to_otlp(&chunk);
    let back = ExportTraceServiceRequest::decode(&read.request[..]).unwrap();
    let span = &back.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.events.len(), span.dropped_events_count), (65_535, 2));
    assert_eq!((span.attributes.len(), span.dropped_attributes_count), (1, 2));
    assert_eq!(span.name, "a\u{fffd}b");
}

/// A point that a release has no place for is rejected in words; its neighbours are kept.
#[test]
fn what_a_release_cannot_take_is_rejected_with_a_message() {
    let point = |value: &str| NumberDataPoint {
        attributes: vec![attribute("k", Value::StringValue(value.to_owned()))],
        value: Some(number_data_point::Value::AsInt(1)),
        ..NumberDataPoint::default()
    };
    let long = "x".repeat(1025);
    let gauge = Metric {
        name: "g".to_owned(),
        data: Some(Data::Gauge(Gauge { data_points: vec![point("short"), point(&long)] })),
        ..Metric::default()
    };
    let points = vec![ExponentialHistogramDataPoint::default()];
    let exponential = ExponentialHistogram { data_points: points, aggregation_temporality: 1 };
    let exponential = Metric {
        name: "e".to_owned(),
        data: Some(Data::ExponentialHistogram(exponential)),
        ..Metric::default()
    };
    let write = |metric: &Metric, release: &str| {
        let scope = ScopeMetrics { metrics: vec![metric.clone()], ..ScopeMetrics::default() };
        let resource = ResourceMetrics { scope_metrics: vec![scope], ..ResourceMetrics::default() };
        let request = ExportMetricsServiceRequest { resource_metrics: vec![resource] };
        let forms = ReaderCapabilities::of_release(release);
        let written = metrics_to_cmetrics(&request.encode_to_vec(), &mut Vec::new(), forms);
        let done = written.unwrap().transcoded;
        (done.items, done.rejected, done.reason.unwrap_or_default())
    };
    let (items, rejected, reason) = write(&gauge, "5.0.9");
    assert_eq!((items, rejected), (1, 1));
    assert!(reason.starts_with("metric \"g\", data_points[1]: an attribute is longer"), "{reason}");
    assert_eq!(write(&gauge, "5.1.0"), (2, 0, String::new()));
    let (items, rejected, reason) = write(&exponential, "4.2.8");
    assert_eq!((items, rejected), (0, 1));
    assert!(reason.contains("need Fluent Bit 5.0 or later"), "{reason}");
    assert_eq!(write(&exponential, "5.0.0").0, 1);
}
