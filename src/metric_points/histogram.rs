//! The value of a histogram's point with explicit bounds.

use super::totals::Totals;
use crate::codec::wire::{self, WireField, WireValue};

/// `HistogramDataPoint`, as far as it counts.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Histogram {
    totals: Totals,
    /// The bits of the bounds.
    bounds: Vec<u64>,
    counts: Vec<u64>,
}

/// Numbers of eight bytes, packed or one by one.
fn read_fixed64(value: WireValue<'_>, into: &mut Vec<u64>) {
    match value {
        WireValue::Bytes(packed) => {
            let (numbers, _) = packed.as_chunks::<8>();
            into.extend(numbers.iter().map(|number| u64::from_le_bytes(*number)));
        }
        WireValue::Fixed64(one) => into.push(one),
        _ => {}
    }
}

impl Histogram {
    /// Whether a field of a point is part of its value.
    pub(super) const fn has_field(number: u32) -> bool {
        matches!(number, 4..=7 | 11 | 12)
    }

    /// Takes what a field of a point says.
    pub(super) fn read(&mut self, field: &WireField<'_>) {
        match (field.number, field.value) {
            (4, WireValue::Fixed64(count)) => self.totals.count = count,
            (5, WireValue::Fixed64(bits)) => self.totals.sum = Some(f64::from_bits(bits)),
            (11, WireValue::Fixed64(bits)) => self.totals.min = Some(f64::from_bits(bits)),
            (12, WireValue::Fixed64(bits)) => self.totals.max = Some(f64::from_bits(bits)),
            (6, value) => read_fixed64(value, &mut self.counts),
            (7, value) => read_fixed64(value, &mut self.bounds),
            _ => {}
        }
    }

    /// The bytes of its buckets.
    pub(super) const fn size(&self) -> usize {
        (self.bounds.len() + self.counts.len()) * size_of::<u64>()
    }

    fn has_buckets_of(&self, other: &Self) -> bool {
        self.bounds == other.bounds && self.counts.len() == other.counts.len()
    }

    /// Adds what another one counts; false where that one has other buckets.
    pub(super) fn add(&mut self, other: &Self) -> bool {
        if !self.has_buckets_of(other) {
            return false;
        }
        self.totals = self.totals.plus(&other.totals);
        for (count, added) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*added);
        }
        true
    }

    /// What was counted since `earlier`; `None` where it has other buckets, or one fell.
    pub(super) fn since(&self, earlier: &Self) -> Option<Self> {
        if !self.has_buckets_of(earlier) {
            return None;
        }
        let both = self.counts.iter().zip(&earlier.counts);
        let counts: Option<Vec<u64>> = both.map(|(now, before)| now.checked_sub(*before)).collect();
        let totals = self.totals.since(&earlier.totals)?;
        Some(Self { totals, bounds: self.bounds.clone(), counts: counts? })
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.totals.write(11, 12, out);
        wire::packed64(out, 6, self.counts.iter().copied());
        wire::packed64(out, 7, self.bounds.iter().copied());
    }
}
