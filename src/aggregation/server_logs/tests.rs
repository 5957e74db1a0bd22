//! Logs of servers as their published formats are, through an aggregator.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::Aggregator;
use super::*;
use crate::aggregation::tests::{Read, SECOND, START, aggregator, call, collect, config, feed};
use crate::aggregation::{AggregationTally, Temporality};
use crate::codec::records::testing::log_event;

fn formats(names: &[&str]) -> ServerLogFormats {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    ServerLogFormats::of_names(&names).unwrap()
}

fn reading(names: &[&str]) -> Aggregator {
    let temporality = Temporality::Cumulative;
    aggregator(MetricsConfig {
        server_logs: formats(names),
        temporality,
        dimensions: Vec::new(),
        ..config()
    })
}

/// A log as the input `tail` writes it.
fn plain(line: &str) -> Vec<u8> {
    log_event(START, &json!({}), &json!({ "log": line }))
}

/// A log record of OTLP whose body is a text.
fn otlp(service: &str, line: &str) -> Vec<u8> {
    let resource = json!({"attributes": {"service.name": service}});
    let otlp = json!({"v": 1, "signal": "log", "resource": resource});
    log_event(START, &json!({ "otlp": otlp }), &json!({ "log": line }))
}

/// What the files have for a point: as its metric says it, and for histograms count and sum.
fn spelled(name: &str, point: &Read) -> String {
    let labels: Vec<String> =
        point.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let value = match (point.count, point.sum) {
        (-1, value) => value.to_string(),
        (count, -1.0) => count.to_string(),
        (count, sum) => format!("count={count} sum={sum}"),
    };
    format!("{name}{{{}}} {value}\n", labels.join(","))
}

fn page(metrics: &BTreeMap<String, Vec<Read>>) -> String {
    let points = metrics.iter().flat_map(|(name, points)| points.iter().map(move |it| (name, it)));
    let mut lines: Vec<String> = points.map(|(name, point)| spelled(name, point)).collect();
    lines.sort();
    lines.concat()
}

fn data(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data/server_logs");
    std::fs::read_to_string(format!("{folder}/{name}")).unwrap()
}

/// Scenario: the lines of each file as records of `tail` and of OTLP, with its format alone and with all. Guarantees: the
/// metrics are exactly those that are reviewed beside it.
#[test]
fn lines_of_every_server_are_measured_as_reviewed() {
    let mut differences = String::new();
    for format in ServerLogFormat::ALL {
        let name = format.name();
        let (log, expected) = (data(&format!("{name}.log")), data(&format!("{name}.expected")));
        for names in [name, "on"] {
            for form in [plain as fn(&str) -> Vec<u8>, |line| otlp("m", line)] {
                let mut aggregator = reading(&[names]);
                for line in log.lines() {
                    aggregator.on_chunk(b"logs", &form(line), Tick(1), START);
                }
                let read = page(&collect(&mut aggregator, 10));
                if read != expected {
                    write!(differences, "{name} ({names}):\n{read}\n").unwrap();
                }
            }
        }
    }
    assert!(differences.is_empty(), "{differences}");
}

fn tally(aggregator: &mut Aggregator, logs: &[Vec<u8>]) -> AggregationTally {
    for log in logs {
        aggregator.on_chunk(b"logs", log, Tick(1), START);
    }
    *aggregator.tally()
}

/// Scenario: JSON that a parser has made a map of. Guarantees: it is measured as the text is.
#[test]
fn maps_of_parsers_are_read_as_their_text_is() {
    for name in ["tgi", "litellm", "openai", "sglang"] {
        let log = data(&format!("{name}.log"));
        let lines: Vec<&str> = log.lines().filter(|line| line.starts_with('{')).collect();
        let measured = |form: fn(&str) -> Vec<u8>| {
            let mut aggregator = reading(&[name]);
            let logs: Vec<_> = lines.iter().map(|line| form(line)).collect();
            let tally = tally(&mut aggregator, &logs);
            (page(&collect(&mut aggregator, 10)), tally)
        };
        let parsed = |line: &str| {
            let map: Value = serde_json::from_str(line).unwrap();
            log_event(START, &json!({}), &map)
        };
        assert_eq!(measured(parsed), measured(plain), "{name}");
    }
}

/// Scenario: nothing asked for. Guarantees: nothing is looked at.
#[test]
fn off_reads_nothing() {
    let mut aggregator = reading(&["off"]);
    let logs: Vec<_> = data("openai.log").lines().map(plain).collect();
    assert_eq!(tally(&mut aggregator, &logs), AggregationTally::default());
    assert!(collect(&mut aggregator, 10).is_empty());
}

/// Scenario: logs that are measured and such that are not, of several kinds. Guarantees: each is counted once, by what became
/// of it.
#[test]
fn what_becomes_of_logs_is_counted() {
    let mut aggregator = reading(&["vllm", "ollama", "openai"]);
    let long = "x".repeat(MAX_TEXT + 1);
    let lines = [
        "[GIN] 2026/11/30 - 10:00:01 | 200 | 1.5s | 127.0.0.1 | POST \"/api/chat\"",
        "[GIN] 2026/11/30 - 10:00:01 | 200 | soon | 127.0.0.1 | POST \"/api/chat\"",
        "[GIN] 2026/11/30 - 10:00:01 | 2",
        "[GIN] 2026/11/30 - 10:00:01 | 200 | 1.5s | 127.0.0.1 | GET \"/\"",
        "slot print_timing: id  0 | task 0 | prompt eval time = 1.0 ms / 1 tokens",
        &long,
        r#"{"object":"chat.completion","usage":{"total_tokens":6}}"#,
        "Engine 000: Avg prompt throughput: 3.4 tokens/s, Running: many",
    ];
    let lines: Vec<_> = lines.iter().map(|line| plain(line)).collect();
    let logs = tally(&mut aggregator, &lines).server_logs;
    let mut want = ServerLogTally { other: 2, too_long: 1, incomplete: 4, ..Default::default() };
    want.measured[ServerLogFormat::Ollama as usize] = 1;
    assert_eq!(logs, want);
}

/// Scenario: an answer in a log and the span of its call, in both orders, and an answer without id of a service with spans and of
/// one without. Guarantees: a call counts once, with its times; without an id only where no spans tell it.
#[test]
fn calls_that_spans_tell_of_count_once() {
    let payload = r#"{"id": "req_1", "call_type": "acompletion", "stream": true, "status": "success", "prompt_tokens": 10, "completion_tokens": 20, "startTime": 1.0, "endTime": 1.5, "completionStartTime": 1.25, "model": "gpt-4o", "custom_llm_provider": "openai"}"#;
    let span = || {
        let span = call(1, 2).times(1000, 1500).with("gen_ai.response.id", "req_1");
        span.with("gen_ai.response.time_to_first_chunk", 0.25)
    };
    let mut expected = None;
    for order in [[true, false], [false, true]] {
        let mut aggregator = reading(&["litellm"]);
        for is_span in order {
            if is_span {
                feed(&mut aggregator, &[span()]);
            } else {
                aggregator.on_chunk(b"ai", &plain(payload), Tick(1), START);
            }
        }
        let metrics = collect(&mut aggregator, 10);
        let total = |name: &str| -> i64 { metrics[name].iter().map(|point| point.count).sum() };
        assert_eq!(total("gen_ai.client.operation.count"), 1);
        assert_eq!(total("gen_ai.client.operation.time_to_first_chunk"), 1);
        assert_eq!(total("fluentbit.ai.time_per_output_token"), 1);
        assert_eq!(total("gen_ai.client.token.usage"), 2);
        assert_eq!(aggregator.tally().duplicate_calls, 1);
        let inputs = aggregator.tally().input_tokens;
        assert_eq!(*expected.get_or_insert(inputs), 10);
    }
    let embeddings =
        r#"{"object":"list","model":"bge-m3","usage":{"prompt_tokens":8,"total_tokens":8}}"#;
    let mut aggregator = reading(&["openai"]);
    feed(&mut aggregator, &[call(3, 4).service("shop")]);
    let logs = [otlp("shop", embeddings), otlp("other", embeddings)];
    let logs = tally(&mut aggregator, &logs).server_logs;
    assert_eq!((logs.measured[ServerLogFormat::OpenAi as usize], logs.told_by_spans), (1, 1));
}

/// Scenario: a server whose spans say what its requests took, and that logs it. Guarantees: the durations are those of the spans,
/// and what spans do not say is measured.
#[test]
fn durations_of_servers_are_told_by_their_spans() {
    let timings = "slot print_timing: id  0 | task 0 | \nprompt eval time = 125.00 ms / 10 tokens (12.50 ms per token)\n eval time = 500.00 ms / 20 tokens (25.00 ms per token)\n total time = 625.00 ms / 30 tokens\n";
    for (service, durations) in [("llama", 0), ("other", 1)] {
        let mut aggregator = reading(&["llama.cpp"]);
        feed(&mut aggregator, &[call(1, 2).service("llama")]);
        aggregator.on_chunk(b"logs", &otlp(service, timings), Tick(1), START);
        let metrics = collect(&mut aggregator, 10);
        let total = metrics.get("gen_ai.server.request.duration");
        assert_eq!(total.map_or(0, |points| points[0].count), durations);
        assert_eq!(metrics["fluentbit.ai.server.request.tokens"].len(), 2);
        let told = aggregator.tally().server_logs.told_by_spans;
        assert_eq!(told, u64::from(durations == 0));
    }
}

/// Scenario: more sources than there is room for, which then fall silent. Guarantees: the bound holds, what had no room is counted,
/// and after the expiry there is room again.
#[test]
fn sources_are_bounded_and_expire() {
    let mut aggregator = reading(&["ollama"]);
    let line = "[GIN] 2026/11/30 - 10:00:01 | 500 | 1.5s | 127.0.0.1 | POST \"/api/chat\"";
    let logs: Vec<_> = (0..200).map(|source| otlp(&format!("s{source}"), line)).collect();
    let counted = tally(&mut aggregator, &logs);
    assert_eq!(counted.series, 200, "a tenth of 2000");
    assert!(counted.server_logs.no_room > 100, "{counted:?}");
    let before = counted.server_logs.no_room;
    collect(&mut aggregator, 10);
    collect(&mut aggregator, 400);
    assert_eq!(aggregator.tally().series, 0);
    aggregator.on_chunk(b"logs", &logs[199], Tick(400 * SECOND), START);
    assert_eq!((aggregator.tally().series, aggregator.tally().server_logs.no_room), (3, before));
}

/// Scenario: the log of a pod as Fluent Bit's filters write it. Guarantees: the resource says which pod, without its labels.
#[test]
fn logs_of_pods_have_their_resource() {
    let line = "[GIN] 2026/11/30 - 10:00:01 | 200 | 1.5s | 127.0.0.1 | POST \"/api/chat\"";
    let kubernetes = json!({"pod_name": "ollama-0", "namespace_name": "ai", "container_name": "ollama",
        "labels": {"app": "ollama", "hash": "1"}, "annotations": {"a": "b"}});
    let log = log_event(START, &json!({}), &json!({ "log": line, "kubernetes": kubernetes }));
    let mut aggregator = reading(&["on"]);
    aggregator.on_chunk(b"logs", &log, Tick(1), START);
    let batches = aggregator.take(false, Tick(10 * SECOND), START + 10 * SECOND);
    let text = String::from_utf8_lossy(&batches[0].events).into_owned();
    for (part, is_there) in [
        ("ollama-0", true),
        ("k8s.namespace.name", true),
        ("service.name", true),
        ("k8s.pod.label", false),
        ("annotation", false),
    ] {
        assert_eq!(text.contains(part), is_there, "{part}");
    }
}

proptest! {
    /// Scenario: lines of all servers with anything put into them and cut off anywhere. Guarantees: nothing panics, and each log is
    /// counted once.
    #[test]
    fn any_text_is_survived(
        file in 0_usize..7, line in 0_usize..12, cut in 0_usize..600, at in 0_usize..600, more in "(\\PC|[\\[{:\"'|]){0,12}",
    ) {
        let name = ServerLogFormat::ALL[file].name();
        let log = data(&format!("{name}.log"));
        let lines: Vec<&str> = log.lines().collect();
        let mut text: Vec<char> = lines[line % lines.len()].chars().collect();
        text.truncate(cut.max(1));
        let at = at % text.len();
        drop(text.splice(at..at, more.chars()));
        let text: String = text.into_iter().collect();
        let mut aggregator = reading(&["on"]);
        let logs = tally(&mut aggregator, &[plain(&text)]).server_logs;
        let all = logs.measured.iter().sum::<u64>() + logs.other + logs.incomplete + logs.too_long;
        prop_assert_eq!(all, 1);
        collect(&mut aggregator, 10);
    }
}
