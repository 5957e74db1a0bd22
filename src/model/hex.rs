//! Hexadecimal text, as ids and hashes have it: lower case is written, either case is read.

/// Reads exactly `2 * N` hex digits of either case.
pub(super) fn from_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != N.checked_mul(2)? {
        return None;
    }
    let mut bytes = [0_u8; N];
    // Looked at once at the end, as ids are nearly always valid.
    let mut wrong = 0;
    for (byte, pair) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
        let [high, low] = pair.map(value_of);
        wrong |= high | low;
        *byte = (high << 4) | (low & 0x0f);
    }
    (wrong & NO_DIGIT == 0).then_some(bytes)
}

/// Stands for what is no hex digit.
const NO_DIGIT: u8 = 0x80;

/// The values of hex digits, by their bytes.
#[expect(clippy::indexing_slicing, reason = "a wrong index in a constant does not compile")]
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if let Some(value) = hex_digit(byte) {
            values[byte as usize] = value;
        }
        byte += 1;
    }
    values
};

#[inline]
fn value_of(digit: u8) -> u8 {
    VALUES.get(usize::from(digit)).copied().unwrap_or(NO_DIGIT)
}

/// The value of one hex digit of either case.
#[must_use]
pub const fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Writes the two digits of each byte, as far as `digits` has room.
#[inline]
pub fn write_hex(bytes: &[u8], digits: &mut [u8]) {
    const fn digit(nibble: u8) -> u8 {
        nibble + if nibble < 10 { b'0' } else { b'a' - 10 }
    }
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            *high = digit(byte >> 4);
            *low = digit(byte & 0x0f);
        }
    }
}

/// The digits of bytes, two for each.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut digits = vec![0; bytes.len().saturating_mul(2)];
    write_hex(bytes, &mut digits);
    // Digits are ASCII.
    String::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_written_as_it_is_read() {
        let bytes: Vec<u8> = (0..=255).collect();
        let digits = hex(&bytes);
        assert!(digits.starts_with("000102") && digits.ends_with("fdfeff"));
        assert_eq!(from_hex::<256>(digits.as_bytes()).map(|read| read.to_vec()), Some(bytes));
        assert_eq!(hex(&[]), "");
        assert_eq!(from_hex::<2>(b"aB0F"), Some([0xab, 0x0f]));
        for wrong in [&b"0g00"[..], b"000\xff", b"00 0", b"000", b"00000", b"@000", b"000`"] {
            assert_eq!(from_hex::<2>(wrong), None);
        }
    }
}
