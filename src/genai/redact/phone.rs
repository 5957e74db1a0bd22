//! Detector: telephone numbers, by their form or by what they are called.

use super::phone_label::is_labelled;
use super::text::{
    TextRange, at, before, begins, begins_number, digit_start, ends_number, find_digit, is_word,
    run,
};

const DIGITS: fn(u8) -> bool = |byte| byte.is_ascii_digit();

/// The most digits of a number (ITU-T E.164, section 6).
const MAX_DIGITS: usize = 15;

/// The least digits of a subscriber's number that is told by its name.
const MIN_LOCAL_DIGITS: usize = 6;

/// The most digits of an extension.
const MAX_EXTENSION: usize = 6;

/// The next telephone number: with a country code after `+` (ITU-T E.164, 8 to 15 digits), ten
/// digits of the North American plan in three groups, or a national number that is called one.
/// `named` says that the whole text is the value of a telephone number's key.
pub(super) fn phone(text: &[u8], mut from: usize, named: bool) -> Option<TextRange> {
    // Signs are rare, and looked for once until they are reached.
    let sign_from = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        memchr::memchr2(b'+', b'(', rest).map_or(text.len(), |offset| from + offset)
    };
    let mut sign = sign_from(from);
    loop {
        if sign < from {
            sign = sign_from(from);
        }
        let digit = find_digit(text, from).unwrap_or(text.len());
        let start = sign.min(digit);
        if start >= text.len() {
            return None;
        }
        let end = match at(text, start) {
            b'+' => international(text, start),
            b'(' => north_american(text, start).or_else(|| national(text, start, named)),
            _ if digit_start(text, start) == start && begins_number(text, start) => {
                north_american(text, start).or_else(|| national(text, start, named))
            }
            _ => None,
        };
        if let Some(end) = end {
            return Some(TextRange { start, end: with_extension(text, end) });
        }
        from = if at(text, start).is_ascii_digit() { run(text, start, DIGITS) } else { start + 1 };
    }
}

/// The end of the number after a `+`: of as many groups of digits as can belong to it.
fn international(text: &[u8], plus: usize) -> Option<usize> {
    if !matches!(at(text, plus + 1), b'1'..=b'9') || !begins(text, plus) {
        return None;
    }
    let (mut digits, mut longest) = (0, None);
    let mut index = plus + 1;
    loop {
        let end = run(text, index, DIGITS);
        digits += end - index;
        let extended = with_extension(text, end) > end;
        if digits > MAX_DIGITS || (is_word(at(text, end)) && !extended) {
            return longest;
        }
        if digits >= 8 {
            longest = Some(end);
        }
        // At most two signs divide groups, as in `+1 (555) 123`.
        let divides = |byte: u8| matches!(byte, b' ' | b'-' | b'.' | b'(' | b')');
        index = run(text, end, divides);
        if !(1..=2).contains(&(index - end)) || !at(text, index).is_ascii_digit() {
            return longest;
        }
    }
}

/// The end of `(AAA) EEE-NNNN` or `AAA-EEE-NNNN`, with hyphens, dots or blanks.
fn north_american(text: &[u8], start: usize) -> Option<usize> {
    let bracket = at(text, start) == b'(';
    let area = if bracket { start + 1 } else { start };
    let group = |from: usize, count: usize| {
        let end = run(text, from, DIGITS);
        (end - from == count).then_some(end)
    };
    let divides = |byte: u8| matches!(byte, b'-' | b'.' | b' ');
    let mut index = group(area, 3)?;
    if bracket {
        index = (at(text, index) == b')').then_some(index + 1)?;
        index += usize::from(divides(at(text, index)));
    } else {
        index = divides(at(text, index)).then_some(index + 1)?;
    }
    let exchange = index;
    index = group(exchange, 3)?;
    index = divides(at(text, index)).then_some(index + 1)?;
    let end = group(index, 4)?;
    let valid = |first: u8| matches!(first, b'2'..=b'9');
    let ends = ends_number(text, end) || with_extension(text, end) > end;
    (valid(at(text, area)) && valid(at(text, exchange)) && ends).then_some(end)
}

/// The end of a number in the form of some country, if a word beside it or its key says that it is
/// a telephone number: nothing else tells one from any other number.
fn national(text: &[u8], start: usize, named: bool) -> Option<usize> {
    let groups = Groups::read(text, start)?;
    if groups.date || groups.is_version() {
        return None;
    }
    let whole = named && text.get(..start).unwrap_or_default().trim_ascii().is_empty();
    (whole || is_labelled(text, start, groups.end, groups.count > 1)).then_some(groups.end)
}

/// Groups of digits that single signs divide.
#[derive(Default)]
struct Groups {
    count: usize,
    digits: usize,
    first: usize,
    longest: usize,
    /// Signs between groups that are dots, and those that are no blanks.
    dots: usize,
    signs: usize,
    /// Whether the first three are a date.
    date: bool,
    end: usize,
}

impl Groups {
    /// The groups from a place on, whose first may stand in brackets, if they have the digits of
    /// a telephone number.
    fn read(text: &[u8], start: usize) -> Option<Self> {
        let bracket = at(text, start) == b'(';
        let mut index = start + usize::from(bracket);
        let mut groups = Self::default();
        loop {
            let end = run(text, index, DIGITS);
            groups.add(end - index)?;
            groups.end = end;
            if bracket && groups.count == 1 {
                index = (at(text, end) == b')').then_some(end + 1)?;
                index += usize::from(at(text, index) == b' ');
                continue;
            }
            let sign = at(text, end);
            if !matches!(sign, b' ' | b'-' | b'.' | b'/') || !at(text, end + 1).is_ascii_digit() {
                break;
            }
            groups.dots += usize::from(sign == b'.');
            groups.signs += usize::from(sign != b' ');
            index = end + 1;
        }
        let next = at(text, groups.end);
        let ends = !is_word(next) || with_extension(text, groups.end) > groups.end;
        let time = next == b':' && at(text, groups.end + 1).is_ascii_digit();
        (groups.digits >= MIN_LOCAL_DIGITS && ends && !time).then_some(groups)
    }

    /// One more group; `None` if no telephone number has it.
    fn add(&mut self, length: usize) -> Option<()> {
        let least = if self.count == 0 { 1 } else { 2 };
        self.count += 1;
        self.digits += length;
        if length < least || self.digits > MAX_DIGITS {
            return None;
        }
        if self.count == 1 {
            self.first = length;
        }
        self.longest = self.longest.max(length);
        // `2026-11-29`, `29.11.2026`, `11/29/2026`.
        let year = (self.first == 4) != (length == 4);
        self.date |= self.count == 3 && self.signs == 2 && year && self.digits <= 8;
        Some(())
    }

    /// A decimal number, a version or an address: two to four groups between dots alone.
    const fn is_version(&self) -> bool {
        let dotted = self.dots + 1 == self.count;
        dotted && (matches!(self.count, 2 | 3) || self.count == 4 && self.longest <= 3)
    }
}

/// The end of a number with its extension: `x123` behind it.
fn with_extension(text: &[u8], end: usize) -> usize {
    if at(text, end) != b'x' || !before(text, end, 1).is_ascii_digit() {
        return end;
    }
    let last = run(text, end + 1, DIGITS);
    let digits = last - end - 1;
    if (1..=MAX_EXTENSION).contains(&digits) && !is_word(at(text, last)) { last } else { end }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        phone(text.as_bytes(), 0, false).map(|hit| text.get(hit.start..hit.end).unwrap())
    }

    #[test]
    fn telephones() {
        for (text, number) in [
            ("call +49 151 2345678 now", "+49 151 2345678"),
            ("+1 (415) 555-2671", "+1 (415) 555-2671"),
            ("(415) 555-2671", "(415) 555-2671"),
            ("415.555.2671", "415.555.2671"),
            ("+49 151 23456789 203.0.113.77", "+49 151 23456789"),
            ("+49 151 23456789 4111 1111", "+49 151 23456789"),
            ("+49 151 2345678 9x", "+49 151 2345678"),
            ("415-555-2671x0135, thanks", "415-555-2671x0135"),
            ("+1-415-555-2671x769", "+1-415-555-2671x769"),
        ] {
            assert_eq!(found(text), Some(number), "{text}");
        }
        for none in [
            "+00:00",
            "2024-08-06",
            "1+23456789012",
            "1,415",
            "115-555-2671",
            "+1234567",
            "415-555-2671x",
            "0490 75 40 81",
        ] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_called_a_telephone_number() {
        for (text, number) in [
            ("Phone:\n60-56-85-91\n", "60-56-85-91"),
            ("Phone: 3660170548", "3660170548"),
            ("phone number is 467 3395.", "467 3395"),
            ("Please call me at 0494 92 82 32", "0494 92 82 32"),
            ("Can someone call me on (64) 3591-3246?", "(64) 3591-3246"),
            ("01.84.17.61.18 fax\n", "01.84.17.61.18"),
            ("082 490 1693-Office", "082 490 1693"),
            (r#"{"phoneNumber": "030/1234567"}"#, "030/1234567"),
            (r#"{\"user_phone\":\"030 1234567\"}"#, "030 1234567"),
            ("Tel. 030 1234567", "030 1234567"),
            ("téléphone 01 23 45 67 89", "01 23 45 67 89"),
        ] {
            assert_eq!(found(text), Some(number), "{text}");
        }
        for none in [
            "call 2024-08-06",
            "call at 2024-08-06 12:30",
            "call 12 13 14:15",
            "call 1 2 3 4 5 6 7",
            "phone updated 29.11.2026",
            "call id 1234567",
            "call 1234567",
            "iphone 16 1234567",
            "iPhone 16 1234567",
            "cell 1234567",
            "100 000 000 mobile users",
            "phone 203.0.113.77",
            "[phone] 123 4567",
            "phone 12345",
            "phone 1234567890123456",
            "1234567",
        ] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn a_key_names_its_whole_value() {
        let named = |text: &str| phone(text.as_bytes(), 0, true).is_some();
        assert!(named("0490 75 40 81") && named(" 3660170548"));
        assert!(!named("2026-11-29") && !named("room 0490 75 40 81") && !named("12345"));
    }
}
