//! Logs find their trace by ids that spans carry, on hosts: before and after the span, and at the end; spans
//! and logs inherit from their trace, and get what baggage says; broken traces are counted.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;
use tokio::task::block_in_place;

use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, real_hosts, run, text, together};

/// When all of it is.
const TIME: u64 = 1_700_000_000_000_000_001;
const SECOND: u64 = 1_000_000_000;

fn string(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) })
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: string(value), ..KeyValue::default() }
}

fn shop() -> Option<Resource> {
    let attributes = vec![attribute("service.name", "shop")];
    Some(Resource { attributes, ..Resource::default() })
}

/// A span of trace `number` with a response's id.
fn span(number: u8) -> Vec<u8> {
    let span = Span {
        trace_id: vec![number; 16],
        span_id: vec![number; 8],
        name: "chat".to_owned(),
        start_time_unix_nano: TIME - SECOND,
        end_time_unix_nano: TIME + SECOND,
        attributes: vec![attribute("gen_ai.response.id", &format!("chatcmpl-{number}"))],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let spans = ResourceSpans { resource: shop(), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()
}

/// A log that names this response in its text.
fn log(number: u8, name: &str) -> Vec<u8> {
    let record = LogRecord {
        time_unix_nano: TIME,
        body: string(&format!("{name}: response_id=chatcmpl-{number}")),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![record], ..ScopeLogs::default() }];
    let logs = ResourceLogs { resource: shop(), scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec()
}

/// The logs that have arrived: for each name the ids, and the service of its resource.
type Arrived = BTreeMap<String, Vec<(Vec<u8>, Vec<u8>, bool)>>;

fn arrived(sink: &Sink) -> Arrived {
    let received = sink.received.lock().unwrap();
    let mut arrived = Arrived::new();
    for message in received.requests.get("/v1/logs").into_iter().flatten() {
        let request = ExportLogsServiceRequest::decode(message.clone()).unwrap();
        for logs in request.resource_logs {
            let is_shop = logs.resource == shop();
            for log in logs.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                let Some(Value::StringValue(text)) = log.body.and_then(|body| body.value) else {
                    panic!("no text")
                };
                let name = text.split(':').next().unwrap().to_owned();
                let place = (log.trace_id, log.span_id, is_shop);
                arrived.entry(name).or_default().push(place);
            }
        }
    }
    arrived
}

/// Scenario: logs with the id of a model's response, before and after the span that has it, with an id
/// that no span has, and such logs again just before the end. Guarantees: each arrives once, with all
/// that it had; those with a span in the window have the trace's ids, and the others none.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logs_before_and_after_their_span_arrive_in_its_trace() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .filter(&[
                "name: ai_context",
                "match: 'ai*'",
                "correlate_by: request, response",
                "correlate_window: 3s",
            ])
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let mut client = Client::connect(http, false).await.unwrap();
        let service = TelemetryShape::Genai.service();
        for (path, request) in [
            ("/v1/logs", log(1, "before")),
            ("/v1/logs", log(9, "without")),
            ("/v1/traces", span(1)),
            ("/v1/logs", log(1, "after")),
        ] {
            client.send(path, service, request).await.unwrap();
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        tokio::time::sleep(Duration::from_millis(3500)).await;
        for name in ["last one", "last two"] {
            client.send("/v1/logs", service, log(8, name)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before_the_end = arrived(&sink);
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let arrived = arrived(&sink);
        let placed = vec![(vec![1; 16], vec![1; 8], true)];
        let unplaced = vec![(Vec::new(), Vec::new(), true)];
        let expected = [
            ("after", &placed),
            ("before", &placed),
            ("last one", &unplaced),
            ("last two", &unplaced),
            ("without", &unplaced),
        ];
        let expected = expected.map(|(name, places)| (name.to_owned(), places.clone()));
        assert_eq!(arrived, Arrived::from(expected), "{what}: {log}");
        assert!(before_the_end.contains_key("without"), "{what}: its window was over");
        assert!(!before_the_end.contains_key("last one"), "{what}: it waited to the end");
    }
}

/// Scenario: ordinary logs that Fluent Bit's own input makes, with the id of a span that comes later.
/// Guarantees: they arrive once, as ordinary logs do, with the trace's ids.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn ordinary_logs_find_their_trace() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .input(&[
                "name: dummy",
                "tag: app",
                "samples: 1",
                r#"dummy: '{"log":"ordinary: x","stream":"stdout","request_id":"chatcmpl-1"}'"#,
            ])
            .filter(&["name: ai_context", "match: '*'", "correlate_by: request, response"])
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let mut client = Client::connect(http, false).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2500)).await;
        assert!(arrived(&sink).is_empty(), "{what}: it waits");
        // The log has the time of now, which the span is to hold.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let now = u64::try_from(now.as_nanos()).unwrap();
        let mut request = ExportTraceServiceRequest::decode(&span(1)[..]).unwrap();
        let open = &mut request.resource_spans[0].scope_spans[0].spans[0];
        (open.start_time_unix_nano, open.end_time_unix_nano) = (now - 20 * SECOND, now);
        let service = TelemetryShape::Genai.service();
        client.send("/v1/traces", service, request.encode_to_vec()).await.unwrap();
        sink.settle(2, Duration::from_secs(1), Duration::from_secs(20)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let arrived = arrived(&sink);
        let [(ids, span, _)] = &arrived["ordinary"][..] else { panic!("{what}: {arrived:?}") };
        assert_eq!((&ids[..], &span[..]), (&[1; 16][..], &[1; 8][..]), "{what}: {log}");
        let received = sink.received.lock().unwrap();
        let message = received.requests["/v1/logs"][0].clone();
        let request = ExportLogsServiceRequest::decode(message).unwrap();
        let record = &request.resource_logs[0].scope_logs[0].log_records[0];
        let keys: Vec<&str> = record.attributes.iter().map(|it| it.key.as_str()).collect();
        assert_eq!(keys, ["stream", "request_id", "fluent.tag"], "{what}");
    }
}

/// A span: its id, its parent's, attributes.
type GivenSpan<'a> = (u8, u8, &'a [(&'a str, &'a str)]);

/// The request of spans of trace 1 of the service `shop`.
fn spans(given: &[GivenSpan<'_>]) -> Vec<u8> {
    let span = |(id, parent, attributes): &GivenSpan<'_>| Span {
        trace_id: vec![1; 16],
        span_id: vec![*id; 8],
        parent_span_id: if *parent > 0 { vec![*parent; 8] } else { Vec::new() },
        name: format!("span {id}"),
        start_time_unix_nano: TIME,
        end_time_unix_nano: TIME + SECOND,
        attributes: attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        ..Span::default()
    };
    let spans = given.iter().map(span).collect();
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let spans = ResourceSpans { resource: shop(), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![spans] }.encode_to_vec()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |pair: &KeyValue| match pair.value.clone().and_then(|value| value.value) {
        Some(Value::StringValue(text)) => (pair.key.clone(), text),
        other => panic!("{}: {other:?}", pair.key),
    };
    attributes.iter().map(text).collect()
}

/// The attributes of the spans that have arrived, by their names, each of which comes once.
fn arrived_spans(sink: &Sink) -> BTreeMap<String, BTreeMap<String, String>> {
    let received = sink.received.lock().unwrap();
    let mut arrived = BTreeMap::new();
    for message in received.requests.get("/v1/traces").into_iter().flatten() {
        let request = ExportTraceServiceRequest::decode(message.clone()).unwrap();
        let scopes = request.resource_spans.into_iter().flat_map(|spans| spans.scope_spans);
        for span in scopes.flat_map(|scope| scope.spans) {
            let again = arrived.insert(span.name.clone(), texts(&span.attributes));
            assert!(again.is_none(), "{} twice", span.name);
        }
    }
    arrived
}

/// Scenario: spans of a trace in two requests, of which the root, which comes last, says the user, a log of
/// the trace after them, and one more span just before the end; the filter with and without waiting.
/// Guarantees: each arrives once; with waiting all spans have the user, without it the root's chunk and
/// what comes after it have it, and the log has it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn spans_and_logs_inherit_from_their_trace() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        for wait in ["0s", "2s"] {
            let what = format!("{} with {wait}", host.title());
            let sink = Sink::start(0, Keep::Requests).await;
            let http = free_port();
            let wait_for = format!("inherit_wait: {wait}");
            let pipeline = Pipeline::default()
                .otlp_in(http, 0)
                .filter(&[
                    "name: ai_context",
                    "match: 'ai*'",
                    "inherit: user, conversation",
                    &wait_for,
                ])
                .otlp_out(&[("sink", sink.port, "http/protobuf")]);
            let running =
                block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
            let mut client = Client::connect(http, false).await.unwrap();
            let service = TelemetryShape::Genai.service();
            let first = spans(&[(3, 2, &[("gen_ai.conversation.id", "c-1")])]);
            let rest = spans(&[(2, 1, &[]), (1, 0, &[("user.id", "u-1")])]);
            let mut log = ExportLogsServiceRequest::decode(&log(1, "log")[..]).unwrap();
            log.resource_logs[0].scope_logs[0].log_records[0].trace_id = vec![1; 16];
            for (path, request) in
                [("/v1/traces", first), ("/v1/traces", rest), ("/v1/logs", log.encode_to_vec())]
            {
                client.send(path, service, request).await.unwrap();
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            tokio::time::sleep(Duration::from_secs(3)).await;
            let last = spans(&[(4, 1, &[("user.id", "u-1")])]);
            client.send("/v1/traces", service, last).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await;
            let (code, log) = block_in_place(|| running.stop());
            assert_eq!(code, Some(0), "{what}: {log}");
            let both = [("user.id", "u-1"), ("gen_ai.conversation.id", "c-1")];
            let both: BTreeMap<String, String> =
                both.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
            let mut expected: BTreeMap<String, BTreeMap<String, String>> =
                (1..=4).map(|id| (format!("span {id}"), both.clone())).collect();
            if wait == "0s" {
                // Nobody had said who the user is.
                expected.get_mut("span 3").unwrap().remove("user.id");
            }
            assert_eq!(arrived_spans(&sink), expected, "{what}: {log}");
            let received = sink.received.lock().unwrap();
            let message = received.requests["/v1/logs"][0].clone();
            let request = ExportLogsServiceRequest::decode(message).unwrap();
            let record = &request.resource_logs[0].scope_logs[0].log_records[0];
            assert_eq!(texts(&record.attributes), both, "{what}: {log}");
        }
    }
}

/// Scenario: a span and an ordinary log that show the header of W3C Baggage. Guarantees: the allowed keys
/// arrive as attributes, decoded, and the others do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn baggage_arrives_as_attributes() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .input(&[
                "name: dummy",
                "tag: app",
                "samples: 1",
                r#"dummy: '{"log":"x","headers":{"baggage":"user.id=Am%C3%A9lie,secret=1"}}'"#,
            ])
            .filter(&["name: ai_context", "match: '*'", "baggage_keys: 'user.id, acme.*'"])
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let mut client = Client::connect(http, false).await.unwrap();
        let header = "user.id=a%20b;p=1 , acme.team=x,secret=1";
        let request = spans(&[(1, 0, &[("http.request.header.baggage", header)])]);
        client.send("/v1/traces", TelemetryShape::Genai.service(), request).await.unwrap();
        sink.settle(2, Duration::from_secs(1), Duration::from_secs(20)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let expected =
            [("user.id", "a b"), ("acme.team", "x"), ("http.request.header.baggage", header)];
        let expected: BTreeMap<String, String> =
            expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(arrived_spans(&sink)["span 1"], expected, "{what}: {log}");
        let received = sink.received.lock().unwrap();
        let message = received.requests["/v1/logs"][0].clone();
        let request = ExportLogsServiceRequest::decode(message).unwrap();
        let record = &request.resource_logs[0].scope_logs[0].log_records[0];
        let user = record.attributes.iter().find(|pair| pair.key == "user.id").unwrap();
        assert_eq!(user.value, string("Am\u{e9}lie"), "{what}: {log}");
        assert!(record.attributes.iter().all(|pair| pair.key != "secret"), "{what}: {log}");
    }
}

/// Scenario: a whole trace and one whose root never comes. Guarantees: after the window the metric arrives, which
/// counts the one orphan under its service, and is not taken for broken context itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn orphans_arrive_as_a_metric() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .filter(&[
                "name: ai_context",
                "match: 'ai*'",
                "find_broken: on",
                "find_broken_window: 1s",
            ])
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        let mut client = Client::connect(http, false).await.unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        // The filter may begin after the port is open.
        let now = u64::try_from(now.as_nanos()).unwrap() + SECOND;
        for (trace, given) in [(1, &[(1, 0, &[][..]), (2, 1, &[])][..]), (2, &[(4, 3, &[])])] {
            let mut request = ExportTraceServiceRequest::decode(&spans(given)[..]).unwrap();
            for span in &mut request.resource_spans[0].scope_spans[0].spans {
                span.trace_id = vec![trace; 16];
                (span.start_time_unix_nano, span.end_time_unix_nano) = (now, now + SECOND);
            }
            let service = TelemetryShape::Genai.service();
            client.send("/v1/traces", service, request.encode_to_vec()).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let received = sink.received.lock().unwrap();
        let messages =
            received.requests.get("/v1/metrics").unwrap_or_else(|| panic!("{what}: {log}"));
        let request = ExportMetricsServiceRequest::decode(messages[0].clone()).unwrap();
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        assert_eq!((messages.len(), metrics.len()), (1, 1), "{what}: {log}");
        assert_eq!(metrics[0].name, "fluentbit.ai.context.broken", "{what}");
        let Some(Data::Sum(sum)) = &metrics[0].data else { panic!("{what}") };
        let [point] = &sum.data_points[..] else { panic!("{what}: {sum:?}") };
        let expected = [("fluentbit.ai.context.kind", "orphan"), ("service.name", "shop")];
        let expected: BTreeMap<String, String> =
            expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        assert_eq!(texts(&point.attributes), expected, "{what}");
        assert_eq!(point.value, Some(number_data_point::Value::AsInt(1)), "{what}");
    }
}

/// Scenario: correlation by ids without an input that could emit what waits. Guarantees: the start stops
/// in words.
#[test]
fn without_an_emitter_it_does_not_start() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let pipeline = Pipeline::default()
            .input(&["name: dummy", "tag: x"])
            .filter(&["name: ai_context", "match: '*'", "correlate_by: request"])
            .output(&["name: 'null'", "match: '*'"]);
        let file = plugins.path().join("wrong.yaml");
        std::fs::write(&file, pipeline.yaml(plugins.path())).unwrap();
        let output = run(&host, &["-c", &file.to_string_lossy()]);
        let said = text(&output);
        assert_ne!(output.status.code(), Some(0), "{} started: {said}", host.title());
        assert!(said.contains("ai_emitter"), "{}: {said}", host.title());
    }
}
