//! Blocks `adaptive_tail_sampling`: what loads, what is refused, and what is decided.

use std::time::Duration;

use super::tests::loaded;
use super::*;
use crate::clock;
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::hub::Drain;
use crate::plugin::{Filter, GivenOptions};
use crate::plugins::filter_ai_sampling::AiSampling;
use crate::plugins::testing::{counter, environment, pass};

/// The rules of the examples in the README of the processor, with every kind of sampler.
const WHOLE: &str = r#"
processors:
  adaptive_tail_sampling/models:
    trace_timeout: 30s
    decision_delay: 2s
    num_traces: 50000
    span_limit: 10000
    root_span_condition: IsRootSpan()
    decision_cache: {sampled_cache_size: 10000, non_sampled_cache_size: 20000}
    eviction: {policy: evaluate}
    record_fingerprint: none
    rules:
      - name: keep-errors
        conditions: ["span.status.code == STATUS_CODE_ERROR"]
        sampler: {type: always_sample}
      - name: http-5xx
        match: same_span
        conditions:
          - span.kind == SPAN_KIND_SERVER and span.attributes["http.response.status_code"] >= 500
        sampler: {type: always_sample}
      - name: root-checkout
        match: same_span
        conditions: ['IsRootSpan() and resource.attributes["service.name"] == "checkout"']
        sampler: {type: always_sample}
      - name: payment-involved-slow
        conditions:
          - 'resource.attributes["service.name"] == "payment"'
          - 'span.attributes["slow"] == true'
        sampler: {type: probabilistic, sampling_percentage: 50}
      - name: payment-service
        conditions: ['resource.attributes["service.name"] == "payment"']
        sampler:
          type: adaptive_percentage
          goal_percentage: 5
          fingerprint_attributes: ['span.attributes["http.method"]', 'root.attributes["http.route"]']
          adjustment_interval: 15s
          weight: 0.5
          max_keys: 500
      - name: throughput
        conditions: ['IsMatch(span.name, "^GET /api/")']
        sampler:
          type: adaptive_throughput
          algorithm: windowed
          goal_throughput: 100
          fingerprint_attributes: ['any.attributes["service.name"]']
          update_frequency: 1s
          lookback_frequency: 30s
          max_keys: 0
      - name: default
        sampler:
          type: adaptive_throughput
          goal_throughput: 1000
          fingerprint_attributes: ['resource.attributes["service.name"]', 'scope.attributes["x"]']
"#;

#[test]
fn a_whole_block_loads() {
    let (block, list, problems) = loaded(WHOLE);
    assert_eq!(problems, [""; 0]);
    let wanted = Block {
        is_there: true,
        decision_wait: Some(Duration::from_secs(32)),
        after_root: Some(Duration::from_secs(2)),
        max_traces: Some(50_000),
        max_trace_spans: Some(10_000),
        shards: None,
        kept_cache: Some(10_000),
        dropped_cache: Some(20_000),
    };
    assert_eq!(block, wanted);
    let policies = list.finish();
    let samplers = policies.list().iter().filter_map(|policy| policy.rule.adaptive_sampler());
    assert_eq!((policies.list().len(), samplers.collect::<Vec<_>>()), (7, vec![0, 1, 2]));
    let (block, ..) =
        loaded("adaptive_tail_sampling: {rules: [{name: a, sampler: {type: always_sample}}]}");
    assert_eq!(block.decision_wait, Some(Duration::from_secs(32)), "as its defaults are");
}

#[test]
fn what_is_not_supported_is_named() {
    let rules = "rules: [{name: a, sampler: {type: always_sample}}]";
    let top = |text: &str| format!("adaptive_tail_sampling:\n  {text}\n  {rules}");
    let rule = |text: &str| format!("adaptive_tail_sampling:\n  rules: [{{name: a, {text}}}]");
    let sampler = |text: &str| rule(&format!("sampler: {{{text}}}"));
    let keys = "fingerprint_attributes: ['span.attributes[\"a\"]']";
    let throughput =
        |text: &str| sampler(&format!("type: adaptive_throughput, goal_throughput: 5, {text}"));
    for (text, part) in [
        (
            top("eviction: {policy: probabilistic, sampling_percentage: 1}"),
            "adaptive_tail_sampling.eviction",
        ),
        (top("record_fingerprint: hash"), "record_fingerprint: \"hash\""),
        (top("root_span_condition: span.kind == 2"), "root_span_condition"),
        (top("trace_timeout: 0"), "trace_timeout: 0 is not allowed; allowed: a duration over 0"),
        (top("trace_timeout: soon"), "trace_timeout: \"soon\""),
        (top("decision_wait: 1s"), "decision_wait: this key is not known"),
        ("adaptive_tail_sampling: {}".to_owned(), "rules: nothing"),
        ("adaptive_tail_sampling: {rules: [5]}".to_owned(), "rules[0] must be a map"),
        (rule("sampler: 5"), "rules[0].sampler: 5"),
        (sampler("type: deterministic"), "rules[0].sampler.type: \"deterministic\""),
        (sampler("type: always_sample, max_keys: 5"), "sampler.max_keys: this key is not known"),
        (sampler("type: probabilistic, sampling_percentage: 0"), "sampling_percentage: 0"),
        (
            sampler("type: adaptive_percentage, goal_percentage: 5"),
            "fingerprint_attributes: nothing",
        ),
        (
            sampler(&format!("type: adaptive_percentage, algorithm: windowed, {keys}")),
            "allowed: ema",
        ),
        (throughput(&format!("{keys}, algorithm: mean")), "algorithm: \"mean\""),
        (throughput(&format!("{keys}, weight: 1")), "weight: 1"),
        (throughput(&format!("{keys}, update_frequency: 1s")), "it is of another algorithm"),
        (
            throughput("fingerprint_attributes: ['event.attributes[\"a\"]']"),
            "allowed: resource, scope",
        ),
        (rule("match: all, conditions: [true], sampler: {type: always_sample}"), "match: \"all\""),
        (rule("match: any_span, sampler: {type: always_sample}"), "it needs 'conditions'"),
        (
            rule("conditions: ['IsBool(x)'], sampler: {type: always_sample}"),
            "conditions[0]: 'IsBool'",
        ),
        (
            "adaptive_tail_sampling: {rules: [{name: _a, sampler: {type: always_sample}}]}"
                .to_owned(),
            "rules[0].name: \"_a\"",
        ),
        (
            format!("tail_sampling: {{policies: []}}\nadaptive_tail_sampling: {{{rules}}}"),
            "another sampler before",
        ),
    ] {
        let (_, _, problems) = loaded(&text);
        assert!(problems.iter().any(|problem| problem.contains(part)), "{text}: {problems:?}");
    }
}

/// Scenario: the rules above on traces that each of them is about, and on one that a drop by chance keeps from
/// later rules. Guarantees: the first rule that matches decides, spans are counted by rule, and thresholds say
/// how likely a trace like this one stays.
#[test]
fn the_first_rule_that_matches_decides() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), WHOLE).unwrap();
    let path = file.path().to_str().unwrap();
    let options = GivenOptions::of(&[("mode", "tail"), ("config_file", path)]);
    let environment = environment(true);
    let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
    let high = |trace: u64| SpanRecord::new(0x11ff_ffff_ffff_ff00 | trace, trace);
    let low = |trace: u64| SpanRecord::new(0x1100_0000_0000_0000 | trace, trace).service("payment");
    let spans = [
        low(1).error(),
        high(2).kind("server").with("http.response.status_code", 503),
        high(3).service("checkout"),
        high(4).service("checkout").parent(9),
        high(5).service("payment").with("slow", true).state("ot=th:c"),
        low(6).with("slow", true),
        low(7),
        high(8).service("payment"),
    ];
    pass(&mut filter, &chunk(&spans));
    let source = environment.hub.sources().pop().unwrap();
    let released = source.take(Drain::Everything, clock::now(), 0);
    let text = String::from_utf8_lossy(&released[0].events).into_owned();
    for (name, rule, spans) in [
        ("kept_spans_total", "keep-errors", 1),
        ("kept_spans_total", "http-5xx", 1),
        ("kept_spans_total", "root-checkout", 1),
        ("kept_spans_total", "default", 1),
        ("kept_spans_total", "payment-involved-slow", 1),
        ("dropped_spans_total", "payment-involved-slow", 1),
        ("dropped_spans_total", "payment-service", 1),
        ("kept_spans_total", "payment-service", 1),
        ("dropped_spans_total", "not_sampled", 0),
    ] {
        assert_eq!(counter(&environment, name, rule), spans, "{name} {rule}");
    }
    // What always stays, what a stricter sampler before left, one in 10 and 5 %.
    for (threshold, count) in [("ot=th:0", 3), ("ot=th:c", 1), ("ot=th:e666", 1), ("ot=th:f333", 1)]
    {
        assert_eq!(text.matches(threshold).count(), count, "{threshold} in {text}");
    }
    assert_eq!(counter(&environment, "adaptive_keys", "payment-service"), 1);
    assert_eq!(counter(&environment, "adaptive_beyond_max_keys_total", "default"), 0);
}

/// Guarantees: the page that compares samplers has each key of both blocks, and each sampler with its keys.
#[test]
fn every_key_is_compared() {
    let page = include_str!("../../../../docs/SAMPLERS.md");
    let of_caches = ["sampled_cache_size", "non_sampled_cache_size"];
    let of_samplers = adaptive::SAMPLERS.iter().flat_map(|(name, keys)| keys.iter().chain([name]));
    let all = KEYS.iter().chain(&adaptive::KEYS).chain(&of_caches).chain(of_samplers);
    let missing: Vec<_> = all.filter(|key| !page.contains(&format!("`{key}`"))).collect();
    assert_eq!(missing, [&""; 0]);
}

/// Guarantees: a trace with as many spans as `span_limit` is decided at once, on what is there; without the key that is one
/// of 10000, and with 0 none is.
#[test]
fn a_trace_with_too_many_spans_is_decided_at_once() {
    for (limit, spans, early) in [
        ("span_limit: 3", 3, 1),
        ("span_limit: 3", 2, 0),
        ("num_traces: 5", 10_000, 1),
        ("span_limit: 0", 10_001, 0),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        let rule = "{name: failed, conditions: ['span.status.code == STATUS_CODE_ERROR'], sampler: {type: always_sample}}";
        let text = format!("adaptive_tail_sampling:\n  {limit}\n  rules:\n    - {rule}\n");
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().display().to_string();
        let environment = environment(true);
        let options = [("mode", "tail"), ("config_file", path.as_str())];
        let mut filter =
            AiSampling::open(&GivenOptions::of(&options), environment.clone()).unwrap();
        let spans: Vec<_> = (1..=spans).map(|number| SpanRecord::new(1, number)).collect();
        pass(&mut filter, &chunk(&spans));
        assert_eq!(counter(&environment, "early_decisions_total", "trace_limit"), early, "{limit}");
    }
}
