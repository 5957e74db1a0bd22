//! What Fluent Bit itself makes: its OpenTelemetry input's traces, metrics and logs.

use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message;

use crate::client::Client;
use crate::equality::{arrived, captures_for_stock, sent};
use crate::hosts::{Host, RunningHost, free_port};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, linked, real_hosts, together};

/// Scenario: the stock `opentelemetry` input feeds `multi_otlp`. Guarantees: every span, every log
/// and every metric that the host stored comes out, spans with names, ids and times as sent.
#[tokio::test(flavor = "multi_thread")]
async fn the_stock_input_feeds_multi_otlp() {
    let _together = together();
    let plugins = linked();
    let captures = captures_for_stock();
    for host in real_hosts() {
        let sink = Sink::start(0, Keep::Requests).await;
        let port = free_port();
        let port_option = format!("port: {port}");
        let pipeline = Pipeline::default()
            .input(&["name: opentelemetry", "listen: 127.0.0.1", &port_option])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), port);
        // Some releases refuse whole requests for one value that they cannot store.
        let (mut refused, mut accepted) = (Vec::new(), Vec::new());
        let mut client = Client::connect(port, false).await.unwrap();
        for captured in &captures {
            let body = captured.body.clone();
            if let Err(problem) = client.send(&captured.path, captured.service(), body).await {
                refused.push(problem);
                client = Client::connect(port, false).await.unwrap();
            } else {
                accepted.push(captured.clone());
            }
        }
        sink.settle(0, Duration::from_secs(4), Duration::from_secs(15)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        let spans = |requests: &[Vec<u8>]| {
            let mut spans: Vec<(Vec<u8>, String, u64, u64)> = requests
                .iter()
                .flat_map(|request| {
                    ExportTraceServiceRequest::decode(request.as_slice()).unwrap().resource_spans
                })
                .flat_map(|resource| resource.scope_spans)
                .flat_map(|scope| scope.spans)
                .map(|span| {
                    (span.span_id, span.name, span.start_time_unix_nano, span.end_time_unix_nano)
                })
                .collect();
            spans.sort();
            spans
        };
        let sent_spans: Vec<Vec<u8>> = accepted
            .iter()
            .filter(|captured| captured.path == "/v1/traces")
            .map(|captured| captured.body.clone())
            .collect();
        let got: Vec<Vec<u8>> = received
            .requests
            .get("/v1/traces")
            .into_iter()
            .flatten()
            .map(|request| request.to_vec())
            .collect();
        assert_eq!(spans(&sent_spans), spans(&got), "{}\n{log}", host.title());
        // Fluent Bit 3.0's own input takes requests with a log without a body, and says then that
        // it cannot store them.
        let unstored = log.matches("[otel] marshalling error").count();
        if unstored > 0 {
            let before = accepted.len();
            accepted.retain(|captured| captured.path != "/v1/logs" || has_bodies(&captured.body));
            assert_eq!(before - accepted.len(), unstored, "{}: {log}", host.title());
        }
        let logs = arrived(&received, "/v1/logs").len();
        assert_eq!(logs, sent(&accepted, "/v1/logs", 1).len(), "{}: {log}", host.title());
        let metrics = arrived(&received, "/v1/metrics").len();
        assert!(metrics > 0, "{}: {refused:?}\n{log}", host.title());
    }
}

/// Whether each log of a request has a body with a value.
fn has_bodies(request: &[u8]) -> bool {
    let request = ExportLogsServiceRequest::decode(request).unwrap();
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    let mut logs = scopes.flat_map(|scope| &scope.log_records);
    logs.all(|log| log.body.as_ref().is_some_and(|body| body.value.is_some()))
}

/// The log records that come out of a pipeline with `more`, whose input makes `expected` of them.
async fn log_records(
    host: &Host,
    plugins: &Path,
    expected: u64,
    more: impl FnOnce(Pipeline) -> Pipeline,
) -> Vec<LogRecord> {
    let sink = Sink::start(0, Keep::Requests).await;
    let (http, grpc) = (free_port(), free_port());
    let pipeline =
        Pipeline::default().otlp_in(http, grpc).otlp_out(&[("one", sink.port, "http/protobuf")]);
    let pipeline = more(pipeline);
    let running = RunningHost::start(host, &pipeline.yaml(plugins), http);
    sink.settle(expected, Duration::from_secs(6), Duration::from_secs(15)).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{}: {log}", host.title());
    let received = sink.received.lock().unwrap();
    let requests = received.requests.get("/v1/logs").into_iter().flatten();
    let records: Vec<_> = requests
        .flat_map(|request| ExportLogsServiceRequest::decode(&**request).unwrap().resource_logs)
        .flat_map(|resource| resource.scope_logs)
        .flat_map(|scope| scope.log_records)
        .collect();
    assert_eq!(records.len() as u64, expected, "{}: {log}", host.title());
    records
}

/// Scenario: ordinary logs from the stock `dummy` input. Guarantees: they arrive as OTLP logs with
/// body, severity and trace.
#[tokio::test(flavor = "multi_thread")]
async fn ordinary_logs_become_otlp_logs() {
    let _together = together();
    let plugins = linked();
    for host in crate::support::all_hosts() {
        let with = |pipeline: Pipeline| {
            pipeline
            .input(&[
                "name: dummy",
                "tag: app",
                "samples: 3",
                "dummy: '{\"log\": \"disk is full\", \"level\": \"error\", \"trace_id\": \"0af7651916cd43dd8448eb211c80319c\", \"span_id\": \"b7ad6b7169203331\", \"shard\": 7}'",
            ])
            .filter(&["name: ai_context", "match: '*'"])
        };
        for record in log_records(&host, plugins.path(), 3, with).await {
            let body = format!("{:?}", record.body);
            assert!(body.contains("disk is full"), "{}: {body}", host.title());
            assert_eq!(record.severity_number, 17, "{}", host.title());
            assert_eq!(record.trace_id.len(), 16, "{}", host.title());
            assert_eq!(record.span_id.len(), 8, "{}", host.title());
            assert!(record.attributes.iter().any(|pair| pair.key == "shard"), "{record:?}");
        }
    }
}

/// Scenario: ordinary logs from the stock `dummy` input whose body, severity, ids and time are where
/// only the options of `multi_otlp` say. Guarantees: they are found there on every host, in the
/// record and in its metadata, and what was deeper in a map is not said twice.
#[tokio::test(flavor = "multi_thread")]
async fn accessors_say_where_ordinary_logs_have_what() {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    let _together = together();
    let plugins = linked();
    for host in crate::support::all_hosts() {
        let with = |pipeline: Pipeline| {
            pipeline
            .input(&[
                "name: dummy",
                "tag: app",
                "samples: 2",
                "dummy: '{\"event\": {\"text\": \"disk is full\", \"grade\": \"fatal\", \"shard\": 7}, \"log\": \"aside\", \"ids\": {\"t\": \"0af7651916cd43dd8448eb211c80319c\"}}'",
                "metadata: '{\"Timestamp\": 1700000000000000001, \"Attributes\": {\"zone\": \"b\"}, \"where\": {\"s\": \"b7ad6b7169203331\"}}'",
            ])
            .output_option("logs_body_key: [\"$nothing['here']\", \"$event['text']\", \"$log\"]")
            .output_option("logs_severity_text_message_key: $event['grade']")
            .output_option("logs_trace_id_message_key: ids['t']")
            .output_option("logs_span_id_metadata_key: $where['s']")
        };
        for record in log_records(&host, plugins.path(), 2, with).await {
            let title = host.title();
            let body = record.body.as_ref().and_then(|body| body.value.clone());
            assert_eq!(body, Some(Value::StringValue("disk is full".to_owned())), "{title}");
            assert_eq!((record.severity_number, &*record.severity_text), (21, "fatal"), "{title}");
            assert_eq!(record.time_unix_nano, 1_700_000_000_000_000_001, "{title}");
            assert_eq!((record.trace_id.len(), record.span_id.len()), (16, 8), "{title}");
            let mut keys: Vec<_> = record.attributes.iter().map(|pair| &*pair.key).collect();
            keys.sort_unstable();
            assert_eq!(keys, ["event", "fluent.tag", "log", "zone"], "{title}: {record:?}");
            let event = record.attributes.iter().find(|pair| pair.key == "event").unwrap();
            let event = format!("{event:?}");
            assert!(event.contains("shard") && !event.contains("full"), "{title}: {event}");
        }
    }
}
