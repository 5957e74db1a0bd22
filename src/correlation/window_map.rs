//! Window map: values by key that are remembered for a while after they were last changed, in bounded
//! memory.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::clock::Tick;

/// What a window map remembers.
pub(super) trait Weighed: Default {
    /// The memory that it takes beside its own size, in bytes.
    fn heap_bytes(&self) -> usize;

    /// Whether something is lost when it is forgotten before its time.
    fn is_loss(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Slot<V> {
    value: V,
    changed: Tick,
}

/// Values that are forgotten when nothing has changed in them for the window, and before that, those seen
/// first, where there is no memory for more.
#[derive(Debug)]
pub(super) struct WindowMap<K, V> {
    slots: HashMap<K, Slot<V>, RandomState>,
    /// When each was made or looked at again, the longest ago first.
    order: VecDeque<(Tick, K)>,
    window: Duration,
    max_bytes: usize,
    bytes: usize,
    forgotten: u64,
}

impl<K: Copy + Eq + Hash, V: Weighed> WindowMap<K, V> {
    /// What a value takes in the map and the queue, roughly: both grow to twice of what they need.
    const SLOT_BYTES: usize = 2 * size_of::<(K, Slot<V>)>() + 2 * size_of::<(Tick, K)>();

    pub(super) fn new(window: Duration, max_bytes: usize) -> Self {
        Self {
            slots: HashMap::default(),
            order: VecDeque::new(),
            window,
            max_bytes,
            bytes: 0,
            forgotten: 0,
        }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many went before their time for want of memory.
    pub(super) const fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.slots.get(&key).map(|slot| &slot.value)
    }

    /// A value to be changed in ways that take no more memory, and that do not count as a change.
    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.slots.get_mut(&key).map(|slot| &mut slot.value)
    }

    /// Changes a value, which is made if it is not there.
    pub(super) fn change<R>(&mut self, key: K, now: Tick, change: impl FnOnce(&mut V) -> R) -> R {
        let order = &mut self.order;
        let mut before = 0;
        let weight = |value: &V| Self::SLOT_BYTES.saturating_add(value.heap_bytes());
        let slot = self.slots.entry(key).and_modify(|slot| before = weight(&slot.value));
        let slot = slot.or_insert_with(|| {
            order.push_back((now, key));
            Slot { value: V::default(), changed: now }
        });
        slot.changed = now;
        let result = change(&mut slot.value);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(weight(&slot.value));
        self.make_room();
        result
    }

    /// Forgets what has not changed for the window, and shows it before.
    pub(super) fn expire(&mut self, now: Tick, mut leaves: impl FnMut(K, &V)) {
        while let Some((since, key)) = self.order.front().copied() {
            if now.since(since) <= self.window {
                break;
            }
            self.order.pop_front();
            match self.slots.get(&key) {
                Some(slot) if now.since(slot.changed) <= self.window => {
                    self.order.push_back((slot.changed, key));
                }
                Some(slot) => {
                    leaves(key, &slot.value);
                    self.remove(key);
                }
                None => {}
            }
        }
    }

    /// All values, in any order.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.slots.values().map(|slot| &slot.value)
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.order.clear();
        self.bytes = 0;
    }

    fn make_room(&mut self) {
        while self.bytes > self.max_bytes {
            let Some((_, oldest)) = self.order.pop_front() else { break };
            if let Some(slot) = self.slots.get(&oldest) {
                self.forgotten = self.forgotten.saturating_add(slot.value.is_loss().into());
                self.remove(oldest);
            }
        }
    }

    fn remove(&mut self, key: K) {
        if let Some(slot) = self.slots.remove(&key) {
            let weight = Self::SLOT_BYTES.saturating_add(slot.value.heap_bytes());
            self.bytes = self.bytes.saturating_sub(weight);
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Weighed for Vec<u8> {
        fn heap_bytes(&self) -> usize {
            self.capacity()
        }
    }

    fn at(seconds: u64) -> Tick {
        Tick(seconds * 1_000_000_000)
    }

    fn add(map: &mut WindowMap<u64, Vec<u8>>, key: u64, bytes: usize, now: Tick) {
        map.change(key, now, |value| value.extend(vec![0; bytes]));
    }

    #[test]
    fn values_leave_a_window_after_their_last_change() {
        let mut map = WindowMap::<u64, Vec<u8>>::new(Duration::from_secs(10), usize::MAX);
        add(&mut map, 1, 3, at(0));
        add(&mut map, 2, 3, at(1));
        add(&mut map, 1, 3, at(9));
        let mut gone = Vec::new();
        for second in [10, 11, 12, 19, 20] {
            map.expire(at(second), |key, value| gone.push((second, key, value.len())));
        }
        assert_eq!(gone, [(12, 2, 3), (20, 1, 6)]);
        assert_eq!((map.len(), map.bytes(), map.order.len()), (0, 0, 0));
        assert_eq!((map.get(1), map.forgotten()), (None, 0));
    }

    #[test]
    fn memory_is_bounded_by_forgetting_the_oldest() {
        let mut map = WindowMap::<u64, Vec<u8>>::new(Duration::from_secs(10), 64 << 10);
        for key in 0..10_000 {
            add(&mut map, key, 50, at(0));
            assert!(map.bytes() <= 64 << 10, "{}", map.bytes());
        }
        let kept = u64::try_from(map.len()).unwrap();
        assert!(kept > 50 && kept + map.forgotten() == 10_000, "{kept}");
        assert!(map.get(9_999).is_some() && map.get(0).is_none());
        assert_eq!(map.order.len(), map.len());
        add(&mut map, 7, 100_000, at(1));
        assert_eq!((map.len(), map.bytes()), (0, 0), "one that is larger than all has no place");
    }
}
