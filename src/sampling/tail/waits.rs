//! When traces are due: by their first span, by their root, and by what was learned of their likes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::queue::Queue;
use crate::clock::Tick;
use crate::model::TraceId;

/// A trace in the queues: when its first span came, and its id. A trace that begins again under the same id
/// is another one.
pub(super) type Place = (Tick, TraceId);

/// The queues. Traces that were decided leave their places behind, until they come up or there are too many.
#[derive(Debug, Default)]
pub(super) struct Waits {
    order: Queue<Place>,
    /// Traces whose root came, by when it did.
    rooted: Queue<(Tick, Place)>,
    /// Traces that wait longer than others, by when they are due.
    long: BinaryHeap<Reverse<(Tick, Place)>>,
}

impl Waits {
    /// A trace begins.
    pub(super) fn begin(&mut self, place: Place) {
        self.order.push_back(place);
    }

    /// The root of a trace came.
    pub(super) fn root(&mut self, now: Tick, place: Place) {
        self.rooted.push_back((now, place));
    }

    /// A trace is due later than others.
    pub(super) fn prolong(&mut self, due: Tick, place: Place) {
        self.long.push(Reverse((due, place)));
    }

    /// Forgets the traces that are not held, where a queue has more than `most`: a part of them at a time, so that
    /// no call takes long. It is called for each trace that begins.
    pub(super) fn compact(&mut self, most: usize, is_held: impl Fn(&Place) -> bool) {
        if self.order.len() > most {
            self.order.sweep(&is_held);
        }
        if self.rooted.len() > most {
            self.rooted.sweep(|(_, place)| is_held(place));
        }
        if self.long.len() > most {
            self.long.retain(|Reverse((_, place))| is_held(place));
        }
    }

    /// Takes the next trace whose first span came at least `wait` ago.
    pub(super) fn next_due(&mut self, now: Tick, wait: Duration) -> Option<Place> {
        self.order.pop_front_if(|(first_seen, _)| now.since(*first_seen) >= wait)
    }

    /// Takes the next trace whose root came at least `wait` ago.
    pub(super) fn next_rooted(&mut self, now: Tick, wait: Duration) -> Option<Place> {
        let rooted = self.rooted.pop_front_if(|(root_seen, _)| now.since(*root_seen) >= wait);
        rooted.map(|(_, place)| place)
    }

    /// Takes the next trace whose longer wait is over.
    pub(super) fn next_long(&mut self, now: Tick) -> Option<Place> {
        self.long.peek().filter(|Reverse((due, _))| *due <= now)?;
        self.long.pop().map(|Reverse((_, place))| place)
    }

    /// Takes the trace that has waited longest: those whose wait was made longer have had the usual one.
    pub(super) fn oldest(&mut self) -> Option<Place> {
        let long = self.long.pop().map(|Reverse((_, place))| place);
        long.or_else(|| self.order.pop_front())
    }

    /// How many places the queues have.
    #[cfg(test)]
    pub(super) fn lengths(&self) -> [usize; 3] {
        [self.order.len(), self.rooted.len(), self.long.len()]
    }
}
