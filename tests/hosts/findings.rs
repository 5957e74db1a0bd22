//! What `ai_metrics` finds in calls, on hosts: as metric, as log events, as lines of the log, and in the counters.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use testkit::made_spans::{call, request, slower_model, span, text};
use tokio::task::block_in_place;

use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::meters::{page_when, start};
use crate::model_metrics::latest;
use crate::sink::{Keep, ReceivedRequests, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

fn tool(number: u64) -> Span {
    let attributes = vec![
        text("gen_ai.operation.name", "execute_tool"),
        text("gen_ai.tool.name", "search"),
        text("gen_ai.tool.call.arguments", r#"{"secret":"the same"}"#),
        text("gen_ai.conversation.id", "conversation-1"),
    ];
    span(number, 0.1, attributes)
}

/// A thousand usual calls, then some that take three times as long, of which the last few are answered by another
/// model; one with a negative count; and a tool that is called again and again.
fn spans() -> Vec<Span> {
    let mut spans = slower_model(60);
    spans.extend((1060..1070).map(|number| call(number, 3.0, "gpt-4o-mini", 100)));
    spans.push(call(1070, 3.0, "gpt-4o-mini", -5));
    spans.extend((1071..1080).map(tool));
    spans
}

async fn send(http: u16) {
    let mut client = Client::connect(http, false).await.unwrap();
    for spans in spans().chunks(100) {
        client.send("/v1/traces", "", request("shop", spans)).await.unwrap();
    }
}

/// The text of an attribute.
fn attribute(log: &LogRecord, key: &str) -> String {
    let value = log.attributes.iter().find(|pair| pair.key == key);
    match value.and_then(|pair| pair.value.clone()?.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::DoubleValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// The log events, by type and signal.
fn events(received: &ReceivedRequests) -> Vec<(String, LogRecord)> {
    let requests = received.requests.get("/v1/logs").into_iter().flatten();
    let logs = requests
        .flat_map(|body| ExportLogsServiceRequest::decode(body.clone()).unwrap().resource_logs)
        .flat_map(|of| of.scope_logs)
        .flat_map(|scope| scope.log_records);
    logs.map(|log| {
        assert_eq!(log.event_name, "fluentbit.ai.finding");
        let parts = ["fluentbit.ai.finding.type", "fluentbit.ai.finding.signal"];
        (parts.map(|part| attribute(&log, part)).join(" "), log)
    })
    .collect()
}

/// Scenario: calls become slower and are answered by another model, one has a negative count of tokens, and a tool is called
/// again and again; metrics are records, and the host's own. Guarantees: each is one finding or the spike before it, in
/// the counters and the metric, and as the check is set as a log event with the trace in which it was found, or as a line
/// of the log; the tool's arguments are in none.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_goes_wrong_is_found() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let form = if what.contains("3.0") { "records" } else { "native" };
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let emit_as = format!("emit_as: {form}");
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&[
                "name: ai_metrics",
                "match: '*'",
                "interval: 1s",
                &emit_as,
                "cost: off",
                "find_changes: on",
                "find_usage: on",
                "find_served_model: on",
                "find_runaway: warn",
            ])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        send(http).await;
        let of = |check| [("check", check)];
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum("findings_total", &of("runaway")) == 1
        })
        .await;
        let counts = ["usage", "served_model"].map(|check| page.sum("findings_total", &of(check)));
        assert_eq!(counts, [1, 1], "{what}");
        let changes = page.sum("findings_total", &of("changes"));
        assert!((1..=2).contains(&changes), "{what}: {changes}");
        assert_eq!(page.sum("finding_keys", &[]), 1, "{what}");
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        assert_eq!(log.matches("finding repeated_tool_call: tool 'search'").count(), 1, "{log}");
        assert!(!log.contains("the same\""), "{what}: {log}");

        let received = sink.received.lock().unwrap();
        let events = events(&received);
        assert_eq!(events.len() as u64, changes + 2, "{what}: {events:?}");
        let event = |name: &str| {
            let found = events.iter().find(|(of, _)| of == name);
            &found.unwrap_or_else(|| panic!("{what}: no {name} in {events:?}")).1
        };
        let slower = event("level_shift duration");
        let trace = u128::from_be_bytes(slower.trace_id.clone().try_into().unwrap());
        assert!((1001..=1060).contains(&trace), "{what}: {trace}");
        let ratio: f64 = attribute(slower, "fluentbit.ai.finding.ratio").parse().unwrap();
        assert!((2.0..4.5).contains(&ratio), "{what}: {ratio}");
        let other = event("served_model requested");
        assert_eq!(attribute(other, "gen_ai.response.model"), "gpt-4o-mini", "{what}");
        assert_eq!(attribute(other, "fluentbit.ai.finding.former"), "gpt-4o-2024-08-06", "{what}");
        let usage = event("usage negative");
        assert_eq!(attribute(usage, "fluentbit.ai.finding.library.version"), "1.2", "{what}");
        let total: f64 =
            latest(&received, "fluentbit.ai.findings").iter().map(|point| point.sum).sum();
        assert_eq!(total as u64, changes + 3, "{what}");
        println!("{what}, {form}: {} findings after call {}", changes + 3, trace - 1);
    }
}

/// The traces of the spans that arrived.
fn traces(received: &ReceivedRequests) -> Vec<u128> {
    let requests = received.requests.get("/v1/traces").into_iter().flatten();
    let spans = requests
        .flat_map(|body| ExportTraceServiceRequest::decode(body.clone()).unwrap().resource_spans)
        .flat_map(|of| of.scope_spans)
        .flat_map(|scope| scope.spans);
    spans.map(|span| u128::from_be_bytes(span.trace_id.try_into().unwrap())).collect()
}

/// Scenario: a thousand calls, of which one has a negative count of tokens, before a sampler that keeps traces with findings
/// alone. Guarantees: that trace arrives and no other one, beside the event that tells of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_trace_with_a_finding_stays() {
    let _together = together();
    let plugins = linked();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.yaml");
    std::fs::write(&path, "policies:\n  - {name: found, type: finding}\n").unwrap();
    let file = format!("config_file: {}", path.display());
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&[
                "name: ai_metrics",
                "match: '*'",
                "interval: 1s",
                "emit_as: records",
                "cost: off",
                "find_usage: on",
            ])
            .filter(&["name: ai_sampling", "match: '*'", "mode: tail", "decision_wait: 2s", &file])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let running =
            block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins.path()), http));
        send(http).await;
        tokio::time::sleep(std::time::Duration::from_secs(5)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");

        let received = sink.received.lock().unwrap();
        let told: Vec<String> = events(&received).into_iter().map(|(of, _)| of).collect();
        assert_eq!(told, ["usage negative"], "{what}");
        assert_eq!(traces(&received), [1071], "{what}: {log}");
    }
}

/// A call with a prompt of a thousand words, of which one says which version it is.
fn prompted(number: u64, version: &str, refused: bool) -> Span {
    let letters: Vec<char> = ('a'..='z').collect();
    let word = |at: usize| [1, 26, 676].map(|by| letters[at / by % 26]).iter().collect::<String>();
    let words = (0..1000).map(|at| format!("word{} ", word(at))).collect::<String>();
    let messages = serde_json::json!([{
        "role": "user",
        "parts": [{"type": "text", "content": format!("{words} Xanadu {version}")}],
    }]);
    let reason = if refused { "content_filter" } else { "stop" };
    let mut call = call(number, 1.0, "gpt-4o", 100);
    call.attributes.push(text("gen_ai.input.messages", &messages.to_string()));
    call.attributes.push(text("gen_ai.response.finish_reasons", reason));
    call
}

/// Scenario: two prompts that differ in a word, of which one is refused from a moment on, through `ai_context` and
/// `ai_metrics`. Guarantees: that is one finding with the trace of a refused call and of an answered one, and with hashes that
/// differ; no word of the prompts is in the event or in the host's log.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn similar_prompts_with_other_outcomes_are_found() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .filter(&["name: ai_context", "match: '*'"])
            .filter(&[
                "name: ai_metrics",
                "match: '*'",
                "interval: 1s",
                "emit_as: records",
                "cost: off",
                "find_prompts: on",
            ])
            .otlp_out(&[("one", sink.port, "http/protobuf")]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        let calls = (0..60).flat_map(|number| {
            let version = |at: u64, name| prompted(number * 2 + at, name, at == 1 && number >= 40);
            [version(0, "first"), version(1, "second")]
        });
        let spans: Vec<Span> = calls.collect();
        let mut client = Client::connect(http, false).await.unwrap();
        for spans in spans.chunks(40) {
            client.send("/v1/traces", "", request("shop", spans)).await.unwrap();
        }
        page_when((&host, &running, port), &what, |page| {
            page.sum("findings_total", &[("check", "prompts")]) == 1
        })
        .await;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        assert!(!log.contains("Xanadu") && !log.contains("xanadu"), "{what}: {log}");

        let received = sink.received.lock().unwrap();
        let events = events(&received);
        assert_eq!(events.len(), 1, "{what}: {events:?}");
        let (name, log) = &events[0];
        assert_eq!(name, "similar_prompts refusal", "{what}");
        let of = |key: &str| attribute(log, &format!("fluentbit.ai.finding.{key}"));
        assert_eq!([of("usual_outcome"), of("observed_outcome")], ["answered", "refused"]);
        assert!(of("distance").parse::<f64>().unwrap() <= 3.0, "{what}: {log:?}");
        assert_ne!(of("prompt"), of("usual_prompt"), "{what}");
        let trace = u128::from_be_bytes(log.trace_id.clone().try_into().unwrap());
        assert!(trace > 80 && trace % 2 == 0, "{what}: {trace}");
        let usual = u128::from_str_radix(&of("usual_trace"), 16).unwrap();
        assert!(usual % 2 == 1, "{what}: {usual}");
        let told = format!("{log:?}").to_lowercase();
        assert!(!told.contains("xanadu") && !told.contains("wordaaa"), "{what}: {told}");
        println!("{what}: refused from call 82 on, found at call {trace}");
    }
}
