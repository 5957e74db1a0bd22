//! What goes with sampled traces on hosts: logs that follow their trace, hints about content, and what is told of
//! traces that were dropped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use prost::Message as _;
use tokio::task::block_in_place;

use crate::arrived;
use crate::client::Client;
use crate::hosts::free_port;
use crate::meters::{page_when, start};
use crate::sampling::send_spans;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

const PROMPT: &str = "gen_ai.input.messages";

fn string(text: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) })
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: string(value), ..KeyValue::default() }
}

/// A span with a prompt, that has failed or has a text as its attribute `k`.
pub(crate) fn span(trace: u8, failed: bool, k: &str) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![trace; 8],
        name: format!("span {trace}"),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        attributes: vec![pair(PROMPT, "a secret plan"), pair("k", k)],
        status: failed.then(|| Status { code: 2, ..Status::default() }),
        ..Span::default()
    }
}

/// One request of logs: the trace, none for 0, and the text.
pub(crate) async fn send_logs(http: u16, logs: &[(u8, impl AsRef<str>)]) {
    let mut client = Client::connect(http, false).await.unwrap();
    let request = logs_request(logs);
    client.send("/v1/logs", TelemetryShape::Genai.service(), request).await.unwrap();
}

/// The same, encoded.
pub(crate) fn logs_request(logs: &[(u8, impl AsRef<str>)]) -> Vec<u8> {
    let record = |(trace, text): &(u8, _)| LogRecord {
        trace_id: if *trace > 0 { vec![*trace; 16] } else { Vec::new() },
        time_unix_nano: 1_700_000_000_000_000_000,
        body: string(AsRef::<str>::as_ref(text)),
        ..LogRecord::default()
    };
    let log_records = logs.iter().map(record).collect();
    let resource =
        Resource { attributes: vec![pair("service.name", "shop")], ..Resource::default() };
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let logs = ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![logs] }.encode_to_vec()
}

/// The logs that have arrived, by their text or the name of the event, with their attributes and whether they have
/// their service; each comes once.
pub(crate) fn logs(sink: &Sink) -> BTreeMap<String, (BTreeMap<String, String>, bool)> {
    let received = sink.received.lock().unwrap();
    let mut arrived = BTreeMap::new();
    for message in received.requests.get("/v1/logs").into_iter().flatten() {
        for of in ExportLogsServiceRequest::decode(message.clone()).unwrap().resource_logs {
            let attributes = of.resource.map(|resource| resource.attributes).unwrap_or_default();
            let has_service = attributes.iter().any(|pair| pair.key == "service.name");
            for log in of.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                let name = match log.body.and_then(|body| body.value) {
                    Some(Value::StringValue(text)) => text,
                    _ => format!("{} {}", log.event_name, log.trace_id[0]),
                };
                let text = |pair: &KeyValue| match pair.value.clone().and_then(|it| it.value) {
                    Some(Value::StringValue(text)) => text,
                    Some(Value::IntValue(number)) => number.to_string(),
                    other => format!("{other:?}"),
                };
                let said = log.attributes.iter().map(|it| (it.key.clone(), text(it))).collect();
                let before = arrived.insert(name.clone(), (said, has_service));
                assert!(before.is_none(), "{name} twice");
            }
        }
    }
    arrived
}

pub(crate) fn log_names(sink: &Sink) -> BTreeSet<String> {
    logs(sink).into_keys().collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Scenario: logs before and after the spans of traces that a policy keeps with their content, that one keeps without,
/// and that none keeps; of a trace of which no span comes, and of none; and the same again when the host stops.
/// Guarantees: logs go the way of their trace, each arrives once with its resource, counters add up; of each dropped
/// trace a log event tells; and of two endpoints the one that goes by hints gets the content of the one trace alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logs_and_content_follow_their_trace() {
    let _together = together();
    let plugins = linked();
    let path = plugins.path().join("companions.yaml");
    let policies = "policies:\n  - {name: failed, type: error, content: keep}\n  \
                    - {name: some, type: string_attribute, key: k, values: [b], content: drop}\n";
    std::fs::write(&path, policies).unwrap();
    let file = format!("config_file: {}", path.display());
    for host in all_hosts() {
        let what = host.title();
        let (full, hinted) =
            (Sink::start(0, Keep::Requests).await, Sink::start(0, Keep::Requests).await);
        let http = free_port();
        let filter = [
            "name: ai_sampling",
            "match: 'ai*'",
            "mode: tail",
            "decision_wait: 8s",
            "logs: follow",
            "tombstones: log",
            &file,
        ];
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .filter(&filter)
            .otlp_out(&[
                ("full", full.port, "http/protobuf"),
                ("hinted", hinted.port, "http/protobuf"),
            ])
            .output_option("endpoint.hinted.content: hinted");
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        let early = [(1, "one"), (2, "two"), (3, "three"), (9, "nine"), (0, "none")];
        send_logs(http, &early).await;
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("received_logs_total", &[]) == Some(5)
        })
        .await;
        assert_eq!(page.sum("held_logs", &[]), 4, "{what}");
        send_spans(http, vec![span(1, true, "a"), span(2, false, "b"), span(3, false, "a")]).await;
        page_when((&host, &running, port), &what, |page| {
            page.sum_of("dropped_logs_total", &[("policy", "not_sampled")]) == Some(1)
                && page.sum_of("kept_logs_total", &[("policy", "no_decision")]) == Some(1)
        })
        .await;
        send_logs(http, &[(1, "one late"), (3, "three late")]).await;
        send_spans(http, vec![span(7, false, "a")]).await;
        send_logs(http, &[(7, "seven"), (8, "eight")]).await;
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("received_logs_total", &[]) == Some(9)
        })
        .await;
        let sum = |name: &str| page.sum(name, &[]);
        let out = sum("kept_logs_total") + sum("dropped_logs_total") + sum("held_logs");
        assert_eq!(out, 9, "{what}");
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let told = "fluentbit.ai.sampling.dropped";
        let expected = ["one", "two", "nine", "none", "one late", "eight"];
        let mut expected = set(&expected);
        expected.extend([format!("{told} 3"), format!("{told} 7")]);
        for sink in [&full, &hinted] {
            assert_eq!(log_names(sink), expected, "{what}: {log}");
        }
        let arrived_logs = logs(&full);
        for (name, policy) in [("one", "failed"), ("one late", "failed"), ("two", "some")] {
            let (said, has_service) = &arrived_logs[name];
            assert_eq!(said["fluentbit.ai.sampling.policy"], policy, "{what}: {name}");
            assert!(has_service, "{what}: {name}");
        }
        assert!(arrived_logs["nine"].0.is_empty() && arrived_logs["nine"].1, "{what}");
        let (said, _) = &arrived_logs[&format!("{told} 3")];
        let of = |key: &str| said[&format!("fluentbit.ai.sampling.{key}")].as_str();
        assert_eq!((of("policy"), of("root"), of("spans")), ("not_sampled", "span 3", "1"));
        for (sink, with_prompt) in [(&full, vec![1, 2]), (&hinted, vec![1])] {
            let mut found = Vec::new();
            for span in arrived::spans(sink) {
                let keys: BTreeSet<&str> =
                    span.attributes.iter().map(|it| it.key.as_str()).collect();
                assert!(!keys.contains("content"), "{what}: {keys:?}");
                found.extend(keys.contains(PROMPT).then_some(span.span_id[0]));
            }
            found.sort_unstable();
            assert_eq!(found, with_prompt, "{what}: {log}");
        }
    }
}

/// Scenario: `kill -9` while a log waits for its trace, with a journal, and a restart that gets the span; counts of
/// dropped traces by their shape. Guarantees: the log arrives with its trace, once; the counts arrive at the stop.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logs_that_waited_when_the_host_was_killed_follow_after_it() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let folder = tempfile::tempdir().unwrap();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let journal = format!("journal_path: {}", folder.path().display());
        let pipeline = || {
            let filter = [
                "name: ai_sampling",
                "match: 'ai*'",
                "mode: tail",
                "decision_wait: 600s",
                "keep_errors: on",
                "logs: follow",
                "logs_without_decision: drop",
                "tombstones: counts",
                &journal,
            ];
            Pipeline::default().otlp_in(http, 0).filter(&filter).otlp_out(&[(
                "sink",
                sink.port,
                "http/protobuf",
            )])
        };
        let (running, port) = start(&host, plugins.path(), pipeline(), http);
        send_logs(http, &[(1, "one"), (2, "two")]).await;
        page_when((&host, &running, port), &what, |page| {
            page.sum_of("journal_spans_total", &[("outcome", "written")]) == Some(2)
        })
        .await;
        // It is a queue away from the file.
        tokio::time::sleep(testkit::at_most(Duration::from_millis(500))).await;
        running.signal("KILL");
        drop(running);
        let (running, port) = start(&host, plugins.path(), pipeline(), http);
        page_when((&host, &running, port), &what, |page| {
            page.sum_of("journal_spans_total", &[("outcome", "recovered")]) == Some(2)
                && page.sum_of("held_logs", &[]) == Some(2)
        })
        .await;
        send_spans(http, vec![span(1, true, "a"), span(3, false, "a"), span(4, false, "a")]).await;
        page_when((&host, &running, port), &what, |page| {
            page.sum_of("kept_logs_total", &[("policy", "keep_errors")]) == Some(1)
                && page.sum_of("received_spans_total", &[]) == Some(3)
        })
        .await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        assert_eq!(log_names(&sink), set(&["one"]), "{what}: {log}");
        assert_eq!(dropped_traces(&sink), 2, "{what}: {log}");
    }
}

/// What the counts of dropped traces say.
fn dropped_traces(sink: &Sink) -> i64 {
    let received = sink.received.lock().unwrap();
    let messages = received.requests.get("/v1/metrics").into_iter().flatten();
    let metrics = messages
        .flat_map(|it| ExportMetricsServiceRequest::decode(it.clone()).unwrap().resource_metrics)
        .flat_map(|of| of.scope_metrics)
        .flat_map(|scope| scope.metrics)
        .filter(|metric| metric.name == "fluentbit.ai.sampling.dropped_traces");
    let points = metrics.flat_map(|metric| match metric.data {
        Some(Data::Sum(sum)) => sum.data_points,
        _ => Vec::new(),
    });
    points
        .map(|point| match point.value {
            Some(number_data_point::Value::AsInt(value)) => value,
            _ => 0,
        })
        .sum()
}

/// Scenario: logs and spans of traces on both sides of the threshold of a head sampler. Guarantees: logs stay with
/// the spans of their trace, and say the threshold.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logs_follow_head_decisions() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let filter =
            ["name: ai_sampling", "match: 'ai*'", "sampling_percentage: 50", "logs: follow"];
        let pipeline = Pipeline::default().otlp_in(http, 0).filter(&filter).otlp_out(&[(
            "sink",
            sink.port,
            "http/protobuf",
        )]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        send_logs(http, &[(0x70, "low"), (0x90, "high"), (0, "none")]).await;
        send_spans(http, vec![span(0x70, false, "a"), span(0x90, false, "a")]).await;
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("received_spans_total", &[]) == Some(2)
                && page.sum_of("received_logs_total", &[]) == Some(3)
        })
        .await;
        assert_eq!(page.sum("dropped_logs_total", &[("policy", "not_sampled")]), 1, "{what}");
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        assert_eq!(log_names(&sink), set(&["high", "none"]), "{what}: {log}");
        assert_eq!(logs(&sink)["high"].0["sampling.threshold"], "8", "{what}");
        let spans: Vec<u8> = arrived::spans(&sink).iter().map(|span| span.span_id[0]).collect();
        assert_eq!(spans, [0x90], "{what}: {log}");
    }
}

/// Scenario: calls of a model whose durations fall into few buckets, before a sampler that keeps the traces of exemplars
/// alone. Guarantees: each trace that arrives is one that an exemplar names, those of the first interval all arrive, and the
/// others do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn traces_of_exemplars_arrive() {
    let _together = together();
    let plugins = linked();
    let path = plugins.path().join("exemplars.yaml");
    let policies = "policies:\n  - {name: exemplars, type: exemplar, max_per_second: 20}\n";
    std::fs::write(&path, policies).unwrap();
    let file = format!("config_file: {}", path.display());
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let metrics =
            ["name: ai_metrics", "match: 'ai*'", "interval: 1s", "exemplars: kept", "cost: off"];
        let sampling =
            ["name: ai_sampling", "match: 'ai*'", "mode: tail", "decision_wait: 5s", &file];
        let pipeline = Pipeline::default()
            .otlp_in(http, 0)
            .filter(&metrics)
            .filter(&sampling)
            .otlp_out(&[("sink", sink.port, "http/protobuf")]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        let call = |trace: u8| Span {
            // Two buckets of the advised bounds.
            end_time_unix_nano: if trace.is_multiple_of(2) { 1_100_000_000 } else { 4_000_000_000 },
            attributes: vec![
                pair("gen_ai.operation.name", "chat"),
                pair("gen_ai.request.model", "m"),
            ],
            ..span(trace, false, "a")
        };
        send_spans(http, (1..=40).map(call).collect()).await;
        page_when((&host, &running, port), &what, |page| {
            page.sum_of("received_spans_total", &[]) == Some(40)
                && page.sum_of("held_spans", &[]) == Some(0)
        })
        .await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let named = exemplar_traces(&sink);
        assert!((2..=6).contains(&named.len()), "{what}: {named:?}");
        let arrived: BTreeSet<u8> = arrived::spans(&sink).iter().map(|it| it.trace_id[0]).collect();
        assert_eq!(arrived, named, "{what}: {log}");
    }
}

/// The traces that exemplars of histograms name.
fn exemplar_traces(sink: &Sink) -> BTreeSet<u8> {
    let received = sink.received.lock().unwrap();
    let messages = received.requests.get("/v1/metrics").into_iter().flatten();
    let metrics = messages
        .flat_map(|it| ExportMetricsServiceRequest::decode(it.clone()).unwrap().resource_metrics)
        .flat_map(|of| of.scope_metrics)
        .flat_map(|scope| scope.metrics);
    let points = metrics.flat_map(|metric| match metric.data {
        Some(Data::Histogram(histogram)) => histogram.data_points,
        _ => Vec::new(),
    });
    points.flat_map(|point| point.exemplars).map(|it| it.trace_id[0]).collect()
}
