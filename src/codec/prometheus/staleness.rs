//! Staleness: series that were on the page before and are not on this one, as points without a value, as Prometheus marks
//! them and OTLP has it (flag `NO_RECORDED_VALUE`).

use std::collections::HashMap;

use super::label_key;
use crate::codec::wire::{self, WireError, WireFields, WireValue};

/// The bit in the flags of a point that says that it has no value.
const NO_RECORDED_VALUE: u64 = 1;

/// An encoded request of one page, and when the page was asked for.
#[derive(Debug, Default)]
pub struct LastPage {
    request: Vec<u8>,
    unix_nanos: u64,
}

impl LastPage {
    /// Appends points without value for the series that this page had and `current`, the request of the next one, has
    /// not; and becomes that one. Points that say their time themselves are left out, as such are not scraped now. Says
    /// how many points there are.
    ///
    /// # Errors
    /// A request is broken; then nothing is appended.
    pub fn replace(
        &mut self,
        current: &[u8],
        unix_nanos: u64,
        out: &mut Vec<u8>,
    ) -> Result<usize, WireError> {
        let written = stale_points(self, current, unix_nanos, out);
        self.request.clear();
        self.request.extend_from_slice(current);
        self.unix_nanos = unix_nanos;
        written
    }
}

fn stale_points(
    last: &LastPage,
    current: &[u8],
    unix_nanos: u64,
    out: &mut Vec<u8>,
) -> Result<usize, WireError> {
    if last.request.is_empty() {
        return Ok(0);
    }
    let mut known: HashMap<u128, usize> = HashMap::new();
    for_each(current, 1, |resource| {
        for_each(resource, 2, |scope| {
            let seed = label_key::of_text(field(scope, 1)?);
            for_each(scope, 2, |metric| {
                let Some(metric) = MetricParts::of(metric, seed)? else { return Ok(()) };
                for_each(metric.data, 1, |point| {
                    known.insert(metric.key_of(point)?, 0);
                    Ok(())
                })
            })
        })
    })?;
    let (mut count, mut all) = (0, Vec::new());
    for_each(&last.request, 1, |resource| {
        let mut scopes = Vec::new();
        for_each(resource, 2, |scope| {
            let instrumentation = field(scope, 1)?;
            let seed = label_key::of_text(instrumentation);
            let mut metrics = Vec::new();
            for_each(scope, 2, |metric| {
                let Some(parts) = MetricParts::of(metric, seed)? else { return Ok(()) };
                let mut points = Vec::new();
                for_each(parts.data, 1, |point| {
                    let is_gone = !known.contains_key(&parts.key_of(point)?);
                    if is_gone && time_of(point)? == last.unix_nanos {
                        count += 1;
                        parts.write_stale(point, unix_nanos, &mut points)?;
                    }
                    Ok(())
                })?;
                if points.is_empty() { Ok(()) } else { parts.write(metric, &points, &mut metrics) }
            })?;
            if !metrics.is_empty() {
                wire::message(&mut scopes, 2, |out| {
                    wire::bytes(out, 1, instrumentation);
                    out.extend_from_slice(&metrics);
                });
            }
            Ok(())
        })?;
        if !scopes.is_empty() {
            let origin = field(resource, 1)?;
            wire::message(&mut all, 1, |out| {
                wire::bytes(out, 1, origin);
                out.extend_from_slice(&scopes);
            });
        }
        Ok(())
    })?;
    out.extend_from_slice(&all);
    Ok(count)
}

/// Calls `each` with the messages in fields of this number.
fn for_each(
    message: &[u8],
    number: u32,
    mut each: impl FnMut(&[u8]) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let mut fields = WireFields::new(message);
    while let Some(field) = fields.read()? {
        if let (true, WireValue::Bytes(bytes)) = (field.number == number, field.value) {
            each(bytes)?;
        }
    }
    Ok(())
}

/// The bytes of the last field of this number; empty if there is none.
fn field(message: &[u8], number: u32) -> Result<&[u8], WireError> {
    let mut found: &[u8] = &[];
    let mut fields = WireFields::new(message);
    while let Some(field) = fields.read()? {
        if let (true, WireValue::Bytes(bytes)) = (field.number == number, field.value) {
            found = bytes;
        }
    }
    Ok(found)
}

fn time_of(point: &[u8]) -> Result<u64, WireError> {
    let mut time = 0;
    let mut fields = WireFields::new(point);
    while let Some(field) = fields.read()? {
        if let (3, WireValue::Fixed64(value)) = (field.number, field.value) {
            time = value;
        }
    }
    Ok(time)
}

/// What of a metric tells its series apart.
struct MetricParts<'p> {
    /// Stands for the scope, the name and the kind.
    seed: u128,
    /// The field that has the data.
    kind: u32,
    data: &'p [u8],
}

impl<'p> MetricParts<'p> {
    fn of(metric: &'p [u8], scope: u128) -> Result<Option<Self>, WireError> {
        let (mut name, mut data): (&[u8], _) = (&[], None);
        let mut fields = WireFields::new(metric);
        while let Some(field) = fields.read()? {
            match (field.number, field.value) {
                (1, WireValue::Bytes(bytes)) => name = bytes,
                (kind @ (5 | 7 | 9 | 11), WireValue::Bytes(bytes)) => data = Some((kind, bytes)),
                _ => {}
            }
        }
        let seed = scope.wrapping_add(label_key::of_text(name));
        Ok(data.map(|(kind, data)| Self { seed: seed.wrapping_add(kind.into()), kind, data }))
    }

    const fn attributes_field(&self) -> u32 {
        if self.kind == 9 { 9 } else { 7 }
    }

    const fn flags_field(&self) -> u32 {
        if self.kind == 9 { 10 } else { 8 }
    }

    /// Stands for the series of a point.
    fn key_of(&self, point: &[u8]) -> Result<u128, WireError> {
        let mut key = self.seed;
        for_each(point, self.attributes_field(), |pair| {
            key = key.wrapping_add(label_key::of_text(pair));
            Ok(())
        })?;
        Ok(key)
    }

    /// Writes a point as one that has no value.
    fn write_stale(&self, point: &[u8], time: u64, out: &mut Vec<u8>) -> Result<(), WireError> {
        let mut kept = Vec::new();
        let mut fields = WireFields::new(point);
        while let Some(field) = fields.read()? {
            if field.number == 2 || field.number == self.attributes_field() {
                kept.extend_from_slice(field.raw);
            }
        }
        wire::message(out, 1, |out| {
            out.extend_from_slice(&kept);
            wire::fixed64(out, 3, time);
            wire::uint(out, self.flags_field(), NO_RECORDED_VALUE);
        });
        Ok(())
    }

    /// Writes the metric with other points.
    fn write(&self, metric: &[u8], points: &[u8], out: &mut Vec<u8>) -> Result<(), WireError> {
        let head = others(metric, self.kind)?;
        let settings = others(self.data, 1)?;
        wire::message(out, 2, |out| {
            out.extend_from_slice(&head);
            wire::message(out, self.kind, |out| {
                out.extend_from_slice(points);
                out.extend_from_slice(&settings);
            });
        });
        Ok(())
    }
}

/// The fields of a message that have other numbers.
fn others(message: &[u8], number: u32) -> Result<Vec<u8>, WireError> {
    let mut out = Vec::new();
    let mut fields = WireFields::new(message);
    while let Some(field) = fields.read()? {
        if field.number != number {
            out.extend_from_slice(field.raw);
        }
    }
    Ok(out)
}
