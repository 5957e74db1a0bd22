//! The last amounts of cumulative series, so that what came since is known.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// When a series began, in nanoseconds since the Unix epoch, and how much it said last.
pub(super) type LastAmount = (u64, f64);

/// The last amounts of series, by hashes of these, of a bounded number.
#[derive(Debug)]
pub(super) struct LastAmounts {
    young: HashMap<u64, LastAmount, RandomState>,
    old: HashMap<u64, LastAmount, RandomState>,
    most: usize,
    has_forgotten: bool,
}

impl LastAmounts {
    /// Of up to `most` series.
    pub(super) fn new(most: usize) -> Self {
        let (young, old) = (HashMap::default(), HashMap::default());
        Self { young, old, most, has_forgotten: false }
    }

    /// Notes what a series says, and gives what it said before.
    pub(super) fn replace(&mut self, series: u64, amount: LastAmount) -> Option<LastAmount> {
        if let Some(last) = self.young.get_mut(&series) {
            return Some(std::mem::replace(last, amount));
        }
        let known = self.old.remove(&series);
        if self.young.len() >= (self.most / 2).max(1) {
            self.has_forgotten |= !self.old.is_empty();
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(series, amount);
        known
    }

    /// Whether a series that is not known may be one that was forgotten.
    pub(super) const fn has_forgotten(&self) -> bool {
        self.has_forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_remembered_up_to_a_number() {
        let mut last = LastAmounts::new(10);
        for series in 0..5 {
            assert_eq!(last.replace(series, (1, 1.0)), None);
        }
        for series in 0..5 {
            assert_eq!(last.replace(series, (1, 2.0)), Some((1, 1.0)));
        }
        for series in 5..10 {
            last.replace(series, (1, 1.0));
        }
        assert!(!last.has_forgotten());
        assert_eq!(last.replace(0, (2, 3.0)), Some((1, 2.0)), "it is still there");
        assert!(last.has_forgotten(), "others made room");
        assert!(last.young.len() + last.old.len() <= 10);
        assert_eq!(last.replace(1, (1, 3.0)), None);
    }
}
