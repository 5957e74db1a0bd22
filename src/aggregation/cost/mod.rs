//! What model calls cost: as their spans report it, else by their tokens and a price, else unknown.
//!
//! Amounts are whole picodollars, so what is taken back leaves nothing behind, and sums are exact.

use std::sync::Arc;

use super::export_mode::ExportMode;
use super::number::{amount, take, whole};
use crate::codec::msgpack::{Reader, Token, text_of};
use crate::pricing::{ModelPrice, PriceTable, UsedTokens, from_usd, to_usd};

/// Picodollars in a millionth of a US dollar.
const MICRODOLLAR: i128 = 1_000_000;

/// Where the cost of a call is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CostSource {
    /// The span says it.
    Reported,
    /// Its tokens and the price of its model.
    Computed,
    /// Nothing says it.
    Unpriced,
}

impl CostSource {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reported, Self::Computed, Self::Unpriced];

    /// Its name as the value of an attribute.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Computed => "computed",
            Self::Unpriced => "unpriced",
        }
    }

    /// How many series it makes: of the calls, and of the amount where there is one.
    const fn series(self) -> usize {
        match self {
            Self::Reported | Self::Computed => 2,
            Self::Unpriced => 1,
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Reported => 0,
            Self::Computed => 1,
            Self::Unpriced => 2,
        }
    }
}

/// What a span says of a call's cost: encoded values, empty for what is missing, and its tokens.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PricedCall<'a> {
    pub(super) provider: &'a [u8],
    pub(super) response_model: &'a [u8],
    pub(super) request_model: &'a [u8],
    /// The service tier.
    pub(super) tier: &'a [u8],
    /// The reported cost: a number, a text or a JSON object.
    pub(super) cost: &'a [u8],
    /// Its currency.
    pub(super) currency: &'a [u8],
    pub(super) used: UsedTokens,
}

/// What a call cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallCost {
    source: CostSource,
    picodollars: u64,
}

/// What calls cost so far, in the order of [`CostSource::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CostTally {
    /// Calls, each once, adjusted for sampling.
    pub calls: [u64; 3],
    /// What they cost, in millionths of a US dollar.
    pub microdollars: [u64; 3],
}

/// The prices that calls are reckoned by, if costs are asked for.
#[derive(Debug)]
pub(super) struct Pricing(Option<CurrentPrices>);

/// The prices of now.
#[derive(Debug)]
pub(super) struct CurrentPrices {
    prices: Arc<PriceTable>,
    /// Which prices they are: they may be replaced.
    generation: u64,
}

/// The price of the calls of one series, looked up once for each generation of prices.
#[derive(Debug, Default)]
struct KnownPrice {
    generation: u64,
    price: Option<Arc<ModelPrice>>,
}

/// What the calls of one series cost.
#[derive(Debug, Default)]
pub(super) struct CallCosts {
    price: KnownPrice,
    amounts: [ExactSum; 3],
    calls: [CallCount; 3],
    /// Of which of them there were calls.
    begun: [bool; 3],
}

/// How many calls there were, adjusted for sampling, and how many of them were exported.
#[derive(Debug, Clone, Copy, Default)]
struct CallCount {
    sum: f64,
    exported: u64,
}

/// A sum of picodollars, and what of it was exported.
#[derive(Debug, Clone, Copy, Default)]
struct ExactSum {
    sum: i128,
    exported: i128,
}

impl Pricing {
    pub(super) fn new(prices: Option<Arc<PriceTable>>) -> Self {
        Self(prices.map(|prices| CurrentPrices { prices, generation: 1 }))
    }

    /// The prices of now, if costs are asked for.
    pub(super) const fn prices(&self) -> Option<&CurrentPrices> {
        self.0.as_ref()
    }

    /// Takes other prices for the calls to come.
    pub(super) fn replace(&mut self, prices: PriceTable) {
        let before = self.0.as_ref().map_or(0, |current| current.generation);
        let generation = before.saturating_add(1);
        self.0 = Some(CurrentPrices { prices: Arc::new(prices), generation });
    }
}

impl CurrentPrices {
    /// What a call cost. `series` is that of its provider and models; without one its price is looked up.
    pub(super) fn cost(&self, call: &PricedCall<'_>, series: Option<&mut CallCosts>) -> CallCost {
        if let Some(picodollars) = reported(call) {
            return CallCost { source: CostSource::Reported, picodollars };
        }
        let tier = text_of(call.tier).unwrap_or_default();
        let cost_by = |price: &Option<Arc<ModelPrice>>| price.as_ref()?.cost(tier, &call.used);
        let computed = match series {
            Some(CallCosts { price: known, .. }) => {
                if known.generation != self.generation {
                    let price = find(&self.prices, call);
                    *known = KnownPrice { generation: self.generation, price };
                }
                cost_by(&known.price)
            }
            None => cost_by(&find(&self.prices, call)),
        };
        match computed {
            Some(picodollars) => CallCost { source: CostSource::Computed, picodollars },
            None => CallCost { source: CostSource::Unpriced, picodollars: 0 },
        }
    }
}

fn find(prices: &PriceTable, call: &PricedCall<'_>) -> Option<Arc<ModelPrice>> {
    let text = |encoded| text_of(encoded).unwrap_or_default();
    let models = [text(call.response_model), text(call.request_model)];
    prices.find(text(call.provider), &models).map(Arc::clone)
}

/// What a span reports in US dollars. Zero is no report: gateways say it of models whose price they do
/// not know.
fn reported(call: &PricedCall<'_>) -> Option<u64> {
    if call.cost.is_empty() || text_of(call.currency).is_some_and(|currency| currency != "USD") {
        return None;
    }
    let picodollars = match Reader::new(call.cost).token().ok()? {
        Token::Str(text) => from_usd(in_text(std::str::from_utf8(text).ok()?)?)?,
        _ => from_usd(amount(call.cost)?)?,
    };
    (picodollars > 0).then_some(picodollars)
}

/// The number of a text, or the total of a JSON object.
fn in_text(text: &str) -> Option<f64> {
    if !text.trim_start().starts_with('{') {
        return text.trim().parse().ok();
    }
    let costs: serde_json::Value = serde_json::from_str(text).ok()?;
    ["total", "total_cost"].iter().find_map(|key| costs.get(key)?.as_f64())
}

impl CallCost {
    /// The amount in US dollars, if it is known.
    pub(super) fn usd(self) -> Option<f64> {
        (self.source != CostSource::Unpriced).then(|| to_usd(self.picodollars.into()))
    }

    /// What the calls that this one stands for cost together.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the cast saturates, and the number is whole"
    )]
    fn weighted(self, weight: f64) -> i128 {
        if weight.to_bits() == 1.0_f64.to_bits() {
            return i128::from(self.picodollars);
        }
        (self.picodollars as f64 * weight).round() as i128
    }
}

impl CallCosts {
    /// How many series a call may begin at most.
    pub(super) const MOST: usize = 2;

    /// Counts a call, and says how many series that began.
    pub(super) fn add(&mut self, cost: CallCost, weight: f64) -> usize {
        let index = cost.source.index();
        if let (Some(amount), Some(calls)) =
            (self.amounts.get_mut(index), self.calls.get_mut(index))
        {
            amount.sum = amount.sum.saturating_add(cost.weighted(weight));
            calls.sum += weight;
        }
        match self.begun.get_mut(index) {
            Some(begun) if !*begun => {
                *begun = true;
                cost.source.series()
            }
            _ => 0,
        }
    }

    /// How many series there are.
    pub(super) fn series(&self) -> usize {
        let begun = CostSource::ALL.iter().zip(self.begun).filter(|(_, begun)| *begun);
        begun.map(|(source, _)| source.series()).sum()
    }

    /// Takes a call back.
    pub(super) fn take_back(&mut self, cost: CallCost, weight: f64) {
        let index = cost.source.index();
        if let (Some(amount), Some(calls)) =
            (self.amounts.get_mut(index), self.calls.get_mut(index))
        {
            amount.sum = amount.sum.saturating_sub(cost.weighted(weight));
            calls.sum -= weight;
        }
    }

    /// What calls cost in US dollars, in the order of [`CostSource::ALL`], where there is anything to say.
    pub(super) fn amounts(&mut self, mode: ExportMode) -> [Option<f64>; 3] {
        self.amounts.each_mut().map(|amount| amount.export(mode))
    }

    /// How many calls there were, likewise.
    pub(super) fn calls(&mut self, mode: ExportMode) -> [Option<u64>; 3] {
        self.calls.each_mut().map(|calls| calls.export(mode))
    }
}

impl ExactSum {
    fn export(&mut self, mode: ExportMode) -> Option<f64> {
        let picodollars = match mode {
            ExportMode::Cumulative { .. } => {
                self.exported = self.exported.max(self.sum);
                self.exported
            }
            ExportMode::Delta { .. } => {
                // What was taken back and is not made up for yet stays as a debt.
                let due = self.sum.max(0);
                self.sum = self.sum.saturating_sub(due);
                self.exported = self.exported.saturating_add(due);
                due
            }
            ExportMode::Page => self.exported,
        };
        (picodollars > 0).then(|| to_usd(picodollars))
    }
}

impl CallCount {
    fn export(&mut self, mode: ExportMode) -> Option<u64> {
        let calls = take(mode, &mut self.sum, &mut self.exported);
        (calls > 0).then_some(calls)
    }
}

/// Sums that may still fall, shown as counters that do not.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CostTotals {
    calls: [f64; 3],
    picodollars: [i128; 3],
}

impl CostTotals {
    /// Counts a call, or takes it back where `sign` is -1.
    pub(super) fn add(&mut self, cost: Option<CallCost>, weight: f64, sign: i8) {
        let Some(cost) = cost else { return };
        let index = cost.source.index();
        if let (Some(calls), Some(sum)) =
            (self.calls.get_mut(index), self.picodollars.get_mut(index))
        {
            *calls += weight * f64::from(sign);
            let amount = cost.weighted(weight).saturating_mul(i128::from(sign));
            *sum = sum.saturating_add(amount);
        }
    }

    pub(super) fn show(&self, tally: &mut CostTally) {
        for (shown, calls) in tally.calls.iter_mut().zip(self.calls) {
            *shown = whole(calls).max(*shown);
        }
        for (shown, sum) in tally.microdollars.iter_mut().zip(self.picodollars) {
            *shown = u64::try_from(sum / MICRODOLLAR).unwrap_or(0).max(*shown);
        }
    }
}

#[cfg(test)]
mod tests;
