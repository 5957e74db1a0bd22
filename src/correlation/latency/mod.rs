//! Latency split: where the time of a model call went, on the span of its client.
//!
//! Of a trace is remembered how its spans stand to each other, in a window that is bounded in bytes and time.
//! The span of a client is held until the spans of those that it called have come, which end before it, but
//! are sent by other processes; what is known then is put on it: see `split.rs`.

mod seen;
mod split;
mod trace;
mod tree;

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

pub(super) use self::seen::CallVisitor;
use self::seen::{ProcessId, SeenSpan};
use self::split::{Parts, Split, split};
use self::trace::TraceSpans;
use self::tree::{CallTree, TreeIndex};
use super::attributes::write_with;
use super::held_spans::HeldSpans;
use super::window_map::WindowMap;
use crate::clock::Tick;
use crate::codec::msgpack;
use crate::codec::records::edit::Pairs;
use crate::codec::records::{ChunkRewriter, Item, ItemReader, ItemStep, Patch};
use crate::model::{Emission, LatencyPart, Position, SpanId, TraceId, listed_enum};

/// How the latency of model calls is split.
#[derive(Debug)]
pub struct LatencyConfig {
    /// How long the span of a client is held.
    pub wait: Duration,
    /// How long a trace is remembered after its last span: longer than any of its spans is held, here or by
    /// who has it before.
    pub window: Duration,
    /// The most memory, one half for spans that are held, and one for what is remembered of traces.
    pub max_bytes: usize,
    /// Marks spans that were held, so that the filters up to here leave them alone.
    pub position: Position,
}

listed_enum! {
    /// What became of a span that tells of a model call.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum SplitOutcome {
        /// It got parts, and they are all of it.
        Whole,
        /// It got parts, and the rest is not known.
        Partial,
        /// The split is on another span of the call.
        OtherSpan,
        /// No span of a gateway or model server below it came.
        Alone,
        /// A span took longer than the one around it.
        Contradiction,
        /// Its trace was forgotten, or had too many spans.
        Forgotten,
    }
}

impl SplitOutcome {
    /// The word for it in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Partial => "partial",
            Self::OtherSpan => "other_span",
            Self::Alone => "alone",
            Self::Contradiction => "contradiction",
            Self::Forgotten => "forgotten",
        }
    }
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LatencyTally {
    /// What became of spans of model calls, by the order of [`SplitOutcome::ALL`].
    pub outcomes: [u64; SplitOutcome::ALL.len()],
    /// Traces that went for want of memory before their time.
    pub forgotten_traces: u64,
    /// Spans of traces that have too many.
    pub forgotten_spans: u64,
    /// Spans that were to be held and found no memory.
    pub unheld_spans: u64,
    /// Spans that are held.
    pub held: u64,
}

/// Whose time it is.
#[derive(Debug, Clone, Copy)]
struct ClientSpan {
    trace: TraceId,
    span: SpanId,
}

/// Puts the parts of a call's time on the span of its client.
#[derive(Debug)]
pub struct LatencySplitter {
    window: Duration,
    position: Position,
    traces: WindowMap<TraceId, TraceSpans>,
    held: HeldSpans<ClientSpan>,
    tally: LatencyTally,
    /// The trace that the index was made of, unless spans came since.
    indexed: Option<TraceId>,
    /// Used again for each span.
    index: TreeIndex,
    pairs: Pairs,
    patch: Patch,
}

impl LatencySplitter {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(config: LatencyConfig) -> Self {
        let half = config.max_bytes / 2;
        Self {
            window: config.window,
            position: config.position,
            traces: WindowMap::new(config.window, half),
            held: HeldSpans::new(config.wait, half, config.position),
            tally: LatencyTally::default(),
            indexed: None,
            index: TreeIndex::default(),
            pairs: Pairs::new(),
            patch: Patch::default(),
        }
    }

    /// Remembers the spans of a chunk.
    pub fn look(&mut self, chunk: &[u8], now: Tick) {
        self.indexed = None;
        self.traces.expire(now, |_, _| {});
        let mut visitor = CallVisitor::default();
        let mut items = ItemReader::new(chunk);
        let mut process = ProcessId(0);
        while let Some(step) = items.step(&mut visitor) {
            if let Some((item, telemetry)) = step.span() {
                if item.new_metadata {
                    process = ProcessId(xxh3_64(telemetry.resource.unwrap_or_default()));
                }
                if !telemetry.is_past(self.position)
                    && let Some(trace) = item.span.trace_id()
                    && let Some(span) = SeenSpan::new(&item.span, process, &visitor)
                {
                    let window = self.window;
                    let change = |spans: &mut TraceSpans| spans.note(span, window, now);
                    let has_room = self.traces.change(trace, now, change);
                    let forgotten = &mut self.tally.forgotten_spans;
                    *forgotten = forgotten.saturating_add((!has_room).into());
                }
            }
            visitor = CallVisitor::default();
        }
        self.count();
    }

    /// Holds the spans of a chunk that tell of model calls, after [`LatencySplitter::look`] has seen them. Says
    /// what goes on in the chunk's place; `None` if it is the chunk itself.
    pub fn hold(&mut self, tag: &[u8], chunk: &[u8], now: Tick) -> Option<Vec<u8>> {
        let changed = self.rewrite(chunk, |splitter, item, client, rewriter| {
            if splitter.held.is_open() {
                if splitter.held.hold(tag, item, client, now) {
                    rewriter.replace(item.event.raw);
                    return;
                }
                splitter.tally.unheld_spans = splitter.tally.unheld_spans.saturating_add(1);
            }
            splitter.put_on(item, client, rewriter);
        });
        self.count();
        changed
    }

    /// Puts the parts on spans that were held by others, who emit them now.
    pub fn on_late_spans(&mut self, mut emission: Emission) -> Emission {
        // They have the mark of this filter.
        if let Some(changed) = self.rewrite_all(&emission.events, |_| true, Self::put_on) {
            emission.events = changed;
        }
        emission
    }

    /// What is to be emitted now. With `everything`, nothing is held from then on.
    pub fn take(&mut self, everything: bool, now: Tick) -> Vec<Emission> {
        if everything {
            self.held.close();
        }
        while let Some(span) = self.held.next_due(now) {
            self.find(span.note);
            self.held.release(&span, &self.pairs, &mut self.patch);
        }
        self.indexed = None;
        self.traces.expire(now, |_, _| {});
        self.count();
        self.held.take()
    }

    /// Takes back what could not be emitted; it is given again by the next [`LatencySplitter::take`].
    pub fn put_back(&mut self, emission: Emission) {
        self.held.put_back(emission);
    }

    /// What has happened so far.
    #[must_use]
    pub const fn tally(&self) -> &LatencyTally {
        &self.tally
    }

    /// The memory that held spans and what is remembered of traces take, in bytes.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.traces.bytes() + self.held.bytes()
    }

    fn count(&mut self) {
        self.tally.forgotten_traces = self.traces.forgotten();
        self.tally.held = self.held.count();
    }

    /// Rewrites the spans of a chunk that tell of model calls and that no filter has let go already.
    fn rewrite(
        &mut self,
        chunk: &[u8],
        edit: impl FnMut(&mut Self, &Item<'_>, ClientSpan, &mut ChunkRewriter<'_>),
    ) -> Option<Vec<u8>> {
        let position = self.position;
        let is_ours = move |item: &Item<'_>| {
            item.telemetry.is_some_and(|telemetry| !telemetry.is_past(position))
        };
        self.rewrite_all(chunk, is_ours, edit)
    }

    fn rewrite_all(
        &mut self,
        chunk: &[u8],
        counts: impl Fn(&Item<'_>) -> bool,
        mut edit: impl FnMut(&mut Self, &Item<'_>, ClientSpan, &mut ChunkRewriter<'_>),
    ) -> Option<Vec<u8>> {
        let mut visitor = CallVisitor::default();
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut items = ItemReader::new(chunk);
        while let Some(step) = items.step(&mut visitor) {
            match (client(&step, &visitor), &step) {
                (Some(client), ItemStep::Item(item)) if counts(item) => {
                    edit(self, item, client, &mut rewriter);
                }
                _ => rewriter.keep(step.raw()),
            }
            visitor = CallVisitor::default();
        }
        rewriter.finish()
    }

    fn put_on(&mut self, item: &Item<'_>, client: ClientSpan, rewriter: &mut ChunkRewriter<'_>) {
        self.find(client);
        if self.pairs.is_empty() {
            rewriter.keep(item.event.raw);
        } else {
            let out = rewriter.replace(item.event.raw);
            write_with(item, &self.pairs, &mut self.patch, out);
        }
    }

    /// Finds the parts of a call, which are in `pairs` then.
    fn find(&mut self, client: ClientSpan) {
        self.pairs.clear();
        let spans = self.traces.get(client.trace).and_then(TraceSpans::all);
        let split = spans.map_or(Split::Forgotten, |spans| {
            if self.indexed != Some(client.trace) {
                self.index.build(spans);
                self.indexed = Some(client.trace);
            }
            split(CallTree::new(spans, &self.index), client.span)
        });
        let outcome = match split {
            Split::Whole(parts) => self.write(&parts, SplitOutcome::Whole),
            Split::Partial(parts) => self.write(&parts, SplitOutcome::Partial),
            Split::OtherSpan => SplitOutcome::OtherSpan,
            Split::Alone => SplitOutcome::Alone,
            Split::Contradiction => SplitOutcome::Contradiction,
            Split::Forgotten => SplitOutcome::Forgotten,
        };
        if let Some(count) = self.tally.outcomes.get_mut(outcome as usize) {
            *count = count.saturating_add(1);
        }
    }

    fn write(&mut self, parts: &Parts, outcome: SplitOutcome) -> SplitOutcome {
        for (part, nanos) in LatencyPart::ALL.into_iter().zip(parts) {
            if let Some(nanos) = nanos {
                let seconds = Duration::from_nanos(*nanos).as_secs_f64();
                msgpack::f64(self.pairs.key(part.key()), seconds);
            }
        }
        outcome
    }
}

/// Whose time a step tells of, if it is a span that may get parts.
fn client(step: &ItemStep<'_>, said: &CallVisitor) -> Option<ClientSpan> {
    let (item, _) = step.span().filter(|_| said.is_open_call())?;
    Some(ClientSpan { trace: item.span.trace_id()?, span: item.span.span_id()? })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic_tests;
