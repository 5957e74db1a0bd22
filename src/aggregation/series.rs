//! Time series by their attributes.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::budget::SeriesCost;
use crate::clock::Tick;

/// The attributes of the series that takes what there is no room for, by the OpenTelemetry metrics
/// SDK specification, "Cardinality limits".
pub(super) const OVERFLOW: &[u8] = b"\xb4otel.metric.overflow\xc3";

/// One time series.
#[derive(Debug)]
pub(super) struct Series<T> {
    /// Tells this series from one that takes its slot later.
    pub(super) id: u32,
    /// The number of its attributes.
    pub(super) pairs: u32,
    /// When it began, in nanoseconds since the Unix epoch.
    pub(super) since: u64,
    pub(super) used: Tick,
    pub(super) value: T,
}

/// What a set of attributes has: values of several metrics.
pub(super) trait SeriesValues {
    /// How many of the metrics have a value.
    fn series(&self) -> usize;
}

/// Series of one kind, by their encoded attributes: pairs without the map's header.
#[derive(Debug)]
pub(super) struct SeriesTable<T> {
    indices: HashMap<Box<[u8]>, usize, RandomState>,
    slots: Vec<Option<Series<T>>>,
    free: Vec<usize>,
    next_id: u32,
}

/// Where a series is, and which it is. Every recent call has one, so it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeriesHandle {
    index: u32,
    id: u32,
}

impl SeriesHandle {
    /// A table never has so many series that an index does not fit; one that did not would find none.
    fn new(index: usize, id: u32) -> Self {
        Self { index: u32::try_from(index).unwrap_or(u32::MAX), id }
    }
}

impl<T> Default for SeriesTable<T> {
    fn default() -> Self {
        let (indices, slots, free) = (HashMap::default(), Vec::new(), Vec::new());
        Self { indices, slots, free, next_id: 0 }
    }
}

impl<T> SeriesTable<T> {
    /// The series with these attributes, if it is there.
    pub(super) fn find(&self, key: &[u8]) -> Option<SeriesHandle> {
        let index = *self.indices.get(key)?;
        let id = self.slots.get(index)?.as_ref()?.id;
        Some(SeriesHandle::new(index, id))
    }

    /// The series with these attributes, made if it is not there, and what making it took.
    pub(super) fn find_or_add(
        &mut self,
        key: &[u8],
        pairs: u32,
        (now, unix_nanos): (Tick, u64),
        make: impl FnOnce() -> T,
    ) -> (SeriesHandle, SeriesCost) {
        if let Some(handle) = self.find(key) {
            return (handle, SeriesCost::default());
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        let series = Series { id, pairs, since: unix_nanos, used: now, value: make() };
        let index = self.insert(key, series);
        (SeriesHandle::new(index, id), Self::attributes_cost(key))
    }

    /// What a set of attributes takes beside the values of its metrics.
    pub(super) const fn attributes_cost(key: &[u8]) -> SeriesCost {
        SeriesCost::of_bytes(key.len().saturating_add(size_of::<Series<T>>()))
    }

    fn insert(&mut self, key: &[u8], series: Series<T>) -> usize {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len().saturating_sub(1)
        });
        if let Some(slot) = self.slots.get_mut(index) {
            *slot = Some(series);
        }
        self.indices.insert(key.into(), index);
        index
    }

    /// The series of a handle, if it is still there.
    pub(super) fn get(&mut self, handle: SeriesHandle) -> Option<&mut T> {
        let series = self.slots.get_mut(handle.index as usize)?.as_mut()?;
        (series.id == handle.id).then_some(&mut series.value)
    }

    /// The series of a handle, used now, if it is still there.
    pub(super) fn touch(&mut self, handle: SeriesHandle, now: Tick) -> Option<&mut T> {
        let series = self.slots.get_mut(handle.index as usize)?.as_mut()?;
        if series.id != handle.id {
            return None;
        }
        series.used = now;
        Some(&mut series.value)
    }

    /// Every series with its attributes.
    pub(super) fn for_each(&mut self, mut visit: impl FnMut(&[u8], &mut Series<T>)) {
        for (key, index) in &self.indices {
            if let Some(Some(series)) = self.slots.get_mut(*index) {
                visit(key, series);
            }
        }
    }

    /// Removes what was not used for a while, and says what that took.
    pub(super) fn expire(&mut self, now: Tick, idle: Duration) -> SeriesCost
    where
        T: SeriesValues,
    {
        let mut gone = SeriesCost::default();
        let (slots, free) = (&mut self.slots, &mut self.free);
        self.indices.retain(|key, index| {
            let Some(slot) = slots.get_mut(*index) else { return false };
            if slot.as_ref().is_some_and(|series| now.since(series.used) < idle) {
                return true;
            }
            if let Some(series) = slot.take() {
                gone.add(Self::attributes_cost(key));
                gone.add(SeriesCost { series: series.value.series(), bytes: 0 });
            }
            free.push(*index);
            false
        });
        gone
    }

    /// What all of it takes.
    pub(super) fn cost(&self) -> SeriesCost
    where
        T: SeriesValues,
    {
        let mut cost = SeriesCost::default();
        self.indices.keys().for_each(|key| cost.add(Self::attributes_cost(key)));
        let values = self.slots.iter().flatten().map(|series| series.value.series());
        cost.add(SeriesCost { series: values.sum(), bytes: 0 });
        cost
    }

    pub(super) fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl SeriesValues for u32 {
        fn series(&self) -> usize {
            *self as usize
        }
    }

    /// Guarantees: a table says what it takes, what a new series of it does, and what goes with those
    /// that are forgotten.
    #[test]
    fn what_series_take_is_known() {
        let mut table: SeriesTable<u32> = SeriesTable::default();
        let mut taken = SeriesCost::default();
        for (key, at) in [(&b"a"[..], 0), (b"bc", 5), (b"a", 7)] {
            let (handle, new) = table.find_or_add(key, 1, (Tick(at), 5), || 2);
            taken.add(new);
            assert_eq!(table.touch(handle, Tick(at)), Some(&mut 2));
        }
        taken.add(SeriesCost { series: 4, bytes: 0 });
        assert_eq!(table.cost(), taken);
        assert!(table.find(b"bc").is_some() && table.find(b"b").is_none());
        let gone = table.expire(Tick(10), Duration::from_nanos(4));
        assert_eq!(gone, SeriesCost { series: 2, bytes: 2 + size_of::<Series<u32>>() });
        assert_eq!(table.cost().series, 2);
    }

    #[test]
    fn idle_series_go_and_their_handles_with_them() {
        let mut table: SeriesTable<u32> = SeriesTable::default();
        let old = table.find_or_add(b"a", 1, (Tick(0), 0), || 1).0;
        table.find_or_add(b"b", 1, (Tick(90), 0), || 2);
        assert!(table.expire(Tick(100), Duration::from_nanos(50)).series > 0);
        assert_eq!(table.get(old), None);
        let new = table.find_or_add(b"c", 1, (Tick(100), 0), || 3).0;
        assert_eq!(table.get(old), None, "another series took its index");
        assert_eq!(table.get(new), Some(&mut 3));
        assert!(table.touch(new, Tick(990)).is_some() && table.touch(old, Tick(990)).is_none());
        assert!(table.expire(Tick(1000), Duration::from_nanos(50)).series > 0);
        assert!(table.expire(Tick(2000), Duration::from_nanos(50)).series > 0);
        assert!(table.is_empty());
    }
}
