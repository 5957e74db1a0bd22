//! Call tree: the spans of a trace, found by their ids and from above.

use super::seen::{CallSide, SeenSpan};
use crate::model::SpanId;

/// How far up a span is followed.
pub(super) const MAX_DEPTH: usize = 64;

/// Where the spans of a trace stand.
#[derive(Debug, Default)]
pub(super) struct TreeIndex {
    /// Numbers of spans, by their ids; of those with one id the first that came.
    by_span: Vec<usize>,
    /// The same, by the ids of their parents; those without one first.
    by_parent: Vec<usize>,
    /// By their numbers, whether a model server's span is one of them or below them.
    leads_to_engine: Vec<bool>,
}

/// A tree of calls.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallTree<'t> {
    spans: &'t [SeenSpan],
    index: &'t TreeIndex,
}

/// A span of a tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'t> {
    number: usize,
    pub(super) span: &'t SeenSpan,
}

impl PartialEq for Node<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

/// What a process calls.
#[derive(Debug)]
pub(super) struct Call<'t> {
    /// The caller's span around it.
    pub(super) around: Option<Node<'t>>,
    /// The spans by which other processes were called.
    pub(super) entries: Vec<Node<'t>>,
}

impl TreeIndex {
    /// Makes it of these spans.
    pub(super) fn build(&mut self, spans: &[SeenSpan]) {
        self.by_span.clear();
        self.by_span.extend(0..spans.len());
        // A stable sort: a span that came twice was sent again, and the first one counts.
        self.by_span.sort_by_key(|number| spans.get(*number).map(|it| it.span.0));
        self.by_span.dedup_by_key(|number| spans.get(*number).map(|it| it.span.0));
        self.by_parent.clone_from(&self.by_span);
        self.by_parent.sort_by_key(|number| parent_of(spans, *number));
        self.leads_to_engine.clear();
        self.leads_to_engine.resize(spans.len(), false);
        for number in 0..self.by_span.len() {
            let Some(number) = self.by_span.get(number).copied() else { continue };
            if spans.get(number).is_some_and(|it| it.engine.is_some()) {
                self.mark(spans, number);
            }
        }
    }

    /// Marks a span and those above it.
    fn mark(&mut self, spans: &[SeenSpan], from: usize) {
        let mut at = Some(from);
        while let Some(number) = at {
            let Some(mark) = self.leads_to_engine.get_mut(number).filter(|mark| !**mark) else {
                return;
            };
            *mark = true;
            let parent = spans.get(number).and_then(|it| it.parent);
            at = parent.and_then(|parent| self.find(spans, parent));
        }
    }

    fn find(&self, spans: &[SeenSpan], id: SpanId) -> Option<usize> {
        let key = |number: &usize| spans.get(*number).map(|it| it.span.0);
        let place = self.by_span.binary_search_by_key(&Some(id.0), key).ok()?;
        self.by_span.get(place).copied()
    }
}

fn parent_of(spans: &[SeenSpan], number: usize) -> Option<[u8; 8]> {
    spans.get(number)?.parent.map(|parent| parent.0)
}

impl<'t> CallTree<'t> {
    /// The tree of these spans, of which the index was made.
    pub(super) const fn new(spans: &'t [SeenSpan], index: &'t TreeIndex) -> Self {
        Self { spans, index }
    }

    /// The span with this id.
    pub(super) fn find(self, id: SpanId) -> Option<Node<'t>> {
        self.node(self.index.find(self.spans, id)?)
    }

    fn node(self, number: usize) -> Option<Node<'t>> {
        self.spans.get(number).map(|span| Node { number, span })
    }

    fn parent(self, node: Node<'_>) -> Option<Node<'t>> {
        self.find(node.span.parent?).filter(|parent| parent.number != node.number)
    }

    fn children(self, node: Node<'t>) -> impl Iterator<Item = Node<'t>> {
        let parent = Some(node.span.span.0);
        let by_parent = &self.index.by_parent;
        let first = by_parent.partition_point(|it| parent_of(self.spans, *it) < parent);
        let of_parent = by_parent.iter().skip(first).map_while(move |number| {
            let is_child = parent_of(self.spans, *number) == parent;
            if is_child { self.node(*number) } else { None }
        });
        of_parent.filter(move |child| child.number != node.number)
    }

    /// Whether a model server's span is this one or below it.
    pub(super) fn leads_to_engine(self, node: Node<'_>) -> bool {
        self.index.leads_to_engine.get(node.number).is_some_and(|leads| *leads)
    }

    /// Whether another span tells better where the call's time went: one of a model call below it in its
    /// process, which is nearer to the call, or one above it in another process, which is its client.
    pub(super) fn is_told_by_another(self, client: Node<'t>) -> bool {
        let mut is_outer = false;
        self.visit_process(client, client, |node| {
            is_outer |= node.span.is_model_call;
            true
        });
        is_outer || self.has_client(client)
    }

    fn has_client(self, client: Node<'t>) -> bool {
        let mut at = client;
        let mut is_other_process = false;
        for _ in 0..MAX_DEPTH {
            let Some(above) = self.parent(at).filter(|above| *above != client) else {
                return false;
            };
            is_other_process |= at.span.is_entry(above.span);
            if is_other_process && above.span.is_model_call {
                return true;
            }
            at = above;
        }
        false
    }

    /// The calls of a process to others, from this span on.
    pub(super) fn calls(self, from: Node<'t>) -> Vec<Call<'t>> {
        let mut calls = Vec::new();
        let entries = self.visit_process(from, from, |node| {
            let is_call = node.span.side == CallSide::Client && !node.span.is_model_call;
            if is_call {
                let entries = self.visit_process(from, node, |_| true);
                calls.push(Call { around: Some(node), entries });
            }
            !is_call
        });
        calls.extend(entries.into_iter().map(|entry| Call { around: None, entries: vec![entry] }));
        calls
    }

    /// The spans of model servers in the process that was called by this one.
    pub(super) fn engines(self, entry: Node<'t>) -> Vec<Node<'t>> {
        if entry.span.engine.is_some() {
            return vec![entry];
        }
        let mut engines = Vec::new();
        self.visit_process(entry, entry, |node| {
            let is_engine = node.span.engine.is_some();
            if is_engine {
                engines.push(node);
            }
            !is_engine
        });
        engines
    }

    /// Visits the spans below `top` in its process; `goes_on` says whether to go on below a span. Returns the
    /// spans by which other processes were called. `end` is not visited, so that a circle has an end.
    fn visit_process(
        self,
        end: Node<'t>,
        top: Node<'t>,
        mut goes_on: impl FnMut(Node<'t>) -> bool,
    ) -> Vec<Node<'t>> {
        let mut entries = Vec::new();
        let mut open = vec![top];
        while let Some(node) = open.pop() {
            for child in self.children(node).filter(|child| *child != end) {
                if child.span.is_entry(node.span) {
                    entries.push(child);
                } else if goes_on(child) {
                    open.push(child);
                }
            }
        }
        entries
    }
}
