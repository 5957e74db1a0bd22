//! Lists of many owners in one vector, which are forgotten all at once.
//!
//! There are thousands of traces, each with a few spans and calls. Vectors of their own would be as many allocations.

/// Stands for no entry.
const END: u32 = u32::MAX;

/// One of the lists: where it begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct List {
    first: u32,
    last: u32,
    len: u32,
}

impl Default for List {
    fn default() -> Self {
        Self { first: END, last: END, len: 0 }
    }
}

impl List {
    /// How many entries it has.
    #[inline]
    pub(super) const fn len(self) -> usize {
        self.len as usize
    }

    /// What tells it apart from the others; all that are empty have the same.
    #[inline]
    pub(super) const fn id(self) -> u32 {
        self.first
    }
}

#[derive(Debug)]
struct Entry<T> {
    value: T,
    next: u32,
}

/// All lists.
#[derive(Debug)]
pub(super) struct Lists<T> {
    entries: Vec<Entry<T>>,
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { entries: Vec::new() }
    }
}

impl<T> Lists<T> {
    /// Adds an entry to a list, and gives its index; `None` where there are too many in all.
    #[inline]
    pub(super) fn push(&mut self, list: &mut List, value: T) -> Option<u32> {
        let index = u32::try_from(self.entries.len()).ok().filter(|index| *index < END)?;
        self.entries.push(Entry { value, next: END });
        match self.entries.get_mut(list.last as usize) {
            Some(last) => last.next = index,
            None => list.first = index,
        }
        list.last = index;
        list.len += 1;
        Some(index)
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        self.entries.get(index as usize).map(|entry| &entry.value)
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.entries.get_mut(index as usize).map(|entry| &mut entry.value)
    }

    /// The entries of a list, with their indices.
    #[inline]
    pub(super) fn entries(&self, list: List) -> impl Iterator<Item = (u32, &T)> {
        let mut at = list.first;
        std::iter::from_fn(move || {
            let entry = self.entries.get(at as usize)?;
            let index = std::mem::replace(&mut at, entry.next);
            Some((index, &entry.value))
        })
    }

    /// The entries of a list.
    #[inline]
    pub(super) fn iter(&self, list: List) -> impl Iterator<Item = &T> {
        self.entries(list).map(|(_, value)| value)
    }

    /// The first entry of a list for which something holds.
    #[inline]
    pub(super) fn find_mut(&mut self, list: List, is: impl Fn(&T) -> bool) -> Option<&mut T> {
        let (index, _) = self.entries(list).find(|(_, value)| is(value))?;
        self.get_mut(index)
    }

    /// Does something with every entry of a list.
    pub(super) fn for_each_mut(&mut self, list: List, mut with: impl FnMut(&mut T)) {
        let mut at = list.first;
        while let Some(entry) = self.entries.get_mut(at as usize) {
            with(&mut entry.value);
            at = entry.next;
        }
    }

    /// Forgets all of them. The memory is used again, unless it is much more than was needed.
    pub(super) fn clear(&mut self) {
        let used = self.entries.len();
        self.entries.clear();
        if self.entries.capacity() / 4 > used {
            self.entries.shrink_to(used * 2);
        }
    }
}

impl<T: Copy> Lists<T> {
    /// Copies a list from others.
    pub(super) fn copy(&mut self, from: &Self, list: List) -> List {
        let mut copied = List::default();
        for value in from.iter(list) {
            self.push(&mut copied, *value);
        }
        copied
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Scenario: entries for many lists in any order, and copies of them. Guarantees: each list has its own, in
        /// their order.
        #[test]
        fn lists_are_as_vectors(added in prop::collection::vec((0_usize..7, any::<u16>()), 0..100)) {
            let (mut lists, mut all) = (Lists::default(), [List::default(); 7]);
            let mut vectors: [Vec<u16>; 7] = Default::default();
            for (owner, value) in added {
                let index = lists.push(&mut all[owner], value).unwrap();
                prop_assert_eq!(lists.get(index), Some(&value));
                vectors[owner].push(value);
            }
            let mut others = Lists::default();
            others.push(&mut List::default(), 7);
            for (list, vector) in all.into_iter().zip(&mut vectors) {
                let copy = others.copy(&lists, list);
                prop_assert!(others.iter(copy).eq(vector.iter()));
                prop_assert_eq!(list.len(), vector.len());
                lists.for_each_mut(list, |value| *value /= 2);
                vector.iter_mut().for_each(|value| *value /= 2);
                prop_assert!(lists.iter(list).eq(vector.iter()));
                let is_odd = |value: &u16| value % 2 == 1;
                let first = lists.find_mut(list, is_odd).copied();
                prop_assert_eq!(first, vector.iter().copied().find(is_odd));
            }
        }
    }

    #[test]
    fn memory_that_is_not_needed_is_given_back() {
        let mut lists = Lists::default();
        let mut fill = |count: u32| {
            let mut list = List::default();
            (0..count).for_each(|value| assert!(lists.push(&mut list, value).is_some()));
            lists.clear();
            assert_eq!(lists.iter(list).count(), 0);
            lists.entries.capacity()
        };
        assert!(fill(1000) >= 1000);
        assert!(fill(1000) >= 1000, "it is used again");
        assert!(fill(10) <= 20);
    }
}
