//! Model table: how much each model is used, how often it fails and how long it takes, for a person who looks.
//!
//! It is kept beside the metrics where a status page asks for it, because metrics begin anew, expire and may be
//! deltas: the table counts from its start, and its quantiles are those of the last minutes.

use std::time::Duration;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::attribute::Attribute;
use super::measured::MeasuredSpan;
use super::number::whole;
use super::usage::{ModelIndex, TokenCounts};
use crate::clock::Tick;
use crate::codec::msgpack::text_of;

/// Models that have a row of their own; the others share one.
const MOST: usize = 100;
/// Bytes of a name that are kept.
const MAX_NAME: usize = 128;
/// How long durations are collected; quantiles are of the last one to two times that.
const WINDOW: Duration = Duration::from_secs(300);
/// Buckets of durations for each power of two: a quantile is at most 4.5% off.
const STEPS: f64 = 8.0;
/// The power of two below which all durations are one: a thousandth of a second.
const LOWEST: f64 = -10.0;
/// To four hours.
const BUCKETS: usize = 192;
/// The row of models that have none of their own.
const OTHER: &str = "other models";

/// How a model was used since the table began.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelUse {
    /// Who serves it; empty where calls do not say.
    pub provider: String,
    /// The model that was asked for, or else the one that answered.
    pub model: String,
    /// Operations that called it, adjusted for sampling.
    pub requests: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// Tokens taken in, each call once.
    pub input_tokens: u64,
    /// Tokens given out, each call once.
    pub output_tokens: u64,
    /// What the calls cost in US dollars, as far as that is known.
    pub cost_usd: f64,
    /// The median duration of the last minutes, in seconds.
    pub p50: Option<f64>,
    /// The 99th percentile of it.
    pub p99: Option<f64>,
}

/// The table.
#[derive(Debug, Default)]
pub(super) struct ModelTable {
    /// Hashes of provider and model, in the order of the rows.
    keys: Vec<u64>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    provider: String,
    model: String,
    requests: f64,
    errors: f64,
    input: f64,
    output: f64,
    cost: f64,
    durations: RecentDurations,
}

/// Durations of this window and of the one before.
#[derive(Debug)]
struct RecentDurations {
    since: Tick,
    now: Box<[f32; BUCKETS]>,
    before: Box<[f32; BUCKETS]>,
}

impl ModelTable {
    /// Counts an operation that calls a model, and says where.
    pub(super) fn call(&mut self, measured: &MeasuredSpan<'_, '_>, now: Tick) -> ModelIndex {
        let index = self.index(measured, now);
        if let Some(row) = self.row(index) {
            row.requests += measured.weight;
            if has_failed(measured) {
                row.errors += measured.weight;
            }
            if let Some(seconds) = measured.seconds() {
                row.durations.add(seconds, measured.weight, now);
            }
        }
        index
    }

    /// Takes an operation back that another item tells of, too.
    pub(super) fn take_back_call(&mut self, index: ModelIndex, failed: bool) {
        if let Some(row) = self.row(index) {
            row.requests -= 1.0;
            row.errors -= f64::from(u8::from(failed));
        }
    }

    /// Counts the tokens of a call.
    pub(super) fn count(&mut self, counts: &TokenCounts) {
        self.add(counts, counts.weight);
    }

    /// Takes the tokens of a call back.
    pub(super) fn take_back(&mut self, counts: &TokenCounts) {
        self.add(counts, -counts.weight);
    }

    fn add(&mut self, counts: &TokenCounts, weight: f64) {
        let Some(row) = self.row(counts.model) else { return };
        row.input += counts.tokens.input().unwrap_or(0.0) * weight;
        row.output += counts.tokens.output().unwrap_or(0.0) * weight;
        row.cost += counts.cost.and_then(|cost| cost.usd()).unwrap_or(0.0) * weight;
    }

    fn row(&mut self, index: ModelIndex) -> Option<&mut Row> {
        self.rows.get_mut(usize::from(index.0))
    }

    /// The row of an item's model, made if it is not there.
    pub(super) fn index(&mut self, measured: &MeasuredSpan<'_, '_>, now: Tick) -> ModelIndex {
        let provider = measured.dimension(Attribute::Provider);
        let model = match measured.fields.get(Attribute::RequestModel) {
            [] => measured.fields.get(Attribute::ResponseModel),
            model => model,
        };
        let key = xxh3_64_with_seed(model, xxh3_64(provider));
        let known = self.keys.iter().position(|known| *known == key);
        let index = known.unwrap_or_else(|| self.add_row(key, provider, model, now));
        ModelIndex(u16::try_from(index).unwrap_or(u16::MAX))
    }

    #[cold]
    fn add_row(&mut self, key: u64, provider: &[u8], model: &[u8], now: Tick) -> usize {
        if self.keys.len() > MOST {
            return MOST;
        }
        let (provider, model) = match self.keys.len() {
            MOST => (String::new(), OTHER.to_owned()),
            _ => (name(provider), name(model)),
        };
        self.keys.push(key);
        self.rows.push(Row {
            provider,
            model,
            requests: 0.0,
            errors: 0.0,
            input: 0.0,
            output: 0.0,
            cost: 0.0,
            durations: RecentDurations::new(now),
        });
        self.rows.len().saturating_sub(1)
    }

    /// The rows, the most used first.
    pub(super) fn uses(&mut self, now: Tick) -> Vec<ModelUse> {
        let mut uses: Vec<ModelUse> = self.rows.iter_mut().map(|row| row.of_now(now)).collect();
        uses.sort_unstable_by(|left, right| {
            (right.requests, &left.model).cmp(&(left.requests, &right.model))
        });
        uses
    }
}

impl Row {
    fn of_now(&mut self, now: Tick) -> ModelUse {
        self.durations.turn(now);
        ModelUse {
            provider: self.provider.clone(),
            model: self.model.clone(),
            requests: whole(self.requests),
            errors: whole(self.errors),
            input_tokens: whole(self.input),
            output_tokens: whole(self.output),
            cost_usd: self.cost.max(0.0),
            p50: self.durations.quantile(0.5),
            p99: self.durations.quantile(0.99),
        }
    }
}

impl RecentDurations {
    fn new(now: Tick) -> Self {
        Self { since: now, now: Box::new([0.0; BUCKETS]), before: Box::new([0.0; BUCKETS]) }
    }

    /// Begins another window, if this one is over.
    fn turn(&mut self, now: Tick) {
        let age = now.since(self.since);
        if age < WINDOW {
            return;
        }
        std::mem::swap(&mut self.now, &mut self.before);
        self.now.fill(0.0);
        if age >= WINDOW.saturating_mul(2) {
            self.before.fill(0.0);
        }
        self.since = now;
    }

    fn add(&mut self, seconds: f64, weight: f64, now: Tick) {
        self.turn(now);
        let step = ((seconds.max(f64::MIN_POSITIVE).log2() - LOWEST) * STEPS).max(0.0);
        let bucket = usize::try_from(whole(step.floor())).unwrap_or(BUCKETS).min(BUCKETS - 1);
        if let Some(count) = self.now.get_mut(bucket) {
            #[expect(clippy::cast_possible_truncation, reason = "the weight of one call of some")]
            let weight = weight as f32;
            *count += weight;
        }
    }

    fn quantile(&self, part: f64) -> Option<f64> {
        let counts =
            || self.now.iter().zip(self.before.iter()).map(|(now, old)| f64::from(now + old));
        let total: f64 = counts().sum();
        if total <= 0.0 {
            return None;
        }
        let mut left = total * part;
        let bucket = counts().position(|count| {
            left -= count;
            left <= 0.0
        });
        let bucket = u32::try_from(bucket.unwrap_or(BUCKETS - 1)).unwrap_or(0);
        Some(((f64::from(bucket) + 0.5) / STEPS + LOWEST).exp2())
    }
}

/// Whether an operation failed.
pub(super) fn has_failed(measured: &MeasuredSpan<'_, '_>) -> bool {
    !measured.fields.error(measured.status).is_empty()
}

fn name(value: &[u8]) -> String {
    let text = text_of(value).unwrap_or_default();
    text.get(..text.floor_char_boundary(MAX_NAME)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_near_and_of_the_last_minutes() {
        let mut durations = RecentDurations::new(Tick(0));
        assert_eq!(durations.quantile(0.5), None);
        for step in 1..=1000_u32 {
            durations.add(f64::from(step) / 100.0, 1.0, Tick(1));
        }
        let near = |found: Option<f64>, right: f64| {
            let found = found.unwrap();
            assert!((found / right - 1.0).abs() < 0.06, "{found} {right}");
        };
        near(durations.quantile(0.5), 5.0);
        near(durations.quantile(0.99), 9.9);
        // Slower from now on: the old ones go after two windows at the latest.
        let later = Tick(0).after(WINDOW);
        durations.add(100.0, 3000.0, later);
        near(durations.quantile(0.5), 100.0);
        near(durations.quantile(0.1), 4.0);
        durations.turn(later.after(WINDOW));
        near(durations.quantile(0.01), 100.0);
        durations.turn(later.after(WINDOW * 3));
        assert_eq!(durations.quantile(0.5), None);
    }

    #[test]
    fn durations_of_any_length_have_a_bucket() {
        for seconds in [0.0, 1e-9, 1e9, f64::MAX, f64::INFINITY] {
            let mut durations = RecentDurations::new(Tick(0));
            durations.add(seconds, 1.0, Tick(0));
            let found = durations.quantile(0.5).unwrap();
            assert!((0.0009..17_000.0).contains(&found), "{seconds} {found}");
        }
    }
}
