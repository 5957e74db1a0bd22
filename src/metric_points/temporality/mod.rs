//! Temporality: points that say what was counted since the point before <-> points that say what was counted
//! since a start, in encoded requests.
//!
//! By the OpenTelemetry metrics data model, "Temporality" and "Resets and Gaps". Gauges and summaries have no
//! temporality. Sums that may fall stay cumulative, as exporters that prefer delta leave them ("Metrics
//! Exporter", "Additional Configuration" of the OTLP exporter specification).

mod series;

pub use crate::codec::records::metric_writer::Temporality;

use self::series::{SeriesKey, SeriesTable};
use super::metric::{self, MetricHead, hash};
use super::point::{self, Point, PointKind, PointValue};
use crate::codec::wire::{self, WireError, WireFields, WireValue};

/// A request in the other temporality, and what of it could not be told there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConvertedRequest {
    /// The encoded request; nothing if no point is left.
    pub request: Vec<u8>,
    /// Data points in it.
    pub points: usize,
    /// Points left out because what was counted since the point before them is not known: the first ones
    /// of sums that began before this converter did.
    pub first: usize,
    /// Points left out because a later one of their series came before. What they count is in the next.
    pub late: usize,
}

/// Converts one request after the other. What it has to know of each series is bounded in bytes.
#[derive(Debug)]
pub struct TemporalityConverter {
    target: Temporality,
    /// Unix nanoseconds: of what was counted before nothing is known.
    since: u64,
    series: SeriesTable,
}

/// What becomes of a point.
enum Outcome {
    /// It has this start and value.
    Point(u64, PointValue),
    /// It goes as it is.
    AsItIs,
    First,
    Late,
}

impl Temporality {
    /// `AggregationTemporality`.
    const fn number(self) -> u64 {
        match self {
            Self::Delta => 1,
            Self::Cumulative => 2,
        }
    }
}

/// A metric that is to be converted.
struct MetricToConvert {
    kind: PointKind,
    data: u32,
    key: SeriesKey,
}

/// One request that is being converted.
struct Conversion<'a> {
    converter: &'a mut TemporalityConverter,
    converted: ConvertedRequest,
    changed: bool,
}

impl TemporalityConverter {
    /// A converter to a temporality that knows nothing of what was counted before `since`, in Unix
    /// nanoseconds, and forgets the series that were not seen for longest where all it knows takes more than
    /// `max_bytes`.
    #[must_use]
    pub fn new(target: Temporality, since: u64, max_bytes: usize) -> Self {
        Self { target, since, series: SeriesTable::new(max_bytes) }
    }

    /// Converts an encoded `ExportMetricsServiceRequest`; `None` if it goes as it is. To be called once for
    /// each.
    ///
    /// # Errors
    /// The request is broken; what stands before the fault is counted.
    pub fn convert(&mut self, request: &[u8]) -> Result<Option<ConvertedRequest>, WireError> {
        self.series.begin();
        let converted = ConvertedRequest::default();
        let mut conversion = Conversion { converter: self, converted, changed: false };
        let mut out = Vec::with_capacity(request.len());
        metric::rewrite(request, &mut out, &mut |scope, metric, out| {
            conversion.metric(metric, scope, out)
        })?;
        let Conversion { mut converted, changed, .. } = conversion;
        self.series.make_room();
        converted.request = out;
        Ok(changed.then_some(converted))
    }

    /// Whether a metric with this temporality is to have the other one.
    const fn converts(&self, temporality: u64, may_fall: bool) -> bool {
        match self.target {
            Temporality::Delta => temporality == Temporality::Cumulative.number() && !may_fall,
            Temporality::Cumulative => temporality == Temporality::Delta.number(),
        }
    }

    fn point(&mut self, key: SeriesKey, point: Point) -> Outcome {
        let Point { start, time, value, .. } = point;
        let Some(value) = value else {
            // The series ended.
            self.series.remove(key);
            return Outcome::AsItIs;
        };
        match self.target {
            Temporality::Cumulative => self.cumulative(key, (start, time), value),
            Temporality::Delta => self.delta(key, (start, time), value),
        }
    }

    /// Adds what was counted to the sum.
    fn cumulative(
        &mut self,
        key: SeriesKey,
        (start, time): (u64, u64),
        value: PointValue,
    ) -> Outcome {
        let added = self.series.edit(key, |series| {
            // Twice the same interval, it is the same point.
            if time == series.time {
                return Some(Outcome::Late);
            }
            if !series.value.add(&value) {
                return None;
            }
            if time < series.time {
                return Some(Outcome::Late);
            }
            series.time = time;
            Some(Outcome::Point(series.start, series.value.clone()))
        });
        added.flatten().unwrap_or_else(|| {
            self.series.insert(key, start, time, value.clone());
            Outcome::Point(start, value)
        })
    }

    /// Takes what was counted before from the sum.
    fn delta(&mut self, key: SeriesKey, (start, time): (u64, u64), value: PointValue) -> Outcome {
        let known = self.series.edit(key, |series| {
            if time <= series.time {
                return Outcome::Late;
            }
            let before = std::mem::replace(&mut series.time, time);
            let began = std::mem::replace(&mut series.start, start);
            let earlier = std::mem::replace(&mut series.value, value.clone());
            let goes_on = start == 0 || began == 0 || start <= began;
            match value.since(&earlier).filter(|_| goes_on) {
                Some(added) => Outcome::Point(before, added),
                // It began anew; where it does not say when, after its last point.
                None => Outcome::Point(if goes_on { before } else { start }, value.clone()),
            }
        });
        known.unwrap_or_else(|| {
            self.series.insert(key, start, time, value.clone());
            let is_whole = start != 0 && start >= self.since;
            if is_whole { Outcome::Point(start, value) } else { Outcome::First }
        })
    }
}

impl Conversion<'_> {
    /// Writes the fields of a metric; whether any points are left.
    fn metric(&mut self, metric: &[u8], scope: u128, out: &mut Vec<u8>) -> Result<bool, WireError> {
        let Some(MetricToConvert { kind, data, key }) = self.conversion_of(metric, scope)? else {
            out.extend_from_slice(metric);
            return Ok(true);
        };
        self.changed = true;
        let target = self.converter.target.number();
        metric::fields(metric, data, out, &mut |content, out| {
            let mut left = false;
            let mut fields = WireFields::new(content);
            while let Some(field) = fields.read()? {
                match (field.number, field.value) {
                    (1, WireValue::Bytes(encoded)) => {
                        left |= self.point((kind, key), encoded, field.raw, out)?;
                    }
                    (2, _) => {}
                    _ => out.extend_from_slice(field.raw),
                }
            }
            wire::uint(out, 2, target);
            Ok(left)
        })
    }

    /// What is to be converted of a metric, if anything is. The points of others are counted.
    fn conversion_of(
        &mut self,
        metric: &[u8],
        scope: u128,
    ) -> Result<Option<MetricToConvert>, WireError> {
        let MetricHead { name, unit, data, temporality, is_monotonic, points } =
            MetricHead::read(metric)?;
        let kind = PointKind::of_field(data);
        let may_fall = kind == Some(PointKind::Number) && !is_monotonic;
        let Some(kind) = kind.filter(|_| self.converter.converts(temporality, may_fall)) else {
            self.converted.points = self.converted.points.saturating_add(points);
            return Ok(None);
        };
        let key = hash(&[&scope.to_le_bytes(), name, unit, &data.to_le_bytes()]);
        Ok(Some(MetricToConvert { kind, data, key }))
    }

    /// Writes a point, unless it is left out.
    fn point(
        &mut self,
        (kind, metric): (PointKind, SeriesKey),
        encoded: &[u8],
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<bool, WireError> {
        let point = Point::read(kind, encoded)?;
        let key = hash(&[&metric.to_le_bytes(), &point.attributes.to_le_bytes()]);
        let ConvertedRequest { points, first, late, .. } = &mut self.converted;
        let (count, is_left) = match self.converter.point(key, point) {
            Outcome::Point(start, value) => {
                wire::try_message(out, 1, |out| point::write(kind, encoded, start, &value, out))?;
                (points, true)
            }
            Outcome::AsItIs => {
                out.extend_from_slice(raw);
                (points, true)
            }
            Outcome::First => (first, false),
            Outcome::Late => (late, false),
        };
        *count = count.saturating_add(1);
        Ok(is_left)
    }
}

#[cfg(test)]
mod tests;
