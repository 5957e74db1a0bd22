//! Rates of head sampling by what a span shows: the first that is for it decides.
//!
//! Spans of one trace that show different things have different rates. Because the trace's randomness
//! decides about all of them, a trace stays from the likeliest of its spans on, and what is at a lower
//! rate may be missing; the threshold of each span that stays is its own.

use super::decision::{HeadDecision, decide_at};
use crate::clock::Tick;
use crate::codec::records::{Item, Telemetry};
use crate::condition::{Condition, ConditionRecord, ConditionSubject};
use crate::model::TraceId;
use crate::sampling::adaptive::{
    AdaptiveConfig, AdaptiveSampler, AmountUnit, TenantCount, TenantCounts,
};
use crate::sampling::policy::{Field, SpanParts, ValueCheck};
use crate::sampling::threshold::Threshold;
use crate::sampling::tracestate::OtState;

/// Which spans a rate is for.
#[derive(Debug)]
pub enum RateTest {
    /// All of them.
    All,
    /// Those for which the expression is true.
    Cel(Box<Condition>),
    /// Those whose field passes.
    Field(Field, ValueCheck),
}

/// How likely a span stays.
#[derive(Debug)]
pub enum RateChance {
    /// At this threshold; not at all without one.
    At(Option<Threshold>),
    /// At the rate of its key.
    Adaptive(Box<AdaptiveRate>),
}

/// An adaptive sampler, and what it decided by tenant.
#[derive(Debug)]
pub struct AdaptiveRate {
    sampler: AdaptiveSampler,
    tenants: TenantCounts,
}

impl RateChance {
    /// The rate of a key.
    #[must_use]
    pub fn adaptive(config: AdaptiveConfig) -> Self {
        let sampler = AdaptiveSampler::new(config);
        Self::Adaptive(Box::new(AdaptiveRate { sampler, tenants: TenantCounts::default() }))
    }
}

/// A rate with a name.
#[derive(Debug)]
pub struct HeadRate {
    /// The name, as counters show it.
    pub name: String,
    /// Which spans it is for.
    pub test: RateTest,
    /// How likely they stay.
    pub chance: RateChance,
}

/// What became of the spans of one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateTally {
    /// Spans that stayed.
    pub kept: u64,
    /// Spans that went.
    pub dropped: u64,
    /// Spans for which its expression had no answer, so that it was not for them.
    pub unanswered: u64,
}

/// All rates, in their order.
#[derive(Debug, Default)]
pub(super) struct HeadRates {
    list: Vec<HeadRate>,
}

/// A span of which a rate is asked.
#[derive(Clone, Copy)]
pub(super) struct RatedSpan<'r, 'a> {
    pub(super) item: &'r Item<'a>,
    pub(super) telemetry: &'r Telemetry<'a>,
    pub(super) tag: &'a [u8],
    pub(super) id: TraceId,
    /// What samplers before say of it.
    pub(super) state: OtState,
    pub(super) now: Tick,
}

impl HeadRates {
    pub(super) const fn new(list: Vec<HeadRate>) -> Self {
        Self { list }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|rate| rate.name.as_str())
    }

    pub(super) fn with_tenants(&self) -> impl Iterator<Item = &str> {
        let with = |rate: &&HeadRate| match &rate.chance {
            RateChance::Adaptive(adaptive) => adaptive.sampler.config().tenants.is_some(),
            RateChance::At(_) => false,
        };
        self.list.iter().filter(with).map(|rate| rate.name.as_str())
    }

    pub(super) fn set_fleet_size(&mut self, size: u32) {
        for rate in &mut self.list {
            if let RateChance::Adaptive(adaptive) = &mut rate.chance {
                adaptive.sampler.set_fleet_size(size);
            }
        }
    }

    /// Shows what rates decided by tenant since this was asked last, with the rate's name.
    pub(super) fn take_tenants(&mut self, show: &mut dyn FnMut(&str, &str, TenantCount)) {
        for rate in &mut self.list {
            if let RateChance::Adaptive(adaptive) = &mut rate.chance {
                adaptive.tenants.take(&mut |tenant, count| show(&rate.name, tenant, count));
            }
        }
    }

    /// The first rate that is for a span, by its index, and its threshold. What has no answer is counted.
    pub(super) fn of(
        &mut self,
        span: RatedSpan<'_, '_>,
        tallies: &mut Vec<RateTally>,
    ) -> Option<(usize, Option<Threshold>)> {
        tallies.resize(self.list.len(), RateTally::default());
        let parts = SpanParts::new(span.item.span, Some(span.telemetry));
        for (index, rate) in self.list.iter_mut().enumerate() {
            let is_for = match &rate.test {
                RateTest::All => true,
                RateTest::Field(field, check) => check.passes(field.value(&parts)),
                RateTest::Cel(condition) => {
                    let telemetry = Some(*span.telemetry);
                    let record = ConditionRecord::new(span.item.event, telemetry, span.tag);
                    let answer = condition.evaluate(&ConditionSubject::One(&record));
                    if answer.is_err()
                        && let Some(tally) = tallies.get_mut(index)
                    {
                        tally.unanswered += 1;
                    }
                    answer.unwrap_or(false)
                }
            };
            if is_for {
                return Some((index, rate.chance.threshold(&parts, span)));
            }
        }
        None
    }
}

impl RateChance {
    fn threshold(&mut self, parts: &SpanParts<'_>, span: RatedSpan<'_, '_>) -> Option<Threshold> {
        let AdaptiveRate { sampler, tenants } = match self {
            Self::At(threshold) => return *threshold,
            Self::Adaptive(adaptive) => &mut **adaptive,
        };
        let amount = match sampler.config().unit {
            AmountUnit::Traces | AmountUnit::Spans => 1.0,
            AmountUnit::Bytes => span.item.event.body.len() as f64,
        };
        let before = span.state.threshold.map_or(1.0, Threshold::adjusted_count);
        let (key, tenant) = sampler.key_of(std::slice::from_ref(parts));
        let threshold = Some(sampler.threshold(key, amount, before, span.now));
        if let Some(name) = tenant {
            let stays = decide_at(threshold, span.id, span.state) != HeadDecision::Drop;
            tenants.add(&name, sampler.config().max_keys, 1, stays);
        }
        threshold
    }
}
