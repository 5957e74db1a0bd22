//! Conversions between kinds of numbers.

use super::export_mode::ExportMode;
use crate::codec::msgpack::{Reader, Token};

/// The nearest whole number; 0 for what is negative or no number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and the number is whole and not negative"
)]
pub(super) fn whole(number: f64) -> u64 {
    number.max(0.0).round() as u64
}

/// The whole number at or below, within the range of 32 bits.
#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and gives 0 for NaN")]
pub(super) fn floor(number: f64) -> i32 {
    number.floor() as i32
}

/// The non-negative number of an encoded value.
pub(super) fn amount(encoded: &[u8]) -> Option<f64> {
    let number = match Reader::new(encoded).token().ok()? {
        Token::Uint(value) => value as f64,
        Token::Float(value) => value,
        _ => return None,
    };
    (number.is_finite() && number >= 0.0).then_some(number)
}

/// The number of an encoded value, be it negative.
pub(super) fn signed(encoded: &[u8]) -> Option<f64> {
    let number = match Reader::new(encoded).token().ok()? {
        Token::Uint(value) => value as f64,
        Token::Int(value) => value as f64,
        Token::Float(value) => value,
        _ => return None,
    };
    number.is_finite().then_some(number)
}

/// The lowest bits of a hash.
#[expect(clippy::cast_possible_truncation, reason = "the lowest bits of a hash are one too")]
pub(super) const fn low(hash: u64) -> u32 {
    hash as u32
}

/// Takes the whole part of a count to export it, and leaves the rest, which may be negative.
pub(super) fn take_whole(count: &mut f64) -> u64 {
    let out = whole(*count);
    *count -= out as f64;
    out
}

/// What an export says of a count, of which `exported` was said so far.
pub(super) fn take(mode: ExportMode, count: &mut f64, exported: &mut u64) -> u64 {
    match mode {
        ExportMode::Cumulative { .. } => {
            *exported = whole(*count).max(*exported);
            *exported
        }
        ExportMode::Delta { .. } => {
            let since = take_whole(count);
            *exported = exported.saturating_add(since);
            since
        }
        ExportMode::Page => *exported,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_numbers_are_survived() {
        assert_eq!((whole(f64::NAN), whole(-3.0), whole(2.5), whole(1e300)), (0, 0, 3, u64::MAX));
        assert_eq!((floor(-0.5), floor(f64::NAN), floor(1e300)), (-1, 0, i32::MAX));
        assert_eq!(amount(&[0x05]), Some(5.0));
        assert_eq!((amount(&[0xff]), signed(&[0xff])), (None, Some(-1.0)));
        assert_eq!(amount(&[0xa1, b'5']), None);
        assert_eq!(amount(&[0xcb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0]), None);
    }
}
