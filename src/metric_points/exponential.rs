//! The value of a histogram's point with exponential buckets.
//!
//! OpenTelemetry metrics data model, "ExponentialHistogram": the bucket with index i at scale s and that with
//! index i >> 1 at scale s - 1 begin at the same bound or before, so that scales fall without loss of counts.

use super::totals::Totals;
use crate::codec::wire::{self, NestedMessage, WireError, WireField, WireFields, WireValue};

/// The most buckets of one sign that two points together get before their scale falls, by the SDK
/// specification, "Base2 Exponential Bucket Histogram Aggregation"; more where one of them has more.
const MAX_BUCKETS: usize = 160;

/// `ExponentialHistogramDataPoint`, as far as it counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Exponential {
    totals: Totals,
    scale: i32,
    zero_count: u64,
    zero_threshold: f64,
    positive: Buckets,
    negative: Buckets,
}

/// `ExponentialHistogramDataPoint.Buckets`.
#[derive(Debug, Clone, PartialEq, Default)]
struct Buckets {
    offset: i32,
    counts: Vec<u64>,
}

/// A number of the type `sint32`.
fn sint32(value: u64) -> i32 {
    let unsigned = u32::try_from(value & u64::from(u32::MAX)).unwrap_or(0);
    (unsigned >> 1).cast_signed() ^ -(unsigned & 1).cast_signed()
}

impl Buckets {
    fn read(&mut self, message: &[u8]) -> Result<(), WireError> {
        let mut fields = WireFields::new(message);
        while let Some(field) = fields.read()? {
            match (field.number, field.value) {
                (1, WireValue::Varint(offset)) => self.offset = sint32(offset),
                (2, WireValue::Varint(count)) => self.counts.push(count),
                (2, WireValue::Bytes(packed)) => {
                    let mut packed = WireFields::new(packed);
                    while !packed.rest().is_empty() {
                        self.counts.push(packed.varint()?);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The first index and the one behind the last.
    fn range(&self) -> Option<(i64, i64)> {
        let first = i64::from(self.offset);
        let length = i64::try_from(self.counts.len()).ok().filter(|length| *length > 0)?;
        Some((first, first.saturating_add(length)))
    }

    /// The number of buckets from the first of either to the last.
    fn span(&self, other: &Self, shift: u32) -> usize {
        let shifted = |buckets: &Self| {
            let (first, end) = buckets.range()?;
            Some((first >> shift, ((end - 1) >> shift) + 1))
        };
        let (first, end) = match (shifted(self), shifted(other)) {
            (Some(one), Some(other)) => (one.0.min(other.0), one.1.max(other.1)),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return 0,
        };
        usize::try_from(end.saturating_sub(first)).unwrap_or(usize::MAX)
    }

    /// The same counts with a scale that is lower by `shift`.
    fn shifted(&self, shift: u32) -> Self {
        let Some((first, _)) = self.range().filter(|_| shift > 0) else { return self.clone() };
        let offset = first >> shift;
        let mut counts: Vec<u64> = Vec::with_capacity((self.counts.len() >> shift) + 2);
        for (index, count) in (first..).zip(&self.counts) {
            let slot = usize::try_from((index >> shift) - offset).unwrap_or(0);
            if slot >= counts.len() {
                counts.push(0);
            }
            if let Some(bucket) = counts.get_mut(slot) {
                *bucket = bucket.saturating_add(*count);
            }
        }
        Self { offset: i32::try_from(offset).unwrap_or(0), counts }
    }

    fn add(&mut self, other: &Self) {
        let Some((other_first, _)) = other.range() else { return };
        let span = self.span(other, 0);
        let first = self.range().map_or(other_first, |(first, _)| first.min(other_first));
        let mut counts = vec![0_u64; span];
        for (from, of) in [(i64::from(self.offset), &self.counts), (other_first, &other.counts)] {
            let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(0);
            for (sum, count) in counts.iter_mut().skip(skip).zip(of) {
                *sum = sum.saturating_add(*count);
            }
        }
        *self = Self { offset: i32::try_from(first).unwrap_or(0), counts };
    }

    fn since(&self, earlier: &Self) -> Option<Self> {
        let mut counts = self.counts.clone();
        let first = i64::from(self.offset);
        for (index, before) in (i64::from(earlier.offset)..).zip(&earlier.counts) {
            if *before == 0 {
                continue;
            }
            let slot = usize::try_from(index.saturating_sub(first)).ok()?;
            let count = counts.get_mut(slot)?;
            *count = count.checked_sub(*before)?;
        }
        let empty = counts.iter().take_while(|count| **count == 0).count();
        let end = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
        let offset = i32::try_from(first + i64::try_from(empty).ok()?).unwrap_or(0);
        let counts = counts.get(empty..end).unwrap_or_default().to_vec();
        Some(Self { offset: if counts.is_empty() { 0 } else { offset }, counts })
    }

    fn write(&self, field: u32, out: &mut Vec<u8>) {
        if self.counts.is_empty() {
            return;
        }
        wire::message(out, field, |out| {
            wire::sint(out, 1, self.offset.into());
            let packed = NestedMessage::open(out, 2, self.counts.len());
            self.counts.iter().for_each(|count| wire::varint(out, *count));
            packed.close(out);
        });
    }
}

impl Exponential {
    /// Whether a field of a point is part of its value.
    pub(super) const fn has_field(number: u32) -> bool {
        matches!(number, 4..=9 | 12..=14)
    }

    /// Takes what a field of a point says.
    ///
    /// # Errors
    /// The buckets cannot be read.
    pub(super) fn read(&mut self, field: &WireField<'_>) -> Result<(), WireError> {
        match (field.number, field.value) {
            (4, WireValue::Fixed64(count)) => self.totals.count = count,
            (5, WireValue::Fixed64(bits)) => self.totals.sum = Some(f64::from_bits(bits)),
            (6, WireValue::Varint(scale)) => self.scale = sint32(scale),
            (7, WireValue::Fixed64(count)) => self.zero_count = count,
            (8, WireValue::Bytes(buckets)) => self.positive.read(buckets)?,
            (9, WireValue::Bytes(buckets)) => self.negative.read(buckets)?,
            (12, WireValue::Fixed64(bits)) => self.totals.min = Some(f64::from_bits(bits)),
            (13, WireValue::Fixed64(bits)) => self.totals.max = Some(f64::from_bits(bits)),
            (14, WireValue::Fixed64(bits)) => self.zero_threshold = f64::from_bits(bits),
            _ => {}
        }
        Ok(())
    }

    /// The bytes of its buckets.
    pub(super) const fn size(&self) -> usize {
        (self.positive.counts.len() + self.negative.counts.len()) * size_of::<u64>()
    }

    fn has_zero_of(&self, other: &Self) -> bool {
        self.zero_threshold.to_bits() == other.zero_threshold.to_bits()
    }

    /// How far the scale of this one lies above another.
    fn above(&self, scale: i32) -> u32 {
        u32::try_from(i64::from(self.scale) - i64::from(scale)).unwrap_or(0).min(63)
    }

    fn fall_by(&mut self, shift: u32) {
        if shift > 0 {
            self.positive = self.positive.shifted(shift);
            self.negative = self.negative.shifted(shift);
            self.scale = self.scale.saturating_sub_unsigned(shift);
        }
    }

    /// Adds what another one counts; false where that one has another threshold of zero.
    pub(super) fn add(&mut self, other: &Self) -> bool {
        if !self.has_zero_of(other) {
            return false;
        }
        let mut other = other.clone();
        let scale = self.scale.min(other.scale);
        self.fall_by(self.above(scale));
        other.fall_by(other.above(scale));
        let lengths = [&self.positive, &self.negative, &other.positive, &other.negative];
        let most = lengths.iter().map(|buckets| buckets.counts.len()).fold(MAX_BUCKETS, usize::max);
        let fits = |shift: &u32| {
            self.positive.span(&other.positive, *shift) <= most
                && self.negative.span(&other.negative, *shift) <= most
        };
        let shift = (0..63).find(fits).unwrap_or(0);
        self.fall_by(shift);
        other.fall_by(shift);
        self.positive.add(&other.positive);
        self.negative.add(&other.negative);
        self.zero_count = self.zero_count.saturating_add(other.zero_count);
        self.totals = self.totals.plus(&other.totals);
        true
    }

    /// What was counted since `earlier`; `None` where a count fell, or the scale rose.
    pub(super) fn since(&self, earlier: &Self) -> Option<Self> {
        if !self.has_zero_of(earlier) || self.scale > earlier.scale {
            return None;
        }
        let mut earlier = earlier.clone();
        earlier.fall_by(earlier.above(self.scale));
        Some(Self {
            totals: self.totals.since(&earlier.totals)?,
            scale: self.scale,
            zero_count: self.zero_count.checked_sub(earlier.zero_count)?,
            zero_threshold: self.zero_threshold,
            positive: self.positive.since(&earlier.positive)?,
            negative: self.negative.since(&earlier.negative)?,
        })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.totals.write(12, 13, out);
        wire::sint(out, 6, self.scale.into());
        wire::nonzero64(out, 7, self.zero_count);
        self.positive.write(8, out);
        self.negative.write(9, out);
        if self.zero_threshold != 0.0 {
            wire::double(out, 14, self.zero_threshold);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(scale: i32, offset: i32, counts: &[u64]) -> Exponential {
        let count = counts.iter().sum();
        let totals = Totals { count, sum: Some(1.0), ..Totals::default() };
        let positive = Buckets { offset, counts: counts.to_vec() };
        Exponential { totals, scale, positive, ..Exponential::default() }
    }

    #[test]
    fn numbers_with_a_sign() {
        for value in [0, -1, 1, i32::MIN, i32::MAX, 77] {
            assert_eq!(sint32(wire::zigzag(value.into())), value);
        }
    }

    #[test]
    fn the_lower_scale_counts() {
        let mut sum = of(1, -3, &[1, 2, 4, 8]);
        assert!(sum.add(&of(0, 0, &[5])));
        // -3 -> -2, -2 and -1 -> -1, 0 -> 0.
        assert_eq!((sum.scale, sum.positive.offset), (0, -2));
        assert_eq!(sum.positive.counts, [1, 6, 13]);
        assert_eq!(sum.totals.count, 20);
        assert_eq!(sum.totals.sum, Some(2.0));
    }

    #[test]
    fn the_scale_falls_until_the_buckets_fit() {
        let mut sum = of(20, 0, &[1]);
        assert!(sum.add(&of(20, 1_000_000, &[1])));
        assert!(sum.positive.counts.len() <= MAX_BUCKETS, "{}", sum.positive.counts.len());
        assert_eq!(sum.positive.counts.iter().sum::<u64>(), 2);
        let mut ends = of(i32::MIN, i32::MIN, &[1]);
        assert!(ends.add(&of(i32::MIN, i32::MAX, &[1, 1])));
        assert_eq!(ends.positive.counts.iter().sum::<u64>(), 3);
    }

    #[test]
    fn the_difference_is_at_the_scale_of_now() {
        let before = of(1, -3, &[1, 2, 4, 8]);
        let mut now = before.clone();
        now.add(&of(0, 1, &[7]));
        let added = now.since(&before).unwrap();
        assert_eq!((added.scale, added.positive), (0, Buckets { offset: 1, counts: vec![7] }));
        assert_eq!(before.since(&now), None);
        assert_eq!(of(0, 0, &[1]).since(&of(0, 0, &[2])), None);
        assert_eq!(of(0, 0, &[1]).since(&of(0, 5, &[1])), None);
    }
}
