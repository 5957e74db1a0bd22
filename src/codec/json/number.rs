//! Parser of numbers and ids in text.

use crate::model::hex_digit;

/// The most digits that a number in text may have.
const MAX_DIGITS: usize = 64;

/// Reads a whole number in any of JSON's forms (`5`, `-5`, `5.0`, `5e3`, `5000e-3`), exactly.
/// `None` for a fraction, for what is no number, and for what is far out of range.
pub(super) fn whole(text: &str) -> Option<i128> {
    if let Ok(plain) = text.parse::<u64>() {
        // Rust reads a plus sign, JSON does not have one.
        return if text.starts_with('+') { None } else { Some(i128::from(plain)) };
    }
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (before, after) = match mantissa.split_once('.') {
        Some((before, after)) if !after.is_empty() => (before, after.trim_end_matches('0')),
        Some(_) => return None,
        None => (mantissa, ""),
    };
    if before.is_empty() || before.len() + after.len() > MAX_DIGITS {
        return None;
    }
    let mut value = 0_i128;
    for digit in before.bytes().chain(after.bytes()) {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        value = value.checked_mul(10)?.checked_add(i128::from(digit))?;
    }
    let value = scale(value, exponent.checked_sub(i32::try_from(after.len()).ok()?)?)?;
    Some(if negative { -value } else { value })
}

/// `value` times ten to the power of `exponent`, if that is whole.
fn scale(value: i128, exponent: i32) -> Option<i128> {
    if value == 0 {
        return Some(0);
    }
    let power = 10_i128.checked_pow(exponent.unsigned_abs())?;
    if exponent >= 0 {
        return value.checked_mul(power);
    }
    if value % power == 0 { Some(value / power) } else { None }
}

/// The whole number that a double is, if it is one.
#[cold]
pub(super) fn whole_f64(value: f64) -> Option<i128> {
    if value.fract() == 0.0 && value.abs() < 1e30 { whole(&format!("{value:.0}")) } else { None }
}

/// Reads a double in text: a JSON number, `NaN`, `Infinity` or `-Infinity`.
pub(super) fn double(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" => Some(f64::INFINITY),
        "-Infinity" => Some(f64::NEG_INFINITY),
        _ => {
            let plain = |byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
            let number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit());
            if number && text.bytes().all(plain) && !text.ends_with('.') {
                text.parse().ok().filter(|value: &f64| value.is_finite())
            } else {
                None
            }
        }
    }
}

/// Appends the bytes that hex digits of either case stand for; `None` if they are no such digits, or
/// an odd number of them. What was appended before that is the caller's to remove.
#[inline]
pub(super) fn unhex(text: &str, out: &mut Vec<u8>) -> Option<()> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    for pair in text.as_bytes().chunks_exact(2) {
        let [high, low] = pair else { return None };
        out.push((hex_digit(*high)? << 4) | hex_digit(*low)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_exact_in_every_form() {
        let table = [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("18446744073709551615", Some(i128::from(u64::MAX))),
            ("18446744073709551616", Some(i128::from(u64::MAX) + 1)),
            ("-9223372036854775808", Some(i128::from(i64::MIN))),
            ("1700000000000000001.0", Some(1_700_000_000_000_000_001)),
            ("1.700000000000000001e18", Some(1_700_000_000_000_000_001)),
            ("5000E-3", Some(5)),
            ("5e+3", Some(5000)),
            ("0e999999999", Some(0)),
            ("0.0e-99", Some(0)),
            ("1.5", None),
            ("15e-1", None),
            ("1e39", None),
            ("1e-2147483648", None),
            ("1e2147483647", None),
            ("1e99999999999", None),
            ("+5", None),
            ("", None),
            ("-", None),
            (".5", None),
            ("5.", None),
            ("--5", None),
            (" 5", None),
            ("0x10", None),
            ("1_000", None),
            ("e5", None),
        ];
        for (text, value) in table {
            assert_eq!(whole(text), value, "{text}");
        }
        assert_eq!(whole(&"9".repeat(65)), None);
        assert_eq!(whole_f64(1e18), Some(10_i128.pow(18)));
        assert_eq!(whole_f64(-0.0), Some(0));
        for no in [1.5, f64::NAN, f64::INFINITY, 1e40] {
            assert_eq!(whole_f64(no), None);
        }
    }

    #[test]
    fn doubles_in_text() {
        assert_eq!(double("-1.5e3"), Some(-1500.0));
        assert_eq!(double("Infinity"), Some(f64::INFINITY));
        assert!(double("NaN").unwrap().is_nan());
        for no in ["nan", "inf", "+1", "", "1e999", "infinity", "1.", "-", "1e", ".5", "0x1"] {
            assert_eq!(double(no), None, "{no}");
        }
    }

    #[test]
    fn hex_is_whole_bytes() {
        let mut out = Vec::new();
        assert_eq!(unhex("00fFA0", &mut out), Some(()));
        assert_eq!(out, [0, 255, 160]);
        for no in ["0", "0g", "\u{e9}", "0x00"] {
            assert_eq!(unhex(no, &mut Vec::new()), None, "{no}");
        }
    }
}
