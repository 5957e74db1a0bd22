//! Collectors' configurations: what loads, what is refused, and what is decided.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use std::time::Duration;

use super::*;
use crate::clock;
use crate::codec::records::{Events, traces_to_records};
use crate::hub::Drain;
use crate::plugin::{Filter, GivenOptions};
use crate::plugins::filter_ai_sampling::AiSampling;
use crate::plugins::testing::{counter, environment, pass, problems};

/// A configuration with every type of policy that can be loaded.
const WHOLE: &str = r#"
receivers:
  otlp: {protocols: {grpc: {endpoint: "0.0.0.0:4317"}}}
processors:
  batch:
  tail_sampling/models:
    decision_wait: 1m30s
    decision_wait_after_root_received: 2s
    num_traces: 5_000
    expected_new_traces_per_sec: 10
    num_shards: 2
    sampling_strategy: trace-complete
    sample_on_first_match: false
    maximum_trace_size_bytes: 0
    decision_cache: {sampled_cache_size: 100_000, non_sampled_cache_size: 200000}
    policies:
      [
        { name: everything, type: always_sample },
        { name: flagged, type: trace_flags },
        { name: slow, type: latency, latency: { threshold_ms: 5000, upper_threshold_ms: 10000 } },
        { name: codes, type: numeric_attribute, numeric_attribute: { key: code, min_value: 50 } },
        { name: chance, type: probabilistic, probabilistic: { sampling_percentage: 0.1 } },
        { name: status, type: status_code, status_code: { status_codes: [ERROR, UNSET] } },
        { name: exact, type: string_attribute, string_attribute: { key: k, values: [a, b] } },
        {
          name: pattern,
          type: string_attribute,
          string_attribute: { key: k, values: [a, v*], enabled_regex_matching: true, cache_max_size: 10 },
        },
        { name: spans, type: rate_limiting, rate_limiting: { spans_per_second: 35, burst_capacity: 50 } },
        { name: bytes, type: bytes_limiting, bytes_limiting: { bytes_per_second: 1024000 } },
        { name: count, type: span_count, span_count: { min_spans: 2, max_spans: 20 } },
        { name: state, type: trace_state, trace_state: { key: k, values: [a] } },
        { name: flag, type: boolean_attribute, boolean_attribute: { key: k, value: true } },
        {
          name: condition,
          type: ottl_condition,
          ottl_condition:
            {
              error_mode: ignore,
              span: ['attributes["a"] == "b"', 'attributes["c"] != "d"'],
              spanevent: ['name != "e"', 'attributes["f"] != "g"'],
            },
        },
        {
          name: both,
          type: and,
          and:
            {
              and_sub_policy:
                [
                  { name: x, type: string_attribute, string_attribute: { key: k, values: [a] } },
                  { name: y, type: rate_limiting, rate_limiting: { spans_per_second: 5 } },
                ],
            },
        },
        { name: negated, type: not, not: { not_sub_policy: { name: z, type: latency, latency: { threshold_ms: 5 } } } },
        {
          name: probes,
          type: drop,
          drop:
            {
              drop_sub_policy:
                [{ name: p, type: string_attribute, string_attribute: { key: url.path, values: [\/health], enabled_regex_matching: true } }],
            },
        },
        {
          name: shared,
          type: composite,
          composite:
            {
              max_total_spans_per_second: 1000,
              policy_order: [one, two, three],
              composite_sub_policy:
                [
                  { name: one, type: numeric_attribute, numeric_attribute: { key: k, min_value: 50 } },
                  { name: two, type: and, and: { and_sub_policy: [{ name: t, type: always_sample }] } },
                  { name: three, type: always_sample },
                ],
              rate_allocation: [{ policy: one, percent: 50 }, { policy: two, percent: 25 }],
            },
        },
      ]
exporters: {otlp: {endpoint: "there:4317"}}
service: {pipelines: {traces: {receivers: [otlp], processors: [tail_sampling/models], exporters: [otlp]}}}
"#;

/// What a file says: its block, its policies and its mistakes.
pub(super) fn loaded(text: &str) -> (Block, PolicyList, Vec<String>) {
    let root: Value = serde_saphyr::from_str(text).unwrap();
    let mut list = PolicyList::default();
    let (block, notes) = read(Node { map: root.as_object().unwrap(), at: "" }, &mut list);
    (block, list, notes.into_iter().flat_map(Notes::finish).collect())
}

#[test]
fn a_whole_configuration_loads() {
    let (block, list, problems) = loaded(WHOLE);
    assert_eq!(problems, [""; 0]);
    let wanted = Block {
        is_there: true,
        decision_wait: Some(Duration::from_secs(90)),
        after_root: Some(Duration::from_secs(2)),
        max_traces: Some(5000),
        max_trace_spans: None,
        shards: Some(2),
        kept_cache: Some(100_000),
        dropped_cache: Some(200_000),
    };
    assert_eq!(block, wanted);
    assert_eq!(list.finish().list().len(), 18);
    let bare = "tail_sampling: {policies: [{name: a, type: always_sample}]}";
    assert_eq!(loaded(bare).2, [""; 0]);
    assert_eq!(loaded("policies: []").0, Block::default());
}

/// Whether each text has a problem with this part in it.
fn refused(cases: impl IntoIterator<Item = (String, &'static str)>) {
    for (text, part) in cases {
        let (_, _, problems) = loaded(&text);
        assert!(problems.iter().any(|problem| problem.contains(part)), "{text}: {problems:?}");
    }
}

/// Scenario: what a Collector may say beside policies that is not supported, and what it may not say.
/// Guarantees: each is named with its location.
#[test]
fn settings_that_are_not_supported_are_named() {
    refused(
        [
            ("sample_on_first_match: true", "tail_sampling.sample_on_first_match: true is not"),
            ("maximum_trace_size_bytes: 1000", "max_trace_size"),
            ("drop_pending_traces_on_shutdown: true", "decided at the stop"),
            ("block_on_overflow: true", "decided early"),
            ("tail_storage: pebble_tail_storage", "in memory"),
            ("sampling_strategy: span-ingest", "allowed: trace-complete"),
            ("decision_wait: 10", "1m30s"),
            ("decision_wait: 1x", "1m30s"),
            ("num_traces: many", "allowed: a number"),
            ("decision_cache: {sampled: 1}", "decision_cache.sampled: this key is not known"),
            ("decision_time: 1s", "decision_time: this key is not known"),
        ]
        .map(|(text, part)| (format!("tail_sampling:\n  {text}\n  policies: []"), part)),
    );
    refused(
        [
            ("processors: {batch: {}}", "processors: the file has no processor"),
            ("service: {}", "service: the file has no processor"),
            (
                "processors: {tail_sampling/a: {}, tail_sampling/b: {}}",
                "processors.tail_sampling/b: the file has another sampler",
            ),
            ("tail_sampling: 5", "not a map"),
        ]
        .map(|(text, part)| (text.to_owned(), part)),
    );
}

/// Scenario: the same of policies.
#[test]
fn policies_that_are_not_supported_are_named() {
    let cases = [
        ("probabilistic", "hash_salt: x", "probabilistic.hash_salt"),
        ("custom", "", "policies[0].type: \"custom\""),
        ("latency", "threshold: 5", "latency.threshold: this key"),
        ("numeric_attribute", "key: k", "min_value: nothing"),
        ("numeric_attribute", "key: k, min_value: 2, max_value: 1", "max_value: 1"),
        ("string_attribute", "key: k, values: []", "values: []"),
        ("not", "not_sub_policy: []", "not_sub_policy must be a map"),
        ("ottl_condition", "span: ['IsBool(name)']", "span[0]: 'IsBool' is not supported"),
        ("ottl_condition", "", "ottl_condition.span: nothing"),
        ("ottl_condition", "span: [true], error_mode: loud", "error_mode: \"loud\""),
    ];
    refused(cases.map(|(kind, settings, part)| {
        (format!("tail_sampling: {{policies: [{}]}}", of(kind, settings)), part)
    }));
    let other = "{name: a, type: boolean_attribute, string_attribute: {key: k, value: true}}";
    refused([(
        format!("tail_sampling: {{policies: [{other}]}}"),
        "policies[0].string_attribute: this key is not known",
    )]);
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

#[test]
fn a_start_that_fails_says_the_line() {
    let file = file(
        "processors:\n  tail_sampling:\n    decision_wait: 5s\n    policies:\n      - name: chance\n        \
         type: probabilistic\n        probabilistic:\n          sampling_percentage: 10\n          hash_salt: x\n",
    );
    let path = file.path().to_str().unwrap();
    let options = [("mode", "tail"), ("config_file", path), ("decision_wait", "7s")];
    let found = problems::<AiSampling>(&options, true);
    assert_eq!(found.len(), 2, "{found:?}");
    let line = format!(
        "config_file '{path}': line 9: processors.tail_sampling.policies[0].probabilistic.hash_salt: \"x\""
    );
    assert!(found[0].starts_with(&line), "{found:?}");
    assert!(found[1].contains("'decision_wait': '7s'"), "{found:?}");
    let head = problems::<AiSampling>(&[("config_file", path), ("sampling_percentage", "1")], true);
    assert!(head.iter().any(|problem| problem.contains("need 'mode: tail'")), "{head:?}");
}

#[test]
fn durations_are_go_s() {
    for (text, millis) in
        [("10s", 10_000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("0", 0), ("250ms", 250)]
    {
        assert_eq!(go_duration(text), Some(Duration::from_millis(millis)), "{text}");
    }
    for text in ["", "10", "s", "1d", "1s5", "-1s"] {
        assert_eq!(go_duration(text), None, "{text}");
    }
}

fn value(value: any_value::Value) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

pub(super) fn text(key: &str, text: &str) -> KeyValue {
    let value = value(any_value::Value::StringValue(text.to_owned()));
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn int(key: &str, number: i64) -> KeyValue {
    let value = value(any_value::Value::IntValue(number));
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

pub(super) fn flag(key: &str, flag: bool) -> KeyValue {
    let value = value(any_value::Value::BoolValue(flag));
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn with(attributes: Vec<KeyValue>) -> Span {
    Span { attributes, ..Span::default() }
}

fn lasting(start_ms: u64, millis: u64) -> Span {
    let start = 1_700_000_000_000_000_000 + start_ms * 1_000_000;
    let end_time_unix_nano = start + millis * 1_000_000;
    Span { start_time_unix_nano: start, end_time_unix_nano, ..Span::default() }
}

pub(super) fn status(code: i32) -> Span {
    Span { status: Some(Status { code, ..Status::default() }), ..Span::default() }
}

fn event(name: &str, attributes: Vec<KeyValue>) -> Span {
    let event = Event { name: name.to_owned(), attributes, ..Event::default() };
    Span { events: vec![event], ..Span::default() }
}

/// One trace of these spans.
pub(super) fn trace(number: u8, resource: Vec<KeyValue>, spans: Vec<Span>) -> Vec<u8> {
    let spans = spans.into_iter().zip(1..).map(|(span, index)| Span {
        trace_id: vec![number; 16],
        span_id: vec![index; 8],
        ..span
    });
    records(resource, spans.collect())
}

/// The spans of one resource.
pub(super) fn records(resource: Vec<KeyValue>, spans: Vec<Span>) -> Vec<u8> {
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes: resource, ..Resource::default() });
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    let mut records = Vec::new();
    let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    traces_to_records(&request, &mut records).unwrap();
    records
}

/// How many spans of these chunks stay under a list of policies.
pub(super) fn kept(policies: &str, chunks: &[Vec<u8>]) -> usize {
    let file = file(&format!("processors: {{tail_sampling: {{policies: [{policies}]}}}}"));
    let options =
        GivenOptions::of(&[("mode", "tail"), ("config_file", file.path().to_str().unwrap())]);
    let environment = environment(true);
    let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
    let mut out: usize =
        chunks.iter().map(|chunk| Events::new(&pass(&mut filter, chunk)).count()).sum();
    let source = environment.hub.sources().pop().unwrap();
    let released = source.take(Drain::Everything, clock::now(), 0);
    out += released.iter().map(|emission| emission.records).sum::<usize>();
    assert_eq!(counter(&environment, "held_spans", ""), 0);
    out
}

/// A policy with settings, as it stands in a list.
pub(super) fn of(kind: &str, settings: &str) -> String {
    format!("{{name: p, type: {kind}, {kind}: {{{settings}}}}}")
}

/// How many spans stay of one trace that is one span.
pub(super) fn decide(cases: impl IntoIterator<Item = (String, Vec<u8>, usize)>) {
    for (policy, chunk, wanted) in cases {
        assert_eq!(kept(&policy, &[chunk]), wanted, "{policy}");
    }
}

pub(super) fn on_span(attribute: KeyValue) -> Vec<u8> {
    trace(1, Vec::new(), vec![with(vec![attribute])])
}

fn on_resource(attribute: KeyValue) -> Vec<u8> {
    trace(1, vec![attribute], vec![Span::default()])
}

pub(super) fn one(span: Span) -> Vec<u8> {
    trace(1, Vec::new(), vec![span])
}

// Cases and figures of the tests that follow are those of the Collector's own tests of numbers, texts, times,
// counts, limits and conditions, with what they became since 0.152 (no inverted decisions) and 0.157 (bounds
// of latency).

#[test]
fn numbers_decide_as_documented() {
    let (least, most) = (i64::from(i32::MIN), i64::from(i32::MAX));
    let of = |bounds: &str| of("numeric_attribute", &format!("key: example, {bounds}"));
    let all = || of(&format!("min_value: {least}, max_value: {most}"));
    decide([
        (all(), on_span(int("other", least)), 0),
        (all(), on_span(int("example", least)), 1),
        (all(), on_resource(int("example", least)), 1),
        (all(), on_span(int("example", most)), 1),
        (all(), on_resource(int("example", most)), 1),
        (all(), on_span(int("example", least - 1)), 0),
        (all(), on_resource(int("example", least - 1)), 0),
        (all(), on_span(int("example", most + 1)), 0),
        (all(), on_resource(int("example", most + 1)), 0),
        (of("min_value: 100"), on_span(int("example", 200)), 1),
        (of("min_value: 100"), on_span(int("example", 50)), 0),
        (of("max_value: 100"), on_span(int("example", 50)), 1),
        (of("max_value: 100"), on_span(int("example", 200)), 0),
        (of("min_value: 100, max_value: 200"), on_span(int("example", 150)), 1),
        (of("min_value: 100, max_value: 200"), on_span(int("example", 50)), 0),
        (of("min_value: 100, invert_match: true"), on_span(int("example", 200)), 0),
        (of("max_value: 100, invert_match: true"), on_span(int("example", 50)), 0),
        (of("max_value: 100, invert_match: true"), on_span(int("other", 50)), 1),
    ]);
}

#[test]
fn texts_decide_as_documented() {
    let of = |settings: &str| of("string_attribute", &format!("key: example, {settings}"));
    let regex = |values: &str, more: &str| {
        of(&format!("values: [{values}], enabled_regex_matching: true{more}"))
    };
    let health = || on_span(text("example", "grpc.health.v1.HealthCheck"));
    let invert = ", invert_match: true";
    decide([
        (of("values: [value]"), on_resource(text("other", "value")), 0),
        (of("values: [value]"), on_resource(text("example", "other")), 0),
        (of("values: [value]"), on_resource(text("example", "value")), 1),
        (of("values: [value]"), on_span(text("other", "value")), 0),
        (of("values: [value]"), on_span(text("example", "other")), 0),
        (of("values: [value]"), on_span(text("example", "value")), 1),
        (of("values: [value], invert_match: true"), on_span(text("example", "value")), 0),
        (of("values: [value], invert_match: true"), on_span(text("example", "other")), 1),
        (of("values: [value], invert_match: true"), on_resource(text("other", "value")), 1),
        (of("values: [a, value, z], invert_match: true"), on_span(text("example", "value")), 0),
        (of("values: [a, value, z], invert_match: true"), on_span(text("example", "b")), 1),
        (regex("'v[0-9]+.HealthCheck$'", ""), health(), 1),
        (regex("'v[a-z]+.HealthCheck$'", ""), health(), 0),
        (regex("value", ""), on_resource(text("example", "value")), 1),
        (regex("'^http', 'v[0-9]+.HealthCheck$', 'metrics$'", invert), health(), 0),
        (regex("'^http', 'v[a-z]+.HealthCheck$', 'metrics$'", invert), health(), 1),
    ]);
}

#[test]
fn flags_states_and_times_decide_as_documented() {
    let boolean = |settings: &str| of("boolean_attribute", &format!("key: example, {settings}"));
    let latency = || of("latency", "threshold_ms: 5000");
    let between = || of("latency", "threshold_ms: 5000, upper_threshold_ms: 10000");
    let state = |state: &str| one(Span { trace_state: state.to_owned(), ..Span::default() });
    let states = || of("trace_state", "key: k, values: [a, b]");
    let flags = |flags| one(Span { flags, ..Span::default() });
    let sampled = || "{name: p, type: trace_flags}".to_owned();
    let codes = |codes: &str| of("status_code", &format!("status_codes: [{codes}]"));
    decide([
        (boolean("value: true"), on_span(flag("other", true)), 0),
        (boolean("value: true"), on_span(flag("example", false)), 0),
        (boolean("value: true"), on_span(flag("example", true)), 1),
        (boolean("value: true"), on_resource(flag("example", true)), 1),
        (boolean("value: true, invert_match: true"), on_span(flag("example", true)), 0),
        (boolean("value: true, invert_match: true"), on_span(flag("example", false)), 1),
        (codes("ERROR"), one(status(1)), 0),
        (codes("ERROR"), one(status(2)), 1),
        (codes("ERROR, UNSET"), one(Span::default()), 1),
        (latency(), one(lasting(0, 4500)), 0),
        (latency(), one(lasting(0, 5000)), 0),
        (latency(), one(lasting(0, 5001)), 1),
        (latency(), trace(1, Vec::new(), vec![lasting(0, 3000), lasting(2500, 3000)]), 2),
        (between(), one(lasting(0, 5000)), 0),
        (between(), one(lasting(0, 10_000)), 1),
        (between(), one(lasting(0, 10_001)), 0),
        (states(), state("k=a"), 1),
        (states(), state("k=c"), 0),
        (states(), state("other=a"), 0),
        (sampled(), flags(0), 0),
        (sampled(), flags(1), 1),
        (sampled(), flags(0x102), 0),
        (sampled(), flags(0x301), 1),
    ]);
}

/// Traces of so many spans each.
fn traces(sizes: &[usize]) -> Vec<Vec<u8>> {
    let plain = |count: usize| vec![Span::default(); count];
    sizes.iter().zip(1..).map(|(spans, id)| trace(id, Vec::new(), plain(*spans))).collect()
}

/// One trace in chunks of so many spans each.
fn torn(parts: &[usize]) -> Vec<Vec<u8>> {
    parts.iter().map(|spans| trace(1, Vec::new(), vec![Span::default(); *spans])).collect()
}

#[test]
fn counts_and_limits_decide_as_documented() {
    let count = |bounds: &str| of("span_count", bounds);
    let rate = |settings: &str| of("rate_limiting", settings);
    let size: usize = Events::new(&traces(&[1])[0]).map(|event| event.unwrap().body.len()).sum();
    let bytes = |rate: usize, burst: usize| {
        of("bytes_limiting", &format!("bytes_per_second: {rate}, burst_capacity: {burst}"))
    };
    for (policies, chunks, wanted) in [
        (count("min_spans: 3"), torn(&[1]), 0),
        (count("min_spans: 3"), torn(&[3]), 3),
        (count("min_spans: 3"), torn(&[1, 1]), 0),
        (count("min_spans: 3"), torn(&[1, 2, 1]), 4),
        (count("min_spans: 3"), torn(&[1, 2, 3]), 6),
        (count("max_spans: 20"), torn(&[20]), 20),
        (count("max_spans: 20"), torn(&[1, 20]), 0),
        (count("min_spans: 3, max_spans: 20"), torn(&[1, 1]), 0),
        (count("min_spans: 3, max_spans: 20"), torn(&[10, 10]), 20),
        (count("min_spans: 3, max_spans: 20"), torn(&[10, 11]), 0),
        (rate("spans_per_second: 3, burst_capacity: 3"), traces(&[3, 1]), 3),
        (rate("spans_per_second: 3, burst_capacity: 2"), traces(&[3]), 0),
        (rate("spans_per_second: 2"), traces(&[1, 1, 1, 1, 1]), 4),
        (bytes(size / 2, size * 2), traces(&[1]), 1),
        (bytes(size / 2, size), traces(&[1]), 1),
        (bytes(size, size - 1), traces(&[1]), 0),
        (bytes(size, size * 3), traces(&[1, 1]), 2),
        (bytes(size / 2, size + 1), traces(&[1, 1]), 1),
    ] {
        assert_eq!(kept(&policies, &chunks), wanted, "{policies}");
    }
}

#[test]
fn combinations_and_conditions_decide_as_documented() {
    let sub = |key: &str, value: &str| {
        let test = format!("string_attribute: {{key: {key}, values: ['{value}']}}");
        format!("{{name: s{key}, type: string_attribute, {test}}}")
    };
    let (a, b) = (sub("a", "1"), sub("b", "2"));
    let both = || of("and", &format!("and_sub_policy: [{a}, {b}]"));
    let not = || of("not", &format!("not_sub_policy: {a}"));
    let dropping = || {
        let drop = of("drop", &format!("drop_sub_policy: [{a}, {b}]"));
        format!("{{name: all, type: always_sample}}, {drop}")
    };
    let tagged = |pairs: &[(&str, &str)]| {
        one(with(pairs.iter().map(|(key, value)| text(key, value)).collect()))
    };
    let ottl = |settings: &str| of("ottl_condition", settings);
    decide([
        (both(), tagged(&[("a", "1"), ("b", "2")]), 1),
        (both(), tagged(&[("a", "1")]), 0),
        (not(), tagged(&[("a", "1")]), 0),
        (not(), tagged(&[("a", "2")]), 1),
        (dropping(), tagged(&[("a", "1"), ("b", "2")]), 0),
        (dropping(), tagged(&[("a", "1"), ("b", "3")]), 1),
        (ottl(r#"span: ['attributes["a"] == "1"']"#), tagged(&[("a", "1")]), 1),
        (ottl(r#"span: ['attributes["a"] == "1"']"#), tagged(&[("a", "2")]), 0),
        (ottl(r#"span: ['attributes["b"] != "1"']"#), tagged(&[("a", "2")]), 1),
        (ottl(r#"span: ['attributes["a"] == 1']"#), tagged(&[("a", "1")]), 0),
        (
            ottl(r#"spanevent: ['attributes["a"] == "1"']"#),
            one(event("e", vec![text("a", "1")])),
            1,
        ),
        (ottl(r#"span: ['name == "x"'], spanevent: ['name == "e"']"#), one(event("f", vec![])), 0),
        (
            ottl(r#"span: ['attributes["code"] >= 400 and attributes["code"] == 404']"#),
            on_span(int("code", 404)),
            1,
        ),
    ]);
}
