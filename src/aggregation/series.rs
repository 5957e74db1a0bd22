//! Time series by their attributes, as many as are allowed.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::clock::Tick;

/// The attributes of the series that takes what there is no room for, by the OpenTelemetry metrics
/// SDK specification, "Cardinality limits".
pub(super) const OVERFLOW: &[u8] = b"\xb4otel.metric.overflow\xc3";

/// One time series.
#[derive(Debug)]
pub(super) struct Series<T> {
    /// Tells this series from one that takes its slot later.
    pub(super) id: u64,
    /// The number of its attributes.
    pub(super) pairs: u32,
    /// When it began, in nanoseconds since the Unix epoch.
    pub(super) since: u64,
    pub(super) used: Tick,
    pub(super) value: T,
}

/// Series of one kind, by their encoded attributes: pairs without the map's header.
#[derive(Debug)]
pub(super) struct SeriesTable<T> {
    indices: HashMap<Box<[u8]>, usize, RandomState>,
    slots: Vec<Option<Series<T>>>,
    free: Vec<usize>,
    max: usize,
    next_id: u64,
}

/// Where a series is, and which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeriesHandle {
    index: usize,
    id: u64,
}

/// A series that was asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundSeries {
    pub(super) handle: SeriesHandle,
    /// Whether it stands in for one that there was no room for.
    pub(super) overflow: bool,
    /// Whether it was made just now.
    pub(super) new: bool,
}

impl<T> SeriesTable<T> {
    pub(super) fn new(max: usize) -> Self {
        let (indices, slots, free) = (HashMap::default(), Vec::new(), Vec::new());
        Self { indices, slots, free, max, next_id: 0 }
    }

    /// The series with these attributes, or the overflow series when there are too many.
    pub(super) fn find(
        &mut self,
        key: &[u8],
        pairs: u32,
        (now, unix_nanos): (Tick, u64),
        make: impl FnOnce() -> T,
    ) -> Option<FoundSeries> {
        let (mut overflow, mut new) = (false, false);
        let index = match self.indices.get(key) {
            Some(index) => *index,
            None => {
                // The last slot is the overflow series'.
                overflow = self.indices.len() + 1 >= self.max;
                let (key, pairs) = if overflow { (OVERFLOW, 1) } else { (key, pairs) };
                match self.indices.get(key) {
                    Some(index) => *index,
                    None => {
                        new = true;
                        let id = self.next_id;
                        self.next_id += 1;
                        let series =
                            Series { id, pairs, since: unix_nanos, used: now, value: make() };
                        self.insert(key, series)
                    }
                }
            }
        };
        let series = self.slots.get_mut(index)?.as_mut()?;
        series.used = now;
        Some(FoundSeries { handle: SeriesHandle { index, id: series.id }, overflow, new })
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
        let series = self.slots.get_mut(handle.index)?.as_mut()?;
        (series.id == handle.id).then_some(&mut series.value)
    }

    /// Notes that the series of a handle is used, and says whether it is still there.
    pub(super) fn refresh(&mut self, handle: SeriesHandle, now: Tick) -> bool {
        match self.slots.get_mut(handle.index) {
            Some(Some(series)) if series.id == handle.id => {
                series.used = now;
                true
            }
            _ => false,
        }
    }

    /// Every series with its attributes.
    pub(super) fn for_each(&mut self, mut visit: impl FnMut(&[u8], &mut Series<T>)) {
        for (key, index) in &self.indices {
            if let Some(Some(series)) = self.slots.get_mut(*index) {
                visit(key, series);
            }
        }
    }

    /// Removes what was not used for a while, and says how many series that were.
    pub(super) fn expire(&mut self, now: Tick, idle: Duration) -> usize {
        let before = self.indices.len();
        let (slots, free) = (&mut self.slots, &mut self.free);
        self.indices.retain(|_, index| {
            let Some(slot) = slots.get_mut(*index) else { return false };
            let keep = slot.as_ref().is_some_and(|series| now.since(series.used) < idle);
            if !keep {
                *slot = None;
                free.push(*index);
            }
            keep
        });
        before.saturating_sub(self.indices.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_series_share_one() {
        let mut table: SeriesTable<u32> = SeriesTable::new(3);
        let at = (Tick(0), 5);
        let mut add = |key: &[u8]| {
            let found = table.find(key, 1, at, || 0).unwrap();
            *table.get(found.handle).unwrap() += 1;
            (found.overflow, found.new)
        };
        let found = [&b"a"[..], b"b", b"c", b"d", b"a"].map(&mut add);
        assert_eq!(
            found,
            [(false, true), (false, true), (true, true), (true, false), (false, false)]
        );
        let mut values = Vec::new();
        table.for_each(|key, series| values.push((key.to_vec(), series.value)));
        values.sort();
        assert_eq!(values, [(b"a".to_vec(), 2), (b"b".to_vec(), 1), (OVERFLOW.to_vec(), 2)]);
    }

    #[test]
    fn idle_series_go_and_their_handles_with_them() {
        let mut table: SeriesTable<u32> = SeriesTable::new(10);
        let old = table.find(b"a", 1, (Tick(0), 0), || 1).unwrap().handle;
        table.find(b"b", 1, (Tick(90), 0), || 2).unwrap();
        assert_eq!(table.expire(Tick(100), Duration::from_nanos(50)), 1);
        assert_eq!(table.get(old), None);
        let new = table.find(b"c", 1, (Tick(100), 0), || 3).unwrap().handle;
        assert_eq!(table.get(old), None, "another series took its index");
        assert_eq!(table.get(new), Some(&mut 3));
        assert!(table.refresh(new, Tick(990)) && !table.refresh(old, Tick(990)));
        assert_eq!(table.expire(Tick(1000), Duration::from_nanos(50)), 1);
        assert_eq!(table.expire(Tick(2000), Duration::from_nanos(50)), 1);
        assert!(table.is_empty());
    }
}
