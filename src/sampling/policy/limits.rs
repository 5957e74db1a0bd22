//! What policies may keep still: token buckets of spans, bytes or traces per second, adaptive samplers, and what was
//! seen by those that keep what is new.

use super::facts::{KeepProbability, TraceFacts};
use super::novelty::{NoveltyConfig, Seen};
use crate::clock::Tick;
use crate::sampling::adaptive::{
    AdaptiveConfig, AdaptiveSampler, AmountUnit, TenantCount, TenantCounts,
};
use crate::sampling::threshold::Threshold;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitUnit {
    /// Spans.
    Spans,
    /// Bytes of encoded spans.
    Bytes,
    /// Traces.
    Traces,
}

/// A token bucket: it holds `burst` at most, and `rate` is added each second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// What is added each second.
    pub rate: f64,
    /// The most that there is at once, which is the largest trace that the limit ever lets through.
    pub burst: f64,
}

/// What a trace would take out of one bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Charge {
    /// The index of the limit.
    pub(super) limit: usize,
    /// How much.
    pub(super) cost: f64,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    limit: Limit,
    tokens: f64,
    filled: Tick,
}

/// What is left of all limits, which are full at first, and what adaptive samplers have seen.
#[derive(Debug, Default)]
pub struct Budgets {
    buckets: Vec<Bucket>,
    adaptive: Vec<Adaptive>,
    seen: Vec<Seen>,
    fleet_size: u32,
    now: Tick,
}

/// An adaptive sampler, and what it decided by tenant.
#[derive(Debug)]
struct Adaptive {
    sampler: AdaptiveSampler,
    tenants: TenantCounts,
}

impl Adaptive {
    fn new(config: &AdaptiveConfig) -> Self {
        let sampler = AdaptiveSampler::new(config.clone());
        Self { sampler, tenants: TenantCounts::default() }
    }
}

impl Budgets {
    /// Full buckets of these limits.
    #[must_use]
    pub fn new(limits: &[Limit]) -> Self {
        let buckets = limits.iter().map(Bucket::full).collect();
        Self { buckets, ..Self::default() }
    }

    /// The same with these adaptive samplers.
    #[must_use]
    pub fn with_adaptive(self, configs: &[AdaptiveConfig]) -> Self {
        Self { adaptive: configs.iter().map(Adaptive::new).collect(), ..self }
    }

    /// The same with what keeps what is new.
    #[must_use]
    pub fn with_novelty(self, configs: &[NoveltyConfig]) -> Self {
        Self { seen: configs.iter().cloned().map(Seen::new).collect(), ..self }
    }

    /// The adaptive sampler with this index.
    #[must_use]
    pub fn adaptive(&self, index: usize) -> Option<&AdaptiveSampler> {
        self.adaptive.get(index).map(|adaptive| &adaptive.sampler)
    }

    /// Says how many instances share the goals of a fleet.
    pub fn set_fleet_size(&mut self, size: u32) {
        self.fleet_size = size.max(1);
        self.adaptive.iter_mut().for_each(|adaptive| adaptive.sampler.set_fleet_size(size));
    }

    /// How many instances share the goals of a fleet.
    #[must_use]
    pub const fn fleet_size(&self) -> u32 {
        self.fleet_size
    }

    /// Shows what an adaptive sampler decided by tenant since this was asked last.
    pub fn take_tenants(&mut self, sampler: usize, show: &mut dyn FnMut(&str, TenantCount)) {
        if let Some(adaptive) = self.adaptive.get_mut(sampler) {
            adaptive.tenants.take(show);
        }
    }

    /// Full buckets of other limits.
    pub(super) fn renew_limits(&mut self, limits: &[Limit]) {
        self.buckets = limits.iter().map(Bucket::full).collect();
    }

    /// Other adaptive samplers, each the one with the index that is `known` or one that has seen nothing.
    pub(super) fn renew_adaptive(&mut self, configs: &[AdaptiveConfig], known: &[Option<usize>]) {
        let mut before: Vec<_> = std::mem::take(&mut self.adaptive).into_iter().map(Some).collect();
        let sampler = |(config, known): (&AdaptiveConfig, &Option<usize>)| {
            let known = known.and_then(|index| before.get_mut(index)?.take());
            known.unwrap_or_else(|| Adaptive::new(config))
        };
        self.adaptive = configs.iter().zip(known).map(sampler).collect();
    }

    /// Others that keep what is new, each with what the first of the same settings has seen.
    pub(super) fn renew_novelty(&mut self, configs: &[NoveltyConfig]) {
        let mut before = std::mem::take(&mut self.seen);
        let seen = |config: &NoveltyConfig| {
            let known = before.iter().position(|seen| seen.config() == config);
            known.map_or_else(|| Seen::new(config.clone()), |index| before.swap_remove(index))
        };
        self.seen = configs.iter().map(seen).collect();
    }

    /// Whether a trace is new to the policy with this index, which it is not any more then.
    pub(super) fn is_new(&mut self, novelty: usize, trace: &dyn TraceFacts) -> bool {
        let now = self.now;
        self.seen.get_mut(novelty).is_some_and(|seen| seen.is_new(trace.spans(), now))
    }

    /// How often an adaptive sampler had no room for a key since this was asked last.
    pub(in crate::sampling) fn take_beyond(&mut self, sampler: usize) -> u64 {
        self.adaptive.get_mut(sampler).map_or(0, |adaptive| adaptive.sampler.take_beyond())
    }

    /// How likely a trace stays by an adaptive sampler, which takes it in, and by the rest of its policy. What a
    /// sampler before left of others like it counts for all of them, so that the rate is one of what there was
    /// at first.
    pub(super) fn at_rate(
        &mut self,
        sampler: usize,
        policy: KeepProbability,
        trace: &dyn TraceFacts,
    ) -> KeepProbability {
        let now = self.now;
        let Some(Adaptive { sampler, tenants }) = self.adaptive.get_mut(sampler) else {
            return policy;
        };
        let size = trace.size();
        let amount = match sampler.config().unit {
            AmountUnit::Traces => 1.0,
            AmountUnit::Spans => size.spans as f64,
            AmountUnit::Bytes => size.bytes as f64,
        };
        let before = trace.threshold_before().map_or(1.0, Threshold::adjusted_count);
        let (key, tenant) = sampler.key_of(trace.spans());
        let threshold = sampler.threshold(key, amount, before, now);
        let probability = policy.max(KeepProbability::At(threshold));
        if let Some(name) = tenant {
            let most = sampler.config().max_keys;
            tenants.add(&name, most, size.spans, probability.stays(trace));
        }
        probability
    }

    /// Says what time it is.
    pub fn advance(&mut self, now: Tick) {
        self.now = self.now.max(now);
    }

    /// Takes all of the charges if every bucket has enough, else nothing.
    pub(super) fn take(&mut self, charges: &[Charge]) -> bool {
        let now = self.now;
        let has_room = charges.iter().all(|charge| {
            self.buckets.get_mut(charge.limit).is_some_and(|bucket| {
                bucket.fill(now);
                bucket.tokens >= charge.cost
            })
        });
        if has_room {
            for charge in charges {
                if let Some(bucket) = self.buckets.get_mut(charge.limit) {
                    bucket.tokens -= charge.cost;
                }
            }
        }
        has_room
    }
}

impl Bucket {
    const fn full(limit: &Limit) -> Self {
        Self { limit: *limit, tokens: limit.burst, filled: Tick(0) }
    }

    fn fill(&mut self, now: Tick) {
        let seconds = now.since(self.filled).as_secs_f64();
        self.tokens = seconds.mul_add(self.limit.rate, self.tokens).min(self.limit.burst);
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(budgets: &mut Budgets, millis: u64, cost: f64) -> bool {
        budgets.advance(Tick(millis * 1_000_000));
        budgets.take(&[Charge { limit: 0, cost }])
    }

    /// The figures are those of the Collector's tests of `rate_limiting` and `bytes_limiting`.
    #[test]
    fn a_bucket_is_full_at_first_and_fills_at_its_rate() {
        for (rate, burst, takes) in [
            (3.0, 3.0, vec![(0, 3.0, true), (0, 1.0, false)]),
            (3.0, 2.0, vec![(0, 3.0, false), (5000, 3.0, false), (5000, 2.0, true)]),
            (2.0, 4.0, [[(0, 1.0, true)].repeat(4), vec![(0, 1.0, false)]].concat()),
            (4.0, 2.0, vec![(0, 2.0, true), (0, 2.0, false), (600, 2.0, true)]),
            (50.0, 200.0, vec![(0, 100.0, true), (0, 100.0, true), (0, 100.0, false)]),
            (100.0, 99.0, vec![(0, 100.0, false)]),
            (200.0, 100.0, vec![(0, 100.0, true), (0, 100.0, false), (600, 100.0, true)]),
            (0.0, 0.0, vec![(0, 1.0, false), (100_000, 1.0, false)]),
        ] {
            let mut budgets = Budgets::new(&[Limit { rate, burst }]);
            for (index, (millis, cost, took)) in takes.into_iter().enumerate() {
                assert_eq!(at(&mut budgets, millis, cost), took, "{rate} {burst}: {index}");
            }
        }
    }

    #[test]
    fn charges_are_taken_together_or_not_at_all() {
        let limit = |burst| Limit { rate: 1.0, burst };
        let mut budgets = Budgets::new(&[limit(10.0), limit(1.0)]);
        let both = |cost| [Charge { limit: 0, cost }, Charge { limit: 1, cost }];
        assert!(!budgets.take(&both(2.0)));
        assert!(at(&mut budgets, 0, 10.0), "nothing was taken");
        assert!(!budgets.take(&[Charge { limit: 2, cost: 0.0 }]), "there is no such limit");
        budgets.advance(Tick(0));
        assert!(!budgets.take(&both(1.0)), "time does not go back");
    }
}
