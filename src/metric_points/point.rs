//! A metric's data point: what it counts, and from when to when.

use super::exponential::Exponential;
use super::histogram::Histogram;
use super::number::Number;
use crate::codec::wire::{self, WireError, WireFields, WireValue};

/// The kinds of metrics that have a temporality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PointKind {
    Number,
    Histogram,
    Exponential,
}

/// What a point counts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PointValue {
    Number(Number),
    Histogram(Histogram),
    Exponential(Exponential),
}

/// A data point. Times are Unix nanoseconds, 0 if unknown.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    pub(super) start: u64,
    pub(super) time: u64,
    /// The sum, order of the attributes apart, of their hashes.
    pub(super) attributes: u128,
    /// `None` where it says that there is none.
    pub(super) value: Option<PointValue>,
}

/// `DataPointFlags.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK`.
const NO_RECORDED_VALUE: u64 = 1;

impl PointKind {
    /// That of the field of `Metric` that has the data.
    pub(super) const fn of_field(number: u32) -> Option<Self> {
        match number {
            7 => Some(Self::Number),
            9 => Some(Self::Histogram),
            10 => Some(Self::Exponential),
            _ => None,
        }
    }

    const fn attributes_field(self) -> u32 {
        match self {
            Self::Number => 7,
            Self::Histogram => 9,
            Self::Exponential => 1,
        }
    }

    const fn flags_field(self) -> u32 {
        match self {
            Self::Number => 8,
            Self::Histogram | Self::Exponential => 10,
        }
    }

    pub(super) const fn has_value_in(self, field: u32) -> bool {
        match self {
            Self::Number => matches!(field, 4 | 6),
            Self::Histogram => Histogram::has_field(field),
            Self::Exponential => Exponential::has_field(field),
        }
    }
}

/// The sum of the hashes of the elements of a list, whose order does not count.
pub(super) fn unordered(message: &[u8], field: u32) -> Result<u128, WireError> {
    let mut sum = 0_u128;
    wire::each(message, field, |element| {
        sum = sum.wrapping_add(xxhash_rust::xxh3::xxh3_128(element));
        Ok(())
    })?;
    Ok(sum)
}

impl Point {
    /// Reads an encoded point.
    pub(super) fn read(kind: PointKind, encoded: &[u8]) -> Result<Self, WireError> {
        let attributes = unordered(encoded, kind.attributes_field())?;
        let mut point = Self { start: 0, time: 0, attributes, value: None };
        let mut value = match kind {
            PointKind::Number => PointValue::Number(Number::Int(0)),
            PointKind::Histogram => PointValue::Histogram(Histogram::default()),
            PointKind::Exponential => PointValue::Exponential(Exponential::default()),
        };
        let mut is_recorded = true;
        let mut fields = WireFields::new(encoded);
        while let Some(field) = fields.read()? {
            match (field.number, field.value) {
                (2, WireValue::Fixed64(start)) => point.start = start,
                (3, WireValue::Fixed64(time)) => point.time = time,
                (number, WireValue::Varint(flags)) if number == kind.flags_field() => {
                    is_recorded = flags & NO_RECORDED_VALUE == 0;
                }
                (number, _) if kind.has_value_in(number) => match &mut value {
                    PointValue::Number(known) => *known = Number::of(&field).unwrap_or(*known),
                    PointValue::Histogram(histogram) => histogram.read(&field),
                    PointValue::Exponential(histogram) => histogram.read(&field)?,
                },
                _ => {}
            }
        }
        point.value = is_recorded.then_some(value);
        Ok(point)
    }
}

/// Writes the fields of an encoded point with another start and value.
pub(super) fn write(
    kind: PointKind,
    encoded: &[u8],
    start: u64,
    value: &PointValue,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    wire::nonzero64(out, 2, start);
    let mut fields = WireFields::new(encoded);
    while let Some(field) = fields.read()? {
        if field.number != 2 && !kind.has_value_in(field.number) {
            out.extend_from_slice(field.raw);
        }
    }
    value.write(out);
    Ok(())
}

impl PointValue {
    /// Writes the fields of a point that have its value.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Number(number) => number.write(out),
            Self::Histogram(histogram) => histogram.write(out),
            Self::Exponential(histogram) => histogram.write(out),
        }
    }

    /// The bytes that it holds elsewhere.
    pub(super) const fn size(&self) -> usize {
        match self {
            Self::Number(_) => 0,
            Self::Histogram(histogram) => histogram.size(),
            Self::Exponential(histogram) => histogram.size(),
        }
    }

    /// Adds what another one counts; false where the two cannot be added.
    pub(super) fn add(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(sum), Self::Number(added)) => {
                *sum = sum.plus(*added);
                true
            }
            (Self::Histogram(sum), Self::Histogram(added)) => sum.add(added),
            (Self::Exponential(sum), Self::Exponential(added)) => sum.add(added),
            _ => false,
        }
    }

    /// What was counted since `earlier`; `None` where it began anew.
    pub(super) fn since(&self, earlier: &Self) -> Option<Self> {
        match (self, earlier) {
            (Self::Number(now), Self::Number(before)) => now.since(*before).map(Self::Number),
            (Self::Histogram(now), Self::Histogram(before)) => {
                now.since(before).map(Self::Histogram)
            }
            (Self::Exponential(now), Self::Exponential(before)) => {
                now.since(before).map(Self::Exponential)
            }
            _ => None,
        }
    }
}
