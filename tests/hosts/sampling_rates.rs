//! Rates per key on hosts: rules of Refinery, a Collector's `adaptive_tail_sampling`, and head sampling.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use tokio::task::block_in_place;

use crate::arrived;
use crate::hosts::{Host, free_port};
use crate::meters::{page_when, start};
use crate::sampling::send_spans;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

const RULES: &str = r#"
RulesVersion: 2
Samplers:
  __default__: {DeterministicSampler: {SampleRate: 1}}
  models:
    RulesBasedSampler:
      Rules:
        - {Name: probes, Drop: true, Conditions: [{Field: url.path, Operator: starts-with, Value: /health}]}
        - Name: failed
          SampleRate: 1
          Conditions: [{Field: status_code, Operator: '=', Value: 2, Datatype: int}]
        - Name: calls
          Conditions: [{Field: root.gen_ai.request.model, Operator: exists}]
          Sampler: {EMADynamicSampler: {GoalSampleRate: 4, FieldList: [gen_ai.request.model]}}
        - {Name: incomplete, Drop: true, Conditions: [{Operator: has-root-span, Value: false}]}
"#;

const ADAPTIVE: &str = r#"
processors:
  adaptive_tail_sampling:
    trace_timeout: 1s
    decision_delay: 1s
    rules:
      - {name: failed, conditions: ['span.status.code == STATUS_CODE_ERROR'], sampler: {type: always_sample}}
      - name: probes
        conditions: ['IsMatch(span.attributes["url.path"], "^/health")', 'IsRootSpan()']
        sampler: {type: probabilistic, sampling_percentage: 0.000000001}
      - name: calls
        conditions: ['span.attributes["gen_ai.request.model"] != nil']
        sampler:
          type: adaptive_percentage
          goal_percentage: 25
          fingerprint_attributes: ['span.attributes["gen_ai.request.model"]']
      - name: no_rule_matched
        conditions: ['span.attributes["url.path"] == nil', 'IsRootSpan()']
        sampler: {type: always_sample}
      - {name: incomplete, sampler: {type: probabilistic, sampling_percentage: 0.000000001}}
"#;

const HEAD: &str = r#"
sampling_percentage: 100
rates:
  - {name: probes, where: '"url.path" in attributes && attributes["url.path"].startsWith("/health")', sampling_percentage: 0}
  - {name: failed, where: 'status == "error"', sampling_percentage: 100}
  - {name: calls, keys: [gen_ai.request.model], key: gen_ai.request.model, goal_percentage: 25}
  - {name: incomplete, where: '!is_root', sampling_percentage: 0}
"#;

/// A span of a trace with a randomness that is high for even numbers, and low for others.
fn span(number: u8, name: &str) -> Span {
    let half = if number.is_multiple_of(2) { 0xf0 } else { 0x10 };
    Span {
        trace_id: [vec![number; 8], vec![half; 8]].concat(),
        span_id: vec![number; 8],
        name: name.to_owned(),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        ..Span::default()
    }
}

fn with(key: &str, text: &str, span: Span) -> Span {
    let value = Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    let pair = KeyValue { key: key.to_owned(), value, ..KeyValue::default() };
    Span { attributes: vec![pair], ..span }
}

fn spans() -> Vec<Span> {
    let model = |number, name| with("gen_ai.request.model", "gpt-4o", span(number, name));
    vec![
        with("url.path", "/healthz", span(2, "probe")),
        Span { status: Some(Status { code: 2, ..Status::default() }), ..span(3, "failed") },
        model(4, "high"),
        model(5, "low"),
        Span { parent_span_id: vec![9; 8], ..span(6, "incomplete") },
        span(8, "plain"),
    ]
}

/// What arrives under a configuration, by name: its tracestate. Each policy counts what it keeps and drops.
async fn decided(host: &Host, what: &str, mode: &[&str], text: &str) -> BTreeMap<String, String> {
    let plugins = linked();
    let file = plugins.path().join("sampling.yaml");
    std::fs::write(&file, text).unwrap();
    let file = format!("config_file: {}", file.display());
    let sink = Sink::start(0, Keep::Requests).await;
    let http = free_port();
    let options = [&["name: ai_sampling", "match: 'ai*'", file.as_str()], mode].concat();
    let pipeline = Pipeline::default().otlp_in(http, 0).filter(&options).otlp_out(&[(
        "sink",
        sink.port,
        "http/protobuf",
    )]);
    let (running, port) = start(host, plugins.path(), pipeline, http);
    send_spans(http, spans()).await;
    let page = page_when((host, &running, port), what, |page| {
        let decided = ["kept_spans_total", "dropped_spans_total"];
        page.has(decided[0]) && decided.iter().map(|name| page.sum(name, &[])).sum::<u64>() == 6
    })
    .await;
    for (name, policy, spans) in [
        ("dropped_spans_total", "probes", 1),
        ("kept_spans_total", "failed", 1),
        ("kept_spans_total", "calls", 1),
        ("dropped_spans_total", "calls", 1),
        ("dropped_spans_total", "incomplete", 1),
    ] {
        assert_eq!(page.sum(name, &[("policy", policy)]), spans, "{what}: {name} {policy}");
    }
    let (code, log) = block_in_place(|| running.stop());
    assert_eq!(code, Some(0), "{what}: {log}");
    let spans = arrived::spans(&sink).into_iter();
    spans.map(|span| (span.name.clone(), span.trace_state.clone())).collect()
}

/// Scenario: traces that fail, that are probes, that call a model with a high and with a low randomness, that lack
/// their root, and that are none of that; under rules of Refinery, under a Collector's adaptive block that says the
/// same, and under rates of head sampling. Guarantees: all three decide alike, count by rule, and write the
/// threshold with which a span like this one stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rates_per_key_decide_alike() {
    let _together = together();
    for host in all_hosts() {
        let tail = ["mode: tail", "decision_wait: 1s", "rules_environment: models"];
        for (kind, mode, text) in
            [("rules", &tail[..], RULES), ("adaptive", &tail[..1], ADAPTIVE), ("head", &[], HEAD)]
        {
            let what = format!("{}, {kind}", host.title());
            let arrived = decided(&host, &what, mode, text).await;
            let wanted = [("failed", "ot=th:0"), ("high", "ot=th:c"), ("plain", "ot=th:0")];
            let wanted = wanted.map(|(name, state)| (name.to_owned(), state.to_owned()));
            assert_eq!(arrived, BTreeMap::from(wanted), "{what}");
        }
    }
}
