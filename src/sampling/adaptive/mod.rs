//! Adaptive sampling: rates per key that follow what comes, so that a goal is kept.
//!
//! Each key has a rate N, and one in N of its traces stays. Rates are made anew at each interval, of how
//! much there was of each key before. They do not depend on the randomness of the traces that they are
//! for, so that the adjusted counts of what stays add up to what came.

mod key;
mod shares;
mod tenants;

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

pub use self::key::KeyFields;
use self::shares::KeyAmount;
pub use self::shares::Shares;
pub(in crate::sampling) use self::tenants::TenantCounts;
pub use self::tenants::{NO_TENANT, OTHER_TENANTS, TenantCount, TenantShare, Tenants};
use super::policy::SpanParts;
use super::threshold::Threshold;
use crate::clock::Tick;

/// The most keys that a sampler tells apart.
pub const MAX_KEYS: usize = 10_000;
/// The most intervals that a window is long.
pub const MAX_BLOCKS: usize = 120;
/// The highest rate, which a threshold can still express.
const HIGHEST_RATE: f64 = (1_u64 << 40) as f64;
/// The key of what comes when there is no room for another key.
const OTHERS: u64 = 0;

/// What is to stay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// One in so many, on the average of all keys.
    OneIn(f64),
    /// So much per second, of all keys together.
    PerSecond(f64),
}

/// What a goal counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountUnit {
    /// Traces.
    Traces,
    /// Spans.
    Spans,
    /// Bytes of encoded spans.
    Bytes,
}

/// What rates are made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum History {
    /// The last interval.
    Last(Duration),
    /// The average of all intervals, of which later ones count more.
    Average {
        /// The interval.
        interval: Duration,
        /// The part of the last interval in the average, over 0 and below 1.
        weight: f64,
        /// A key with an average below this one is forgotten.
        age_out: f64,
        /// Rates are made at once when so many times the average of an interval came, after so many
        /// intervals.
        burst: Option<(f64, u64)>,
    },
    /// A window of so many intervals, at most [`MAX_BLOCKS`].
    Sliding(Duration, usize),
}

/// How an adaptive sampler works.
#[derive(Debug, Clone, PartialEq)]
pub struct AdaptiveConfig {
    /// What makes the key of a trace.
    pub keys: KeyFields,
    /// What is to stay.
    pub goal: Goal,
    /// What the goal counts.
    pub unit: AmountUnit,
    /// What rates are made of.
    pub history: History,
    /// How keys share the goal.
    pub shares: Shares,
    /// Whether rates are whole numbers, as Refinery has them.
    pub whole: bool,
    /// The rate while there is no history.
    pub initial: f64,
    /// How many keys are told apart, at most [`MAX_KEYS`]; those beyond share one rate.
    pub max_keys: usize,
    /// Whether the goal is one of all instances of a fleet together, of which each sees a part.
    pub of_fleet: bool,
    /// How many samplers of one instance see a part of its traces each, 1 at least: the goal is one of all of them.
    pub shards: u32,
    /// The tenants that share the goal, in the place of keys; their shares take the place of `shares`.
    pub tenants: Option<Tenants>,
}

/// How much of one key there was.
#[derive(Debug, Clone, Default)]
struct Amounts {
    /// In this interval, before any sampler.
    current: f64,
    /// What samplers before left of that.
    arrived: f64,
    /// How much of it there was before for each that was left, in the last interval with any.
    before: f64,
    /// On the average.
    average: f64,
    /// In the intervals of the window.
    blocks: Vec<f64>,
    /// 0 while it has none.
    rate: f64,
}

/// Rates per key. It takes up to about `170 + 8 * blocks` bytes for each key, and no more.
#[derive(Debug)]
pub struct AdaptiveSampler {
    config: AdaptiveConfig,
    amounts: HashMap<u64, Amounts, RandomState>,
    /// When this interval began.
    began: Option<Tick>,
    intervals: u64,
    /// The place of this interval in the window.
    block: usize,
    current_sum: f64,
    burst_at: f64,
    has_rates: bool,
    beyond: u64,
    /// How many instances the goal is for.
    fleet_size: f64,
}

impl AdaptiveSampler {
    /// A sampler that has seen nothing yet.
    #[must_use]
    pub fn new(config: AdaptiveConfig) -> Self {
        Self {
            config,
            amounts: HashMap::default(),
            began: None,
            intervals: 0,
            block: 0,
            current_sum: 0.0,
            burst_at: f64::INFINITY,
            has_rates: false,
            beyond: 0,
            fleet_size: 1.0,
        }
    }

    /// How it works.
    #[must_use]
    pub const fn config(&self) -> &AdaptiveConfig {
        &self.config
    }

    /// Says how many instances there are, which is heeded if the goal is theirs together. Rates that are there
    /// change at once.
    pub fn set_fleet_size(&mut self, size: u32) {
        let size = f64::from(size.max(1));
        if self.config.of_fleet && size != self.fleet_size {
            self.fleet_size = size;
            if self.has_rates {
                self.make_rates();
            }
        }
    }

    /// The key of a trace, and the name of its tenant if tenants share the goal.
    pub(super) fn key_of(&self, spans: &[SpanParts<'_>]) -> (u64, Option<Vec<u8>>) {
        match &self.config.tenants {
            None => (self.config.keys.hash(spans), None),
            Some(tenants) => {
                let name = tenants.name_of(spans);
                (tenants::hash_of(&name), Some(name))
            }
        }
    }

    /// How many keys are told apart now.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.amounts.len()
    }

    /// How often something came for whose key there was no room.
    #[must_use]
    pub const fn beyond(&self) -> u64 {
        self.beyond
    }

    /// The same, and counts from 0 again.
    pub(super) const fn take_beyond(&mut self) -> u64 {
        std::mem::replace(&mut self.beyond, 0)
    }

    /// Takes in that so much of a key came, and says at which threshold it stays. `before` is the adjusted
    /// count with which samplers before left it: rates are those of what there was before any of them.
    pub fn threshold(&mut self, key: u64, amount: f64, before: f64, now: Tick) -> Threshold {
        let probability = 1.0 / self.rate(key, amount, before, now).min(HIGHEST_RATE);
        Threshold::from_probability(probability).unwrap_or_default()
    }

    /// The same as a rate: one in so many stays.
    fn rate(&mut self, key: u64, amount: f64, before: f64, now: Tick) -> f64 {
        self.advance(now);
        let is_new = !self.amounts.contains_key(&key);
        let beyond = is_new && self.amounts.len() >= self.config.max_keys.min(MAX_KEYS);
        self.beyond += u64::from(beyond);
        let amounts = self.amounts.entry(if beyond { OTHERS } else { key }).or_default();
        amounts.current += amount * before;
        amounts.arrived += amount;
        self.current_sum += amount * before;
        let rate = match amounts.rate {
            _ if !self.has_rates => self.config.initial,
            0.0 => 1.0,
            rate => rate,
        };
        if let History::Average { burst: Some((_, delay)), .. } = self.config.history
            && self.current_sum >= self.burst_at
            && self.intervals >= delay
        {
            self.began = Some(now);
            self.end_interval();
            self.make_rates();
        }
        rate.max(1.0)
    }

    /// Ends the intervals that are over.
    fn advance(&mut self, now: Tick) {
        let interval = match self.config.history {
            History::Last(interval)
            | History::Sliding(interval, _)
            | History::Average { interval, .. } => interval.as_nanos().max(1),
        };
        let began = *self.began.get_or_insert(now);
        let over = now.since(began).as_nanos() / interval;
        if over == 0 {
            return;
        }
        let passed = u64::try_from(interval.saturating_mul(over)).unwrap_or(u64::MAX);
        self.began = Some(began.after(Duration::from_nanos(passed)));
        let over = u64::try_from(over).unwrap_or(u64::MAX);
        self.intervals = self.intervals.saturating_add(over);
        let steps = match self.config.history {
            // Averages do not fall while nothing comes.
            History::Average { .. } => u64::from(self.current_sum > 0.0),
            History::Last(_) => over.min(2),
            History::Sliding(_, blocks) => over.min(blocks as u64 + 1),
        };
        (0..steps).for_each(|_| self.end_interval());
        if steps > 0 {
            self.make_rates();
        }
    }

    /// Adds what came in this interval to the history, and forgets keys of which there was nothing.
    fn end_interval(&mut self) {
        let history = self.config.history;
        let block = self.block;
        self.amounts.retain(|_, amounts| {
            let current = std::mem::take(&mut amounts.current);
            let arrived = std::mem::take(&mut amounts.arrived);
            if arrived > 0.0 {
                amounts.before = (current / arrived).max(1.0);
            }
            match history {
                History::Last(_) => amounts.average = current,
                History::Average { weight, .. } => {
                    amounts.average = weight.mul_add(current, (1.0 - weight) * amounts.average);
                }
                History::Sliding(_, blocks) => {
                    amounts.blocks.resize(blocks.clamp(1, MAX_BLOCKS), 0.0);
                    if let Some(oldest) = amounts.blocks.get_mut(block) {
                        *oldest = current;
                    }
                    amounts.average = amounts.blocks.iter().sum();
                }
            }
            let least = match history {
                History::Average { age_out, .. } => age_out,
                History::Last(_) | History::Sliding(..) => f64::MIN_POSITIVE,
            };
            amounts.average >= least
        });
        if let History::Sliding(_, blocks) = history {
            self.block = (block + 1) % blocks.clamp(1, MAX_BLOCKS);
        }
        self.current_sum = 0.0;
    }

    /// Makes rates of the history. An instance of a fleet, and a shard, take it that the others see as much as they do.
    fn make_rates(&mut self) {
        let AdaptiveConfig { goal, history, shares, whole, shards, .. } = self.config;
        let fleet = self.fleet_size * f64::from(shards);
        // Refinery divides its goal instead, which is not the same where logarithms share it.
        let of_all = if whole { 1.0 } else { fleet };
        let of = |(key, amounts): (&u64, &Amounts)| {
            let all = amounts.average.max(1.0) * of_all;
            (*key, KeyAmount { all, left: all / amounts.before.max(1.0) })
        };
        let mut keyed: Vec<(u64, KeyAmount)> = self.amounts.iter().map(of).collect();
        keyed.sort_unstable_by_key(|(key, _)| *key);
        let amounts: Vec<KeyAmount> = keyed.iter().map(|(_, amount)| *amount).collect();
        let counts: Vec<f64> = amounts.iter().map(|amount| amount.all).collect();
        let sum: f64 = counts.iter().sum();
        let seconds = match history {
            History::Last(interval) | History::Average { interval, .. } => interval.as_secs_f64(),
            History::Sliding(interval, blocks) => interval.as_secs_f64() * blocks as f64,
        };
        let goal = match goal {
            Goal::OneIn(rate) => sum / rate,
            Goal::PerSecond(amount) if whole => amount / fleet * seconds,
            Goal::PerSecond(amount) => amount * seconds,
        };
        let rates = match &self.config.tenants {
            Some(tenants) => tenants.rates(&keyed, goal, seconds),
            None if whole => shares::whole(shares, &counts, goal),
            None => shares::exact(shares, &amounts, goal),
        };
        for ((key, _), rate) in keyed.iter().zip(rates) {
            if let Some(amounts) = self.amounts.get_mut(key) {
                amounts.rate = rate;
            }
        }
        if let History::Average { burst: Some((multiple, _)), .. } = history {
            self.burst_at = sum / of_all * multiple;
        }
        self.has_rates = true;
    }
}

#[cfg(test)]
mod chain;
#[cfg(test)]
mod fleet_tests;
#[cfg(test)]
mod tenants_tests;
#[cfg(test)]
mod tests;
