//! Tail sampling: whole traces are held as encoded bytes until a decision about them is due.

mod decision_cache;
mod interner;
mod trace;
mod unanswered;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use self::decision_cache::DecisionCache;
use self::interner::Interner;
use self::trace::{Trace, TraceEntry};
pub use self::unanswered::Unanswered;
use super::policy::{KeepProbability, PassedTests, Policies, SpanTests, TraceFacts, TraceOutcome};
use super::rewrite::{Mark, Probability, marked_body};
use super::threshold::{Randomness, Threshold};
use super::tracestate::OtState;
use crate::clock::Tick;
use crate::codec::records::edit::{event_start, positioned_metadata};
use crate::codec::records::{
    AttributeVisitor, ChunkRewriter, Event, EventKind, Item, ItemReader, Patch, Telemetry,
};
use crate::condition::{Condition, ConditionError, ConditionRecord, ConditionSubject};
use crate::model::{Emission, ErrorRule, Position, TraceId};

/// How large a released batch grows before the next one is begun.
const BATCH: usize = 1 << 20;

/// How a tail sampler works.
#[derive(Debug)]
pub struct TailConfig {
    /// How long after its first span a trace is decided.
    pub decision_wait: Duration,
    /// The most memory that held and released spans take, in bytes.
    pub max_bytes: usize,
    /// The most traces held.
    pub max_traces: usize,
    /// How many decisions to keep are remembered for late spans.
    pub kept_cache: usize,
    /// How many decisions to drop are remembered for late spans.
    pub dropped_cache: usize,
    /// Who decides.
    pub policies: Policies,
    /// Which spans expressions count as errors.
    pub errors: ErrorRule,
    /// Marks what is released, so that the filters up to here leave it alone.
    pub position: Position,
}

/// What has happened so far, in spans unless it says otherwise:
/// `received = kept + dropped + untraced + held`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TailTally {
    /// Spans that came.
    pub received: u64,
    /// Kept spans by policy.
    pub kept: Vec<u64>,
    /// Dropped spans: by no policy, then by policy.
    pub dropped: Vec<u64>,
    /// Spans without a usable trace id, which are let through.
    pub untraced: u64,
    /// Spans that wait for a decision.
    pub held: u64,
    /// Traces decided early because nothing could change the outcome.
    pub early_certain: u64,
    /// Traces decided early because the buffer was full.
    pub early_full: u64,
    /// Traces decided early because the host stops.
    pub early_shutdown: u64,
    /// Spans that came after their trace was kept.
    pub late_kept: u64,
    /// Spans that came after their trace was dropped.
    pub late_dropped: u64,
    /// What became of traces for which a policy's expression had no answer, by policy.
    pub unanswered: Vec<Unanswered>,
}

/// Why a trace is decided before its time.
#[derive(Debug, Clone, Copy)]
enum Early {
    Certain,
    Full,
    Shutdown,
}

/// Holds traces and decides about them.
#[derive(Debug)]
pub struct TailSampler {
    decision_wait: Duration,
    max_bytes: usize,
    max_traces: usize,
    position: Position,
    policies: Arc<Policies>,
    errors: ErrorRule,
    traces: HashMap<TraceId, Box<Trace>, RandomState>,
    order: VecDeque<(Tick, TraceId)>,
    trace_bytes: usize,
    metadata: Interner,
    tags: Interner,
    kept: DecisionCache<(usize, KeepProbability)>,
    dropped: DecisionCache<Option<usize>>,
    ready: VecDeque<Emission>,
    ready_bytes: usize,
    closed: bool,
    /// Used again for each span that is marked.
    patch: Patch,
    tally: TailTally,
}

/// What is common to the spans that follow each other with the same metadata.
#[derive(Debug, Clone, Copy)]
struct MetadataRun {
    metadata: u32,
    tag: u32,
    resource: PassedTests,
    ours: bool,
}

impl TailSampler {
    /// A sampler that holds nothing yet.
    #[must_use]
    pub fn new(config: TailConfig) -> Self {
        let count = config.policies.list().len();
        let (kept, dropped) = (vec![0; count], vec![0; count + 1]);
        let unanswered = vec![Unanswered::default(); count];
        Self {
            decision_wait: config.decision_wait,
            max_bytes: config.max_bytes,
            max_traces: config.max_traces,
            position: config.position,
            policies: Arc::new(config.policies),
            errors: config.errors,
            traces: HashMap::default(),
            order: VecDeque::new(),
            trace_bytes: 0,
            metadata: Interner::default(),
            tags: Interner::default(),
            kept: DecisionCache::new(config.kept_cache),
            dropped: DecisionCache::new(config.dropped_cache),
            ready: VecDeque::new(),
            ready_bytes: 0,
            closed: false,
            patch: Patch::default(),
            tally: TailTally { kept, dropped, unanswered, ..TailTally::default() },
        }
    }

    /// Takes the spans of a chunk in and says what goes on in the chunk's place; `None` if it is
    /// the chunk itself.
    pub fn on_chunk(&mut self, tag: &[u8], chunk: &[u8], now: Tick) -> Option<Vec<u8>> {
        let policies = Arc::clone(&self.policies);
        let mut visitor = FactVisitor { tests: policies.tests(), facts: PassedTests::default() };
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut items = ItemReader::new(chunk);
        let mut metadata_run: Option<MetadataRun> = None;
        while let Some(step) = items.step(&mut visitor) {
            let facts = std::mem::take(&mut visitor.facts);
            let Some((item, telemetry)) = step.span() else {
                rewriter.keep(step.raw());
                continue;
            };
            if item.new_metadata || metadata_run.is_none() {
                self.leave(metadata_run.take());
                metadata_run = self.enter(tag, item.event.metadata, telemetry);
            }
            match metadata_run {
                Some(metadata_run) if !metadata_run.ours => {
                    self.span(&mut rewriter, metadata_run, item, facts, now);
                }
                _ => rewriter.keep(item.event.raw),
            }
        }
        self.shed(&mut rewriter, metadata_run);
        self.leave(metadata_run);
        rewriter.finish()
    }

    /// What is to be emitted now. With `everything`, all that is held is decided on what is there,
    /// and from then on nothing is held any more.
    pub fn take(&mut self, everything: bool, now: Tick) -> Vec<Emission> {
        self.closed |= everything;
        while let Some((first_seen, id)) = self.order.front().copied() {
            let due = now.since(first_seen) >= self.decision_wait;
            if !due && !everything {
                break;
            }
            self.order.pop_front();
            let early = if due { None } else { Some(Early::Shutdown) };
            self.decide_if_held(first_seen, id, early, None);
        }
        self.ready_bytes = 0;
        self.ready.drain(..).collect()
    }

    /// Takes back what could not be emitted; it is given again by the next [`TailSampler::take`].
    pub fn put_back(&mut self, released: Emission) {
        self.ready_bytes += released.events.len();
        self.ready.push_back(released);
    }

    /// The policies, in the order of the counts in [`TailTally`].
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// What has happened so far.
    #[must_use]
    pub const fn tally(&self) -> &TailTally {
        &self.tally
    }

    /// The memory that held and released spans take, in bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.trace_bytes + self.metadata.held() + self.tags.held() + self.ready_bytes
    }

    /// Starts a run of spans with the same metadata. `None` when nothing more can be held.
    fn enter(
        &mut self,
        tag: &[u8],
        metadata: &[u8],
        telemetry: &Telemetry<'_>,
    ) -> Option<MetadataRun> {
        let metadata = self.metadata.add(metadata)?;
        let Some(tag) = self.tags.add(tag) else {
            self.metadata.release(metadata);
            return None;
        };
        let mut resource = PassedTests::default();
        if let Some(encoded) = telemetry.resource {
            self.policies.tests().resource(&mut resource, encoded);
        }
        let ours = telemetry.is_past(self.position);
        Some(MetadataRun { metadata, tag, resource, ours })
    }

    fn leave(&mut self, metadata_run: Option<MetadataRun>) {
        if let Some(metadata_run) = metadata_run {
            self.metadata.release(metadata_run.metadata);
            self.tags.release(metadata_run.tag);
        }
    }

    fn span(
        &mut self,
        rewriter: &mut ChunkRewriter<'_>,
        metadata_run: MetadataRun,
        item: &Item<'_>,
        mut facts: PassedTests,
        now: Tick,
    ) {
        self.tally.received += 1;
        let (raw, span) = (item.event.raw, &item.span);
        let Some(id) = span.trace_id() else {
            self.tally.untraced += 1;
            rewriter.keep(raw);
            return;
        };
        if !self.traces.contains_key(&id) && self.late(rewriter, id, item) {
            return;
        }
        facts.0 |= metadata_run.resource.0;
        let tests = self.policies.tests();
        tests.status(&mut facts, span.status_code());
        tests.trace_state(&mut facts, span.trace_state());
        tests.events(&mut facts, span.events);
        if !self.hold(id, metadata_run, item, facts, now) {
            self.tally.untraced += 1;
            rewriter.keep(raw);
            return;
        }
        rewriter.replace(raw);
        self.decide_early(rewriter, metadata_run, id);
    }

    /// A span whose trace was decided already goes the way of its trace.
    fn late(&mut self, rewriter: &mut ChunkRewriter<'_>, id: TraceId, item: &Item<'_>) -> bool {
        let raw = item.event.raw;
        if let Some((policy, probability)) = self.kept.get(id) {
            self.tally.late_kept += 1;
            add(&mut self.tally.kept, policy, 1);
            self.patch.begin(raw);
            let mark = mark(&self.policies, policy, probability);
            mark.note(item.event.body, &item.span, &mut self.patch);
            self.patch.apply(raw, rewriter.replace(raw));
            return true;
        }
        if let Some(policy) = self.dropped.get(id) {
            self.tally.late_dropped += 1;
            add(&mut self.tally.dropped, policy.map_or(0, |policy| policy + 1), 1);
            rewriter.replace(raw);
            return true;
        }
        false
    }

    fn hold(
        &mut self,
        id: TraceId,
        metadata_run: MetadataRun,
        item: &Item<'_>,
        facts: PassedTests,
        now: Tick,
    ) -> bool {
        let MetadataRun { metadata, tag, .. } = metadata_run;
        if self.order.len() > 2 * self.traces.len() + 1024 {
            // Traces that were decided early leave their place in the queue behind.
            let traces = &self.traces;
            self.order.retain(|(first_seen, id)| {
                traces.get(id).is_some_and(|trace| trace.first_seen == *first_seen)
            });
        }
        let order = &mut self.order;
        let trace = self.traces.entry(id).or_insert_with(|| {
            order.push_back((now, id));
            Box::new(Trace::new(id, now))
        });
        let before = if trace.spans == 0 { 0 } else { trace.held() };
        if !trace.push(TraceEntry { metadata, tag, time: item.event.time, body: item.event.body }) {
            return false;
        }
        self.trace_bytes = self.trace_bytes.saturating_sub(before) + trace.held();
        self.metadata.again(metadata);
        self.tags.again(tag);
        self.tally.held += 1;
        trace.facts.0 |= facts.0;
        let (start, end) = (item.span.start_unix_nanos(), item.span.end_unix_nanos());
        if start > 0 {
            trace.start = trace.start.min(start);
            trace.end = trace.end.max(end).max(start);
        }
        let state = item.span.trace_state();
        if !state.is_empty() {
            let state = OtState::read(state);
            trace.randomness = trace.randomness.or(state.randomness);
            trace.threshold = trace.threshold.max(state.threshold);
        }
        true
    }

    fn decide_early(
        &mut self,
        rewriter: &mut ChunkRewriter<'_>,
        metadata_run: MetadataRun,
        id: TraceId,
    ) {
        let Some(trace) = self.traces.get(&id) else { return };
        let outcome = self.policies.decide_early(&self.facts_of(trace));
        if let Some(outcome) = outcome {
            self.count_early(Early::Certain);
            if let Some(trace) = self.traces.remove(&id) {
                self.finish(&trace, outcome, Some((rewriter, metadata_run.tag)));
            }
        }
    }

    /// Makes room: the oldest traces are decided on what is there, and what was released under the
    /// chunk's tag and not emitted yet goes on with the chunk.
    fn shed(&mut self, rewriter: &mut ChunkRewriter<'_>, metadata_run: Option<MetadataRun>) {
        while self.closed
            || self.held_bytes() > self.max_bytes
            || self.traces.len() > self.max_traces
        {
            let Some((first_seen, id)) = self.order.pop_front() else { break };
            let early = if self.closed { Early::Shutdown } else { Early::Full };
            let here = metadata_run.map(|metadata_run| (&mut *rewriter, metadata_run.tag));
            self.decide_if_held(first_seen, id, Some(early), here);
        }
        let Some(metadata_run) = metadata_run else { return };
        while self.held_bytes() > self.max_bytes {
            let tag = self.tags.get(metadata_run.tag);
            let Some(at) = self.ready.iter().position(|released| released.tag == tag) else {
                break;
            };
            let Some(released) = self.ready.remove(at) else { break };
            self.ready_bytes = self.ready_bytes.saturating_sub(released.events.len());
            rewriter.insert().extend_from_slice(&released.events);
        }
    }

    /// Decides a trace of the queue unless it was decided before.
    fn decide_if_held(
        &mut self,
        first_seen: Tick,
        id: TraceId,
        early: Option<Early>,
        here: Option<(&mut ChunkRewriter<'_>, u32)>,
    ) {
        let held = self.traces.get(&id).filter(|trace| trace.first_seen == first_seen);
        let Some(trace) = held else { return };
        let mut unanswered = Vec::new();
        let outcome = self.policies.decide(&self.facts_of(trace), &mut |policy, error| {
            unanswered.push((policy, error));
        });
        let spans = trace.spans;
        for (policy, error) in unanswered {
            if let Some(tally) = self.tally.unanswered.get_mut(policy) {
                tally.add(&error, matches!(outcome, TraceOutcome::Keep { .. }), spans);
            }
        }
        early.into_iter().for_each(|reason| self.count_early(reason));
        if let Some(trace) = self.traces.remove(&id) {
            self.finish(&trace, outcome, here);
        }
    }

    fn count_early(&mut self, reason: Early) {
        match reason {
            Early::Certain => self.tally.early_certain += 1,
            Early::Full => self.tally.early_full += 1,
            Early::Shutdown => self.tally.early_shutdown += 1,
        }
    }

    fn facts_of<'t>(&'t self, trace: &'t Trace) -> Held<'t> {
        Held { trace, metadata: &self.metadata, tags: &self.tags, errors: self.errors }
    }

    /// Lets a trace go that was taken out of the map: on with the chunk `here` if its spans came
    /// under the chunk's tag, else into the released batches.
    fn finish(
        &mut self,
        trace: &Trace,
        outcome: TraceOutcome,
        here: Option<(&mut ChunkRewriter<'_>, u32)>,
    ) {
        self.trace_bytes = self.trace_bytes.saturating_sub(trace.held());
        self.tally.held = self.tally.held.saturating_sub(trace.spans);
        match outcome {
            TraceOutcome::Keep { policy, probability } => {
                add(&mut self.tally.kept, policy, trace.spans);
                self.kept.insert(trace.id, (policy, probability));
                self.release(trace, policy, probability, here);
            }
            TraceOutcome::Drop(policy) => {
                add(&mut self.tally.dropped, policy.map_or(0, |policy| policy + 1), trace.spans);
                self.dropped.insert(trace.id, policy);
            }
        }
        for entry in trace.entries() {
            self.metadata.release(entry.metadata);
            self.tags.release(entry.tag);
        }
    }

    fn release(
        &mut self,
        trace: &Trace,
        policy: usize,
        probability: KeepProbability,
        mut here: Option<(&mut ChunkRewriter<'_>, u32)>,
    ) {
        let policies = Arc::clone(&self.policies);
        let mark = mark(&policies, policy, probability);
        let mut positioned: Option<(u32, Vec<u8>)> = None;
        for entry in trace.entries() {
            if let Some((rewriter, tag)) = &mut here
                && *tag == entry.tag
            {
                let out = rewriter.insert();
                event_start(out, entry.time, self.metadata.get(entry.metadata));
                marked_body(entry.body, mark, &mut self.patch, out);
                continue;
            }
            let metadata = match positioned.take() {
                Some((id, metadata)) if id == entry.metadata => metadata,
                _ => {
                    let mut metadata = Vec::new();
                    let plain = self.metadata.get(entry.metadata);
                    positioned_metadata(plain, self.position, &mut metadata);
                    metadata
                }
            };
            let at = self.batch(entry.tag);
            if let Some(batch) = self.ready.get_mut(at) {
                let before = batch.events.len();
                event_start(&mut batch.events, entry.time, &metadata);
                marked_body(entry.body, mark, &mut self.patch, &mut batch.events);
                batch.records += 1;
                self.ready_bytes += batch.events.len().saturating_sub(before);
            }
            positioned = Some((entry.metadata, metadata));
        }
    }

    /// The place of the batch that takes the next released span of a tag.
    fn batch(&mut self, tag: u32) -> usize {
        let tag = self.tags.get(tag);
        let open = |batch: &Emission| batch.events.len() < BATCH && batch.tag == tag;
        self.ready.iter().rposition(open).unwrap_or_else(|| {
            let tag = tag.to_vec();
            self.ready.push_back(Emission { tag, records: 0, events: Vec::new() });
            self.ready.len().saturating_sub(1)
        })
    }
}

fn add(counts: &mut [u64], index: usize, spans: u64) {
    if let Some(count) = counts.get_mut(index) {
        *count += spans;
    }
}

/// What a kept span says: a threshold only if chance kept it.
fn mark(policies: &Policies, policy: usize, probability: KeepProbability) -> Mark<'_> {
    let probability = match probability {
        KeepProbability::Certain => Probability::Unknown,
        KeepProbability::At(threshold) => Probability::AtLeast(threshold),
    };
    Mark { probability, policy: Some(policies.name(policy)) }
}

/// Collects what the attributes of a span show.
struct FactVisitor<'t> {
    tests: &'t SpanTests,
    facts: PassedTests,
}

impl<'a> AttributeVisitor<'a> for FactVisitor<'_> {
    #[inline]
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.tests.attribute(&mut self.facts, key, value);
    }
}

/// A held trace, as policies see it.
struct Held<'t> {
    trace: &'t Trace,
    metadata: &'t Interner,
    tags: &'t Interner,
    errors: ErrorRule,
}

impl TraceFacts for Held<'_> {
    fn passed_tests(&self) -> PassedTests {
        self.trace.facts
    }

    fn duration(&self) -> Duration {
        self.trace.duration()
    }

    fn randomness(&self) -> Randomness {
        self.trace.randomness.unwrap_or(Randomness::of_trace(self.trace.id))
    }

    fn threshold_before(&self) -> Option<Threshold> {
        self.trace.threshold
    }

    fn meets(&self, condition: &Condition) -> Result<bool, ConditionError> {
        let records: Vec<ConditionRecord<'_>> = self
            .trace
            .entries()
            .map(|entry| {
                let metadata = self.metadata.get(entry.metadata);
                let (time, body) = (entry.time, entry.body);
                let kind = EventKind::Record;
                let event = Event { raw: body, kind, time, metadata, body, group: None };
                ConditionRecord::new(event, event.telemetry(), self.tags.get(entry.tag))
            })
            .collect();
        condition.evaluate(&ConditionSubject::Trace(&records, self.errors))
    }
}

#[cfg(test)]
mod tests;
