//! Counts by services: what is wrong, of which service and with which other, as a metric.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::services::ServiceNames;
use super::trace::Broken;
use crate::codec::msgpack;
use crate::codec::records::edit::Pairs;
use crate::codec::records::metric_writer::{
    self, MetricData, MetricHead, MetricOrigin, MetricPoint, PointValue, Temporality,
};
use crate::model::{Emission, Position};

/// The most series. What is beyond goes to the overflow series of its tag.
const MAX_SERIES: usize = 2000;
/// The most points of one record.
const MAX_POINTS: usize = 500;

/// The metric.
pub(super) const METRIC: MetricHead<'static> = MetricHead {
    name: "fluentbit.ai.context.broken",
    description: "Spans whose place in their trace is broken. Not a metric of the semantic conventions.",
    unit: "{span}",
};
const KIND: &str = "fluentbit.ai.context.kind";

/// What a series counts; `None` is what has no series of its own.
type SeriesKey = (Arc<[u8]>, Option<Broken>);

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    total: i64,
    exported: i64,
}

/// A point that is to be written.
struct NewPoint {
    /// The encoded map.
    attributes: Vec<u8>,
    value: i64,
}

/// The counts.
#[derive(Debug)]
pub(super) struct BrokenCounts {
    series: HashMap<SeriesKey, Count, RandomState>,
    metadata: Vec<u8>,
    temporality: Temporality,
    /// When counting began, and when it was last exported.
    start: u64,
    last: u64,
}

impl BrokenCounts {
    pub(super) fn new(temporality: Temporality, position: Position, unix_nanos: u64) -> Self {
        let mut metadata = Vec::new();
        metric_writer::metadata(&MetricOrigin::derived(position), &mut metadata);
        let series = HashMap::default();
        Self { series, metadata, temporality, start: unix_nanos, last: unix_nanos }
    }

    /// Counts one.
    pub(super) fn add(&mut self, tag: &Arc<[u8]>, broken: Broken) {
        let mut key = (Arc::clone(tag), Some(broken));
        if self.series.len() >= MAX_SERIES && !self.series.contains_key(&key) {
            key.1 = None;
            if self.series.len() >= 2 * MAX_SERIES && !self.series.contains_key(&key) {
                // More tags than series: the metric goes to any of them.
                let any = self.series.keys().find(|(_, broken)| broken.is_none()).cloned();
                key = any.unwrap_or(key);
            }
        }
        let count = self.series.entry(key).or_default();
        count.total = count.total.saturating_add(1);
    }

    /// The points of now, by their tags.
    pub(super) fn export(&mut self, names: &ServiceNames, unix_nanos: u64) -> Vec<Emission> {
        let unix_nanos = unix_nanos.max(self.last.saturating_add(1));
        let is_delta = self.temporality == Temporality::Delta;
        let start = if is_delta { self.last } else { self.start };
        let mut by_tag = HashMap::<Arc<[u8]>, Vec<NewPoint>, RandomState>::default();
        for ((tag, broken), count) in &mut self.series {
            let value = if is_delta { count.total - count.exported } else { count.total };
            count.exported = count.total;
            if value > 0 {
                let attributes = attributes(*broken, names);
                by_tag.entry(Arc::clone(tag)).or_default().push(NewPoint { attributes, value });
            }
        }
        self.last = unix_nanos;
        let emission = |(tag, points): (Arc<[u8]>, Vec<NewPoint>)| {
            let mut emission = Emission { tag: tag.to_vec(), records: 0, events: Vec::new() };
            for points in points.chunks(MAX_POINTS) {
                self.write(points, (start, unix_nanos), &mut emission.events);
                emission.records = emission.records.saturating_add(1);
            }
            emission
        };
        by_tag.into_iter().map(emission).collect()
    }

    /// Appends a record of these points, which cover the time between these two.
    fn write(&self, points: &[NewPoint], (start, end): (u64, u64), out: &mut Vec<u8>) {
        let points: Vec<MetricPoint<'_>> = points
            .iter()
            .map(|point| MetricPoint {
                attributes: &point.attributes,
                start_unix_nanos: start,
                unix_nanos: end,
                value: PointValue::Int(point.value),
                exemplars: &[],
            })
            .collect();
        let temporality = self.temporality;
        let data = MetricData::Sum { monotonic: true, temporality, points: &points };
        metric_writer::metric(out, end, &self.metadata, &METRIC, &data);
    }
}

/// The encoded map of the attributes of a series.
fn attributes(broken: Option<Broken>, names: &ServiceNames) -> Vec<u8> {
    let mut pairs = Pairs::new();
    match broken {
        Some(broken) => {
            pairs.text(KIND, broken.kind.name());
            pairs.text("service.name", names.name(broken.service));
            if let Some(peer) = broken.peer {
                pairs.text("service.peer.name", names.name(peer));
            }
        }
        None => msgpack::bool(pairs.key("otel.metric.overflow"), true),
    }
    let mut map = Vec::new();
    pairs.write_map(&mut map);
    map
}
