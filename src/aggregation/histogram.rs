//! Histograms of weighted values.
//!
//! A span that was kept by chance stands for several, and for no whole number of them. So counts
//! are fractions inside; on export they are rounded, and what rounding took or gave is carried to
//! the next export. The same carry lets a value be taken back after it was exported.

use super::exponential::Exponential;
use super::export_mode::ExportMode;
use super::exported_buckets::ExportedBuckets;
use super::number::take;

/// How many exemplars an exponential histogram has at most.
const EXPONENTIAL_EXEMPLARS: usize = 4;

/// One value that a histogram counted, with the span that it is from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exemplar {
    pub(super) time_unix_nano: u64,
    pub(super) value: f64,
    pub(super) trace_id: [u8; 16],
    pub(super) span_id: [u8; 8],
    /// Whether its trace is known to be kept.
    pub(super) is_kept: bool,
}

/// The shape of a histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum HistogramShape {
    /// Buckets with these upper bounds, and one above the last.
    Explicit(&'static [f64]),
    /// Buckets whose bounds grow exponentially, in a number that adapts to the values, of a metric that has these
    /// bounds otherwise.
    Exponential(&'static [f64]),
}

#[derive(Debug, Clone)]
enum Buckets {
    Explicit { bounds: &'static [f64], counts: Vec<f64>, exported: Vec<u64> },
    Exponential(Exponential),
}

/// What one histogram data point says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct HistogramPoint {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) range: Option<(f64, f64)>,
    pub(super) buckets: ExportedBuckets,
    pub(super) exemplars: Vec<Exemplar>,
}

/// A histogram that counts.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    buckets: Buckets,
    sum: f64,
    exported_sum: f64,
    range: Option<(f64, f64)>,
    exemplars: Vec<Option<Exemplar>>,
    next_exemplar: usize,
}

impl Histogram {
    pub(super) fn new(shape: HistogramShape) -> Self {
        let buckets = match shape {
            HistogramShape::Explicit(bounds) => {
                let (counts, exported) = (vec![0.0; bounds.len() + 1], vec![0; bounds.len() + 1]);
                Buckets::Explicit { bounds, counts, exported }
            }
            HistogramShape::Exponential(advised) => Buckets::Exponential(Exponential::new(advised)),
        };
        Self {
            buckets,
            sum: 0.0,
            exported_sum: 0.0,
            range: None,
            exemplars: Vec::new(),
            next_exemplar: 0,
        }
    }

    /// Counts a value, which is not negative, `weight` times.
    pub(super) fn add(&mut self, value: f64, weight: f64, exemplar: Option<Exemplar>) {
        let index = self.count(value, weight);
        let (low, high) = self.range.unwrap_or((value, value));
        self.range = Some((low.min(value), high.max(value)));
        if exemplar.is_none() {
            return;
        }
        let index = index.unwrap_or_else(|| {
            self.next_exemplar = (self.next_exemplar + 1) % EXPONENTIAL_EXEMPLARS;
            self.next_exemplar
        });
        if self.exemplars.len() <= index {
            self.exemplars.resize(index + 1, None);
        }
        if let (Some(slot), Some(exemplar)) = (self.exemplars.get_mut(index), exemplar)
            && (exemplar.is_kept || slot.is_none_or(|before| !before.is_kept))
        {
            *slot = Some(exemplar);
        }
    }

    /// Takes a value back that was counted before. The least and the greatest value stay.
    pub(super) fn take_back(&mut self, value: f64, weight: f64) {
        self.count(value, -weight);
    }

    fn count(&mut self, value: f64, weight: f64) -> Option<usize> {
        self.sum += value * weight;
        match &mut self.buckets {
            Buckets::Explicit { bounds, counts, .. } => {
                let index = bounds.partition_point(|bound| *bound < value);
                if let Some(count) = counts.get_mut(index) {
                    *count += weight;
                }
                Some(index)
            }
            Buckets::Exponential(buckets) => {
                buckets.add(value, weight);
                None
            }
        }
    }

    /// The next point. `None` when there is nothing to say.
    pub(super) fn export(&mut self, mode: ExportMode) -> Option<HistogramPoint> {
        let (count, buckets) = match &mut self.buckets {
            Buckets::Explicit { bounds, counts, exported } => {
                let both = counts.iter_mut().zip(exported.iter_mut());
                let out: Vec<u64> =
                    both.map(|(count, exported)| take(mode, count, exported)).collect();
                let count = out.iter().sum();
                (count, ExportedBuckets::Explicit { bounds, counts: out })
            }
            Buckets::Exponential(buckets) => buckets.export(mode),
        };
        if count == 0 {
            return None;
        }
        let (mut sum, mut range) = (self.exported_sum, self.range);
        match mode {
            ExportMode::Cumulative { .. } => {
                sum = self.sum.max(sum);
                self.exported_sum = sum;
            }
            ExportMode::Delta { .. } => {
                sum = self.sum.max(0.0);
                self.sum -= sum;
                self.exported_sum += sum;
                self.range = None;
            }
            ExportMode::Page => range = None,
        }
        let exemplars = self.exemplars.iter().flatten().copied().collect();
        if !mode.page_follows() {
            self.exemplars.clear();
        }
        Some(HistogramPoint { count, sum, range, buckets, exemplars })
    }
}

#[cfg(test)]
mod tests {
    use super::super::number::whole;
    use super::*;

    const BOUNDS: &[f64] = &[1.0, 2.0, 4.0];
    const CUMULATIVE: ExportMode = ExportMode::Cumulative { page_follows: false };
    const DELTA: ExportMode = ExportMode::Delta { page_follows: false };

    fn counts(point: &HistogramPoint) -> Vec<u64> {
        match &point.buckets {
            ExportedBuckets::Explicit { counts, .. }
            | ExportedBuckets::Exponential { counts, .. } => counts.clone(),
        }
    }

    fn exemplar(value: f64) -> Option<Exemplar> {
        Some(Exemplar {
            time_unix_nano: 1,
            value,
            trace_id: [1; 16],
            span_id: [2; 8],
            is_kept: false,
        })
    }

    #[test]
    fn bounds_belong_to_the_bucket_below() {
        let mut histogram = Histogram::new(HistogramShape::Explicit(BOUNDS));
        for value in [0.0, 1.0, 1.5, 2.0, 4.0, 4.1] {
            histogram.add(value, 1.0, exemplar(value));
        }
        let point = histogram.export(DELTA).unwrap();
        assert_eq!(counts(&point), [2, 2, 1, 1]);
        assert_eq!((point.count, point.range), (6, Some((0.0, 4.1))));
        let values: Vec<f64> = point.exemplars.iter().map(|exemplar| exemplar.value).collect();
        assert_eq!(values, [1.0, 2.0, 4.0, 4.1], "the latest of each bucket");
        assert_eq!(histogram.export(DELTA), None);
    }

    #[test]
    fn what_rounding_takes_is_carried() {
        let mut histogram = Histogram::new(HistogramShape::Explicit(BOUNDS));
        let weight = 9.999_389_685_688_13;
        let (mut exported, mut sum) = (0, 0.0);
        for _ in 0..3000 {
            histogram.add(1.5, weight, None);
            let point = histogram.export(DELTA).unwrap();
            exported += point.count;
            sum += point.sum;
        }
        assert_eq!(exported, whole(3000.0 * weight));
        assert!((sum - 3000.0 * weight * 1.5).abs() < 1e-6);
        let mut third = Histogram::new(HistogramShape::Explicit(BOUNDS));
        let points = (0..30).filter_map(|_| {
            third.add(1.0, 1.0 / 3.0, None);
            third.export(DELTA).map(|point| point.count)
        });
        assert_eq!(points.sum::<u64>(), 10);
    }

    #[test]
    fn cumulative_points_never_fall() {
        let mut histogram = Histogram::new(HistogramShape::Explicit(BOUNDS));
        histogram.add(1.5, 2.0, None);
        histogram.add(3.0, 1.0, None);
        let first = histogram.export(CUMULATIVE).unwrap();
        histogram.take_back(1.5, 2.0);
        let second = histogram.export(CUMULATIVE).unwrap();
        assert_eq!((counts(&first), counts(&second)), (vec![0, 2, 1, 0], vec![0, 2, 1, 0]));
        assert!(second.sum >= first.sum);
        histogram.add(1.5, 3.0, None);
        assert_eq!(counts(&histogram.export(CUMULATIVE).unwrap()), [0, 3, 1, 0]);
    }

    #[test]
    fn what_is_taken_back_after_its_export_is_owed() {
        let mut histogram = Histogram::new(HistogramShape::Explicit(BOUNDS));
        histogram.add(1.5, 1.0, None);
        assert_eq!(histogram.export(DELTA).unwrap().count, 1);
        histogram.take_back(1.5, 1.0);
        assert_eq!(histogram.export(DELTA), None);
        histogram.add(1.5, 1.0, None);
        assert_eq!(histogram.export(DELTA), None);
        histogram.add(1.5, 1.0, None);
        assert_eq!(histogram.export(DELTA).unwrap().sum, 1.5);
    }

    #[test]
    fn the_exponential_form_has_few_exemplars() {
        let mut histogram = Histogram::new(HistogramShape::Exponential(BOUNDS));
        for value in 1..100 {
            histogram.add(f64::from(value), 1.0, exemplar(f64::from(value)));
        }
        let point = histogram.export(DELTA).unwrap();
        assert_eq!((point.count, point.exemplars.len()), (99, 4));
        assert_eq!(histogram.export(DELTA), None);
    }
}
