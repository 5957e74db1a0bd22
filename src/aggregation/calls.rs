//! Finds model calls that two items tell of, so that their tokens are counted once.
//!
//! A gateway and its client, or a framework and the library below it, each make a span for one
//! call to a model. Two spans are the same call if they have the same response id, or if one is an
//! ancestor of the other; then the innermost counts. Spans come in any order and in many chunks, so
//! a span that was counted may turn out to be an outer one later: then it is taken back.
//!
//! A log event that stands in a span tells of the same call as that span or the calls below it, if
//! there are any, or as the one with its response id: spans count, and events where no span tells.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::clock::Tick;
use crate::model::{SpanId, TraceId};

/// The most spans remembered of one trace. Beyond it spans are no longer told apart by ancestry.
const MAX_NODES: usize = 2048;
/// Up to how many spans a trace is searched without an index.
const LINEAR: usize = 48;
/// How many forgotten traces lend their memory to new ones, and how many spans one of these may have had.
const MAX_SPARE: usize = 2048;
const MAX_SPARE_NODES: usize = 16;

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
    /// Of a call that an event tells of, which event and tokens.
    event: Option<EventOfCall>,
    what: C,
}

/// What tells the events of one span apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventOfCall {
    /// A hash of the event's name.
    pub(super) name: u32,
    /// A hash of the tokens.
    pub(super) tokens: u32,
}

#[derive(Debug)]
struct TraceCalls<C> {
    ids: Vec<u64>,
    nodes: Vec<Node>,
    /// Of a trace that is too large to be searched.
    index: Option<HashMap<u64, usize, RandomState>>,
    calls: Vec<Call<C>>,
    /// Some of the calls are those of events.
    has_events: bool,
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

/// A log event in a span that tells the tokens of a model call.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenEvent<C> {
    pub(super) trace: TraceId,
    /// The span that it stands in.
    pub(super) span: SpanId,
    /// A hash of the response id or 0.
    pub(super) response: u64,
    pub(super) event: EventOfCall,
    pub(super) what: C,
}

/// What an item changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CallChanges<C> {
    /// These calls count from now on.
    pub(super) count: Vec<C>,
    /// These calls were counted before and are to be taken back.
    pub(super) take_back: Vec<C>,
    /// Whether the item is a call that another one tells of already.
    pub(super) duplicate: bool,
}

impl<C> Default for CallChanges<C> {
    fn default() -> Self {
        Self { count: Vec::new(), take_back: Vec::new(), duplicate: false }
    }
}

impl<C> CallChanges<C> {
    /// Makes room for those of the next item.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.count.clear();
        self.take_back.clear();
        self.duplicate = false;
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
    /// Emptied, to be used again.
    spare: Vec<TraceCalls<C>>,
}

impl<C: Copy> CallTracker<C> {
    /// A tracker that remembers a trace for at least `window` after its last span, unless there
    /// are more than `max_traces`.
    pub(super) fn new(window: std::time::Duration, max_traces: usize) -> Self {
        let (young, old) = (HashMap::default(), HashMap::default());
        let max_traces = max_traces.max(2);
        Self { window, max_traces, turned: Tick(0), young, old, spare: Vec::new() }
    }

    /// Takes a span in, and adds what it changes.
    pub(super) fn observe(&mut self, seen: &SeenSpan<C>, now: Tick, changes: &mut CallChanges<C>) {
        self.trace(seen.trace, now).observe(seen, changes);
    }

    /// Takes an event in, and adds what it changes.
    pub(super) fn observe_event(
        &mut self,
        seen: &SeenEvent<C>,
        now: Tick,
        changes: &mut CallChanges<C>,
    ) {
        self.trace(seen.trace, now).observe_event(seen, changes);
    }

    #[inline]
    fn trace(&mut self, id: TraceId, now: Tick) -> &mut TraceCalls<C> {
        if now.since(self.turned) >= self.window || self.young.len() >= self.max_traces / 2 {
            self.turn(now);
        }
        let (old, spare) = (&mut self.old, &mut self.spare);
        self.young.entry(id).or_insert_with(|| {
            let known = if old.is_empty() { None } else { old.remove(&id) };
            known.or_else(|| spare.pop()).unwrap_or_default()
        })
    }

    #[cold]
    fn turn(&mut self, now: Tick) {
        std::mem::swap(&mut self.young, &mut self.old);
        let is_over = now.since(self.turned) >= self.window.saturating_mul(2);
        let forgotten = [Some(&mut self.young), is_over.then_some(&mut self.old)];
        for mut trace in forgotten.into_iter().flatten().flat_map(HashMap::drain).map(|(_, it)| it)
        {
            if self.spare.len() < MAX_SPARE && trace.ids.len() <= MAX_SPARE_NODES {
                trace.clear();
                self.spare.push(trace);
            }
        }
        self.turned = now;
    }
}

impl<C> Default for TraceCalls<C> {
    fn default() -> Self {
        let (ids, nodes, calls) = (Vec::new(), Vec::new(), Vec::new());
        Self { ids, nodes, index: None, calls, has_events: false }
    }
}

impl<C: Copy> TraceCalls<C> {
    fn clear(&mut self) {
        self.ids.clear();
        self.nodes.clear();
        self.calls.clear();
        (self.index, self.has_events) = (None, false);
    }

    fn observe(&mut self, seen: &SeenSpan<C>, changes: &mut CallChanges<C>) {
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
            self.cover(parent, span, changes);
        }
        let Some((response, what)) = seen.call else { return };
        if again && self.calls.iter().any(|call| call.span == span && call.event.is_none()) {
            changes.duplicate = true;
            return;
        }
        if self.has_events {
            self.yield_events(span, response, changes);
        }
        let twin = response != 0
            && self.calls.iter().any(|call| call.counted && call.response == response);
        let counted = !covered && !twin;
        if self.calls.len() < MAX_NODES {
            self.calls.push(Call { span, response, counted, event: None, what });
        }
        changes.duplicate = !counted;
        if counted {
            changes.count.push(what);
            self.cover(parent, span, changes);
        }
    }

    fn observe_event(&mut self, seen: &SeenEvent<C>, changes: &mut CallChanges<C>) {
        let SeenEvent { response, event, what, .. } = *seen;
        let span = u64::from_be_bytes(seen.span.0);
        let told = self.calls.iter().any(|call| {
            let is_same_answer = response != 0 && call.response == response;
            is_same_answer
                || (call.span == span
                    && call.event.is_none_or(|other| {
                        // Two kinds of events tell of one call, two of one kind of two.
                        other.name != event.name && other.tokens == event.tokens
                    }))
        });
        if told || self.is_covered(span) || self.calls.len() >= MAX_NODES {
            changes.duplicate = true;
            return;
        }
        self.has_events = true;
        self.calls.push(Call { span, response, counted: true, event: Some(event), what });
        changes.count.push(what);
    }

    /// Takes back what was counted of events in a span, or with its response id.
    #[cold]
    fn yield_events(&mut self, span: u64, response: u64, changes: &mut CallChanges<C>) {
        for call in self.calls.iter_mut().filter(|call| call.event.is_some() && call.counted) {
            if call.span == span || (response != 0 && call.response == response) {
                call.counted = false;
                changes.take_back.push(call.what);
            }
        }
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
        if self.has_events {
            self.yield_events(span, 0, changes);
        }
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
            .filter(|call| call.response == response && call.span != span && call.event.is_none())
            .map(|call| call.span)
            .collect();
        let free = twins.into_iter().find(|twin| !self.is_covered(*twin));
        let Some(twin) = free else { return };
        let is_twin = |call: &&mut Call<C>| call.span == twin && call.event.is_none();
        if let Some(call) = self.calls.iter_mut().find(is_twin) {
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
        match &self.index {
            None => self.ids.iter().position(|id| *id == span),
            Some(index) => index.get(&span).copied(),
        }
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
            let ids = &self.ids;
            let all = || ids.iter().enumerate().map(|(index, id)| (*id, index)).collect();
            self.index.get_or_insert_with(all).insert(span, index);
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
            assert!(tracker.young.len() + tracker.old.len() <= 100);
        }
        let mut duplicate = |seconds: u64| {
            let now = Tick(seconds * 1_000_000_000);
            observe(&mut tracker, seen((1, 0, Some(5))), now).duplicate
        };
        assert_eq!([1, 60, 119, 300, 301].map(&mut duplicate), [false, true, true, false, true]);
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
                    assert!(
                        counted.remove(&what),
                        "{order:?}: only what was counted is taken back"
                    );
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
        told_in_any_order(
            &[&gateway[..], &[Told::Event(2, 1, 30, 7, 101)]].concat(),
            &[&[1], &[2]],
        );
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
}
