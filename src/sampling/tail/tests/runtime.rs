//! What changes while a sampler runs, and what bounds it: dry runs, limits of traces, shedding, other policies,
//! waits that are learned.

use super::*;
use crate::sampling::DRY_RUN_ATTRIBUTE;

/// (span id, what a dry run says of it) of every span in a stream of events.
fn predictions(events: &[u8]) -> Vec<(u64, String)> {
    Events::new(events)
        .map(|event| {
            let body = MapView::new(event.unwrap().body);
            let attributes = MapView::new(body.get(b"attributes").unwrap_or_default());
            let said = attributes.get(DRY_RUN_ATTRIBUTE.as_bytes()).and_then(text_of);
            let id = body.get(b"span_id").and_then(text_of).unwrap();
            (u64::from_str_radix(id, 16).unwrap(), said.unwrap_or_default().to_owned())
        })
        .collect()
}

/// Scenario: traces of which policies keep one at once and one at the end, and drop one; late spans.
/// Guarantees: every span goes on, once, says what would have happened and by which policy, and keeps its
/// tracestate; counters say how much would have been kept and dropped.
#[test]
fn a_dry_run_drops_nothing_and_says_what_would_have_happened() {
    let mut sampler = TailSampler::new(set(TailSettings { dry_run: true, ..SETTINGS }));
    let first = [
        SpanRecord::new(LOW, 1).state("ot=th:4"),
        SpanRecord::new(HIGH, 2).with("k", "v"),
        SpanRecord::new(LOW + 1, 3).error(),
    ];
    let out = sampler.on_chunk(b"ai", &chunk(&first), second(0)).unwrap();
    assert_eq!(predictions(&out), [(3, "keep".to_owned())]);
    assert_eq!(sampler.tally().held, 2);
    let released = sampler.take(false, second(30));
    let events = &released[0].events;
    assert_eq!(predictions(events), [(1, "drop".to_owned()), (2, "keep".to_owned())]);
    let spans = read(events);
    assert_eq!((spans[0].1.as_str(), spans[0].2.as_str()), ("", "ot=th:4"));
    assert_eq!((spans[1].1.as_str(), spans[1].2.as_str()), ("half", ""));
    let late = [SpanRecord::new(LOW, 4), SpanRecord::new(HIGH, 5)];
    let out = sampler.on_chunk(b"ai", &chunk(&late), second(31)).unwrap();
    assert_eq!(predictions(&out), [(4, "drop".to_owned()), (5, "keep".to_owned())]);
    let tally = sampler.tally();
    assert_eq!((tally.dry_run, tally.late_kept, tally.late_dropped), (5, 1, 1));
    assert_eq!((&tally.kept[..], &tally.dropped[..]), (&[0; 3][..], &[0; 4][..]));
    let spans = |volumes: &[Volume]| volumes.iter().map(|of| of.spans).collect::<Vec<_>>();
    assert_eq!(spans(&tally.predicted_kept), [1, 0, 2]);
    assert_eq!(spans(&tally.predicted_dropped), [2, 0, 0, 0]);
    let bytes: u64 =
        tally.predicted_kept.iter().chain(&tally.predicted_dropped).map(|of| of.bytes).sum();
    let bodies = |spans: &[SpanRecord]| -> u64 {
        Events::new(&chunk(spans)).map(|event| event.unwrap().body.len() as u64).sum()
    };
    assert_eq!(bytes, bodies(&first) + bodies(&late));
    assert!(adds_up(tally));
}

/// Scenario: a trace that goes on and on, with a limit of spans and one of bytes. Guarantees: it is decided
/// when it reaches the limit, all of its spans go the same way, and a smaller one waits as ever.
#[test]
fn a_trace_is_decided_when_it_is_as_large_as_one_may_be() {
    let body = Events::new(&chunk(&[SpanRecord::new(HIGH, 1)])).next().unwrap().unwrap().body.len();
    let (max_trace_spans, max_trace_bytes) = (Some(10), Some(10 * body as u64));
    for settings in
        [TailSettings { max_trace_spans, ..SETTINGS }, TailSettings { max_trace_bytes, ..SETTINGS }]
    {
        let mut sampler = TailSampler::new(set(settings));
        let mut out = Vec::new();
        for span in 11..36 {
            let spans = [SpanRecord::new(HIGH, span), SpanRecord::new(LOW, span + 100)];
            let chunk = chunk(if span < 20 { &spans[..] } else { &spans[..1] });
            out.extend(read(&sampler.on_chunk(b"ai", &chunk, second(0)).unwrap()));
        }
        assert_eq!(out.iter().map(|span| span.0).collect::<Vec<_>>(), (11..36).collect::<Vec<_>>());
        let tally = sampler.tally();
        assert_eq!((tally.early_trace_limit, tally.late_kept, tally.held), (1, 15, 9));
        assert!(adds_up(tally));
    }
}

/// Scenario: more traces than the buffer has room for, each over two chunks, with shedding at 25 %; then few.
/// Guarantees: the buffer is decided as before, traces that begin meanwhile go by their id and say so in their
/// threshold, all spans of a trace go the same way, adjusted counts add up to what came, and shedding ends.
#[test]
fn what_begins_while_the_buffer_is_full_goes_by_its_id_at_the_right_weight() {
    let shed_at = Threshold::from_percentage(25.0);
    // `all` lasts, so that it would decide at once; an upper bound makes it wait.
    let late = rules(vec![("all", PolicyRule::SpanCount(1, Some(99)), PolicyAction::Keep)]);
    let settings = TailSettings { max_traces: 500, shed_at, ..SETTINGS };
    let caches = TailConfig { settings, ..config(late) };
    let mut sampler =
        TailSampler::new(TailConfig { kept_cache: 100_000, dropped_cache: 100_000, ..caches });
    let mut out = Vec::new();
    // The low 56 bits of a trace id are its randomness: spread them evenly.
    let id = |trace: u64| trace.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let traces = 20_000_u64;
    for part in 0..2 {
        for trace in 0..traces {
            let span = SpanRecord::new(id(trace), 1 + trace * 2 + part);
            let given = chunk(&[span]);
            out.extend(read(&sampler.on_chunk(b"ai", &given, second(part)).unwrap()));
            assert!(sampler.buffer.len() <= 500);
        }
    }
    assert!(sampler.is_shedding() && adds_up(sampler.tally()));
    out.extend(spans(&sampler.take(false, second(40))));
    sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(HIGH, 1 << 40)]), second(41));
    assert!(!sampler.is_shedding());
    assert_eq!(sampler.tally().held, 1, "it waits again");
    let mut by_trace: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for (span, policy, state, _) in &out {
        assert_eq!(state.as_str(), if policy == "shedding" { "ot=th:c" } else { "" });
        by_trace.entry((span - 1) / 2).or_default().push(policy);
    }
    assert!(by_trace.values().all(|policies| policies.len() == 2 && policies[0] == policies[1]));
    let shed = by_trace.values().filter(|policies| policies[0] == "shedding").count() as f64;
    let whole = by_trace.len() as f64 - shed;
    let estimate = shed.mul_add(shed_at.unwrap().adjusted_count(), whole);
    // The error of a binomial: 4 standard deviations.
    let deviation = 4.0 * (traces as f64 * 0.75 * 4.0).sqrt();
    assert!((estimate - traces as f64).abs() < deviation, "{estimate}");
    let tally = sampler.tally();
    assert_eq!(tally.shed_kept as f64, shed);
    assert!(tally.shed_dropped > 10_000 && tally.dropped.last() == Some(&(2 * tally.shed_dropped)));
}

/// Errors in place of the usual policies.
fn errors_only() -> TailConfig {
    config(rules(vec![
        ("errors", PolicyRule::SpanTest(0), PolicyAction::Keep),
        ("long", PolicyRule::SpanCount(2, None), PolicyAction::Keep),
    ]))
}

/// Scenario: policies that take the place of others while traces wait, with the same span test under another
/// number and without a policy that kept spans. Guarantees: what waits is decided by the new ones, as a
/// whole, counts stay under their names, and late spans name the policy that kept their trace.
#[test]
fn other_policies_decide_what_waits() {
    let mut sampler = sampler();
    let held = [SpanRecord::new(HIGH, 1), SpanRecord::new(HIGH + 1, 2), SpanRecord::new(LOW, 3)];
    sampler.on_chunk(b"ai", &chunk(&held[..1]), second(0));
    assert_eq!(ids(&sampler.take(false, second(30))), [1]);
    sampler.on_chunk(b"ai", &chunk(&held[1..]), second(31));
    let mut tests = SpanTests::default();
    tests.add(SpanTest::Status(vec![StatusCode::Ok])).unwrap();
    tests.add(SpanTest::Status(vec![StatusCode::Unset])).unwrap();
    let unset = Policy {
        name: "unset".to_owned(),
        rule: PolicyRule::All(vec![PolicyRule::SpanTest(1), PolicyRule::SpanCount(1, Some(1))]),
        action: PolicyAction::Keep,
    };
    let policies = Policies::new(vec![unset], tests, Vec::new());
    assert!(sampler.replace(config(policies), second(32)));
    assert_eq!(sampler.names(), ["errors", "slow", "half", "unset"]);
    sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(LOW, 4)]), second(33));
    let late = sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(HIGH, 5)]), second(34)).unwrap();
    assert_eq!(read(&late)[0].1, "half");
    assert_eq!(ids(&sampler.take(false, second(61))), [2], "of two spans is the other");
    let tally = sampler.tally();
    assert_eq!((&tally.kept[..], &tally.dropped[..]), (&[0, 0, 2, 1][..], &[2, 0, 0, 0, 0][..]));
    assert!(adds_up(tally) && sampler.held_bytes() == 0);
}

/// Scenario: changed policies that are compared for a minute. Guarantees: meanwhile the policies before
/// decide, what would be decided otherwise is counted, and then the new ones decide.
#[test]
fn changed_policies_are_compared_before_they_decide() {
    let mut sampler = sampler();
    let compare_for = Duration::from_secs(60);
    assert!(!sampler.replace(TailConfig { compare_for, ..errors_only() }, second(0)));
    let pair = |trace, span| [SpanRecord::new(trace, span), SpanRecord::new(trace, span + 1)];
    let mut spans = vec![SpanRecord::new(HIGH, 1), SpanRecord::new(LOW, 2)];
    spans.extend(pair(LOW + 1, 3));
    spans.extend(pair(HIGH + 1, 5));
    sampler.on_chunk(b"ai", &chunk(&spans), second(1));
    let mut kept = ids(&sampler.take(false, second(31)));
    kept.sort_unstable();
    assert_eq!((kept, sampler.generation()), (vec![1, 5, 6], 0));
    assert_eq!(sampler.tally().compared, [2, 1, 1]);
    sampler.on_chunk(b"ai", &chunk(&pair(LOW + 2, 7)), second(59));
    sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(HIGH + 2, 9)]), second(60));
    assert_eq!(sampler.generation(), 1);
    let out = sampler.take(false, second(90));
    assert_eq!(ids(&out), [7, 8]);
    assert_eq!(sampler.tally().compared, [2, 1, 1]);
    assert!(adds_up(sampler.tally()));
}

/// Scenario: agents whose runs last for ten minutes, chats of two seconds from the same resource, and runs
/// of agents that fail early. Guarantees: once it is known how long they go on, runs are decided as a whole when
/// their root came, chats as soon as ever, what is kept for certain leaves at the usual wait, and a run
/// that never ends is decided at the longest wait.
#[test]
fn waits_follow_what_traces_of_a_shape_took() {
    let settings = TailSettings {
        wait_after_root: Some(Duration::from_secs(2)),
        longest_wait: Some(Duration::from_secs(900)),
        ..SETTINGS
    };
    let long = PolicyRule::SpanCount(3, Some(100));
    let quick = PolicyRule::Not(Box::new(PolicyRule::SpanTest(0)));
    let failed = PolicyRule::All(vec![PolicyRule::SpanTest(0), PolicyRule::SpanCount(1, Some(9))]);
    let list = vec![
        ("long", long, PolicyAction::Keep),
        ("failed", failed, PolicyAction::Keep),
        ("quick", PolicyRule::All(vec![quick, PolicyRule::SpanCount(9, None)]), PolicyAction::Keep),
    ];
    let mut sampler = TailSampler::new(TailConfig { settings, ..config(rules(list)) });
    let step = |trace, span: u64| SpanRecord::new(HIGH + trace, span).parent(9);
    let root = |trace, span: u64| SpanRecord::new(HIGH + trace, span);
    let mut give = |spans: &[SpanRecord], now: u64| {
        sampler.on_chunk(b"ai", &chunk(spans), second(now));
        let mut released = ids(&sampler.take(false, second(now)));
        released.sort_unstable();
        (released, sampler.tally().clone())
    };
    // The first run is decided too early: its first span alone. What comes late says how long it goes on.
    assert_eq!(give(&[step(1, 1)], 0).0, [0; 0]);
    assert_eq!(give(&[], 30).1.dropped[0], 1);
    give(&[step(1, 2), root(1, 3)], 600);
    // The second one is decided when its root came.
    give(&[step(2, 11)], 1000);
    let (none, tally) = give(&[step(2, 12)], 1300);
    assert_eq!((none, tally.prolonged), (vec![], 1));
    give(&[root(2, 13)], 1600);
    assert_eq!(give(&[], 1602).0, [11, 12, 13]);
    // A chat is alone, and its own root.
    give(&[root(3, 21)], 2000);
    let (_, tally) = give(&[], 2002);
    assert_eq!((tally.held, tally.prolonged), (0, 1));
    // A run that failed is kept for certain when its usual wait is over; what follows goes with it.
    give(&[step(4, 31).error()], 3000);
    let (released, tally) = give(&[], 3030);
    assert_eq!((released, tally.early_provisional), (vec![31], 1));
    assert_eq!(give(&[root(4, 32)], 3400).1.late_kept, 1);
    // A run without an end, learned to last for ten minutes, and so waited for a quarter longer.
    give(&[step(5, 41)], 4000);
    give(&[], 4030);
    assert_eq!(give(&[step(5, 42), step(5, 43)], 4700).0, [0; 0]);
    assert_eq!(give(&[], 4900).0, [41, 42, 43]);
    assert!(adds_up(sampler.tally()) && sampler.held_bytes() == 0);
    assert_eq!(sampler.waits.lengths(), [0; 3]);
}

#[derive(Debug, Clone)]
enum Turn {
    Spans(Vec<(u64, bool)>),
    Take(u64),
    Replace { dry_run: bool, shed: bool, learn: bool, compare: bool, errors: bool },
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let spans = prop::collection::vec((0_u64..40, prop::bool::weighted(0.1)), 1..20);
    let turn = prop_oneof![
        6 => spans.prop_map(Turn::Spans),
        3 => (0_u64..20).prop_map(Turn::Take),
        1 => any::<[bool; 5]>().prop_map(|[dry_run, shed, learn, compare, errors]| Turn::Replace {
            dry_run, shed, learn, compare, errors,
        }),
    ];
    prop::collection::vec(turn, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Scenario: any traffic, with other policies and settings at any moment. Guarantees: at any moment
    /// received = kept + dropped + let through + held; no span comes twice, and as many come as counters say.
    #[test]
    fn whatever_changes_everything_adds_up(turns in turns(), max_bytes in 2_000_usize..30_000) {
        let mut sampler = TailSampler::new(set(TailSettings { max_bytes, ..SETTINGS }));
        let (mut now, mut number, mut out) = (0, 0, Vec::new());
        for turn in turns {
            match turn {
                Turn::Spans(list) => {
                    let records: Vec<SpanRecord> = list.into_iter().map(|(trace, error)| {
                        number += 1;
                        let span = SpanRecord::new((trace % 2) * HIGH + trace + 1, number);
                        let span = if trace % 3 == 0 { span.parent(9) } else { span };
                        if error { span.error() } else { span }
                    }).collect();
                    let given = chunk(&records);
                    let passed = sampler.on_chunk(b"ai", &given, second(now)).unwrap_or(given);
                    out.extend(read(&passed));
                    prop_assert!(sampler.held_bytes() <= max_bytes);
                }
                Turn::Take(seconds) => {
                    now += seconds;
                    out.extend(spans(&sampler.take(false, second(now))));
                }
                Turn::Replace { dry_run, shed, learn, compare, errors } => {
                    let settings = TailSettings {
                        max_bytes,
                        dry_run,
                        shed_at: Threshold::from_percentage(if shed { 25.0 } else { 0.0 }),
                        longest_wait: learn.then_some(Duration::from_secs(300)),
                        max_trace_spans: learn.then_some(5),
                        ..SETTINGS
                    };
                    let next = if errors { errors_only() } else { config(usual()) };
                    let compare_for = Duration::from_secs(if compare { 40 } else { 0 });
                    sampler.replace(TailConfig { settings, compare_for, ..next }, second(now));
                }
            }
            prop_assert!(adds_up(sampler.tally()));
        }
        out.extend(spans(&sampler.take(true, second(now))));
        let tally = sampler.tally();
        prop_assert_eq!((tally.held, adds_up(tally), sampler.held_bytes()), (0, true, 0));
        let ids: BTreeSet<u64> = out.iter().map(|span| span.0).collect();
        prop_assert_eq!(ids.len(), out.len(), "no span comes out twice");
        let dropped: u64 = tally.dropped.iter().sum();
        prop_assert_eq!(out.len() as u64 + dropped, number);
    }
}

/// Scenario: spans over three chunks, of which some traces are decided before the process is killed; then a
/// sampler that has what the journal says, and more spans of these traces. Guarantees: what was decided does not
/// come back, what waited is decided with what follows, as a whole and once, and everything adds up.
#[test]
fn what_waited_is_decided_anew_by_the_journal() {
    let mut first = sampler();
    first.keep_journal(true);
    let mut frames = Vec::new();
    let mut out = Vec::new();
    for (spans, now) in [
        (vec![SpanRecord::new(HIGH, 1), SpanRecord::new(LOW, 2), SpanRecord::new(HIGH + 1, 3)], 0),
        (vec![SpanRecord::new(LOW, 4).error(), SpanRecord::new(LOW + 1, 5).error()], 1),
        (vec![SpanRecord::new(HIGH + 2, 6).with("k", "v"), SpanRecord::new(HIGH + 3, 7)], 20),
    ] {
        out.extend(read(&first.on_chunk(b"ai", &chunk(&spans), second(now)).unwrap()));
        frames.push(first.take_journal(false));
        frames.push(first.take_journal(true));
        out.extend(spans_of(&mut first, now));
    }
    out.extend(spans_of(&mut first, 30));
    frames.push(first.take_journal(true));
    let mut before: Vec<u64> = out.iter().map(|span| span.0).collect();
    before.sort_unstable();
    assert_eq!(before, [1, 2, 3, 4, 5]);
    drop(first);
    let bytes = frames.iter().flat_map(|frames| frames.bytes.clone());
    let segment: Vec<u8> = crate::sampling::JOURNAL_MAGIC.iter().copied().chain(bytes).collect();
    let found = crate::sampling::undecided(&[segment]);
    assert_eq!((found.spans, found.torn_bytes), (2, 0));
    let mut next = sampler();
    for (tag, events) in &found.chunks {
        next.restore(tag, events, second(100));
    }
    assert_eq!((next.tally().received, next.tally().held), (2, 2));
    let more = [SpanRecord::new(HIGH + 2, 8), SpanRecord::new(HIGH + 3, 9).error()];
    let out = next.on_chunk(b"ai", &chunk(&more), second(101)).unwrap();
    assert_eq!(read(&out).iter().map(|span| span.0).collect::<Vec<_>>(), [7, 9]);
    assert_eq!(ids(&next.take(false, second(130))), [6, 8]);
    assert!(adds_up(next.tally()) && next.held_bytes() == 0);
    // With little room what is restored is decided early.
    let mut small = TailSampler::new(set(TailSettings { max_traces: 1, ..SETTINGS }));
    for (tag, events) in &found.chunks {
        small.restore(tag, events, second(0));
    }
    assert_eq!((small.tally().early_full, small.tally().held), (1, 1));
    assert_eq!(ids(&small.take(false, second(1))), [6]);
}

fn spans_of(sampler: &mut TailSampler, now: u64) -> Vec<(u64, String, String, Option<Position>)> {
    spans(&sampler.take(false, second(now)))
}

/// What is let out by a sampler whose traces are due.
fn turns_of(sampler: &mut TailSampler, now: Tick) -> Vec<u64> {
    let before = sampler.tally().held;
    sampler.take(false, now);
    let mut turns = vec![before - sampler.tally().held];
    while sampler.is_behind() {
        let before = sampler.tally().held;
        sampler.take(false, now);
        turns.push(before - sampler.tally().held);
        assert!(adds_up(sampler.tally()));
    }
    turns
}

/// Scenario: a hundred thousand spans whose waits end together, with decision waits by the first span and by the
/// root, and with learned waits. Guarantees: no call decides about more than a turn's worth and one trace, and the
/// sampler says that it is behind until all are decided.
#[test]
fn what_is_due_at_once_is_decided_in_turns() {
    let (after_root, longest) = (Some(Duration::from_secs(1)), Some(Duration::from_secs(60)));
    for settings in [
        SETTINGS,
        TailSettings { wait_after_root: after_root, ..SETTINGS },
        TailSettings { longest_wait: longest, ..SETTINGS },
    ] {
        let settings = TailSettings { max_bytes: 1 << 30, max_traces: 1 << 20, ..settings };
        let mut sampler = TailSampler::new(set(settings));
        for traces in (0..25_000_u64).collect::<Vec<_>>().chunks(100) {
            let spans = |trace: u64| (1..=4).map(move |span| SpanRecord::new(trace * 16 + 1, span));
            let spans: Vec<SpanRecord> = traces.iter().flat_map(|trace| spans(*trace)).collect();
            sampler.on_chunk(b"ai", &chunk(&spans), second(0));
        }
        assert_eq!(sampler.tally().held, 100_000);
        let turns = turns_of(&mut sampler, second(61));
        assert!(turns.iter().all(|spans| *spans <= due::TURN + 4), "{turns:?}");
        assert_eq!(turns.iter().sum::<u64>(), 100_000);
        assert!(turns.len() >= 24 && turns.len() < 40, "{}", turns.len());
        assert_eq!((sampler.tally().held, sampler.held_bytes()), (0, 0));
    }
    let mut sampler = sampler();
    sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(LOW, 1)]), second(0));
    assert_eq!(turns_of(&mut sampler, second(61)), [1]);
    assert_eq!(turns_of(&mut sampler, second(61)), [0]);
}

/// Scenario: many traces are due, and the host stops. Guarantees: all leave in one call.
#[test]
fn at_the_end_nothing_waits_for_its_turn() {
    let settings = TailSettings { max_bytes: 1 << 30, max_traces: 1 << 20, ..SETTINGS };
    let mut sampler = TailSampler::new(set(settings));
    for trace in 1..=10_000 {
        sampler.on_chunk(b"ai", &chunk(&[SpanRecord::new(trace, trace)]), second(0));
    }
    sampler.take(false, second(30));
    assert!(sampler.is_behind() && sampler.tally().held > 0);
    sampler.take(true, second(30));
    assert_eq!((sampler.is_behind(), sampler.tally().held), (false, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Guarantees: a sampler that decides early keeps the spans that one keeps which waits, with the same
    /// thresholds, and counts as many as kept and dropped.
    #[test]
    fn deciding_early_changes_nothing_but_when(
        spans in prop::collection::vec((0..20_u64, prop::bool::weighted(0.1), 0..9_000_u64, any::<bool>()), 1..150),
        which in 0..4_usize,
    ) {
        let policies = || match which {
            0 => usual(),
            1 => rules(vec![("brief", PolicyRule::Latency(None, Some(Duration::from_secs(4))), PolicyAction::Keep)]),
            2 => rules(vec![
                ("all", PolicyRule::Always, PolicyAction::Keep),
                ("errors", PolicyRule::SpanTest(0), PolicyAction::Drop),
                ("slow", PolicyRule::Latency(Some(Duration::from_secs(6)), None), PolicyAction::Drop),
            ]),
            _ => rules(vec![
                ("few", PolicyRule::SpanCount(0, Some(5)), PolicyAction::Drop),
                ("slow", PolicyRule::Latency(Some(Duration::from_secs(3)), None), PolicyAction::Keep),
                ("half", PolicyRule::Probability(Threshold::from_percentage(50.0)), PolicyAction::Keep),
            ]).in_order(true),
        };
        let run = |decides_early: bool| {
            let settings = TailSettings { decides_early, ..SETTINGS };
            let mut sampler = TailSampler::new(TailConfig { settings, ..config(policies()) });
            let (mut pending, mut out) = (Vec::new(), Vec::new());
            for (index, (trace, error, millis, ends)) in (1_u64..).zip(&spans) {
                let span = SpanRecord::new((trace % 2) * HIGH + trace + 1, index).times(10_000, 10_000 + millis);
                pending.push(if *error { span.error() } else { span });
                if *ends {
                    let chunk = chunk(&std::mem::take(&mut pending));
                    out.extend(read(&sampler.on_chunk(b"ai", &chunk, second(0)).unwrap()));
                    assert!(adds_up(sampler.tally()));
                }
            }
            if !pending.is_empty() {
                out.extend(read(&sampler.on_chunk(b"ai", &chunk(&pending), second(0)).unwrap()));
            }
            out.extend(self::spans(&sampler.take(false, second(30))));
            let tally = sampler.tally();
            assert!(adds_up(tally) && tally.held == 0);
            assert!(decides_early || tally.early_certain == 0);
            let kept: BTreeMap<u64, String> = out.into_iter().map(|span| (span.0, span.2)).collect();
            (kept, tally.kept.iter().sum::<u64>(), tally.dropped.iter().sum::<u64>())
        };
        prop_assert_eq!(run(true), run(false));
    }
}
