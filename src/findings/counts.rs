//! Counts of findings by type, signal and subject, as a metric.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::finding::{Finding, SIGNAL, TYPE};
use crate::codec::msgpack;
use crate::codec::records::edit::Pairs;
use crate::codec::records::metric_writer::{
    self, MetricData, MetricHead, MetricOrigin, MetricPoint, PointValue, Temporality,
};
use crate::model::Position;

/// The metric.
pub const METRIC: MetricHead<'static> = MetricHead {
    name: "fluentbit.ai.findings",
    description: "Findings about model calls. Not a metric of the semantic conventions.",
    unit: "{finding}",
};

/// The most series. What is beyond goes to the overflow series.
const MAX_SERIES: usize = 1000;
/// The most points of one record.
const MAX_POINTS: usize = 500;

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    total: i64,
    exported: i64,
    /// When it began, in Unix nanoseconds.
    start: u64,
}

/// The counts.
#[derive(Debug)]
pub(super) struct FindingCounts {
    /// By the encoded map of attributes.
    series: HashMap<Vec<u8>, Count, RandomState>,
    metadata: Vec<u8>,
    temporality: Temporality,
    last: u64,
}

impl FindingCounts {
    pub(super) fn new(temporality: Temporality, position: Position, unix_nanos: u64) -> Self {
        let mut metadata = Vec::new();
        metric_writer::metadata(&MetricOrigin::derived(position), &mut metadata);
        Self { series: HashMap::default(), metadata, temporality, last: unix_nanos }
    }

    /// Counts one.
    pub(super) fn add(&mut self, finding: &Finding<'_>) {
        let mut key = attributes(finding);
        if self.series.len() >= MAX_SERIES && !self.series.contains_key(&key) {
            key.clear();
            let mut pairs = Pairs::new();
            msgpack::bool(pairs.key("otel.metric.overflow"), true);
            pairs.write_map(&mut key);
        }
        let start = self.last;
        let count = self.series.entry(key).or_insert(Count { start, ..Count::default() });
        count.total = count.total.saturating_add(1);
    }

    /// Writes the points of now, and says how many records that are.
    pub(super) fn export(&mut self, out: &mut Vec<u8>, unix_nanos: u64) -> usize {
        let unix_nanos = unix_nanos.max(self.last.saturating_add(1));
        let is_delta = self.temporality == Temporality::Delta;
        let mut points = Vec::new();
        for (attributes, count) in &mut self.series {
            let value = if is_delta { count.total - count.exported } else { count.total };
            count.exported = count.total;
            if value > 0 {
                points.push(MetricPoint {
                    attributes,
                    start_unix_nanos: if is_delta { self.last } else { count.start },
                    unix_nanos,
                    value: PointValue::Int(value),
                    exemplars: &[],
                });
            }
        }
        self.last = unix_nanos;
        write(out, &self.metadata, self.temporality, unix_nanos, &points)
    }

    /// Writes what was exported so far, since each series began, and says how many records that are.
    pub(super) fn export_page(&self, out: &mut Vec<u8>, unix_nanos: u64) -> usize {
        let told = self.series.iter().filter(|(_, count)| count.exported > 0);
        let points = told.map(|(attributes, count)| MetricPoint {
            attributes,
            start_unix_nanos: count.start,
            unix_nanos,
            value: PointValue::Int(count.exported),
            exemplars: &[],
        });
        let points: Vec<MetricPoint<'_>> = points.collect();
        write(out, &self.metadata, Temporality::Cumulative, unix_nanos, &points)
    }
}

/// Writes points, and says how many records that are.
fn write(
    out: &mut Vec<u8>,
    metadata: &[u8],
    temporality: Temporality,
    unix_nanos: u64,
    points: &[MetricPoint<'_>],
) -> usize {
    for points in points.chunks(MAX_POINTS) {
        let data = MetricData::Sum { monotonic: true, temporality, points };
        metric_writer::metric(out, unix_nanos, metadata, &METRIC, &data);
    }
    points.len().div_ceil(MAX_POINTS)
}

/// The encoded map of the attributes of a series.
fn attributes(finding: &Finding<'_>) -> Vec<u8> {
    let mut pairs = Pairs::new();
    pairs.text(TYPE, finding.kind.name());
    if !finding.signal.is_empty() {
        pairs.text(SIGNAL, finding.signal);
    }
    finding.subject.pairs().for_each(|(key, text)| pairs.text(key, text));
    let mut map = Vec::new();
    pairs.write_map(&mut map);
    map
}
