//! Finds model calls that two items tell of, so that their tokens are counted once.
//!
//! A gateway and its client, or a framework and the library below it, each make a span for one
//! call to a model. Two spans are the same call if they have the same response id, or if one is an
//! ancestor of the other; then the innermost counts. Spans come in any order and in many chunks, so
//! a span that was counted may turn out to be an outer one later: then it is taken back.
//!
//! A log event that stands in a span tells of the same call as that span or the calls below it, if
//! there are any, or as the one with its response id: spans count, and events where no span tells.

mod lists;
mod seen;
mod trace;

use std::collections::HashMap;

use foldhash::fast::RandomState;

pub(super) use self::seen::{CallChanges, EventOfCall, SaidUsage, SeenEvent, SeenSpan};
use self::trace::{SeenCalls, TraceCalls, TraceLists};
use super::nested_usage::UsageDifference;
use crate::clock::Tick;
use crate::model::TraceId;

/// The traces that were last seen at about the same time, which are forgotten together.
#[derive(Debug)]
struct Generation<C> {
    traces: HashMap<TraceId, TraceLists, RandomState>,
    calls: SeenCalls<C>,
}

impl<C> Default for Generation<C> {
    fn default() -> Self {
        Self { traces: HashMap::default(), calls: SeenCalls::default() }
    }
}

impl<C: SaidUsage> Generation<C> {
    /// Forgets all traces, and adds the operations which say other tokens than the calls within them.
    fn forget(&mut self, differences: &mut Vec<(C, UsageDifference)>) {
        for lists in self.traces.values_mut() {
            TraceCalls { lists, all: &mut self.calls }.add_differences(differences);
        }
        let used = self.traces.len();
        self.traces.clear();
        if self.traces.capacity() / 4 > used {
            self.traces.shrink_to(used * 2);
        }
        self.calls.clear();
    }
}

/// Remembers the spans of recent traces.
#[derive(Debug)]
pub(super) struct CallTracker<C> {
    window: std::time::Duration,
    max_traces: usize,
    turned: Tick,
    young: Generation<C>,
    old: Generation<C>,
    /// Operations of traces that were forgotten which say other tokens than the calls within them.
    differences: Vec<(C, UsageDifference)>,
}

impl<C: SaidUsage> CallTracker<C> {
    /// A tracker that remembers a trace for at least `window` after its last span, unless there
    /// are more than `max_traces`.
    pub(super) fn new(window: std::time::Duration, max_traces: usize) -> Self {
        let (young, old) = (Generation::default(), Generation::default());
        let max_traces = max_traces.max(2);
        Self { window, max_traces, turned: Tick(0), young, old, differences: Vec::new() }
    }

    /// Forgets traces whose time has come, also where nothing comes any more.
    pub(super) fn tick(&mut self, now: Tick) {
        if now.since(self.turned) >= self.window {
            self.turn(now);
        }
    }

    /// The operations of forgotten traces that say other tokens than the calls within them, since the last call.
    pub(super) fn take_differences(&mut self) -> Vec<(C, UsageDifference)> {
        std::mem::take(&mut self.differences)
    }

    /// Takes a span in, and adds what it changes.
    pub(super) fn observe(&mut self, seen: &SeenSpan<C>, now: Tick, changes: &mut CallChanges<C>) {
        self.trace(seen.trace, now).observe(seen, changes);
    }

    /// Takes an event in, and adds what it changes.
    pub(super) fn observe_event(
        &mut self,
        seen: &SeenEvent<C>,
        now: Tick,
        changes: &mut CallChanges<C>,
    ) {
        self.trace(seen.trace, now).observe_event(seen, changes);
    }

    #[inline]
    fn trace(&mut self, id: TraceId, now: Tick) -> TraceCalls<'_, C> {
        if now.since(self.turned) >= self.window || self.young.traces.len() >= self.max_traces / 2 {
            self.turn(now);
        }
        let Generation { traces, calls: all } = &mut self.young;
        let old = &mut self.old;
        let lists = traces.entry(id).or_insert_with(|| {
            let known = if old.traces.is_empty() { None } else { old.traces.remove(&id) };
            known.map(|lists| all.copy(&old.calls, lists)).unwrap_or_default()
        });
        TraceCalls { lists, all }
    }

    #[cold]
    fn turn(&mut self, now: Tick) {
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.forget(&mut self.differences);
        if now.since(self.turned) >= self.window.saturating_mul(2) {
            self.old.forget(&mut self.differences);
        }
        self.turned = now;
    }
}

#[cfg(test)]
mod tests;
