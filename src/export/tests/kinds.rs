//! Endpoints that refuse a kind of metric.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Histogram, HistogramDataPoint, Metric, Sum};
use prost::Message;

use super::data::{metric_chunk, metrics};
use super::receiver::{Receiver, Say, Seen};
use super::{Bench, Fate, endpoint};
use crate::codec::records::metric_writer::{
    self, MetricData, MetricHead, MetricOrigin, MetricPoint, PointValue, Temporality,
};
use crate::export::{EndpointSettings, Protocol};
use crate::model::{Position, SCOPE_NAME};

const WORDS: &str = "invalid temporality and type combination for metric";

fn metrics_of(request: &ExportMetricsServiceRequest) -> Vec<&Metric> {
    let scopes = request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
    scopes.flat_map(|scope| &scope.metrics).collect()
}

fn temporality_of(metric: &Metric) -> i32 {
    match &metric.data {
        Some(Data::Sum(sum)) => sum.aggregation_temporality,
        Some(Data::Histogram(histogram)) => histogram.aggregation_temporality,
        _ => 0,
    }
}

fn has_delta(seen: &Seen) -> bool {
    let request = ExportMetricsServiceRequest::decode(seen.body.as_slice()).unwrap();
    metrics_of(&request).into_iter().any(|metric| temporality_of(metric) == 1)
}

/// As Mimir and Prometheus answer.
fn refusing_delta() -> Receiver {
    Receiver::start(|_, seen| match (has_delta(seen), seen.path.starts_with("grpc")) {
        (false, _) => Say::Accept,
        (true, true) => Say::Grpc(tonic::Status::invalid_argument(WORDS)),
        (true, false) => Say::Http(
            400,
            vec![("content-type", "text/plain".to_owned())],
            WORDS.as_bytes().to_vec(),
        ),
    })
}

/// A gauge, sums and histograms of both temporalities, in one request.
fn application() -> ExportMetricsServiceRequest {
    let mut request = metrics(2);
    let gauge = request.resource_metrics[0].scope_metrics[0].metrics[0].clone();
    let Some(Data::Gauge(data)) = gauge.data.clone() else { panic!() };
    for aggregation_temporality in [2, 1] {
        let sum = Sum {
            data_points: data.data_points.clone(),
            aggregation_temporality,
            is_monotonic: true,
        };
        let histogram = Histogram {
            data_points: vec![HistogramDataPoint { count: 1, ..HistogramDataPoint::default() }],
            aggregation_temporality,
        };
        for (name, data) in [("sum", Data::Sum(sum)), ("histogram", Data::Histogram(histogram))] {
            let name = format!("{name} {aggregation_temporality}");
            let metric = Metric { name, data: Some(data), ..Metric::default() };
            request.resource_metrics[0].scope_metrics[0].metrics.push(metric);
        }
    }
    request
}

/// A delta sum as `ai_metrics` emits it.
fn derived() -> Vec<u8> {
    let (mut metadata, mut chunk) = (Vec::new(), Vec::new());
    let origin = MetricOrigin {
        resource: &[],
        scope_name: SCOPE_NAME,
        scope_version: "1",
        schema_url: "",
        position: Some(Position { run: 1, after: 1 }),
    };
    metric_writer::metadata(&origin, &mut metadata);
    let point = MetricPoint {
        attributes: &[],
        start_unix_nanos: 1,
        unix_nanos: 2,
        value: PointValue::Int(1),
        exemplars: &[],
    };
    let points = &[point];
    let data = MetricData::Sum { monotonic: true, temporality: Temporality::Delta, points };
    let head = MetricHead { name: "derived", description: "", unit: "" };
    metric_writer::metric(&mut chunk, 2, &metadata, &head, &data);
    chunk
}

#[test]
fn what_is_derived_travels_apart_from_what_is_an_applications() {
    let receiver = Receiver::accepting();
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    let chunk = [metric_chunk(&metrics(1)), derived(), metric_chunk(&metrics(2)), derived()];
    assert_eq!(bench.deliver(1, &chunk.concat()), Fate::Done);
    let got: Vec<ExportMetricsServiceRequest> = receiver.messages("/v1/metrics");
    let names = |request| -> Vec<&str> {
        metrics_of(request).into_iter().map(|metric| metric.name.as_str()).collect()
    };
    let mut all: Vec<Vec<&str>> = got.iter().map(names).collect();
    all.sort();
    assert_eq!(all, [["derived", "derived"], ["m", "m"]]);
    assert_eq!(bench.count("sent_items_total", &["main", "metrics"]), 5);
}

#[test]
fn only_what_is_refused_is_lost() {
    for protocol in [Protocol::HttpProtobuf, Protocol::Grpc] {
        let receiver = refusing_delta();
        let mimir = EndpointSettings { protocol, ..endpoint("mimir", &receiver) };
        let bench = Bench::new(vec![mimir]);
        let chunk = [metric_chunk(&application()), derived()].concat();
        assert_eq!(bench.deliver(1, &chunk), Fate::Done);
        let taken: Vec<ExportMetricsServiceRequest> =
            receiver.messages::<ExportMetricsServiceRequest>("metrics");
        let taken = taken.iter().filter(|request| {
            metrics_of(request).into_iter().all(|metric| temporality_of(metric) != 1)
        });
        let mut names: Vec<&str> =
            taken.flat_map(metrics_of).map(|metric| metric.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["histogram 2", "m", "sum 2"]);
        // Two points of the gauge, two of the sum, one of the histogram.
        assert_eq!(bench.count("sent_items_total", &["mimir", "metrics"]), 5);
        // Two of the delta sum, one of the delta histogram, one of ours.
        assert_eq!(bench.count("dropped_items_total", &["mimir", "refused"]), 4);
        let log = bench.log();
        for expected in
            [WORDS, "'mimir'", "'temporality: cumulative' ai_metrics", "OTEL_EXPORTER_OTLP_METRICS"]
        {
            assert!(log.contains(expected), "{expected}: {log}");
        }
    }
}

#[test]
fn a_retry_sends_no_kind_twice() {
    // The whole is refused, of its parts one is not taken now.
    let receiver = Receiver::start(|n, seen| {
        let expected = WORDS.as_bytes().to_vec();
        match (n, has_delta(seen)) {
            (_, true) => Say::Http(400, vec![], expected),
            (2, false) => Say::Http(503, vec![("retry-after", "0".to_owned())], vec![]),
            _ => Say::Accept,
        }
    });
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    let chunk = metric_chunk(&application());
    let mut fate = bench.deliver(1, &chunk);
    for _ in 0..50 {
        if fate == Fate::Done {
            break;
        }
        std::thread::sleep(super::Duration::from_millis(100));
        fate = bench.deliver(1, &chunk);
    }
    assert_eq!(fate, Fate::Done);
    assert_eq!(bench.count("sent_items_total", &["main", "metrics"]), 5);
    assert_eq!(bench.count("dropped_items_total", &["main", "refused"]), 3);
}

#[test]
fn what_comes_in_the_hosts_form_is_distinguished_by_its_scope() {
    use crate::export::request::EncodedRequest;
    use crate::export::request::metric_kinds::apart;
    use crate::model::Signal;
    let of = |scopes: &[&str]| {
        let mut request = metrics(2);
        let scope = request.resource_metrics[0].scope_metrics[0].clone();
        request.resource_metrics[0].scope_metrics.clear();
        for name in scopes {
            let mut scope = scope.clone();
            scope.scope.as_mut().unwrap().name = (*name).to_owned();
            request.resource_metrics[0].scope_metrics.push(scope);
        }
        let parts =
            apart(EncodedRequest::new(Signal::Metrics, scopes.len() * 2, request.encode_to_vec()));
        parts.iter().map(|part| (part.items, part.is_derived)).collect::<Vec<_>>()
    };
    let ours = SCOPE_NAME;
    assert_eq!(of(&["a", ours, "fluent-bit-air", ours]), [(4, false), (4, true)]);
    assert_eq!(of(&[ours]), [(2, true)]);
    assert_eq!(of(&["a"]), [(2, false)]);
    assert_eq!(of(&["fluent-bit-air"]), [(2, false)]);
}
