//! Finds model calls that two spans tell of, so that their tokens are counted once.
//!
//! A gateway and its client, or a framework and the library below it, each make a span for one
//! call to a model. Two spans are the same call if they have the same response id, or if one is an
//! ancestor of the other; then the innermost counts. Spans come in any order and in many chunks, so
//! a span that was counted may turn out to be an outer one later: then it is taken back.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::clock::Tick;
use crate::model::{SpanId, TraceId};

/// The most spans remembered of one trace. Beyond it spans are no longer told apart by ancestry.
const MAX_NODES: usize = 2048;
/// Up to how many spans a trace is searched without an index.
const LINEAR: usize = 48;

/// The span came itself, so its parent is known.
const SEEN: u8 = 1;
/// A span below it was counted.
const COVERED: u8 = 2;

#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u64,
    flags: u8,
}

#[derive(Debug, Clone, Copy)]
struct Call<C> {
    span: u64,
    /// A hash of the response id; 0 when there is none.
    response: u64,
    counted: bool,
    what: C,
}

#[derive(Debug)]
struct TraceCalls<C> {
    ids: Vec<u64>,
    nodes: Vec<Node>,
    index: HashMap<u64, usize, RandomState>,
    calls: Vec<Call<C>>,
}

/// One span, as far as calls are concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenSpan<C> {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) parent: Option<SpanId>,
    /// For a model call that tells its tokens: a hash of the response id or 0, and what to count.
    pub(super) call: Option<(u64, C)>,
}

/// What a span changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallChanges<C> {
    /// These calls count from now on.
    pub(super) count: Vec<C>,
    /// These calls were counted before and are to be taken back.
    pub(super) take_back: Vec<C>,
    /// Whether the span is a call that another span tells of already.
    pub(super) duplicate: bool,
}

impl<C> Default for CallChanges<C> {
    fn default() -> Self {
        Self { count: Vec::new(), take_back: Vec::new(), duplicate: false }
    }
}

/// Remembers the spans of recent traces.
#[derive(Debug)]
pub(super) struct CallTracker<C> {
    window: std::time::Duration,
    max_traces: usize,
    turned: Tick,
    young: HashMap<TraceId, TraceCalls<C>, RandomState>,
    old: HashMap<TraceId, TraceCalls<C>, RandomState>,
}

impl<C: Copy> CallTracker<C> {
    /// A tracker that remembers a trace for at least `window` after its last span, unless there
    /// are more than `max_traces`.
    pub(super) fn new(window: std::time::Duration, max_traces: usize) -> Self {
        let (young, old) = (HashMap::default(), HashMap::default());
        Self { window, max_traces: max_traces.max(2), turned: Tick(0), young, old }
    }

    /// Takes a span in.
    pub(super) fn observe(&mut self, seen: SeenSpan<C>, now: Tick) -> CallChanges<C> {
        if now.since(self.turned) >= self.window || self.young.len() >= self.max_traces / 2 {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
            if now.since(self.turned) >= self.window.saturating_mul(2) {
                self.old.clear();
            }
            self.turned = now;
        }
        let old = &mut self.old;
        let trace = self.young.entry(seen.trace).or_insert_with(|| {
            if old.is_empty() {
                TraceCalls::new()
            } else {
                old.remove(&seen.trace).unwrap_or_default()
            }
        });
        trace.observe(&seen)
    }
}

impl<C> Default for TraceCalls<C> {
    fn default() -> Self {
        Self::new()
    }
}

impl<C> TraceCalls<C> {
    fn new() -> Self {
        let (ids, nodes, calls) = (Vec::new(), Vec::new(), Vec::new());
        Self { ids, nodes, index: HashMap::default(), calls }
    }
}

impl<C: Copy> TraceCalls<C> {
    fn observe(&mut self, seen: &SeenSpan<C>) -> CallChanges<C> {
        let mut changes = CallChanges::default();
        let span = u64::from_be_bytes(seen.span.0);
        let parent = seen.parent.map_or(0, |parent| u64::from_be_bytes(parent.0));
        let index = self.node(span);
        let known = index.and_then(|index| self.nodes.get_mut(index));
        let (mut again, mut covered) = (false, false);
        if let Some(node) = known {
            again = node.flags & SEEN != 0;
            covered = node.flags & COVERED != 0;
            node.parent = parent;
            node.flags |= SEEN;
        }
        if covered && !again {
            self.cover(parent, span, &mut changes);
        }
        let Some((response, what)) = seen.call else { return changes };
        if again && self.calls.iter().any(|call| call.span == span) {
            changes.duplicate = true;
            return changes;
        }
        let twin = response != 0
            && self.calls.iter().any(|call| call.counted && call.response == response);
        let counted = !covered && !twin;
        if self.calls.len() < MAX_NODES {
            self.calls.push(Call { span, response, counted, what });
        }
        changes.duplicate = !counted;
        if counted {
            changes.count.push(what);
            self.cover(parent, span, &mut changes);
        }
        changes
    }

    /// Marks a span and its known ancestors as lying above the counted span `below`.
    fn cover(&mut self, mut at: u64, below: u64, changes: &mut CallChanges<C>) {
        while at != 0 && at != below {
            let Some(node) = self.node(at).and_then(|index| self.nodes.get_mut(index)) else {
                return;
            };
            if node.flags & COVERED != 0 {
                return;
            }
            node.flags |= COVERED;
            let (parent, seen) = (node.parent, node.flags & SEEN != 0);
            if self.reaches(parent, below) {
                return;
            }
            self.uncount(at, changes);
            if !seen {
                return;
            }
            at = parent;
        }
    }

    /// Whether the way up from a span comes to `end`, which only broken parent ids make it do.
    fn reaches(&self, mut at: u64, end: u64) -> bool {
        for _ in 0..LINEAR {
            if at == 0 || at == end {
                return at == end;
            }
            let node = self.find(at).and_then(|index| self.nodes.get(index));
            at = node.map_or(0, |node| node.parent);
        }
        false
    }

    /// Takes a call back that turned out to be an outer one. If another span told of the same
    /// response and was left out for that, it counts now.
    fn uncount(&mut self, span: u64, changes: &mut CallChanges<C>) {
        let Some(call) = self.calls.iter_mut().find(|call| call.span == span && call.counted)
        else {
            return;
        };
        call.counted = false;
        changes.take_back.push(call.what);
        let response = call.response;
        if response == 0 {
            return;
        }
        let twins: Vec<u64> = self
            .calls
            .iter()
            .filter(|call| call.response == response && call.span != span)
            .map(|call| call.span)
            .collect();
        let free = twins.into_iter().find(|twin| !self.is_covered(*twin));
        let Some(twin) = free else { return };
        if let Some(call) = self.calls.iter_mut().find(|call| call.span == twin) {
            call.counted = true;
            changes.count.push(call.what);
        }
        let parent =
            self.find(twin).and_then(|index| self.nodes.get(index)).map(|node| node.parent);
        self.cover(parent.unwrap_or(0), twin, changes);
    }

    fn is_covered(&self, span: u64) -> bool {
        let node = self.find(span).and_then(|index| self.nodes.get(index));
        node.is_some_and(|node| node.flags & COVERED != 0)
    }

    fn find(&self, span: u64) -> Option<usize> {
        if self.index.is_empty() {
            return self.ids.iter().position(|id| *id == span);
        }
        self.index.get(&span).copied()
    }

    /// The index of a span's node, made if there is none; `None` when there are too many.
    fn node(&mut self, span: u64) -> Option<usize> {
        if let Some(index) = self.find(span) {
            return Some(index);
        }
        if self.ids.len() >= MAX_NODES {
            return None;
        }
        let index = self.ids.len();
        self.ids.push(span);
        self.nodes.push(Node { parent: 0, flags: 0 });
        if index >= LINEAR {
            if self.index.is_empty() {
                self.index.extend(self.ids.iter().enumerate().map(|(index, id)| (*id, index)));
            }
            self.index.insert(span, index);
        }
        Some(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    /// (span, parent, response id or 0 for none; no call at all)
    type Spec = (u64, u64, Option<u64>);

    fn seen(spec: Spec) -> SeenSpan<u64> {
        let (span, parent, call) = spec;
        SeenSpan {
            trace: TraceId([1; 16]),
            span: SpanId(span.to_be_bytes()),
            parent: (parent != 0).then(|| SpanId(parent.to_be_bytes())),
            call: call.map(|response| (response, span)),
        }
    }

    /// Which spans count in the end.
    fn counted(specs: &[Spec]) -> BTreeSet<u64> {
        let mut tracker = CallTracker::new(Duration::from_secs(60), 100);
        let mut counted = BTreeSet::new();
        for spec in specs {
            let changes = tracker.observe(seen(*spec), Tick(1));
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
            assert!(!tracker.observe(seen, Tick(1)).duplicate);
            assert!(tracker.young.len() + tracker.old.len() <= 100);
        }
        let mut duplicate = |seconds: u64| {
            tracker.observe(seen((1, 0, Some(5))), Tick(seconds * 1_000_000_000)).duplicate
        };
        assert_eq!([1, 60, 119, 300, 301].map(&mut duplicate), [false, true, true, false, true]);
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
}
