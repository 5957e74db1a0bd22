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

/// What a receiver got in each request.
fn counts(receiver: &Receiver) -> Vec<usize> {
    let requests = 0..receiver.seen().len();
    requests.map(|request| spans_of(receiver, |n| n == request).len()).collect()
}

/// Scenario: a server limits the rate and says so, without a wait. Guarantees: each request is made
/// once and dropped with a reason of its own; nothing is cut, and nothing is learned of a size.
#[test]
fn a_rate_that_is_exceeded_is_no_size() {
    const WORDS: &str = "RATE_LIMITED: ingestion rate limit (local: 15000000 bytes, global: 0 \
                         bytes) exceeded while adding 137994 bytes for user x";
    let receiver = Receiver::start(|n, _| match n < 3 {
        true => Say::Grpc(tonic::Status::resource_exhausted(WORDS)),
        false => Say::Accept,
    });
    let bench = Bench::new(vec![grpc("grpc", &receiver)]);
    for task in 0..4 {
        assert_eq!(bench.deliver(task, &trace_chunk(&traces(many(100)))), Fate::Done);
    }
    assert_eq!(counts(&receiver), [100; 4]);
    assert_eq!(bench.count("dropped_items_total", &["grpc", "resource_exhausted"]), 300);
    assert_eq!(bench.count("failed_requests_total", &["grpc", "resource_exhausted"]), 3);
    assert_eq!(bench.count("split_requests_total", &["grpc"]), 0);
    assert_eq!(bench.count("sent_items_total", &["grpc"]), 100);
    assert!(bench.log().contains(WORDS));
}

/// Scenario: a server refuses everything for want of something that it does not name. Guarantees:
/// after a few smaller requests it is clear that size is not why; no content is cut, and the next
/// request is as large as ever.
#[test]
fn what_is_refused_whatever_its_size_is_not_cut_to_pieces() {
    let receiver = Receiver::start(|n, _| match n < 10 {
        true => Say::Grpc(tonic::Status::resource_exhausted("no room")),
        false => Say::Accept,
    });
    let bench = Bench::new(vec![grpc("grpc", &receiver)]);
    let mut all = many(99);
    all.insert(40, span(100, vec![text("gen_ai.input.messages", &"p".repeat(9_000))]));
    for task in 0..3 {
        assert_eq!(bench.deliver(task, &trace_chunk(&traces(all.clone()))), Fate::Done);
    }
    let alone = trace_chunk(&traces(vec![all[40].clone()]));
    assert_eq!(bench.deliver(3, &alone), Fate::Done);
    let tried = counts(&receiver);
    assert_eq!(tried.len(), 10, "{tried:?}");
    for (n, tried) in tried.chunks(3).enumerate() {
        match tried {
            [whole, less, least] => assert!(*whole == 100 && less < whole && least < less),
            rest => assert_eq!((n, rest), (3, &[1][..])),
        }
    }
    assert_eq!(bench.count("dropped_items_total", &["grpc", "resource_exhausted"]), 301);
    assert_eq!(bench.count("dropped_items_total", &["grpc"]), 301);
    assert_eq!(bench.count("shrunk_items_total", &["grpc"]), 0);
    assert_eq!(bench.deliver(4, &trace_chunk(&traces(all.clone()))), Fate::Done);
    assert_eq!(counts(&receiver)[10..], [100]);
    let mut sent = spans_of(&receiver, |_| true);
    sent.retain(|sent| !all.contains(sent));
    assert_eq!(sent, []);
}

/// Scenario: a server has a limit of size and does not say that it is one. Guarantees: it is found,
/// and everything arrives as where it is said, also what is too large by itself and what is beside.
#[test]
fn a_limit_in_unclear_words_is_found() {
    const LIMIT: usize = 4_000;
    let receiver = Receiver::start(|_, seen| match seen.body.len() > LIMIT {
        true => Say::Grpc(tonic::Status::resource_exhausted("no room")),
        false => Say::Accept,
    });
    let bench = Bench::new(vec![grpc("grpc", &receiver)]);
    let mut all = many(60);
    let large = [text("gen_ai.input.messages", &"p".repeat(9_000))];
    all.insert(0, span(100, large.to_vec()));
    let pair = vec![span(101, large.to_vec()), span(102, vec![])];
    assert_eq!(bench.deliver(0, &trace_chunk(&traces(pair))), Fate::Done);
    for task in 1..3 {
        assert_eq!(bench.deliver(task, &trace_chunk(&traces(all.clone()))), Fate::Done);
    }
    let small: Vec<bool> = receiver.seen().iter().map(|seen| seen.body.len() <= LIMIT).collect();
    let got = sorted(spans_of(&receiver, |n| small[n]));
    let mut expected = [many(60), many(60)].concat();
    expected.push(span(102, vec![]));
    let (cut, whole): (Vec<Span>, Vec<Span>) =
        got.into_iter().partition(|span| ["span 100", "span 101"].contains(&span.name.as_str()));
    assert_eq!(whole, sorted(expected));
    assert_eq!(cut.len(), 3);
    for span in cut {
        assert_eq!(span.attributes.last().unwrap().key, "fluentbit.ai.truncated");
    }
    assert_eq!(bench.count("dropped_items_total", &["grpc"]), 0);
    assert_eq!(bench.count("sent_items_total", &["grpc"]), 124);
    let refused = small.iter().filter(|small| !**small).count();
    assert!(refused <= 24, "{refused}");
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
