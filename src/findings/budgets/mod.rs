//! Budgets: what each key of a budget spent while its period rolls on, at which thresholds it is, and how fast it burns.

mod config;
mod key;
mod ring;

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_64_with_seed;

pub(super) use self::config::attributes;
pub use self::config::{BudgetConfig, BudgetUnit};
use self::key::{BudgetKey, Told, nanos};
use self::ring::Spent;
use super::config::Check;
use super::finding::{Finding, FindingKind, Ids, Subject};
use super::report::{Report, Uncounted};
use crate::codec::msgpack::{int_of, text_of};
use crate::codec::records::edit::Pairs;
use crate::codec::records::metric_writer::{
    self, MetricData, MetricHead, MetricOrigin, MetricPoint, PointValue,
};
use crate::model::Position;

/// The metric.
pub const BUDGET_METRIC: MetricHead<'static> = MetricHead {
    name: "fluentbit.ai.budget.used",
    description: "What was spent of a budget in its period, as a share of its amount. Not a metric of the semantic \
                  conventions.",
    unit: "1",
};

/// What a budget is called, as an attribute.
const NAME: &str = "fluentbit.ai.budget.name";
/// The most points of the metric: those that are used most.
const MAX_SERIES: usize = 1000;
/// The most points of one record.
const MAX_POINTS: usize = 500;
/// Which part of the keys goes to make room.
const GOES: usize = 16;
/// How many times as many combinations of values are known as there may be keys.
const COMBINATIONS: usize = 4;

/// What a call spends, each call once.
#[derive(Debug, Clone, Copy)]
pub struct ObservedSpending {
    /// Who, by [`super::Findings::spender`].
    pub spender: u64,
    /// When the call ended, in Unix nanoseconds.
    pub unix_nanos: u64,
    /// How many calls it stands for.
    pub weight: f64,
    /// What it cost in US dollars, if that is known.
    pub usd: Option<f64>,
    /// The tokens that it took in and gave out, if it says them.
    pub tokens: Option<f64>,
    /// Whether it failed.
    pub has_failed: bool,
    /// Its trace and span.
    pub ids: Option<Ids>,
}

/// Whose budgets calls with the same values of all attributes are of.
#[derive(Debug)]
struct Spender {
    keys: Vec<u64>,
    /// Budgets whose attributes are not all there.
    missing: u64,
}

/// Watches budgets.
#[derive(Debug)]
pub(super) struct BudgetWatch {
    budgets: Vec<BudgetConfig>,
    attributes: Vec<String>,
    keys: HashMap<u64, Box<BudgetKey>, RandomState>,
    spenders: HashMap<u64, Spender, RandomState>,
    max_keys: usize,
    /// When it began, in Unix nanoseconds, and whether keys went since.
    began: u64,
    has_forgotten: bool,
    metadata: Vec<u8>,
}

impl BudgetWatch {
    pub(super) fn new(
        budgets: &[BudgetConfig],
        max_keys: usize,
        position: Position,
        unix_nanos: u64,
    ) -> Self {
        let mut metadata = Vec::new();
        metric_writer::metadata(&MetricOrigin::derived(position), &mut metadata);
        Self {
            attributes: attributes(budgets),
            budgets: budgets.to_vec(),
            keys: HashMap::default(),
            spenders: HashMap::default(),
            max_keys,
            began: unix_nanos,
            has_forgotten: false,
            metadata,
        }
    }

    /// How many keys are watched.
    pub(super) fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Who spends, by the encoded values of the attributes.
    pub(super) fn spender(&mut self, values: &[&[u8]], now: u64, report: &mut Report) -> u64 {
        let hash = values.iter().fold(0, |hash, value| xxh3_64_with_seed(value, hash));
        if !self.spenders.contains_key(&hash) {
            self.add_spender(hash, values, now, report);
        }
        hash
    }

    #[cold]
    fn add_spender(&mut self, hash: u64, values: &[&[u8]], now: u64, report: &mut Report) {
        let values: Vec<Option<String>> = values.iter().map(|value| text(value)).collect();
        let (mut keys, mut taken, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..self.budgets.len() {
            let Some(budget) = self.budgets.get(index) else { break };
            if taken.contains(&budget.name) {
                continue;
            }
            let mut key = xxh3_64_with_seed(&index.to_le_bytes(), 0);
            let mut subject = Subject::default().named(NAME, &budget.name);
            let (mut has_all, mut fits) = (true, true);
            for (name, wanted) in &budget.of {
                let known = self.attributes.iter().zip(&values).find(|(it, _)| ***it == **name);
                let Some(value) = known.and_then(|(_, value)| value.as_deref()) else {
                    has_all = false;
                    continue;
                };
                fits &= wanted.as_ref().is_none_or(|wanted| **wanted == *value);
                key = xxh3_64_with_seed(value.as_bytes(), key);
                subject = subject.of_attribute(name, value);
            }
            if !fits {
                continue;
            }
            let name = budget.name.clone();
            if has_all {
                self.add_key((key, index), subject, now, report);
                keys.push(key);
                taken.push(name);
            } else if !missing.contains(&name) {
                missing.push(name);
            }
        }
        missing.retain(|name| !taken.contains(name));
        let missing = missing.len() as u64;
        if self.spenders.len() >= self.max_keys.saturating_mul(COMBINATIONS) {
            self.spenders.clear();
        }
        self.spenders.insert(hash, Spender { keys, missing });
    }

    fn add_key(&mut self, (key, index): (u64, usize), of: Subject, now: u64, report: &mut Report) {
        if self.keys.contains_key(&key) {
            return;
        }
        if self.keys.len() >= self.max_keys {
            self.make_room(report);
        }
        if let Some(budget) = self.budgets.get(index) {
            self.keys.insert(key, Box::new(BudgetKey::new(of, (index, budget), now)));
        }
    }

    /// Forgets the keys that were used least recently.
    fn make_room(&mut self, report: &mut Report) {
        let mut used: Vec<u64> = self.keys.values().map(|key| key.latest).collect();
        used.sort_unstable();
        let last = used.get(used.len() / GOES).copied().unwrap_or(0);
        let (before, mut left) = (self.keys.len(), used.len().div_ceil(GOES));
        self.keys.retain(|_, key| {
            let goes = key.latest <= last && left > 0;
            left -= usize::from(goes);
            !goes
        });
        report.note_evicted(before.saturating_sub(self.keys.len()) as u64);
        // Their combinations are looked up anew.
        self.spenders.clear();
        self.has_forgotten = true;
    }

    /// Adds what a call spends, or takes it back.
    pub(super) fn spend(
        &mut self,
        spending: &ObservedSpending,
        is_taken_back: bool,
        report: &mut Report,
    ) {
        let Some(spender) = self.spenders.get(&spending.spender) else {
            return report.note_uncounted(Uncounted::Forgotten, 1);
        };
        if !is_taken_back && spender.missing > 0 {
            report.note_uncounted(Uncounted::NoKey, spender.missing);
        }
        for key in &spender.keys {
            let Some(key) = self.keys.get_mut(key) else {
                report.note_uncounted(Uncounted::Forgotten, 1);
                continue;
            };
            let Some(budget) = self.budgets.get(key.budget) else { continue };
            let (spent, at) = (spent(budget.unit, spending), spending.unix_nanos);
            if is_taken_back {
                key.take_back(at, &spent);
                continue;
            }
            match key.add(budget, at, &spent) {
                None => report.note_uncounted(Uncounted::TooOld, 1),
                Some(news) => {
                    let since = if self.has_forgotten { key.began } else { self.began };
                    for told in news.into_iter().flatten() {
                        tell(&told, budget, (key, since), spending, report);
                    }
                }
            }
        }
    }

    /// Writes the points of the metric, and says how many records that are.
    pub(super) fn export(&self, out: &mut Vec<u8>, unix_nanos: u64) -> usize {
        let used = |key: &BudgetKey| {
            let amount = self.budgets.get(key.budget)?.amount;
            let used = key.spent(unix_nanos).amount / amount;
            // What costs nothing that is known has no share.
            (used > 0.0).then_some(used)
        };
        let all: Vec<(f64, &BudgetKey)> =
            self.keys.values().filter_map(|key| Some((used(key)?, &**key))).collect();
        // Numbers that are not negative have the order of their bits.
        let mut order: Vec<u64> = all.iter().map(|(used, _)| used.to_bits()).collect();
        order.sort_unstable();
        let least = order.len().checked_sub(MAX_SERIES).and_then(|at| order.get(at));
        let least = least.copied().unwrap_or(0);
        let shown = all.iter().filter(|(used, _)| used.to_bits() >= least).take(MAX_SERIES);
        let maps: Vec<(f64, Vec<u8>)> = shown
            .map(|(used, key)| {
                let (mut pairs, mut map) = (Pairs::new(), Vec::new());
                key.subject.pairs().for_each(|(name, text)| pairs.text(name, text));
                pairs.write_map(&mut map);
                (*used, map)
            })
            .collect();
        let points: Vec<MetricPoint<'_>> = maps
            .iter()
            .map(|(used, attributes)| MetricPoint {
                attributes,
                start_unix_nanos: 0,
                unix_nanos,
                value: PointValue::Double(*used),
                exemplars: &[],
            })
            .collect();
        for points in points.chunks(MAX_POINTS) {
            let data = MetricData::Gauge(points);
            metric_writer::metric(out, unix_nanos, &self.metadata, &BUDGET_METRIC, &data);
        }
        points.len().div_ceil(MAX_POINTS)
    }
}

/// The value of an attribute as a text; one that is neither a text nor a whole number is none.
fn text(encoded: &[u8]) -> Option<String> {
    match text_of(encoded) {
        Some(text) => Some(text).filter(|text| !text.is_empty()).map(str::to_owned),
        None => int_of(encoded).map(|number| number.to_string()),
    }
}

/// What a call spends of a budget. Beside is how many calls say nothing of it; those that failed without tokens
/// are none of these.
#[expect(clippy::cast_possible_truncation, reason = "the weight of one call")]
fn spent(unit: BudgetUnit, spending: &ObservedSpending) -> Spent {
    let amount = match unit {
        BudgetUnit::Usd => spending.usd,
        BudgetUnit::Tokens => spending.tokens,
        BudgetUnit::Calls => Some(1.0),
    };
    let calls = spending.weight as f32;
    let is_unknown = amount.is_none() && (spending.tokens.is_some() || !spending.has_failed);
    let beside = if is_unknown { calls } else { 0.0 };
    Spent { amount: amount.unwrap_or(0.0) * spending.weight, calls, beside }
}

/// A number with up to four digits after the point.
fn short(number: f64) -> String {
    let text = format!("{number:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cold]
fn tell(
    told: &Told,
    budget: &BudgetConfig,
    (key, since): (&BudgetKey, u64),
    spending: &ObservedSpending,
    report: &mut Report,
) {
    let Spent { amount: spent, calls, beside } = key.spent(key.latest);
    let (amount, unit, used) = (budget.amount, budget.unit.name(), spent / budget.amount);
    let hours = |seconds: f64| short(seconds / 3600.0);
    let period = budget.period.as_secs_f64();
    let unpriced = match budget.unit {
        BudgetUnit::Calls => f64::NAN,
        _ => f64::from(beside / calls.max(f32::MIN_POSITIVE)),
    };
    let (signal, threshold, rates, limit, windows) = match told {
        Told::Spent { threshold } => {
            let rates = [f64::NAN, key.recent_rate(budget)];
            ("spent", *threshold, rates, f64::NAN, [f64::NAN; 2])
        }
        Told::Burns { rates, limit, windows } => ("burn_rate", f64::NAN, *rates, *limit, *windows),
    };
    let [long, current] = rates;
    // When all of it is gone, if it goes on as it went of late.
    let exhausted_in = (1.0 - used).max(0.0) * period / current;
    let spent_of = format!("{} of {amount} {unit} in {} h", short(spent), hours(period));
    let mut says = match told {
        Told::Spent { threshold } => {
            format!("{spent_of} are spent, {:.0} % or more", threshold * 100.0)
        }
        Told::Burns { .. } => format!(
            "{long:.1} times what the budget allows was spent in {} h, and {current:.1} times in {} h; {spent_of}",
            hours(windows[0]),
            hours(windows[1])
        ),
    };
    if exhausted_in > 0.0 && exhausted_in.is_finite() {
        says.push_str(&format!("; at this rate all of it in {} h", hours(exhausted_in)));
    }
    let seen = key.latest.saturating_sub(since).min(nanos(budget));
    report.add(&Finding {
        check: Check::Budgets,
        kind: FindingKind::Budget,
        signal,
        subject: &key.subject,
        numbers: &[
            ("fluentbit.ai.finding.amount", amount),
            ("fluentbit.ai.finding.period", period),
            ("fluentbit.ai.finding.spent", spent),
            ("fluentbit.ai.finding.used", used),
            ("fluentbit.ai.finding.threshold", threshold),
            ("fluentbit.ai.finding.burn_rate", long),
            ("fluentbit.ai.finding.current_burn_rate", current),
            ("fluentbit.ai.finding.burn_rate_limit", limit),
            ("fluentbit.ai.finding.window", windows[0]),
            ("fluentbit.ai.finding.short_window", windows[1]),
            ("fluentbit.ai.finding.exhausted_in", exhausted_in),
            ("fluentbit.ai.finding.calls", f64::from(calls)),
            ("fluentbit.ai.finding.unpriced_share", unpriced),
            ("fluentbit.ai.finding.seconds", seen as f64 / 1e9),
        ],
        texts: &[("fluentbit.ai.finding.unit", unit)],
        says,
        span: spending.ids,
        unix_nanos: spending.unix_nanos,
    });
}

#[cfg(test)]
mod tests;
