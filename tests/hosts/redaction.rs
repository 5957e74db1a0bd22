//! Redaction on hosts: what cannot be searched does not pass.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::AnyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;

use crate::client::Client;
use crate::hosts::{Host, RunningHost, free_port};
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, real_hosts, together};

const LOGS: usize = 3;
const PROTOCOL: &str = "endpoint.one.protocol: http/protobuf";

fn request() -> Vec<u8> {
    let text = Value::StringValue("from joe@x.com".to_owned());
    let log = LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000,
        body: Some(AnyValue { value: Some(text) }),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs { log_records: vec![log; LOGS], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// Bodies that arrived, as text.
fn bodies(sink: &Sink) -> Vec<String> {
    let received = sink.received.lock().unwrap();
    let messages = received.requests.get("/v1/logs").cloned().unwrap_or_default();
    let requests = messages.into_iter().map(|it| ExportLogsServiceRequest::decode(it).unwrap());
    requests
        .flat_map(|request| request.resource_logs)
        .flat_map(|resource| resource.scope_logs)
        .flat_map(|scope| scope.log_records)
        .map(|log| format!("{:?}", log.body))
        .collect()
}

/// What arrives under the tag `ai` and under `aside`, and the host's log, where logs with an address are
/// sent twice through a filter with these options.
async fn through(
    host: &Host,
    plugins: &std::path::Path,
    options: &[&str],
    panic: &str,
) -> (Vec<String>, Vec<String>, String) {
    let (open, aside) =
        (Sink::start(0, Keep::Requests).await, Sink::start(0, Keep::Requests).await);
    let port = free_port();
    let to = |sink: &Sink| format!("endpoint.one.url: http://127.0.0.1:{}", sink.port);
    let filter = [&["name: ai_context", "match: '*'", "redact: email"][..], options].concat();
    let pipeline = Pipeline::default()
        .otlp_in(port, port)
        .filter(&filter)
        .output(&["name: multi_otlp", "match: 'ai'", &to(&open), PROTOCOL])
        .output(&["name: multi_otlp", "match: 'aside'", &to(&aside), PROTOCOL]);
    let environment = [("FLUENT_BIT_AI_PANIC", panic.to_owned())];
    let running = RunningHost::start_with(host, &pipeline.yaml(plugins), port, &environment);
    let mut client = Client::connect(port, false).await.unwrap();
    for _ in 0..2 {
        client.send("/v1/logs", TelemetryShape::Genai.service(), request()).await.unwrap();
        // The first chunk has left before the second one comes.
        tokio::time::sleep(Duration::from_millis(600)).await;
    }
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{}: {log}", host.title());
    (bodies(&open), bodies(&aside), log)
}

/// Scenario: the filter that redacts panics at its first chunk; more chunks follow. Guarantees: on every
/// host, by `on_failure`, all of it is dropped, or arrives under the tag of its own and only there, or
/// passes; the log says which.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_panic_nothing_passes_unredacted() {
    let _together = together();
    let plugins = linked();
    let sent = LOGS * 2;
    for host in all_hosts() {
        let title = host.title();
        let panic = "filter.chunk";
        let (open, aside, log) = through(&host, plugins.path(), &[], panic).await;
        assert_eq!((open.len(), aside.len()), (0, 0), "{title}: {log}");
        assert!(log.contains("is dropped from now on"), "{title}: {log}");

        let quarantine = ["on_failure: quarantine", "quarantine_tag: aside"];
        let (open, aside, log) = through(&host, plugins.path(), &quarantine, panic).await;
        assert_eq!((open.len(), aside.len()), (0, sent), "{title}: {log}");
        assert!(aside.iter().all(|body| body.contains("panic")), "{title}: {aside:?}");

        let (open, aside, log) = through(&host, plugins.path(), &["on_failure: pass"], panic).await;
        assert_eq!((open.len(), aside.len()), (sent, 0), "{title}: {log}");
        assert!(log.contains("passes this filter unredacted"), "{title}: {log}");

        let (open, aside, log) = through(&host, plugins.path(), &[], "").await;
        assert_eq!((open.len(), aside.len()), (sent, 0), "{title}: {log}");
        assert!(open.iter().all(|body| body.contains("from [email]")), "{title}: {open:?}");
    }
}

/// Scenario: records in a layout that is newer than ours, from another input. Guarantees: on every host
/// they are dropped beside what can be searched.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_layout_does_not_pass_unredacted() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        let (sink, port) = (Sink::start(0, Keep::Requests).await, free_port());
        let dummy = |metadata: &str| {
            [
                "name: dummy".to_owned(),
                "tag: app".to_owned(),
                "samples: 2".to_owned(),
                format!("metadata: '{metadata}'"),
                r#"dummy: '{"log":"from joe@x.com"}'"#.to_owned(),
            ]
        };
        let mut pipeline = Pipeline::default().otlp_in(port, port);
        for metadata in [r#"{"otlp":{"v":99,"signal":"log"}}"#, "{}"] {
            let lines = dummy(metadata);
            pipeline = pipeline.input(&lines.each_ref().map(String::as_str));
        }
        let pipeline = pipeline
            .filter(&["name: ai_context", "match: '*'", "redact: email"])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), port);
        sink.settle(2, Duration::from_secs(2), Duration::from_secs(20)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let bodies = bodies(&sink);
        assert_eq!(bodies.len(), 2, "{}: {bodies:?} {log}", host.title());
        assert!(bodies.iter().all(|body| body.contains("from [email]")), "{bodies:?}");
        assert!(log.contains("a record in a newer layout could not be searched"), "{log}");
    }
}
