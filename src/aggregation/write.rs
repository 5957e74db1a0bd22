//! Metric points -> telemetry records.

use super::exported_buckets::ExportedBuckets;
use super::histogram::{Exemplar, HistogramPoint};
use super::instruments::{Instrument, PointData};
use crate::codec::msgpack::map_header;
use crate::codec::records::metric_writer::{
    self, ExemplarValue, HistogramTotals, MetricData, MetricHead, MetricOrigin, MetricPoint,
    PointExemplar, PointValue, Temporality,
};
use crate::model::{Emission, Position, SpanId, TraceId};

/// The most points of one record.
const MAX_POINTS: usize = 500;

/// What is common to the records of one group in one export.
#[derive(Debug, Clone)]
pub(super) struct MetricEnvelope {
    metadata: Vec<u8>,
    temporality: Temporality,
    unix_nanos: u64,
}

impl MetricEnvelope {
    pub(super) fn new(
        resource: &[u8],
        position: Position,
        temporality: Temporality,
        unix_nanos: u64,
    ) -> Self {
        let mut metadata = Vec::new();
        let origin = MetricOrigin { resource, ..MetricOrigin::derived(position) };
        metric_writer::metadata(&origin, &mut metadata);
        Self { metadata, temporality, unix_nanos }
    }
}

/// The attributes of a point and the time that it begins at.
#[derive(Debug, Clone, Copy)]
pub(super) struct PointContext<'p> {
    /// Encoded pairs.
    pub(super) attributes: &'p [u8],
    /// Further encoded pairs.
    pub(super) more: &'p [u8],
    /// How many pairs there are in both.
    pub(super) pairs: u32,
    pub(super) start: u64,
}

impl PointContext<'_> {
    fn map(&self) -> Vec<u8> {
        let mut map = Vec::with_capacity(self.attributes.len() + self.more.len() + 5);
        if self.pairs > 0 {
            map_header(&mut map, self.pairs);
            map.extend_from_slice(self.attributes);
            map.extend_from_slice(self.more);
        }
        map
    }
}

struct Held {
    attributes: Vec<u8>,
    start: u64,
    data: PointData,
    exemplars: Vec<PointExemplar<'static>>,
}

/// Writes the points of one metric into as many records as they need.
pub(super) struct MetricWriter<'o> {
    out: &'o mut Emission,
    instrument: &'static Instrument,
    /// The name, with what stands before it.
    name: [&'static str; 2],
    envelope: &'o MetricEnvelope,
    points: Vec<Held>,
}

impl<'o> MetricWriter<'o> {
    pub(super) fn new(
        out: &'o mut Emission,
        instrument: &'static Instrument,
        name: [&'static str; 2],
        envelope: &'o MetricEnvelope,
    ) -> Self {
        Self { out, instrument, name, envelope, points: Vec::new() }
    }

    /// Adds a point.
    pub(super) fn add(&mut self, context: PointContext<'_>, data: PointData) {
        let exemplars = match &data {
            PointData::Number(_) | PointData::Double(_) | PointData::Gauge(_) => Vec::new(),
            PointData::Histogram(data) => data.exemplars.iter().map(exemplar).collect(),
        };
        let attributes = context.map();
        self.points.push(Held { attributes, start: context.start, data, exemplars });
        if self.points.len() >= MAX_POINTS {
            self.flush();
        }
    }

    /// Writes the points so far as one record.
    pub(super) fn flush(&mut self) {
        let Some(first) = self.points.first() else { return };
        let points: Vec<MetricPoint<'_>> =
            self.points.iter().map(|held| self.point(held)).collect();
        let (points, temporality) = (&points[..], self.envelope.temporality);
        let data = match &first.data {
            PointData::Number(_) | PointData::Double(_) => {
                MetricData::Sum { monotonic: true, temporality, points }
            }
            PointData::Gauge(_) => MetricData::Gauge(points),
            PointData::Histogram(HistogramPoint {
                buckets: ExportedBuckets::Explicit { .. },
                ..
            }) => MetricData::Histogram { temporality, points },
            PointData::Histogram(_) => MetricData::ExponentialHistogram { temporality, points },
        };
        let Instrument { description, unit, .. } = *self.instrument;
        let prefixed;
        let name = match self.name {
            ["", name] => name,
            name => {
                prefixed = name.concat();
                &prefixed
            }
        };
        let head = MetricHead { name, description, unit };
        metric_writer::metric(
            &mut self.out.events,
            self.envelope.unix_nanos,
            &self.envelope.metadata,
            &head,
            &data,
        );
        self.points.clear();
        self.out.records += 1;
    }

    fn point<'h>(&self, held: &'h Held) -> MetricPoint<'h> {
        let value = match &held.data {
            PointData::Number(value) => PointValue::Int(i64::try_from(*value).unwrap_or(i64::MAX)),
            PointData::Double(value) | PointData::Gauge(value) => PointValue::Double(*value),
            PointData::Histogram(data) => histogram_value(data),
        };
        MetricPoint {
            attributes: &held.attributes,
            start_unix_nanos: held.start,
            unix_nanos: self.envelope.unix_nanos,
            value,
            exemplars: &held.exemplars,
        }
    }
}

fn histogram_value(data: &HistogramPoint) -> PointValue<'_> {
    let totals = HistogramTotals {
        count: data.count,
        sum: Some(data.sum),
        min: data.range.map(|(low, _)| low),
        max: data.range.map(|(_, high)| high),
    };
    match &data.buckets {
        ExportedBuckets::Explicit { bounds, counts } => {
            PointValue::Histogram { totals, counts, bounds }
        }
        ExportedBuckets::Exponential { scale, zero_count, offset, counts } => {
            PointValue::Exponential {
                totals,
                scale: *scale,
                zero_count: *zero_count,
                zero_threshold: 0.0,
                positive: (*offset, counts),
                negative: (0, &[]),
            }
        }
    }
}

fn exemplar(exemplar: &Exemplar) -> PointExemplar<'static> {
    PointExemplar {
        unix_nanos: exemplar.time_unix_nano,
        value: ExemplarValue::Double(exemplar.value),
        span: Some((TraceId(exemplar.trace_id), SpanId(exemplar.span_id))),
        filtered_attributes: &[],
    }
}
