//! What both kinds of histograms say of all their values together.

use crate::codec::wire;

/// Count, sum and extremes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Totals {
    pub(super) count: u64,
    pub(super) sum: Option<f64>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
}

/// Of two extremes the one that `choose` takes; unknown if one is.
fn both(one: Option<f64>, other: Option<f64>, choose: fn(f64, f64) -> f64) -> Option<f64> {
    Some(choose(one?, other?))
}

impl Totals {
    pub(super) fn plus(&self, other: &Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            sum: both(self.sum, other.sum, |one, other| one + other),
            min: both(self.min, other.min, f64::min),
            max: both(self.max, other.max, f64::max),
        }
    }

    /// What was added since `earlier`, whose extremes nobody knows; `None` where the count fell.
    pub(super) fn since(&self, earlier: &Self) -> Option<Self> {
        Some(Self {
            count: self.count.checked_sub(earlier.count)?,
            sum: both(self.sum, earlier.sum, |now, before| now - before),
            min: None,
            max: None,
        })
    }

    /// Writes the count and the sum, and the extremes in these fields.
    pub(super) fn write(&self, min_field: u32, max_field: u32, out: &mut Vec<u8>) {
        wire::nonzero64(out, 4, self.count);
        for (field, value) in [(5, self.sum), (min_field, self.min), (max_field, self.max)] {
            if let Some(value) = value {
                wire::double(out, field, value);
            }
        }
    }
}
