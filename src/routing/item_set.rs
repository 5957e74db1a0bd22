//! Bit set: which items of a request are done.
//!
//! A request that is cut for an endpoint, by size, by header or by member, is done piece by piece,
//! and the pieces of the next attempt may be cut elsewhere. So progress is kept item by item.

/// A set of the items (spans, metrics, log records) of one request, by their index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ItemSet {
    /// None of them.
    #[default]
    None,
    /// These: bit `n % 64` of word `n / 64`.
    Some(Vec<u64>),
    /// All of them.
    All,
}

impl ItemSet {
    /// Whether the item at `index` is in the set.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        match self {
            Self::None => false,
            Self::Some(words) => {
                words.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
            }
            Self::All => true,
        }
    }

    /// Whether no item is in the set.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// Whether every item is in the set.
    #[must_use]
    pub const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Adds the item at `index`.
    pub fn add(&mut self, index: usize) {
        if self.is_none() {
            *self = Self::Some(Vec::new());
        }
        let Self::Some(words) = self else { return };
        if words.len() <= index / 64 {
            words.resize(index / 64 + 1, 0);
        }
        if let Some(word) = words.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    /// Adds what is in `other`.
    pub fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::All, _) | (_, Self::None) => {}
            (mine, Self::All) => *mine = Self::All,
            (mine @ Self::None, other) => *mine = other,
            (Self::Some(mine), Self::Some(other)) => {
                if mine.len() < other.len() {
                    mine.resize(other.len(), 0);
                }
                mine.iter_mut().zip(other).for_each(|(mine, other)| *mine |= other);
            }
        }
    }

    /// The same set, as [`ItemSet::All`] if it has all of `count` items.
    #[must_use]
    pub fn of(self, count: usize) -> Self {
        if (0..count).all(|index| self.has(index)) { Self::All } else { self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_agrees_with_a_plain_set(
            first in proptest::collection::btree_set(0_usize..300, 0..40),
            second in proptest::collection::btree_set(0_usize..300, 0..40),
        ) {
            let set = |indices: &std::collections::BTreeSet<usize>| {
                let mut units = ItemSet::None;
                indices.iter().for_each(|index| units.add(*index));
                units
            };
            let mut both = set(&first);
            both.merge(set(&second));
            for index in 0..300 {
                prop_assert_eq!(both.has(index), first.contains(&index) || second.contains(&index));
            }
            both.merge(ItemSet::All);
            prop_assert!(both.is_all());
        }
    }

    #[test]
    fn a_full_set_is_all() {
        let mut units = ItemSet::None;
        for index in 0..70 {
            assert!(!units.clone().of(70).is_all());
            units.add(index);
        }
        assert!(units.of(70).is_all());
        assert!(ItemSet::None.of(0).is_all());
    }
}
