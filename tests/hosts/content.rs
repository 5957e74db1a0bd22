//! What is content stays away from endpoints that are not to have it, and container logs find their
//! trace, through whole hosts.

use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

const WORD: &[u8] = b"CANARY";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";
const SERVICES: &str = "/opentelemetry.proto.collector.";

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) })
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: text(value), ..KeyValue::default() }
}

/// The content names of every dialect, and of its events.
fn names() -> (Vec<String>, Vec<String>) {
    let table: serde_json::Value =
        serde_json::from_str(include_str!("../data/content/names.json")).unwrap();
    let all = |key: &str| {
        let samples = table.as_object().unwrap().values();
        let lists = samples.filter_map(|sample| sample[key].as_array());
        let mut names: Vec<String> =
            lists.flatten().map(|name| name.as_str().unwrap().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    (all("attributes"), all("events"))
}

fn canaries(names: &[String]) -> Vec<KeyValue> {
    names.iter().map(|name| pair(name, "CANARY is my secret plan")).collect()
}

fn traces() -> Vec<u8> {
    let (names, events) = names();
    let event =
        |name: &str, attributes| Event { name: name.to_owned(), attributes, ..Event::default() };
    let mut all = vec![event("note", canaries(&names))];
    all.extend(events.iter().map(|name| event(name, canaries(&["content".to_owned()]))));
    let mut attributes = canaries(&names);
    attributes.push(pair("gen_ai.request.model", "kept"));
    let span = Span {
        trace_id: vec![7; 16],
        span_id: vec![7; 8],
        name: "chat".to_owned(),
        attributes,
        events: all,
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

fn logs() -> Vec<u8> {
    let (names, events) = names();
    let mut log_records: Vec<LogRecord> = events
        .iter()
        .map(|name| LogRecord {
            event_name: name.clone(),
            body: text("CANARY is my secret plan"),
            ..LogRecord::default()
        })
        .collect();
    log_records.push(LogRecord {
        attributes: canaries(&names),
        body: text("kept"),
        ..LogRecord::default()
    });
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// A container's log as `tail` and the kubernetes filter make it.
fn container_log() -> String {
    let line = serde_json::json!({
        "level": "error", "trace_id": TRACE, "span_id": SPAN, "msg": "kept",
        "gen_ai.input.messages": "CANARY is my secret plan",
    });
    let record = serde_json::json!({
        "log": format!("{line}\n"), "stream": "stderr",
        "kubernetes": {"pod_name": "shop-1", "namespace_name": "shop"},
    });
    format!("dummy: '{record}'")
}

/// Scenario: content under every known name in spans and logs by OTLP, as records and as the host's
/// own structures, and in the JSON text of a container's log, for an endpoint with all and one without
/// content. Guarantees: the one has none of it and all items, the other has it; the container's log
/// has its trace and its severity at both.
#[tokio::test(flavor = "multi_thread")]
async fn no_content_comes_through() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        for format in ["records", "native"] {
            let what = format!("{}, {format}", host.title());
            let full = Sink::start(0, Keep::Requests).await;
            let bare = Sink::start(0, Keep::Requests).await;
            let (http, grpc) = (free_port(), free_port());
            let container_log = container_log();
            let pipeline = Pipeline::default()
                .otlp_in(http, grpc)
                .input_option(&format!("format: {format}"))
                .input(&["name: dummy", "tag: kube.shop", "samples: 1", &container_log])
                .otlp_out(&[
                    ("full", full.port, "http/protobuf"),
                    ("bare", bare.port, "http/protobuf"),
                ])
                .output_option("endpoint.bare.content: drop");
            let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
            let mut client = Client::connect(http, false).await.unwrap();
            let service = format!("{SERVICES}trace.v1.TraceService/Export");
            client.send("/v1/traces", &service, traces()).await.unwrap();
            let service = format!("{SERVICES}logs.v1.LogsService/Export");
            client.send("/v1/logs", &service, logs()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(4)).await;
            let (code, log) = running.stop();
            assert_eq!(code, Some(0), "{what}: {log}");
            let found = |sink: &Sink, needle: &[u8]| {
                let received = sink.received.lock().unwrap();
                let requests = received.requests.values().flatten();
                let count = |request: &Bytes| memchr::memmem::find_iter(request, needle).count();
                requests.map(count).sum::<usize>()
            };
            assert_eq!(found(&bare, WORD), 0, "{what}: {log}");
            assert!(found(&full, WORD) > 400, "{what}: {}", found(&full, WORD));
            for sink in [&full, &bare] {
                assert_eq!(found(sink, b"kept"), 3, "{what}: {log}");
                let received = sink.received.lock().unwrap();
                let requests = received.requests["/v1/logs"].iter();
                let mut records = requests
                    .flat_map(|request| {
                        ExportLogsServiceRequest::decode(&request[..]).unwrap().resource_logs
                    })
                    .flat_map(|resource| resource.scope_logs)
                    .flat_map(|scope| scope.log_records);
                let placed = records.find(|record| record.severity_number == 17).unwrap();
                let hex = |bytes: &[u8]| -> String {
                    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
                };
                assert_eq!(
                    (hex(&placed.trace_id), hex(&placed.span_id)),
                    (TRACE.into(), SPAN.into())
                );
            }
            println!("{what}: no content at the one, {} times at the other", found(&full, WORD));
        }
    }
}

/// Scenario: a container's log through `ai_context` to the host's own `opentelemetry` output.
/// Guarantees: that output finds trace and severity, too, where it looks into the `otlp` map: 3.0's
/// does not, and 3.2's finds the severity there but not the ids.
#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_own_output_finds_what_ai_context_read() {
    let _together = together();
    let plugins = linked();
    let reads = |host: &crate::hosts::Host| !host.title().starts_with("Fluent Bit 3.");
    for host in crate::support::real_hosts().into_iter().filter(reads) {
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let container_log = container_log();
        let port = format!("port: {}", sink.port);
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .input(&["name: dummy", "tag: kube.shop", "samples: 1", &container_log])
            .filter(&["name: ai_context", "match: kube.*"])
            .output(&["name: opentelemetry", "match: kube.*", "host: 127.0.0.1", &port]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        tokio::time::sleep(Duration::from_secs(4)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        let request = received.requests.get("/v1/logs").map(|all| all.concat());
        let request = request.unwrap_or_else(|| panic!("{}: {log}", host.title()));
        let request = ExportLogsServiceRequest::decode(&request[..]).unwrap();
        let record = &request.resource_logs[0].scope_logs[0].log_records[0];
        assert_eq!((record.severity_number, record.severity_text.as_str()), (17, "error"));
        assert_eq!((record.trace_id.len(), record.span_id.len()), (16, 8), "{}", host.title());
        println!("{}: the host's own output has trace and severity", host.title());
    }
}
