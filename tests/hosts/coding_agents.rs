//! Coding agents whose calls come as spans, as log events, or as both are measured.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use prost::Message;

use crate::client::Client;
use crate::hosts::{Host, RunningHost, free_port};
use crate::replay;
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

const AGENTS: [&str; 4] = ["claude_code", "codex", "gemini_cli", "qwen_code"];

/// What the deltas that arrived add up to, by metric: of a sum its number, of a histogram its count and sum.
fn totals(received: &ReceivedRequests) -> BTreeMap<String, (u64, f64)> {
    let mut totals: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    let requests = received.requests.get("/v1/metrics").into_iter().flatten();
    let metrics = requests
        .flat_map(|r| ExportMetricsServiceRequest::decode(r.clone()).unwrap().resource_metrics)
        .flat_map(|resource| resource.scope_metrics)
        .flat_map(|scope| scope.metrics);
    for metric in metrics {
        let total = totals.entry(metric.name).or_default();
        match metric.data {
            Some(Data::Sum(sum)) => {
                for point in sum.data_points {
                    let Some(Value::AsInt(number)) = point.value else { panic!("no integer") };
                    total.0 += u64::try_from(number).unwrap();
                }
            }
            Some(Data::Histogram(histogram)) => {
                for point in histogram.data_points {
                    total.0 += point.count;
                    total.1 += point.sum.unwrap();
                }
            }
            other => panic!("{other:?}"),
        }
    }
    totals
}

/// What a host with `ai_context` and `ai_metrics` measures of these requests.
async fn measured(
    host: &Host,
    plugins: &Path,
    requests: &[replay::Captured],
) -> (BTreeMap<String, (u64, f64)>, String) {
    let sink = Sink::start(0, Keep::Requests).await;
    let (http, grpc) = (free_port(), free_port());
    let metrics = ["name: ai_metrics", "match: '*'", "interval: 1s", "temporality: delta"];
    let pipeline = Pipeline::default()
        .otlp_in(http, grpc)
        .filter(&["name: ai_context", "match: '*'"])
        .filter(&metrics)
        .otlp_out(&[("one", sink.port, "http/protobuf")]);
    let running = RunningHost::start(host, &pipeline.yaml(plugins), http);
    let mut client = Client::connect(http, false).await.unwrap();
    for captured in requests {
        client.send(&captured.path, "", captured.body.clone()).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{}: {log}", host.title());
    let received = sink.received.lock().unwrap();
    (totals(&received), log)
}

/// Scenario: what Claude Code, Codex, Gemini CLI and Qwen Code send, spans and events, through `ai_context` and
/// `ai_metrics`. Guarantees: the tokens are those of their four calls, parts of them are apart, and the call
/// and the tool of Claude Code, which come as span and event with one id, count once.
#[tokio::test(flavor = "multi_thread")]
async fn events_of_coding_agents_are_measured_once() {
    let _together = together();
    let plugins = linked();
    let samples = replay::read_folder(&testkit::root().join("tests/data/genai/made"));
    let requests: Vec<replay::Captured> = samples
        .into_iter()
        .filter(|(file, _)| AGENTS.contains(&file.trim_end_matches(".otlp.jsonl")))
        .flat_map(|(_, requests)| requests)
        .filter(|request| request.path != "/v1/metrics")
        .collect();
    for host in all_hosts() {
        let (totals, log) = measured(&host, plugins.path(), &requests).await;
        let of = |name: &str| totals.get(name).copied().unwrap_or_default();
        let note = format!("{}: {totals:?} {log}", host.title());
        let tokens = 3028.0 + 93.0 + 40.0 + 9.0 + 100.0 + 27.0 + 100.0 + 20.0;
        assert_eq!(of("gen_ai.client.token.usage"), (8, tokens), "{note}");
        let part = |part: &str| of(&format!("gen_ai.client.inference.usage.{part}_tokens")).0;
        assert_eq!(part("cache_read.input"), 1000 + 30 + 60 + 60, "{note}");
        assert_eq!(part("cache_write.input"), 2025, "{note}");
        assert_eq!(part("reasoning.output"), 4 + 7, "{note}");
        // Gemini CLI's events of the sample have neither ids nor a span, so they are operations of their own. Codex has
        // two tools and a call, which is a span and an event in it.
        assert_eq!(of("gen_ai.client.operation.count").0, 2 + 3 + 5 + 1, "{note}");
        assert_eq!(of("gen_ai.execute_tool.duration").0, 1 + 1 + 2, "{note}");
        assert_eq!(of("gen_ai.client.operation.time_to_first_chunk"), (1, 0.8), "{note}");
        println!("{}: {tokens} tokens of 4 calls", host.title());
    }
}

/// Scenario: the events of a real Gemini CLI, of whose answers its own event and that of the conventions tell, through
/// `ai_context` and `ai_metrics`. Guarantees: the answer's id makes them one, with all tokens.
#[tokio::test(flavor = "multi_thread")]
async fn two_events_of_one_answer_count_once() {
    const CAPTURE: &str = "gemini-cli-0.61.0.otlp.jsonl";
    let _together = together();
    let plugins = linked();
    let captures = replay::read_folder(&testkit::root().join("tests/data/genai"));
    let of_gemini = captures.into_iter().filter(|(file, _)| file == CAPTURE);
    let requests: Vec<replay::Captured> = of_gemini
        .flat_map(|(_, requests)| requests)
        .filter(|request| request.path == "/v1/logs")
        .collect();
    assert!(!requests.is_empty());
    for host in all_hosts() {
        let (totals, log) = measured(&host, plugins.path(), &requests).await;
        let of = |name: &str| totals.get(name).copied().unwrap_or_default();
        let note = format!("{}: {totals:?} {log}", host.title());
        assert_eq!(of("gen_ai.client.token.usage"), (4, 107.0 + 21.0 + 114.0 + 22.0), "{note}");
        assert_eq!(of("gen_ai.client.operation.count").0, 2, "{note}");
    }
}
