//! Letters: a text made comparable, one character after the other, or eight at once where these are plain.

/// How a text is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// As it is.
    None,
    /// As in JSON.
    Json,
}

/// A one in each of eight bytes, and their highest bits. What holds of a byte is marked there.
const ONES: u64 = u64::MAX / 0xff;
const HIGH: u64 = ONES << 7;

/// Marks the bytes that are this one.
pub(super) const fn equal(word: u64, byte: u8) -> u64 {
    let off = word ^ (ONES * byte as u64);
    !((off & !HIGH).wrapping_add(!HIGH) | off) & HIGH
}

/// Marks the bytes that lie between two of ASCII, as far as all before them are of ASCII.
const fn within(word: u64, least: u8, most: u8) -> u64 {
    let (from, beyond) = (0x80 - least as u64, 0x7f - most as u64);
    word.wrapping_add(ONES * from) & !word.wrapping_add(ONES * beyond) & HIGH
}

/// The place of the first byte that is marked; eight if none is.
pub(super) const fn first(marks: u64) -> usize {
    marks.trailing_zeros() as usize / 8
}

/// Adds a text, which is UTF-8, after a space.
pub(super) fn push(out: &mut Vec<u8>, text: &[u8], escapes: Escapes) {
    out.reserve(text.len() + 1);
    space(out);
    let mut rest = text;
    loop {
        let (plain, from) = (plain(rest, ends_with_space(out)), out.len());
        out.extend_from_slice(rest.get(..plain).unwrap_or_default());
        out.get_mut(from..).unwrap_or_default().make_ascii_lowercase();
        rest = rest.get(plain..).unwrap_or_default();
        let Some((byte, after)) = rest.split_first() else { return };
        let length = match byte {
            b'\\' if escapes == Escapes::Json => 1 + escaped(after, out),
            b'\t'..=b'\r' | b' ' => {
                space(out);
                1
            }
            0x80.. => {
                let char = first_char(rest);
                char.into_iter().for_each(|char| letter(char, out));
                char.map_or(1, char::len_utf8)
            }
            _ => {
                out.push(*byte);
                1
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
}

/// The character that a text begins with, if that is beyond ASCII.
pub(super) fn first_char(text: &[u8]) -> Option<char> {
    let length = match text.first()? {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0.. => 4,
        _ => return None,
    };
    std::str::from_utf8(text.get(..length)?).ok()?.chars().next()
}

/// How many bytes at the start of a text stay as they are but for capital letters: those of ASCII before a backslash,
/// white space other than a space, or a space after another one.
fn plain(text: &[u8], mut is_after_space: bool) -> usize {
    let (words, rest) = text.as_chunks();
    for (word, at) in words.iter().zip((0..).step_by(8)) {
        let word = u64::from_le_bytes(*word);
        let spaces = equal(word, b' ');
        let odd = (word & HIGH)
            | within(word, b'\t', b'\r')
            | equal(word, b'\\')
            | (spaces & (spaces << 8 | u64::from(is_after_space) << 7));
        if odd != 0 {
            return at + first(odd);
        }
        is_after_space = spaces >> 63 == 1;
    }
    let is_plain = |byte: &&u8| {
        let is_second = is_after_space && **byte == b' ';
        is_after_space = **byte == b' ';
        !(is_second || matches!(byte, 0x80..|b'\\'| b'\t'..=b'\r'))
    };
    8 * words.len() + rest.iter().take_while(is_plain).count()
}

/// Whether a text ends with a space, or is empty.
fn ends_with_space(out: &[u8]) -> bool {
    out.last().is_none_or(|last| *last == b' ')
}

/// A space, unless one is there already.
fn space(out: &mut Vec<u8>) {
    if !ends_with_space(out) {
        out.push(b' ');
    }
}

/// Any character, made comparable.
fn letter(char: char, out: &mut Vec<u8>) {
    if char.is_whitespace() {
        return space(out);
    }
    for lower in char.to_lowercase() {
        out.extend_from_slice(lower.encode_utf8(&mut [0; 4]).as_bytes());
    }
}

/// Adds what an escape of JSON stands for, and says how long it is after its backslash.
fn escaped(rest: &[u8], out: &mut Vec<u8>) -> usize {
    let unit = |at: usize| {
        let digits = std::str::from_utf8(rest.get(at..at + 4)?).ok()?;
        u32::from_str_radix(digits, 16).ok()
    };
    match rest.first() {
        None => 0,
        Some(b'n' | b't' | b'r' | b'f' | b'b') => {
            space(out);
            1
        }
        Some(b'u') => {
            let Some(high) = unit(1) else { return 1 };
            let low = unit(7).filter(|_| rest.get(5..7) == Some(b"\\u"));
            let pair = low.filter(|low| (0xd800..0xdc00).contains(&high) && *low >= 0xdc00);
            let code = pair.map_or(high, |low| 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00));
            letter(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), out);
            if pair.is_some() { 11 } else { 5 }
        }
        // A quotation mark, a slash or a backslash.
        Some(byte) if byte.is_ascii() => {
            out.push(*byte);
            1
        }
        Some(_) => 0,
    }
}
