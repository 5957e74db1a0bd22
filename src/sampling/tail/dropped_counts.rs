//! Counts of dropped traces by service, root, shape and policy, as metrics.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::codec::msgpack;
use crate::codec::records::edit::Pairs;
use crate::codec::records::metric_writer::{
    self, MetricData, MetricHead, MetricOrigin, MetricPoint, PointValue, Temporality,
};
use crate::model::{Emission, Position};

/// The metrics: traces, and their spans.
const METRICS: [MetricHead<'static>; 2] = [
    MetricHead {
        name: "fluentbit.ai.sampling.dropped_traces",
        description: "Traces that tail sampling dropped. Not a metric of the semantic conventions.",
        unit: "{trace}",
    },
    MetricHead {
        name: "fluentbit.ai.sampling.dropped_spans",
        description: "Spans of the traces that tail sampling dropped. Not a metric of the semantic conventions.",
        unit: "{span}",
    },
];
/// The most series. What is beyond goes to the overflow series of its tag.
const MAX_SERIES: usize = 1000;
/// The most tags.
const MAX_TAGS: usize = 100;
/// The most points of one record.
const MAX_POINTS: usize = 500;

/// How much came of one series.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    totals: [i64; 2],
    /// When it was exported first, in Unix nanoseconds.
    start: u64,
}

/// The series of one tag, by the encoded map of their attributes.
type Series = HashMap<Vec<u8>, Count, RandomState>;

/// Cumulative counts.
#[derive(Debug)]
pub(super) struct DroppedCounts {
    tags: Vec<(Vec<u8>, Series)>,
    series: usize,
    metadata: Vec<u8>,
    last: u64,
    /// Something was counted since the last points.
    is_changed: bool,
}

impl DroppedCounts {
    pub(super) fn new(position: Position) -> Self {
        let mut metadata = Vec::new();
        metric_writer::metadata(&MetricOrigin::derived(position), &mut metadata);
        Self { tags: Vec::new(), series: 0, metadata, last: 0, is_changed: false }
    }

    /// Counts a trace.
    pub(super) fn add(&mut self, tag: &[u8], attributes: &[u8], spans: u64) {
        self.add_totals(tag, attributes, [1, i64::try_from(spans).unwrap_or(i64::MAX)]);
    }

    /// Adds what others counted, who begin anew.
    pub(super) fn absorb(&mut self, other: &mut Self) {
        for (tag, series) in std::mem::take(&mut other.tags) {
            for (attributes, count) in series {
                self.add_totals(&tag, &attributes, count.totals);
            }
        }
        (other.series, other.is_changed) = (0, false);
    }

    fn add_totals(&mut self, tag: &[u8], attributes: &[u8], more: [i64; 2]) {
        let known = self.tags.iter().position(|(known, _)| known == tag);
        let at = known.unwrap_or_else(|| {
            if self.tags.len() < MAX_TAGS {
                self.tags.push((tag.to_vec(), Series::default()));
            }
            self.tags.len().saturating_sub(1)
        });
        let Some((_, series)) = self.tags.get_mut(at) else { return };
        let has_room = self.series < MAX_SERIES || series.contains_key(attributes);
        let key = if has_room { attributes.to_vec() } else { overflow() };
        let start = self.last;
        let count = series.entry(key).or_insert_with(|| {
            self.series += 1;
            Count { start, ..Count::default() }
        });
        self.is_changed = true;
        count.totals.iter_mut().zip(more).for_each(|(sum, more)| *sum = sum.saturating_add(more));
    }

    /// The time when counting begins.
    pub(super) const fn begin(&mut self, unix_nanos: u64) {
        if self.last == 0 {
            self.last = unix_nanos;
        }
    }

    /// The points of now, under the tags of the traces; at the end of a run only if something was counted since the
    /// last ones.
    pub(super) fn export(&mut self, is_end: bool, unix_nanos: u64) -> Vec<Emission> {
        if !std::mem::take(&mut self.is_changed) && is_end {
            return Vec::new();
        }
        let unix_nanos = unix_nanos.max(self.last.saturating_add(1));
        self.last = unix_nanos;
        let metadata = &self.metadata;
        let emissions = self.tags.iter().map(|(tag, series)| {
            let mut emission = Emission { tag: tag.clone(), records: 0, events: Vec::new() };
            for (index, head) in METRICS.iter().enumerate() {
                let points: Vec<MetricPoint<'_>> = series
                    .iter()
                    .map(|(attributes, count)| MetricPoint {
                        attributes,
                        start_unix_nanos: count.start,
                        unix_nanos,
                        value: PointValue::Int(count.totals.get(index).copied().unwrap_or(0)),
                        exemplars: &[],
                    })
                    .collect();
                for points in points.chunks(MAX_POINTS) {
                    let temporality = Temporality::Cumulative;
                    let data = MetricData::Sum { monotonic: true, temporality, points };
                    metric_writer::metric(&mut emission.events, unix_nanos, metadata, head, &data);
                    emission.records += 1;
                }
            }
            emission
        });
        emissions.collect()
    }
}

/// The attributes of the series of what is beyond the most.
fn overflow() -> Vec<u8> {
    let (mut pairs, mut map) = (Pairs::new(), Vec::new());
    msgpack::bool(pairs.key("otel.metric.overflow"), true);
    pairs.write_map(&mut map);
    map
}
