//! Fast logarithms: those that the bits of a float are already, straight between powers of two.
//!
//! They grow with their number and are turned back exactly, which is all that levels need, and are at most 0.087 less
//! than the true ones.

/// The bits of the fraction of a float, as a divisor.
const FRACTION: f32 = 8_388_608.0;
const BIAS: f32 = 127.0;

/// The logarithm to base 2 of a positive number.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "24 bits of the number are enough")]
pub(super) fn of(number: f64) -> f32 {
    (number as f32).to_bits() as f32 / FRACTION - BIAS
}

/// The number that has this logarithm.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and the bits are those of a positive float"
)]
pub(super) fn back(log: f32) -> f64 {
    f64::from(f32::from_bits(((log + BIAS).clamp(0.0, 254.0) * FRACTION) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_near_the_true_ones_and_turn_back() {
        let mut last = f32::MIN;
        for step in 1..4000_i16 {
            let number = f64::from(step) / 37.0;
            let log = of(number);
            assert!((f64::from(log) - number.log2()).abs() < 0.087, "{number}");
            assert!((back(log) / number - 1.0).abs() < 1e-4, "{number}: {}", back(log));
            assert!(log >= last);
            last = log;
        }
    }
}
