//! What is delivered, to whom, and how often.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use super::data::{
    log_chunk, logs, metric_chunk, metrics, plain_log, span, text, trace_chunk, traces,
};
use super::receiver::{Receiver, Say};
use super::size::spans_of;
use super::{Bench, Duration, Fate, endpoint, grpc, now};
use crate::export::{Compression, EndpointSettings};
use crate::plugin::EventType;

#[test]
fn both_protocols_deliver_every_signal_unchanged() {
    let (over_http, over_grpc) = (Receiver::accepting(), Receiver::accepting());
    let mut plain = endpoint("http", &over_http);
    plain.headers.push((http::header::AUTHORIZATION, "Basic abc".parse().unwrap()));
    let mut packed = grpc("grpc", &over_grpc);
    packed.compression = Compression::Gzip;
    let packed_http =
        EndpointSettings { compression: Compression::Gzip, ..endpoint("packed", &over_http) };
    let bench = Bench::new(vec![plain, packed, packed_http]);
    let spans = traces((0..50).map(|number| span(number, vec![text("k", "v")])).collect());
    let (points, records) = (metrics(3), logs(&["a", "b"]));
    assert_eq!(bench.deliver(1, &trace_chunk(&spans)), Fate::Done);
    assert_eq!(bench.deliver(2, &metric_chunk(&points)), Fate::Done);
    assert_eq!(bench.deliver(3, &log_chunk(&records)), Fate::Done);
    for (receiver, prefix, copies) in [(&over_http, "/v1/", 2), (&over_grpc, "grpc/", 1)] {
        let path = |end: &str| format!("{prefix}{end}");
        let got: Vec<ExportTraceServiceRequest> = receiver.messages(&path("traces"));
        assert_eq!(got, vec![spans.clone(); copies]);
        let got: Vec<ExportMetricsServiceRequest> = receiver.messages(&path("metrics"));
        assert_eq!(got, vec![points.clone(); copies]);
        let got: Vec<ExportLogsServiceRequest> = receiver.messages(&path("logs"));
        assert_eq!(got, vec![records.clone(); copies]);
    }
    let seen = over_http.seen();
    assert!(seen.iter().any(|seen| seen.headers.get("authorization").is_some()));
    assert_eq!(seen.iter().filter(|seen| seen.headers.contains_key("content-encoding")).count(), 3);
    let agent = seen[0].headers["user-agent"].to_str().unwrap();
    assert!(agent.starts_with("fluent-bit-ai/"), "{agent}");
    assert_eq!(bench.count("sent_items_total", &["grpc", "traces"]), 50);
    assert_eq!(bench.count("sent_items_total", &["http", "metrics"]), 3);
    assert_eq!(bench.count("exporter_received_items_total", &[]), 55);
    assert_eq!(bench.count("export_latency_ms_count", &["grpc"]), 3);
}

#[test]
fn a_mixed_chunk_is_sorted_and_bad_neighbours_are_counted() {
    let receiver = Receiver::accepting();
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    let mut chunk = trace_chunk(&traces(vec![span(1, vec![])]));
    chunk.extend(metric_chunk(&metrics(2)));
    chunk.extend(log_chunk(&logs(&["otlp"])));
    chunk.extend(plain_log("plain"));
    chunk.extend([0x93, 1, 2, 3]);
    // A span whose start is a text has no place in OTLP.
    let bad = trace_chunk(&traces(vec![span(2, vec![])]));
    let at = memchr::memmem::find(&bad, b"start_time_unix_nano").unwrap() + 20;
    chunk.extend(&bad[..at]);
    chunk.extend([0xa1, b'x']);
    chunk.extend(&bad[at + 5..]);
    chunk.extend(trace_chunk(&traces(vec![span(3, vec![])])));
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    let spans: Vec<ExportTraceServiceRequest> = receiver.messages("/v1/traces");
    assert_eq!(spans, [traces(vec![span(1, vec![]), span(3, vec![])])]);
    let points: Vec<ExportMetricsServiceRequest> = receiver.messages("/v1/metrics");
    assert_eq!(points, [metrics(2)]);
    let records: Vec<ExportLogsServiceRequest> = receiver.messages("/v1/logs");
    let records: Vec<_> = records[0]
        .resource_logs
        .iter()
        .flat_map(|resource| &resource.scope_logs)
        .flat_map(|scope| &scope.log_records)
        .collect();
    assert_eq!(records.len(), 2);
    assert_eq!(records[1].severity_number, 17);
    assert_eq!(bench.count("exporter_skipped_items_total", &["undecodable"]), 1);
    assert_eq!(bench.count("exporter_skipped_items_total", &["unencodable"]), 1);
    assert_eq!(bench.count("exporter_received_items_total", &[]), 6);
    assert_eq!(bench.count("sent_items_total", &["main"]), 6);
    assert!(bench.log().contains("cannot be exported (unencodable)"));
}

#[test]
fn a_healthy_endpoint_gets_a_chunk_once_while_another_makes_the_host_retry() {
    let healthy = Receiver::accepting();
    let failing = Receiver::start(|n, _| match n {
        0 | 1 => Say::Http(503, Vec::new(), b"not now".to_vec()),
        _ => Say::Accept,
    });
    let bench = Bench::new(vec![endpoint("healthy", &healthy), endpoint("failing", &failing)]);
    let chunk = trace_chunk(&traces(vec![span(1, vec![]), span(2, vec![])]));
    assert_eq!(bench.deliver(7, &chunk), Fate::Retry);
    assert_eq!(bench.deliver(7, &chunk), Fate::Retry);
    assert_eq!(bench.deliver(7, &chunk), Fate::Done);
    assert_eq!(healthy.seen().len(), 1);
    assert_eq!(failing.seen().len(), 3);
    assert_eq!(bench.count("sent_items_total", &["healthy"]), 2);
    assert_eq!(bench.count("sent_items_total", &["failing"]), 2);
    assert_eq!(bench.count("exporter_received_items_total", &[]), 2);
    assert_eq!(bench.count("retried_chunks_total", &[]), 2);
    assert_eq!(bench.count("failed_requests_total", &["failing", "unavailable"]), 2);
    assert!(bench.log().contains("HTTP status 503: not now"));
    // The same bytes under another name are another chunk.
    assert_eq!(bench.deliver(8, &chunk), Fate::Done);
    assert_eq!(healthy.seen().len(), 2);
}

#[test]
fn a_chunk_is_cut_at_the_request_size_and_only_the_missing_request_is_repeated() {
    let receiver = Receiver::start(|n, _| match n {
        1 => Say::Http(502, Vec::new(), Vec::new()),
        _ => Say::Accept,
    });
    let mut small = endpoint("small", &receiver);
    small.max_request_size = 3_000;
    let bench = Bench::new(vec![small]);
    let all: Vec<_> =
        (0..40).map(|number| span(number, vec![text("k", &"x".repeat(100))])).collect();
    let chunk = trace_chunk(&traces(all.clone()));
    assert_eq!(bench.deliver(1, &chunk), Fate::Retry);
    let first = receiver.seen().len();
    assert!(first > 2, "{first}");
    assert!(receiver.seen().iter().all(|seen| seen.body.len() <= 3_000));
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    assert_eq!(receiver.seen().len(), first + 1);
    assert_eq!(bench.count("sent_items_total", &["small"]), 40);
    let seen = receiver.seen();
    let last = seen.last().unwrap();
    assert!(seen[..first].iter().any(|seen| seen.body == last.body));
}

#[test]
fn a_dead_endpoint_fails_fast_and_delays_nobody() {
    let healthy = Receiver::accepting();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead_url = format!("http://{}", closed.local_addr().unwrap()).parse().unwrap();
    drop(closed);
    let dead = super::at("dead", dead_url);
    let bench = Bench::new(vec![dead, endpoint("healthy", &healthy)]);
    let chunk = trace_chunk(&traces(vec![span(1, vec![])]));
    let start = now();
    for task in 0..20 {
        assert_eq!(bench.deliver(task, &chunk), Fate::Retry);
    }
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
    assert_eq!(healthy.seen().len(), 20);
    let failed = bench.count("failed_requests_total", &["dead", "connect"]);
    assert!((3..=6).contains(&failed), "{failed}");
    assert_eq!(bench.count("deferred_requests_total", &["dead"]) + failed, 20);
    assert_eq!(bench.count("endpoint_up", &["dead"]), 0);
    assert_eq!(bench.count("endpoint_up", &["healthy"]), 1);
    assert!(bench.log().contains("endpoint 'dead' is left alone"));
}

#[test]
fn an_endpoint_that_comes_back_gets_all_signals_of_a_chunk_at_once() {
    let receiver = Receiver::start(|n, _| match n {
        0..=2 => Say::Http(504, Vec::new(), Vec::new()),
        _ => Say::Accept,
    });
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    let mut chunk = trace_chunk(&traces(vec![span(1, vec![])]));
    chunk.extend(metric_chunk(&metrics(1)));
    chunk.extend(log_chunk(&logs(&["a"])));
    assert_eq!(bench.deliver(1, &chunk), Fate::Retry);
    assert_eq!(bench.deliver(1, &chunk), Fate::Retry);
    assert_eq!(receiver.seen().len(), 3);
    std::thread::sleep(Duration::from_millis(1_100));
    // On a busy machine the answer may come after the chunk's patience has ended.
    let start = now();
    while bench.deliver(1, &chunk) != Fate::Done {
        assert!(start.elapsed() < test_timeout::at_most(Duration::from_secs(10)));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(receiver.seen().len(), 6);
    assert_eq!(bench.count("endpoint_up", &["main"]), 1);
    assert!(bench.log().contains("endpoint 'main' is back"));
}

#[test]
fn waits_that_an_endpoint_asks_for_are_honoured() {
    let over_http =
        Receiver::start(|_, _| Say::Http(429, vec![("retry-after", "60".to_owned())], Vec::new()));
    // google.rpc.Status { details: [Any { type_url, value: RetryInfo { retry_delay: 60 s } }] }
    let mut any = b"\x0a\x28type.googleapis.com/google.rpc.RetryInfo".to_vec();
    any.extend(b"\x12\x04\x0a\x02\x08\x3c");
    let mut details = vec![0x1a, u8::try_from(any.len()).unwrap()];
    details.extend(any);
    let details = bytes::Bytes::from(details);
    let over_grpc = Receiver::start(move |_, _| {
        let code = tonic::Code::ResourceExhausted;
        Say::Grpc(tonic::Status::with_details(code, "slow down", details.clone()))
    });
    let bench = Bench::new(vec![endpoint("http", &over_http), grpc("grpc", &over_grpc)]);
    let chunk = trace_chunk(&traces(vec![span(1, vec![])]));
    for task in 0..5 {
        assert_eq!(bench.deliver(task, &chunk), Fate::Retry);
    }
    for (name, receiver) in [("http", &over_http), ("grpc", &over_grpc)] {
        assert_eq!(receiver.seen().len(), 1, "{name}");
        assert_eq!(bench.count("failed_requests_total", &[name, "throttled"]), 1);
        assert_eq!(bench.count("deferred_requests_total", &[name]), 4);
    }
}

#[test]
fn what_is_refused_for_good_is_dropped_and_counted() {
    // google.rpc.Status { message: "bad id" }
    let over_http = Receiver::start(|_, _| Say::Http(400, Vec::new(), b"\x12\x06bad id".to_vec()));
    let over_grpc = Receiver::start(|n, _| {
        Say::Grpc(match n {
            0 => tonic::Status::invalid_argument("bad span"),
            _ => tonic::Status::resource_exhausted("too large"),
        })
    });
    let bench = Bench::new(vec![endpoint("http", &over_http), grpc("grpc", &over_grpc)]);
    let chunk = trace_chunk(&traces(vec![span(1, vec![]), span(2, vec![])]));
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    assert_eq!(bench.deliver(2, &chunk), Fate::Done);
    assert_eq!(bench.count("dropped_items_total", &["http", "refused"]), 4);
    assert_eq!(bench.count("dropped_items_total", &["grpc", "refused"]), 2);
    assert_eq!(bench.count("dropped_items_total", &["grpc", "too_large"]), 2);
    assert_eq!(bench.count("sent_items_total", &[]), 0);
    let log = bench.log();
    assert!(log.contains("HTTP status 400: bad id") && log.contains("gRPC status 3: bad span"));
}

#[test]
fn partial_success_is_counted_and_not_repeated() {
    let over_http = Receiver::start(|_, _| Say::Partial(2, "no such tenant"));
    let over_grpc = Receiver::start(|_, _| Say::Partial(1, "too old"));
    let bench = Bench::new(vec![endpoint("http", &over_http), grpc("grpc", &over_grpc)]);
    let chunk = trace_chunk(&traces((0..5).map(|number| span(number, vec![])).collect()));
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    assert_eq!(bench.count("sent_items_total", &["http"]), 3);
    assert_eq!(bench.count("dropped_items_total", &["http", "rejected"]), 2);
    assert_eq!(bench.count("sent_items_total", &["grpc"]), 4);
    let log = bench.log();
    assert!(log.contains("rejected 2 of 5 items of traces: no such tenant"), "{log}");
    assert!(log.contains("too old"));
}

#[test]
fn grpc_codes_that_are_retryable_are_retried() {
    let receiver = Receiver::start(|n, _| match n {
        0 => Say::Grpc(tonic::Status::unavailable("starting")),
        1 => Say::Grpc(tonic::Status::aborted("again")),
        _ => Say::Accept,
    });
    let bench = Bench::new(vec![grpc("grpc", &receiver)]);
    let chunk = log_chunk(&logs(&["a"]));
    assert_eq!(bench.deliver(1, &chunk), Fate::Retry);
    assert_eq!(bench.deliver(1, &chunk), Fate::Retry);
    assert_eq!(bench.deliver(1, &chunk), Fate::Done);
    assert_eq!(receiver.seen().len(), 3);
}

#[test]
fn hostile_chunks_and_unknown_types_end_with_a_message() {
    let receiver = Receiver::accepting();
    let bench = Bench::new(vec![endpoint("main", &receiver)]);
    assert_eq!(bench.deliver_as(EventType::Other(8), 1, b"profile"), Fate::Failed);
    assert!(bench.log().contains("type 8"));
    for (task, event_type) in
        [EventType::Logs, EventType::Metrics, EventType::Traces].into_iter().enumerate()
    {
        for rubbish in [&b""[..], b"\xc1", b"\x92\x92", &[0x91; 3000], &[0xdf, 255, 255, 255, 255]]
        {
            let fate = bench.deliver_as(event_type, u64::try_from(task).unwrap(), rubbish);
            assert_eq!(fate, Fate::Done);
        }
    }
    assert!(receiver.seen().is_empty());
    assert!(bench.count("exporter_skipped_items_total", &["undecodable"]) >= 9);
}

#[test]
fn many_chunks_at_once_are_all_delivered() {
    let receiver = Receiver::accepting();
    let bench = Bench::new(vec![endpoint("http", &receiver), grpc("grpc", &receiver)]);
    let chunk = trace_chunk(&traces((0..20).map(|number| span(number, vec![])).collect()));
    let waiters: Vec<_> = (0..60).map(|task| bench.submit(EventType::Logs, task, &chunk)).collect();
    for waiter in waiters {
        assert_eq!(
            waiter.wait(test_timeout::at_most(Duration::from_secs(20))),
            Some(Fate::Done),
            "{}",
            bench.log()
        );
    }
    assert_eq!(bench.count("sent_items_total", &["http"]), 1200);
    assert_eq!(bench.count("sent_items_total", &["grpc"]), 1200);
    // Those that waited together came in one request.
    let got = spans_of(&receiver, |_| true);
    for number in 0..20 {
        let name = format!("span {number}");
        assert_eq!(got.iter().filter(|span| span.name == name).count(), 120, "{name}");
    }
    assert_eq!(got.len(), 2400);
}
