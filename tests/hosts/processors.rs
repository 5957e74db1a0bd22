//! What the host's own processors change in a log's resource and scope.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use crate::client::Client;
use crate::hosts::{Host, RunningHost, free_port};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, linked, real_hosts, together};

fn pair(key: &str, text: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// Two services, each with a secret in its resource and in its scope.
fn request() -> ExportLogsServiceRequest {
    let service = |name: &str| {
        let attributes = vec![pair("service.name", name), pair("user.secret", "canary")];
        let resource = Resource { attributes: attributes.clone(), ..Resource::default() };
        let scope = InstrumentationScope {
            name: "lib".to_owned(),
            attributes,
            ..InstrumentationScope::default()
        };
        let log = LogRecord {
            time_unix_nano: 1_700_000_000_000_000_001,
            body: pair("", "a line").value,
            attributes: vec![pair("own", "1")],
            ..LogRecord::default()
        };
        let scope_logs = vec![ScopeLogs {
            scope: Some(scope),
            log_records: vec![log; 3],
            ..ScopeLogs::default()
        }];
        ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() }
    };
    ExportLogsServiceRequest { resource_logs: vec![service("shop"), service("bank")] }
}

/// Each log as text, with what is around it, in order.
fn flat<'a>(requests: impl Iterator<Item = &'a ExportLogsServiceRequest>) -> Vec<String> {
    let mut flat = Vec::new();
    for outer in requests.flat_map(|request| &request.resource_logs) {
        for inner in &outer.scope_logs {
            let line = |log| format!("{:?} {:?} {log:?}", outer.resource, inner.scope);
            flat.extend(inner.log_records.iter().map(line));
        }
    }
    flat.sort();
    flat
}

/// What arrives of the request with these processors, and as which text.
async fn arrives(host: &Host, processors: &str, count: usize) -> (Vec<String>, String) {
    let plugins = linked();
    let sink = Sink::start(0, Keep::Requests).await;
    let port = free_port();
    let processors = format!("processors:\n        logs:\n{processors}");
    let pipeline = Pipeline::default().otlp_in(port, 0).input_option(&processors).otlp_out(&[(
        "one",
        sink.port,
        "http/protobuf",
    )]);
    let running = RunningHost::start(host, &pipeline.yaml(plugins.path()), port);
    let mut client = Client::connect(port, false).await.unwrap();
    client.send("/v1/logs", "", request().encode_to_vec()).await.unwrap();
    sink.settle(count as u64, Duration::from_secs(8), Duration::from_secs(12)).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{}: {log}", host.title());
    let received = sink.received.lock().unwrap();
    let requests: Vec<_> = received
        .requests
        .get("/v1/logs")
        .into_iter()
        .flatten()
        .map(|request| ExportLogsServiceRequest::decode(request.clone()).unwrap())
        .collect();
    (flat(requests.iter()), log)
}

/// The hosts whose `content_modifier` knows resources and scopes.
fn hosts() -> Vec<Host> {
    let modern = |host: &Host| !host.release.starts_with("3.0") && !host.release.starts_with("3.1");
    real_hosts().into_iter().filter(modern).collect()
}

fn content_modifier(context: &str, action: &str) -> String {
    format!("          - name: content_modifier\n            context: {context}\n{action}")
}

const DELETE: &str = "            action: delete\n            key: user.secret\n";
const INSERT: &str =
    "            action: upsert\n            key: added\n            value: by_processor\n";

/// Scenario: `content_modifier` deletes an attribute of resource and scope, and adds one. Guarantees:
/// what it deleted is at no endpoint, what it added is, and all else is as it was sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_content_modifier_deletes_is_gone() {
    let _together = together();
    for host in hosts() {
        let contexts = ["otel_resource_attributes", "otel_scope_attributes"];
        let both =
            |action: &str| contexts.map(|context| content_modifier(context, action)).concat();
        let mut expected = request();
        for outer in &mut expected.resource_logs {
            let resource = &mut outer.resource.as_mut().unwrap().attributes;
            let scope = &mut outer.scope_logs[0].scope.as_mut().unwrap().attributes;
            for attributes in [resource, scope] {
                attributes.retain(|pair| pair.key != "user.secret");
                attributes.push(pair("added", "by_processor"));
            }
        }
        let processors = format!("{}{}", both(DELETE), both(INSERT));
        let (arrived, log) = arrives(&host, &processors, 6).await;
        assert!(!arrived.concat().contains("canary"), "{}: {arrived:#?}\n{log}", host.title());
        assert_eq!(arrived, flat([expected].iter()), "{}\n{log}", host.title());
        println!("{}: what content_modifier deletes is gone", host.title());
    }
}

/// Scenario: `opentelemetry_envelope` in front of logs that have their groups. Guarantees: each
/// arrives once, with its resource and scope.
#[tokio::test(flavor = "multi_thread")]
async fn opentelemetry_envelope_leaves_them() {
    let _together = together();
    for host in hosts() {
        let processor = "          - name: opentelemetry_envelope\n";
        let (arrived, log) = arrives(&host, processor, 6).await;
        assert_eq!(arrived, flat([request()].iter()), "{}\n{log}", host.title());
        println!("{}: opentelemetry_envelope leaves resource and scope", host.title());
    }
}
