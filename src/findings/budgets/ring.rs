//! Ring: sums over rolling windows by buckets, of which the oldest counts by the part that is within the window.

/// What was spent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Spent {
    /// How much.
    pub(super) amount: f64,
    /// By how many calls.
    pub(super) calls: f32,
    /// What else is added up of them.
    pub(super) beside: f32,
}

impl Spent {
    /// Adds a part of another one.
    fn add(&mut self, other: &Self, part: f64) {
        self.amount += other.amount * part;
        #[expect(clippy::cast_possible_truncation, reason = "a share")]
        let part = part as f32;
        self.calls += other.calls * part;
        self.beside += other.beside * part;
    }
}

/// The buckets of a window, and one more.
#[derive(Debug)]
pub(super) struct Ring {
    /// What a bucket is of, in nanoseconds.
    width: u64,
    /// The newest bucket: its number since the Unix epoch.
    newest: u64,
    buckets: Box<[Spent]>,
    /// The sum of all buckets.
    total: Spent,
}

impl Ring {
    /// One for a window of so many nanoseconds.
    pub(super) fn new(window: u64, buckets: usize) -> Self {
        let width = (window / u64::try_from(buckets).unwrap_or(u64::MAX).max(1)).max(1);
        let count = buckets.saturating_add(1);
        let buckets = vec![Spent::default(); count].into_boxed_slice();
        Self { width, newest: 0, buckets, total: Spent::default() }
    }

    fn index(&self, bucket: u64) -> usize {
        let count = u64::try_from(self.buckets.len()).unwrap_or(u64::MAX).max(1);
        usize::try_from(bucket % count).unwrap_or(0)
    }

    /// Whether a bucket is remembered.
    fn has(&self, bucket: u64) -> bool {
        let age = self.newest.checked_sub(bucket).and_then(|age| usize::try_from(age).ok());
        age.is_some_and(|age| age < self.buckets.len())
    }

    /// Makes room for later buckets.
    #[cold]
    fn advance(&mut self, bucket: u64) {
        let count = u64::try_from(self.buckets.len()).unwrap_or(u64::MAX);
        let oldest = bucket.saturating_add(1).saturating_sub(count);
        for empty in self.newest.saturating_add(1).max(oldest)..=bucket {
            let index = self.index(empty);
            self.buckets.get_mut(index).into_iter().for_each(|it| *it = Spent::default());
        }
        self.newest = bucket;
        // Added up anew, so that errors of rounding do not.
        self.total = Spent::default();
        self.buckets.iter().for_each(|it| self.total.add(it, 1.0));
    }

    /// Adds what was spent at a moment, unless that is too long ago.
    pub(super) fn add(&mut self, unix_nanos: u64, spent: &Spent, sign: f64) -> bool {
        let bucket = unix_nanos / self.width;
        if bucket > self.newest {
            self.advance(bucket);
        }
        if !self.has(bucket) {
            return false;
        }
        let index = self.index(bucket);
        if let Some(slot) = self.buckets.get_mut(index) {
            slot.add(spent, sign);
            self.total.add(spent, sign);
        }
        true
    }

    /// How much of the current bucket is still to come: the part of the oldest one that is within a window.
    fn left(&self, unix_nanos: u64) -> f64 {
        1.0 - (unix_nanos % self.width) as f64 / self.width as f64
    }

    /// What was spent in the last so many buckets until a moment.
    pub(super) fn sum(&self, unix_nanos: u64, buckets: u64) -> Spent {
        let now = unix_nanos / self.width;
        let mut sum = Spent::default();
        for back in 0..=buckets {
            let Some(bucket) = now.checked_sub(back).filter(|bucket| self.has(*bucket)) else {
                continue;
            };
            let part = if back == buckets { self.left(unix_nanos) } else { 1.0 };
            self.buckets.get(self.index(bucket)).into_iter().for_each(|it| sum.add(it, part));
        }
        sum
    }

    /// What was spent in the whole window until a moment.
    #[inline]
    pub(super) fn whole(&self, unix_nanos: u64) -> Spent {
        if unix_nanos / self.width != self.newest {
            return self.sum(unix_nanos, u64::try_from(self.buckets.len()).unwrap_or(1) - 1);
        }
        let mut sum = self.total;
        if let Some(oldest) = self.buckets.get(self.index(self.newest.saturating_add(1))) {
            sum.add(oldest, self.left(unix_nanos) - 1.0);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(amount: f64) -> Spent {
        Spent { amount, calls: 1.0, beside: 0.5 }
    }

    #[test]
    fn what_is_older_than_the_window_is_no_part_of_it() {
        let mut ring = Ring::new(600, 60);
        assert!(ring.add(1000, &spent(5.0), 1.0));
        assert_eq!(ring.whole(1009), spent(5.0));
        assert_eq!(ring.whole(1599).amount, 5.0);
        // The bucket leaves the window bit by bit.
        assert_eq!(ring.whole(1600).amount, 5.0);
        assert_eq!(ring.whole(1605).amount, 2.5);
        assert_eq!(ring.whole(1610), Spent::default());
        assert!(ring.add(1605, &spent(1.0), 1.0));
        assert_eq!((ring.whole(1605).amount, ring.sum(1605, 1).amount), (3.5, 1.0));
        assert_eq!(ring.sum(1615, 1).amount, 0.5);
    }

    #[test]
    fn late_ones_are_added_where_they_belong_and_taken_back_there() {
        let mut ring = Ring::new(600, 60);
        assert!(ring.add(5000, &spent(1.0), 1.0));
        assert!(ring.add(4450, &spent(2.0), 1.0));
        assert!(!ring.add(4000, &spent(4.0), 1.0), "it is no part of any window");
        assert_eq!((ring.whole(5000).amount, ring.sum(5000, 5).amount), (3.0, 1.0));
        assert!(ring.add(4450, &spent(2.0), -1.0));
        assert_eq!(ring.whole(5000), spent(1.0));
        // After a gap that is longer than the ring nothing is left.
        assert!(ring.add(1_000_000, &spent(8.0), 1.0));
        assert_eq!(ring.whole(1_000_000), spent(8.0));
    }

    #[test]
    fn the_fast_way_says_what_the_buckets_say() {
        let mut ring = Ring::new(6000, 60);
        let mut now = 12_345;
        for step in 0..2000_u64 {
            now += step * step % 171;
            ring.add(now - step % 90, &spent(f64::from(u32::try_from(step % 7).unwrap())), 1.0);
            let (fast, slow) = (ring.whole(now), ring.sum(now, 60));
            assert!((fast.amount - slow.amount).abs() < 1e-9, "{step}: {fast:?} {slow:?}");
            assert!((fast.calls - slow.calls).abs() < 1e-3);
        }
    }
}
