//! Memory for the JSON of one item, which is given back at once.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

/// The most memory that stays for the next item, in bytes.
const KEPT: usize = 1 << 20;

/// How much may be taken for one item before nothing more is read for it, in bytes: JSON of some megabytes.
const MOST: usize = 32 << 20;

/// A list that is being made.
pub(in crate::genai) type Building<'a, T> = BumpVec<'a, T>;

/// Where the JSON of one item lies. Nothing of it is given back before all of it is.
#[derive(Debug, Default)]
pub struct Arena(Bump);

impl Arena {
    /// Gives all back; its memory is used again.
    pub fn clear(&mut self) {
        self.0.reset();
        if self.0.allocated_bytes() > KEPT {
            self.0 = Bump::new();
        }
    }

    /// Whether so much was taken that nothing more is to be read.
    pub(super) fn is_full(&self) -> bool {
        self.0.allocated_bytes() > MOST
    }

    /// A text of its own.
    pub(in crate::genai) fn text(&self, text: &str) -> &str {
        self.0.alloc_str(text)
    }

    /// A list to be made, with room for this many.
    pub(in crate::genai) fn building<T>(&self, room: usize) -> Building<'_, T> {
        BumpVec::with_capacity_in(room, &self.0)
    }

    /// A list of these.
    pub(in crate::genai) fn list<T: Copy>(&self, values: impl IntoIterator<Item = T>) -> &[T] {
        let values = values.into_iter();
        let mut list = self.building(values.size_hint().0);
        list.extend(values);
        list.into_bump_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: an item with much JSON among others. Guarantees: the memory is used again, and what is more than
    /// others need is given back.
    #[test]
    fn memory_is_used_again_within_a_limit() {
        let mut arena = Arena::default();
        let mut most = 0;
        for _ in 0..1000 {
            arena.clear();
            assert_eq!(arena.list([0_u64; 100]).len(), 100);
            most = most.max(arena.0.allocated_bytes());
        }
        assert!(most < 16 << 10, "{most}");
        assert_eq!(arena.text(&"x".repeat(2 * KEPT)).len(), 2 * KEPT);
        arena.clear();
        assert!(arena.0.allocated_bytes() <= KEPT);
        while !arena.is_full() {
            arena.text(&"x".repeat(KEPT));
        }
        assert!(arena.0.allocated_bytes() <= 3 * MOST);
    }
}
