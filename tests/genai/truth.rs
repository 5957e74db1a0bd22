//! What the captures say of model calls and of tools, against what the model server answered.
//!
//! `truth/NAME.json` beside a capture was written by the server that its emitter asked: each answer had
//! token counts of its own. `told` has the signals that tell of the calls, and where the
//! instrumentation tells them otherwise: `all` and `each` fields of calls, null for a call that it does
//! not tell, `repeats` what it tells again, `tools` what it tells of these.

use std::collections::BTreeMap;
use std::time::Duration;

use fluent_bit_ai::aggregation::{
    Aggregator, HistogramForm, MetricsConfig, ReportedPolicy, SemconvVersion, ServerLogFormats,
    Temporality,
};
use fluent_bit_ai::clock::Tick;
use fluent_bit_ai::genai::{ContextSettings, Conventions};
use serde::Deserialize;
use serde_json::Value;

use crate::records::read;
use crate::samples::{folder, mapped, samples};
use crate::settings;

/// The operations that are calls of models.
const CALLS: [&str; 5] = ["chat", "text_completion", "generate_content", "embeddings", "rerank"];

/// Fields of a call, and the attributes of the conventions that say them.
const FIELDS: [(&str, &str); 8] = [
    ("operation", "gen_ai.operation.name"),
    ("provider", "gen_ai.provider.name"),
    ("model", "gen_ai.request.model"),
    ("input", "gen_ai.usage.input_tokens"),
    ("output", "gen_ai.usage.output_tokens"),
    ("cache_read", "gen_ai.usage.cache_read.input_tokens"),
    ("cache_creation", "gen_ai.usage.cache_creation.input_tokens"),
    ("reasoning", "gen_ai.usage.reasoning.output_tokens"),
];

/// Fields of a call by their names in [`FIELDS`].
type Call = BTreeMap<String, Value>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Truth {
    calls: Vec<Call>,
    /// Names of the tools that ran, in their order.
    tools: Vec<Value>,
    told: BTreeMap<String, Told>,
}

/// How a signal tells it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    #[serde(default)]
    all: Call,
    each: Option<Vec<Option<Call>>>,
    #[serde(default)]
    repeats: Vec<Call>,
    tools: Option<Vec<Value>>,
}

impl Told {
    /// The calls as the signal tells them.
    fn calls(&self, calls: &[Call]) -> Vec<Call> {
        let each = self.each.clone().unwrap_or_else(|| vec![Some(Call::new()); calls.len()]);
        assert_eq!(each.len(), calls.len());
        let told = calls.iter().zip(each).filter_map(|(call, each)| {
            let mut told = call.clone();
            told.extend(self.all.clone());
            told.extend(each?);
            Some(told)
        });
        told.chain(self.repeats.iter().cloned()).map(without_nothing).collect()
    }
}

/// What is 0 may as well not be said.
fn without_nothing(mut call: Call) -> Call {
    call.retain(|_, value| !value.is_null() && value.as_u64() != Some(0));
    call
}

fn truths() -> Vec<(String, Truth)> {
    let entries = std::fs::read_dir(format!("{}/truth", folder())).unwrap();
    let read = entries.map(|entry| {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().trim_end_matches(".json").to_owned();
        let truth = serde_json::from_str(&std::fs::read_to_string(&path).unwrap());
        let truth = truth.map_err(|problem| format!("{name}: {problem}"));
        (name, truth.unwrap())
    });
    read.collect()
}

/// The attributes of the items of a signal, mapped, in the order of their start.
fn items(name: &str, signal: &str) -> Vec<Value> {
    let shorter =
        ContextSettings { keep_originals: false, conventions: Conventions::V1_41, ..settings() };
    let after = mapped(&format!("{name}.otlp.jsonl"), signal, shorter).after;
    let mut records = read(&after);
    if signal == "span" {
        records.sort_by_key(|record| record.body["start_time_unix_nano"].as_u64());
    }
    let attributes = records.into_iter().map(|mut record| match signal {
        "span" => record.body["attributes"].take(),
        _ => record.metadata["otlp"]["attributes"].take(),
    });
    attributes.collect()
}

fn operation(attributes: &Value) -> &str {
    attributes["gen_ai.operation.name"].as_str().unwrap_or_default()
}

/// The call that an item tells.
fn call(attributes: &Value) -> Call {
    let fields = FIELDS.iter().map(|(name, key)| ((*name).to_owned(), attributes[*key].clone()));
    without_nothing(fields.collect())
}

/// Scenario: every capture, of which a model server has written down what it answered. Guarantees:
/// each call is told once, with its operation, provider, model and all of its token counts, and so is
/// each run of a tool, but for what the truth says of the instrumentation.
#[test]
fn what_captures_say_is_what_was_answered() {
    let truths = truths();
    for (name, truth) in &truths {
        for (signal, told) in &truth.told {
            let items = items(name, signal);
            let of =
                |names: &[&str]| items.iter().filter(|it| names.contains(&operation(it))).collect();
            let calls: Vec<&Value> = of(&CALLS);
            let mut said: Vec<Call> = calls.into_iter().map(call).collect();
            let mut answered = told.calls(&truth.calls);
            said.sort_by_key(|call| format!("{call:?}"));
            answered.sort_by_key(|call| format!("{call:?}"));
            assert_eq!(said, answered, "{name}: {signal}");
            let tools: Vec<&Value> = of(&["execute_tool"]);
            let tools: Vec<&Value> = tools.iter().map(|tool| &tool["gen_ai.tool.name"]).collect();
            let ran: Vec<&Value> = told.tools.as_ref().unwrap_or(&truth.tools).iter().collect();
            assert_eq!(tools, ran, "{name}: {signal}");
        }
    }
}

/// The tokens that calls tell together.
fn tokens(calls: &[Call]) -> (u64, u64) {
    let sum = |name| calls.iter().filter_map(|call| call.get(name)?.as_u64()).sum();
    (sum("input"), sum("output"))
}

/// What model metrics make of these chunks.
fn counted(chunks: &[&[u8]]) -> (u64, u64) {
    let mut aggregator = Aggregator::new(
        MetricsConfig {
            interval: Duration::from_secs(10),
            dimensions: Vec::new(),
            semconv: SemconvVersion::V1_41,
            reported: ReportedPolicy::Prefer,
            findings: None,
            temporality: Temporality::Delta,
            histogram: HistogramForm::Explicit,
            tag: None,
            is_whole: false,
            max_series: 2000,
            series_expiry: Duration::from_secs(300),
            call_window: Duration::from_secs(60),
            max_traces: 1000,
            prices: None,
            server_logs: ServerLogFormats::default(),
            weight: |_| Some(1.0),
            position: settings().position,
        },
        Tick(0),
        0,
    );
    chunks.iter().for_each(|chunk| aggregator.on_chunk(b"ai", chunk, Tick(1), 1));
    aggregator.take(true, Tick(2), 2);
    let tally = aggregator.tally();
    (tally.input_tokens, tally.output_tokens)
}

/// Programs whose spans and events have no id of a call in common, so that who gives both to model metrics
/// has each call twice.
const WITHOUT_COMMON_IDS: [&str; 2] = ["codex-", "gemini-cli-"];

/// Scenario: every capture's spans and log events, and those of one program that two instrumentations tell of,
/// in any order, to the model metrics. Guarantees: each call's tokens count once, where an id says that it
/// is one; two events of one call do as well.
#[test]
fn tokens_of_captures_count_once() {
    let chunk =
        |name: &str, signal| mapped(&format!("{name}.otlp.jsonl"), signal, settings()).after;
    for (name, truth) in truths() {
        let [spans, logs] = ["span", "log"].map(|signal| chunk(&name, signal));
        let told = |signal| truth.told.get(signal).map(|told| tokens(&told.calls(&truth.calls)));
        let mut expected = told("span").or_else(|| told("log")).unwrap();
        if WITHOUT_COMMON_IDS.iter().any(|program| name.starts_with(program)) {
            let of_events = tokens(&truth.calls);
            expected = (expected.0 + of_events.0, expected.1 + of_events.1);
        }
        assert_eq!(counted(&[&spans, &logs]), expected, "{name}");
        assert_eq!(counted(&[&logs, &spans]), expected, "{name}, logs first");
    }
    let both = ["otel-instrumentation-genai-anthropic-1.3b0", "anthropic-2.14.0"];
    let chunks: Vec<Vec<u8>> =
        both.iter().flat_map(|name| ["span", "log"].map(|signal| chunk(name, signal))).collect();
    let mut chunks: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
    for _ in 0..4 {
        assert_eq!(counted(&chunks), (221, 43));
        chunks.rotate_left(1);
    }
}

/// Scenario: the captures. Guarantees: there is a truth for each, and a capture for each truth.
#[test]
fn every_capture_has_its_truth() {
    let captures = samples().into_iter().filter(|name| !name.starts_with("made/"));
    let mut captures: Vec<String> =
        captures.map(|name| name.trim_end_matches(".otlp.jsonl").to_owned()).collect();
    let mut truths: Vec<String> = truths().into_iter().map(|(name, _)| name).collect();
    truths.sort();
    captures.sort();
    assert_eq!(truths, captures);
}
