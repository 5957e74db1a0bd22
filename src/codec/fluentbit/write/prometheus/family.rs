//! Metric families: all series of one name, written as one metric of the host's.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::Xxh3;

use super::super::capabilities::ReaderCapabilities;
use super::super::point::CmetricsPointKind;
use super::exemplar::SeriesExemplar;
use super::labels::Labels;
use crate::codec::msgpack;

/// What the host writes for a description that is empty.
const NO_DESCRIPTION: &str = "-";
/// The host's number for cumulative temporality.
const CUMULATIVE: u64 = 2;

/// The value of a series.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum SeriesValue {
    /// Of a counter or gauge.
    Number(f64),
    /// Of a histogram: how many values there are up to each bound and in all, and their sum.
    Histogram { up_to: Vec<u64>, sum: f64 },
}

impl SeriesValue {
    /// Adds what another point of the same series says.
    pub(super) fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Number(value), Self::Number(other)) => *value += other,
            (Self::Histogram { up_to, sum }, Self::Histogram { up_to: others, sum: more }) => {
                *sum += more;
                for (count, other) in up_to.iter_mut().zip(others) {
                    *count = count.saturating_add(*other);
                }
            }
            _ => {}
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(value) => {
                msgpack::str(out, "value");
                msgpack::f64(out, *value);
            }
            Self::Histogram { up_to, sum } => {
                msgpack::str(out, "histogram");
                msgpack::map_header(out, 3);
                msgpack::str(out, "buckets");
                msgpack::array_header(out, length(up_to.len()));
                up_to.iter().for_each(|count| msgpack::uint(out, *count));
                msgpack::str(out, "sum");
                msgpack::f64(out, *sum);
                msgpack::str(out, "count");
                msgpack::uint(out, up_to.last().copied().unwrap_or(0));
            }
        }
    }
}

/// A point as a family takes it.
#[derive(Debug)]
pub(super) struct FamilyPoint {
    pub(super) labels: Labels,
    /// When its sum began, in nanoseconds since the Unix epoch.
    pub(super) start: u64,
    pub(super) unix_nanos: u64,
    pub(super) value: SeriesValue,
    pub(super) exemplars: Vec<SeriesExemplar>,
    /// Which bounds of its family a histogram has.
    pub(super) shape: usize,
}

/// All points that have the same labels.
#[derive(Debug)]
pub(super) struct FamilySeries {
    /// The first one, with the values of all of them added up, and all their exemplars.
    pub(super) point: FamilyPoint,
    /// Where there are several, the start and the value of each.
    pub(super) parts: Vec<(u64, SeriesValue)>,
}

/// All series of one name.
#[derive(Debug)]
pub(super) struct MetricFamily {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) kind: CmetricsPointKind,
    /// The upper bounds of the buckets that histograms have, as bits.
    shapes: Vec<Vec<u64>>,
    /// The names of the labels that its series have.
    keys: Vec<String>,
    index: HashMap<Labels, usize, RandomState>,
    pub(super) series: Vec<FamilySeries>,
}

impl MetricFamily {
    pub(super) fn new(name: String, description: String, kind: CmetricsPointKind) -> Self {
        let (shapes, keys, index) = (Vec::new(), Vec::new(), HashMap::default());
        Self { name, description, kind, shapes, keys, index, series: Vec::new() }
    }

    /// Which these bounds are.
    pub(super) fn shape(&mut self, bounds: Vec<u64>) -> usize {
        let known = self.shapes.iter().position(|known| *known == bounds);
        known.unwrap_or_else(|| {
            self.shapes.push(bounds);
            self.shapes.len().saturating_sub(1)
        })
    }

    /// The bounds of a shape.
    pub(super) fn bounds(&self, shape: usize) -> &[u64] {
        self.shapes.get(shape).map(Vec::as_slice).unwrap_or_default()
    }

    /// Adds a point, and says whether it could be. Points that have the same labels are of one series, whose buckets are
    /// the same.
    pub(super) fn add(&mut self, mut point: FamilyPoint) -> bool {
        for name in point.labels.keys() {
            if !self.keys.contains(name) {
                self.keys.push(name.clone());
            }
        }
        let known = self.index.get(&point.labels).and_then(|index| self.series.get_mut(*index));
        let Some(FamilySeries { point: first, parts }) = known else {
            self.index.insert(point.labels.clone(), self.series.len());
            self.series.push(FamilySeries { point, parts: Vec::new() });
            return true;
        };
        if first.shape != point.shape {
            return false;
        }
        if parts.is_empty() {
            parts.push((first.start, first.value.clone()));
        }
        first.unix_nanos = first.unix_nanos.max(point.unix_nanos);
        first.value.merge(&point.value);
        first.exemplars.append(&mut point.exemplars);
        parts.push((point.start, point.value));
        true
    }

    /// Adds a series whose value is 1, if it is not there.
    pub(super) fn set(&mut self, labels: Labels, unix_nanos: u64) {
        if !self.index.contains_key(&labels) {
            let (value, exemplars) = (SeriesValue::Number(1.0), Vec::new());
            self.add(FamilyPoint { labels, start: 0, unix_nanos, value, exemplars, shape: 0 });
        }
    }

    /// How many series there are.
    pub(super) const fn len(&self) -> usize {
        self.series.len()
    }

    /// Appends the metric.
    pub(super) fn write(&self, out: &mut Vec<u8>, capabilities: ReaderCapabilities) {
        let is_histogram = self.kind == CmetricsPointKind::Histogram;
        let has_temporality = self.kind == CmetricsPointKind::Counter
            || is_histogram && capabilities.histogram_temporality;
        msgpack::map_header(out, 2);
        msgpack::str(out, "meta");
        msgpack::map_header(out, 4 + u32::from(has_temporality) + u32::from(is_histogram));
        msgpack::str(out, "ver");
        msgpack::uint(out, 2);
        msgpack::str(out, "type");
        msgpack::uint(out, self.kind as u64);
        msgpack::str(out, "opts");
        msgpack::map_header(out, 4);
        let description =
            if self.description.is_empty() { NO_DESCRIPTION } else { &self.description };
        for (key, text) in [("ns", ""), ("ss", ""), ("name", &self.name), ("desc", description)] {
            msgpack::str(out, key);
            msgpack::str(out, text);
        }
        msgpack::str(out, "labels");
        msgpack::array_header(out, length(self.keys.len()));
        self.keys.iter().for_each(|name| msgpack::str(out, name));
        if is_histogram {
            msgpack::str(out, "buckets");
            let bounds = self.bounds(0);
            msgpack::array_header(out, length(bounds.len()));
            bounds.iter().for_each(|bits| msgpack::f64(out, f64::from_bits(*bits)));
        }
        if has_temporality {
            msgpack::str(out, "aggregation_type");
            msgpack::uint(out, CUMULATIVE);
        }
        msgpack::str(out, "values");
        msgpack::array_header(out, length(self.series.len()));
        for series in &self.series {
            self.write_series(out, &series.point, capabilities);
        }
    }

    /// Writes a series. It has all labels of its family or none, as the host's readers want it; empty text or
    /// nil stands for one that it lacks, which is the same to Prometheus.
    fn write_series(
        &self,
        out: &mut Vec<u8>,
        series: &FamilyPoint,
        capabilities: ReaderCapabilities,
    ) {
        let is_labelled = !series.labels.is_empty();
        msgpack::map_header(out, 3 + u32::from(is_labelled));
        msgpack::str(out, "ts");
        msgpack::uint(out, series.unix_nanos);
        series.value.write(out);
        let mut hash = Xxh3::new();
        hash.update(self.name.as_bytes());
        if is_labelled {
            msgpack::str(out, "labels");
            msgpack::array_header(out, length(self.keys.len()));
        }
        for name in self.keys.iter().filter(|_| is_labelled) {
            match series.labels.get(name) {
                Some(text) => {
                    msgpack::str(out, text);
                    hash.update(text.as_bytes());
                }
                None if capabilities.absent_labels => msgpack::nil(out),
                None => msgpack::str(out, ""),
            }
        }
        msgpack::str(out, "hash");
        msgpack::uint(out, if is_labelled { hash.digest() } else { 0 });
    }
}

fn length(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
