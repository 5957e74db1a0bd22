//! The filter `ai_sampling` as the host sees it.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::AiSampling;
use crate::clock::{self, Tick};
use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::codec::records::{Events, traces_to_records};
use crate::hub::Drain;
use crate::plugin::{Chunk, Filter, GivenOptions, Verdict};
use crate::plugins::testing::{counter, environment, pass, problems};
use crate::stats::CounterReading;

const HIGH: u64 = 0x00ff_ffff_ffff_fff0;

fn states(events: &[u8]) -> Vec<String> {
    Events::new(events)
        .map(|event| {
            let state = MapView::new(event.unwrap().body).get(b"trace_state");
            state.and_then(text_of).unwrap_or_default().to_owned()
        })
        .collect()
}

#[test]
fn head_sampling_keeps_by_trace_id_and_says_with_which_threshold() {
    let environment = environment(false);
    let options = GivenOptions::of(&[("sampling_percentage", "50")]);
    let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
    let spans =
        [SpanRecord::new(HIGH, 1), SpanRecord::new(1, 2), SpanRecord::new(1, 3).state("ot=th:c")];
    let out = pass(&mut filter, &chunk(&spans));
    assert_eq!(states(&out), ["ot=th:8", "ot=th:c"]);
    assert_eq!(pass(&mut filter, &out), out, "a second time changes nothing");
    let count = |name: &str, label: &str| counter(&environment, name, label);
    assert_eq!(count("received_spans_total", ""), 5);
    assert_eq!(count("kept_spans_total", "sampling_percentage"), 4);
    assert_eq!(count("dropped_spans_total", "not_sampled"), 1);
    let log = [0x92, 0x92, 0x05, 0x80, 0x81, 0xa1, b'k', 0x01];
    assert_eq!(filter.on_chunk(Chunk { tag: b"ai", bytes: &log }), Verdict::Pass);
}

#[test]
fn tail_sampling_goes_through_the_hub() {
    let environment = environment(true);
    let options = GivenOptions::of(&[
        ("mode", "tail"),
        ("keep_errors", "on"),
        ("keep_attribute", "tenant=acme"),
        ("keep_attribute", "vip"),
        ("keep_where", "size(spans) > 1"),
        ("sampling_percentage", "50"),
    ]);
    let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
    let waiting = [SpanRecord::new(HIGH, 1), SpanRecord::new(1, 2), SpanRecord::new(1, 3)];
    assert_eq!(pass(&mut filter, &chunk(&waiting)), b"");
    let at_once = [
        SpanRecord::new(2, 1).error(),
        SpanRecord::new(3, 1).with("tenant", "acme"),
        SpanRecord::new(4, 1).with("vip", true),
        SpanRecord::new(5, 1).with("tenant", "other"),
    ];
    assert_eq!(Events::new(&pass(&mut filter, &chunk(&at_once))).count(), 3);
    let count = |name: &str, label: &str| counter(&environment, name, label);
    assert_eq!((count("received_spans_total", ""), count("held_spans", "")), (7, 4));
    assert!(count("held_bytes", "") > 0);
    let source = environment.hub.sources().pop().unwrap();
    assert!(source.take(Drain::Due, clock::now(), 0).is_empty());
    let later = clock::now().after(Duration::from_secs(31));
    let emissions = source.take(Drain::Due, later, 0);
    assert_eq!(emissions.iter().map(|emission| emission.records).sum::<usize>(), 3);
    let kept = ["keep_errors", "keep_attribute", "keep_attribute_2", "keep_where"]
        .map(|policy| count("kept_spans_total", policy));
    assert_eq!(kept, [1, 1, 1, 2]);
    assert_eq!(count("kept_spans_total", "sampling_percentage"), 1);
    assert_eq!(count("dropped_spans_total", "not_sampled"), 1);
    assert_eq!(count("early_decisions_total", "certain"), 3);
    assert_eq!(pass(&mut filter, &emissions[0].events), emissions[0].events, "not a second time");
    source.put_back(emissions[0].clone());
    assert_eq!(source.take(Drain::Everything, Tick(0), 0), [emissions[0].clone()]);
}

/// Traces of one span each: `a` has an error type, `b` the status OK and an exception, `d` an
/// exception, `e` the status ERROR, `f` nothing of that.
fn failures() -> Vec<u8> {
    let event = |name: &str| Event { name: name.to_owned(), ..Event::default() };
    let status = |code| Some(Status { code, ..Status::default() });
    let error_type = AnyValue { value: Some(Value::StringValue("RateLimitError".to_owned())) };
    let attribute =
        KeyValue { key: "error.type".to_owned(), value: Some(error_type), ..KeyValue::default() };
    let spans = [
        Span { name: "a".into(), attributes: vec![attribute], ..Span::default() },
        Span {
            name: "b".into(),
            status: status(1),
            events: vec![event("exception")],
            ..Span::default()
        },
        Span {
            name: "d".into(),
            events: vec![event("start"), event("exception")],
            ..Span::default()
        },
        Span { name: "e".into(), status: status(2), ..Span::default() },
        Span { name: "f".into(), events: vec![event("start")], ..Span::default() },
    ];
    records(spans.into())
}

/// Traces of one span each.
fn records(spans: Vec<Span>) -> Vec<u8> {
    let spans = spans.into_iter().zip(1..).map(|(span, number)| Span {
        trace_id: vec![number; 16],
        span_id: vec![number; 8],
        ..span
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }];
    let mut records = Vec::new();
    let request = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    traces_to_records(&request, &mut records).unwrap();
    records
}

fn names(events: &[u8]) -> String {
    let name = |body| MapView::new(body).get(b"name").and_then(text_of).unwrap_or_default();
    Events::new(events).map(|event| name(event.unwrap().body)).collect()
}

/// Scenario: failed spans of instrumentation that sets no status, under options, a policy of the file
/// and an expression. Guarantees: `errors: all` and the policy keep each kind of failure and nothing
/// else; without it the status decides.
#[test]
fn failures_without_a_status_are_kept_if_so_configured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policies.yaml");
    let text = "errors: all\npolicies:\n  - {name: failed, type: error}\n";
    std::fs::write(&file, text).unwrap();
    for (options, kept) in [
        (vec![("keep_errors", "on"), ("errors", "all")], "abde"),
        (vec![("keep_errors", "on")], "e"),
        (vec![("keep_errors", "on"), ("errors", "status")], "e"),
        (vec![("keep_where", "errors > 0"), ("errors", "all")], "abde"),
        (vec![("keep_where", "errors > 0")], "e"),
        (vec![("keep_where", "events.exists(e, e.name == 'exception')")], "bd"),
        (vec![("config_file", file.to_str().unwrap())], "abde"),
    ] {
        let environment = environment(true);
        let pairs = [vec![("mode", "tail")], options].concat();
        let mut filter = AiSampling::open(&GivenOptions::of(&pairs), environment.clone()).unwrap();
        let mut out = names(&pass(&mut filter, &failures()));
        let source = environment.hub.sources().pop().unwrap();
        for emission in source.take(Drain::Everything, clock::now(), 0) {
            out.push_str(&names(&emission.events));
        }
        assert_eq!(out, kept, "{pairs:?}");
        assert_eq!(
            counter(&environment, "dropped_spans_total", "not_sampled"),
            5 - kept.len() as u64
        );
    }
    let wrong = problems::<AiSampling>(&[("mode", "tail"), ("errors", "some")], true);
    assert!(
        wrong[0].contains("option 'errors': 'some'") && wrong[0].contains("status"),
        "{wrong:?}"
    );
    let head = [("sampling_percentage", "1"), ("errors", "all")];
    assert!(problems::<AiSampling>(&head, false)[0].contains("it needs 'mode: tail'"));
    assert_eq!(problems::<AiSampling>(&head[..1], false), [""; 0]);
    let early = |value| problems::<AiSampling>(&[head[0], ("early_decision", value)], false);
    assert!(
        early("off")[0].contains("'early_decision': 'off' is not allowed; it needs 'mode: tail'")
    );
    assert_eq!(early("on"), [""; 0]);
}

/// Scenario: an expression that asks for an attribute that no span has, beside one that has an
/// answer. Guarantees: what came of those traces is counted by policy and reason, and told in the log
/// when it happens first and each time it has doubled.
#[test]
fn an_expression_without_an_answer_is_reported_and_counted() {
    let environment = environment(true);
    let options = GivenOptions::of(&[
        ("mode", "tail"),
        ("keep_where", "attributes['no.such'] == 'x'"),
        ("keep_where", "root.name == 'f'"),
    ]);
    let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
    pass(&mut filter, &failures());
    let source = environment.hub.sources().pop().unwrap();
    let taken = source.take(Drain::Everything, clock::now(), 0);
    assert_eq!(taken.len(), 1);
    let count = |name: &str, labels: &[&str]| {
        let readings = environment.counters.readings();
        let of =
            |reading: &&CounterReading| reading.family.name == name && reading.labels == labels;
        readings.iter().find(of).unwrap().counter.value()
    };
    assert_eq!(count("condition_errors_total", &["keep_where", "no_such_key"]), 5);
    assert_eq!(count("condition_errors_total", &["keep_where", "wrong_type"]), 0);
    assert_eq!(count("condition_errors_total", &["keep_where_2", "no_such_key"]), 0);
    assert_eq!(count("condition_error_spans_total", &["keep_where", "dropped"]), 4);
    assert_eq!(count("condition_error_spans_total", &["keep_where", "kept"]), 1);
    let lines: Vec<String> = environment.log.take().into_iter().map(|line| line.text).collect();
    assert_eq!(
        lines,
        [
            "policy 'keep_where' has no answer for 5 traces so far (No such key: no.such); it keeps none of \
          them: 4 of their spans were dropped, 1 were kept by other policies"
        ]
    );
    // From now on nothing is held, and each chunk is decided by itself.
    pass(&mut filter, &chunk(&[SpanRecord::new(11, 1)]));
    assert_eq!(environment.log.take().len(), 0, "not each time");
    for trace in 12..17 {
        pass(&mut filter, &chunk(&[SpanRecord::new(trace, 1)]));
    }
    assert_eq!(environment.log.take().len(), 1, "it has doubled");
}

/// A call of a model, or something else, by its operation.
fn operation(name: &str, operation: &str, attributes: Vec<(&str, Value)>) -> Span {
    let of = |key: &str, value: Value| {
        let value = Some(AnyValue { value: Some(value) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    };
    let mut all = vec![of("gen_ai.operation.name", Value::StringValue(operation.to_owned()))];
    all.extend(attributes.into_iter().map(|(key, value)| of(key, value)));
    Span { name: name.to_owned(), attributes: all, ..Span::default() }
}

/// Scenario: calls with one property each, and a failed tool, under one policy at a time. Guarantees: each
/// policy of model calls keeps those that it is for, by the names of the conventions.
#[test]
fn policies_of_model_calls_ask_what_the_conventions_say() {
    let text = |text: &str| Value::StringValue(text.to_owned());
    let value = |value| AnyValue { value: Some(value) };
    let reasons =
        Value::ArrayValue(ArrayValue { values: vec![value(text("stop")), value(text("length"))] });
    let call = |name, key, value| operation(name, "chat", vec![(key, value)]);
    let tokens = vec![
        ("gen_ai.usage.input_tokens", Value::IntValue(900)),
        ("gen_ai.usage.output_tokens", Value::IntValue(200)),
    ];
    let failed = Some(Status { code: 2, ..Status::default() });
    let chunk = records(vec![
        operation("a", "chat", tokens),
        call("b", "gen_ai.usage.cost", Value::DoubleValue(0.75)),
        call("c", "gen_ai.response.time_to_first_chunk", Value::DoubleValue(2.5)),
        call("d", "gen_ai.response.finish_reasons", reasons),
        call("e", "gen_ai.response.model", text("gpt-5-mini")),
        Span { status: failed.clone(), ..operation("f", "execute_tool", Vec::new()) },
        Span { status: failed, ..operation("g", "chat", Vec::new()) },
        operation("h", "execute_tool", Vec::new()),
    ]);
    for (policy, kept) in [
        ("type: tokens, min_total: 1100", "a"),
        ("type: tokens, min_total: 1101", ""),
        ("type: tokens, min_input: 900, min_output: 200", "a"),
        ("type: tokens, min_output: 201", ""),
        ("type: cost, min: 0.75", "b"),
        ("type: cost, min: 0.76", ""),
        ("type: time_to_first_token, min: 2500ms", "c"),
        ("type: time_to_first_token, min: 3", ""),
        ("type: finish_reason, values: [length, refusal]", "d"),
        ("type: finish_reason, values: [leng]", ""),
        ("type: model, values: [gpt-5-mini]", "e"),
        ("type: model, values: ['^gpt-5'], regex: true", "e"),
        ("type: model, values: [gpt-5]", ""),
        ("type: tool_error", "f"),
        ("type: or, policies: [{type: tool_error}, {type: cost, min: 0.5}]", "bf"),
    ] {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("mode: tail\npolicies: [{{name: p, {policy}}}]\n"))
            .unwrap();
        let options = GivenOptions::of(&[("config_file", file.path().to_str().unwrap())]);
        let environment = environment(true);
        let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
        let mut out = names(&pass(&mut filter, &chunk));
        let source = environment.hub.sources().pop().unwrap();
        for emission in source.take(Drain::Everything, clock::now(), 0) {
            out.push_str(&names(&emission.events));
        }
        assert_eq!(out, kept, "{policy}");
    }
}

/// Scenario: head sampling of a session at 100 %, then at 0 %, and keys that are wrong. Guarantees: spans
/// say the session's randomness, which the counter tells; a key alone, or one that is short, stops the start
/// and is not shown.
#[test]
fn sessions_are_an_option_of_both_modes() {
    let environment = environment(false);
    let options = GivenOptions::of(&[
        ("sampling_percentage", "100"),
        ("session_attributes", "gen_ai.conversation.id, session.id"),
    ]);
    let mut filter = AiSampling::open(&options, environment.clone()).unwrap();
    let spans = [
        SpanRecord::new(1, 1).with("session.id", "abc"),
        SpanRecord::new(2, 2).with("session.id", "abc").state("ot=th:8"),
        SpanRecord::new(3, 3),
    ];
    let out = pass(&mut filter, &chunk(&spans));
    assert_eq!(states(&out), ["ot=th:0;rv:ba7816bf8f01cf", "ot=th:8", "ot=th:0"]);
    let count = |outcome| counter(&environment, "session_spans_total", outcome);
    assert_eq!((count("decided"), count("sampled_before")), (1, 1));
    let wrong = |pairs: &[(&str, &str)]| {
        let all = [&[("sampling_percentage", "1")], pairs].concat();
        problems::<AiSampling>(&all, true).join(" ")
    };
    let key = ("session_hash_key", "short");
    assert!(wrong(&[key, ("session_attributes", "a")]).contains("at least 16 bytes"));
    let alone = wrong(&[("session_hash_key", "sixteen bytes at least")]);
    assert!(alone.contains("needs 'session_attributes'") && !alone.contains("sixteen"), "{alone}");
}

#[test]
fn wrong_configurations_are_reported_all_at_once() {
    assert_eq!(problems::<AiSampling>(&[("sampling_percentage", "10")], false), [""; 0]);
    let head = problems::<AiSampling>(&[("keep_slower_than", "5s"), ("keep_errors", "on")], false);
    assert_eq!(head.len(), 3, "{head:?}");
    let tail = problems::<AiSampling>(
        &[
            ("mode", "tail"),
            ("decision_wait", "soon"),
            ("keep_where", "nothing +"),
            ("keep_where", "root.name == 'x' ? 1 : 2"),
            ("keep_attribute", "=x"),
            ("max_buffer_size", "1k"),
            ("config_file", "/does/not/exist.yaml"),
        ],
        false,
    );
    assert_eq!(tail.len(), 8, "{tail:?}");
    assert!(tail.iter().any(|problem| problem.contains("a value of type int, not true or false")));
    assert!(tail.iter().any(|problem| problem.contains("flb-in_ai_emitter.so")));
    assert_eq!(problems::<AiSampling>(&[("mode", "middle")], true).len(), 2);
}

#[test]
fn a_file_gives_policies() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.yaml");
    let text = "mode: tail\npolicies:\n  - {name: bad, type: status_code, status_codes: [error]}\n";
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let environment = environment(true);
    let mut filter =
        AiSampling::open(&GivenOptions::of(&[("config_file", path)]), environment.clone()).unwrap();
    let out = pass(&mut filter, &chunk(&[SpanRecord::new(1, 1).error(), SpanRecord::new(2, 1)]));
    assert_eq!(Events::new(&out).count(), 1);
    assert_eq!(counter(&environment, "kept_spans_total", "bad"), 1);
    let head = problems::<AiSampling>(
        &[("config_file", path), ("mode", "head"), ("sampling_percentage", "1")],
        true,
    );
    assert_eq!(head.len(), 2, "{head:?}");
    assert!(head[0].ends_with("mode: it is given in the pipeline too; allowed: in one place"));
    assert!(head[1].contains("policies, which need 'mode: tail'"));
    std::fs::write(path, "mode: tail\nkeep_errors: true\ndecision_wait: soon\nkeep: 1\n").unwrap();
    let mixed = problems::<AiSampling>(&[("config_file", path)], true);
    assert_eq!(mixed.len(), 2, "{mixed:?}");
    assert!(
        mixed[0].contains("keep: this key is not known; allowed keys: mode, sampling_percentage")
    );
    assert!(mixed[1].starts_with(&format!("config_file '{path}': option 'decision_wait': 'soon'")));
}
