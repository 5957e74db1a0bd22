//! Which endpoint has which part of a chunk already, so that a retry sends only what is missing.

use std::collections::{HashMap, VecDeque};

/// One chunk of the host, as long as it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChunkId {
    /// The host's task, which it uses again for another chunk when this one is gone.
    pub task: u64,
    /// A hash of the content, which tells those apart.
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

#[derive(Debug, Default)]
struct Entry {
    content: u64,
    /// Tells this entry from an older one of the same task in the queue.
    serial: u64,
    done: Vec<PartId>,
}

/// The memory of chunks that the host will bring again. Bounded: the oldest entries are forgotten
/// first, because the host does not say when it gives a chunk up.
#[derive(Debug)]
pub struct Ledger {
    entries: HashMap<u64, Entry>,
    order: VecDeque<(u64, u64)>,
    capacity: usize,
    serial: u64,
}

impl Ledger {
    /// A ledger of at most `capacity` chunks.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), capacity, serial: 0 }
    }

    /// Starts an attempt. `None` if the chunk is new; otherwise what is done already. A different
    /// chunk with the same task means that the older one is gone.
    pub fn begin(&mut self, chunk: ChunkId) -> Option<Vec<PartId>> {
        let known = self.entries.get(&chunk.task)?;
        if known.content == chunk.content {
            return Some(known.done.clone());
        }
        self.entries.remove(&chunk.task);
        None
    }

    /// Keeps for the next attempt what is done. Returns how many chunks were forgotten for it.
    pub fn keep(&mut self, chunk: ChunkId, done: Vec<PartId>) -> usize {
        if let Some(known) =
            self.entries.get_mut(&chunk.task).filter(|known| known.content == chunk.content)
        {
            known.done = done;
            return 0;
        }
        self.serial = self.serial.wrapping_add(1);
        let entry = Entry { content: chunk.content, serial: self.serial, done };
        self.entries.insert(chunk.task, entry);
        self.order.push_back((chunk.task, self.serial));
        self.shrink()
    }

    /// Forgets a chunk that is delivered or given up.
    pub fn finish(&mut self, chunk: ChunkId) {
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
        // Finished chunks leave their place in the queue behind; it is swept when they prevail.
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

    const fn chunk(task: u64, content: u64) -> ChunkId {
        ChunkId { task, content }
    }

    #[test]
    fn a_retry_knows_what_is_done() {
        let mut ledger = Ledger::new(4);
        assert_eq!(ledger.begin(chunk(1, 10)), None);
        let done = vec![PartId { endpoint: 0, part: 0 }];
        assert_eq!(ledger.keep(chunk(1, 10), done.clone()), 0);
        assert_eq!(ledger.begin(chunk(1, 10)), Some(done));
        assert_eq!(ledger.begin(chunk(1, 11)), None);
        assert_eq!(ledger.begin(chunk(1, 10)), None);
        assert!(ledger.is_empty());
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut ledger = Ledger::new(2);
        assert_eq!(ledger.keep(chunk(1, 1), Vec::new()), 0);
        assert_eq!(ledger.keep(chunk(2, 1), Vec::new()), 0);
        assert_eq!(ledger.keep(chunk(3, 1), Vec::new()), 1);
        assert_eq!(ledger.begin(chunk(1, 1)), None);
        assert_eq!(ledger.begin(chunk(2, 1)), Some(Vec::new()));
    }

    proptest! {
        #[test]
        fn it_is_bounded_and_agrees_with_a_plain_map(
            steps in proptest::collection::vec((0_u64..6, 0_u64..3, 0_u8..3, 0_u32..4), 0..300)
        ) {
            let mut ledger = Ledger::new(100);
            let mut model: HashMap<u64, (u64, Vec<PartId>)> = HashMap::new();
            for (task, content, action, part) in steps {
                let id = chunk(task, content);
                match action {
                    0 => {
                        let expected = model.get(&task)
                            .filter(|(known, _)| *known == content)
                            .map(|(_, done)| done.clone());
                        if expected.is_none() {
                            model.remove(&task);
                        }
                        prop_assert_eq!(ledger.begin(id), expected);
                    }
                    1 => {
                        let done = vec![PartId { endpoint: 1, part }];
                        prop_assert_eq!(ledger.keep(id, done.clone()), 0);
                        model.insert(task, (content, done));
                    }
                    _ => {
                        ledger.finish(id);
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
                let _forgotten = ledger.keep(chunk(task, 0), Vec::new());
                prop_assert!(ledger.len() <= 8 && ledger.order.len() <= 33);
            }
        }
    }
}
