//! What instrumentation of many dialects sends arrives as it was reviewed.

use std::path::PathBuf;
use std::process::Command;
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

/// Made samples of which it was reviewed what they are in the dialects of backends.
const IN_DIALECTS: [&str; 3] = ["claude_code", "langfuse", "vercel_ai_sdk"];

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
pub(crate) fn spans(received: &ReceivedRequests) -> Vec<String> {
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

/// Scenario: the made sample of every dialect through the README's filters, to two endpoints of different
/// dialects. Guarantees: what arrives is what was reviewed, each span and log once, and at the other endpoint
/// each in its dialect.
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
        let phoenix = Sink::start(0, Keep::Requests).await;
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
            .otlp_out(&[
                ("one", sink.port, "http/protobuf"),
                ("phoenix", phoenix.port, "http/protobuf"),
            ])
            .output_option("endpoint.phoenix.dialect: openinference");
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        send_all(&requests, http, grpc).await;
        let total = part("spans").len() + part("logs").len();
        for sink in [&sink, &phoenix] {
            sink.settle(total as u64, Duration::from_secs(4), Duration::from_secs(20)).await;
        }
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
        let in_dialect = without_events(&spans(&phoenix.received.lock().unwrap()));
        assert_eq!(in_dialect.len(), part("spans").len(), "{}", host.title());
        for span in reviewed_in("openinference", &IN_DIALECTS) {
            let span: Value = serde_json::from_str(&span).unwrap();
            assert!(in_dialect.contains(&redacted(&span)), "{}: {span}", host.title());
        }
    }
}

/// The spans of the reviewed samples in a backend's dialect, once over HTTP and once over gRPC.
fn reviewed_in(dialect: &str, names: &[&str]) -> Vec<String> {
    let mut all = Vec::new();
    for name in names {
        let path = folder().join(format!("backends/{dialect}/{name}.json"));
        let spans: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        for span in spans.as_array().unwrap() {
            all.extend([span.to_string(), span.to_string()]);
        }
    }
    all.sort();
    all
}

/// Names and attributes of spans.
fn without_events(spans: &[String]) -> Vec<String> {
    let mut all: Vec<String> = spans
        .iter()
        .map(|span| {
            let mut span: Value = serde_json::from_str(span).unwrap();
            span.as_object_mut().unwrap().remove("events");
            span.to_string()
        })
        .collect();
    all.sort();
    all
}

/// What no dialect with another form of messages may have beside it.
fn of_messages(spans: &[String]) -> usize {
    spans.iter().filter(|span| span.contains("gen_ai.input.messages")).count()
}

/// Scenario: samples of several dialects through one `ai_context`, to endpoints of four dialects, of which
/// one gets no content. Guarantees: each has the spans that were reviewed for its dialect, the archive
/// those that were sent, and no name of a dialect brings content back.
#[tokio::test(flavor = "multi_thread")]
async fn each_backend_has_its_dialect() {
    let _together = together();
    let plugins = linked();
    let samples = samples();
    let samples = || samples.iter().filter(|(name, ..)| IN_DIALECTS.contains(&name.as_str()));
    let requests: Vec<replay::Captured> =
        samples().flat_map(|(_, requests, _)| requests.clone()).collect();
    let requests: Vec<replay::Captured> =
        requests.into_iter().filter(|request| request.path == "/v1/traces").collect();
    for host in all_hosts() {
        let mut sinks = Vec::new();
        for _ in 0..5 {
            sinks.push(Sink::start(0, Keep::Requests).await);
        }
        let (http, grpc) = (free_port(), free_port());
        let names = ["current", "openinference", "openllmetry", "original", "without"];
        let endpoints: Vec<_> = names
            .iter()
            .zip(&sinks)
            .map(|(name, sink)| (*name, sink.port, "http/protobuf"))
            .collect();
        let mut pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&["name: ai_context", "match: '*'", "keep_originals: on"])
            .otlp_out(&endpoints)
            .output_option("endpoint.without.dialect: openinference")
            .output_option("endpoint.without.content: drop");
        for name in &names[..4] {
            pipeline = pipeline.output_option(&format!("endpoint.{name}.dialect: {name}"));
        }
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        send_all(&requests, http, grpc).await;
        let expected = reviewed_in("openinference", &IN_DIALECTS).len();
        for sink in &sinks {
            sink.settle(expected as u64, Duration::from_secs(4), Duration::from_secs(20)).await;
        }
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let arrived: Vec<Vec<String>> =
            sinks.iter().map(|sink| spans(&sink.received.lock().unwrap())).collect();
        let mut current: Vec<String> = samples()
            .flat_map(|(_, _, result)| result["spans"].as_array().unwrap())
            .flat_map(|span| [span.to_string(), span.to_string()])
            .collect();
        current.sort();
        assert_eq!(arrived[0], current, "{}", host.title());
        let with_messages = of_messages(&current);
        assert!(with_messages > 0);
        for (dialect, arrived) in names.iter().zip(&arrived).skip(1).take(2) {
            let reviewed = reviewed_in(dialect, &IN_DIALECTS);
            let arrived = without_events(arrived);
            let differs = reviewed.iter().zip(&arrived).find(|(left, right)| left != right);
            assert_eq!(differs, None, "{} {dialect}", host.title());
            assert_eq!(arrived.len(), reviewed.len(), "{} {dialect}", host.title());
            assert!(of_messages(&arrived) < with_messages, "{} {dialect}", host.title());
        }
        assert!(
            arrived[3].iter().any(|span| span.contains("\"ai.prompt.messages\"")),
            "{:?}",
            arrived[3]
        );
        assert_eq!(of_messages(&arrived[3]), 0, "{}", host.title());
        assert_eq!(arrived[4].len(), expected, "{}", host.title());
        let leaked =
            arrived[4].iter().find(|span| span.contains("weather?") || span.contains("Berlin"));
        assert_eq!(leaked, None, "{}", host.title());
        println!("{}: {expected} spans in each of {} dialects", host.title(), names.len());
    }
}

/// Scenario: an endpoint wants the originals that `ai_context` takes away. Guarantees: the host does not
/// start, and says why.
#[test]
fn originals_that_are_gone_stop_the_start() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let pipeline = Pipeline::default()
            .otlp_in(free_port(), free_port())
            .filter(&["name: ai_context", "match: '*'"])
            .otlp_out(&[("archive", 9, "http/protobuf")])
            .output_option("endpoint.archive.dialect: original");
        let file = plugins.path().join("gone.yaml");
        std::fs::write(&file, pipeline.yaml(plugins.path())).unwrap();
        let output = Command::new("timeout")
            .args(["--signal=KILL", "20"])
            .arg(&host.executable)
            .args(&host.arguments)
            .arg("-c")
            .arg(&file)
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let words = "'original' needs the attributes that senders wrote";
        assert!(said.contains(words), "{}: {said}", host.title());
        assert!(output.status.code().is_some_and(|code| code != 0), "{}: {said}", host.title());
    }
}
