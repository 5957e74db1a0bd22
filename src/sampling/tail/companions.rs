//! What goes with the traces of a tail sampler: their logs, and what is told of those that were dropped.

use super::TailSampler;
use super::buffer::MetadataRun;
use super::decided::Fate;
use super::logs::{HeldLogs, LogTally, LogsFollow, NoDecision};
use super::tally::Early;
use super::tombstones::{TombstoneSettings, TombstoneTally, Tombstones};
use super::trace::{NewEntry, Trace};
use crate::clock::Tick;
use crate::codec::records::edit::write_whole;
use crate::codec::records::{ChunkRewriter, Item, ItemStep, LogView};
use crate::model::{Emission, Signal, TraceId};
use crate::sampling::log_mark::write_marked_log;
use crate::sampling::rewrite::Mark;
use crate::sampling::tracestate::OtState;

impl TailSampler {
    /// The same, with logs that follow the decision about their trace.
    #[must_use]
    pub fn with_logs(mut self, follow: Option<LogsFollow>) -> Self {
        self.logs = follow.map(|follow| Box::new(HeldLogs::new(follow, self.position)));
        self
    }

    /// The same, with something told of each trace that is dropped.
    #[must_use]
    pub fn with_tombstones(mut self, settings: Option<TombstoneSettings>) -> Self {
        let position = self.position;
        self.tombstones = settings.map(|it| Box::new(Tombstones::new(it, position)));
        self
    }

    /// What has happened to logs, where they follow their traces.
    #[must_use]
    pub fn log_tally(&self) -> Option<&LogTally> {
        self.logs.as_ref().map(|logs| &logs.tally)
    }

    /// What was told of dropped traces, where something is.
    #[must_use]
    pub fn tombstone_tally(&self) -> Option<TombstoneTally> {
        self.tombstones.as_ref().map(|tombstones| tombstones.tally())
    }

    /// What is no span goes on, unless it is a log that follows its trace.
    pub(super) fn no_span(
        &mut self,
        rewriter: &mut ChunkRewriter<'_>,
        tag: &[u8],
        step: &ItemStep<'_>,
    ) {
        match step {
            ItemStep::Item(item) if self.logs.is_some() && item.signal() == Signal::Logs => {
                self.log(rewriter, tag, item);
            }
            _ => rewriter.keep(step.raw()),
        }
    }

    fn log(&mut self, rewriter: &mut ChunkRewriter<'_>, tag: &[u8], item: &Item<'_>) {
        let event = &item.event;
        let Some(logs) = &mut self.logs else { return rewriter.keep(event.raw) };
        if item.telemetry.is_some_and(|telemetry| telemetry.is_past(self.position)) {
            return rewriter.keep(event.raw);
        }
        logs.tally.received += 1;
        let Some(id) = event.otlp().and_then(|otlp| LogView::new(otlp).trace_id()) else {
            logs.tally.untraced += 1;
            return rewriter.keep(event.raw);
        };
        let is_held = self.buffer.contains(id);
        let fate = if is_held { None } else { self.decided.get(id) };
        if let Some(fate) = fate {
            let dry_run = self.settings.dry_run;
            logs.tally.count(decided(fate), 1, dry_run);
            match fate.mark(&self.names, dry_run).map(|mark| logs.mark(id, mark)) {
                None => drop(rewriter.replace(event.raw)),
                Some(Mark::NONE) => rewriter.keep(event.raw),
                Some(mark) => {
                    write_marked_log(event, mark, None, rewriter.replace(event.raw));
                }
            }
            return;
        }
        let must_leave = self.closed && !is_held;
        if must_leave || !logs.hold(id, tag, event, self.now) {
            let why = if must_leave { NoDecision::Shutdown } else { NoDecision::Full };
            if logs.count_undecided(why, 1, self.settings.dry_run) {
                rewriter.keep(event.raw);
            } else {
                rewriter.replace(event.raw);
            }
            return;
        }
        rewriter.replace(event.raw);
        if let Some(journal) = &mut self.journal {
            let mut whole = Vec::with_capacity(event.raw.len());
            write_whole(event, &mut whole);
            journal.held(tag, &whole);
        }
    }

    /// Holds a log again that waited when an earlier run ended.
    pub(super) fn restore_log(&mut self, tag: &[u8], step: &ItemStep<'_>, now: Tick) {
        let ItemStep::Item(Item { event, .. }) = step else { return };
        let id = event.otlp().and_then(|otlp| LogView::new(otlp).trace_id());
        if let (Some(logs), Some(id)) = (&mut self.logs, id)
            && logs.hold(id, tag, event, now)
        {
            logs.tally.received += 1;
        }
    }

    /// Keeps logs within half of the memory, and their traces within the number of traces: the oldest leave, and
    /// with them their traces, where these wait.
    pub(super) fn bound_logs(&mut self) {
        let most = self.room() / 2;
        while let Some(logs) = &mut self.logs
            && (logs.waiting_bytes() > most || logs.traces() > self.settings.max_traces)
        {
            let place = logs.oldest(|_| true);
            // One that waits on with its trace has no place any more.
            let Some(id) = place.map(|(_, id)| id).or_else(|| logs.any()) else { break };
            let trace = self.buffer.get(id).map(|trace| (trace.first_seen, id));
            match trace {
                Some(place) => self.decide_if_held(place, Some(Early::Full), None),
                None => self.decide_logs_without(id, NoDecision::Full),
            }
        }
    }

    /// Lets logs that leave under the chunk's tag go on with the chunk, where they take too much room.
    pub(super) fn flush_logs(&mut self, tag: &[u8], rewriter: &mut ChunkRewriter<'_>) {
        let (most, held) = (self.room(), self.held_bytes());
        let Some(logs) = &mut self.logs else { return };
        let mut held = held;
        while (held > most || logs.waiting_bytes() + logs.leaving_bytes() > most / 2)
            && let Some(released) = logs.take_of(tag)
        {
            held = held.saturating_sub(released.events.len());
            rewriter.insert().extend_from_slice(&released.events);
        }
    }

    /// Lets logs go of whose trace no span waits: its way, if it was decided at once, or as those without a decision.
    fn decide_logs_without(&mut self, id: TraceId, why: NoDecision) {
        let (fate, dry_run) = (self.decided.get(id), self.settings.dry_run);
        let Some(logs) = &mut self.logs else { return };
        if let Some(fate) = fate {
            let mark = fate.mark(&self.names, dry_run).map(|mark| logs.mark(id, mark));
            let count = logs.decide(id, mark);
            logs.tally.count(decided(fate), count, dry_run);
        } else {
            logs.decide_without(id, why, dry_run);
        }
        if let Some(journal) = &mut self.journal {
            journal.decided(id);
        }
    }

    /// What goes with a trace that was decided.
    pub(super) fn decide_companions(&mut self, trace: &Trace, fate: Fate) {
        let dry_run = self.settings.dry_run;
        if let Fate::Kept(_) = fate {
            self.buffer.found.tell_kept(trace.id);
        }
        if let Some(logs) = &mut self.logs {
            if let Fate::Kept(_) = fate {
                let randomness = trace.randomness.or_else(|| trace.session());
                logs.note_state(trace.id, OtState { threshold: trace.threshold, randomness });
            }
            let mark = fate.mark(&self.names, dry_run).map(|mark| logs.mark(trace.id, mark));
            let count = logs.decide(trace.id, mark);
            logs.tally.count(decided(fate), count, dry_run);
        }
        self.tell_dropped(trace, fate);
    }

    /// Tells of a trace that was dropped.
    fn tell_dropped(&mut self, trace: &Trace, fate: Fate) {
        if let (Some(tombstones), Fate::Dropped(policy), false) =
            (&mut self.tombstones, fate, self.settings.dry_run)
        {
            let policy = policy.map(|policy| self.names.get(policy));
            let room = self.settings.max_bytes / 8;
            tombstones.add(trace, self.buffer.shared(), policy, room);
        }
    }

    /// Tells of a trace that was dropped with its first span, which was not held.
    pub(super) fn tell_shed(&mut self, id: TraceId, run: MetadataRun, item: &Item<'_>, fate: Fate) {
        if self.tombstones.is_none() || matches!(fate, Fate::Kept(_)) {
            return;
        }
        let MetadataRun { metadata, tag, .. } = run;
        let mut trace = Trace::new(id, self.now, self.rules.generation);
        let entry = NewEntry { metadata, tag, time: item.event.time, body: item.event.body };
        if trace.push(entry, &mut Vec::new()) {
            trace.note_span(&item.span);
            self.tell_dropped(&trace, fate);
        }
    }

    /// Takes what leaves: released spans, logs, and what is told of dropped traces.
    pub(super) fn take_released(&mut self, everything: bool, now: Tick) -> Vec<Emission> {
        let wait = self.settings.decision_wait;
        while let Some(logs) = &mut self.logs
            && let Some((since, id)) = logs.oldest(|id| !self.buffer.contains(id))
            && (everything || now.since(since) >= wait)
        {
            let why = if everything { NoDecision::Shutdown } else { NoDecision::WaitOver };
            self.decide_logs_without(id, why);
        }
        let mut released = self.ready.take();
        if let Some(logs) = &mut self.logs {
            released.extend(logs.take());
        }
        if let Some(tombstones) = &mut self.tombstones {
            released.extend(tombstones.take());
        }
        released
    }

    /// The counts of dropped traces so far, where there are any; at the end of a run only if they have changed.
    pub fn take_dropped_counts(&mut self, is_end: bool, unix_nanos: u64) -> Vec<Emission> {
        let counts = self.tombstones.as_mut().map(|tombstones| &mut tombstones.counts);
        counts.map(|counts| counts.export(is_end, unix_nanos)).unwrap_or_default()
    }

    /// Says when counting begins.
    pub fn begin_dropped_counts(&mut self, unix_nanos: u64) {
        if let Some(tombstones) = &mut self.tombstones {
            tombstones.counts.begin(unix_nanos);
        }
    }

    /// The memory of what goes with traces, in bytes.
    pub(super) fn companion_bytes(&self) -> usize {
        let logs = self.logs.as_ref().map_or(0, |it| it.waiting_bytes() + it.leaving_bytes());
        logs + self.tombstones.as_ref().map_or(0, |tombstones| tombstones.bytes())
    }

    /// Whether all that was released was taken.
    pub(super) fn is_taken(&self) -> bool {
        self.ready.bytes() == 0 && self.logs.as_ref().is_none_or(|logs| logs.leaving_bytes() == 0)
    }
}

/// Who decided: a policy that kept the trace (`Ok`), or what dropped it.
const fn decided(fate: Fate) -> Result<usize, Option<usize>> {
    match fate {
        Fate::Kept(kept) => Ok(kept.policy),
        Fate::Dropped(policy) => Err(policy),
    }
}
