//! Buckets whose bounds grow exponentially.
//!
//! OpenTelemetry metrics data model, "`ExponentialHistogram`": at scale s the bucket with index i
//! holds the values in (base^i, base^(i+1)], base = 2^(2^-s).

use std::collections::VecDeque;

use super::export_mode::ExportMode;
use super::exported_buckets::ExportedBuckets;
use super::number::{floor, take_whole, whole};
use super::page_buckets::{add_counts, page_bounds};

/// The most buckets, by the OpenTelemetry SDK specification, "Base2 Exponential Bucket Histogram
/// Aggregation".
const MAX_BUCKETS: usize = 160;
/// The scale that a histogram starts with, by the same section.
const MAX_SCALE: i32 = 20;
/// The least scale; beyond it two buckets hold every number there is.
const MIN_SCALE: i32 = -10;

/// Weighted counts by bucket.
#[derive(Debug, Clone)]
pub(super) struct Exponential {
    scale: i32,
    offset: i32,
    counts: VecDeque<f64>,
    zero: f64,
    exported: Vec<u64>,
    exported_at: (i32, i32),
    exported_zero: u64,
    /// The bounds that its metric has where it is not exponential.
    advised: &'static [f64],
    /// What a page has of all deltas so far, where there is a page.
    of_deltas: Vec<u64>,
}

impl Exponential {
    /// One of a metric that has these bounds where it is not exponential.
    pub(super) const fn new(advised: &'static [f64]) -> Self {
        Self {
            scale: MAX_SCALE,
            offset: 0,
            counts: VecDeque::new(),
            zero: 0.0,
            exported: Vec::new(),
            exported_at: (MAX_SCALE, 0),
            exported_zero: 0,
            advised,
            of_deltas: Vec::new(),
        }
    }

    /// Counts a value; zero has a bucket of its own.
    pub(super) fn add(&mut self, value: f64, weight: f64) {
        if value <= 0.0 || !value.is_finite() {
            self.zero += weight;
            return;
        }
        let mut index = index_at(value, self.scale);
        while !self.fits(index) {
            self.halve();
            index = index_at(value, self.scale);
        }
        self.grow_to(index);
        let slot = usize::try_from(index.saturating_sub(self.offset)).unwrap_or(0);
        if let Some(count) = self.counts.get_mut(slot) {
            *count += weight;
        }
    }

    fn last(&self) -> i32 {
        let length = i32::try_from(self.counts.len()).unwrap_or(i32::MAX);
        self.offset.saturating_add(length).saturating_sub(1)
    }

    fn fits(&self, index: i32) -> bool {
        if self.counts.is_empty() || self.scale <= MIN_SCALE {
            return true;
        }
        let (low, high) = (self.offset.min(index), self.last().max(index));
        usize::try_from(i64::from(high) - i64::from(low)).is_ok_and(|span| span < MAX_BUCKETS)
    }

    fn grow_to(&mut self, index: i32) {
        if self.counts.is_empty() {
            self.offset = index;
            self.counts.push_back(0.0);
        }
        while index < self.offset {
            self.counts.push_front(0.0);
            self.offset -= 1;
        }
        while index > self.last() {
            self.counts.push_back(0.0);
        }
    }

    /// Joins the buckets in pairs: the scale falls by one.
    fn halve(&mut self) {
        let mut joined: VecDeque<f64> = VecDeque::with_capacity(self.counts.len() / 2 + 1);
        let offset = self.offset >> 1;
        for (index, count) in (self.offset..).zip(&self.counts) {
            let slot = usize::try_from((index >> 1) - offset).unwrap_or(0);
            if slot >= joined.len() {
                joined.push_back(0.0);
            }
            if let Some(bucket) = joined.get_mut(slot) {
                *bucket += count;
            }
        }
        (self.scale, self.offset, self.counts) = (self.scale - 1, offset, joined);
    }

    /// The count and the buckets of the next point.
    pub(super) fn export(&mut self, mode: ExportMode) -> (u64, ExportedBuckets) {
        if mode == ExportMode::Page {
            return self.export_page();
        }
        let (scale, offset) = (self.scale, self.offset);
        let (zero_count, counts) = if !mode.is_delta() {
            self.bring_exported_along();
            let both = self.counts.iter().zip(&self.exported);
            let counts: Vec<u64> = both.map(|(count, before)| whole(*count).max(*before)).collect();
            self.exported.clone_from(&counts);
            self.exported_zero = whole(self.zero).max(self.exported_zero);
            (self.exported_zero, counts)
        } else {
            let counts: Vec<u64> = self.counts.iter_mut().map(take_whole).collect();
            let zero = take_whole(&mut self.zero);
            if mode.page_follows() {
                let bounds = page_bounds(self.advised);
                self.of_deltas.resize(bounds.len() + 1, 0);
                add_counts(bounds, (scale, offset, zero), &counts, &mut self.of_deltas);
            }
            if self.counts.iter().all(|rest| rest.abs() < 1e-9) {
                (self.scale, self.offset) = (MAX_SCALE, 0);
                self.counts.clear();
            }
            (zero, counts)
        };
        let count = zero_count + counts.iter().sum::<u64>();
        (count, ExportedBuckets::Exponential { scale, zero_count, offset, counts })
    }

    /// What a page has of all that was exported.
    fn export_page(&self) -> (u64, ExportedBuckets) {
        let bounds = page_bounds(self.advised);
        let mut counts = self.of_deltas.clone();
        if counts.is_empty() {
            counts.resize(bounds.len() + 1, 0);
            let (scale, offset) = self.exported_at;
            add_counts(bounds, (scale, offset, self.exported_zero), &self.exported, &mut counts);
        }
        (counts.iter().sum(), ExportedBuckets::Explicit { bounds, counts })
    }

    /// Puts what was exported before into the buckets of today.
    fn bring_exported_along(&mut self) {
        let (scale, offset) = self.exported_at;
        let shift = u32::try_from(scale - self.scale).unwrap_or(0).min(31);
        let mut now = vec![0; self.counts.len()];
        for (index, count) in (offset..).zip(&self.exported) {
            let slot = usize::try_from((index >> shift).saturating_sub(self.offset)).ok();
            if let Some(bucket) = slot.and_then(|slot| now.get_mut(slot)) {
                *bucket += count;
            }
        }
        self.exported = now;
        self.exported_at = (self.scale, self.offset);
    }
}

/// The index of a positive value's bucket.
fn index_at(value: f64, scale: i32) -> i32 {
    let logarithm = value.log2() * f64::powi(2.0, scale);
    // The upper bound belongs to the bucket, so a value that lies on one counts below it.
    let index = floor(logarithm);
    if logarithm == f64::from(index) { index.saturating_sub(1) } else { index }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CUMULATIVE: ExportMode = ExportMode::Cumulative { page_follows: false };

    #[test]
    fn indices_follow_the_data_model() {
        for (value, scale, index) in [
            (1.0, 0, -1),
            (2.0, 0, 0),
            (2.1, 0, 1),
            (4.0, 0, 1),
            (0.5, 0, -2),
            (4.0, -1, 0),
            (1.5, 1, 1),
        ] {
            assert_eq!(index_at(value, scale), index, "{value} at {scale}");
        }
    }

    #[test]
    fn cumulative_counts_survive_a_change_of_scale() {
        let mut buckets = Exponential::new(&[]);
        buckets.add(1.5, 2.0);
        assert_eq!(buckets.export(CUMULATIVE).0, 2);
        buckets.add(1e6, 1.0);
        buckets.add(1e-6, 1.0);
        buckets.add(0.0, 1.0);
        let (count, exported) = buckets.export(CUMULATIVE);
        let ExportedBuckets::Exponential { scale, zero_count, counts, .. } = exported else {
            panic!("exponential")
        };
        assert_eq!((count, zero_count), (5, 1));
        assert!(scale < MAX_SCALE && counts.len() <= MAX_BUCKETS);
        assert_eq!(counts.iter().filter(|count| **count > 0).count(), 3);
    }

    /// The value below which this share of the counts lies, by a straight line through the logarithms of the bounds of
    /// its bucket, as `histogram_quantile` reads such buckets.
    fn quantile(share: f64, scale: i32, offset: i32, counts: &[u64]) -> f64 {
        let wanted = share * counts.iter().sum::<u64>() as f64;
        let mut below = 0.0;
        for (index, count) in (offset..).zip(counts) {
            let count = *count as f64;
            if below + count >= wanted && count > 0.0 {
                let place = f64::from(index) + (wanted - below) / count;
                return (place * f64::powi(2.0, -scale)).exp2();
            }
            below += count;
        }
        f64::NAN
    }

    /// Scenario: durations of calls, log-normal as those of short answers, and of short and long ones together.
    /// Guarantees: percentiles read from the buckets are within one percent of the exact ones.
    #[test]
    fn percentiles_are_within_one_percent() {
        let mut state = 1_u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        let mut normal = || {
            let (radius, turn) =
                ((-2.0 * uniform().ln()).sqrt(), std::f64::consts::TAU * uniform());
            radius * turn.cos()
        };
        let short = |normal: f64| (0.8_f64.ln() + 0.6 * normal).exp();
        let mut worst: f64 = 0.0;
        for long_share in [0, 30] {
            let mut values: Vec<f64> = (0..1_000_000)
                .map(|at| {
                    let factor = if at % 100 < long_share { 20.0 } else { 1.0 };
                    factor * short(normal())
                })
                .collect();
            let mut buckets = Exponential::new(&[]);
            values.iter().for_each(|value| buckets.add(*value, 1.0));
            let (_, exported) = buckets.export(CUMULATIVE);
            let ExportedBuckets::Exponential { scale, offset, counts, .. } = exported else {
                panic!("exponential")
            };
            values.sort_by(f64::total_cmp);
            for share in [500, 750, 900, 950, 990, 999_u16] {
                let exact = values[values.len() * usize::from(share) / 1000 - 1];
                let read = quantile(f64::from(share) / 1000.0, scale, offset, &counts);
                worst = worst.max((read / exact - 1.0).abs());
            }
        }
        println!("at most {:.2} % off", worst * 100.0);
        assert!(worst < 0.01, "{worst}");
    }

    proptest! {
        #[test]
        fn every_value_is_in_a_bucket_that_spans_it(values in prop::collection::vec(1e-9..1e12_f64, 1..80)) {
            let mut buckets = Exponential::new(&[]);
            values.iter().for_each(|value| buckets.add(*value, 1.0));
            let scale = buckets.scale;
            let base = f64::powf(2.0, f64::powi(2.0, -scale));
            let (count, exported) = buckets.export(ExportMode::Delta { page_follows: false });
            prop_assert_eq!(count, values.len() as u64);
            let ExportedBuckets::Exponential { offset, counts, .. } = exported else { panic!() };
            prop_assert!(counts.len() <= MAX_BUCKETS);
            for (index, count) in (offset..).zip(counts) {
                let (low, high) = (base.powi(index), base.powi(index + 1));
                let close = 1.0 + 1e-7;
                let inside = values.iter().filter(|v| **v > low / close && **v <= high * close);
                prop_assert!(inside.count() as u64 >= count);
            }
        }
    }
}
