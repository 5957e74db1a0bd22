//! One budget of one key: what was spent of it, and what was told.

use super::config::BudgetConfig;
use super::ring::{Ring, Spent};
use crate::findings::finding::Subject;

/// Buckets of a period.
const BUCKETS: usize = 60;
/// The least window of burn rates is such a part of a period: five minutes of 30 days.
const PARTS: u64 = 8640;
/// What was told is told again once it fell below this part of its limit.
const AGAIN: f64 = 0.9;
/// How many calls of the same size what is spent has to be like: by Kish, the square of a sum by the sum of squares. A few
/// large calls are no rate.
const LEAST_CALLS: f64 = 10.0;

/// Two windows in which a budget burns so many times as fast as it may: Site Reliability Workbook, chapter 5,
/// "Multiwindow, Multi-Burn-Rate Alerts". Windows are in parts of the period.
#[derive(Debug, Clone, Copy, PartialEq)]
struct BurnLimit {
    rate: f64,
    long: u64,
    short: u64,
}

/// Of 30 days: an hour and five minutes, six hours and half an hour.
const LIMITS: [BurnLimit; 2] =
    [BurnLimit { rate: 14.4, long: 12, short: 1 }, BurnLimit { rate: 6.0, long: 72, short: 6 }];

/// What is to be told of a key.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Told {
    /// A threshold was reached.
    Spent {
        /// Which part of the amount it is.
        threshold: f64,
    },
    /// It burns too fast.
    Burns {
        /// How many times as fast as it may, in the long window and in the short one.
        rates: [f64; 2],
        /// From how many times on it is told.
        limit: f64,
        /// The lengths of the windows, in seconds.
        windows: [f64; 2],
    },
}

/// What was spent of one budget by one key.
#[derive(Debug)]
pub(super) struct BudgetKey {
    pub(super) subject: Subject,
    /// Which budget it is of.
    pub(super) budget: usize,
    /// When it was first seen, and the last moment that was seen of it, in Unix nanoseconds.
    pub(super) began: u64,
    pub(super) latest: u64,
    whole: Ring,
    /// The same for the windows of burn rates, where the squares are added up beside.
    recent: Ring,
    /// Bits of the thresholds that were told, and of the burn limits.
    told: u8,
    burns: u8,
}

/// The length of a period in nanoseconds.
pub(super) fn nanos(budget: &BudgetConfig) -> u64 {
    u64::try_from(budget.period.as_nanos()).unwrap_or(u64::MAX)
}

impl BudgetKey {
    pub(super) fn new(subject: Subject, budget: (usize, &BudgetConfig), unix_nanos: u64) -> Self {
        let (index, period) = (budget.0, nanos(budget.1));
        let longest = LIMITS.iter().map(|limit| limit.long).max().unwrap_or(1);
        Self {
            subject,
            budget: index,
            began: unix_nanos,
            latest: unix_nanos,
            whole: Ring::new(period, BUCKETS),
            recent: Ring::new(
                period / PARTS * longest,
                usize::try_from(longest).unwrap_or(usize::MAX),
            ),
            told: 0,
            burns: 0,
        }
    }

    /// What was spent in the period until a moment.
    pub(super) fn spent(&self, unix_nanos: u64) -> Spent {
        self.whole.whole(unix_nanos.max(self.latest))
    }

    /// How many times as fast as it may it burnt lately, in the long window of the last limit.
    pub(super) fn recent_rate(&self, budget: &BudgetConfig) -> f64 {
        let long = LIMITS.last().map_or(1, |limit| limit.long);
        rate(self.recent.whole(self.latest).amount, budget, long)
    }

    /// Takes back what was spent at a moment.
    pub(super) fn take_back(&mut self, unix_nanos: u64, spent: &Spent) {
        self.whole.add(unix_nanos, spent, -1.0);
        self.recent.add(unix_nanos, &of_rate(spent), -1.0);
    }

    /// Adds what was spent at a moment, and says what is to be told of that; `None` where the moment is too long ago.
    pub(super) fn add(
        &mut self,
        budget: &BudgetConfig,
        unix_nanos: u64,
        spent: &Spent,
    ) -> Option<[Option<Told>; 2]> {
        self.latest = self.latest.max(unix_nanos);
        self.forget(budget);
        if !self.whole.add(unix_nanos, spent, 1.0) {
            return None;
        }
        self.recent.add(unix_nanos, &of_rate(spent), 1.0);
        Some([self.reached(budget), self.burning(budget)])
    }

    /// What fell below its limit may be told again.
    #[inline]
    fn forget(&mut self, budget: &BudgetConfig) {
        if self.told != 0 {
            let used = self.whole.whole(self.latest).amount / budget.amount;
            for (bit, threshold) in bits().zip(&budget.thresholds) {
                if used < threshold * AGAIN {
                    self.told &= !bit;
                }
            }
        }
        if self.burns != 0 {
            for (bit, limit) in bits().zip(&LIMITS) {
                let spent = self.recent.sum(self.latest, limit.long);
                if rate(spent.amount, budget, limit.long) < limit.rate * AGAIN {
                    self.burns &= !bit;
                }
            }
        }
    }

    /// The highest threshold that was reached and not told yet.
    fn reached(&mut self, budget: &BudgetConfig) -> Option<Told> {
        let used = self.whole.whole(self.latest).amount / budget.amount;
        let mut news = None;
        for (bit, threshold) in bits().zip(&budget.thresholds) {
            if used >= *threshold && self.told & bit == 0 {
                self.told |= bit;
                news = Some(Told::Spent { threshold: *threshold });
            }
        }
        news
    }

    /// The burn limit that was passed and not told yet.
    fn burning(&mut self, budget: &BudgetConfig) -> Option<Told> {
        // Less than the least limit allows in the longest window is no more in a shorter one.
        let least = LIMITS.iter().map(|limit| limit.rate * share(limit.long)).reduce(f64::min);
        if self.recent.whole(self.latest).amount < least.unwrap_or(0.0) * budget.amount {
            return None;
        }
        for (bit, limit) in bits().zip(&LIMITS) {
            // Who was told of the faster one knows of the slower one.
            if self.burns & bit != 0 {
                return None;
            }
            let windows = [limit.long, limit.short];
            let [long, short] = windows.map(|window| self.recent.sum(self.latest, window));
            let rates =
                [rate(long.amount, budget, limit.long), rate(short.amount, budget, limit.short)];
            let is_rate = long.amount * long.amount >= LEAST_CALLS * f64::from(long.beside);
            if is_rate && rates.iter().all(|rate| *rate >= limit.rate) {
                self.burns |= bit;
                let seconds = windows.map(|window| budget.period.as_secs_f64() * share(window));
                return Some(Told::Burns { rates, limit: limit.rate, windows: seconds });
            }
        }
        None
    }
}

/// One bit after the other.
fn bits() -> impl Iterator<Item = u8> {
    (0..u8::BITS).map(|bit| 1 << bit)
}

/// Which part of a period a window is.
fn share(window: u64) -> f64 {
    window as f64 / PARTS as f64
}

/// How many times as fast as it may a budget burns of which so much was spent in a window.
fn rate(spent: f64, budget: &BudgetConfig, window: u64) -> f64 {
    spent / (budget.amount * share(window))
}

/// The same with the square beside.
#[expect(clippy::cast_possible_truncation, reason = "its digits do not matter")]
fn of_rate(spent: &Spent) -> Spent {
    Spent { beside: (spent.amount * spent.amount) as f32, ..*spent }
}
