use super::*;
use crate::aggregation::usage::Tokens;
use crate::model::SpanId;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;

impl SaidUsage for u64 {
    fn tokens(&self) -> Tokens {
        Tokens::new(Some(*self as f64), None)
    }
}

/// (span, parent, response id or 0 for none; no call at all)
type Spec = (u64, u64, Option<u64>);

fn seen(spec: Spec) -> SeenSpan<u64> {
    let (span, parent, call) = spec;
    SeenSpan {
        trace: TraceId([1; 16]),
        span: SpanId(span.to_be_bytes()),
        parent: (parent != 0).then(|| SpanId(parent.to_be_bytes())),
        call: call.map(|response| (response, span)),
        sum: None,
    }
}

fn observe(tracker: &mut CallTracker<u64>, seen: SeenSpan<u64>, now: Tick) -> CallChanges<u64> {
    let mut changes = CallChanges::default();
    tracker.observe(&seen, now, &mut changes);
    changes
}

/// Which spans count in the end.
fn counted(specs: &[Spec]) -> BTreeSet<u64> {
    let mut tracker = CallTracker::new(Duration::from_secs(60), 100);
    let mut counted = BTreeSet::new();
    for spec in specs {
        let changes = observe(&mut tracker, seen(*spec), Tick(1));
        for span in changes.take_back {
            assert!(counted.remove(&span), "only what was counted is taken back");
        }
        for span in changes.count {
            assert!(counted.insert(span), "nothing is counted twice");
        }
    }
    counted
}

/// The result for every order of up to six spans.
fn in_any_order(specs: &[Spec], check: impl Fn(&BTreeSet<u64>) -> bool) {
    fn permute(rest: &mut Vec<Spec>, done: usize, check: &dyn Fn(&BTreeSet<u64>) -> bool) {
        if done == rest.len() {
            let result = counted(rest);
            assert!(check(&result), "{rest:?}: {result:?}");
            return;
        }
        for at in done..rest.len() {
            rest.swap(done, at);
            permute(rest, done + 1, check);
            rest.swap(done, at);
        }
    }
    permute(&mut specs.to_vec(), 0, &check);
}

#[test]
fn separate_calls_all_count() {
    let agent =
        [(1, 0, None), (2, 1, Some(21)), (3, 1, Some(22)), (4, 1, Some(0)), (5, 1, Some(0))];
    in_any_order(&agent, |counted| counted.len() == 4);
}

#[test]
fn the_innermost_of_nested_calls_counts() {
    let through_http = [(1, 0, Some(0)), (2, 1, None), (3, 2, None), (4, 3, Some(0))];
    in_any_order(&through_http, |counted| counted.iter().eq([&4]));
    let retried = [(1, 0, Some(0)), (2, 1, Some(0)), (3, 1, None), (4, 3, Some(0))];
    in_any_order(&retried, |counted| counted.iter().eq([&2, &4]));
    let lost_between = [(1, 0, Some(0)), (3, 2, Some(0))];
    in_any_order(&lost_between, |counted| counted.len() == 2);
}

#[test]
fn one_response_counts_once_even_when_spans_are_missing() {
    let lost_between = [(1, 0, Some(9)), (5, 0, None), (4, 3, Some(9))];
    in_any_order(&lost_between, |counted| counted.len() == 1);
    let nested = [(1, 0, Some(9)), (2, 1, None), (3, 2, Some(9))];
    in_any_order(&nested, |counted| counted.len() == 1);
    let with_another_below = [(1, 0, Some(9)), (2, 1, None), (3, 2, Some(9)), (4, 1, Some(8))];
    in_any_order(&with_another_below, |counted| counted.contains(&4) && counted.contains(&3));
}

#[test]
fn a_repeated_or_cyclic_span_does_no_harm() {
    assert_eq!(counted(&[(1, 0, Some(0)), (1, 0, Some(0))]).len(), 1);
    assert_eq!(counted(&[(1, 1, Some(0))]).len(), 1);
    assert_eq!(counted(&[(1, 2, Some(0)), (2, 1, None)]).len(), 1);
}

#[test]
fn traces_are_forgotten_in_time_and_number() {
    let mut tracker = CallTracker::new(Duration::from_secs(60), 100);
    for trace in 0..1000_u128 {
        let seen = SeenSpan { trace: TraceId(trace.to_be_bytes()), ..seen((1, 0, Some(0))) };
        assert!(!observe(&mut tracker, seen, Tick(1)).duplicate);
        assert!(tracker.young.traces.len() + tracker.old.traces.len() <= 100);
    }
    let mut duplicate = |seconds: u64| {
        let now = Tick(seconds * 1_000_000_000);
        observe(&mut tracker, seen((1, 0, Some(5))), now).duplicate
    };
    assert_eq!([1, 60, 119, 300, 301].map(&mut duplicate), [false, true, true, false, true]);
}

/// Scenario: a trace of a hundred spans that goes on after its time was half over. Guarantees: what was seen of it before
/// holds, and goes with it.
#[test]
fn a_trace_that_goes_on_keeps_its_spans() {
    let mut tracker = CallTracker::new(Duration::from_secs(60), 100);
    for span in 2..=100 {
        observe(&mut tracker, seen((span, span - 1, None)), Tick(1));
    }
    let later = Tick(70_000_000_000);
    assert_eq!(observe(&mut tracker, seen((101, 100, Some(0))), later).count, [101]);
    assert!(observe(&mut tracker, seen((1, 0, Some(0))), later).duplicate, "it lies above");
    assert_eq!([tracker.young.traces.len(), tracker.old.traces.len()], [1, 0]);
}

/// A span, or an event: its span, name, tokens and response id, and what it counts.
#[derive(Debug, Clone, Copy)]
enum Told {
    Span(Spec),
    Event(u64, u32, u32, u64, u64),
}

/// What counts in the end, for every order.
fn told_in_any_order(items: &[Told], want: &[&[u64]]) {
    fn permute(order: &mut Vec<usize>, done: usize, orders: &mut Vec<Vec<usize>>) {
        if done == order.len() {
            orders.push(order.clone());
            return;
        }
        for at in done..order.len() {
            order.swap(done, at);
            permute(order, done + 1, orders);
            order.swap(done, at);
        }
    }
    let mut order: Vec<usize> = (0..items.len()).collect();
    let mut orders = Vec::new();
    permute(&mut order, 0, &mut orders);
    for order in orders {
        let mut tracker = CallTracker::new(Duration::from_secs(60), 100);
        let mut counted = BTreeSet::new();
        for item in order.iter().map(|index| items[*index]) {
            let mut changes = CallChanges::default();
            match item {
                Told::Span(spec) => tracker.observe(&seen(spec), Tick(1), &mut changes),
                Told::Event(span, name, tokens, response, what) => {
                    let event = EventOfCall { name, tokens };
                    let (trace, span) = (TraceId([1; 16]), SpanId(span.to_be_bytes()));
                    let seen = SeenEvent { trace, span, response, event, what };
                    tracker.observe_event(&seen, Tick(1), &mut changes);
                }
            }
            for what in changes.take_back {
                assert!(counted.remove(&what), "{order:?}: only what was counted is taken back");
            }
            for what in changes.count {
                assert!(counted.insert(what), "{order:?}: nothing is counted twice");
            }
        }
        let counted: Vec<u64> = counted.into_iter().collect();
        assert!(want.contains(&&counted[..]), "{order:?}: {counted:?}");
    }
}

/// Scenario: events in the span of their call, in the span above it, with its response id, of two kinds,
/// and alone, in every order. Guarantees: a call that a span tells of counts by the span, and each of
/// the others once.
#[test]
fn events_yield_to_spans() {
    let event = |span, what| Told::Event(span, 1, 30, 0, what);
    told_in_any_order(&[Told::Span((1, 0, Some(0))), event(1, 101)], &[&[1]]);
    let above = [Told::Span((1, 0, None)), Told::Span((2, 1, Some(0))), event(1, 101)];
    told_in_any_order(&above, &[&[2]]);
    let by_id = [Told::Span((2, 1, Some(7))), Told::Event(9, 1, 30, 7, 101), event(9, 102)];
    told_in_any_order(&by_id, &[&[2, 102]]);
    let gateway = [Told::Span((1, 0, Some(7))), Told::Span((2, 1, Some(7)))];
    told_in_any_order(&[&gateway[..], &[Told::Event(2, 1, 30, 7, 101)]].concat(), &[&[1], &[2]]);
    let alone = [Told::Span((1, 0, None)), event(1, 101), event(1, 102)];
    told_in_any_order(&alone, &[&[101, 102]]);
    let kinds = [event(1, 101), Told::Event(1, 2, 30, 0, 102)];
    told_in_any_order(&kinds, &[&[101], &[102]]);
    let other_tokens = [event(1, 101), Told::Event(1, 2, 31, 0, 102)];
    told_in_any_order(&other_tokens, &[&[101, 102]]);
    let same_id = [Told::Event(1, 1, 30, 7, 101), Told::Event(2, 1, 30, 7, 102)];
    told_in_any_order(&same_id, &[&[101], &[102]]);
}

proptest! {
    #[test]
    fn large_traces_give_the_same_in_any_order(
        parents in prop::collection::vec((0_usize..400, any::<bool>()), 1..400),
        seed in any::<u64>(),
    ) {
        let specs: Vec<Spec> = (1_u64..).zip(&parents).map(|(span, (parent, call))| {
            let parent = (*parent as u64).min(span - 1);
            (span, parent, call.then_some(0))
        }).collect();
        let mut shuffled = specs.clone();
        shuffled.sort_by_key(|spec| (spec.0 ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let result = counted(&specs);
        prop_assert_eq!(&result, &counted(&shuffled));
        let parent_of = |span: u64| specs[usize::try_from(span).unwrap() - 1].1;
        let mut covered = BTreeSet::new();
        for spec in specs.iter().filter(|spec| spec.2.is_some()) {
            let mut at = spec.1;
            while at != 0 {
                covered.insert(at);
                at = parent_of(at);
            }
        }
        let calls = specs.iter().filter(|spec| spec.2.is_some()).map(|spec| spec.0);
        let want: BTreeSet<u64> = calls.filter(|span| !covered.contains(span)).collect();
        prop_assert_eq!(result, want);
    }
}
