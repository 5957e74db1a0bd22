//! Logs that wait for the decision about their trace.

use std::collections::{HashMap, VecDeque};

use foldhash::fast::RandomState;

use super::interner::Interner;
use super::waits::Place;
use crate::clock::Tick;
use crate::codec::records::edit::{group_end, group_start};
use crate::codec::records::{Event, Events};
use crate::model::{Emission, Position, TraceId};
use crate::sampling::log_mark::write_marked_log;
use crate::sampling::rewrite::{Mark, Probability};
use crate::sampling::trace_cache::TraceCache;
use crate::sampling::tracestate::OtState;

/// What the logs of a trace cost beside their bytes: the places in the map and the queue.
const TRACE_OVERHEAD: usize = 160;
/// Bytes before each log: tag, group, length.
const ENTRY_HEAD: usize = 12;
/// The number of no group.
const NO_GROUP: u32 = u32::MAX;
/// How large a batch of logs that leave grows before the next one is begun.
const BATCH: usize = 1 << 20;

/// How logs follow their traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogsFollow {
    /// What becomes of those for whose trace there is no decision.
    pub undecided: UndecidedLogs,
    /// For how many kept traces it is remembered what their tracestates said.
    pub kept_cache: usize,
}

/// What becomes of logs for whose trace there is no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UndecidedLogs {
    /// They stay.
    #[default]
    Keep,
    /// They go.
    Drop,
}

/// Why a log does not wait any longer for a trace of which no span came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NoDecision {
    /// The wait is over.
    WaitOver,
    /// There is no room.
    Full,
    /// The host stops.
    Shutdown,
}

/// What has happened to logs so far: `received = untraced + kept + dropped + dry_run + held`, with those for which
/// there was no decision.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogTally {
    /// Logs that came.
    pub received: u64,
    /// Logs without a usable trace id, which are let through.
    pub untraced: u64,
    /// Kept logs by policy, in the order of the sampler's names of policies.
    pub kept: Vec<u64>,
    /// Dropped logs: by no policy, then by policy.
    pub dropped: Vec<u64>,
    /// Logs let through with what would have happened to them.
    pub dry_run: u64,
    /// Logs without a decision that stayed, in the order of [`LogTally::NO_DECISION`].
    pub undecided_kept: [u64; 3],
    /// Logs without a decision that went, in the order of [`LogTally::NO_DECISION`].
    pub undecided_dropped: [u64; 3],
    /// Logs that wait.
    pub held: u64,
}

impl LogTally {
    /// Why there is no decision for logs: the wait is over, there is no room, or the host stops.
    pub const NO_DECISION: [&'static str; 3] = ["no_decision", "buffer_full", "shutdown"];

    /// Counts logs that go the way of their trace: of a policy's that kept it (`Ok`), or dropped it.
    pub(super) fn count(
        &mut self,
        decided: Result<usize, Option<usize>>,
        logs: u64,
        dry_run: bool,
    ) {
        let (counts, index) = match decided {
            _ if dry_run => {
                self.dry_run += logs;
                return;
            }
            Ok(policy) => (&mut self.kept, policy),
            Err(policy) => (&mut self.dropped, policy.map_or(0, |policy| policy + 1)),
        };
        if counts.len() <= index {
            counts.resize(index + 1, 0);
        }
        if let Some(count) = counts.get_mut(index) {
            *count += logs;
        }
    }
}

/// The logs of one trace.
#[derive(Debug)]
struct LogsOfTrace {
    first_seen: Tick,
    logs: u64,
    arena: Vec<u8>,
}

/// Logs that wait, and those that leave.
#[derive(Debug)]
pub(super) struct HeldLogs {
    undecided: UndecidedLogs,
    position: Position,
    traces: HashMap<TraceId, LogsOfTrace, RandomState>,
    /// When the logs of each trace began to wait. Those that were decided leave their places behind.
    order: VecDeque<Place>,
    waiting_bytes: usize,
    groups: Interner,
    tags: Interner,
    leaving: VecDeque<Emission>,
    leaving_bytes: usize,
    /// What the tracestates of kept traces said, where they said something.
    states: TraceCache<OtState>,
    pub(super) tally: LogTally,
}

impl HeldLogs {
    /// None yet. `position` marks those that were held, so that the filters up to there leave them alone.
    pub(super) fn new(follow: LogsFollow, position: Position) -> Self {
        Self {
            undecided: follow.undecided,
            states: TraceCache::new(follow.kept_cache),
            position,
            traces: HashMap::default(),
            order: VecDeque::new(),
            waiting_bytes: 0,
            groups: Interner::default(),
            tags: Interner::default(),
            leaving: VecDeque::new(),
            leaving_bytes: 0,
            tally: LogTally::default(),
        }
    }

    /// Holds a log. Says whether that worked, which it does for every log of less than 4 GiB.
    pub(super) fn hold(&mut self, id: TraceId, tag: &[u8], event: &Event<'_>, now: Tick) -> bool {
        let Ok(length) = u32::try_from(event.raw.len()) else { return false };
        let Some(group) = self.group(event) else { return false };
        let Some(tag) = self.tags.add(tag) else {
            self.groups.release(group);
            return false;
        };
        let of_trace = self.traces.entry(id).or_insert_with(|| {
            self.order.push_back((now, id));
            self.waiting_bytes += TRACE_OVERHEAD;
            LogsOfTrace { first_seen: now, logs: 0, arena: Vec::new() }
        });
        let before = of_trace.arena.capacity();
        let needed = ENTRY_HEAD + event.raw.len();
        if of_trace.arena.capacity() - of_trace.arena.len() < needed {
            of_trace.arena.reserve_exact(needed.max(of_trace.arena.len() / 8));
        }
        for word in [tag, group, length] {
            of_trace.arena.extend_from_slice(&word.to_le_bytes());
        }
        of_trace.arena.extend_from_slice(event.raw);
        of_trace.logs += 1;
        self.waiting_bytes += of_trace.arena.capacity() - before;
        self.tally.held += 1;
        if self.order.len() > 2 * self.traces.len() + 1024 {
            let traces = &self.traces;
            self.order.retain(|(at, id)| traces.get(id).is_some_and(|it| it.first_seen == *at));
        }
        true
    }

    /// The number of the group that a log stands in.
    fn group(&mut self, event: &Event<'_>) -> Option<u32> {
        let Some(group) = event.group else { return Some(NO_GROUP) };
        let mut marker = Vec::with_capacity(group.metadata.len() + group.body.len() + 16);
        group_start(group, &mut marker);
        self.groups.add(&marker)
    }

    /// Notes what samplers before wrote into the tracestates of a trace that is kept.
    pub(super) fn note_state(&mut self, id: TraceId, state: OtState) {
        if state != OtState::default() {
            self.states.insert(id, state);
        }
    }

    /// What a log of a trace says whose spans have this mark: it has no tracestate of its own.
    pub(super) fn mark<'m>(&mut self, id: TraceId, mark: Mark<'m>) -> Mark<'m> {
        let Some(state) = self.states.get(id) else { return mark };
        let probability = match (mark.probability, state.threshold) {
            (Probability::AtLeast(wanted), Some(before)) => {
                Probability::AtLeast(wanted.max(before))
            }
            (probability, _) => probability,
        };
        let is_said = matches!(probability, Probability::AtLeast(_));
        let randomness = mark.randomness.or(state.randomness.filter(|_| is_said));
        Mark { probability, randomness, ..mark }
    }

    /// Lets the logs of a trace leave with what the mark says, or go without one. Gives how many there were.
    pub(super) fn decide(&mut self, id: TraceId, mark: Option<Mark<'_>>) -> u64 {
        let Some(of_trace) = self.traces.remove(&id) else { return 0 };
        self.waiting_bytes =
            self.waiting_bytes.saturating_sub(of_trace.arena.capacity() + TRACE_OVERHEAD);
        self.tally.held = self.tally.held.saturating_sub(of_trace.logs);
        let mut open = None;
        let mut rest = &of_trace.arena[..];
        while let Some((tag, group, raw)) = next_entry(&mut rest) {
            if let Some(mark) = mark {
                open = self.release((tag, group), raw, mark, open);
            }
        }
        self.close(open);
        let mut rest = &of_trace.arena[..];
        while let Some((tag, group, _)) = next_entry(&mut rest) {
            self.tags.release(tag);
            self.groups.release(group);
        }
        of_trace.logs
    }

    /// Lets the logs of a trace go the way of those without a decision.
    pub(super) fn decide_without(&mut self, id: TraceId, why: NoDecision, dry_run: bool) {
        let stays = self.undecided_stay(dry_run);
        let logs = self.decide(id, stays.then_some(Mark::NONE));
        self.count_undecided(why, logs, dry_run);
    }

    /// Whether logs without a decision stay. A dry run drops nothing.
    fn undecided_stay(&self, dry_run: bool) -> bool {
        dry_run || self.undecided == UndecidedLogs::Keep
    }

    /// Counts logs without a decision, and says whether they stay.
    pub(super) fn count_undecided(&mut self, why: NoDecision, logs: u64, dry_run: bool) -> bool {
        let stays = self.undecided_stay(dry_run);
        let tally = &mut self.tally;
        let counts = if stays { &mut tally.undecided_kept } else { &mut tally.undecided_dropped };
        if let Some(count) = counts.get_mut(why as usize) {
            *count += logs;
        }
        stays
    }

    /// Lets a log leave, within the marks of its group. Gives what is open after it.
    fn release(
        &mut self,
        (tag, group): (u32, u32),
        raw: &[u8],
        mark: Mark<'_>,
        open: Option<OpenGroup>,
    ) -> Option<OpenGroup> {
        let same = open.filter(|open| (open.tag, open.group) == (tag, group));
        let open = match same {
            Some(open) => open,
            None => {
                self.close(open);
                let batch = self.batch(tag);
                self.append(batch, group != NO_GROUP, |groups, out| {
                    out.extend_from_slice(groups.get(group));
                });
                OpenGroup { tag, group, batch }
            }
        };
        let position = self.position;
        self.append(open.batch, true, |groups, out| {
            let marker = groups.get(group);
            let group = Events::new(marker).next().and_then(Result::ok).and_then(|it| it.group);
            if let Some(Ok(event)) = Events::new(raw).next() {
                write_marked_log(&Event { group, ..event }, mark, Some(position), out);
            }
        });
        Some(open)
    }

    fn close(&mut self, open: Option<OpenGroup>) {
        let Some(open) = open.filter(|open| open.group != NO_GROUP) else { return };
        self.append(open.batch, true, |_, out| {
            group_end(out);
        });
    }

    /// Appends an event to what leaves, if `is_one`.
    fn append(&mut self, batch: usize, is_one: bool, write: impl FnOnce(&Interner, &mut Vec<u8>)) {
        let Some(batch) = self.leaving.get_mut(batch).filter(|_| is_one) else { return };
        let before = batch.events.len();
        write(&self.groups, &mut batch.events);
        batch.records += 1;
        self.leaving_bytes += batch.events.len().saturating_sub(before);
    }

    /// The place of the batch that takes the next log of a tag.
    fn batch(&mut self, tag: u32) -> usize {
        let tag = self.tags.get(tag);
        let open = |batch: &Emission| batch.events.len() < BATCH && batch.tag == tag;
        self.leaving.iter().rposition(open).unwrap_or_else(|| {
            let tag = tag.to_vec();
            self.leaving.push_back(Emission { tag, records: 0, events: Vec::new() });
            self.leaving.len().saturating_sub(1)
        })
    }

    /// The trace whose logs have waited longest, and since when; a trace that is not `eligible` is passed over
    /// for good.
    pub(super) fn oldest(&mut self, eligible: impl Fn(TraceId) -> bool) -> Option<Place> {
        while let Some((since, id)) = self.order.front().copied() {
            let waits = self.traces.get(&id).is_some_and(|it| it.first_seen == since);
            if waits && eligible(id) {
                return Some((since, id));
            }
            self.order.pop_front();
        }
        None
    }

    /// A trace that has logs.
    pub(super) fn any(&self) -> Option<TraceId> {
        self.traces.keys().next().copied()
    }

    /// How many traces have logs that wait.
    pub(super) fn traces(&self) -> usize {
        self.traces.len()
    }

    /// Takes all that leaves.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Emission> {
        self.leaving_bytes = 0;
        std::mem::take(&mut self.leaving).into_iter()
    }

    /// Takes the oldest batch of a tag that leaves.
    pub(super) fn take_of(&mut self, tag: &[u8]) -> Option<Emission> {
        let at = self.leaving.iter().position(|batch| batch.tag == tag)?;
        let batch = self.leaving.remove(at)?;
        self.leaving_bytes = self.leaving_bytes.saturating_sub(batch.events.len());
        Some(batch)
    }

    /// The memory that logs take which wait, in bytes.
    pub(super) const fn waiting_bytes(&self) -> usize {
        self.waiting_bytes + self.groups.held() + self.tags.held()
    }

    /// The memory that the tracestates of kept traces take, in bytes.
    pub(super) const fn states_bytes(&self) -> usize {
        self.states.bytes()
    }

    /// The memory that logs take which leave, in bytes.
    pub(super) const fn leaving_bytes(&self) -> usize {
        self.leaving_bytes
    }
}

/// The group within which logs leave.
#[derive(Debug, Clone, Copy)]
struct OpenGroup {
    tag: u32,
    group: u32,
    batch: usize,
}

fn next_entry<'a>(rest: &mut &'a [u8]) -> Option<(u32, u32, &'a [u8])> {
    let (words, after) = rest.split_at_checked(ENTRY_HEAD)?;
    let (words, _) = words.as_chunks::<4>();
    let [tag, group, length] = words else { return None };
    let (raw, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some((u32::from_le_bytes(*tag), u32::from_le_bytes(*group), raw))
}
