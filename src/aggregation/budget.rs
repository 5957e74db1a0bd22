//! Budget: how many series there may be in all, and what they may take.

/// What the attributes and resources of series may take in all, for each series allowed.
const BYTES_PER_SERIES: usize = 1024;
/// What they may take at least, however few series are allowed.
const MIN_BYTES: usize = 1 << 20;
/// The share of the bytes that one set of attributes or one resource may take at most.
const ONE_SHARE: usize = 16;
/// The share of the limit beyond it that overflow series may take, which are one for each resource.
const OVERFLOW_SHARE: usize = 10;

/// What series or groups of them take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SeriesCost {
    /// Series: one of each metric and set of attributes.
    pub(super) series: usize,
    /// Bytes of attributes and resources.
    pub(super) bytes: usize,
}

impl SeriesCost {
    /// Of attributes or a resource of so many bytes.
    pub(super) const fn of_bytes(bytes: usize) -> Self {
        Self { series: 0, bytes }
    }

    pub(super) const fn add(&mut self, other: Self) {
        self.series = self.series.saturating_add(other.series);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }
}

/// What all series of an aggregator take, and what they may.
#[derive(Debug)]
pub(super) struct SeriesBudget {
    taken: SeriesCost,
    limit: SeriesCost,
}

impl SeriesBudget {
    pub(super) const fn new(max_series: usize) -> Self {
        let bytes = max_series.saturating_mul(BYTES_PER_SERIES);
        let bytes = if bytes < MIN_BYTES { MIN_BYTES } else { bytes };
        let limit = SeriesCost { series: max_series, bytes };
        Self { taken: SeriesCost { series: 0, bytes: 0 }, limit }
    }

    /// How many series there are.
    pub(super) const fn series(&self) -> usize {
        self.taken.series
    }

    /// What all of it takes.
    #[cfg(test)]
    pub(super) const fn taken(&self) -> SeriesCost {
        self.taken
    }

    /// Whether it is too much for one item or one resource.
    pub(super) const fn is_too_large(&self, cost: SeriesCost) -> bool {
        cost.bytes > self.limit.bytes / ONE_SHARE || cost.series > self.limit.series
    }

    /// Whether there is room for so much more.
    pub(super) const fn has_room(&self, cost: SeriesCost) -> bool {
        self.fits(cost, self.limit)
    }

    /// Whether there is room for so much more in overflow series.
    pub(super) const fn has_overflow_room(&self, cost: SeriesCost) -> bool {
        let SeriesCost { series, bytes: most } = self.limit;
        let series = series.saturating_add(series / OVERFLOW_SHARE);
        self.fits(cost, SeriesCost { series, bytes: most.saturating_add(most / OVERFLOW_SHARE) })
    }

    const fn fits(&self, cost: SeriesCost, limit: SeriesCost) -> bool {
        self.taken.series.saturating_add(cost.series) <= limit.series
            && self.taken.bytes.saturating_add(cost.bytes) <= limit.bytes
            && !self.is_too_large(cost)
    }

    /// Takes what is there from now on.
    pub(super) const fn take(&mut self, cost: SeriesCost) {
        self.taken.add(cost);
    }

    /// Gives back what is gone.
    pub(super) const fn give_back(&mut self, cost: SeriesCost) {
        self.taken.series = self.taken.series.saturating_sub(cost.series);
        self.taken.bytes = self.taken.bytes.saturating_sub(cost.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: series and bytes are bounded each, a tenth more of both is there for overflow series
    /// alone, and what is given back is there again.
    #[test]
    fn series_and_bytes_are_bounded() {
        const MIB: usize = 1 << 20;
        let two = |bytes| SeriesCost { series: 2, bytes };
        let mut budget = SeriesBudget::new(20);
        budget.take(SeriesCost { series: 18, bytes: MIB - 10 });
        assert!(budget.has_room(two(10)) && !budget.has_room(two(11)));
        assert!(budget.has_overflow_room(two(11)) && !budget.has_overflow_room(two(MIB / 10 + 11)));
        budget.give_back(SeriesCost { series: 0, bytes: MIB - 10 });
        assert!(budget.has_room(two(MIB / 16)) && !budget.has_room(two(MIB / 16 + 1)));
        budget.take(SeriesCost { series: 2, bytes: 0 });
        assert!(!budget.has_room(two(0)) && budget.has_overflow_room(two(0)));
        budget.take(SeriesCost { series: 1, bytes: 0 });
        assert!(!budget.has_overflow_room(two(0)));
        budget.give_back(SeriesCost { series: 3, bytes: 0 });
        assert!(budget.has_room(two(0)));
        assert_eq!(budget.series(), 18);
        assert!(SeriesBudget::new(20).is_too_large(SeriesCost { series: 21, bytes: 0 }));
    }
}
