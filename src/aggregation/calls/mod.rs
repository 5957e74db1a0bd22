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

use super::nested_usage::{self, UsageDifference};
use super::usage::Tokens;
use crate::clock::Tick;
use crate::model::{SpanId, TraceId};

/// How many operations of one trace that do not call a model themselves are held against the calls within them.
const MAX_SUMS: usize = 64;
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

/// What a span says that tells tokens.
pub(super) trait SaidUsage: Copy {
    /// The tokens.
    fn tokens(&self) -> Tokens;
}

#[derive(Debug)]
struct TraceCalls<C> {
    ids: Vec<u64>,
    nodes: Vec<Node>,
    /// Of a trace that is too large to be searched.
    index: Option<HashMap<u64, usize, RandomState>>,
    calls: Vec<Call<C>>,
    /// Operations that tell tokens and do not call a model themselves, by their spans.
    sums: Vec<(u64, C)>,
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
    /// For another operation that tells tokens, what it says.
    pub(super) sum: Option<C>,
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
    /// Operations of traces that were forgotten which say other tokens than the calls within them.
    differences: Vec<(C, UsageDifference)>,
}

impl<C: SaidUsage> CallTracker<C> {
    /// A tracker that remembers a trace for at least `window` after its last span, unless there
    /// are more than `max_traces`.
    pub(super) fn new(window: std::time::Duration, max_traces: usize) -> Self {
        let (young, old) = (HashMap::default(), HashMap::default());
        let max_traces = max_traces.max(2);
        let (spare, differences) = (Vec::new(), Vec::new());
        Self { window, max_traces, turned: Tick(0), young, old, spare, differences }
    }

    /// Forgets traces whose time has come, also where nothing comes any more.
    pub(super) fn tick(&mut self, now: Tick) {
        if now.since(self.turned) >= self.window {
            self.turn(now);
        }
    }

    /// The operations of forgotten traces that say other tokens than the calls within them, since the last call.
    pub(super) fn take_differences(&mut self) -> Vec<(C, UsageDifference)> {
        std::mem::take(&mut self.differences)
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
            trace.add_differences(&mut self.differences);
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
        let (ids, nodes, calls, sums) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { ids, nodes, index: None, calls, sums, has_events: false }
    }
}

impl<C: SaidUsage> TraceCalls<C> {
    fn clear(&mut self) {
        self.sums.clear();
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
        if let Some(sum) = seen.sum
            && !again
            && self.sums.len() < MAX_SUMS
        {
            self.sums.push((span, sum));
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

    /// Adds the operations that say other tokens than the calls within them that count. Of a trace with too many spans,
    /// with longer ways up than [`LINEAR`] or with circles it is not known which calls are within which operation.
    fn add_differences(&self, differences: &mut Vec<(C, UsageDifference)>) {
        let outer = self.calls.iter().filter(|call| !call.counted && call.event.is_none());
        let outer = outer.filter(|call| self.is_covered(call.span));
        let outer = outer.map(|call| (call.span, call.what));
        let mut sums: Vec<(u64, C, [f64; 2])> = outer
            .chain(self.sums.iter().copied())
            .map(|(span, said)| (span, said, [0.0; 2]))
            .take(MAX_SUMS)
            .collect();
        if sums.is_empty() || self.ids.len() >= MAX_NODES {
            return;
        }
        for call in self.calls.iter().filter(|call| call.counted) {
            let mut at = if call.event.is_some() { call.span } else { self.parent(call.span) };
            let mut steps = 0;
            while at != 0 {
                if steps == LINEAR {
                    return;
                }
                if let Some((_, _, sum)) = sums.iter_mut().find(|(span, _, _)| *span == at) {
                    nested_usage::add(sum, &call.what.tokens());
                }
                at = self.parent(at);
                steps += 1;
            }
        }
        differences.extend(sums.into_iter().filter_map(|(_, said, within)| {
            Some((said, UsageDifference::of(&said.tokens(), within)?))
        }));
    }

    fn parent(&self, span: u64) -> u64 {
        let node = self.find(span).and_then(|index| self.nodes.get(index));
        node.map_or(0, |node| node.parent)
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
mod tests;
