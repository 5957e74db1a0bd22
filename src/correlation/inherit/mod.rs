//! Inheritance: what one span of a trace says of the request is put on the others, and on the logs of
//! the trace.
//!
//! Of a trace is remembered which spans say what, and which are below which, in a window that is
//! bounded in bytes and time. A span without a field gets that of the nearest span above it that has one;
//! where none is known, the one value that its trace has. Of several it gets none: another request's user
//! is worse than no user. All spans of a chunk are looked at before any of them is changed. Beyond that
//! a span knows what has come before it, unless spans are held for a while: see
//! [`InheritConfig::wait`].

mod fields;
mod trace;

use std::sync::Arc;
use std::time::Duration;

pub use self::fields::{InheritedFields, InheritedKind};

use self::fields::{FieldVisitor, Said, Statement};
use self::trace::{Inheritance, TraceFacts};
use super::attributes::{AttributePlace, write_with};
use super::held_spans::HeldSpans;
use super::window_map::WindowMap;
use crate::clock::Tick;
use crate::codec::records::edit::Pairs;
use crate::codec::records::{ChunkRewriter, Item, ItemReader, ItemStep, LogView, Patch};
use crate::model::{Emission, Position, Signal, SpanId, TraceId};

/// How attributes are inherited.
#[derive(Debug)]
pub struct InheritConfig {
    /// Which attributes.
    pub fields: InheritedFields,
    /// How long a trace is remembered after its last span.
    pub window: Duration,
    /// How long a span that lacks something is held, so that what comes after it is known; zero if
    /// none is held.
    pub wait: Duration,
    /// The most memory: for what is remembered of traces, and where spans are held, one half for
    /// each.
    pub max_bytes: usize,
    /// Marks spans that were held, so that the filters up to here leave them alone.
    pub position: Position,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InheritTally {
    /// Attributes that items got, by [`InheritedKind::index`].
    pub attributes: [u64; InheritedKind::ALL.len()],
    /// How often an item got none because its trace says several things, by [`InheritedKind::index`].
    pub conflicts: [u64; InheritedKind::ALL.len()],
    /// Traces that went for want of memory before their time.
    pub forgotten_traces: u64,
    /// Spans of traces that have too many, of which it is not remembered what is above them.
    pub forgotten_spans: u64,
    /// What spans say that is too long or too much to remember.
    pub forgotten_values: u64,
    /// Spans that were to be held and found no memory.
    pub unheld_spans: u64,
    /// Spans that are held.
    pub held: u64,
}

impl InheritTally {
    fn add(counts: &mut [u64; InheritedKind::ALL.len()], kind: InheritedKind, more: u32) {
        if let Some(count) = counts.get_mut(kind.index()) {
            *count = count.saturating_add(more.into());
        }
    }
}

/// Where an item stands, and what it lacks.
#[derive(Debug, Clone, Copy)]
struct Heir {
    trace: TraceId,
    /// The next span above it.
    above: Option<SpanId>,
    /// The groups of which it says nothing.
    lacks: u16,
}

/// Puts what one span of a trace says on the others.
#[derive(Debug)]
pub struct Inheritor {
    fields: Arc<InheritedFields>,
    position: Position,
    traces: WindowMap<TraceId, TraceFacts>,
    held: HeldSpans<Heir>,
    tally: InheritTally,
    /// Used again for each item.
    pairs: Pairs,
    patch: Patch,
}

impl Inheritor {
    /// One that knows nothing yet.
    #[must_use]
    pub fn new(config: InheritConfig) -> Self {
        let half = config.max_bytes / 2;
        let (of_traces, max_held) =
            if config.wait.is_zero() { (config.max_bytes, 0) } else { (half, half) };
        Self {
            fields: Arc::new(config.fields),
            position: config.position,
            traces: WindowMap::new(config.window, of_traces),
            held: HeldSpans::new(config.wait, max_held, config.position),
            tally: InheritTally::default(),
            pairs: Pairs::new(),
            patch: Patch::default(),
        }
    }

    /// Looks at the spans of a chunk, and says what goes on in the chunk's place; `None` if it is the
    /// chunk itself.
    pub fn on_chunk(&mut self, tag: &[u8], chunk: &[u8], now: Tick) -> Option<Vec<u8>> {
        self.traces.expire(now, |_, _| {});
        self.look(chunk, now);
        let changed = self.put_on(tag, chunk, now);
        self.count();
        changed
    }

    /// Puts on logs that are emitted late what their trace says, now that they have one.
    pub fn on_late_logs(&mut self, mut emission: Emission) -> Emission {
        let mut rewriter = ChunkRewriter::new(&emission.events);
        let mut items = ItemReader::new(&emission.events);
        while let Some(step) = items.step(&mut ()) {
            match &step {
                ItemStep::Item(item) if item.signal() == Signal::Logs => {
                    self.log(item, &mut rewriter);
                }
                _ => rewriter.keep(step.raw()),
            }
        }
        if let Some(changed) = rewriter.finish() {
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
        self.traces.expire(now, |_, _| {});
        self.count();
        self.held.take()
    }

    /// Takes back what could not be emitted; it is given again by the next [`Inheritor::take`].
    pub fn put_back(&mut self, emission: Emission) {
        self.held.put_back(emission);
    }

    /// What has happened so far.
    #[must_use]
    pub const fn tally(&self) -> &InheritTally {
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

    /// Remembers what the spans of a chunk say.
    fn look(&mut self, chunk: &[u8], now: Tick) {
        let fields = Arc::clone(&self.fields);
        let mut visitor = FieldVisitor { fields: &fields, said: Said::default() };
        let mut items = ItemReader::new(chunk);
        let mut of_resource = Said::default();
        while let Some(step) = items.step(&mut visitor) {
            if let Some((item, telemetry)) = step.span() {
                if item.new_metadata {
                    of_resource = Said::of_resource(&fields, telemetry.resource);
                }
                if let Some(trace) = item.span.trace_id()
                    && !telemetry.is_past(self.position)
                {
                    visitor.said.fill(&fields, &of_resource);
                    self.span_seen(trace, item, &visitor.said, now);
                }
            }
            visitor.said.clear();
        }
    }

    fn span_seen(&mut self, trace: TraceId, item: &Item<'_>, said: &Said<'_>, now: Tick) {
        let (fields, tally) = (&self.fields, &mut self.tally);
        let (span, parent) = (item.span.span_id(), item.span.parent_span_id());
        self.traces.change(trace, now, |facts| {
            if let Some((span, parent)) = span.zip(parent)
                && !facts.note_span(span, parent)
            {
                tally.forgotten_spans = tally.forgotten_spans.saturating_add(1);
            }
            for group in fields.groups().filter(|group| said.says(*group)) {
                let is_kept = match said.statement(fields, group) {
                    Statement::Pairs(pairs) => facts.note(span, group, pairs),
                    Statement::Nothing => true,
                    Statement::TooLong => {
                        facts.note_incomplete(group);
                        false
                    }
                };
                if !is_kept {
                    tally.forgotten_values = tally.forgotten_values.saturating_add(1);
                }
            }
        });
    }

    /// Gives the items of a chunk what they lack.
    fn put_on(&mut self, tag: &[u8], chunk: &[u8], now: Tick) -> Option<Vec<u8>> {
        let fields = Arc::clone(&self.fields);
        let mut visitor = FieldVisitor { fields: &fields, said: Said::default() };
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut items = ItemReader::new(chunk);
        let mut of_resource = Said::default();
        while let Some(step) = items.step(&mut visitor) {
            match &step {
                ItemStep::Item(item) if !self.is_past(item) => match item.signal() {
                    Signal::Traces => {
                        if item.new_metadata {
                            let resource = item.telemetry.and_then(|said| said.resource);
                            of_resource = Said::of_resource(&fields, resource);
                        }
                        visitor.said.fill(&fields, &of_resource);
                        let heir = item.span.trace_id().map(|trace| Heir {
                            trace,
                            above: item.span.parent_span_id(),
                            lacks: lacks(&fields, &visitor.said),
                        });
                        self.span(tag, item, heir, &mut rewriter, now);
                    }
                    Signal::Logs => self.log(item, &mut rewriter),
                    Signal::Metrics | Signal::Profiles => rewriter.keep(step.raw()),
                },
                _ => rewriter.keep(step.raw()),
            }
            visitor.said.clear();
        }
        rewriter.finish()
    }

    fn is_past(&self, item: &Item<'_>) -> bool {
        item.telemetry.is_some_and(|telemetry| telemetry.is_past(self.position))
    }

    /// Gives a span what it lacks, or holds it.
    fn span(
        &mut self,
        tag: &[u8],
        item: &Item<'_>,
        heir: Option<Heir>,
        rewriter: &mut ChunkRewriter<'_>,
        now: Tick,
    ) {
        let Some(heir) = heir.filter(|heir| heir.lacks != 0) else {
            return rewriter.keep(item.event.raw);
        };
        if self.held.is_open() && self.hold(tag, item, heir, now) {
            rewriter.replace(item.event.raw);
        } else {
            self.give(item, heir, rewriter);
        }
    }

    /// Gives a log what it lacks, if it is in a trace.
    fn log(&mut self, item: &Item<'_>, rewriter: &mut ChunkRewriter<'_>) {
        let log = item.event.otlp().map(LogView::new).unwrap_or_default();
        let Some(trace) = log.trace_id().filter(|trace| self.traces.get(*trace).is_some()) else {
            return rewriter.keep(item.event.raw);
        };
        let mut said = Said::default();
        for map in [AttributePlace::of(item).map(), item.event.body] {
            said.note_map(&self.fields, map);
        }
        let resource = item.telemetry.and_then(|telemetry| telemetry.resource);
        said.fill(&self.fields, &Said::of_resource(&self.fields, resource));
        let lacks = lacks(&self.fields, &said);
        self.give(item, Heir { trace, above: log.span_id(), lacks }, rewriter);
    }

    fn give(&mut self, item: &Item<'_>, heir: Heir, rewriter: &mut ChunkRewriter<'_>) {
        self.find(heir);
        if self.pairs.is_empty() || AttributePlace::of(item) == AttributePlace::Nowhere {
            rewriter.keep(item.event.raw);
        } else {
            let out = rewriter.replace(item.event.raw);
            write_with(item, &self.pairs, &mut self.patch, out);
        }
    }

    /// Finds what an item inherits, which is in `pairs` then.
    fn find(&mut self, heir: Heir) {
        self.pairs.clear();
        let Some(facts) = self.traces.get(heir.trace) else { return };
        let lacking = self.fields.groups().filter(|group| heir.lacks & group.bit() != 0);
        for group in lacking {
            let kind = self.fields.kind(group);
            match facts.inherited(group, heir.above, self.fields.is_of_trace(group)) {
                Inheritance::Pairs(pairs) => {
                    self.pairs.append(pairs);
                    InheritTally::add(&mut self.tally.attributes, kind, pairs.len());
                }
                Inheritance::Conflict => InheritTally::add(&mut self.tally.conflicts, kind, 1),
                Inheritance::Unknown => {}
            }
        }
    }

    /// Holds a span, if there is memory for it.
    fn hold(&mut self, tag: &[u8], item: &Item<'_>, heir: Heir, now: Tick) -> bool {
        let is_held = self.held.hold(tag, item, heir, now);
        self.tally.unheld_spans = self.tally.unheld_spans.saturating_add((!is_held).into());
        is_held
    }
}

/// The groups of which an item says nothing.
fn lacks(fields: &InheritedFields, said: &Said<'_>) -> u16 {
    let missing = fields.groups().filter(|group| !said.says(*group));
    missing.fold(0, |set, group| set | group.bit())
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic_tests;
