//! Amounts: decimal texts and US dollars <-> picodollars.

/// Picodollars in a US dollar.
const PICODOLLARS: f64 = 1e12;
/// The most digits of a price before its point, and behind it.
const DIGITS: usize = 6;

/// A price in US dollars per million tokens, which is as many picodollars per token with its point six
/// digits further. `None` for what is no such number, or has more digits.
pub(super) fn per_token(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |digits: &str| {
        (1..=DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !is_number(whole) || !is_number(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<DIGITS$}").parse().ok()
}

/// US dollars as picodollars, to the nearest; `None` for what is negative or no number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, and the number is whole and not negative"
)]
#[must_use]
pub fn from_usd(usd: f64) -> Option<u64> {
    (usd.is_finite() && usd >= 0.0).then(|| (usd * PICODOLLARS).round() as u64)
}

/// Picodollars as US dollars.
#[must_use]
pub fn to_usd(picodollars: i128) -> f64 {
    picodollars as f64 / PICODOLLARS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_exactly() {
        for (text, picodollars) in [
            ("2.5", Some(2_500_000)),
            ("15", Some(15_000_000)),
            ("0.0375", Some(37_500)),
            ("0.000001", Some(1)),
            ("0", Some(0)),
            ("999999.999999", Some(999_999_999_999)),
            ("0.0000001", None),
            ("1000000", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("2.", None),
            (".5", None),
            ("1.2.3", None),
            ("", None),
            ("$2", None),
        ] {
            assert_eq!(per_token(text), picodollars, "{text}");
        }
    }

    #[test]
    fn dollars_become_picodollars_and_back() {
        assert_eq!(from_usd(0.000_225_000_000_000_000_02), Some(225_000_000));
        assert_eq!(from_usd(0.0123), Some(12_300_000_000));
        assert_eq!(
            (from_usd(-0.1), from_usd(f64::NAN), from_usd(f64::INFINITY)),
            (None, None, None)
        );
        assert_eq!(from_usd(1e300), Some(u64::MAX));
        assert_eq!(to_usd(12_300_000_000), 0.0123);
    }
}
