//! What instrumentation of many dialects sends arrives as it was reviewed.

use std::path::PathBuf;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use prost::Message;
use serde_json::{Map, Value, json};

use crate::equality::send_all;
use crate::hosts::{RunningHost, free_port};
use crate::replay;
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// What `ai_sampling` says of a trace that it kept.
const OF_SAMPLING: &str = "fluentbit.ai.sampling.";

fn folder() -> PathBuf {
    testkit::root().join("tests/data/genai")
}

/// The made samples by name, each with its reviewed result.
fn samples() -> Vec<(String, Vec<replay::Captured>, Value)> {
    let samples = replay::read_folder(&folder().join("made"));
    let samples = samples.into_iter().map(|(file, requests)| {
        let name = file.trim_end_matches(".otlp.jsonl").to_owned();
        let result = folder().join(format!("results/{name}.json"));
        let result = std::fs::read_to_string(result).unwrap();
        (name, requests, serde_json::from_str(&result).unwrap())
    });
    samples.collect()
}

fn json_of(value: Option<&AnyValue>) -> Value {
    use any_value::Value as Any;
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(flag)) => json!(flag),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(list)) => {
            list.values.iter().map(|value| json_of(Some(value))).collect()
        }
        Some(Any::KvlistValue(list)) => map_of(&list.values),
        Some(Any::BytesValue(bytes)) => json!(bytes),
        _ => Value::Null,
    }
}

fn map_of(pairs: &[KeyValue]) -> Value {
    let pairs = pairs.iter().map(|pair| (pair.key.clone(), json_of(pair.value.as_ref())));
    Value::Object(pairs.collect())
}

/// Attributes as the reviewed results have them: messages as JSON rather than as text.
fn attributes_of(pairs: &[KeyValue]) -> Value {
    let Value::Object(mut map) = map_of(pairs) else { unreachable!("a map") };
    map.retain(|key, _| !key.starts_with(OF_SAMPLING));
    for (key, value) in &mut map {
        let text = value.as_str().filter(|_| key.starts_with("gen_ai."));
        let read = text.and_then(|text| serde_json::from_str::<Value>(text).ok());
        if let Some(read) = read.filter(|read| read.is_array() || read.is_object()) {
            *value = read;
        }
    }
    Value::Object(map)
}

/// The spans that arrived, in the form of the results.
fn spans(received: &ReceivedRequests) -> Vec<String> {
    let requests = received.requests.get("/v1/traces").into_iter().flatten();
    let spans = requests
        .flat_map(|r| ExportTraceServiceRequest::decode(r.clone()).unwrap().resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans);
    let mut all: Vec<String> = spans
        .map(|span| {
            let mut made = Map::new();
            made.insert("name".to_owned(), json!(span.name));
            made.insert("attributes".to_owned(), attributes_of(&span.attributes));
            let events: Vec<Value> = span
                .events
                .iter()
                .filter(|event| !event.attributes.is_empty())
                .map(|event| {
                    json!({ "name": event.name, "attributes": attributes_of(&event.attributes) })
                })
                .collect();
            if !events.is_empty() {
                made.insert("events".to_owned(), Value::Array(events));
            }
            Value::Object(made).to_string()
        })
        .collect();
    all.sort();
    all
}

/// The attributes of the logs that arrived, in the form of the results.
fn logs(received: &ReceivedRequests) -> Vec<String> {
    let requests = received.requests.get("/v1/logs").into_iter().flatten();
    let mut all: Vec<String> = requests
        .flat_map(|r| ExportLogsServiceRequest::decode(r.clone()).unwrap().resource_logs)
        .flat_map(|resource| resource.scope_logs)
        .flat_map(|scope| scope.log_records)
        .map(|log| attributes_of(&log.attributes).to_string())
        .collect();
    all.sort();
    all
}

/// A reviewed item after the README's `redact`, which the results are made without.
fn redacted(item: &Value) -> String {
    item.to_string().replace("x@example.com", "[email]")
}

/// Scenario: the made sample of every dialect through the README's filters. Guarantees: what arrives
/// is what was reviewed, each span and log once.
#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_arrives_as_reviewed() {
    let _together = together();
    let plugins = linked();
    let samples = samples();
    assert!(samples.len() > 25);
    let part = |part: &str| {
        let items = samples.iter().flat_map(|(_, _, result)| result[part].as_array().unwrap());
        // Once over HTTP and once over gRPC.
        let mut items: Vec<String> =
            items.flat_map(|item| [redacted(item), redacted(item)]).collect();
        items.sort();
        items
    };
    let requests: Vec<replay::Captured> =
        samples.iter().flat_map(|(_, requests, _)| requests.clone()).collect();
    for host in all_hosts() {
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&["name: ai_context", "match: 'ai*'", "redact: email, credit_card, secrets"])
            .filter(&["name: ai_metrics", "match: 'ai*'", "interval: 1s"])
            .filter(&[
                "name: ai_sampling",
                "match: 'ai*'",
                "mode: tail",
                "decision_wait: 1s",
                "sampling_percentage: 100",
            ])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        send_all(&requests, http, grpc).await;
        let total = part("spans").len() + part("logs").len();
        sink.settle(total as u64, Duration::from_secs(4), Duration::from_secs(20)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        for (kind, arrived) in [("spans", spans(&received)), ("logs", logs(&received))] {
            let reviewed = part(kind);
            let differs = reviewed.iter().zip(&arrived).find(|(left, right)| left != right);
            assert_eq!(differs, None, "{} {kind}", host.title());
            assert_eq!(reviewed.len(), arrived.len(), "{} {kind}", host.title());
            println!("{}: {} {kind}", host.title(), arrived.len());
        }
    }
}
