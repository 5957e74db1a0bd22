//! Word boundaries: where words begin and end in text that may be JSON inside JSON.
//!
//! What is masked must not be part of an escape sequence such as `\n` or `\u00e9`: cutting one in
//! two would break the JSON text around it.

/// A part of a text, from its first byte to before its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TextRange {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// The byte at a place; NUL outside the text.
#[inline]
pub(crate) fn at(text: &[u8], index: usize) -> u8 {
    text.get(index).copied().unwrap_or(0)
}

/// The byte that lies `back` bytes before a place.
#[inline]
pub(crate) fn before(text: &[u8], index: usize, back: usize) -> u8 {
    index.checked_sub(back).map_or(0, |index| at(text, index))
}

/// Whether a character would break the JSON that the text around it may be.
pub(crate) fn breaks_json(char: char) -> bool {
    char.is_control() || matches!(char, '"' | '\\')
}

pub(crate) const fn is_word(byte: u8) -> bool {
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
pub(crate) fn after_escape(text: &[u8], start: usize) -> usize {
    let near = text.get(start.saturating_sub(5)..start).unwrap_or_default();
    if !near.contains(&b'\\') {
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
pub(crate) fn begins(text: &[u8], start: usize) -> bool {
    let last = before(text, start, 1);
    if start == 0 || !is_word(last) {
        return true;
    }
    let short = before(text, start, 2) == b'\\' && matches!(last, b'n' | b'r' | b't' | b'b' | b'f');
    short || start.checked_sub(6).is_some_and(|index| is_unicode_escape(text, index))
}

/// Whether a number may begin at a place: as a word, but not after a decimal point.
pub(crate) fn begins_number(text: &[u8], start: usize) -> bool {
    let decimal = before(text, start, 1) == b'.' && before(text, start, 2).is_ascii_digit();
    begins(text, start) && !decimal
}

/// Whether a number may end before a place.
pub(crate) fn ends_number(text: &[u8], end: usize) -> bool {
    let next = at(text, end);
    let decimal = next == b'.' && at(text, end + 1).is_ascii_digit();
    !is_word(next) && !decimal
}

/// The end of the run of bytes for which `is` holds, from `start`.
pub(crate) fn run(text: &[u8], start: usize, is: impl Fn(u8) -> bool) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len())
}

/// How many bytes [`find_byte`] looks at in one go.
const BLOCK: usize = 32;

/// The first place at or after `from` with a byte for which `is` holds. Blocks without one are passed
/// over whole, which the compiler does with wide registers.
#[inline]
pub(crate) fn find_byte(text: &[u8], from: usize, is: impl Fn(u8) -> bool) -> Option<usize> {
    let rest = text.get(from..)?;
    let mut passed = 0;
    for block in rest.chunks_exact(BLOCK) {
        if block.iter().fold(false, |any, byte| any | is(*byte)) {
            break;
        }
        passed += BLOCK;
    }
    let found = rest.get(passed..)?.iter().position(|byte| is(*byte))?;
    Some(from + passed + found)
}

/// The next digit at or after a place that is not part of an escape sequence.
pub(crate) fn next_digit(text: &[u8], from: usize) -> Option<usize> {
    let mut index = from;
    loop {
        index = find_byte(text, index, |byte| byte.is_ascii_digit())?;
        // A digit after a lone backslash is no escape in JSON.
        let free = match after_escape(text, index) {
            free if before(text, index, 1) == b'\\' && free == index + 1 => index,
            free => free,
        };
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
    fn a_byte_is_found_wherever_it_stands() {
        for length in [0, 1, 31, 32, 33, 64, 100] {
            let mut text = vec![b'a'; length];
            assert_eq!(find_byte(&text, 0, |byte| byte == b'1'), None);
            for index in 0..length {
                text[index] = b'1';
                for from in [0, index / 2, index] {
                    assert_eq!(find_byte(&text, from, |byte| byte == b'1'), Some(index));
                }
                assert_eq!(find_byte(&text, index + 1, |byte| byte == b'1'), None);
                text[index] = b'a';
            }
        }
        assert_eq!(find_byte(b"1", 2, |_| true), None);
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
