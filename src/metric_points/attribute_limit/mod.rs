//! Attribute limit: an attribute of a metric gets so many values, and one more that stands for all others.
//!
//! An attribute whose values never repeat (an id, a request's text) makes a series of each point, which backends
//! keep, and bill, for weeks. What such points say beside it is added up.

use std::collections::{HashMap, HashSet};

use super::metric::{self, MetricHead, hash};
use super::point::{Point, PointKind, PointValue};
use crate::codec::wire::{self, WireError, WireField, WireFields, WireValue};

/// The value that stands for all others, as in `error.type` of the semantic conventions.
const OTHER: &str = "_OTHER";

/// The most values that are remembered of all attributes together.
const MAX_REMEMBERED: usize = 1_000_000;

/// The values of one attribute of a metric, of one resource and scope.
#[derive(Debug, Default)]
struct KnownValues {
    hashes: HashSet<u64, foldhash::fast::RandomState>,
    /// The request that it was in last, by number.
    seen: u64,
    /// There were more.
    has_more: bool,
}

/// A request with bounded attributes, and what became of its points.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitedRequest {
    /// The encoded request.
    pub request: Vec<u8>,
    /// Data points in it.
    pub points: usize,
    /// Points that are in others now.
    pub merged: usize,
    /// Metrics and attributes that had too many values for the first time.
    pub exceeded: Vec<(String, String)>,
}

/// Limits one request after the other.
#[derive(Debug)]
pub struct AttributeLimiter {
    max_values: usize,
    known: HashMap<u128, KnownValues, foldhash::fast::RandomState>,
    remembered: usize,
    requests: u64,
}

/// The field of a point that has its attributes, by the field of the metric's data.
const fn attributes_field(data: u32) -> u32 {
    match data {
        9 => 9,
        10 => 1,
        _ => 7,
    }
}

/// Key and value of an encoded attribute.
fn pair(attribute: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut key, mut value) = (&[][..], &[][..]);
    let mut fields = WireFields::new(attribute);
    while let Some(field) = fields.read()? {
        match (field.number, field.value) {
            (1, WireValue::Bytes(bytes)) => key = bytes,
            (2, WireValue::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Points that differ in nothing but values beyond the limit, as one.
struct MergedPoint<'a> {
    /// The latest of them.
    encoded: &'a [u8],
    attributes: Vec<u8>,
    start: u64,
    time: u64,
    /// Of kinds that can be added.
    value: Option<PointValue>,
}

impl<'a> MergedPoint<'a> {
    fn read(data: u32, encoded: &'a [u8], attributes: Vec<u8>) -> Result<Self, WireError> {
        // Gauges have the points of sums; the last value is what they say.
        let kind = PointKind::of_field(if data == 5 { 7 } else { data });
        let mut merged = Self { encoded, attributes, start: 0, time: 0, value: None };
        if let Some(kind) = kind {
            let Point { start, time, value, .. } = Point::read(kind, encoded)?;
            (merged.start, merged.time) = (start, time);
            merged.value = value.filter(|_| data != 5);
        }
        Ok(merged)
    }

    fn merge(&mut self, other: Self) {
        if let (Some(sum), Some(added)) = (&mut self.value, &other.value)
            && sum.add(added)
        {
            self.start = match (self.start, other.start) {
                (0, start) | (start, 0) => start,
                (one, other) => one.min(other),
            };
            self.time = self.time.max(other.time);
        } else if other.time >= self.time {
            *self = other;
        }
    }

    fn write(&self, data: u32, out: &mut Vec<u8>) -> Result<(), WireError> {
        let kind = PointKind::of_field(data);
        let is_written = |field: &WireField<'_>| {
            let is_value = kind.is_some_and(|kind| kind.has_value_in(field.number));
            field.number == attributes_field(data)
                || (self.value.is_some() && (matches!(field.number, 2 | 3) || is_value))
        };
        out.extend_from_slice(&self.attributes);
        let mut fields = WireFields::new(self.encoded);
        while let Some(field) = fields.read()? {
            if !is_written(&field) {
                out.extend_from_slice(field.raw);
            }
        }
        if let Some(value) = &self.value {
            wire::nonzero64(out, 2, self.start);
            wire::nonzero64(out, 3, self.time);
            value.write(out);
        }
        Ok(())
    }
}

/// The merged points of a metric by their attributes, in the order in which they came.
#[derive(Default)]
struct MergedPoints<'a> {
    all: Vec<MergedPoint<'a>>,
    by_attributes: HashMap<u128, usize, foldhash::fast::RandomState>,
}

impl<'a> MergedPoints<'a> {
    /// Adds a point; whether it is in another one now.
    fn add(&mut self, attributes: u128, point: MergedPoint<'a>) -> bool {
        let next = self.all.len();
        let at = *self.by_attributes.entry(attributes).or_insert(next);
        match self.all.get_mut(at) {
            Some(known) => {
                known.merge(point);
                true
            }
            None => {
                self.all.push(point);
                false
            }
        }
    }
}

impl AttributeLimiter {
    /// A limiter that gives each attribute of a metric, of one resource and scope, `max_values` values and one more.
    #[must_use]
    pub fn new(max_values: usize) -> Self {
        Self { max_values, known: HashMap::default(), remembered: 0, requests: 0 }
    }

    /// Limits the attributes of an encoded `ExportMetricsServiceRequest`; `None` if it goes as it is.
    ///
    /// # Errors
    /// The request is broken.
    pub fn limit(&mut self, request: &[u8]) -> Result<Option<LimitedRequest>, WireError> {
        self.requests = self.requests.saturating_add(1);
        let mut limited = LimitedRequest::default();
        let mut out = Vec::with_capacity(request.len());
        metric::rewrite(request, &mut out, &mut |scope, metric, out| {
            let head = MetricHead::read(metric)?;
            metric::fields(metric, head.data, out, &mut |data, out| {
                self.points(scope, &head, data, &mut limited, out)?;
                Ok(true)
            })?;
            Ok(true)
        })?;
        self.make_room();
        limited.request = out;
        Ok((limited.request.len() != request.len() || limited.merged > 0).then_some(limited))
    }

    /// Writes the fields of a metric's data.
    fn points(
        &mut self,
        scope: u128,
        head: &MetricHead<'_>,
        data: &[u8],
        limited: &mut LimitedRequest,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let metric = hash(&[&scope.to_le_bytes(), head.name]);
        let mut merged = MergedPoints::default();
        let mut fields = WireFields::new(data);
        while let Some(field) = fields.read()? {
            let WireValue::Bytes(encoded) = field.value else {
                out.extend_from_slice(field.raw);
                continue;
            };
            if field.number != 1 {
                out.extend_from_slice(field.raw);
                continue;
            }
            match self.attributes(metric, head, encoded, &mut limited.exceeded)? {
                None => {
                    limited.points = limited.points.saturating_add(1);
                    out.extend_from_slice(field.raw);
                }
                Some((attributes, key)) => {
                    let point = MergedPoint::read(head.data, encoded, attributes)?;
                    if merged.add(key, point) {
                        limited.merged = limited.merged.saturating_add(1);
                    }
                }
            }
        }
        limited.points = limited.points.saturating_add(merged.all.len());
        for point in &merged.all {
            wire::try_message(out, 1, |out| point.write(head.data, out))?;
        }
        Ok(())
    }

    /// The encoded attributes of a point and what stands for them, where any has a value beyond the limit.
    fn attributes(
        &mut self,
        metric: u128,
        head: &MetricHead<'_>,
        point: &[u8],
        exceeded: &mut Vec<(String, String)>,
    ) -> Result<Option<(Vec<u8>, u128)>, WireError> {
        let number = attributes_field(head.data);
        let (mut attributes, mut changed) = (Vec::new(), false);
        wire::each(point, number, |attribute| {
            let (key, value) = pair(attribute)?;
            if self.is_known(metric, head.name, (key, value), exceeded) {
                wire::bytes(&mut attributes, number, attribute);
            } else {
                changed = true;
                wire::message(&mut attributes, number, |out| {
                    wire::bytes(out, 1, key);
                    wire::message(out, 2, |out| wire::text(out, 1, OTHER.as_bytes()));
                });
            }
            Ok(())
        })?;
        if !changed {
            return Ok(None);
        }
        let key = super::point::unordered(&attributes, number)?;
        Ok(Some((attributes, key)))
    }

    /// Whether a value is one of those that an attribute gets.
    fn is_known(
        &mut self,
        metric: u128,
        name: &[u8],
        (key, value): (&[u8], &[u8]),
        exceeded: &mut Vec<(String, String)>,
    ) -> bool {
        let known = self.known.entry(hash(&[&metric.to_le_bytes(), key])).or_default();
        known.seen = self.requests;
        let value = xxhash_rust::xxh3::xxh3_64(value);
        if known.hashes.contains(&value) {
            return true;
        }
        if known.hashes.len() < self.max_values {
            known.hashes.insert(value);
            self.remembered = self.remembered.saturating_add(1);
            return true;
        }
        if !std::mem::replace(&mut known.has_more, true) {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            exceeded.push((text(name), text(key)));
        }
        false
    }

    /// Forgets the attributes that were not seen for longest, if too many values are remembered.
    fn make_room(&mut self) {
        if self.remembered <= MAX_REMEMBERED {
            return;
        }
        let mut by_use: Vec<(u64, u128)> =
            self.known.iter().map(|(key, known)| (known.seen, *key)).collect();
        by_use.sort_unstable();
        for (_, key) in by_use {
            if self.remembered <= MAX_REMEMBERED / 4 * 3 {
                break;
            }
            let gone = self.known.remove(&key).map_or(0, |known| known.hashes.len());
            self.remembered = self.remembered.saturating_sub(gone);
        }
    }
}

#[cfg(test)]
mod tests;
