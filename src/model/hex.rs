//! Hexadecimal text, as ids and hashes have it: lower case is written, either case is read.

/// Reads exactly `2 * N` hex digits of either case.
pub(super) fn from_hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != N.checked_mul(2)? {
        return None;
    }
    let mut bytes = [0_u8; N];
    let (blocks, digits) = text.as_chunks::<8>();
    let (fours, ones) = bytes.as_chunks_mut::<4>();
    // Looked at once at the end, as ids are nearly always valid.
    let mut wrong = 0;
    for (four, block) in fours.iter_mut().zip(blocks) {
        let (read, problem) = read_block(u64::from_le_bytes(*block));
        *four = read;
        wrong |= problem;
    }
    for (byte, pair) in ones.iter_mut().zip(digits.as_chunks::<2>().0) {
        let [high, low] = pair.map(hex_digit);
        *byte = (high? << 4) | low?;
    }
    (wrong == 0).then_some(bytes)
}

/// Reads eight hex digits at once, the first of which is in the lowest byte; the second number is 0 if all of them are
/// digits.
#[inline]
const fn read_block(digits: u64) -> ([u8; 4], u64) {
    /// A byte in each of the eight.
    const fn each(byte: u8) -> u64 {
        u64::from_ne_bytes([byte; 8])
    }
    // Letters have the sixth bit, which the digits of numbers have not; `a` and `A` end in 1 and stand for 10.
    let letters = (digits >> 6) & each(1);
    let values = (digits & each(0x0f)) + letters * 9;
    // What is written for these values must be what was read, in small letters.
    let above_nine = ((values + each(6)) >> 4) & each(1);
    let written = values + each(b'0') + above_nine * (b'a' - b'0' - 10) as u64;
    let wrong = (written ^ (digits | (letters << 5))) | (values & each(0xf0));
    let pairs = ((values << 4) | (values >> 8)) & 0x00ff_00ff_00ff_00ff;
    let pairs = (pairs | (pairs >> 8)) & 0x0000_ffff_0000_ffff;
    let [first, second, _, _, third, fourth, _, _] = pairs.to_le_bytes();
    ([first, second, third, fourth], wrong)
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

    /// Guarantees: eight at once are read as one by one, whatever they are.
    #[test]
    fn each_digit_counts_wherever_it_stands() {
        for at in 0..8 {
            for byte in 0..=255 {
                let mut text = *b"0189aFfC";
                text[at] = byte;
                let one = |pair: [u8; 2]| Some((hex_digit(pair[0])? << 4) | hex_digit(pair[1])?);
                let all: Option<Vec<u8>> =
                    text.as_chunks::<2>().0.iter().map(|pair| one(*pair)).collect();
                assert_eq!(from_hex::<4>(&text).map(|read| read.to_vec()), all, "{text:?}");
            }
        }
    }

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
