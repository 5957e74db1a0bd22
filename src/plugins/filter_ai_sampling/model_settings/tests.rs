//! Policies of model calls and of what is new, as the filter decides by them.

use std::collections::BTreeSet;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;

use crate::clock;
use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::codec::records::{Events, traces_to_records};
use crate::hub::Drain;
use crate::plugin::{Filter, GivenOptions};
use crate::plugins::filter_ai_sampling::AiSampling;
use crate::plugins::testing::{environment, pass, problems};

/// The traces that a policy keeps of these spans.
fn kept(policy: &str, spans: &[SpanRecord]) -> BTreeSet<u64> {
    kept_of(policy, &chunk(spans))
}

/// The same of a chunk.
fn kept_of(policy: &str, chunk: &[u8]) -> BTreeSet<u64> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), format!("policies:\n  - {{name: p, {policy}}}\n")).unwrap();
    let path = file.path().to_str().unwrap();
    let environment = environment(true);
    let options = GivenOptions::of(&[("mode", "tail"), ("config_file", path)]);
    let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
    let mut out = vec![pass(&mut filter, chunk)];
    let source = environment.hub.sources().pop().unwrap();
    let released = source.take(Drain::Everything, clock::now(), 0);
    out.extend(released.into_iter().map(|emission| emission.events));
    let mut kept = BTreeSet::new();
    for event in out.iter().flat_map(|events| Events::new(events)) {
        let id = MapView::new(event.unwrap().body).get(b"trace_id").and_then(text_of).unwrap();
        kept.insert(u64::from_str_radix(id.get(16..).unwrap(), 16).unwrap());
    }
    kept
}

fn span(trace: u64) -> SpanRecord {
    SpanRecord::new(trace, trace)
}

fn reasons(trace: u64, reason: &str) -> SpanRecord {
    span(trace).with("gen_ai.response.finish_reasons", reason)
}

fn prompt(trace: u64, name: &str, version: &str) -> SpanRecord {
    span(trace).with("gen_ai.prompt.name", name).with("gen_ai.prompt.version", version)
}

fn score(trace: u64, name: &str, value: f64) -> SpanRecord {
    let span = span(trace).with("gen_ai.evaluation.name", name);
    span.with("gen_ai.evaluation.score.value", value)
}

/// Guarantees: each policy keeps what it is for, in the forms that instrumentation has, and nothing that is only
/// near it.
#[test]
fn policies_of_model_calls_keep_what_they_are_for() {
    let refusals = [
        reasons(1, "content_filter"),
        reasons(2, "stop"),
        reasons(3, "refusal"),
        reasons(4, "SAFETY"),
        reasons(5, "length"),
        span(6).with("gen_ai.response.finish_reason", "refusal"),
        reasons(7, "guardrail_intervened"),
        span(8),
    ];
    let guardrails = [
        span(1).with("gen_ai.guardrail.status", "FAILED"),
        span(2).with("gen_ai.guardrail.status", "PASSED"),
        span(3).with("guardrail.triggered", true),
        span(4).with("guardrail.triggered", false),
        span(5).with("gen_ai.guardrail.triggered", true),
        span(6).with("agent.guardrail.triggered", true),
        reasons(7, "guardrail_intervened"),
        reasons(8, "content_filter"),
    ];
    for (policy, spans, want) in [
        ("type: refusal", &refusals[..], &[1, 3, 4, 7][..]),
        ("type: guardrail", &guardrails, &[1, 3, 5, 6, 7]),
        ("type: not, policy: {type: refusal}", &refusals, &[2, 5, 6, 8]),
    ] {
        assert_eq!(kept(policy, spans), want.iter().copied().collect(), "{policy}");
    }
}

/// Guarantees: prompts go by what one span says; evaluations by the score or the label that is there, in whatever
/// numbers, and texts are no scores.
#[test]
fn prompts_and_evaluations_keep_what_they_are_for() {
    let prompts = [
        prompt(1, "checkout", "7"),
        prompt(2, "checkout", "6"),
        prompt(3, "search", "7"),
        span(4).with("gen_ai.prompt.name", "checkout"),
        SpanRecord::new(4, 5).with("gen_ai.prompt.version", "7"),
        span(5),
    ];
    let evaluations = [
        score(1, "Relevance", 1.5),
        score(2, "Relevance", 4.0),
        score(3, "Fluency", 1.0),
        span(4).with("gen_ai.evaluation.name", "Relevance"),
        score(5, "Relevance", 2.0).with("gen_ai.evaluation.score.label", "fail"),
        span(6).with("gen_ai.evaluation.score.label", "fail"),
        span(7).with("gen_ai.evaluation.score.value", 2),
        span(8).with("gen_ai.evaluation.score.value", "many"),
    ];
    for (policy, spans, want) in [
        ("type: prompt, names: [checkout]", &prompts[..], &[1, 2, 4][..]),
        ("type: prompt, versions: ['7', '8']", &prompts, &[1, 3, 4]),
        ("type: prompt, names: [checkout], versions: ['7']", &prompts, &[1]),
        ("type: evaluation, max_score: 2", &evaluations, &[1, 3, 5, 7]),
        ("type: evaluation, min_score: 2", &evaluations, &[2, 5, 7]),
        ("type: evaluation, min_score: 1.2, max_score: 1.9", &evaluations, &[1]),
        ("type: evaluation, max_score: 2, evaluations: [Relevance]", &evaluations, &[1, 5]),
        ("type: evaluation, labels: [fail, wrong]", &evaluations, &[5, 6]),
        ("type: evaluation, labels: [fail], max_score: 2.5", &evaluations, &[5]),
    ] {
        assert_eq!(kept(policy, spans), want.iter().copied().collect(), "{policy}");
    }
}

/// Guarantees: an evaluation may be an event of a span too, as the conventions have it.
#[test]
fn evaluations_are_found_in_events() {
    let pair = |key: &str, value| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    let scored = |trace: u64, score| {
        let attributes = vec![
            pair("gen_ai.evaluation.name", Value::StringValue("Relevance".to_owned())),
            pair("gen_ai.evaluation.score.value", score),
        ];
        let name = "gen_ai.evaluation.result".to_owned();
        Span {
            trace_id: [[0; 8], trace.to_be_bytes()].concat(),
            span_id: vec![1; 8],
            events: vec![Event { name, attributes, ..Event::default() }],
            ..Span::default()
        }
    };
    let spans = vec![
        scored(1, Value::DoubleValue(1.0)),
        scored(2, Value::DoubleValue(5.0)),
        scored(3, Value::IntValue(2)),
    ];
    let scope_spans = vec![ScopeSpans { spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let mut records = Vec::new();
    let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    traces_to_records(&request, &mut records).unwrap();
    let policy = "type: evaluation, max_score: 2, evaluations: [Relevance]";
    assert_eq!(kept_of(policy, &records), BTreeSet::from([1, 3]));
}

/// Guarantees: of each fingerprint as many stay as asked for; what is not like what stayed stays; a part of an
/// `and` narrows both; nothing that another policy keeps for certain counts as seen.
#[test]
fn what_is_new_stays() {
    let tool = |trace, name: &str| span(trace).with("gen_ai.tool.name", name);
    let tools = [
        tool(1, "search"),
        tool(2, "search"),
        tool(3, "book"),
        tool(4, "search"),
        tool(5, "book"),
        tool(6, "search").error(),
    ];
    let message = |trace, text: &str| span(trace).with("gen_ai.input.messages", text);
    let trains =
        "which trains go from Vienna to Venice on Friday evening and may I take a bicycle with me";
    let prompts = [
        message(1, trains),
        message(2, &trains.replace("Friday", "Sunday")),
        message(3, "summarise this ticket as JSON with severity and component and an owner"),
        message(4, trains),
    ];
    for (policy, spans, want) in [
        ("type: rare, keys: [gen_ai.tool.name]", &tools[..], &[1, 3][..]),
        ("type: rare, keys: [gen_ai.tool.name], count: 2", &tools, &[1, 2, 3, 5]),
        ("type: rare, keys: [gen_ai.tool.name], max_keys: 1", &tools, &[1, 3]),
        ("type: rare", &tools, &[1, 3]),
        (
            "type: and, policies: [{type: error}, {type: rare, keys: [gen_ai.tool.name]}]",
            &tools,
            &[6],
        ),
        ("type: diverse, keys: [gen_ai.input.messages], min_distance: 12", &prompts, &[1, 3]),
        ("type: diverse, min_distance: 1", &tools, &[1, 3]),
    ] {
        assert_eq!(kept(policy, spans), want.iter().copied().collect(), "{policy}");
    }
    let both = "type: error}\n  - {name: q, type: rare, keys: [gen_ai.tool.name]";
    let spans = [tool(1, "search").error(), tool(2, "search"), tool(3, "search")];
    assert_eq!(kept(both, &spans), BTreeSet::from([1, 2]));
}

#[test]
fn mistakes_are_named_with_their_line() {
    for (policy, part) in [
        ("type: prompt", "policies[0].names: nothing is not allowed; allowed: a list of texts"),
        ("type: prompt, names: []", "policies[0].names: []"),
        ("type: evaluation", "policies[0].min_score: nothing"),
        ("type: evaluation, min_score: good", "policies[0].min_score: \"good\""),
        ("type: evaluation, labels: ['{']", "allowed: texts without @ and {"),
        ("type: refusal, values: [x]", "policies[0].values: this key is not known"),
        ("type: rare, count: 0", "policies[0].count: 0 is not allowed; allowed: a whole number"),
        ("type: rare, window: 0s", "allowed: a duration over 0"),
        ("type: rare, max_keys: 10001", "allowed: 0 to 10000"),
        ("type: rare, keys: [meta.x]", "'meta.x': it is not supported"),
        ("type: diverse, min_distance: 33", "allowed: a whole number from 1 to 32"),
        ("type: diverse, remember: 5000", "allowed: a whole number from 1 to 4096"),
        ("type: not, policy: {type: rare}", "a 'not' cannot have 'rare' or 'diverse'"),
        ("type: or, policies: [{type: rare}]", "an 'or' cannot have 'rare' or 'diverse'"),
        ("type: drop, policies: [{type: diverse}]", "a drop policy cannot have 'rare'"),
        ("type: and, policies: [{type: rare}, {type: diverse}]", "one of 'rare' and 'diverse'"),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("policies:\n  - {{name: p, {policy}}}\n")).unwrap();
        let options = [("mode", "tail"), ("config_file", file.path().to_str().unwrap())];
        let found = problems::<AiSampling>(&options, true).join("\n");
        assert!(found.contains(part) && found.contains("line 2: "), "{policy}: {found}");
    }
}
