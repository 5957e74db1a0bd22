//! The calls of one trace: which of its spans tell of the same call.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::lists::{List, Lists};
use super::seen::{CallChanges, EventOfCall, SaidUsage, SeenEvent, SeenSpan};
use crate::aggregation::nested_usage::{self, UsageDifference};

/// How many operations of one trace that do not call a model themselves are held against the calls within them.
const MAX_SUMS: usize = 64;
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
    span: u64,
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

/// What was seen of one trace, by its lists in [`SeenCalls`].
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct TraceLists {
    nodes: List,
    calls: List,
    /// Operations that tell tokens and do not call a model themselves, by their spans.
    sums: List,
    /// Some of the calls are those of events.
    has_events: bool,
    /// There are sums, or calls that another span tells of.
    has_outer: bool,
}

/// What was seen of many traces.
#[derive(Debug)]
pub(super) struct SeenCalls<C> {
    nodes: Lists<Node>,
    calls: Lists<Call<C>>,
    sums: Lists<(u64, C)>,
    /// The nodes of traces that are too large to be searched, by their list and span.
    index: HashMap<(u32, u64), u32, RandomState>,
}

impl<C> Default for SeenCalls<C> {
    fn default() -> Self {
        let (nodes, calls, sums) = (Lists::default(), Lists::default(), Lists::default());
        Self { nodes, calls, sums, index: HashMap::default() }
    }
}

impl<C: Copy> SeenCalls<C> {
    /// Forgets all traces.
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.calls.clear();
        self.sums.clear();
        self.index = HashMap::default();
    }

    /// Copies what was seen of a trace from others.
    pub(super) fn copy(&mut self, from: &Self, lists: TraceLists) -> TraceLists {
        let nodes = self.nodes.copy(&from.nodes, lists.nodes);
        if nodes.len() > LINEAR {
            self.index_all(nodes);
        }
        let calls = self.calls.copy(&from.calls, lists.calls);
        let sums = self.sums.copy(&from.sums, lists.sums);
        TraceLists { nodes, calls, sums, ..lists }
    }

    fn index_all(&mut self, nodes: List) {
        let all = self.nodes.entries(nodes);
        self.index.extend(all.map(|(index, node)| ((nodes.id(), node.span), index)));
    }
}

/// One trace, and where its lists are.
#[derive(Debug)]
pub(super) struct TraceCalls<'t, C> {
    pub(super) lists: &'t mut TraceLists,
    pub(super) all: &'t mut SeenCalls<C>,
}

impl<C: SaidUsage> TraceCalls<'_, C> {
    /// Takes a span in, and adds what it changes.
    pub(super) fn observe(&mut self, seen: &SeenSpan<C>, changes: &mut CallChanges<C>) {
        let span = u64::from_be_bytes(seen.span.0);
        let parent = seen.parent.map_or(0, |parent| u64::from_be_bytes(parent.0));
        let (mut again, mut covered) = (false, false);
        if let Some(node) = self.node(span) {
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
            && self.lists.sums.len() < MAX_SUMS
        {
            self.all.sums.push(&mut self.lists.sums, (span, sum));
            self.lists.has_outer = true;
        }
        let Some((response, what)) = &seen.call else { return };
        let (response, what) = (*response, *what);
        if again && self.calls().any(|call| call.span == span && call.event.is_none()) {
            changes.duplicate = true;
            return;
        }
        if self.lists.has_events {
            self.yield_events(span, response, changes);
        }
        let twin =
            response != 0 && self.calls().any(|call| call.counted && call.response == response);
        let counted = !covered && !twin;
        self.add(Call { span, response, counted, event: None, what });
        changes.duplicate = !counted;
        if counted {
            changes.count.push(what);
            self.cover(parent, span, changes);
        } else {
            self.lists.has_outer = true;
        }
    }

    /// Takes an event in, and adds what it changes.
    pub(super) fn observe_event(&mut self, seen: &SeenEvent<C>, changes: &mut CallChanges<C>) {
        let SeenEvent { response, event, what, .. } = *seen;
        let span = u64::from_be_bytes(seen.span.0);
        let told = self.calls().any(|call| {
            let is_same_answer = response != 0 && call.response == response;
            is_same_answer
                || (call.span == span
                    && call.event.is_none_or(|other| {
                        // Two kinds of events tell of one call, two of one kind of two.
                        other.name != event.name && other.tokens == event.tokens
                    }))
        });
        if told || self.is_covered(span) || self.lists.calls.len() >= MAX_NODES {
            changes.duplicate = true;
            return;
        }
        self.lists.has_events = true;
        self.add(Call { span, response, counted: true, event: Some(event), what });
        changes.count.push(what);
    }

    fn calls(&self) -> impl Iterator<Item = &Call<C>> {
        self.all.calls.iter(self.lists.calls)
    }

    fn add(&mut self, call: Call<C>) {
        if self.lists.calls.len() < MAX_NODES {
            self.all.calls.push(&mut self.lists.calls, call);
        }
    }

    /// Takes back what was counted of events in a span, or with its response id.
    #[cold]
    fn yield_events(&mut self, span: u64, response: u64, changes: &mut CallChanges<C>) {
        self.all.calls.for_each_mut(self.lists.calls, |call| {
            let is_told = call.span == span || (response != 0 && call.response == response);
            if is_told && call.event.is_some() && call.counted {
                call.counted = false;
                changes.take_back.push(call.what);
            }
        });
    }

    /// Marks a span and its known ancestors as lying above the counted span `below`.
    fn cover(&mut self, mut at: u64, below: u64, changes: &mut CallChanges<C>) {
        while at != 0 && at != below {
            let Some(node) = self.node(at) else { return };
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
            at = self.parent(at);
        }
        false
    }

    /// Takes a call back that turned out to be an outer one. If another span told of the same
    /// response and was left out for that, it counts now.
    fn uncount(&mut self, span: u64, changes: &mut CallChanges<C>) {
        if self.lists.has_events {
            self.yield_events(span, 0, changes);
        }
        let is_it = |call: &Call<C>| call.span == span && call.counted;
        let Some(call) = self.all.calls.find_mut(self.lists.calls, is_it) else { return };
        call.counted = false;
        self.lists.has_outer = true;
        changes.take_back.push(call.what);
        let response = call.response;
        if response == 0 {
            return;
        }
        let is_twin = |call: &&Call<C>| call.response == response && call.event.is_none();
        let twins = self.calls().filter(is_twin).map(|call| call.span);
        let Some(twin) = twins.filter(|twin| *twin != span).find(|twin| !self.is_covered(*twin))
        else {
            return;
        };
        let is_it = |call: &Call<C>| call.span == twin && call.event.is_none();
        if let Some(call) = self.all.calls.find_mut(self.lists.calls, is_it) {
            call.counted = true;
            changes.count.push(call.what);
        }
        self.cover(self.parent(twin), twin, changes);
    }

    /// Adds the operations that say other tokens than the calls within them that count. Of a trace with too many spans,
    /// with longer ways up than [`LINEAR`] or with circles it is not known which calls are within which operation.
    pub(super) fn add_differences(&self, differences: &mut Vec<(C, UsageDifference)>) {
        if !self.lists.has_outer {
            return;
        }
        let outer = self.calls().filter(|call| !call.counted && call.event.is_none());
        let outer = outer.filter(|call| self.is_covered(call.span));
        let outer = outer.map(|call| (call.span, call.what));
        let mut sums: Vec<(u64, C, [f64; 2])> = outer
            .chain(self.all.sums.iter(self.lists.sums).copied())
            .map(|(span, said)| (span, said, [0.0; 2]))
            .take(MAX_SUMS)
            .collect();
        if sums.is_empty() || self.lists.nodes.len() >= MAX_NODES {
            return;
        }
        for call in self.calls().filter(|call| call.counted) {
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
        let node = self.find(span).and_then(|index| self.all.nodes.get(index));
        node.map_or(0, |node| node.parent)
    }

    fn is_covered(&self, span: u64) -> bool {
        let node = self.find(span).and_then(|index| self.all.nodes.get(index));
        node.is_some_and(|node| node.flags & COVERED != 0)
    }

    #[inline]
    fn find(&self, span: u64) -> Option<u32> {
        let nodes = self.lists.nodes;
        if nodes.len() > LINEAR {
            return self.all.index.get(&(nodes.id(), span)).copied();
        }
        let mut all = self.all.nodes.entries(nodes);
        all.find_map(|(index, node)| (node.span == span).then_some(index))
    }

    /// A span's node, made if there is none; `None` when there are too many.
    fn node(&mut self, span: u64) -> Option<&mut Node> {
        let index = match self.find(span) {
            Some(index) => index,
            None => self.add_node(span)?,
        };
        self.all.nodes.get_mut(index)
    }

    fn add_node(&mut self, span: u64) -> Option<u32> {
        let (nodes, all) = (&mut self.lists.nodes, &mut *self.all);
        if nodes.len() >= MAX_NODES {
            return None;
        }
        let index = all.nodes.push(nodes, Node { span, parent: 0, flags: 0 })?;
        if nodes.len() == LINEAR + 1 {
            all.index_all(*nodes);
        } else if nodes.len() > LINEAR {
            all.index.insert((nodes.id(), span), index);
        }
        Some(index)
    }
}
