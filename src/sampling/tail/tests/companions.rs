//! What goes with traces: logs that follow their decision, and what is told of those that are dropped.

use serde_json::{Value, json};

use super::*;
use crate::codec::msgpack::int_of;
use crate::codec::records::edit::{group_end, group_start};
use crate::codec::records::testing::log_event;
use crate::codec::records::{ContentHint, EventKind, Group, LogView};
use crate::sampling::{LogTally, LogsFollow, UndecidedLogs};

/// A log with a number as its body, of a trace unless that is 0.
fn log(trace: u64, number: u64, attributes: &Value) -> Vec<u8> {
    let mut otlp = json!({ "v": 1, "signal": "log", "attributes": attributes });
    if trace > 0 {
        otlp["trace_id"] = json!(format!("0af7651916cd43dd{trace:016x}"));
    }
    log_event(5_000_000_000, &json!({ "otlp": otlp }), &json!({ "log": number }))
}

/// The same in a group of a resource.
fn grouped(service: &str, logs: &[Vec<u8>]) -> Vec<u8> {
    let metadata = rmp_serde::to_vec(&json!({ "schema": "otlp" })).unwrap();
    let resource = json!({ "resource": { "attributes": { "service.name": service } } });
    let body = rmp_serde::to_vec(&resource).unwrap();
    let mut out = Vec::new();
    group_start(Group { metadata: &metadata, body: &body }, &mut out);
    logs.iter().for_each(|log| out.extend_from_slice(log));
    group_end(&mut out);
    out
}

/// What a log says: its number, and in one text its group's service, its policy, threshold, randomness and what a
/// dry run says.
fn logs(events: &[u8]) -> Vec<(u64, String)> {
    let mut found = Vec::new();
    for event in Events::new(events).map(Result::unwrap) {
        let body = MapView::new(event.body).get(b"log");
        let Some(number) = body.filter(|_| event.kind == EventKind::Record).and_then(int_of) else {
            continue;
        };
        let view = LogView::new(event.otlp().unwrap());
        let group = event.group.map(|group| MapView::new(group.body).get(b"resource").unwrap());
        let service = group.and_then(|it| MapView::new(it).get(b"attributes"));
        let service = service.and_then(|it| MapView::new(it).get(b"service.name"));
        let said = [
            POLICY_ATTRIBUTE,
            "sampling.threshold",
            "sampling.randomness",
            crate::sampling::DRY_RUN_ATTRIBUTE,
        ];
        let said = said.map(|key| MapView::new(view.attributes).get(key.as_bytes()));
        let texts = [service].into_iter().chain(said).flatten().filter_map(text_of);
        found.push((u64::try_from(number).unwrap(), texts.collect::<Vec<_>>().join(" ")));
    }
    found
}

fn leaving(released: &[Emission]) -> Vec<(u64, String)> {
    for batch in released {
        assert_eq!(batch.records, Events::new(&batch.events).count());
    }
    released.iter().flat_map(|batch| logs(&batch.events)).collect()
}

fn log_adds_up(tally: &LogTally) -> bool {
    let counts = tally.kept.iter().chain(&tally.dropped);
    let undecided = tally.undecided_kept.iter().chain(&tally.undecided_dropped);
    let out: u64 = counts.chain(undecided).sum();
    tally.received == out + tally.untraced + tally.dry_run + tally.held
}

fn following(settings: TailSettings, undecided: UndecidedLogs) -> TailSampler {
    let follow = LogsFollow { undecided, kept_cache: 1000 };
    TailSampler::new(set(settings)).with_logs(Some(follow))
}

/// Scenario: logs before, between and after the spans of traces that errors and chance keep, and that nothing keeps;
/// in groups and alone, without a trace, and of a trace of which no span comes. Guarantees: they go the way of their
/// trace, say by which policy and at which threshold, stay in their group, and what has no decision stays as it was.
#[test]
fn logs_follow_their_trace() {
    let mut sampler = following(SETTINGS, UndecidedLogs::Keep);
    let none = json!({});
    let early = [log(HIGH, 1, &none), log(LOW, 2, &none), log(LOW + 1, 3, &none), log(0, 4, &none)];
    let chunk_of_logs = [grouped("shop", &early), log(HIGH, 5, &json!({ "k": "v" }))].concat();
    let left = sampler.on_chunk(b"logs", &chunk_of_logs, second(0)).unwrap();
    assert_eq!(logs(&left), [(4, "shop".to_owned())]);
    assert_eq!(sampler.log_tally().unwrap().held, 4);
    let spans =
        [SpanRecord::new(HIGH, 1).state("ot=th:c;rv:fffffffffffff0"), SpanRecord::new(LOW, 2)];
    sampler.on_chunk(b"ai", &chunk(&spans), second(20));
    sampler.on_chunk(b"logs", &log(LOW, 6, &none), second(21));
    // The trace of which no span came: its log has waited as long as a trace does.
    let released = sampler.take(false, second(30));
    assert_eq!(leaving(&released), [(3, "shop".to_owned())]);
    let released = sampler.take(false, second(50));
    let said = leaving(&released);
    let half = "half c fffffffffffff0";
    assert_eq!(said, [(1, format!("shop {half}")), (5, half.to_owned())]);
    for batch in released.iter().filter(|batch| batch.tag == b"logs") {
        let records = Events::new(&batch.events).map(Result::unwrap);
        for event in records.filter(|event| event.kind == EventKind::Record) {
            let position = event.telemetry().unwrap().position;
            assert_eq!(position, Some(Position { run: 7, after: 3 }));
        }
    }
    // What comes late follows at once, and what we released passes.
    let late = [log(HIGH, 7, &json!({ "sampling.threshold": "8" })), log(LOW, 8, &none)].concat();
    let left = sampler.on_chunk(b"logs", &late, second(51)).unwrap();
    // A sampler before went by the randomness of its trace id.
    assert_eq!(logs(&left), [(7, "half c".to_owned())]);
    let ours = released.iter().find(|batch| batch.tag == b"logs").unwrap();
    assert_eq!(sampler.on_chunk(b"logs", &ours.events, second(52)), None);
    let error = [SpanRecord::new(LOW + 2, 3).error()];
    sampler.on_chunk(b"logs", &log(LOW + 2, 9, &json!({ "sampling.threshold": "4" })), second(53));
    sampler.on_chunk(b"ai", &chunk(&error), second(54));
    assert_eq!(leaving(&sampler.take(false, second(54))), [(9, "errors".to_owned())]);
    let tally = sampler.log_tally().unwrap();
    assert_eq!((tally.received, tally.untraced, tally.held), (9, 1, 0));
    assert_eq!((&tally.kept[..], &tally.dropped[..]), (&[1, 0, 3][..], &[3][..]));
    assert_eq!(tally.undecided_kept, [1, 0, 0]);
    assert!(log_adds_up(tally) && sampler.held_bytes() == 0);
}

/// Scenario: logs of traces without spans, in a sampler that drops what has no decision, one that is full of them, and
/// one that stops; a dry run. Guarantees: each has its reason, and nothing is lost by a dry run.
#[test]
fn logs_without_a_decision_go_as_is_said() {
    let none = json!({});
    let mut sampler = following(SETTINGS, UndecidedLogs::Drop);
    sampler.on_chunk(b"logs", &log(1, 1, &none), second(0));
    assert_eq!(sampler.take(false, second(30)), []);
    sampler.on_chunk(b"logs", &log(2, 2, &none), second(31));
    assert_eq!(sampler.take(true, second(32)), []);
    assert_eq!(sampler.on_chunk(b"logs", &log(3, 3, &none), second(33)), Some(Vec::new()));
    assert_eq!(sampler.log_tally().unwrap().undecided_dropped, [1, 0, 2]);

    let small = TailSettings { max_bytes: 4000, ..SETTINGS };
    let mut sampler = following(small, UndecidedLogs::Keep);
    let mut out = Vec::new();
    for number in 1..=200 {
        let given = log(number, number, &json!({ "text": "x".repeat(100) }));
        out.extend(logs(&sampler.on_chunk(b"logs", &given, second(0)).unwrap()));
        assert!(sampler.held_bytes() <= 4000);
    }
    let numbers: Vec<u64> = out.iter().map(|(number, _)| *number).collect();
    let first = numbers.len() as u64;
    assert!(first > 180 && numbers == (1..=first).collect::<Vec<_>>(), "the oldest leave first");
    let tally = sampler.log_tally().unwrap();
    assert_eq!((tally.undecided_kept, tally.held), ([0, first, 0], 200 - first));

    let mut sampler = following(TailSettings { dry_run: true, ..SETTINGS }, UndecidedLogs::Drop);
    sampler.on_chunk(b"logs", &log(LOW, 1, &none), second(0));
    sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(LOW, 1)]), second(0));
    assert_eq!(leaving(&sampler.take(false, second(30))), [(1, "drop".to_owned())]);
    assert_eq!(sampler.log_tally().unwrap().dry_run, 1);
    sampler.on_chunk(b"logs", &log(5, 2, &none), second(31));
    assert_eq!(
        leaving(&sampler.take(false, second(61))),
        [(2, String::new())],
        "nothing is dropped"
    );

    // A trace that is decided at once, because the buffer was full when it began, while its log waits.
    let shed_at = Threshold::from_percentage(50.0);
    let settings = TailSettings { max_traces: 1, shed_at, ..SETTINGS };
    let mut sampler = following(settings, UndecidedLogs::Keep);
    sampler.on_chunk(b"logs", &log(LOW + 9, 1, &none), second(0));
    let spans: Vec<SpanRecord> = (1..=3).map(|id| SpanRecord::new(id, id)).collect();
    sampler.on_chunk(b"ai", &chunk(&spans), second(1));
    assert!(sampler.is_shedding());
    sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(LOW + 9, 9)]), second(1));
    assert_eq!(leaving(&sampler.take(false, second(31))), []);
    let tally = sampler.log_tally().unwrap();
    assert_eq!((tally.dropped.iter().sum::<u64>(), tally.undecided_kept), (1, [0; 3]));
}

/// Scenario: logs and spans that wait when a process is killed, in groups too, and one trace that was decided before.
/// Guarantees: they wait again in their groups, and are decided together.
#[test]
fn logs_that_waited_come_back_from_the_journal() {
    let none = json!({});
    let mut first = following(SETTINGS, UndecidedLogs::Keep);
    first.keep_journal(true);
    let waiting = [log(HIGH, 1, &none), log(LOW, 2, &none), log(9, 3, &none)];
    first.on_chunk(b"logs", &grouped("shop", &waiting), second(0));
    let spans = [SpanRecord::new(HIGH, 1), SpanRecord::new(LOW, 2).error()];
    first.on_chunk(b"ai", &chunk(&spans), second(1));
    let held = first.take_journal(false);
    assert_eq!(leaving(&first.take(false, second(2))), [(2, "shop errors".to_owned())]);
    let decided = first.take_journal(true);
    let segment = [&crate::sampling::JOURNAL_MAGIC[..], &held.bytes, &decided.bytes].concat();
    let found = crate::sampling::undecided(&[segment]);
    assert_eq!((held.spans, found.spans, found.torn_bytes), (4, 3, 0));
    let mut next = following(SETTINGS, UndecidedLogs::Keep);
    for (tag, events) in &found.chunks {
        next.restore(tag, events, second(100));
    }
    assert_eq!((next.tally().held, next.log_tally().unwrap().held), (1, 2));
    let said = leaving(&next.take(false, second(130)));
    assert_eq!(said, [(1, "shop half 8".to_owned()), (3, "shop".to_owned())]);
    assert!(log_adds_up(next.log_tally().unwrap()) && next.held_bytes() == 0);
    // Without logs that follow, those of the journal are left alone.
    let mut without = sampler();
    for (tag, events) in &found.chunks {
        without.restore(tag, events, second(100));
    }
    assert_eq!(without.tally().held, 1);
}

/// Guarantees: what a policy says of content is in the metadata of what it keeps, released at once, at the end and late,
/// spans and logs, once, in place of what a sampler before said; other policies say nothing.
#[test]
fn a_policy_says_what_becomes_of_content() {
    let policies = usual().with_content(vec![(0, ContentHint::Keep), (2, ContentHint::Drop)]);
    let follow = LogsFollow { undecided: UndecidedLogs::Keep, kept_cache: 1000 };
    let mut sampler = TailSampler::new(config(policies)).with_logs(Some(follow));
    let hints = |events: &[u8]| -> Vec<Option<ContentHint>> {
        let events = Events::new(events).map(Result::unwrap);
        let telemetry = events.map(|event| event.telemetry().unwrap());
        telemetry
            .map(|it| {
                let said = MapView::new(it.otlp).filter(|entry| entry.key == b"content").count();
                assert_eq!(said, usize::from(it.content.is_some()));
                it.content
            })
            .collect()
    };
    let (keep, dropped) = (Some(ContentHint::Keep), Some(ContentHint::Drop));
    sampler.on_chunk(b"logs", &log(HIGH, 1, &json!({})), second(0));
    let spans = [SpanRecord::new(HIGH, 1), SpanRecord::new(LOW, 2).error()];
    let out = sampler.on_chunk(b"ai", &chunk(&spans), second(0)).unwrap();
    assert_eq!(hints(&out), [keep]);
    let again = sampler.on_chunk(b"ai", &out, second(1)).unwrap();
    assert_eq!((hints(&again), read(&again).len()), (vec![keep], 1));
    let slow = SpanRecord::new(LOW + 1, 3).times(1000, 9000);
    assert_eq!(hints(&sampler.on_chunk(b"ai", &chunk(&[slow]), second(1)).unwrap()), [None]);
    let released = sampler.take(false, second(30));
    assert_eq!(released.len(), 2);
    released.iter().for_each(|batch| assert_eq!(hints(&batch.events), [dropped]));
    let late = log(HIGH, 4, &json!({}));
    assert_eq!(hints(&sampler.on_chunk(b"logs", &late, second(31)).unwrap()), [dropped]);
}

/// Guarantees: traces that exemplars name are kept while their budget lasts, in traces, and who wants to know is told.
#[test]
fn traces_of_exemplars_are_kept_within_a_budget() {
    let kept = Arc::new(std::sync::Mutex::new(Vec::new()));
    let told = Arc::clone(&kept);
    let found = FoundIn::new(|_| false)
        .with_exemplars(|trace| trace.0[15] % 2 == 0)
        .with_kept(move |trace| told.lock().unwrap().push(trace.0[15]));
    let limit = Limit { rate: 1.0, burst: 3.0 };
    let within = PolicyRule::Limit(0, LimitUnit::Traces);
    let policy = Policy {
        name: "exemplars".to_owned(),
        rule: PolicyRule::All(vec![PolicyRule::Exemplar, within]),
        action: PolicyAction::Keep,
    };
    let policies = Policies::new(vec![policy], SpanTests::default(), vec![limit]);
    let mut sampler = TailSampler::new(config(policies)).with_findings(found);
    for trace in 1..=10 {
        let pair = [SpanRecord::new(trace, trace), SpanRecord::new(trace, trace + 100)];
        sampler.on_chunk(b"ai", &chunk(&pair), second(0));
    }
    assert_eq!(ids(&sampler.take(false, second(30))), [2, 102, 4, 104, 6, 106]);
    assert_eq!(*kept.lock().unwrap(), [2, 4, 6]);
    let tally = sampler.tally();
    assert_eq!((&tally.kept[..], &tally.dropped[..]), (&[6][..], &[10, 4][..]));
}

#[derive(Debug, Clone)]
enum Step {
    Spans(Vec<(u64, bool)>),
    Logs { list: Vec<(u64, usize)>, grouped: bool, other_tag: bool },
    Take(u64),
    DryRun(bool),
    PutBack,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let spans = prop::collection::vec((0_u64..30, prop::bool::weighted(0.1)), 1..8);
    let list = prop::collection::vec((0_u64..40, 0_usize..300), 1..12);
    let logs = (list, any::<bool>(), prop::bool::weighted(0.2));
    let step = prop_oneof![
        5 => spans.prop_map(Step::Spans),
        5 => logs.prop_map(|(list, grouped, other_tag)| Step::Logs { list, grouped, other_tag }),
        3 => (0_u64..20).prop_map(Step::Take),
        1 => prop::bool::weighted(0.3).prop_map(Step::DryRun),
        1 => Just(Step::PutBack),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Scenario: spans and logs of the same traces in any order, in groups and alone, under two tags, with little and
    /// much memory, dry runs that begin and end, and emissions that are refused once. Guarantees: after each step
    /// received = kept + dropped + let through + held holds for spans and for logs, memory is bounded, no log comes
    /// out twice, those that have a policy are of traces whose spans have it, and at the end nothing is held.
    #[test]
    fn logs_add_up_in_any_order(
        steps in steps(), max_bytes in prop_oneof![2_500_usize..8_000, Just(1 << 20)], keep in any::<bool>(),
    ) {
        let settings = TailSettings { max_bytes, ..SETTINGS };
        let undecided = if keep { UndecidedLogs::Keep } else { UndecidedLogs::Drop };
        let mut sampler = following(settings, undecided);
        sampler.keep_journal(true);
        let (mut now, mut number, mut out, mut spans_out) = (0, 0, Vec::new(), Vec::new());
        let (mut span_traces, mut log_traces) = (BTreeMap::new(), BTreeMap::new());
        let trace_of = |index: u64| (index % 2) * HIGH + index + 1;
        for step in steps {
            let mut released = Vec::new();
            match step {
                Step::Spans(list) => {
                    let records: Vec<SpanRecord> = list.into_iter().map(|(index, error)| {
                        number += 1;
                        span_traces.insert(number, trace_of(index));
                        let span = SpanRecord::new(trace_of(index), number);
                        if error { span.error() } else { span }
                    }).collect();
                    let given = chunk(&records);
                    let passed = sampler.on_chunk(b"ai", &given, second(now)).unwrap_or(given);
                    spans_out.extend(read(&passed));
                }
                Step::Logs { list, grouped: in_group, other_tag } => {
                    let records: Vec<Vec<u8>> = list.into_iter().map(|(index, size)| {
                        number += 1;
                        let trace = if index == 39 { 0 } else { trace_of(index) };
                        log_traces.insert(number, trace);
                        log(trace, number, &json!({ "text": "x".repeat(size) }))
                    }).collect();
                    let given = if in_group { grouped("shop", &records) } else { records.concat() };
                    let tag: &[u8] = if other_tag { b"other" } else { b"logs" };
                    let passed = sampler.on_chunk(tag, &given, second(now)).unwrap_or(given);
                    out.extend(logs(&passed));
                }
                Step::Take(seconds) => {
                    now += seconds;
                    released = sampler.take(false, second(now));
                    sampler.take_journal(true);
                }
                Step::DryRun(dry_run) => {
                    sampler.replace(set(TailSettings { dry_run, ..settings }), second(now));
                }
                Step::PutBack => {
                    for emission in sampler.take(false, second(now)) {
                        sampler.put_back(emission);
                    }
                }
            }
            for batch in &released {
                if batch.tag == b"ai" {
                    spans_out.extend(read(&batch.events));
                } else {
                    out.extend(logs(&batch.events));
                }
            }
            prop_assert!(adds_up(sampler.tally()));
            prop_assert!(log_adds_up(sampler.log_tally().unwrap()));
            let waiting = sampler.logs.as_ref().unwrap().waiting_bytes();
            prop_assert!(waiting <= max_bytes / 2, "{waiting}");
        }
        for batch in sampler.take(true, second(now)) {
            if batch.tag == b"ai" {
                spans_out.extend(read(&batch.events));
            } else {
                out.extend(logs(&batch.events));
            }
        }
        let tally = sampler.log_tally().unwrap();
        prop_assert_eq!((tally.held, sampler.tally().held, sampler.held_bytes()), (0, 0, 0));
        prop_assert!(log_adds_up(tally));
        let ids: BTreeSet<u64> = out.iter().map(|(number, _)| *number).collect();
        prop_assert_eq!(ids.len(), out.len(), "no log comes out twice");
        let dropped: u64 = tally.dropped.iter().chain(&tally.undecided_dropped).sum();
        prop_assert_eq!(out.len() as u64 + dropped, log_traces.len() as u64);
        let kept: BTreeSet<u64> = spans_out.iter().map(|span| span_traces[&span.0]).collect();
        for (number, said) in out.iter().filter(|(_, said)| said.contains("half") || said.contains("errors")) {
            prop_assert!(kept.contains(&log_traces[number]), "{said}");
        }
    }
}
