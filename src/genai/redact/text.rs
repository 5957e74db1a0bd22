//! Word boundaries: where words begin and end in text that may be JSON inside JSON.
//!
//! What is masked must not be part of an escape sequence such as `\n` or `\u00e9`: cutting one in
//! two would break the JSON text around it.

/// A part of a text, from its first byte to before its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TextRange {
    pub start: usize,
    pub end: usize,
}

/// The byte at a place; NUL outside the text.
#[inline]
pub(super) fn at(text: &[u8], index: usize) -> u8 {
    text.get(index).copied().unwrap_or(0)
}

/// The byte that lies `back` bytes before a place.
#[inline]
pub(super) fn before(text: &[u8], index: usize, back: usize) -> u8 {
    index.checked_sub(back).map_or(0, |index| at(text, index))
}

/// Whether a character would break the JSON that the text around it may be.
pub(super) fn breaks_json(char: char) -> bool {
    char.is_control() || matches!(char, '"' | '\\')
}

pub(super) const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether `\uXXXX` starts at an index.
fn is_unicode_escape(text: &[u8], index: usize) -> bool {
    let escape = text.get(index..).and_then(<[u8]>::first_chunk::<6>);
    escape.is_some_and(|[slash, letter, hex @ ..]| {
        *slash == b'\\' && *letter == b'u' && hex.iter().all(u8::is_ascii_hexdigit)
    })
}

/// The first place at or after `start` that is not part of an escape sequence.
pub(super) fn after_escape(text: &[u8], start: usize) -> usize {
    if (1..=5).all(|back| before(text, start, back) != b'\\') {
        return start;
    }
    let escape = (1..=5).filter_map(|back| start.checked_sub(back));
    if let Some(index) = escape.into_iter().find(|index| is_unicode_escape(text, *index)) {
        return index + 6;
    }
    if before(text, start, 1) == b'\\' { start + 1 } else { start }
}

/// Whether a word may begin at a place: what is before it is no letter, digit or underscore, or is
/// one that belongs to an escape sequence.
pub(super) fn begins(text: &[u8], start: usize) -> bool {
    let last = before(text, start, 1);
    if start == 0 || !is_word(last) {
        return true;
    }
    let short = before(text, start, 2) == b'\\' && matches!(last, b'n' | b'r' | b't' | b'b' | b'f');
    short || start.checked_sub(6).is_some_and(|index| is_unicode_escape(text, index))
}

/// Whether a number may begin at a place: as a word, but not after a decimal point.
pub(super) fn begins_number(text: &[u8], start: usize) -> bool {
    let decimal = before(text, start, 1) == b'.' && before(text, start, 2).is_ascii_digit();
    begins(text, start) && !decimal
}

/// Whether a number may end before a place.
pub(super) fn ends_number(text: &[u8], end: usize) -> bool {
    let next = at(text, end);
    let decimal = next == b'.' && at(text, end + 1).is_ascii_digit();
    !is_word(next) && !decimal
}

/// The end of the run of bytes for which `is` holds, from `start`.
pub(super) fn run(text: &[u8], start: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len())
}

/// Of eight bytes those that are digits: their highest bits.
#[inline]
fn digits_in(bytes: [u8; 8]) -> u64 {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let from_zero = u64::from_le_bytes(bytes) ^ 0x3030_3030_3030_3030;
    // What is above nine reaches the highest bit, and so does what is no ASCII.
    let above = (from_zero & !HIGH).wrapping_add(0x7676_7676_7676_7676) | from_zero;
    !above & HIGH
}

/// The first digit at or after a place.
pub(super) fn find_digit(text: &[u8], from: usize) -> Option<usize> {
    let mut rest = text.get(from..)?;
    while let Some((bytes, left)) = rest.split_first_chunk::<8>() {
        let digits = digits_in(*bytes);
        if digits != 0 {
            let within = usize::try_from(digits.trailing_zeros() / 8).unwrap_or(0);
            return Some(text.len() - rest.len() + within);
        }
        rest = left;
    }
    let within = rest.iter().position(u8::is_ascii_digit)?;
    Some(text.len() - rest.len() + within)
}

/// Where what may begin at a place begins: there, or behind an escape sequence that the place is in.
#[inline]
pub(super) fn digit_start(text: &[u8], index: usize) -> usize {
    match after_escape(text, index) {
        // A digit after a lone backslash is no escape in JSON.
        free if before(text, index, 1) == b'\\' && free == index + 1 => index,
        free => free,
    }
}

/// The next digit at or after a place that is not part of an escape sequence.
pub(super) fn next_digit(text: &[u8], from: usize) -> Option<usize> {
    let mut index = from;
    loop {
        index = find_digit(text, index)?;
        let free = digit_start(text, index);
        if free == index {
            return Some(index);
        }
        index = free;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_not_cut() {
        assert_eq!(after_escape(br"\njoe", 1), 2);
        assert_eq!(after_escape(br"\\njoe", 2), 3);
        assert_eq!(after_escape(br"\u00e9joe", 1), 6);
        assert_eq!(after_escape(br"\u00e9joe", 4), 6);
        assert_eq!(after_escape(br"\u00e9joe", 6), 6);
        assert_eq!(after_escape(b"joe", 0), 0);
    }

    #[test]
    fn a_digit_is_found_wherever_it_stands() {
        for length in [0, 1, 7, 8, 9, 16, 33] {
            // The neighbours of digits, and what is no ASCII.
            for other in [b'/', b':', b'a', 0, 0x80, 0xb0, 0xff] {
                let mut text = vec![other; length];
                assert_eq!(find_digit(&text, 0), None);
                for index in 0..length {
                    text[index] = b'0' + u8::try_from(index % 10).unwrap();
                    for from in [0, index / 2, index] {
                        assert_eq!(find_digit(&text, from), Some(index));
                    }
                    assert_eq!(find_digit(&text, index + 1), None);
                    text[index] = other;
                }
            }
        }
        assert_eq!(find_digit(b"1", 2), None);
    }

    #[test]
    fn words_begin_after_escapes() {
        assert!(begins(br"\nsk", 2));
        assert!(begins(br"\u00e9sk", 6));
        assert!(!begins(b"task", 2));
        assert!(begins(b"a-sk", 2));
        assert_eq!(next_digit(br"\u00e91", 0), Some(6));
        assert_eq!(next_digit(br"\1", 0), Some(1));
        assert!(!begins_number(b"0.41", 2));
    }
}
