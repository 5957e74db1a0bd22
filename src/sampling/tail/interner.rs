//! Byte strings held once, however many spans carry them.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_64;

/// What one entry costs beside its bytes, roughly: the slot and its place in the map.
const ENTRY_OVERHEAD: usize = 96;

#[derive(Debug)]
struct Slot {
    bytes: Box<[u8]>,
    hash: u64,
    users: u64,
}

/// Byte strings with counted users; one without users is gone.
#[derive(Debug, Default)]
pub(super) struct Interner {
    slots: Vec<Option<Slot>>,
    free: Vec<u32>,
    by_hash: HashMap<u64, u32, RandomState>,
    held: usize,
}

impl Interner {
    /// The number of these bytes, with one more user. `None` if there are too many entries.
    pub(super) fn add(&mut self, bytes: &[u8]) -> Option<u32> {
        let hash = xxh3_64(bytes);
        if let Some(id) = self.by_hash.get(&hash).copied()
            && let Some(Some(slot)) = self.slots.get_mut(id as usize)
            && &*slot.bytes == bytes
        {
            slot.users += 1;
            return Some(id);
        }
        let slot = Slot { bytes: bytes.into(), hash, users: 1 };
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                let id = u32::try_from(self.slots.len()).ok()?;
                self.slots.push(None);
                id
            }
        };
        *self.slots.get_mut(id as usize)? = Some(slot);
        self.by_hash.insert(hash, id);
        self.held += bytes.len() + ENTRY_OVERHEAD;
        Some(id)
    }

    /// One more user of an entry.
    pub(super) fn again(&mut self, id: u32) {
        if let Some(Some(slot)) = self.slots.get_mut(id as usize) {
            slot.users += 1;
        }
    }

    /// One user less.
    pub(super) fn release(&mut self, id: u32) {
        let Some(slot) = self.slots.get_mut(id as usize) else { return };
        let Some(held) = slot else { return };
        held.users = held.users.saturating_sub(1);
        if held.users > 0 {
            return;
        }
        if self.by_hash.get(&held.hash) == Some(&id) {
            self.by_hash.remove(&held.hash);
        }
        self.held = self.held.saturating_sub(held.bytes.len() + ENTRY_OVERHEAD);
        *slot = None;
        self.free.push(id);
    }

    /// The bytes of an entry.
    pub(super) fn get(&self, id: u32) -> &[u8] {
        match self.slots.get(id as usize) {
            Some(Some(slot)) => &slot.bytes,
            _ => &[],
        }
    }

    /// The hash of the bytes of an entry.
    pub(super) fn hash(&self, id: u32) -> u64 {
        match self.slots.get(id as usize) {
            Some(Some(slot)) => slot.hash,
            _ => 0,
        }
    }

    /// The memory that all entries take.
    pub(super) const fn held(&self) -> usize {
        self.held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_live_as_long_as_they_are_used() {
        let mut shared = Interner::default();
        let a = shared.add(b"a").unwrap();
        assert_eq!(shared.add(b"a"), Some(a));
        shared.again(a);
        let b = shared.add(b"bb").unwrap();
        assert_ne!(a, b);
        for _ in 0..3 {
            assert_eq!(shared.get(a), b"a");
            shared.release(a);
        }
        assert_eq!(shared.get(a), b"");
        shared.release(a);
        assert_eq!(shared.held(), 2 + ENTRY_OVERHEAD);
        assert_eq!(shared.add(b"c"), Some(a), "the slot is used again");
        assert_eq!(shared.get(b), b"bb");
    }
}
