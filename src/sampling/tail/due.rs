//! What is due: traces whose wait is over are decided, so many at a time that the host's thread is not held up.

use super::TailSampler;
use super::facts::Bodies;
use super::learned::Shape;
use super::tally::Early;
use super::waits::Place;
use crate::clock::Tick;
use crate::model::Emission;
use crate::sampling::policy::{Budgets, KeepProbability, TraceOutcome};

/// How many spans one call of [`TailSampler::take`] decides about, and how many bytes it releases, or the trace more
/// with which it comes there: a few milliseconds' worth.
pub(super) const TURN: u64 = 4096;
const TURN_BYTES: usize = 1 << 20;

impl TailSampler {
    /// What is to be emitted now. With `everything`, all that is held is decided on what is there,
    /// and from then on nothing is held any more.
    pub fn take(&mut self, everything: bool, now: Tick) -> Vec<Emission> {
        self.decide_due(everything, now);
        self.take_released(everything, now)
    }

    /// Decides what is due as [`TailSampler::take`] does, and leaves what it releases to
    /// [`TailSampler::take_released`].
    pub fn decide_due(&mut self, everything: bool, now: Tick) {
        self.closed |= everything;
        self.advance(now);
        (self.decided_spans, self.is_behind) = (0, false);
        let wait = self.settings.wait_after_root.unwrap_or(self.settings.decision_wait);
        while self.has_time(everything)
            && let Some(place) = self.waits.next_rooted(now, wait)
        {
            self.decide_if_held(place, None, None);
        }
        while self.has_time(everything)
            && let Some(place) = self.waits.next_due(now, self.settings.decision_wait)
        {
            if everything || !self.prolong(place) {
                self.decide_if_held(place, None, None);
            }
        }
        while self.has_time(everything)
            && let Some(place) = self.waits.next_long(now)
        {
            self.decide_if_held(place, None, None);
        }
        while everything && let Some(place) = self.waits.oldest() {
            self.decide_if_held(place, Some(Early::Shutdown), None);
        }
    }

    /// The memory that released spans take which were not taken yet, in bytes.
    #[must_use]
    pub const fn released_bytes(&self) -> usize {
        self.ready.bytes()
    }

    /// Whether [`TailSampler::take`] may decide more. Each place of a queue counts too, and bytes of what is released,
    /// which the host copies and shows to its filters.
    fn has_time(&mut self, everything: bool) -> bool {
        let is_enough = self.decided_spans >= TURN || self.ready.bytes() >= TURN_BYTES;
        self.is_behind = is_enough && !everything;
        self.decided_spans += 1;
        !self.is_behind
    }

    /// Whether the last [`TailSampler::take`] left traces that were due, because it had decided enough.
    #[must_use]
    pub const fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Takes back what could not be emitted; it is given again by the next [`TailSampler::take`].
    pub fn put_back(&mut self, released: Emission) {
        self.ready.put_back(released);
    }

    /// Lets a trace wait on whose likes go on for longer than the wait that is over, unless its root came or
    /// it is kept for certain. Says whether there is nothing left to decide now.
    fn prolong(&mut self, place: Place) -> bool {
        let (first_seen, id) = place;
        let (Some(learned), Some(longest)) = (&mut self.learned, self.settings.longest_wait) else {
            return false;
        };
        let held = self.buffer.at(place).filter(|trace| !trace.has_root);
        let Some(trace) = held else { return false };
        let shape = Shape::of(trace, self.buffer.shared().0);
        let wait = shape.and_then(|shape| learned.wait(shape)).unwrap_or_default().min(longest);
        if wait <= self.settings.decision_wait {
            return false;
        }
        self.buffer.refresh(id, &self.rules);
        let Some(trace) = self.buffer.get(id) else { return true };
        // Limits are asked once, at the end. What chance keeps waits too: of a trace that a policy keeps
        // later, the threshold would be wrong.
        let bodies = Bodies::default();
        let facts = self.buffer.facts_of(trace, &bodies, &self.rules);
        let outcome = self.rules.policies.decide(&facts, &mut Budgets::default(), &mut |_, _| {});
        let is_certain =
            matches!(outcome, TraceOutcome::Keep { probability: KeepProbability::Certain, .. });
        if is_certain {
            self.finish(id, outcome, Some(Early::Provisional), None);
        } else {
            self.waits.prolong(first_seen.after(wait), place);
            self.tally.prolonged += 1;
        }
        true
    }
}
