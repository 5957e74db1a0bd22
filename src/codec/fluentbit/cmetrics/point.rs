//! Writer of one data point of any type.

use std::collections::HashMap;

use super::super::message::{self, KeyRow, KeyType, field};
use super::super::tally::{AtField, ReadPosition, ReadProblem, ReadTally};
use super::super::{fields, values};
use super::context_header::ContextHeader;
use super::metric::{CmetricsMetric, MetricType};
use crate::codec::msgpack::MapView;
use crate::codec::otlp::OtlpMessage;
use crate::codec::wire;

const EXEMPLAR: &[KeyRow] = &[
    field(OtlpMessage::Exemplar, "time_unix_nano", KeyType::Time),
    field(OtlpMessage::Exemplar, "as_double", KeyType::Double),
    field(OtlpMessage::Exemplar, "span_id", KeyType::Id),
    field(OtlpMessage::Exemplar, "trace_id", KeyType::Id),
    field(OtlpMessage::Exemplar, "as_int", KeyType::Fixed),
    field(OtlpMessage::Exemplar, "filtered_attributes", KeyType::Attributes),
];

/// OTLP's flag for a point that says that there is no value.
const NO_RECORDED_VALUE: u64 = 1;

/// The encoded extras by a point's hash and time.
pub(super) type PointExtras<'a> = HashMap<(u64, u64), &'a [u8], foldhash::fast::RandomState>;

/// What the points of one metric share.
pub(super) struct MetricPoints<'a, 'b> {
    metric: &'b CmetricsMetric<'a>,
    shared: &'b ContextHeader<'a>,
    extras: PointExtras<'b>,
}

impl<'a, 'b> MetricPoints<'a, 'b> {
    pub(super) const fn new(
        metric: &'b CmetricsMetric<'a>,
        shared: &'b ContextHeader<'a>,
        extras: PointExtras<'b>,
    ) -> Self {
        Self { metric, shared, extras }
    }
}

/// What OTLP says about a point beside the format.
#[derive(Debug, Default)]
struct Extra<'a> {
    start: u64,
    flags: u64,
    is_int: bool,
    /// Whether there is a sum; not known for points of before 5.0.
    has_sum: Option<bool>,
    min: Option<f64>,
    max: Option<f64>,
    /// Whether a histogram without buckets got one, which our own writer says.
    no_buckets: bool,
    exemplars: &'a [u8],
}

impl<'a> Extra<'a> {
    fn read(raw: &'a [u8]) -> Result<Self, &'static str> {
        let mut extra = Self::default();
        let (mut has_min, mut has_max) = (true, true);
        let truth = |value: &[u8]| value.first() == Some(&0xc3);
        for entry in MapView::new(raw) {
            match entry.key {
                b"start_time_unix_nano" => extra.start = fields::uint(entry.value)?,
                b"flags" => extra.flags = fields::uint32(entry.value)?,
                b"number_value_case" => extra.is_int = fields::text(entry.value) == Ok(b"int"),
                b"has_sum" => extra.has_sum = Some(truth(entry.value)),
                b"has_min" => has_min = truth(entry.value),
                b"has_max" => has_max = truth(entry.value),
                b"has_buckets" => extra.no_buckets = !truth(entry.value),
                b"min" => extra.min = Some(fields::double(entry.value)?),
                b"max" => extra.max = Some(fields::double(entry.value)?),
                b"exemplars" => extra.exemplars = entry.value,
                _ => {}
            }
        }
        extra.min = extra.min.filter(|_| has_min);
        extra.max = extra.max.filter(|_| has_max);
        Ok(extra)
    }
}

/// The field numbers that the types of points do not share.
struct Numbers {
    attributes: u32,
    flags: u32,
    exemplars: Option<u32>,
}

impl Numbers {
    const fn of(kind: MetricType) -> Self {
        match kind {
            MetricType::Counter | MetricType::Gauge | MetricType::Untyped => {
                Self { attributes: 7, flags: 8, exemplars: Some(5) }
            }
            MetricType::Histogram => Self { attributes: 9, flags: 10, exemplars: Some(8) },
            MetricType::ExponentialHistogram => {
                Self { attributes: 1, flags: 10, exemplars: Some(11) }
            }
            MetricType::Summary => Self { attributes: 7, flags: 8, exemplars: None },
        }
    }
}

/// Writes one point of a metric; one that cannot be read is skipped and counted.
pub(super) fn write(
    out: &mut Vec<u8>,
    raw: &[u8],
    points: &mut MetricPoints<'_, '_>,
    position: ReadPosition,
    tally: &mut ReadTally,
) {
    match wire::try_message(out, 1, |out| point(out, raw, points, position, tally)) {
        Ok(()) => tally.items = tally.items.saturating_add(1),
        Err(bad) => tally.skip(position, bad),
    }
}

fn point(
    out: &mut Vec<u8>,
    raw: &[u8],
    points: &mut MetricPoints<'_, '_>,
    position: ReadPosition,
    tally: &mut ReadTally,
) -> Result<(), ReadProblem> {
    if !fields::is_map(raw) {
        return Err(ReadProblem::new("", "is not a map"));
    }
    let map = MapView::new(raw);
    let part = |key: &[u8]| map.get(key).unwrap_or_default();
    let time = map.get(b"ts").ok_or(ReadProblem::new("ts", "is missing"))?;
    let time = fields::uint(time).at("ts")?;
    let hash = fields::uint(part(b"hash")).at("hash")?;
    // Points that differ in label names only have the same hash; what is written for it belongs
    // to one of them, so only the first one gets it.
    let extra = points.extras.remove(&(hash, time)).unwrap_or_default();
    let extra = Extra::read(extra).at("the entry of meta.external.otlp")?;
    let start = match map.get(b"start_ts") {
        Some(start) => fields::uint(start).at("start_ts")?,
        None => extra.start,
    };
    let metric = points.metric;
    match metric.kind {
        MetricType::Counter | MetricType::Gauge | MetricType::Untyped => number(out, map, &extra)?,
        MetricType::Histogram => {
            let value = part(b"histogram");
            let plain = points.shared.from_otlp;
            histogram(out, (metric, value, plain), &extra, (position, tally))?;
        }
        MetricType::Summary => summary(out, (metric, part(b"summary")), position, tally)?,
        MetricType::ExponentialHistogram => exponential(out, part(b"exp_histogram"), &extra)?,
    }
    let numbers = Numbers::of(metric.kind);
    labels(out, numbers.attributes, part(b"labels"), points, (position, tally))?;
    wire::nonzero64(out, 2, start);
    wire::nonzero64(out, 3, time);
    wire::nonzero(out, numbers.flags, extra.flags);
    if let Some(number) = numbers.exemplars {
        exemplars(out, number, extra.exemplars, position, tally);
    }
    Ok(())
}

/// Writes the value of a number's point: the integer if there is one, or the double.
fn number(out: &mut Vec<u8>, map: MapView<'_>, extra: &Extra<'_>) -> Result<(), ReadProblem> {
    if let Some(value) = map.get(b"value_int64") {
        wire::fixed64(out, 6, fields::int(value).at("value_int64")?.cast_unsigned());
        return Ok(());
    }
    if let Some(value) = map.get(b"value_uint64") {
        let value = fields::uint(value).at("value_uint64")?;
        match i64::try_from(value) {
            Ok(value) => wire::fixed64(out, 6, value.cast_unsigned()),
            Err(_) => wire::double(out, 4, value as f64),
        }
        return Ok(());
    }
    match map.get(b"value") {
        Some(value) => {
            let value = fields::double(value).at("value")?;
            match whole(value).filter(|_| extra.is_int) {
                Some(whole) => wire::fixed64(out, 6, whole.cast_unsigned()),
                None => wire::double(out, 4, value),
            }
            Ok(())
        }
        None if extra.flags & NO_RECORDED_VALUE != 0 => Ok(()),
        None => Err(ReadProblem::new("value", "is missing")),
    }
}

/// The integer that a double is, if it is one that doubles tell apart from its neighbours.
fn whole(value: f64) -> Option<i64> {
    let exact = value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0;
    #[expect(clippy::cast_possible_truncation, reason = "a whole number of at most 2^53")]
    exact.then_some(value as i64)
}

fn histogram(
    out: &mut Vec<u8>,
    (metric, value, plain): (&CmetricsMetric<'_>, &[u8], bool),
    extra: &Extra<'_>,
    (position, tally): (ReadPosition, &mut ReadTally),
) -> Result<(), ReadProblem> {
    if !fields::is_map(value) {
        return Err(ReadProblem::new("histogram", "is missing"));
    }
    let map = MapView::new(value);
    let part = |key: &[u8]| map.get(key).unwrap_or_default();
    let mut counts = counts(part(b"buckets")).at("histogram.buckets")?;
    let count = fields::uint(part(b"count")).at("histogram.count")?;
    wire::fixed64(out, 4, count);
    if extra.has_sum != Some(false)
        && let Some(sum) = map.get(b"sum")
    {
        wire::double(out, 5, fields::double(sum).at("histogram.sum")?);
    }
    let mut bounds = metric.buckets.as_slice();
    if counts.len() != bounds.len().saturating_add(1) {
        let what = "do not fit the metric's bounds; the point keeps count and sum";
        tally.skip(position, ReadProblem::new("histogram.buckets", what));
        (counts, bounds) = (Vec::new(), &[]);
    }
    if !plain {
        per_bucket(&mut counts, count);
    }
    // OTLP's last bucket has no bound; a bound "infinity" before it says the same.
    while let Some((&f64::INFINITY, finite)) = bounds.split_last() {
        let last = counts.pop().unwrap_or(0);
        if let Some(before) = counts.last_mut() {
            *before = before.saturating_add(last);
        }
        bounds = finite;
    }
    if extra.no_buckets && bounds.is_empty() {
        counts.clear();
    }
    wire::packed64(out, 6, counts.iter().copied());
    wire::packed64(out, 7, bounds.iter().map(|bound| bound.to_bits()));
    if let Some(min) = extra.min {
        wire::double(out, 11, min);
    }
    if let Some(max) = extra.max {
        wire::double(out, 12, max);
    }
    Ok(())
}

/// Turns cumulative bucket counts, as Prometheus has them, into counts per bucket. The counts tell
/// which they are: those per bucket add up to the count, cumulative ones grow up to it. Where both
/// are true both readings are the same. OTLP has counts per bucket alone, so that those that came in
/// by it are what they are, whatever they add up to.
fn per_bucket(counts: &mut [u64], count: u64) {
    let sum = counts.iter().try_fold(0_u64, |sum, &count| sum.checked_add(count));
    if sum == Some(count) || counts.last() != Some(&count) || !counts.is_sorted() {
        return;
    }
    let mut below = 0;
    for count in counts {
        let cumulative = *count;
        *count = cumulative.saturating_sub(below);
        below = cumulative;
    }
}

fn counts(list: &[u8]) -> Result<Vec<u64>, &'static str> {
    fields::list(list)?.map(fields::uint).collect()
}

fn summary(
    out: &mut Vec<u8>,
    (metric, value): (&CmetricsMetric<'_>, &[u8]),
    position: ReadPosition,
    tally: &mut ReadTally,
) -> Result<(), ReadProblem> {
    if !fields::is_map(value) {
        return Err(ReadProblem::new("summary", "is missing"));
    }
    let map = MapView::new(value);
    let part = |key: &[u8]| map.get(key).unwrap_or_default();
    wire::nonzero64(out, 4, fields::uint(part(b"count")).at("summary.count")?);
    let sum = fields::double_bits(part(b"sum")).at("summary.sum")?;
    wire::double(out, 5, sum);
    let set =
        map.get(b"quantiles_set").map(fields::uint).transpose().at("summary.quantiles_set")?;
    if set == Some(0) {
        return Ok(());
    }
    let values = fields::list(part(b"quantiles")).at("summary.quantiles")?;
    let values: Result<Vec<f64>, _> = values.map(fields::double_bits).collect();
    let values = values.at("summary.quantiles")?;
    if values.len() != metric.quantiles.len() {
        let what = "do not fit the metric's quantiles; those without a partner are lost";
        tally.skip(position, ReadProblem::new("summary.quantiles", what));
    }
    for (quantile, value) in metric.quantiles.iter().zip(values) {
        wire::message(out, 6, |out| {
            wire::double(out, 1, *quantile);
            wire::double(out, 2, value);
        });
    }
    Ok(())
}

fn exponential(out: &mut Vec<u8>, value: &[u8], extra: &Extra<'_>) -> Result<(), ReadProblem> {
    if !fields::is_map(value) {
        return Err(ReadProblem::new("exp_histogram", "is missing"));
    }
    let map = MapView::new(value);
    let part = |key: &[u8]| map.get(key).unwrap_or_default();
    wire::nonzero64(out, 4, fields::uint(part(b"count")).at("exp_histogram.count")?);
    let sum_set = map.get(b"sum_set").map(fields::uint).transpose().at("exp_histogram.sum_set")?;
    if extra.has_sum.unwrap_or(sum_set != Some(0))
        && let Some(sum) = map.get(b"sum")
    {
        wire::double(out, 5, fields::double_bits(sum).at("exp_histogram.sum")?);
    }
    wire::sint(out, 6, fields::int32(part(b"scale")).at("exp_histogram.scale")?);
    wire::nonzero64(out, 7, fields::uint(part(b"zero_count")).at("exp_histogram.zero_count")?);
    let positive = (part(b"positive_offset"), part(b"positive_buckets"));
    let negative = (part(b"negative_offset"), part(b"negative_buckets"));
    for (number, (offset, buckets)) in [(8, positive), (9, negative)] {
        let offset = fields::int32(offset).at("exp_histogram offset")?;
        let buckets = counts(buckets).at("exp_histogram buckets")?;
        if offset != 0 || !buckets.is_empty() {
            wire::message(out, number, |out| {
                wire::sint(out, 1, offset);
                wire::message(out, 2, |out| {
                    buckets.iter().for_each(|&count| wire::varint(out, count));
                });
            });
        }
    }
    if let Some(min) = extra.min {
        wire::double(out, 12, min);
    }
    if let Some(max) = extra.max {
        wire::double(out, 13, max);
    }
    if let Some(threshold) = map.get(b"zero_threshold") {
        wire::double(out, 14, fields::double(threshold).at("exp_histogram.zero_threshold")?);
    }
    Ok(())
}

/// Writes the point's labels and the static ones. A label that is nil is not there, and neither is
/// one that is empty where the metrics are Prometheus's: its data model, section "Metric names and
/// labels", says that both are the same.
fn labels(
    out: &mut Vec<u8>,
    number: u32,
    list: &[u8],
    points: &MetricPoints<'_, '_>,
    (position, tally): (ReadPosition, &mut ReadTally),
) -> Result<(), ReadProblem> {
    let mut names = points.metric.labels.iter();
    let mut given: Vec<&[u8]> = Vec::new();
    for value in fields::list(list).at("labels")? {
        let name = names.next();
        if matches!(value, [0xc0]) {
            continue;
        }
        let Some(Some(name)) = name else {
            tally.skip(
                position,
                ReadProblem::new("labels", "has a label that the metric does not name"),
            );
            continue;
        };
        match fields::text(value) {
            Ok([]) if !points.shared.from_otlp => {}
            Ok(text) => {
                values::text_attribute(out, number, name, text);
                given.push(name);
            }
            Err(what) => tally.skip(position, ReadProblem::new("labels", what)),
        }
    }
    for (name, text) in &points.shared.static_labels {
        if !given.contains(name) {
            values::text_attribute(out, number, name, text);
        }
    }
    Ok(())
}

fn exemplars(
    out: &mut Vec<u8>,
    number: u32,
    list: &[u8],
    position: ReadPosition,
    tally: &mut ReadTally,
) {
    let items = match fields::list(list).at("exemplars") {
        Ok(items) => items,
        Err(bad) => return tally.skip(position, bad),
    };
    for (index, raw) in items.enumerate() {
        let position = position.with("exemplars", index);
        let known = wire::try_message(out, number, |out| {
            match message::write(out, EXEMPLAR, raw, position, tally)? {
                0 => Err(ReadProblem::new("", "is not an exemplar")),
                _ => Ok(()),
            }
        });
        if let Err(bad) = known {
            tally.skip(position, bad);
        }
    }
}
