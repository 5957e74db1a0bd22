//! Explicit buckets of exponential histograms, for a page that has no exponential ones.
//!
//! The bounds are those of scale 2, four an octave, over the range of the bounds that a metric has otherwise: each
//! series of a metric has the same ones at all times, so that series can be added up and rates taken. At scale 2 and
//! above each of them is a bound of the exponential histogram too, and counts are exact.

use super::number::floor;

/// The scale of the bounds.
const SCALE: i32 = 2;
/// How many there are in an octave: 2^scale.
const PER_OCTAVE: usize = 4;
/// The roots that they are: 2^(0/4) to 2^(3/4).
const ROOTS: [f64; PER_OCTAVE] =
    [1.0, 1.189_207_115_002_721, std::f64::consts::SQRT_2, 1.681_792_830_507_429];
/// The least one is 2^-10, the greatest 2^26.
const OCTAVES: usize = 36;
const LEAST: f64 = 1.0 / 1024.0;

static BOUNDS: [f64; OCTAVES * PER_OCTAVE + 1] = {
    let mut bounds = [0.0; OCTAVES * PER_OCTAVE + 1];
    let (mut rest, mut power) = (bounds.as_mut_slice(), LEAST);
    let mut root = 0;
    while let Some((bound, more)) = rest.split_first_mut() {
        let [zero, one, two, three] = ROOTS;
        *bound = power
            * match root {
                0 => zero,
                1 => one,
                2 => two,
                _ => three,
            };
        root = (root + 1) % PER_OCTAVE;
        if root == 0 {
            power *= 2.0;
        }
        rest = more;
    }
    bounds
};

/// The bounds for a metric that has these otherwise: from the last one below or at the first of them to the first one
/// above or at the last.
pub(super) fn page_bounds(advised: &[f64]) -> &'static [f64] {
    let (first, last) = (advised.first(), advised.last());
    let up_to = |value: f64| BOUNDS.partition_point(|bound| *bound <= value);
    let from = first.map_or(0, |first| up_to(*first).saturating_sub(1));
    let below = last.map_or(0, |last| BOUNDS.partition_point(|bound| bound < last));
    BOUNDS.get(from..=below.min(BOUNDS.len() - 1)).unwrap_or(&BOUNDS)
}

/// Adds the counts of an exponential histogram to those of explicit buckets with these bounds, of which there is one
/// more than bounds. Where an exponential bucket is wider than an explicit one it counts for the lowest that it
/// overlaps: what is told as up to a bound never falls, however the scale does.
pub(super) fn add_counts(
    bounds: &[f64],
    (scale, offset, zero): (i32, i32, u64),
    counts: &[u64],
    into: &mut [u64],
) {
    let first = bounds.first().map_or(0, |first| nearest(first.log2() * PER_OCTAVE as f64));
    let (finer, coarser) = (distance(scale, SCALE), distance(SCALE, scale));
    let highest = into.len().saturating_sub(1);
    if let Some(lowest) = into.first_mut() {
        *lowest += zero;
    }
    for (index, count) in (offset..).zip(counts) {
        // Which bound of scale 2 is the least above the lower one of this bucket.
        let bound = (i64::from(index >> finer) << coarser) + 1;
        let place = usize::try_from(bound - i64::from(first)).unwrap_or(0).min(highest);
        if let Some(into) = into.get_mut(place) {
            *into += count;
        }
    }
}

/// The whole number next to a number.
fn nearest(number: f64) -> i32 {
    floor(number + 0.5)
}

/// By how much one scale is finer than another; none where it is not.
fn distance(scale: i32, other: i32) -> u32 {
    u32::try_from(scale.saturating_sub(other)).unwrap_or(0).min(31)
}

#[cfg(test)]
mod tests {
    use super::super::export_mode::ExportMode;
    use super::super::exported_buckets::ExportedBuckets;
    use super::super::histogram::{Histogram, HistogramPoint, HistogramShape};
    use super::super::instruments::{SECONDS, TOKENS};
    use super::*;

    const MODES: [ExportMode; 2] =
        [ExportMode::Cumulative { page_follows: true }, ExportMode::Delta { page_follows: true }];

    fn histogram(advised: &'static [f64]) -> Histogram {
        Histogram::new(HistogramShape::Exponential(advised))
    }

    /// What a page has after an export.
    fn page(histogram: &mut Histogram, mode: ExportMode) -> Option<HistogramPoint> {
        histogram.export(mode);
        histogram.export(ExportMode::Page)
    }

    fn buckets(point: &HistogramPoint) -> (&'static [f64], &[u64]) {
        let ExportedBuckets::Explicit { bounds, counts } = &point.buckets else { panic!() };
        (bounds, counts)
    }

    /// Normal numbers, the same each time.
    fn normals() -> impl FnMut() -> f64 {
        let mut state = 7_u64;
        let mut uniform = move || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        move || {
            let radius = (-2.0 * uniform().ln()).sqrt();
            radius * (std::f64::consts::TAU * uniform()).cos()
        }
    }

    /// `histogram_quantile` of Prometheus: a straight line between the bounds of a bucket, from zero in the lowest.
    fn quantile(share: f64, bounds: &[f64], counts: &[u64]) -> f64 {
        let rank = share * counts.iter().sum::<u64>() as f64;
        let (mut below, mut low) = (0.0, 0.0);
        for (count, high) in counts.iter().zip(bounds) {
            let count = *count as f64;
            if below + count >= rank {
                return low + (high - low) * (rank - below) / count;
            }
            (below, low) = (below + count, *high);
        }
        low
    }

    #[test]
    fn bounds_are_those_of_scale_two_over_the_advised_range() {
        for (index, bound) in (-40_i32..).zip(&BOUNDS) {
            let expected = (f64::from(index) / 4.0).exp2();
            assert!((bound / expected - 1.0).abs() < 1e-15, "{bound}, {expected}");
        }
        for (advised, first, last, length) in [
            (SECONDS, 0.009_290_680_585_958_758, 90.509_667_991_878_09, 54),
            (TOKENS, 1.0, 67_108_864.0, 105),
            (&[0.0, 0.5, 1.0], LEAST, 1.0, 41),
            (&[1e9], 67_108_864.0, 67_108_864.0, 1),
        ] {
            let bounds = page_bounds(advised);
            assert_eq!((bounds.first(), bounds.last()), (Some(&first), Some(&last)));
            assert_eq!(bounds.len(), length);
        }
    }

    /// Scenario: durations from nothing to an hour, in many exports of both temporalities. Guarantees: after each the page
    /// has exactly how many of all values so far are up to each bound, and their sum.
    #[test]
    fn a_page_counts_all_so_far_exactly() {
        for mode in MODES {
            let (mut histogram, mut normal) = (histogram(SECONDS), normals());
            let (mut values, mut total): (Vec<f64>, f64) = (vec![0.0], 0.0);
            histogram.add(0.0, 1.0, None);
            for round in 0..60 {
                for _ in 0..round % 7 * 20 {
                    let value = (2.0 * normal()).exp().min(3600.0);
                    histogram.add(value, 1.0, None);
                    values.push(value);
                    total += value;
                }
                let point = page(&mut histogram, mode).unwrap();
                let (bounds, counts) = buckets(&point);
                let mut below = 0;
                for (count, bound) in counts.iter().zip(bounds) {
                    below += count;
                    let expected = values.iter().filter(|value| **value <= *bound).count();
                    assert_eq!(below, expected as u64, "{mode:?} {round}: {bound}");
                }
                assert_eq!(point.count, values.len() as u64);
                assert!((point.sum - total).abs() < 1e-6 * total.max(1.0));
            }
        }
    }

    /// Scenario: values that are further and further apart, until buckets are wider than an octave. Guarantees: nothing that
    /// the page says ever falls.
    #[test]
    fn what_a_page_says_never_falls() {
        for mode in MODES {
            let (mut histogram, mut normal) = (histogram(SECONDS), normals());
            let mut before: Vec<u64> = Vec::new();
            for round in 0..200_i32 {
                let exponent = f64::from(round) * normal();
                histogram.add(exponent.clamp(-300.0, 300.0).exp2(), 3.0, None);
                let point = page(&mut histogram, mode).unwrap();
                let up_to = buckets(&point).1.iter().scan(0, |all, count| {
                    *all += count;
                    Some(*all)
                });
                let up_to: Vec<u64> = up_to.collect();
                assert!(before.iter().zip(&up_to).all(|(before, now)| before <= now), "{round}");
                assert_eq!(point.count, 3 * u64::try_from(round + 1).unwrap());
                before = up_to;
            }
        }
    }

    /// Scenario: durations and tokens, log-normal, and of two kinds together. Guarantees: quantiles as Prometheus estimates them from
    /// the page are within the bucket that the exact one is in, so at most 19 % off, and on such data within 3 %.
    #[test]
    fn quantiles_are_within_the_documented_error() {
        let mut worst: f64 = 0.0;
        for (advised, middle, spread, long_share) in
            [(SECONDS, 0.8, 0.6, 0), (SECONDS, 0.8, 0.6, 30), (TOKENS, 400.0, 1.0, 0)]
        {
            let mut normal = normals();
            let mut values: Vec<f64> = (0..200_000)
                .map(|at| {
                    let factor = if at % 100 < long_share { 20.0 } else { 1.0 };
                    middle * factor * (spread * normal()).exp()
                })
                .collect();
            let mut histogram = histogram(advised);
            values.iter().for_each(|value| histogram.add(*value, 1.0, None));
            let point = page(&mut histogram, MODES[0]).unwrap();
            let (bounds, counts) = buckets(&point);
            values.sort_by(f64::total_cmp);
            for share in [500, 750, 900, 950, 990, 999_u16] {
                let exact = values[values.len() * usize::from(share) / 1000 - 1];
                let read = quantile(f64::from(share) / 1000.0, bounds, counts);
                worst = worst.max((read / exact - 1.0).abs());
            }
        }
        println!("at most {:.2} % off", worst * 100.0);
        assert!(worst < 0.03, "{worst}");
    }
}
