//! Share detector: a CUSUM of log likelihood ratios (Page 1954, Lorden 1971) over outcomes that are bad or not,
//! against a baseline that follows.
//!
//! Where the share is the usual one, the mean number of outcomes between two findings is at least
//! e^[`LIMIT`].

/// Outcomes that are learned from before anything is found.
pub(super) const LEARNED: u32 = 200;
/// How much has to add up, as a natural logarithm.
const LIMIT: f32 = 18.0;
/// Bad outcomes that a finding is of at least.
const LEAST_BAD: u32 = 5;
/// How fast the baseline follows, in seconds and in outcomes.
const FOLLOWS_SECONDS: f32 = 3600.0;
const FOLLOWS_OUTCOMES: f32 = 500.0;

/// A share that grew.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ShareChange {
    /// What was usual.
    pub(super) from: f32,
    /// What is seen since the change.
    pub(super) to: f32,
    /// How many outcomes that is of.
    pub(super) values: u32,
}

/// Watches the share of bad outcomes.
#[derive(Debug, Clone, Copy)]
pub(super) struct ShareDetector {
    /// Of the block that is open.
    bad: u32,
    count: u32,
    learned: u32,
    share: f32,
    /// What an outcome adds, by whether it is bad.
    bad_adds: f32,
    good_adds: f32,
    sum: f32,
    since: u32,
    bad_since: u32,
}

impl Default for ShareDetector {
    fn default() -> Self {
        let mut new = Self {
            bad: 0,
            count: 0,
            learned: 0,
            share: 0.0,
            bad_adds: 0.0,
            good_adds: 0.0,
            sum: 0.0,
            since: 0,
            bad_since: 0,
        };
        new.weigh();
        new
    }
}

impl ShareDetector {
    /// Adds an outcome, and says what changed.
    #[inline]
    pub(super) fn add(&mut self, is_bad: bool) -> Option<ShareChange> {
        self.count = self.count.saturating_add(1);
        self.bad = self.bad.saturating_add(u32::from(is_bad));
        if self.learned < LEARNED {
            return None;
        }
        self.sum += if is_bad { self.bad_adds } else { self.good_adds };
        if self.sum <= 0.0 {
            (self.sum, self.since, self.bad_since) = (0.0, 0, 0);
            return None;
        }
        self.since = self.since.saturating_add(1);
        self.bad_since = self.bad_since.saturating_add(u32::from(is_bad));
        if self.sum > LIMIT && self.bad_since >= LEAST_BAD { Some(self.change()) } else { None }
    }

    #[cold]
    fn change(&mut self) -> ShareChange {
        let to = self.bad_since as f32 / self.since.max(1) as f32;
        let change = ShareChange { from: self.share, to, values: self.since };
        self.share = to;
        (self.sum, self.since, self.bad_since) = (0.0, 0, 0);
        (self.bad, self.count) = (0, 0);
        self.weigh();
        change
    }

    /// Ends a block that took so many seconds.
    pub(super) fn close(&mut self, seconds: f32) {
        let count = self.count as f32;
        if self.count == 0 {
            return;
        }
        let share = self.bad as f32 / count;
        let known = self.learned as f32;
        let weight = if self.learned < LEARNED {
            count / (known + count)
        } else {
            let weight = (seconds / FOLLOWS_SECONDS).min(count / FOLLOWS_OUTCOMES).min(0.25);
            // What got better is usual sooner, so that the next change is seen.
            if share * 2.0 < self.share { (weight * 4.0).min(0.5) } else { weight }
        };
        self.share += weight * (share - self.share);
        self.learned = self.learned.saturating_add(self.count);
        (self.bad, self.count) = (0, 0);
        self.weigh();
    }

    /// Reckons what outcomes add. The usual share is taken a little higher than it was seen, as it is not known
    /// better; what counts as a change is three times that, and a tenth more at least.
    fn weigh(&mut self) {
        let usual = (self.share * 1.25 + 0.005).min(0.8);
        let changed = (usual * 3.0).max(usual + 0.1).min(0.95);
        self.bad_adds = (changed / usual).ln();
        self.good_adds = ((1.0 - changed) / (1.0 - usual)).ln();
    }
}
