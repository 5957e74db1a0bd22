//! Shapes: what may follow the prefix of a secret, as a sequence of runs of bytes. A shape is tried in
//! one pass, without going back.

use super::super::text::{at, is_word};

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CharacterClass {
    /// `0-9`
    Digit,
    /// `0-9a-f`
    Hex,
    /// `0-9a-fA-F`
    HexOfAnyCase,
    /// `0-9A-Z`
    Upper,
    /// `0-9a-zA-Z`
    Alnum,
    /// `0-9a-zA-Z_`
    Word,
    /// `0-9a-zA-Z_-`
    Token,
    /// `0-9a-zA-Z_.=-`
    Dotted,
    /// `0-9a-zA-Z+/`
    Base64,
    /// `=`
    Padding,
}

impl CharacterClass {
    /// Whether a byte is in the set.
    pub(super) const fn has(self, byte: u8) -> bool {
        match self {
            Self::Digit => byte.is_ascii_digit(),
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            Self::HexOfAnyCase => byte.is_ascii_hexdigit(),
            Self::Upper => matches!(byte, b'0'..=b'9' | b'A'..=b'Z'),
            Self::Alnum => byte.is_ascii_alphanumeric(),
            Self::Word => is_word(byte),
            Self::Token => is_word(byte) || byte == b'-',
            Self::Dotted => is_word(byte) || matches!(byte, b'-' | b'.' | b'='),
            Self::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'),
            Self::Padding => byte == b'=',
        }
    }
}

/// A part of a shape.
#[derive(Debug, Clone, Copy)]
pub(super) enum ShapePart {
    /// So many bytes of a class, from the first number to the second.
    Run(CharacterClass, usize, usize),
    /// This text.
    Text(&'static str),
}

/// No limit of a run.
pub(super) const MORE: usize = usize::MAX;

/// The end of the shape that begins at a place, if it is there and ends where a word may end.
pub(super) fn end_of(text: &[u8], start: usize, shape: &[ShapePart]) -> Option<usize> {
    let mut index = start;
    let mut last = None;
    for part in shape {
        match *part {
            ShapePart::Run(class, min, max) => {
                let rest = text.get(index..).unwrap_or_default();
                let length = rest.iter().take(max).take_while(|byte| class.has(**byte)).count();
                if length < min {
                    return None;
                }
                index += length;
                last = Some((class, max));
            }
            ShapePart::Text(literal) => {
                let rest = text.get(index..).unwrap_or_default();
                if !rest.starts_with(literal.as_bytes()) {
                    return None;
                }
                index += literal.len();
                last = None;
            }
        }
    }
    let next = at(text, index);
    let goes_on = match last {
        Some((CharacterClass::Padding, _) | (_, MORE)) | None => false,
        Some((class, _)) => class.has(next) || is_word(next),
    };
    (!goes_on).then_some(index)
}

/// Whether a value looks random enough to be a secret: it is not the same few bytes over and over.
pub(super) fn is_varied(value: &[u8], min: u32) -> bool {
    let mut seen = [0_u64; 4];
    for byte in value {
        if let Some(word) = seen.get_mut(usize::from(*byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }
    seen.iter().map(|word| word.count_ones()).sum::<u32>() >= min
}

/// Whether a value has a digit, as random ones have and words joined by hyphens have not.
pub(super) fn has_digit(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_ends_where_its_last_run_does() {
        let exact = [
            ShapePart::Run(CharacterClass::Hex, 4, 4),
            ShapePart::Text("-"),
            ShapePart::Run(CharacterClass::Digit, 1, 2),
        ];
        assert_eq!(end_of(b"beef-12 x", 0, &exact), Some(7));
        assert_eq!(end_of(b"beef-123", 0, &exact), None, "too long");
        assert_eq!(end_of(b"bee-12", 0, &exact), None, "too short");
        assert_eq!(end_of(b"beef_12", 0, &exact), None);
        let open = [
            ShapePart::Run(CharacterClass::Base64, 2, MORE),
            ShapePart::Run(CharacterClass::Padding, 0, 2),
        ];
        assert_eq!(end_of(b"ab+/==", 0, &open), Some(6));
        assert_eq!(end_of(b"a", 0, &open), None);
        assert_eq!(end_of(b"", 7, &open), None);
    }

    #[test]
    fn what_repeats_is_not_varied() {
        assert!(!is_varied(b"xxxxxxxxxxxxxxxx", 5) && !is_varied(b"", 1));
        assert!(is_varied(b"a1B2c", 5) && is_varied("\u{e9}1".as_bytes(), 3));
    }
}
