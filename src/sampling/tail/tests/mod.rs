use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::Events;
use crate::codec::records::StatusCode;
use crate::codec::records::testing::{SpanRecord, chunk};
use crate::condition::Condition;
use crate::model::{Emission, ErrorRule};
use crate::sampling::policy::{
    Limit, LimitUnit, Policy, PolicyAction, PolicyRule, SpanTest, SpanTests, UsageTest,
};
use crate::sampling::{POLICY_ATTRIBUTE, SessionKeys, Threshold};

mod chain;
mod companions;
mod runtime;
mod tombstones;

const LOW: u64 = 0x1100_0000_0000_0000 | 0x0011_1111_1111_1111;
const HIGH: u64 = 0x1100_0000_0000_0000 | 0x00ee_eeee_eeee_eeee;

fn rules(list: Vec<(&str, PolicyRule, PolicyAction)>) -> Policies {
    let mut tests = SpanTests::default();
    tests.add(SpanTest::Status(vec![StatusCode::Error])).unwrap();
    let policies = list.into_iter().map(|(name, rule, action)| {
        let name = name.to_owned();
        Policy { name, rule, action }
    });
    Policies::new(policies.collect(), tests, Vec::new())
}

/// Errors, slower than 5 s, and half of the rest.
fn usual() -> Policies {
    rules(vec![
        ("errors", PolicyRule::SpanTest(0), PolicyAction::Keep),
        ("slow", PolicyRule::Latency(Some(Duration::from_secs(5)), None), PolicyAction::Keep),
        ("half", PolicyRule::Probability(Threshold::from_percentage(50.0)), PolicyAction::Keep),
    ])
}

const SETTINGS: TailSettings = TailSettings {
    decision_wait: Duration::from_secs(30),
    wait_after_root: None,
    longest_wait: None,
    max_bytes: 1 << 20,
    max_traces: 1000,
    max_trace_spans: None,
    max_trace_bytes: None,
    shed_at: None,
    decides_early: true,
    dry_run: false,
};

fn config(policies: Policies) -> TailConfig {
    TailConfig {
        settings: SETTINGS,
        compare_for: Duration::ZERO,
        kept_cache: 1000,
        dropped_cache: 1000,
        policies,
        errors: ErrorRule::Status,
        sessions: None,
        position: Position { run: 7, after: 3 },
    }
}

/// The usual policies with these settings.
fn set(settings: TailSettings) -> TailConfig {
    TailConfig { settings, ..config(usual()) }
}

/// Scenario: something was found in one of three traces that wait. Guarantees: that one is kept when it is decided, by the
/// policy that asks, and the others are not.
#[test]
fn a_trace_with_a_finding_is_kept() {
    let found = FoundIn::new(|trace| trace.0.ends_with(&2_u64.to_be_bytes()));
    let policies = rules(vec![("found", PolicyRule::Finding, PolicyAction::Keep)]);
    let mut sampler = TailSampler::new(config(policies)).with_findings(found);
    let spans = [1, 2, 3].map(|number| SpanRecord::new(number, number));
    sampler.on_chunk(b"ai", &chunk(&spans), second(0));
    assert_eq!(sampler.tally().held, 3);
    sampler.take(false, second(31));
    let tally = sampler.tally();
    assert_eq!((tally.kept.clone(), tally.dropped.iter().sum::<u64>()), (vec![1], 2));
}

fn sampler() -> TailSampler {
    TailSampler::new(config(usual()))
}

fn second(seconds: u64) -> Tick {
    Tick(seconds * 1_000_000_000)
}

/// (span id, policy, trace state, position) of every span in a stream of events.
fn read(events: &[u8]) -> Vec<(u64, String, String, Option<Position>)> {
    Events::new(events)
        .map(|event| {
            let event = event.unwrap();
            let body = MapView::new(event.body);
            let field = |key: &[u8]| body.get(key).and_then(text_of).unwrap_or_default();
            let attributes = MapView::new(body.get(b"attributes").unwrap_or_default());
            let policy = attributes.get(POLICY_ATTRIBUTE.as_bytes()).and_then(text_of);
            let id = u64::from_str_radix(field(b"span_id"), 16).unwrap();
            let position = event.telemetry().unwrap().position;
            (id, policy.unwrap_or_default().to_owned(), field(b"trace_state").to_owned(), position)
        })
        .collect()
}

fn spans(released: &[Emission]) -> Vec<(u64, String, String, Option<Position>)> {
    for batch in released {
        assert_eq!(batch.records, Events::new(&batch.events).count());
    }
    released.iter().flat_map(|batch| read(&batch.events)).collect()
}

fn ids(released: &[Emission]) -> Vec<u64> {
    spans(released).into_iter().map(|span| span.0).collect()
}

fn adds_up(tally: &TailTally) -> bool {
    let out: u64 = tally.kept.iter().chain(&tally.dropped).sum();
    tally.received == out + tally.untraced + tally.dry_run + tally.held
}

#[test]
fn a_trace_waits_for_its_decision() {
    let mut sampler = sampler();
    let first = chunk(&[SpanRecord::new(HIGH, 1), SpanRecord::new(LOW, 2)]);
    assert_eq!(sampler.on_chunk(b"ai", &first, second(0)), Some(Vec::new()));
    let more = chunk(&[SpanRecord::new(HIGH, 3).state("a=b")]);
    assert_eq!(sampler.on_chunk(b"ai", &more, second(29)), Some(Vec::new()));
    assert_eq!(sampler.take(false, second(29)), []);
    assert_eq!((sampler.tally().held, sampler.tally().received), (3, 3));
    let released = sampler.take(false, second(30));
    let position = Some(Position { run: 7, after: 3 });
    let half = "half".to_owned();
    assert_eq!(
        spans(&released),
        [
            (1, half.clone(), "ot=th:8".to_owned(), position),
            (3, half, "ot=th:8,a=b".to_owned(), position),
        ]
    );
    assert_eq!(released[0].tag, b"ai");
    assert_eq!(sampler.tally().kept, [0, 0, 2]);
    assert_eq!(sampler.tally().dropped, [1, 0, 0, 0]);
    assert!(adds_up(sampler.tally()));
    assert_eq!(sampler.held_bytes(), 0);
}

#[test]
fn an_error_releases_its_trace_at_once_and_later_spans_pass() {
    let mut sampler = sampler();
    let quiet = chunk(&[SpanRecord::new(LOW, 1).state("ot=th:4")]);
    assert_eq!(sampler.on_chunk(b"ai", &quiet, second(0)), Some(Vec::new()));
    let error = chunk(&[SpanRecord::new(LOW, 2).error(), SpanRecord::new(LOW, 3)]);
    let out = sampler.on_chunk(b"ai", &error, second(1)).unwrap();
    let errors = "errors".to_owned();
    let want = [1, 2, 3].map(|id| (id, errors.clone(), String::new(), None));
    assert_eq!(read(&out), want, "without a threshold, because chance did not keep them");
    assert_eq!((sampler.tally().early_certain, sampler.tally().late_kept), (1, 1));
    assert_eq!(sampler.take(true, second(2)), []);
    assert!(adds_up(sampler.tally()));
}

#[test]
fn spans_of_another_tag_are_emitted_under_it() {
    let mut sampler = sampler();
    sampler.on_chunk(b"one", &chunk(&[SpanRecord::new(LOW, 1)]), second(0));
    let error = chunk(&[SpanRecord::new(LOW, 2).error()]);
    let out = sampler.on_chunk(b"two", &error, second(1)).unwrap();
    assert_eq!(read(&out).len(), 1);
    let released = sampler.take(false, second(1));
    assert_eq!((ids(&released), &released[0].tag[..]), (vec![1], &b"one"[..]));
}

#[test]
fn latency_is_that_of_the_trace() {
    let mut sampler = sampler();
    let early = chunk(&[SpanRecord::new(LOW, 1).times(10_000, 11_000)]);
    assert_eq!(sampler.on_chunk(b"ai", &early, second(0)), Some(Vec::new()));
    let late = chunk(&[SpanRecord::new(LOW, 2).times(14_000, 15_001)]);
    let out = sampler.on_chunk(b"ai", &late, second(1)).unwrap();
    let policies: Vec<String> = read(&out).into_iter().map(|span| span.1).collect();
    assert_eq!(policies, ["slow", "slow"]);
}

#[test]
fn late_spans_follow_a_drop() {
    let mut sampler = sampler();
    sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(LOW, 1)]), second(0));
    assert_eq!(sampler.take(false, second(30)), []);
    let late = chunk(&[SpanRecord::new(LOW, 2).error()]);
    assert_eq!(sampler.on_chunk(b"ai", &late, second(31)), Some(Vec::new()));
    assert_eq!((sampler.tally().late_dropped, sampler.tally().held), (1, 0));
    assert!(adds_up(sampler.tally()));
}

#[test]
fn a_full_buffer_decides_the_oldest_early_and_loses_nothing_undecided() {
    let mut sampler = TailSampler::new(set(TailSettings { max_bytes: 20_000, ..SETTINGS }));
    let mut out = Vec::new();
    for trace in 1..=200_u64 {
        let id = (trace % 2) * HIGH + trace;
        let spans = [SpanRecord::new(id, trace), SpanRecord::new(id, trace + 1000)];
        out.extend(sampler.on_chunk(b"ai", &chunk(&spans), second(trace)).unwrap());
        assert!(sampler.held_bytes() <= 20_000);
        assert!(adds_up(sampler.tally()));
    }
    assert!(sampler.tally().early_full > 100);
    let kept: BTreeSet<u64> = read(&out).into_iter().map(|span| span.0).collect();
    let rest: BTreeSet<u64> = ids(&sampler.take(true, second(201))).into_iter().collect();
    assert!(kept.is_disjoint(&rest));
    assert_eq!(kept.len() + rest.len(), 200, "every odd trace, both spans");
}

#[test]
fn what_cannot_be_emitted_goes_on_with_the_chunk_when_memory_is_short() {
    let mut sampler = TailSampler::new(set(TailSettings { max_bytes: 3_000, ..SETTINGS }));
    sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(HIGH, 1)]), second(0));
    let released = sampler.take(false, second(30)).pop().unwrap();
    sampler.put_back(Emission { events: released.events.repeat(20), records: 20, ..released });
    let out = sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(LOW, 2)]), second(31)).unwrap();
    assert_eq!(read(&out).len(), 20);
    assert!(sampler.held_bytes() <= 3_000);
}

#[test]
fn everything_leaves_at_shutdown_and_nothing_is_held_after() {
    let mut sampler = sampler();
    sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(HIGH, 1)]), second(0));
    let released = sampler.take(true, second(1));
    assert_eq!((ids(&released), sampler.tally().early_shutdown), (vec![1], 1));
    let refused = released.into_iter().next().unwrap();
    sampler.put_back(refused.clone());
    assert!(sampler.held_bytes() > 0);
    assert_eq!(sampler.take(true, second(1)), [refused]);
    let late = [
        SpanRecord::new(HIGH, 2),
        SpanRecord::new(HIGH ^ 1, 3),
        SpanRecord::new(LOW, 4),
        SpanRecord::new(LOW ^ 1, 5).error(),
    ];
    let out = sampler.on_chunk(b"ai", &chunk(&late), second(2)).unwrap();
    let mut kept: Vec<u64> = read(&out).into_iter().map(|span| span.0).collect();
    kept.sort_unstable();
    assert_eq!(kept, [2, 3, 5]);
    assert_eq!((sampler.tally().held, sampler.held_bytes()), (0, 0));
    assert!(adds_up(sampler.tally()));
}

#[test]
fn what_is_not_ours_to_decide_passes_byte_for_byte() {
    let mut sampler = sampler();
    let log = [0x92, 0x92, 0x05, 0x80, 0x81, 0xa1, b'k', 0x01];
    let emitted = SpanRecord::new(LOW, 1).from(7, 3).encode();
    let bad_id = SpanRecord::new(LOW, 3).encode();
    let at = bad_id.windows(4).position(|window| window == b"0af7").unwrap();
    let mut bad_id = bad_id;
    bad_id[at] = b'x';
    let chunk = [&log[..], &emitted, &bad_id, &[0x92, 0xc1]].concat();
    assert_eq!(sampler.on_chunk(b"ai", &chunk, second(0)), None);
    assert_eq!((sampler.tally().received, sampler.tally().untraced), (1, 1));
    let foreign = [SpanRecord::new(LOW, 1).from(8, 3), SpanRecord::new(LOW, 1).from(7, 2)]
        .map(|s| s.encode());
    let mixed = [&log[..], &foreign[0], &log[..], &foreign[1], &log[..]].concat();
    assert_eq!(sampler.on_chunk(b"ai", &mixed, second(0)), Some(log.repeat(3)));
    assert_eq!(sampler.tally().held, 2);
}

#[test]
fn expressions_see_the_whole_trace() {
    let condition = Condition::compile("size(spans) > 1 && root.name == \"chat\"").unwrap();
    let cel = PolicyRule::Cel(Box::new(condition));
    let broken = PolicyRule::Cel(Box::new(Condition::compile("attributes[\"x\"] == 1").unwrap()));
    let list = vec![("cel", cel, PolicyAction::Keep), ("broken", broken, PolicyAction::Keep)];
    let mut sampler = TailSampler::new(config(rules(list)));
    let child = SpanRecord::new(LOW, 2).parent(1);
    let chunk = chunk(&[SpanRecord::new(LOW, 1), child, SpanRecord::new(HIGH, 3)]);
    sampler.on_chunk(b"ai", &chunk, second(0));
    let released = sampler.take(false, second(30));
    assert_eq!(ids(&released), [1, 2]);
    let broken = Unanswered {
        traces: [1, 0, 0, 0],
        kept_spans: 0,
        dropped_spans: 1,
        reason: "No such key: x".to_owned(),
    };
    assert_eq!(sampler.tally().unanswered, [Unanswered::default(), broken]);
    assert_eq!(sampler.tally().dropped, [1, 0, 0]);
}

/// Scenario: traces whose root comes first, late and never, and one that goes on after its root.
/// Guarantees: each is decided at the sooner of both waits, once.
#[test]
fn a_root_shortens_the_wait() {
    let wait_after_root = Some(Duration::from_secs(5));
    let mut sampler = TailSampler::new(set(TailSettings { wait_after_root, ..SETTINGS }));
    let child = |trace, span: u64| SpanRecord::new(HIGH + trace, span).parent(9);
    let root = |trace, span: u64| SpanRecord::new(HIGH + trace, span);
    let mut take = |spans: &[SpanRecord], now: u64| {
        sampler.on_chunk(b"ai", &chunk(spans), second(now));
        ids(&sampler.take(false, second(now)))
    };
    assert_eq!(take(&[root(1, 1), child(2, 2), child(3, 3)], 0), [0; 0]);
    assert_eq!(take(&[child(1, 4), root(1, 5)], 4), [0; 0], "a second root changes nothing");
    assert_eq!(take(&[root(2, 6)], 5), [1, 4, 5]);
    assert_eq!(take(&[root(4, 7)], 10), [2, 6]);
    assert_eq!(take(&[root(5, 8)], 28), [7]);
    assert_eq!(take(&[], 30), [3], "it has no root");
    assert_eq!(take(&[], 33), [8]);
    assert!(adds_up(sampler.tally()) && sampler.waits.lengths()[1] == 0);
    assert_eq!((sampler.tally().early_full, sampler.tally().early_shutdown), (0, 0));
}

/// Scenario: traces over more than one chunk and second, with a limit of spans per second beside a
/// policy of errors. Guarantees: whole traces stay or go, what stays by the limit has no threshold any
/// more and is no more than the limit allows, what goes by it is counted under its name.
#[test]
fn a_limit_is_kept_by_whole_traces() {
    let limit = PolicyRule::Limit(0, LimitUnit::Spans);
    let list = [("errors", PolicyRule::SpanTest(0)), ("limit", limit)];
    let mut tests = SpanTests::default();
    tests.add(SpanTest::Status(vec![StatusCode::Error])).unwrap();
    let list =
        list.map(|(name, rule)| Policy { name: name.to_owned(), rule, action: PolicyAction::Keep });
    let limits = vec![Limit { rate: 10.0, burst: 10.0 }];
    let mut sampler = TailSampler::new(config(Policies::new(list.into(), tests, limits)));
    let (mut all, mut trace) = (Vec::new(), 0);
    for now in 0..60_u64 {
        for _ in 0..if now < 20 { 10 } else { 0 } {
            trace += 1;
            for part in 0..2 {
                let span = SpanRecord::new(trace, trace * 10 + part).state("ot=th:8");
                sampler.on_chunk(b"ai", &chunk(&[span]), second(now));
            }
        }
        let released = spans(&sampler.take(false, second(now)));
        assert!(released.len() <= 10, "{now}");
        all.extend(released);
        assert!(adds_up(sampler.tally()));
    }
    assert_eq!(all.len(), 20 * 10, "10 spans in each second in which traces were due");
    assert!(all.iter().all(|(_, policy, state, _)| policy == "limit" && state.is_empty()));
    assert_eq!(all.iter().map(|span| span.0 / 10).collect::<BTreeSet<_>>().len(), 100);
    assert_eq!(sampler.tally().kept, [0, 200]);
    assert_eq!(sampler.tally().dropped, [0, 0, 200]);
    let late = chunk(&[SpanRecord::new(all[0].0 / 10, 7).state("ot=th:8")]);
    let late = read(&sampler.on_chunk(b"ai", &late, second(60)).unwrap());
    assert_eq!((late[0].1.as_str(), late[0].2.as_str()), ("limit", ""));
}

/// Scenario: traces in pieces, with policies of tokens, cost, flags and tools. Guarantees: what the
/// calls of a trace used is added up over its chunks, and is held in the bounds.
#[test]
fn what_calls_used_is_added_up_over_chunks() {
    let test = UsageTest { total_tokens: 1000.0, ..UsageTest::default() };
    let list = vec![("tokens", PolicyRule::Usage(test), PolicyAction::Keep)];
    let mut sampler = TailSampler::new(config(rules(list)));
    let call = |trace, span, tokens: i64| {
        SpanRecord::new(trace, span)
            .with("gen_ai.operation.name", "chat")
            .with("gen_ai.usage.input_tokens", tokens)
            .with("gen_ai.usage.output_tokens", 100_i64)
    };
    let agent = call(LOW, 9, 800).with("gen_ai.operation.name", "invoke_agent");
    for span in [call(LOW, 1, 300), agent, call(LOW + 1, 2, 899)] {
        assert_eq!(sampler.on_chunk(b"ai", &chunk(&[span]), second(0)), Some(Vec::new()));
    }
    let out = sampler.on_chunk(b"ai", &chunk(&[call(LOW, 3, 500)]), second(1)).unwrap();
    assert_eq!(read(&out).iter().map(|span| span.0).collect::<Vec<_>>(), [1, 9, 3], "early");
    assert_eq!(ids(&sampler.take(false, second(30))), [0; 0]);
    assert_eq!((sampler.held_bytes(), sampler.tally().dropped[0]), (0, 1));
}

/// Scenario: traces of two sessions, of which one span each names the session, with chance alone and
/// beside other policies. Guarantees: the traces of a session are decided alike and say the same
/// randomness on every span, late ones too; one that was sampled before is left as it was.
#[test]
fn traces_of_a_session_are_decided_alike() {
    let chance = || {
        let half = PolicyRule::Probability(Threshold::from_percentage(50.0));
        rules(vec![("half", half, PolicyAction::Keep)])
    };
    for policies in [chance(), usual()] {
        let keys = SessionKeys::new(vec!["session.id".to_owned()], None);
        let mut sampler = TailSampler::new(TailConfig { sessions: Some(keys), ..config(policies) });
        // The hash of "abc" begins with ba, that of "1" with 6b.
        let named = |trace, span, name: &str| SpanRecord::new(trace, span).with("session.id", name);
        let spans = [
            SpanRecord::new(LOW, 1),
            named(LOW, 2, "abc"),
            SpanRecord::new(HIGH, 3),
            named(HIGH, 4, "1"),
            named(LOW + 1, 5, "abc").state("ot=th:4"),
            SpanRecord::new(HIGH + 1, 6),
        ];
        let mut out = Vec::new();
        for span in &spans {
            let chunk = chunk(std::slice::from_ref(span));
            out.extend(read(&sampler.on_chunk(b"ai", &chunk, second(0)).unwrap()));
        }
        out.extend(self::spans(&sampler.take(false, second(30))));
        let late = chunk(&[SpanRecord::new(LOW, 7)]);
        out.extend(read(&sampler.on_chunk(b"ai", &late, second(31)).unwrap()));
        let stamped = "ot=th:8;rv:ba7816bf8f01cf";
        let mut states: Vec<(u64, &str)> =
            out.iter().map(|span| (span.0, span.2.as_str())).collect();
        states.sort_unstable();
        assert_eq!(states, [(1, stamped), (2, stamped), (6, "ot=th:8"), (7, stamped)]);
        let tally = sampler.tally();
        assert_eq!((tally.of_sessions, tally.against_sessions), (4, 1));
        assert!(adds_up(tally));
    }
}

#[test]
fn the_queue_does_not_grow_with_traces_decided_early() {
    let always = rules(vec![("always", PolicyRule::Always, PolicyAction::Keep)]);
    let mut sampler = TailSampler::new(config(always));
    for trace in 1..5000_u64 {
        let span = SpanRecord::new(trace, trace);
        let out = sampler.on_chunk(b"ai", &chunk(&[span]), second(0)).unwrap();
        assert_eq!(read(&out).len(), 1);
    }
    assert!(sampler.waits.lengths()[0] <= 2048);
}

/// An OTLP request with one trace of four spans, about 1500 bytes a span.
fn request(trace: u64) -> Vec<u8> {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
    use prost::Message;
    let text = |key: String, length: usize| KeyValue {
        key,
        value: Some(AnyValue { value: Some(any_value::Value::StringValue("x".repeat(length))) }),
        ..KeyValue::default()
    };
    let attributes = |count: usize, length: usize| -> Vec<KeyValue> {
        (0..count).map(|index| text(format!("gen_ai.attribute.{index}"), length)).collect()
    };
    let spans = (1..=4_u64).map(|span| Span {
        trace_id: [LOW.to_be_bytes(), trace.to_be_bytes()].concat(),
        span_id: span.to_be_bytes().to_vec(),
        name: "chat gpt-4o".to_owned(),
        start_time_unix_nano: 1_700_000_000_000_000_000,
        end_time_unix_nano: 1_700_000_000_500_000_000,
        attributes: attributes(16, 60),
        ..Span::default()
    });
    let scope_spans = vec![ScopeSpans { spans: spans.collect(), ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes: attributes(8, 20), ..Resource::default() });
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec()
}

#[test]
fn held_memory_stays_near_the_bytes_on_the_wire() {
    let mut sampler =
        TailSampler::new(set(TailSettings { max_bytes: 1 << 30, max_traces: 1 << 20, ..SETTINGS }));
    let (mut wire, mut records) = (0, 0);
    for trace in 0..500_u64 {
        let request = request(trace + 1);
        let mut chunk = Vec::new();
        crate::codec::records::traces_to_records(&request, &mut chunk).unwrap();
        wire += request.len();
        records += chunk.len();
        assert_eq!(sampler.on_chunk(b"ai", &chunk, second(0)), Some(Vec::new()));
    }
    assert_eq!(sampler.tally().held, 2000);
    let (held, wire) = (sampler.held_bytes() as f64, wire as f64);
    assert!(held < wire, "{held} of {wire}: {}", held / wire);
    assert!(held < records as f64, "the resource is held once");
    println!("held bytes by wire bytes: {:.3}", held / wire);
}

#[derive(Debug, Clone)]
struct Step {
    trace: u64,
    error: bool,
    new_chunk: bool,
    seconds: u64,
    drain: bool,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (0_u64..12, prop::bool::weighted(0.05), any::<bool>(), 0_u64..8, any::<bool>())
        .prop_map(|(trace, error, new_chunk, seconds, drain)| Step {
            trace,
            error,
            new_chunk,
            seconds,
            drain,
        });
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_lost_doubled_or_uncounted(steps in steps(), max_bytes in 2_000_usize..60_000) {
        let mut sampler = TailSampler::new(set(TailSettings { max_bytes, ..SETTINGS }));
        let (mut now, mut pending, mut out) = (0, Vec::new(), Vec::new());
        for (index, step) in (1_u64..).zip(&steps) {
            let id = (step.trace % 2) * HIGH + step.trace + 1;
            let span = SpanRecord::new(id, index);
            pending.push(if step.error { span.error() } else { span });
            if step.new_chunk {
                now += step.seconds;
                let chunk = chunk(&std::mem::take(&mut pending));
                let passed = sampler.on_chunk(b"ai", &chunk, second(now)).unwrap_or(chunk);
                out.extend(read(&passed));
                prop_assert!(sampler.held_bytes() <= max_bytes);
            }
            if step.drain {
                let released = sampler.take(false, second(now));
                if step.trace == 0 {
                    released.into_iter().for_each(|batch| sampler.put_back(batch));
                } else {
                    out.extend(spans(&released));
                }
            }
            prop_assert!(adds_up(sampler.tally()));
        }
        out.extend(spans(&sampler.take(true, second(now))));
        let tally = sampler.tally();
        prop_assert_eq!((tally.held, adds_up(tally)), (0, true));
        let ids: BTreeSet<u64> = out.iter().map(|span| span.0).collect();
        prop_assert_eq!(ids.len(), out.len(), "no span comes out twice");
        prop_assert_eq!(out.len() as u64, tally.kept.iter().sum::<u64>());
        prop_assert!(out.iter().all(|span| !span.1.is_empty()));
    }

    #[test]
    fn a_trace_is_decided_alike_however_it_is_cut_into_chunks(steps in steps()) {
        let run = |one_chunk: bool| {
            let mut sampler = sampler();
            let records: Vec<SpanRecord> = (1_u64..).zip(&steps).map(|(index, step)| {
                let span = SpanRecord::new((step.trace % 2) * HIGH + step.trace + 1, index);
                if step.error { span.error() } else { span }
            }).collect();
            let mut out = Vec::new();
            let size = if one_chunk { records.len() } else { 1 };
            for part in records.chunks(size) {
                out.extend(read(&sampler.on_chunk(b"ai", &chunk(part), second(0)).unwrap()));
            }
            out.extend(spans(&sampler.take(false, second(30))));
            let kept: BTreeMap<u64, (String, String)> =
                out.into_iter().map(|span| (span.0, (span.1, span.2))).collect();
            kept
        };
        prop_assert_eq!(run(true), run(false));
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut sampler = sampler();
        let mut hostile = SpanRecord::new(HIGH, 1).encode();
        hostile.extend_from_slice(&bytes);
        sampler.on_chunk(b"ai", &hostile, second(0));
        sampler.take(true, second(0));
        prop_assert!(adds_up(sampler.tally()));
    }
}
