//! Endpoints with limits of their own.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Gauge, NumberDataPoint};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::data::{metric_chunk, metrics, span, text, trace_chunk, traces};
use super::receiver::{Receiver, Say};
use super::{Bench, Fate, endpoint, grpc};

pub(super) fn spans_of(receiver: &Receiver, accepted: impl Fn(usize) -> bool) -> Vec<Span> {
    let requests: Vec<ExportTraceServiceRequest> = receiver.messages("traces");
    let kept = requests.into_iter().enumerate().filter(|(n, _)| accepted(*n));
    let resources = kept.flat_map(|(_, request)| request.resource_spans);
    resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
}

fn many(count: u8) -> Vec<Span> {
    (0..count).map(|number| span(number, vec![text("k", &"x".repeat(100))])).collect()
}

fn sorted(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_by(|a, b| a.name.cmp(&b.name));
    spans
}

#[test]
fn a_request_that_is_too_large_is_cut_and_the_limit_is_learned() {
    const LIMIT: usize = 4_000;
    let too_large = |seen: &super::receiver::Seen| seen.body.len() > LIMIT;
    let over_http = Receiver::start(move |_, seen| match too_large(seen) {
        true => Say::Http(413, Vec::new(), b"entity too large".to_vec()),
        false => Say::Accept,
    });
    let over_grpc = Receiver::start(move |_, seen| match too_large(seen) {
        true => Say::Grpc(tonic::Status::resource_exhausted(format!(
            "grpc: received message larger than max ({} vs. {LIMIT})",
            seen.body.len()
        ))),
        false => Say::Accept,
    });
    let bench = Bench::new(vec![endpoint("http", &over_http), grpc("grpc", &over_grpc)]);
    let all = many(100);
    for task in 0..3 {
        assert_eq!(bench.deliver(task, &trace_chunk(&traces(all.clone()))), Fate::Done);
    }
    for (name, receiver) in [("http", &over_http), ("grpc", &over_grpc)] {
        let small: Vec<bool> = receiver.seen().iter().map(|seen| !too_large(seen)).collect();
        let got = spans_of(receiver, |n| small[n]);
        let three: Vec<Span> = [all.clone(), all.clone(), all.clone()].concat();
        assert_eq!(sorted(got), sorted(three), "{name}");
        assert_eq!(bench.count("sent_items_total", &[name]), 300);
        assert_eq!(bench.count("dropped_items_total", &[name]), 0);
        let refused = small.iter().filter(|small| !**small).count();
        assert!(refused <= if name == "grpc" { 1 } else { 8 }, "{name}: {refused}");
    }
    assert_eq!(bench.count("split_requests_total", &["grpc"]), 3);
}

#[test]
fn out_of_range_that_speaks_of_size_is_no_reason_to_wait() {
    let receiver = Receiver::start(|n, _| match n {
        0 => Say::Grpc(tonic::Status::out_of_range("decoded message length too large")),
        _ => Say::Accept,
    });
    let bench = Bench::new(vec![grpc("grpc", &receiver)]);
    assert_eq!(bench.deliver(1, &trace_chunk(&traces(many(10)))), Fate::Done);
    assert_eq!(bench.count("sent_items_total", &["grpc"]), 10);
}

#[test]
fn an_item_too_large_by_itself_loses_content_and_its_neighbours_nothing() {
    let receiver = Receiver::start(|_, seen| match seen.body.len() > 4_000 {
        true => Say::Http(413, Vec::new(), Vec::new()),
        false => Say::Accept,
    });
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    let mut all = many(20);
    let model = text("gen_ai.request.model", "gpt");
    all.insert(
        7,
        span(100, vec![model.clone(), text("gen_ai.input.messages", &"p".repeat(9_000))]),
    );
    // Nothing of this one can be cut.
    let stuck = (0..400).map(|n| text(&format!("attribute.{n}"), "short")).collect();
    all.insert(13, span(101, stuck));
    assert_eq!(bench.deliver(1, &trace_chunk(&traces(all.clone()))), Fate::Done);
    let small: Vec<bool> = receiver.seen().iter().map(|seen| seen.body.len() <= 4_000).collect();
    let got = sorted(spans_of(&receiver, |n| small[n]));
    let expected: Vec<Span> = all.iter().filter(|s| s.name != "span 101").cloned().collect();
    let expected = sorted(expected);
    assert_eq!(got.len(), 21);
    for (got, expected) in got.iter().zip(&expected) {
        if got.name == "span 100" {
            assert_eq!(got.attributes[0], model);
            assert_eq!(got.attributes.last().unwrap().key, "fluentbit.ai.truncated");
        } else {
            assert_eq!(got, expected);
        }
    }
    assert_eq!(bench.count("shrunk_items_total", &["main"]), 1);
    assert_eq!(bench.count("sent_items_total", &["main"]), 21);
    assert_eq!(bench.count("dropped_items_total", &["main", "too_large"]), 1);
}

#[test]
fn a_retry_sends_only_the_pieces_that_are_missing() {
    let receiver = Receiver::start(|n, seen| match (seen.body.len() > 4_000, n) {
        (true, _) => Say::Http(413, Vec::new(), Vec::new()),
        (false, 4) => Say::Http(503, Vec::new(), Vec::new()),
        _ => Say::Accept,
    });
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    let chunk = trace_chunk(&traces(many(60)));
    assert_eq!(bench.deliver(1, &chunk), Fate::Retry);
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    let small: Vec<bool> = receiver.seen().iter().map(|seen| seen.body.len() <= 4_000).collect();
    let got = spans_of(&receiver, |n| small[n] && n != 4);
    assert_eq!(sorted(got), sorted(many(60)));
    assert_eq!(bench.count("sent_items_total", &["main"]), 60);
}

fn exemplar(bytes: usize) -> Exemplar {
    Exemplar {
        filtered_attributes: vec![text("gen_ai.prompt", &"e".repeat(bytes))],
        trace_id: vec![7; 16],
        span_id: vec![8; 8],
        ..Exemplar::default()
    }
}

/// Sixty points, some of them too large.
fn points() -> Vec<NumberDataPoint> {
    let point = |n: u64| NumberDataPoint {
        time_unix_nano: n,
        attributes: vec![text("k", &format!("{n:0100}"))],
        ..NumberDataPoint::default()
    };
    let mut points: Vec<NumberDataPoint> = (0..60).map(point).collect();
    // Two that are large by what exemplars say beside the series, and by many exemplars.
    points[9].exemplars = vec![exemplar(10), exemplar(9_000)];
    points[19].exemplars = vec![Exemplar { filtered_attributes: vec![], ..exemplar(0) }; 300];
    points[29].attributes.push(text("path", &"p".repeat(9_000)));
    points[39].attributes.push(text("path", &("p".repeat(8_999) + "q")));
    // Nothing of this one can be cut.
    points[49].attributes = (0..400).map(|n| text(&format!("attribute.{n}"), "short")).collect();
    points
}

/// The points of the requests that are small enough, with their metrics' metadata.
fn arrived_at(receiver: &Receiver) -> Vec<(NumberDataPoint, Vec<KeyValue>)> {
    let sent: Vec<ExportMetricsServiceRequest> = receiver
        .seen()
        .iter()
        .filter(|seen| seen.body.len() <= 4_000)
        .map(|seen| ExportMetricsServiceRequest::decode(seen.body.as_slice()).unwrap())
        .collect();
    let metrics =
        sent.iter().flat_map(|request| &request.resource_metrics[0].scope_metrics[0].metrics);
    let mut arrived: Vec<(NumberDataPoint, Vec<KeyValue>)> = Vec::new();
    for metric in metrics {
        assert_eq!(metric.name, "m");
        let Some(Data::Gauge(gauge)) = &metric.data else { panic!() };
        arrived.extend(gauge.data_points.iter().map(|p| (p.clone(), metric.metadata.clone())));
    }
    arrived.sort_by_key(|(point, _)| point.time_unix_nano);
    arrived
}

#[test]
fn a_data_point_too_large_by_itself_is_made_smaller_and_its_neighbours_are_not() {
    let receiver = Receiver::start(|_, seen| match seen.body.len() > 4_000 {
        true => Say::Http(413, Vec::new(), Vec::new()),
        false => Say::Accept,
    });
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    let points = points();
    let mut request = metrics(0);
    let metric = &mut request.resource_metrics[0].scope_metrics[0].metrics[0];
    metric.data = Some(Data::Gauge(Gauge { data_points: points.clone() }));
    assert_eq!(bench.deliver(1, &metric_chunk(&request)), Fate::Done);
    let arrived = arrived_at(&receiver);
    let arrived_of = |n: u64| arrived.iter().find(|(p, _)| p.time_unix_nano == n).cloned();
    for n in (0..60).filter(|n| n % 10 != 9 || *n == 59) {
        let expected = points[usize::try_from(n).unwrap()].clone();
        assert_eq!(arrived_of(n), Some((expected, vec![])), "{n}");
    }
    let names = |pair: &KeyValue| format!("{:?}", (pair.key.as_str(), &pair.value));
    // The series of these is what it was; what they lost stands in the metric's metadata.
    let (bare, metadata) = arrived_of(9).unwrap();
    assert_eq!(bare.attributes, points[9].attributes);
    assert_eq!(bare.exemplars[0], points[9].exemplars[0]);
    assert!(bare.exemplars[1].filtered_attributes.is_empty());
    assert_eq!(bare.exemplars[1].trace_id, [7; 16]);
    assert!(names(&metadata[0]).contains("fluentbit.ai.truncated"));
    assert!(names(&metadata[0]).contains("exemplars.filtered_attributes"));
    let (fewer, metadata) = arrived_of(19).unwrap();
    assert_eq!(fewer.attributes, points[19].attributes);
    assert!((20..200).contains(&fewer.exemplars.len()), "{}", fewer.exemplars.len());
    assert!(names(&metadata[0]).contains("\"exemplars\""));
    // These are other series, which say so, and are still different from each other.
    let (one, metadata) = arrived_of(29).unwrap();
    let (other, _) = arrived_of(39).unwrap();
    assert!(metadata.is_empty());
    assert_eq!((one.attributes.len(), &one.attributes[0]), (3, &points[29].attributes[0]));
    assert!(names(&one.attributes[2]).contains("fluentbit.ai.truncated"));
    assert!(names(&one.attributes[2]).contains("\"path\""));
    assert_ne!(one.attributes[1], other.attributes[1]);
    assert!(names(&one.attributes[1]).contains(&"p".repeat(900)));
    assert_eq!(arrived_of(49), None);
    assert_eq!(bench.count("shrunk_items_total", &["main"]), 4);
    assert_eq!(bench.count("dropped_items_total", &["main", "too_large"]), 1);
    assert_eq!(bench.count("sent_items_total", &["main", "metrics"]), 59);
}
