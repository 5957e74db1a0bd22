//! The value of a sum's point.

use crate::codec::wire::{self, WireField, WireValue};

/// `NumberDataPoint.value`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Double(f64),
}

impl Number {
    /// The value, if the field of a point has it.
    pub(super) const fn of(field: &WireField<'_>) -> Option<Self> {
        match (field.number, field.value) {
            (4, WireValue::Fixed64(bits)) => Some(Self::Double(f64::from_bits(bits))),
            (6, WireValue::Fixed64(bits)) => Some(Self::Int(bits.cast_signed())),
            _ => None,
        }
    }

    const fn as_double(self) -> f64 {
        match self {
            Self::Int(value) => value as f64,
            Self::Double(value) => value,
        }
    }

    /// A whole number as long as it is one that fits.
    pub(super) fn plus(self, other: Self) -> Self {
        if let (Self::Int(one), Self::Int(other)) = (self, other)
            && let Some(sum) = one.checked_add(other)
        {
            return Self::Int(sum);
        }
        Self::Double(self.as_double() + other.as_double())
    }

    /// What was added since `earlier`; `None` where the sum fell.
    pub(super) fn since(self, earlier: Self) -> Option<Self> {
        if let (Self::Int(now), Self::Int(before)) = (self, earlier) {
            let added = now.checked_sub(before)?;
            return (added >= 0).then_some(Self::Int(added));
        }
        let added = self.as_double() - earlier.as_double();
        (added >= 0.0).then_some(Self::Double(added))
    }

    pub(super) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Double(value) => wire::double(out, 4, value),
            Self::Int(value) => wire::fixed64(out, 6, value.cast_unsigned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_whole_while_they_fit() {
        assert_eq!(Number::Int(2).plus(Number::Int(3)), Number::Int(5));
        let double = Number::Double(i64::MAX as f64 + 1.0);
        assert_eq!(Number::Int(i64::MAX).plus(Number::Int(1)), double);
        assert_eq!(Number::Int(1).plus(Number::Double(0.5)), Number::Double(1.5));
        assert_eq!(Number::Int(5).since(Number::Int(3)), Some(Number::Int(2)));
        assert_eq!(Number::Int(3).since(Number::Int(5)), None);
        assert_eq!(Number::Int(i64::MAX).since(Number::Int(-1)), None);
        assert_eq!(Number::Double(f64::NAN).since(Number::Int(1)), None);
    }
}
