//! Index: which spans carry which id, and which logs wait for it. Bounded in bytes and time.

use std::collections::HashSet;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::decision::{Service, SpanOccurrence};
use super::ids::Id;
use super::window_map::{Weighed, WindowMap};
use crate::clock::Tick;

/// Spans that are remembered of one id, of which further ones of the same traces are left out; what has
/// more in other traces tells none of them.
const MAX_SIGHTINGS: usize = 64;
/// Services whose spans were seen. Further ones count as such without having been.
const MAX_SERVICES: usize = 4096;

/// The number of a log that waits.
pub(super) type LogNumber = u64;

#[derive(Debug, Default)]
struct Entry {
    occurrences: Vec<SpanOccurrence>,
    waiting: Vec<LogNumber>,
    /// Whether it has spans of more traces than are remembered.
    crowded: bool,
}

impl Weighed for Entry {
    fn heap_bytes(&self) -> usize {
        self.occurrences.capacity() * size_of::<SpanOccurrence>()
            + self.waiting.capacity() * size_of::<LogNumber>()
    }
}

impl Entry {
    fn add(&mut self, occurrence: SpanOccurrence) {
        let again = |known: &&mut SpanOccurrence| {
            known.trace == occurrence.trace
                && known.span == occurrence.span
                && known.service == occurrence.service
        };
        if let Some(known) = self.occurrences.iter_mut().find(again) {
            *known = occurrence;
        } else if self.occurrences.len() < MAX_SIGHTINGS {
            // Most ids have one span: `push` alone would make room for four.
            if self.occurrences.len() == self.occurrences.capacity() {
                self.occurrences.reserve_exact(self.occurrences.len().max(1));
            }
            self.occurrences.push(occurrence);
        } else {
            self.crowded |= self.occurrences.iter().all(|known| known.trace != occurrence.trace);
        }
    }
}

/// The ids that were seen.
#[derive(Debug)]
pub(super) struct IdIndex {
    entries: WindowMap<Id, Entry>,
    services: HashSet<Service, RandomState>,
    remembered_for: Duration,
}

impl IdIndex {
    pub(super) fn new(remembered_for: Duration, max_bytes: usize) -> Self {
        Self {
            entries: WindowMap::new(remembered_for, max_bytes),
            services: HashSet::default(),
            remembered_for,
        }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.entries.bytes()
    }

    /// Ids that went for want of memory before their time.
    pub(super) const fn forgotten(&self) -> u64 {
        self.entries.forgotten()
    }

    /// Notes that a service has spans.
    pub(super) fn note_service(&mut self, service: Service) {
        if self.services.len() < MAX_SERVICES {
            self.services.insert(service);
        }
    }

    /// Whether a service has spans, as far as is known.
    pub(super) fn has_spans(&self, service: Service) -> bool {
        self.services.len() >= MAX_SERVICES || self.services.contains(&service)
    }

    /// Remembers a span that carries an id. Which logs wait for it is appended to `waiting`.
    pub(super) fn see(&mut self, id: Id, occurrence: SpanOccurrence, waiting: &mut Vec<LogNumber>) {
        self.entries.change(id, occurrence.seen, |entry| {
            entry.add(occurrence);
            waiting.extend_from_slice(&entry.waiting);
        });
    }

    /// Remembers a log that waits for the spans of an id.
    pub(super) fn wait(&mut self, id: Id, log: LogNumber, now: Tick) {
        self.entries.change(id, now, |entry| entry.waiting.push(log));
    }

    /// Forgets that a log waits.
    pub(super) fn leave(&mut self, id: Id, log: LogNumber) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.waiting.retain(|waiting| *waiting != log);
        }
    }

    /// The spans that carry an id, in the window; `None` if they are too many to tell.
    pub(super) fn occurrences(&mut self, id: Id, now: Tick) -> Option<&[SpanOccurrence]> {
        let remembered_for = self.remembered_for;
        let Some(entry) = self.entries.get_mut(id) else { return Some(&[]) };
        if entry.crowded {
            return None;
        }
        entry.occurrences.retain(|occurrence| now.since(occurrence.seen) <= remembered_for);
        Some(&entry.occurrences)
    }

    /// Forgets what is older than the window.
    pub(super) fn expire(&mut self, now: Tick) {
        self.entries.expire(now, |_, _| {});
    }
}

#[cfg(test)]
mod tests {
    use super::super::ids::IdSpace;
    use super::*;
    use crate::model::{SpanId, TraceId};

    const WINDOW: Duration = Duration::from_secs(10);

    fn id(number: u128) -> Id {
        Id { space: IdSpace::Call, hash: number }
    }

    fn occurrence(trace: u8, seen: Tick) -> SpanOccurrence {
        let span = Some(SpanId([trace; 8]));
        SpanOccurrence { trace: TraceId([trace; 16]), span, service: None, start: 1, end: 2, seen }
    }

    fn at(seconds: u64) -> Tick {
        Tick(seconds * 1_000_000_000)
    }

    #[test]
    fn ids_are_remembered_for_a_while_after_their_last_span() {
        let mut index = IdIndex::new(WINDOW, usize::MAX);
        let mut waiting = Vec::new();
        index.see(id(1), occurrence(1, at(0)), &mut waiting);
        index.see(id(1), occurrence(2, at(8)), &mut waiting);
        index.see(id(2), occurrence(3, at(8)), &mut waiting);
        index.expire(at(12));
        assert_eq!(index.occurrences(id(1), at(12)).unwrap().len(), 1, "the first span is too old");
        assert_eq!(index.entries.len(), 2);
        index.expire(at(19));
        assert_eq!((index.entries.len(), index.bytes()), (0, 0));
        assert!(waiting.is_empty() && index.forgotten() == 0);
        assert_eq!(index.occurrences(id(1), at(19)), Some(&[][..]));
    }

    #[test]
    fn who_waits_is_told() {
        let mut index = IdIndex::new(WINDOW, usize::MAX);
        index.wait(id(1), 5, at(0));
        index.wait(id(1), 6, at(1));
        index.leave(id(1), 5);
        let mut waiting = Vec::new();
        index.see(id(1), occurrence(1, at(2)), &mut waiting);
        assert_eq!(waiting, [6]);
    }

    #[test]
    fn the_same_span_counts_once_and_too_many_traces_tell_nothing() {
        let mut index = IdIndex::new(WINDOW, usize::MAX);
        let mut waiting = Vec::new();
        for _ in 0..100 {
            index.see(id(1), occurrence(1, at(0)), &mut waiting);
        }
        assert_eq!(index.occurrences(id(1), at(0)).unwrap().len(), 1);
        for trace in 1..=65 {
            index.see(id(2), occurrence(trace, at(0)), &mut waiting);
        }
        assert_eq!(index.occurrences(id(2), at(0)), None);
    }

    #[test]
    fn memory_is_bounded_by_forgetting_the_oldest() {
        let mut index = IdIndex::new(WINDOW, 64 << 10);
        let mut waiting = Vec::new();
        for number in 0..10_000 {
            index.see(id(number), occurrence(1, at(0)), &mut waiting);
            assert!(index.bytes() <= 64 << 10, "{}", index.bytes());
        }
        let kept = u64::try_from(index.entries.len()).unwrap();
        assert!(kept > 50 && kept + index.forgotten() == 10_000, "{kept}");
        assert_eq!(index.occurrences(id(9_999), at(0)).unwrap().len(), 1);
    }

    #[test]
    fn services_are_bounded_too() {
        let mut index = IdIndex::new(WINDOW, usize::MAX);
        index.note_service(Service(1));
        assert!(index.has_spans(Service(1)) && !index.has_spans(Service(2)));
        (0..10_000).for_each(|number| index.note_service(Service(number)));
        assert_eq!(index.services.len(), MAX_SERVICES);
        assert!(index.has_spans(Service(1_000_000)), "not known, so taken for one that has");
    }
}
