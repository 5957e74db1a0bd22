//! Tail sampling: whole traces are held as encoded bytes until a decision about them is due.

mod adaptive;
mod facts;
mod interner;
mod trace;
mod unanswered;

use std::cell::OnceCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use self::facts::{FactVisitor, Held, Shown};
use self::interner::Interner;
use self::trace::{Trace, TraceEntry};
pub use self::unanswered::Unanswered;
use super::policy::{Budgets, KeepProbability, PassedTests, Policies, TraceOutcome};
use super::rewrite::{Mark, Probability, marked_body};
use super::session::SessionKeys;
use super::threshold::Randomness;
use super::trace_cache::TraceCache;
use super::tracestate::OtState;
use crate::clock::Tick;
use crate::codec::records::edit::{event_start, positioned_metadata};
use crate::codec::records::{ChunkRewriter, Item, ItemReader, Patch, Telemetry};
use crate::model::{Emission, ErrorRule, Position, TraceId};

/// How large a released batch grows before the next one is begun.
const BATCH: usize = 1 << 20;

/// How a tail sampler works.
#[derive(Debug)]
pub struct TailConfig {
    /// How long after its first span a trace is decided.
    pub decision_wait: Duration,
    /// How long after its root span a trace is decided, if that is sooner.
    pub wait_after_root: Option<Duration>,
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
    /// What names the sessions whose traces are decided alike.
    pub sessions: Option<SessionKeys>,
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
    /// Spans of traces whose session decided about chance.
    pub of_sessions: u64,
    /// Spans of traces of a session that had randomness or a threshold before, so that it did not decide.
    pub against_sessions: u64,
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
    wait_after_root: Option<Duration>,
    max_bytes: usize,
    max_traces: usize,
    position: Position,
    policies: Arc<Policies>,
    budgets: Budgets,
    errors: ErrorRule,
    sessions: Option<Arc<SessionKeys>>,
    traces: HashMap<TraceId, Box<Trace>, RandomState>,
    order: VecDeque<(Tick, TraceId)>,
    /// Traces whose root came, by when it did.
    rooted: VecDeque<(Tick, (Tick, TraceId))>,
    trace_bytes: usize,
    metadata: Interner,
    tags: Interner,
    kept: TraceCache<KeptAs>,
    dropped: TraceCache<Option<usize>>,
    ready: VecDeque<Emission>,
    ready_bytes: usize,
    closed: bool,
    /// Used again for each span that is marked.
    patch: Patch,
    tally: TailTally,
}

/// How a trace was kept, and what its spans say of it.
#[derive(Debug, Clone, Copy)]
struct KeptAs {
    policy: usize,
    probability: KeepProbability,
    /// That of its session.
    randomness: Option<Randomness>,
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
            wait_after_root: config.wait_after_root,
            max_bytes: config.max_bytes,
            max_traces: config.max_traces,
            position: config.position,
            budgets: config.policies.budgets(),
            policies: Arc::new(config.policies),
            errors: config.errors,
            sessions: config.sessions.map(Arc::new),
            traces: HashMap::default(),
            order: VecDeque::new(),
            rooted: VecDeque::new(),
            trace_bytes: 0,
            metadata: Interner::default(),
            tags: Interner::default(),
            kept: TraceCache::new(config.kept_cache),
            dropped: TraceCache::new(config.dropped_cache),
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
        self.budgets.advance(now);
        let (policies, sessions) = (Arc::clone(&self.policies), self.sessions.clone());
        let mut visitor = FactVisitor::new(&policies, sessions.as_deref());
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut items = ItemReader::new(chunk);
        let mut metadata_run: Option<MetadataRun> = None;
        while let Some(step) = items.step(&mut visitor) {
            let shown = std::mem::take(&mut visitor.shown);
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
                    self.span(&mut rewriter, metadata_run, item, shown, now);
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
        self.budgets.advance(now);
        self.decide_rooted(now);
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

    /// Decides the traces whose root came long enough ago.
    fn decide_rooted(&mut self, now: Tick) {
        let Some(wait) = self.wait_after_root else { return };
        while let Some((root_seen, (first_seen, id))) = self.rooted.front().copied() {
            if now.since(root_seen) < wait {
                break;
            }
            self.rooted.pop_front();
            self.decide_if_held(first_seen, id, None, None);
        }
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
        mut shown: Shown<'_>,
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
        let facts = &mut shown.facts;
        facts.0 |= metadata_run.resource.0;
        let tests = self.policies.tests();
        tests.status(facts, span.status_code());
        tests.trace_state(facts, span.trace_state());
        tests.events(facts, span.events);
        tests.flags(facts, span);
        tests.joint(facts);
        if !self.hold(id, metadata_run, item, &shown, now) {
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
        if let Some(kept) = self.kept.get(id) {
            self.tally.late_kept += 1;
            add(&mut self.tally.kept, kept.policy, 1);
            self.patch.begin(raw);
            let mark = mark(&self.policies, kept);
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
        shown: &Shown<'_>,
        now: Tick,
    ) -> bool {
        let MetadataRun { metadata, tag, .. } = metadata_run;
        // Traces that were decided early leave their place in the queues behind.
        let traces = &self.traces;
        let is_held = |(first_seen, id): &(Tick, TraceId)| {
            traces.get(id).is_some_and(|trace| trace.first_seen == *first_seen)
        };
        let most = 2 * traces.len() + 1024;
        if self.order.len() > most {
            self.order.retain(is_held);
        }
        if self.rooted.len() > most {
            self.rooted.retain(|(_, trace)| is_held(trace));
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
        if self.policies.read_usage() {
            trace.more.get_or_insert_default().usage.add(&shown.usage);
        }
        if let Some(name) = shown.session
            && let Some(keys) = &self.sessions
        {
            let session = &mut trace.more.get_or_insert_default().session;
            *session = session.or_else(|| keys.randomness(name));
        }
        self.trace_bytes = self.trace_bytes.saturating_sub(before) + trace.held();
        self.metadata.again(metadata);
        self.tags.again(tag);
        self.tally.held += 1;
        trace.facts.0 |= shown.facts.0;
        if self.wait_after_root.is_some()
            && item.span.parent_span_id.is_empty()
            && !std::mem::replace(&mut trace.has_root, true)
        {
            self.rooted.push_back((now, (trace.first_seen, id)));
        }
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
        let may_change = self.sessions.is_some() && self.policies.ignore_spans();
        if may_change && trace.randomness.or(trace.session()).is_none() {
            // A span that follows may name the session, which decides about chance.
            return;
        }
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
        let mut budgets = std::mem::take(&mut self.budgets);
        let facts = self.facts_of(trace);
        let outcome = self.policies.decide(&facts, &mut budgets, &mut |policy, error| {
            unanswered.push((policy, error));
        });
        let spans = trace.spans;
        self.budgets = budgets;
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
        let (metadata, tags, errors) = (&self.metadata, &self.tags, self.errors);
        Held { trace, metadata, tags, errors, spans: OnceCell::new() }
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
        match (trace.session(), trace.more.as_ref().and_then(|more| more.session)) {
            (Some(_), _) => self.tally.of_sessions += trace.spans,
            (None, Some(_)) => self.tally.against_sessions += trace.spans,
            (None, None) => {}
        }
        match outcome {
            TraceOutcome::Keep { policy, probability } => {
                add(&mut self.tally.kept, policy, trace.spans);
                let kept = KeptAs { policy, probability, randomness: trace.session() };
                self.kept.insert(trace.id, kept);
                self.release(trace, kept, here);
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
        kept: KeptAs,
        mut here: Option<(&mut ChunkRewriter<'_>, u32)>,
    ) {
        let policies = Arc::clone(&self.policies);
        let mark = mark(&policies, kept);
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
fn mark(policies: &Policies, kept: KeptAs) -> Mark<'_> {
    let probability = match kept.probability {
        KeepProbability::Certain | KeepProbability::Unknown => Probability::Unknown,
        KeepProbability::At(threshold) => Probability::AtLeast(threshold),
    };
    Mark { probability, randomness: kept.randomness, policy: Some(policies.name(kept.policy)) }
}

#[cfg(test)]
mod tests;
