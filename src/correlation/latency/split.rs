//! Latency split: where the time of one model call went.
//!
//! From the client's span down, each process has what its span took less what it spent calling others. Only
//! durations are compared, and times of one process with each other, so that clocks need not agree. The parts
//! add up to no more than the client's span took; what the spans do not tell has no part.

use super::seen::{EngineStages, ProcessId};
use super::tree::{Call, CallTree, MAX_DEPTH, Node};
use crate::model::{LatencyPart, SpanId};

/// What a span may take longer than the one around it, as it ends after its answer was sent: this, or
/// a hundredth.
const TOLERANCE: u64 = 10_000_000;

/// Parts in nanoseconds, in the order of [`LatencyPart::ALL`].
pub(super) type Parts = [Option<u64>; LatencyPart::ALL.len()];

/// What a span tells of where its time went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Split {
    /// All of it is in these parts.
    Whole(Parts),
    /// Some of it is in these parts.
    Partial(Parts),
    /// Another span tells it: see [`CallTree::is_told_by_another`].
    OtherSpan,
    /// No span of who was called is known.
    Alone,
    /// A span took longer than the one around it.
    Contradiction,
    /// The span itself is not remembered.
    Forgotten,
}

/// Says where the time of a model call went.
pub(super) fn split(tree: CallTree<'_>, client: SpanId) -> Split {
    let Some(client) = tree.find(client) else { return Split::Forgotten };
    if tree.is_told_by_another(client) {
        return Split::OtherSpan;
    }
    let calls = tree.calls(client);
    if calls.iter().all(|call| call.entries.is_empty()) {
        return Split::Alone;
    }
    let Some(duration) = client.span.duration() else { return Split::Contradiction };
    let mut splitter = CallSplitter { tree, client, totals: Parts::default(), unknown: 0 };
    splitter.process(LatencyPart::Client, duration, calls, 0);
    splitter.result(duration)
}

/// Splits one call.
struct CallSplitter<'t> {
    tree: CallTree<'t>,
    client: Node<'t>,
    totals: Parts,
    /// The parts of which not all is known, by their bits.
    unknown: u8,
}

/// Time that a process spent calling, or that a call spent in a process.
struct Leg<'t, T> {
    what: T,
    node: Node<'t>,
    /// How long it took, in nanoseconds.
    nanos: u64,
    leads_to_engine: bool,
}

impl<'t> CallSplitter<'t> {
    fn result(self, duration: u64) -> Split {
        let mut parts = self.totals;
        for (part, total) in LatencyPart::ALL.into_iter().zip(&mut parts) {
            if self.unknown & bit(part) != 0 {
                *total = None;
            }
        }
        let sum: u64 = parts.iter().flatten().sum();
        if parts.iter().all(Option::is_none) {
            Split::Contradiction
        } else if sum == duration {
            Split::Whole(parts)
        } else {
            Split::Partial(parts)
        }
    }

    /// Splits what a process took, `limit` in all, into its own part and its calls.
    fn process(&mut self, own: LatencyPart, limit: u64, calls: Vec<Call<'t>>, depth: usize) {
        let legs = calls.into_iter().map(|call| match (call.around, call.entries.first()) {
            (Some(around), _) => self.leg(around, call),
            (None, Some(entry)) => self.leg(*entry, call),
            (None, None) => None,
        });
        let Some(legs) = shares(legs, limit) else {
            return self.give_up(own, &BELOW_PROCESS);
        };
        self.add(own, limit.saturating_sub(total(&legs)));
        for Leg { what: call, nanos, .. } in legs {
            match (call.around, call.entries.first()) {
                (Some(_), Some(_)) => self.network(nanos, call.entries, depth),
                (None, Some(entry)) => self.called(*entry, nanos, depth),
                (_, None) => {}
            }
        }
    }

    /// Splits what a call took into the way and those called.
    fn network(&mut self, limit: u64, entries: Vec<Node<'t>>, depth: usize) {
        let legs = entries.into_iter().map(|entry| self.leg(entry, entry));
        let Some(legs) = shares(legs, limit) else {
            return self.give_up(LatencyPart::Network, &BELOW_PROCESS);
        };
        self.add(LatencyPart::Network, limit.saturating_sub(total(&legs)));
        for Leg { node, nanos, .. } in legs {
            self.called(node, nanos, depth);
        }
    }

    /// Splits what a process took that was called.
    fn called(&mut self, entry: Node<'t>, limit: u64, depth: usize) {
        let engines = self.tree.engines(entry);
        if !engines.is_empty() {
            self.engine(limit, engines);
        } else if self.tree.leads_to_engine(entry) && depth < MAX_DEPTH && entry != self.client {
            let mut calls = self.tree.calls(entry);
            for call in &mut calls {
                call.entries.retain(|entry| self.tree.leads_to_engine(*entry));
            }
            // What it asks others before or after, such as a cache, is its own matter.
            calls.retain(|call| !call.entries.is_empty());
            self.process(LatencyPart::Gateway, limit, calls, depth.saturating_add(1));
        } else {
            // How much of it is its own cannot be said.
            self.forget(LatencyPart::Gateway);
        }
    }

    /// Splits what a model server took.
    fn engine(&mut self, limit: u64, engines: Vec<Node<'t>>) {
        let legs = engines.into_iter().map(|engine| self.leg(engine, engine));
        let Some(legs) = shares(legs, limit) else {
            return self.give_up(LatencyPart::Server, &STAGES);
        };
        let mut rest = limit;
        for Leg { node, nanos, .. } in legs {
            let Some(times) = &node.span.engine else { continue };
            let EngineStages { queue, prefill, decode } = times.stages(node.span.duration());
            let stages = [queue, prefill, decode];
            if !fits(stages.iter().flatten().sum(), nanos) {
                self.give_up(LatencyPart::Server, &STAGES);
            }
            let mut left = nanos;
            for (part, stage) in STAGES.into_iter().zip(stages) {
                match stage.map(|stage| stage.min(left)) {
                    Some(stage) => {
                        self.add(part, stage);
                        left = left.saturating_sub(stage);
                        rest = rest.saturating_sub(stage);
                    }
                    None => self.give_up(part, &[LatencyPart::Server]),
                }
            }
        }
        self.add(LatencyPart::Server, rest);
    }

    fn leg<T>(&self, node: Node<'t>, what: T) -> Option<Leg<'t, T>> {
        let nanos = node.span.duration()?;
        Some(Leg { what, node, nanos, leads_to_engine: self.tree.leads_to_engine(node) })
    }

    fn add(&mut self, part: LatencyPart, nanos: u64) {
        if let Some(total) = self.totals.get_mut(part.index()) {
            *total = Some(total.unwrap_or(0).saturating_add(nanos));
        }
    }

    fn forget(&mut self, part: LatencyPart) {
        self.unknown |= bit(part);
    }

    fn give_up(&mut self, part: LatencyPart, others: &[LatencyPart]) {
        self.forget(part);
        for other in others {
            self.forget(*other);
        }
    }
}

/// What a model server does, one after the other.
const STAGES: [LatencyPart; 3] = [LatencyPart::Queue, LatencyPart::Prefill, LatencyPart::Decode];
/// What is not known if it is not known what a process spent calling.
const BELOW_PROCESS: [LatencyPart; 6] = [
    LatencyPart::Network,
    LatencyPart::Gateway,
    LatencyPart::Queue,
    LatencyPart::Prefill,
    LatencyPart::Decode,
    LatencyPart::Server,
];

const fn bit(part: LatencyPart) -> u8 {
    1 << part.index()
}

/// Whether what took `nanos` can have been within what took `limit`.
fn fits(nanos: u64, limit: u64) -> bool {
    nanos <= limit.saturating_add(TOLERANCE.max(limit / 100))
}

fn total<T>(legs: &[Leg<'_, T>]) -> u64 {
    legs.iter().map(|leg| leg.nanos).fold(0, u64::saturating_add)
}

/// What each leg has of `limit`; `None` if they took more, or one does not say how long. Of those beside each other the one counts that
/// leads to a model server, and of several the longest.
fn shares<'t, T>(
    legs: impl Iterator<Item = Option<Leg<'t, T>>>,
    limit: u64,
) -> Option<Vec<Leg<'t, T>>> {
    let mut legs = one_after_the_other(legs.collect::<Option<Vec<_>>>()?);
    if !fits(total(&legs), limit) {
        // Of several processes, whose clocks say nothing, they were beside each other.
        let longest = legs.into_iter().max_by_key(weight)?;
        legs = vec![longest];
    }
    if !fits(total(&legs), limit) {
        return None;
    }
    let mut left = limit;
    for leg in &mut legs {
        leg.nanos = leg.nanos.min(left);
        left = left.saturating_sub(leg.nanos);
    }
    Some(legs)
}

fn weight<T>(leg: &Leg<'_, T>) -> (bool, u64) {
    (leg.leads_to_engine, leg.nanos)
}

/// Of legs of one process that overlap, the one that counts.
fn one_after_the_other<'t, T>(mut legs: Vec<Leg<'t, T>>) -> Vec<Leg<'t, T>> {
    legs.sort_by_key(|leg| (leg.node.span.process, leg.node.span.start));
    let mut kept: Vec<Leg<'t, T>> = Vec::with_capacity(legs.len());
    let mut group: Option<(ProcessId, u64)> = None;
    for leg in legs {
        let span = leg.node.span;
        let beside = group.filter(|(process, end)| *process == span.process && span.start < *end);
        group = Some((span.process, beside.map_or(span.end, |(_, end)| end.max(span.end))));
        match kept.last_mut().filter(|_| beside.is_some()) {
            Some(last) if weight(last) < weight(&leg) => *last = leg,
            Some(_) => {}
            None => kept.push(leg),
        }
    }
    kept
}
