//! Content memory: which contents an endpoint has, so that it need not get them again.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// What stands for one content, as one reader of one attribute finds it: a SHA-256.
pub type ContentKey = [u8; 32];

/// Where an endpoint has a content.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// The time of the item that the endpoint has it in, in Unix nanoseconds.
    time: u64,
    /// When it was last of use, as a number that rises.
    used: u64,
}

/// The contents that an endpoint has acknowledged, each with the time of an item that holds it.
///
/// Times are those of the items and not of a clock: a reader who has an item that lacks the content looks
/// for one that holds it around that item's time, whenever both came. Bounded: what was not of use for
/// longest is forgotten first, and then sent again.
#[derive(Debug)]
pub struct ContentMemory {
    known: HashMap<ContentKey, Known>,
    by_use: BTreeMap<u64, ContentKey>,
    /// In nanoseconds.
    window: u64,
    capacity: usize,
    uses: u64,
}

impl ContentMemory {
    /// A memory of at most `capacity` contents, each good for items up to `window` away.
    #[must_use]
    pub fn new(window: Duration, capacity: usize) -> Self {
        Self {
            known: HashMap::new(),
            by_use: BTreeMap::new(),
            window: u64::try_from(window.as_nanos()).unwrap_or(u64::MAX),
            capacity,
            uses: 0,
        }
    }

    /// Whether the endpoint has a content in an item that is near enough to one of this time, in Unix
    /// nanoseconds.
    pub fn has(&mut self, key: &ContentKey, time: u64) -> bool {
        let Some(known) = self.known.get_mut(key) else { return false };
        if known.time.abs_diff(time) > self.window {
            return false;
        }
        self.by_use.remove(&known.used);
        self.uses = self.uses.saturating_add(1);
        known.used = self.uses;
        self.by_use.insert(self.uses, *key);
        true
    }

    /// The endpoint has acknowledged an item of this time, in Unix nanoseconds, that holds the content.
    pub fn acknowledge(&mut self, key: ContentKey, time: u64) {
        self.uses = self.uses.saturating_add(1);
        let known = Known { time, used: self.uses };
        if let Some(before) = self.known.insert(key, known) {
            self.by_use.remove(&before.used);
        }
        self.by_use.insert(self.uses, key);
        while self.known.len() > self.capacity {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(number: u8) -> ContentKey {
        [number; 32]
    }

    #[test]
    fn a_content_is_good_for_items_within_the_window_on_both_sides() {
        let mut memory = ContentMemory::new(Duration::from_nanos(10), 4);
        assert!(!memory.has(&key(1), 100));
        memory.acknowledge(key(1), 100);
        for (time, expected) in [(89, false), (90, true), (100, true), (110, true), (111, false)] {
            assert_eq!(memory.has(&key(1), time), expected, "{time}");
        }
        // What came last is where it is looked for.
        memory.acknowledge(key(1), 50);
        assert!(memory.has(&key(1), 60) && !memory.has(&key(1), 100));
        assert!(!memory.has(&key(2), 60));
    }

    #[test]
    fn what_was_of_no_use_for_longest_is_forgotten() {
        let mut memory = ContentMemory::new(Duration::from_secs(1), 2);
        memory.acknowledge(key(1), 0);
        memory.acknowledge(key(2), 0);
        assert!(memory.has(&key(1), 0));
        memory.acknowledge(key(3), 0);
        assert!(memory.has(&key(1), 0) && memory.has(&key(3), 0) && !memory.has(&key(2), 0));
        for number in 0..100 {
            memory.acknowledge(key(number % 7), u64::from(number));
            assert!(memory.known.len() <= 2 && memory.by_use.len() == memory.known.len());
        }
    }

    #[test]
    fn no_capacity_is_no_memory() {
        let mut memory = ContentMemory::new(Duration::MAX, 0);
        memory.acknowledge(key(1), 0);
        assert!(!memory.has(&key(1), 0));
    }
}
