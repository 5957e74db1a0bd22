//! The filters `ai_sampling` and `ai_metrics` as the host sees them.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::span::Event;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use super::emitter::Emitter;
use super::filter_ai_context::AiContext;
use super::filter_ai_metrics::AiMetrics;
use super::filter_ai_sampling::AiSampling;
use crate::clock::{self, Tick};
use crate::codec::fluentbit::cmetrics_to_otlp;
use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::codec::records::{Events, traces_to_records};
use crate::hub::{Drain, Hub};
use crate::plugin::{
    AppendRefused, Chunk, Environment, Filter, GivenOptions, NativeKind, NotAppended, OpenError,
    Pause, Sink, Verdict,
};
use crate::stats::{CounterReading, Counters, Log};

const HIGH: u64 = 0x00ff_ffff_ffff_fff0;

fn environment(emitter: bool) -> Environment {
    let hub = Arc::new(Hub::new(7));
    if emitter {
        hub.add_emitter();
    }
    Environment {
        instance: "test.0".to_owned(),
        hub,
        position: 1,
        host_release: "5.1.1".to_owned(),
        log_groups: true,
        native_chunks: true,
        counters: Arc::new(Counters::default()),
        log: Arc::new(Log::default()),
    }
}

fn problems<F: Filter>(pairs: &[(&str, &str)], emitter: bool) -> Vec<String> {
    match F::open(&GivenOptions::of(pairs), environment(emitter)) {
        Ok(_) => Vec::new(),
        Err(OpenError(problems)) => problems,
    }
}

fn counter(environment: &Environment, name: &str, label: &str) -> u64 {
    let readings = environment.counters.readings();
    let of = |reading: &&CounterReading| {
        reading.family.name == name && (label.is_empty() || reading.labels == [label])
    };
    readings.iter().find(of).unwrap().counter.value()
}

fn pass(filter: &mut impl Filter, bytes: &[u8]) -> Vec<u8> {
    match filter.on_chunk(Chunk { tag: b"ai", bytes }) {
        Verdict::Pass => bytes.to_vec(),
        Verdict::Replace(bytes) => bytes,
    }
}

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
}

/// Scenario: an expression that asks for an attribute that no span has, beside one that has an
/// answer. Guarantees: what came of those traces is counted by policy and reason, and told in the log
/// when it happens first and each time it has doubled.
#[test]
fn an_expression_without_an_answer_is_told_and_counted() {
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

/// Scenario: our filters in each order. Guarantees: one that stands where that means something else
/// says what, and one with other tags or in the order that fits says nothing.
#[test]
fn an_order_that_means_something_else_is_told() {
    fn lines<F: Filter>(
        environment: &Environment,
        name: &str,
        pairs: &[(&str, &str)],
    ) -> Vec<String> {
        let environment = Environment {
            instance: name.to_owned(),
            log: Arc::new(Log::default()),
            ..environment.clone()
        };
        F::open(&GivenOptions::of(pairs), environment.clone()).map(drop).unwrap();
        environment.log.take().into_iter().map(|line| line.text).collect()
    }
    let tail = [("mode", "tail"), ("keep_errors", "on")];
    let wrong = environment(true);
    assert_eq!(lines::<AiSampling>(&wrong, "ai_sampling.0", &tail), [""; 0]);
    let metrics = lines::<AiMetrics>(&wrong, "ai_metrics.0", &[]);
    assert_eq!(metrics.len(), 1);
    assert!(metrics[0].starts_with("'ai_metrics.0' stands after 'ai_sampling.0', where both"));
    let context = lines::<AiContext>(&wrong, "ai_context.0", &[("redact", "email")]);
    assert_eq!(context.len(), 2, "{context:?}");
    assert!(context[0].contains("'ai_sampling.0'") && context[0].contains("the buffer holds"));
    assert!(context[1].contains("'ai_metrics.0'") && context[1].contains("measured by the names"));
    let fitting = environment(true);
    assert_eq!(lines::<AiContext>(&fitting, "ai_context.0", &[("redact", "email")]), [""; 0]);
    assert_eq!(lines::<AiMetrics>(&fitting, "ai_metrics.0", &[]), [""; 0]);
    assert_eq!(lines::<AiSampling>(&fitting, "ai_sampling.0", &tail), [""; 0]);
}

#[test]
fn metrics_go_through_the_hub_and_the_chunk_passes() {
    let environment = environment(true);
    let options = GivenOptions::of(&[("interval", "5s"), ("dimensions", "tenant")]);
    let mut filter = AiMetrics::open(&options, environment.clone()).unwrap();
    let span = SpanRecord::new(1, 1)
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.usage.output_tokens", 5);
    let bytes = chunk(&[span, SpanRecord::new(1, 2)]);
    assert_eq!(filter.on_chunk(Chunk { tag: b"ai", bytes: &bytes }), Verdict::Pass);
    let count = |name: &str, label: &str| counter(&environment, name, label);
    assert_eq!(
        (count("measured_spans_total", ""), count("counted_tokens_total", "output")),
        (1, 5)
    );
    assert_eq!((count("series", ""), count("overflow_total", "")), (2, 0));
    let source = environment.hub.sources().pop().unwrap();
    let emissions = source.take(Drain::Everything, clock::now(), clock::unix_nanos());
    assert_eq!((emissions.len(), emissions[0].records), (1, 3));
    source.put_back(emissions[0].clone());
    assert_eq!(source.take(Drain::Due, clock::now(), clock::unix_nanos()), emissions);
}

/// What the host is given: contexts of metrics, unless it refuses.
#[derive(Default)]
struct Contexts(Vec<u8>, Option<NotAppended>);

impl Sink for Contexts {
    fn append(&mut self, _: &[u8], _: usize, _: &[u8]) -> Result<(), AppendRefused> {
        Err(AppendRefused)
    }

    fn append_native(
        &mut self,
        tag: &[u8],
        kind: NativeKind,
        contexts: &[u8],
    ) -> Result<(), NotAppended> {
        assert_eq!((tag, kind), (&b"ai"[..], NativeKind::Metrics));
        match self.1 {
            Some(problem) => Err(problem),
            None => {
                self.0.extend_from_slice(contexts);
                Ok(())
            }
        }
    }

    fn flush_now(&mut self) {}
}

#[test]
fn metrics_are_emitted_in_the_host_s_own_form() {
    let environment = environment(true);
    let options = GivenOptions::of(&[("interval", "5s"), ("emit_as", "native")]);
    let mut filter = AiMetrics::open(&options, environment.clone()).unwrap();
    let span = SpanRecord::new(1, 1)
        .with("gen_ai.operation.name", "chat")
        .with("gen_ai.usage.output_tokens", 5);
    let bytes = chunk(&[span]);
    let mut emitter = Emitter::new(&environment);
    let mut sink = Contexts(Vec::new(), Some(NotAppended::Refused));
    assert_eq!(filter.on_chunk(Chunk { tag: b"ai", bytes: &bytes }), Verdict::Pass);
    // What the host refuses is offered again, whole.
    emitter.pause(Pause::Shutdown, &mut sink);
    assert_eq!(counter(&environment, "emit_refused_records_total", ""), 3);
    sink.1 = None;
    emitter.tick(&mut sink, usize::MAX);
    assert_eq!(counter(&environment, "emitted_records_total", ""), 3);
    let read = cmetrics_to_otlp(&sink.0);
    assert_eq!((read.items, read.skipped), (3, 0));
    let text = String::from_utf8_lossy(&read.request).into_owned();
    for name in ["client.operation.duration", "client.token.usage", "client.operation.count"] {
        assert!(text.contains(name), "{name}");
    }
    // What it will never take is lost, and counted.
    assert_eq!(filter.on_chunk(Chunk { tag: b"ai", bytes: &bytes }), Verdict::Pass);
    sink.1 = Some(NotAppended::Processors("it failed"));
    emitter.tick(&mut sink, usize::MAX);
    sink.1 = None;
    emitter.tick(&mut sink, usize::MAX);
    let count = |name: &str| counter(&environment, name, "");
    // The tokens of the call are counted already.
    assert_eq!((count("emit_lost_records_total"), count("emitted_records_total")), (2, 3));
}

#[test]
fn the_host_s_own_form_needs_a_host_that_takes_it() {
    let old = Environment { host_release: "4.2.8".to_owned(), ..environment(true) };
    let none = Environment { native_chunks: false, ..environment(true) };
    let native = GivenOptions::of(&[("emit_as", "native"), ("histogram", "exponential")]);
    assert!(AiMetrics::open(&native, environment(true)).is_ok());
    let Err(OpenError(problems)) = AiMetrics::open(&native, old) else { panic!("taken") };
    assert!(problems[0].contains("need Fluent Bit 5.0 or later"), "{problems:?}");
    let Err(OpenError(problems)) = AiMetrics::open(&native, none) else { panic!("taken") };
    assert!(problems[0].contains("flb_input_chunk_append_raw"), "{problems:?}");
}

#[test]
fn wrong_configurations_are_told_all_at_once() {
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
    let metrics = problems::<AiMetrics>(
        &[
            ("interval", "0"),
            ("temporality", "both"),
            ("histogram", "round"),
            ("emit_as", "prometheus"),
            ("max_series", "1"),
            ("dimensions", "gen_ai.response.id"),
        ],
        false,
    );
    assert_eq!(metrics.len(), 7, "{metrics:?}");
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

#[test]
fn a_file_gives_the_options_of_metrics() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_str().unwrap();
    let text = "interval: 5s\ndimensions: [team, tier]\ntemporality: cumulative\nmax_series: 10\n";
    std::fs::write(path, text).unwrap();
    let environment = environment(true);
    let mut filter =
        AiMetrics::open(&GivenOptions::of(&[("config_file", path)]), environment.clone()).unwrap();
    pass(
        &mut filter,
        &chunk(&[SpanRecord::new(1, 1).with("team", "blue").with("gen_ai.operation.name", "chat")]),
    );
    let source = environment.hub.sources().pop().unwrap();
    let emissions = source.take(Drain::Everything, clock::now(), clock::unix_nanos());
    let holds = |text: &[u8]| emissions[0].events.windows(text.len()).any(|part| part == text);
    assert!(holds(b"cumulative") && holds(b"team") && holds(b"blue"));
    std::fs::write(path, "interval: 0\ntemporalty: delta\n").unwrap();
    let wrong = problems::<AiMetrics>(&[("config_file", path)], true);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(wrong[0].contains("temporalty: this key is not known; allowed keys: interval"));
    assert!(wrong[1].starts_with(&format!("config_file '{path}': option 'interval': '0'")));
}
