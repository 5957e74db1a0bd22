//! A call to a model of which several items tell is measured once.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::model_metrics::latest;
use crate::replay;
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// The tokens that arrived, by type.
fn tokens(received: &ReceivedRequests) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for point in latest(received, "gen_ai.client.token.usage") {
        *sums.entry(point.attributes["gen_ai.token.type"].clone()).or_default() += point.sum;
    }
    sums
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// A span of a call in a trace of its own.
fn span(trace: u8, (from, to): (u64, u64)) -> Vec<u8> {
    let text = |text: &str| Value::StringValue(text.to_owned());
    let span = Span {
        trace_id: vec![trace; 16],
        span_id: vec![trace; 8],
        name: "chat".to_owned(),
        start_time_unix_nano: from,
        end_time_unix_nano: to,
        attributes: vec![
            pair("gen_ai.operation.name", text("chat")),
            pair("gen_ai.request.model", text("m")),
            pair("gen_ai.response.id", text("chatcmpl-7")),
            pair("gen_ai.usage.input_tokens", Value::IntValue(10)),
            pair("gen_ai.usage.output_tokens", Value::IntValue(4)),
        ],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

/// Scenario: a call of Claude Code as its span and its event with the same request id; a call through a
/// gateway that lost the headers, as two traces; a later call with the same response id. Guarantees: the
/// tokens that are measured are those of the three calls, each once, with the cache.
#[tokio::test(flavor = "multi_thread")]
async fn one_call_is_measured_once() {
    let _together = together();
    let plugins = linked();
    let samples = replay::read_folder(&testkit::root().join("tests/data/genai/made"));
    let claude = samples.into_iter().find(|(file, _)| file.starts_with("claude_code"));
    let (_, claude) = claude.unwrap();
    for host in all_hosts() {
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&["name: ai_context", "match: '*'"])
            .filter(&["name: ai_metrics", "match: '*'", "interval: 1s"])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let mut client = Client::connect(http, false).await.unwrap();
        for captured in &claude {
            client.send(&captured.path, "", captured.body.clone()).await.unwrap();
        }
        for (trace, times) in [(1, (1_000, 2_000)), (2, (1_200, 1_800)), (3, (5_000, 6_000))] {
            client.send("/v1/traces", "", span(trace, times)).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        let logs = received.requests.get("/v1/logs").map_or(0, Vec::len);
        assert!(logs > 0, "{}: the event is there", host.title());
        let (input, output) = (3.0 + 1000.0 + 2025.0 + 10.0 + 10.0, 93.0 + 4.0 + 4.0);
        let want = BTreeMap::from([("input".to_owned(), input), ("output".to_owned(), output)]);
        assert_eq!(tokens(&received), want, "{}: {log}", host.title());
        println!("{}: {input} input tokens of 3 calls", host.title());
    }
}
