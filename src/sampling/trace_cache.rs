//! What is remembered about traces.

use std::collections::HashMap;
use std::hash::Hash;

use foldhash::fast::RandomState;

use crate::model::TraceId;

/// A bounded map that forgets what was used least lately.
///
/// Two generations stand in for exact order: what is used moves to the young one, and when that is
/// full the old one is forgotten. An entry is remembered for at least half of the capacity's worth
/// of newer ones.
#[derive(Debug)]
pub(super) struct TraceCache<V, K = TraceId> {
    half: usize,
    young: HashMap<K, V, RandomState>,
    old: HashMap<K, V, RandomState>,
}

impl<V: Copy, K: Copy + Eq + Hash> TraceCache<V, K> {
    /// A cache of this many entries; none at all for 0.
    pub(super) fn new(capacity: usize) -> Self {
        Self { half: capacity.div_ceil(2), young: HashMap::default(), old: HashMap::default() }
    }

    /// Has room for this many entries from now on.
    pub(super) fn resize(&mut self, capacity: usize) {
        self.half = capacity.div_ceil(2);
        if self.half == 0 {
            self.young.clear();
            self.old.clear();
        }
    }

    pub(super) fn insert(&mut self, id: K, value: V) {
        if self.half == 0 {
            return;
        }
        if self.young.len() >= self.half {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear();
        }
        self.young.insert(id, value);
    }

    pub(super) fn get(&mut self, id: K) -> Option<V> {
        if let Some(value) = self.young.get(&id) {
            return Some(*value);
        }
        let value = *self.old.get(&id)?;
        self.insert(id, value);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> TraceId {
        TraceId([number; 16])
    }

    #[test]
    fn what_is_used_stays_and_the_size_is_bounded() {
        let mut cache = TraceCache::new(8);
        for number in 1..200 {
            cache.insert(id(number), number);
            assert_eq!(cache.get(id(1)), Some(1));
            assert!(cache.young.len() + cache.old.len() <= 8);
        }
        assert_eq!(cache.get(id(199)), Some(199));
        assert_eq!(cache.get(id(100)), None);
    }

    #[test]
    fn a_cache_of_nothing() {
        let mut cache = TraceCache::new(0);
        cache.insert(id(1), 1);
        assert_eq!(cache.get(id(1)), None);
    }
}
