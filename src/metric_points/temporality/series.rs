//! Bounded table: what is known of each series; those that were not seen for longest go first.

use std::collections::HashMap;

use crate::metric_points::point::PointValue;

/// What stands for a series: its resource, scope, metric and attributes, hashed.
pub(super) type SeriesKey = u128;

/// What is known of a series. Times are Unix nanoseconds.
#[derive(Debug)]
pub(super) struct Series {
    /// When it began, or 0.
    pub(super) start: u64,
    /// The time of its last point.
    pub(super) time: u64,
    /// The sum since its start.
    pub(super) value: PointValue,
    /// The request that it was in last, by number.
    seen: u64,
}

/// What an entry takes beside the buckets of a histogram: hash tables are half empty at times.
const ENTRY: usize = 2 * (size_of::<SeriesKey>() + size_of::<Series>());

impl Series {
    const fn size(&self) -> usize {
        ENTRY + self.value.size()
    }
}

/// All series.
#[derive(Debug)]
pub(super) struct SeriesTable {
    series: HashMap<SeriesKey, Series, foldhash::fast::RandomState>,
    bytes: usize,
    max_bytes: usize,
    requests: u64,
}

impl SeriesTable {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { series: HashMap::default(), bytes: 0, max_bytes, requests: 0 }
    }

    /// The next request begins.
    pub(super) fn begin(&mut self) {
        self.requests = self.requests.saturating_add(1);
    }

    /// Looks at a series, which may be changed.
    pub(super) fn edit<T>(
        &mut self,
        key: SeriesKey,
        edit: impl FnOnce(&mut Series) -> T,
    ) -> Option<T> {
        let series = self.series.get_mut(&key)?;
        let before = series.size();
        series.seen = self.requests;
        let result = edit(series);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(series.size());
        Some(result)
    }

    pub(super) fn insert(&mut self, key: SeriesKey, start: u64, time: u64, value: PointValue) {
        let series = Series { start, time, value, seen: self.requests };
        self.bytes = self.bytes.saturating_add(series.size());
        if let Some(before) = self.series.insert(key, series) {
            self.bytes = self.bytes.saturating_sub(before.size());
        }
    }

    pub(super) fn remove(&mut self, key: SeriesKey) {
        if let Some(series) = self.series.remove(&key) {
            self.bytes = self.bytes.saturating_sub(series.size());
        }
    }

    /// Forgets series until the rest takes three quarters of what it may, if it takes more than that.
    pub(super) fn make_room(&mut self) -> usize {
        if self.bytes <= self.max_bytes {
            return 0;
        }
        let mut by_use: Vec<(u64, SeriesKey)> =
            self.series.iter().map(|(key, series)| (series.seen, *key)).collect();
        by_use.sort_unstable();
        let goal = self.max_bytes / 4 * 3;
        let mut forgotten = 0;
        for (_, key) in by_use {
            if self.bytes <= goal {
                break;
            }
            self.remove(key);
            forgotten += 1;
        }
        self.series.shrink_to_fit();
        forgotten
    }

    #[cfg(test)]
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}
