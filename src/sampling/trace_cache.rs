//! What is remembered about traces.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;

use crate::model::TraceId;

/// The fewest entries that room is made for at once.
const FEWEST: usize = 16;

/// A bounded map that forgets what was used least lately.
///
/// Two generations stand in for exact order: what is used moves to the young one, and when that is
/// full the old one is forgotten. An entry is remembered for at least half of the capacity's worth
/// of newer ones.
#[derive(Debug)]
pub(super) struct TraceCache<V, K = TraceId> {
    half: usize,
    hasher: RandomState,
    young: Generation<V, K>,
    old: Generation<V, K>,
}

impl<V: Copy, K: Copy + Eq + Hash> TraceCache<V, K> {
    /// A cache of this many entries; none at all for 0.
    pub(super) fn new(capacity: usize) -> Self {
        let [young, old] = [Generation::EMPTY; 2];
        Self { half: half_of(capacity), hasher: RandomState::default(), young, old }
    }

    /// Has room for this many entries from now on.
    pub(super) fn resize(&mut self, capacity: usize) {
        self.half = half_of(capacity);
        if self.half == 0 {
            [self.young, self.old] = [Generation::EMPTY; 2];
        }
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.half == 0 {
            return;
        }
        let hash = self.hasher.hash_one(key);
        if let Some(entry) =
            self.young.find(hash, key).and_then(|at| self.young.entries.get_mut(at))
        {
            entry.value = value;
            return;
        }
        if self.young.entries.len() >= self.half {
            std::mem::swap(&mut self.young, &mut self.old);
            self.young.clear(self.half);
        }
        self.young.push(hash, (key, value), (self.half, &self.hasher));
    }

    pub(super) fn get(&mut self, key: K) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        if let Some(at) = self.young.find(hash, key) {
            return self.young.entries.get(at).map(|entry| entry.value);
        }
        let value = self.old.entries.get(self.old.find(hash, key)?)?.value;
        self.insert(key, value);
        Some(value)
    }

    /// The memory that it takes now, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.young.bytes() + self.old.bytes()
    }
}

/// What a generation has room for. Places are counted in 32 bits.
fn half_of(capacity: usize) -> usize {
    capacity.div_ceil(2).min(1 << 30)
}

/// A hash table that only grows: entries one after the other, as many as there is room for, and the chains of those whose
/// hashes begin alike. One of std's would be half empty after it has doubled.
#[derive(Debug)]
struct Generation<V, K> {
    /// Where chains begin: one more than the place of an entry, 0 for none. There is a power of two of them.
    heads: Vec<u32>,
    entries: Vec<Entry<V, K>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry<V, K> {
    key: K,
    value: V,
    /// The next one of the chain, as in the heads.
    next: u32,
}

impl<V: Copy, K: Copy + Eq + Hash> Generation<V, K> {
    const EMPTY: Self = Self { heads: Vec::new(), entries: Vec::new() };

    /// The place of an entry.
    fn find(&self, hash: u64, key: K) -> Option<usize> {
        let mut next = *self.heads.get(self.chain(hash))?;
        loop {
            let at = (next as usize).checked_sub(1)?;
            let entry = self.entries.get(at)?;
            if entry.key == key {
                return Some(at);
            }
            next = entry.next;
        }
    }

    /// Which chain a hash belongs to.
    fn chain(&self, hash: u64) -> usize {
        let mask = (self.heads.len() as u64).wrapping_sub(1);
        usize::try_from(hash & mask).unwrap_or_default()
    }

    /// Appends an entry that is not there; there are at most `most`.
    fn push(&mut self, hash: u64, (key, value): (K, V), (most, hasher): (usize, &RandomState)) {
        if self.entries.len() == self.entries.capacity() {
            self.grow(most, hasher);
        }
        self.entries.push(Entry { key, value, next: 0 });
        self.link(hash, self.entries.len().saturating_sub(1));
    }

    /// Puts an entry in front of its chain.
    fn link(&mut self, hash: u64, at: usize) {
        let chain = self.chain(hash);
        if let (Some(head), Some(entry)) = (self.heads.get_mut(chain), self.entries.get_mut(at)) {
            entry.next = std::mem::replace(head, u32::try_from(at + 1).unwrap_or_default());
        }
    }

    /// Makes room for half as many more.
    fn grow(&mut self, most: usize, hasher: &RandomState) {
        let len = self.entries.len();
        self.entries.reserve_exact((len / 2).max(FEWEST).min(most.saturating_sub(len)));
        let chains = self.entries.capacity().next_power_of_two();
        if chains > self.heads.len() {
            self.heads = vec![0; chains];
            for at in 0..len {
                let hash = self.entries.get(at).map(|entry| hasher.hash_one(entry.key));
                self.link(hash.unwrap_or_default(), at);
            }
        }
    }

    /// Forgets all entries; the memory stays for as many, unless that is less than it takes.
    fn clear(&mut self, most: usize) {
        if self.entries.capacity() > most.max(FEWEST) {
            *self = Self::EMPTY;
        }
        self.entries.clear();
        self.heads.fill(0);
    }
}

impl<V, K> Generation<V, K> {
    const fn bytes(&self) -> usize {
        self.heads.capacity() * size_of::<u32>()
            + self.entries.capacity() * size_of::<Entry<V, K>>()
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
            assert!(cache.young.entries.len() + cache.old.entries.len() <= 8);
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

    /// Guarantees: as many keys as there is room for are known by their last value, in chains of any length, while the
    /// cache grows, turns over and is made smaller and larger; and no more memory is taken than its entries need.
    #[test]
    fn a_cache_has_what_a_map_has() {
        let mut cache: TraceCache<u32, u64> = TraceCache::new(4000);
        for number in 0..40_000_u64 {
            let key = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
            cache.insert(key, 1);
            cache.insert(key, u32::try_from(number).unwrap());
            assert_eq!(cache.get(key), Some(u32::try_from(number).unwrap()));
            if number % 3000 == 2999 {
                let before = (number - 1999).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
                assert!(cache.get(before).is_some(), "{number}");
            }
        }
        assert_eq!(size_of::<Entry<u32, u64>>(), 16);
        assert!((0..200).all(|key| cache.get((1 << 30) + key).is_none()));
        assert_eq!(cache.bytes(), 4000 * 16 + 2 * 2048 * 4);
        cache.resize(100);
        (0..200).for_each(|key| cache.insert(key, 7));
        assert!(cache.bytes() <= 100 * 24 + 2 * 64 * 4, "{}", cache.bytes());
        cache.resize(1000);
        (0..1000).for_each(|key| cache.insert(key, 8));
        assert!((500..1000).all(|key| cache.get(key) == Some(8)));
        cache.resize(0);
        assert_eq!((cache.bytes(), cache.get(999)), (0, None));
    }
}
