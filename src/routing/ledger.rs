//! Delivery ledger: which endpoint has which part of a chunk already, so that a retry sends only
//! what is missing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::item_set::ItemSet;
use crate::clock::Tick;

/// One chunk of the host, as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkId {
    /// The host's name of the chunk, hashed.
    pub task: u64,
    /// A hash of the content, which distinguishes those.
    pub content: u64,
}

/// One request that a chunk becomes. The same chunk is always cut into the same parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PartId {
    /// The endpoint's index.
    pub endpoint: u32,
    /// The number of the request among those for the endpoint.
    pub part: u32,
}

/// The number that stands for all requests of an endpoint.
const EVERYTHING: u32 = u32::MAX;

/// How long a chunk that is done with is known: when the host stops, it brings chunks that are
/// being tried again once more, although it will know in a moment that they are done.
const RECENT: Duration = Duration::from_secs(10);
/// How many such chunks are known at most.
const MAX_RECENT: usize = 4096;

/// What is done of one chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress(Vec<(PartId, ItemSet)>);

impl Progress {
    /// Whether an endpoint has everything.
    #[must_use]
    pub fn is_complete(&self, endpoint: u32) -> bool {
        self.0.iter().any(|(id, _)| *id == PartId { endpoint, part: EVERYTHING })
    }

    /// What an endpoint has of a request.
    #[must_use]
    pub fn of(&self, part: PartId) -> ItemSet {
        if self.is_complete(part.endpoint) {
            return ItemSet::All;
        }
        let known = self.0.iter().find(|(id, _)| *id == part);
        known.map(|(_, units)| units.clone()).unwrap_or_default()
    }

    /// An endpoint has these items of a request.
    pub fn add(&mut self, part: PartId, units: ItemSet) {
        if units.is_none() || self.is_complete(part.endpoint) {
            return;
        }
        match self.0.iter_mut().find(|(id, _)| *id == part) {
            Some((_, known)) => known.merge(units),
            None => self.0.push((part, units)),
        }
    }

    /// An endpoint has everything.
    pub fn complete(&mut self, endpoint: u32) {
        self.0.retain(|(id, _)| id.endpoint != endpoint);
        self.0.push((PartId { endpoint, part: EVERYTHING }, ItemSet::All));
    }

    /// Adds what `other` knows.
    pub fn merge(&mut self, other: Self) {
        for (part, units) in other.0 {
            if part.part == EVERYTHING {
                self.complete(part.endpoint);
            } else {
                self.add(part, units);
            }
        }
    }
}

/// What is known of a chunk that comes again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownChunk {
    /// What is done of it.
    pub done: Progress,
    /// When it was first kept, which is when its first attempt had ended.
    pub since: Tick,
}

#[derive(Debug, Default)]
struct Entry {
    content: u64,
    since: Tick,
    /// Distinguishes this entry from an older one of the same task in the queue.
    serial: u64,
    done: Progress,
}

/// The memory of chunks that the host will bring again. Bounded: the oldest entries are forgotten
/// first, because the host does not say when it gives a chunk up.
#[derive(Debug)]
pub struct Ledger {
    entries: HashMap<u64, Entry>,
    order: VecDeque<(u64, u64)>,
    capacity: usize,
    serial: u64,
    /// Those that are done with, and since when.
    recent: HashSet<ChunkId>,
    ended: VecDeque<(Tick, ChunkId)>,
}

impl Ledger {
    /// A ledger of at most `capacity` chunks.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            capacity,
            serial: 0,
            recent: HashSet::new(),
            ended: VecDeque::new(),
        }
    }

    /// Starts an attempt. `None` if the chunk is new; otherwise what is known of it. A different
    /// chunk with the same task means that the older one is gone.
    pub fn begin(&mut self, chunk: ChunkId) -> Option<KnownChunk> {
        let known = self.entries.get(&chunk.task)?;
        if known.content == chunk.content {
            return Some(KnownChunk { done: known.done.clone(), since: known.since });
        }
        self.entries.remove(&chunk.task);
        None
    }

    /// Keeps for the next attempt what is done, beside what is known to be. Returns how many chunks
    /// were forgotten for it.
    pub fn keep(&mut self, chunk: ChunkId, done: Progress, now: Tick) -> usize {
        if let Some(known) =
            self.entries.get_mut(&chunk.task).filter(|known| known.content == chunk.content)
        {
            known.done.merge(done);
            return 0;
        }
        self.serial = self.serial.wrapping_add(1);
        let entry = Entry { content: chunk.content, since: now, serial: self.serial, done };
        self.entries.insert(chunk.task, entry);
        self.order.push_back((chunk.task, self.serial));
        self.shrink()
    }

    /// Whether a chunk was done with just now.
    #[must_use]
    pub fn is_finished(&self, chunk: ChunkId) -> bool {
        self.recent.contains(&chunk)
    }

    /// Forgets what is done of a chunk that is delivered or given up.
    pub fn finish(&mut self, chunk: ChunkId, now: Tick) {
        if self.recent.insert(chunk) {
            self.ended.push_back((now, chunk));
        }
        while let Some((since, old)) = self.ended.front().copied()
            && (now.since(since) > RECENT || self.ended.len() > MAX_RECENT)
        {
            self.ended.pop_front();
            self.recent.remove(&old);
        }
        if self.entries.get(&chunk.task).is_some_and(|known| known.content == chunk.content) {
            self.entries.remove(&chunk.task);
        }
    }

    /// The number of chunks remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no chunk is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn shrink(&mut self) -> usize {
        let mut forgotten = 0_usize;
        while self.entries.len() > self.capacity {
            let Some((task, serial)) = self.order.pop_front() else { break };
            if self.entries.get(&task).is_some_and(|entry| entry.serial == serial) {
                self.entries.remove(&task);
                forgotten = forgotten.saturating_add(1);
            }
        }
        // Finished chunks leave their entry in the queue behind; it is swept when they prevail.
        if self.order.len() > self.capacity.saturating_mul(2).saturating_add(16) {
            let entries = &self.entries;
            self.order.retain(|(task, serial)| {
                entries.get(task).is_some_and(|entry| entry.serial == *serial)
            });
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Tick = Tick(7);

    const fn known(done: Progress) -> KnownChunk {
        KnownChunk { done, since: NOW }
    }

    const fn chunk(task: u64, content: u64) -> ChunkId {
        ChunkId { task, content }
    }

    fn progress(endpoint: u32, part: u32) -> Progress {
        let mut progress = Progress::default();
        progress.add(PartId { endpoint, part }, ItemSet::All);
        progress
    }

    #[test]
    fn progress_adds_up() {
        let mut one = ItemSet::None;
        one.add(3);
        let mut two = ItemSet::None;
        two.add(70);
        let id = PartId { endpoint: 1, part: 2 };
        let mut ledger = Ledger::new(4);
        let mut first = Progress::default();
        first.add(id, one);
        assert_eq!(ledger.keep(chunk(1, 1), first, NOW), 0);
        let mut second = Progress::default();
        second.add(id, two);
        assert_eq!(ledger.keep(chunk(1, 1), second, NOW), 0);
        let known = ledger.begin(chunk(1, 1)).unwrap().done;
        assert!(known.of(id).has(3) && known.of(id).has(70) && !known.of(id).has(4));
        assert!(known.of(PartId { endpoint: 2, part: 2 }).is_none());
        let mut third = known;
        third.complete(1);
        assert!(third.of(id).is_all() && third.is_complete(1) && !third.is_complete(2));
    }

    #[test]
    fn a_retry_knows_what_is_done() {
        let mut ledger = Ledger::new(4);
        assert_eq!(ledger.begin(chunk(1, 10)), None);
        let done = progress(0, 0);
        assert_eq!(ledger.keep(chunk(1, 10), done.clone(), NOW), 0);
        assert_eq!(ledger.keep(chunk(1, 10), done.clone(), Tick(9)), 0);
        assert_eq!(ledger.begin(chunk(1, 10)), Some(known(done)));
        assert_eq!(ledger.begin(chunk(1, 11)), None);
        assert_eq!(ledger.begin(chunk(1, 10)), None);
        assert!(ledger.is_empty());
    }

    #[test]
    fn what_was_just_done_is_known_for_a_while() {
        let mut ledger = Ledger::new(4);
        let at = |seconds: u64| Tick(seconds * 1_000_000_000);
        ledger.finish(chunk(1, 10), at(1));
        ledger.finish(chunk(1, 10), at(2));
        assert!(ledger.is_finished(chunk(1, 10)) && !ledger.is_finished(chunk(1, 11)));
        ledger.finish(chunk(2, 10), at(11));
        assert!(ledger.is_finished(chunk(1, 10)));
        ledger.finish(chunk(3, 10), at(12));
        assert!(!ledger.is_finished(chunk(1, 10)) && ledger.is_finished(chunk(2, 10)));
        for task in 0..10_000 {
            ledger.finish(chunk(task, 7), at(12));
            assert!(ledger.recent.len() <= MAX_RECENT && ledger.ended.len() <= MAX_RECENT);
        }
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut ledger = Ledger::new(2);
        assert_eq!(ledger.keep(chunk(1, 1), Progress::default(), NOW), 0);
        assert_eq!(ledger.keep(chunk(2, 1), Progress::default(), NOW), 0);
        assert_eq!(ledger.keep(chunk(3, 1), Progress::default(), NOW), 1);
        assert_eq!(ledger.begin(chunk(1, 1)), None);
        assert_eq!(ledger.begin(chunk(2, 1)), Some(known(Progress::default())));
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_agrees_with_a_plain_map(
            steps in proptest::collection::vec((0_u64..6, 0_u64..3, 0_u8..3, 0_u32..4), 0..300)
        ) {
            let mut ledger = Ledger::new(100);
            let mut model: HashMap<u64, (u64, Progress)> = HashMap::new();
            for (task, content, action, part) in steps {
                let id = chunk(task, content);
                match action {
                    0 => {
                        let expected = model.get(&task)
                            .filter(|(known, _)| *known == content)
                            .map(|(_, done)| known(done.clone()));
                        if expected.is_none() {
                            model.remove(&task);
                        }
                        prop_assert_eq!(ledger.begin(id), expected);
                    }
                    1 => {
                        let done = progress(1, part);
                        prop_assert_eq!(ledger.keep(id, done.clone(), NOW), 0);
                        let entry = model.entry(task).or_default();
                        if entry.0 != content {
                            *entry = (content, Progress::default());
                        }
                        entry.1.merge(done);
                    }
                    _ => {
                        ledger.finish(id, NOW);
                        if model.get(&task).is_some_and(|(known, _)| *known == content) {
                            model.remove(&task);
                        }
                    }
                }
                prop_assert_eq!(ledger.len(), model.len());
                prop_assert!(ledger.order.len() <= 216);
            }
        }

        #[test]
        fn it_never_grows_past_its_capacity(tasks in proptest::collection::vec(0_u64..1000, 0..400)) {
            let mut ledger = Ledger::new(8);
            for task in tasks {
                let _forgotten = ledger.keep(chunk(task, 0), Progress::default(), NOW);
                prop_assert!(ledger.len() <= 8 && ledger.order.len() <= 33);
            }
        }
    }
}
