//! Randomness and thresholds of consistent probability sampling.
//!
//! OpenTelemetry specification, "TraceState: Probability Sampling"
//! (specification/trace/tracestate-probability-sampling.md): a span has 56 bits of randomness R, a
//! sampler a rejection threshold T, and the span is kept if R >= T.

use crate::model::{TraceId, hex_digit};

/// The number of values that randomness can have, 2^56.
const RANGE: u64 = 1 << 56;
/// The number of hex digits of a 56-bit value.
const DIGITS: usize = 14;
/// How many hex digits a threshold made of a probability has by default.
const PRECISION: i32 = 4;
/// The most hex digits that a threshold made of a probability has.
const MAX_PRECISION: i32 = 12;

/// The 56 bits that decide about a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Randomness(u64);

impl Randomness {
    /// The least significant 56 bits of the trace id.
    #[must_use]
    pub const fn of_trace(id: TraceId) -> Self {
        let [_, _, _, _, _, _, _, _, _, b, c, d, e, f, g, h] = id.0;
        Self(u64::from_be_bytes([0, b, c, d, e, f, g, h]))
    }

    /// The first 56 bits of a hash.
    #[must_use]
    pub const fn of_hash(hash: &[u8; 32]) -> Self {
        let [a, b, c, d, e, f, g, ..] = *hash;
        Self(u64::from_be_bytes([0, a, b, c, d, e, f, g]))
    }

    /// The 56 bits.
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// That of 56 bits.
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits & (RANGE - 1))
    }

    /// Appends the value of `rv`: 14 hex digits.
    pub fn write(self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{:014x}", self.0).as_bytes());
    }

    /// Reads the value of `rv`: exactly 14 lower-case hex digits.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() == DIGITS { lower_hex(text).map(Self) } else { None }
    }
}

/// A rejection threshold T, 0 to 2^56 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Threshold(u64);

impl Threshold {
    /// The threshold that keeps everything.
    pub const ALWAYS: Self = Self(0);

    /// The 56 bits.
    pub(super) const fn bits(self) -> u64 {
        self.0
    }

    /// That of 56 bits.
    pub(super) const fn from_bits(bits: u64) -> Self {
        Self(bits & (RANGE - 1))
    }

    /// The threshold of a probability from 0 to 1, with the specification's default precision of
    /// four hex digits, more for small probabilities. `None` for 0, which no threshold expresses,
    /// and for what is no probability.
    #[must_use]
    pub fn from_probability(probability: f64) -> Option<Self> {
        if !(probability > 0.0 && probability <= 1.0) {
            return None;
        }
        let more = (-exponent(probability)).div_euclid(4);
        let precision = (PRECISION + more).clamp(1, MAX_PRECISION);
        // 1.DDDD...: the digits after the point are those of 1 - p, rounded to the precision.
        let rounding = 0.5 * f64::powi(16.0, -precision);
        let digits = 2.0 - probability + rounding;
        let mantissa =
            if digits < 2.0 { digits.to_bits() & ((1 << 52) - 1) } else { (1 << 52) - 1 };
        let cut = 52_u32.saturating_sub(u32::try_from(precision).unwrap_or(0) * 4);
        Some(Self((mantissa >> cut) << (cut + 4)))
    }

    /// The threshold of a percentage from 0 to 100; `None` for 0.
    #[must_use]
    pub fn from_percentage(percentage: f64) -> Option<Self> {
        Self::from_probability(percentage / 100.0)
    }

    /// Reads the value of `th`: 1 to 14 lower-case hex digits, which stand for the most
    /// significant ones.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > DIGITS {
            return None;
        }
        let missing = u32::try_from(DIGITS - text.len()).ok()?;
        lower_hex(text).map(|value| Self(value << (4 * missing)))
    }

    /// Appends the value of `th`: 14 hex digits without trailing zeros, at least one digit.
    pub fn write(self, out: &mut Vec<u8>) {
        let text = format!("{:014x}", self.0);
        let digits = text.trim_end_matches('0');
        out.extend_from_slice(if digits.is_empty() { b"0" } else { digits.as_bytes() });
    }

    /// Whether a span with this randomness is kept.
    #[must_use]
    pub const fn keeps(self, randomness: Randomness) -> bool {
        randomness.0 >= self.0
    }

    /// How many spans a span kept at this threshold stands for.
    #[must_use]
    pub fn adjusted_count(self) -> f64 {
        RANGE as f64 / (RANGE - self.0.min(RANGE - 1)) as f64
    }
}

/// The exponent e of a positive normal number m * 2^e with 0.5 <= m < 1, as C's `frexp`.
fn exponent(number: f64) -> i32 {
    let biased = (number.to_bits() >> 52) & 0x7ff;
    i32::try_from(biased).unwrap_or(0) - 1022
}

/// The value of up to 16 lower-case hex digits.
fn lower_hex(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0_u64, |value, digit| {
        if digit.is_ascii_uppercase() {
            return None;
        }
        Some((value << 4) | u64::from(hex_digit(*digit)?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(threshold: Threshold) -> String {
        let mut out = Vec::new();
        threshold.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn probabilities_become_thresholds_with_the_default_precision() {
        let vectors: [(f64, f64, &str, u64, f64); 18] = [
            (1.0, 1.0, "0", 0, 1.0),
            (1.0, 2.0, "8", 0x80_0000_0000_0000, 2.0),
            (1.0, 3.0, "aaab", 0xaa_ab00_0000_0000, 3.000_045_777_065_69),
            (2.0, 3.0, "5555", 0x55_5500_0000_0000, 1.499_988_555_995_514),
            (1.0, 4.0, "c", 0xc0_0000_0000_0000, 4.0),
            (3.0, 4.0, "4", 0x40_0000_0000_0000, 1.333_333_333_333_333_3),
            (1.0, 5.0, "cccd", 0xcc_cd00_0000_0000, 5.000_076_295_109_483_5),
            (1.0, 8.0, "e", 0xe0_0000_0000_0000, 8.0),
            (1.0, 10.0, "e666", 0xe6_6600_0000_0000, 9.999_389_685_688_13),
            (1.0, 16.0, "f", 0xf0_0000_0000_0000, 16.0),
            (1.0, 20.0, "f3333", 0xf3_3330_0000_0000, 19.999_923_706_345_726),
            (1.0, 100.0, "fd70a", 0xfd_70a0_0000_0000, 99.997_711_234_026_33),
            (1.0, 1000.0, "ffbe77", 0xff_be77_0000_0000, 1_000.012_874_769_029),
            (1.0, 10_000.0, "fff9724", 0xff_f972_4000_0000, 9_999.830_725_674_266),
            (1.0, 1_000_000.0, "ffffef39", 0xff_ffef_3900_0000, 999_992.385_564_61),
            (9.0, 10.0, "199a", 0x19_9a00_0000_0000, 1.111_118_646_366_688_2),
            (99.0, 100.0, "028f", 0x02_8f00_0000_0000, 1.010_095_405_434_564_8),
            (999.0, 1000.0, "0042", 0x00_4200_0000_0000, 1.001_008_095_310_829_3),
        ];
        for (numerator, denominator, digits, value, count) in vectors {
            let threshold = Threshold::from_probability(numerator / denominator).unwrap();
            assert_eq!(threshold, Threshold(value), "{numerator}/{denominator}");
            assert_eq!(text(threshold), digits);
            assert_eq!(Threshold::parse(digits.as_bytes()), Some(threshold));
            let error = (threshold.adjusted_count() - count).abs() / count;
            assert!(error < 1e-12, "{numerator}/{denominator}: {}", threshold.adjusted_count());
        }
    }

    #[test]
    fn what_is_no_probability_has_no_threshold() {
        for probability in [0.0, -0.1, 1.000_001, f64::NAN, f64::INFINITY] {
            assert_eq!(Threshold::from_probability(probability), None);
        }
        let smallest = Threshold::from_probability(f64::powi(2.0, -56)).unwrap();
        assert!(smallest.adjusted_count().is_finite());
        assert_eq!(Threshold::from_percentage(50.0), Threshold::parse(b"8"));
    }

    #[test]
    fn thresholds_are_written_without_trailing_zeros_and_keep_leading_ones() {
        for (value, digits) in [
            (0, "0"),
            (0x00_8000_0000_0000, "008"),
            (0x80_0000_0000_0000, "8"),
            (0xc0_0000_0000_0000, "c"),
            (1, "00000000000001"),
            (0xfd_70a0_0000_0000, "fd70a"),
        ] {
            assert_eq!(text(Threshold(value)), digits);
            assert_eq!(Threshold::parse(digits.as_bytes()), Some(Threshold(value)));
        }
        for invalid in [&b""[..], b"000000000000000", b"A", b"g", b"-1", b" 8"] {
            assert_eq!(Threshold::parse(invalid), None);
        }
    }

    #[test]
    fn decisions_follow_the_vectors() {
        for (rv, th, keep) in [
            ("6e6d1a75832a2f", "8", false),
            ("80000000000000", "8", true),
            ("7fffffffffffff", "8", false),
            ("00000000000000", "0", true),
            ("ffffffffffffff", "ffffffffffffff", true),
            ("fffffffffffffe", "ffffffffffffff", false),
        ] {
            let randomness = Randomness::parse(rv.as_bytes()).unwrap();
            let threshold = Threshold::parse(th.as_bytes()).unwrap();
            assert_eq!(threshold.keeps(randomness), keep, "{rv} {th}");
        }
        let id = TraceId::from_hex(b"0af7651916cd43dd8448eb211c80319c").unwrap();
        assert_eq!(Some(Randomness::of_trace(id)), Randomness::parse(b"48eb211c80319c"));
        let mut out = Vec::new();
        Randomness(7).write(&mut out);
        assert_eq!(
            (&out[..], Randomness::parse(&out)),
            (&b"00000000000007"[..], Some(Randomness(7)))
        );
        assert!(!Threshold::parse(b"8").unwrap().keeps(Randomness::of_trace(id)));
        for invalid in [&b"48EB211c80319c"[..], b"48eb211c80319", b"48eb211c80319c0", b""] {
            assert_eq!(Randomness::parse(invalid), None);
        }
    }
}
