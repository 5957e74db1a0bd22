//! Tail sampling: whole traces are held as encoded bytes until a decision about them is due.

mod adaptive;
mod buffer;
mod companions;
mod compare;
mod comparison;
mod config;
mod decided;
mod dropped_counts;
mod due;
mod facts;
mod found;
mod interner;
mod learned;
mod logs;
mod packed;
mod queue;
mod ready;
mod rules;
mod shown;
mod tally;
mod tombstones;
mod trace;
mod unanswered;
mod waits;

use std::sync::Arc;
use std::time::Duration;

pub use self::adaptive::AdaptiveKeys;
use self::buffer::{Buffer, MetadataRun};
use self::comparison::Comparison;
pub use self::config::{TailConfig, TailSettings};
use self::decided::{Decided, Fate, KeptAs};
use self::facts::Bodies;
pub use self::found::FoundIn;
use self::learned::{LearnedWaits, Shape};
use self::logs::HeldLogs;
pub use self::logs::{LogTally, LogsFollow, UndecidedLogs};
use self::ready::{Here, Ready};
pub use self::rules::SHEDDING;
use self::rules::{Names, Rules};
use self::shown::{FactVisitor, Shown};
use self::tally::Early;
pub use self::tally::{TailTally, Volume};
use self::tombstones::Tombstones;
pub use self::tombstones::{TombstoneSettings, TombstoneTally};
pub use self::unanswered::Unanswered;
use self::waits::{Place, Waits};
use super::journal::{JournalBatch, JournalFrames};
use super::policy::{Budgets, KeepProbability, Policies, TraceFacts, TraceOutcome, TraceSize};
use super::threshold::Randomness;
use super::tracestate::OtState;
use crate::clock::Tick;
use crate::codec::records::{ChunkRewriter, Item, ItemReader, Patch};
use crate::model::{Position, TraceId};

/// Holds traces and decides about them.
#[derive(Debug)]
pub struct TailSampler {
    settings: TailSettings,
    position: Position,
    rules: Arc<Rules>,
    budgets: Budgets,
    names: Names,
    comparison: Option<Box<Comparison>>,
    learned: Option<Box<LearnedWaits>>,
    buffer: Buffer,
    waits: Waits,
    decided: Decided,
    ready: Ready,
    /// The buffer was full, and is not empty enough again.
    is_shedding: bool,
    /// What a journal is to be told, where there is one.
    journal: Option<Box<JournalBatch>>,
    logs: Option<Box<HeldLogs>>,
    tombstones: Option<Box<Tombstones>>,
    closed: bool,
    /// How many spans were decided since the last call to take began.
    decided_spans: u64,
    /// The last call to take left traces that were due.
    is_behind: bool,
    now: Tick,
    /// Used again for each span that is marked.
    patch: Patch,
    tally: TailTally,
}

impl TailSampler {
    /// A sampler that holds nothing yet.
    #[must_use]
    pub fn new(config: TailConfig) -> Self {
        let mut names = Names::default();
        let (settings, position) = (config.settings, config.position);
        let (kept, dropped) = (config.kept_cache, config.dropped_cache);
        let mut sampler = Self {
            settings,
            position,
            budgets: config.policies.budgets(),
            rules: Arc::new(Rules::new(config, 0, &mut names)),
            names,
            comparison: None,
            learned: None,
            buffer: Buffer::default(),
            waits: Waits::default(),
            decided: Decided::new(kept, dropped),
            ready: Ready::new(position),
            is_shedding: false,
            journal: None,
            logs: None,
            tombstones: None,
            closed: false,
            decided_spans: 0,
            is_behind: false,
            now: Tick(0),
            patch: Patch::default(),
            tally: TailTally::default(),
        };
        sampler.take_settings(settings, kept.saturating_add(dropped));
        sampler
    }

    /// The same, which asks what others found in traces.
    #[must_use]
    pub fn with_findings(mut self, found: FoundIn) -> Self {
        self.buffer.found = found;
        self
    }

    /// Takes another configuration: at once, or once its policies have been compared for as long as it
    /// says. Traces that are held then are decided by the new policies. Says whether it decides from now on.
    pub fn replace(&mut self, config: TailConfig, now: Tick) -> bool {
        self.comparison = None;
        if config.compare_for.is_zero() {
            self.adopt(config);
            return true;
        }
        self.comparison = Some(Box::new(Comparison::new(config, now)));
        false
    }

    fn adopt(&mut self, config: TailConfig) {
        self.decided.resize(config.kept_cache, config.dropped_cache);
        let (settings, decided) =
            (config.settings, config.kept_cache.saturating_add(config.dropped_cache));
        self.take_budgets_over(&config.policies);
        let generation = self.rules.generation.wrapping_add(1);
        self.rules = Arc::new(Rules::new(config, generation, &mut self.names));
        self.take_settings(settings, decided);
    }

    fn take_settings(&mut self, settings: TailSettings, decided: usize) {
        self.settings = settings;
        if settings.longest_wait.is_none() {
            self.learned = None;
        } else if self.learned.is_none() {
            self.learned = Some(Box::new(LearnedWaits::new(decided)));
        }
        if settings.shed_at.is_some() {
            self.names.slot(SHEDDING);
        }
        self.tally.grow(self.names.all().len());
    }

    /// Takes the spans of a chunk in and says what goes on in the chunk's place; `None` if it is
    /// the chunk itself.
    pub fn on_chunk(&mut self, tag: &[u8], chunk: &[u8], now: Tick) -> Option<Vec<u8>> {
        self.advance(now);
        let rules = Arc::clone(&self.rules);
        let mut visitor = FactVisitor::new(&rules.policies, rules.sessions.as_ref());
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut items = ItemReader::new(chunk);
        let mut metadata_run: Option<MetadataRun> = None;
        while let Some(step) = items.step(&mut visitor) {
            let shown = std::mem::take(&mut visitor.shown);
            let Some((item, telemetry)) = step.span() else {
                self.no_span(&mut rewriter, tag, &step);
                continue;
            };
            if item.new_metadata || metadata_run.is_none() {
                self.buffer.leave(metadata_run.take());
                let with = (&*rules, self.position);
                metadata_run = self.buffer.enter(tag, item.event.metadata, telemetry, with);
            }
            match metadata_run {
                Some(metadata_run) if !metadata_run.ours => {
                    self.span(&mut rewriter, metadata_run, item, shown);
                }
                _ => rewriter.keep(item.event.raw),
            }
        }
        self.bound_logs();
        self.shed(&mut rewriter, metadata_run);
        self.flush_logs(tag, &mut rewriter);
        self.buffer.leave(metadata_run);
        rewriter.finish()
    }

    /// Notes from now on, or no more, what waits and what does not any more, for a journal.
    pub fn keep_journal(&mut self, keep: bool) {
        self.journal = keep.then(Box::default);
    }

    /// What is to be written to the journal: the spans that began to wait, and if `decided` the traces that
    /// were decided, as far as all that was released of them was taken.
    pub fn take_journal(&mut self, decided: bool) -> JournalFrames {
        let decided = decided && self.is_taken();
        self.journal.as_mut().map(|journal| journal.take(decided)).unwrap_or_default()
    }

    /// Holds spans that waited when an earlier run ended: their waits begin anew. They are in the journal
    /// already.
    pub fn restore(&mut self, tag: &[u8], events: &[u8], now: Tick) {
        self.advance(now);
        let rules = Arc::clone(&self.rules);
        let mut visitor = FactVisitor::new(&rules.policies, rules.sessions.as_ref());
        let mut items = ItemReader::new(events);
        while let Some(step) = items.step(&mut visitor) {
            let mut shown = std::mem::take(&mut visitor.shown);
            let Some((item, telemetry)) = step.span() else {
                self.restore_log(tag, &step, now);
                continue;
            };
            let with = (&*rules, self.position);
            let run = self.buffer.enter(tag, item.event.metadata, telemetry, with);
            if let (Some(run), Some(id)) = (run, item.span.trace_id()) {
                shown.complete(rules.policies.tests(), run.resource, &item.span);
                if self.hold(id, run, item, &shown) {
                    self.tally.received += 1;
                }
            }
            self.buffer.leave(run);
        }
        self.bound_logs();
        while self.is_over()
            && let Some(place) = self.waits.oldest()
        {
            self.decide_if_held(place, Some(Early::Full), None);
        }
    }

    /// How long a span or a log waits at most: logs first for their trace.
    #[must_use]
    pub fn longest_wait(&self) -> Duration {
        let before = self.logs.as_ref().map_or(Duration::ZERO, |_| self.settings.decision_wait);
        before + self.settings.decision_wait.max(self.settings.longest_wait.unwrap_or_default())
    }

    /// The policies that decide.
    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.rules.policies
    }

    /// The names of policies, in the order of the counts in [`TailTally`].
    #[must_use]
    pub fn names(&self) -> &[String] {
        self.names.all()
    }

    /// Where a policy that decides is among [`TailSampler::names`].
    #[must_use]
    pub fn slot(&self, policy: usize) -> usize {
        self.rules.slot(policy)
    }

    /// How often the policies were replaced.
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.rules.generation
    }

    /// Whether the buffer was full and chance decides about traces that begin.
    #[must_use]
    pub const fn is_shedding(&self) -> bool {
        self.is_shedding
    }

    /// What has happened so far.
    #[must_use]
    pub const fn tally(&self) -> &TailTally {
        &self.tally
    }

    /// The memory that held and released spans take, in bytes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.buffer.bytes() + self.ready.bytes() + self.companion_bytes()
    }

    /// The memory that what is remembered of decided traces takes, in bytes.
    #[must_use]
    pub fn remembered_bytes(&self) -> usize {
        let learned = self.learned.as_ref().map_or(0, |learned| learned.bytes());
        let states = self.logs.as_ref().map_or(0, |logs| logs.states_bytes());
        self.decided.bytes() + learned + states
    }

    /// The most memory that held and released spans may take now: what is remembered counts too, up to a half.
    fn room(&self) -> usize {
        let most = self.settings.max_bytes;
        most - self.remembered_bytes().min(most / 2)
    }

    /// Takes the time, and what ends by it: policies that were compared for long enough decide from then on.
    pub fn advance(&mut self, now: Tick) {
        self.now = now;
        self.budgets.advance(now);
        if let Some(comparison) = self.comparison.take_if(|comparison| comparison.is_over(now)) {
            self.adopt(comparison.into_config());
        }
        let TailSettings { max_traces, shed_at, .. } = self.settings;
        let has_room =
            self.held_bytes() <= self.room() / 4 * 3 && self.buffer.len() <= max_traces / 4 * 3;
        self.is_shedding &= shed_at.is_some() && !has_room;
    }

    fn span(
        &mut self,
        rewriter: &mut ChunkRewriter<'_>,
        metadata_run: MetadataRun,
        item: &Item<'_>,
        mut shown: Shown<'_>,
    ) {
        self.tally.received += 1;
        let (raw, span) = (item.event.raw, &item.span);
        let Some(id) = span.trace_id() else {
            self.tally.untraced += 1;
            rewriter.keep(raw);
            return;
        };
        if !self.buffer.contains(id)
            && let Some(fate) =
                self.late(id).or_else(|| self.shed_new(id, metadata_run, (item, &shown)))
        {
            self.follow(rewriter, item, fate);
            return;
        }
        shown.complete(self.rules.policies.tests(), metadata_run.resource, span);
        if !self.hold(id, metadata_run, item, &shown) {
            self.tally.untraced += 1;
            rewriter.keep(raw);
            return;
        }
        rewriter.replace(raw);
        self.decide_early(rewriter, metadata_run, id);
        if let Some(journal) = &mut self.journal
            && self.buffer.contains(id)
        {
            journal.held(self.buffer.shared().1.get(metadata_run.tag), raw);
        }
    }

    /// What was decided about the trace of a span before.
    fn late(&mut self, id: TraceId) -> Option<Fate> {
        let fate = self.decided.get(id)?;
        match fate {
            Fate::Kept(_) => self.tally.late_kept += 1,
            Fate::Dropped(_) => self.tally.late_dropped += 1,
        }
        if let Some(learned) = &mut self.learned {
            learned.late(id, self.now);
        }
        Some(fate)
    }

    /// What chance decides about a trace that begins while the buffer is full.
    fn shed_new(
        &mut self,
        id: TraceId,
        metadata_run: MetadataRun,
        (item, shown): (&Item<'_>, &Shown<'_>),
    ) -> Option<Fate> {
        let threshold = self.settings.shed_at.filter(|_| self.is_shedding)?;
        let policy = self.names.slot(SHEDDING);
        let state = OtState::read(item.span.trace_state());
        let keys = self.rules.sessions.as_ref().filter(|_| state.takes_randomness());
        let session = shown.session.and_then(|name| keys?.randomness(name));
        let randomness = state.randomness.or(session).unwrap_or(Randomness::of_trace(id));
        let stays = threshold.keeps(randomness)
            || state.threshold.is_some_and(|before| before >= threshold);
        let fate = if stays {
            self.tally.shed_kept += 1;
            let probability = KeepProbability::At(threshold);
            Fate::Kept(KeptAs { policy, probability, randomness: session, content: None })
        } else {
            self.tally.shed_dropped += 1;
            Fate::Dropped(Some(policy))
        };
        self.decided.insert(id, fate);
        self.tell_shed(id, metadata_run, item, fate);
        Some(fate)
    }

    /// A span goes the way of its trace.
    fn follow(&mut self, rewriter: &mut ChunkRewriter<'_>, item: &Item<'_>, fate: Fate) {
        let (raw, body) = (item.event.raw, item.event.body);
        self.count(fate, TraceSize { spans: 1, bytes: body.len() as u64 });
        let Some(mark) = fate.mark(&self.names, self.settings.dry_run) else {
            rewriter.replace(raw);
            return;
        };
        self.patch.begin(raw);
        mark.note_metadata(&item.event, &mut self.patch);
        mark.note(body, &item.span, &mut self.patch);
        self.patch.apply(raw, rewriter.replace(raw));
    }

    fn count(&mut self, fate: Fate, size: TraceSize) {
        let dry_run = self.settings.dry_run;
        match fate {
            Fate::Kept(kept) => self.tally.count_kept(kept.policy, size, dry_run),
            Fate::Dropped(policy) => self.tally.count_dropped(policy, size, dry_run),
        }
    }

    fn hold(
        &mut self,
        id: TraceId,
        metadata_run: MetadataRun,
        item: &Item<'_>,
        shown: &Shown<'_>,
    ) -> bool {
        let now = self.now;
        let buffer = &self.buffer;
        self.waits.compact(2 * buffer.len() + 1024, |place| buffer.at(*place).is_some());
        let (shows, with) = ((item, shown), (&*self.rules, now));
        let Some(began) = self.buffer.hold(id, metadata_run, shows, with) else { return false };
        self.tally.held += 1;
        if began.is_new {
            self.waits.begin(began.place);
        }
        if (self.settings.wait_after_root.is_some() || self.learned.is_some())
            && item.span.parent_span_id.is_empty()
            && self.buffer.root(id)
        {
            self.waits.root(now, began.place);
            if let (Some(learned), Some(trace)) = (&mut self.learned, self.buffer.get(id))
                && let Some(shape) = Shape::of(trace, self.buffer.shared().0)
            {
                learned.observe(shape, now.since(trace.first_seen));
            }
        }
        true
    }

    fn decide_early(
        &mut self,
        rewriter: &mut ChunkRewriter<'_>,
        metadata_run: MetadataRun,
        id: TraceId,
    ) {
        self.buffer.refresh(id, &self.rules);
        let Some(trace) = self.buffer.get(id) else { return };
        let Rules { policies, sessions, .. } = &*self.rules;
        // A span that follows may name the session, which decides about chance.
        let chance_is_known = sessions.is_none() || trace.randomness.or(trace.session()).is_some();
        let bodies = Bodies::default();
        let facts = self.buffer.facts_of(trace, &bodies, &self.rules);
        let outcome = match self.settings.decides_early {
            true => policies.decide_early(&facts, chance_is_known),
            false => None,
        };
        let here = Some((rewriter, metadata_run.tag));
        if let Some(outcome) = outcome {
            self.finish(id, outcome, Some(Early::Certain), here);
        } else if self.settings.is_full_trace(facts.size()) {
            self.decide_if_held((trace.first_seen, id), Some(Early::TraceLimit), here);
        }
    }

    /// Whether more is held than may be.
    fn is_over(&self) -> bool {
        self.held_bytes() > self.room() || self.buffer.len() > self.settings.max_traces
    }

    /// Makes room: the oldest traces are decided on what is there, and what was released under the
    /// chunk's tag and not emitted yet goes on with the chunk.
    fn shed(&mut self, rewriter: &mut ChunkRewriter<'_>, metadata_run: Option<MetadataRun>) {
        while self.closed || self.is_over() {
            let Some(place) = self.waits.oldest() else { break };
            self.is_shedding |= self.settings.shed_at.is_some() && !self.closed;
            let early = if self.closed { Early::Shutdown } else { Early::Full };
            let here = metadata_run.map(|metadata_run| (&mut *rewriter, metadata_run.tag));
            self.decide_if_held(place, Some(early), here);
        }
        let Some(metadata_run) = metadata_run else { return };
        while self.held_bytes() > self.room() {
            let Some(released) = self.ready.take_of(self.buffer.shared().1.get(metadata_run.tag))
            else {
                break;
            };
            rewriter.insert().extend_from_slice(&released.events);
        }
    }

    /// Decides a trace of the queue unless it was decided before.
    fn decide_if_held(&mut self, place: Place, early: Option<Early>, here: Option<Here<'_, '_>>) {
        let (_, id) = place;
        if self.buffer.at(place).is_none() {
            return;
        }
        self.buffer.refresh(id, &self.rules);
        let Some(trace) = self.buffer.get(id) else { return };
        let mut unanswered = Vec::new();
        let mut budgets = std::mem::take(&mut self.budgets);
        let bodies = Bodies::default();
        let facts = self.buffer.facts_of(trace, &bodies, &self.rules);
        let outcome = self.rules.policies.decide(&facts, &mut budgets, &mut |policy, error| {
            unanswered.push((policy, error));
        });
        let spans = trace.spans;
        self.budgets = budgets;
        for (policy, error) in unanswered {
            if let Some(tally) = self.tally.unanswered.get_mut(self.rules.slot(policy)) {
                tally.add(&error, matches!(outcome, TraceOutcome::Keep { .. }), spans);
            }
        }
        self.finish(id, outcome, early, here);
    }

    /// Lets a trace go: on with the chunk `here` if its spans came under the chunk's tag, else into
    /// the released batches.
    fn finish(
        &mut self,
        id: TraceId,
        outcome: TraceOutcome,
        early: Option<Early>,
        here: Option<Here<'_, '_>>,
    ) {
        let Some(mut trace) = self.buffer.remove(id) else { return };
        early.into_iter().for_each(|reason| self.tally.count_early(reason));
        self.decided_spans += trace.spans;
        self.tally.held = self.tally.held.saturating_sub(trace.spans);
        self.compare(&mut trace, outcome);
        match (trace.session(), trace.more.as_ref().and_then(|more| more.session)) {
            (Some(_), _) => self.tally.of_sessions += trace.spans,
            (None, Some(_)) => self.tally.against_sessions += trace.spans,
            (None, None) => {}
        }
        let fate = match outcome {
            TraceOutcome::Keep { policy, probability } => {
                let content = self.rules.policies.content(policy);
                let (policy, randomness) = (self.rules.slot(policy), trace.session());
                Fate::Kept(KeptAs { policy, probability, randomness, content })
            }
            TraceOutcome::Drop(policy) => {
                Fate::Dropped(policy.map(|policy| self.rules.slot(policy)))
            }
        };
        self.decided.insert(trace.id, fate);
        if let Some(learned) = &mut self.learned {
            learned.decided(&trace, self.buffer.shared().0);
        }
        if let Some(journal) = &mut self.journal {
            journal.decided(trace.id);
        }
        self.count(fate, trace.size());
        self.decide_companions(&trace, fate);
        if let Some(mark) = fate.mark(&self.names, self.settings.dry_run) {
            self.ready.release(&trace, mark, self.buffer.shared(), here);
        }
        self.buffer.forget(&trace);
    }
}

#[cfg(test)]
mod tests;
