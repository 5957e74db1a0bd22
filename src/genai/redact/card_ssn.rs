//! Detectors: payment cards, US social security numbers.

use super::text::{
    TextRange, at, before, begins_number, digit_start, ends_number, is_word, next_digit, run,
};

const DIGITS: fn(u8) -> bool = |byte| byte.is_ascii_digit();

/// The next payment card number: 13 to 19 digits, whole or in groups of 3 to 7 divided by single
/// blanks or hyphens, that begin as an issuer's number does (ISO/IEC 7812) and end in the right
/// check digit.
pub(super) fn card(text: &[u8], mut from: usize) -> Option<TextRange> {
    loop {
        let start = next_digit(text, from)?;
        let first = run(text, start, DIGITS);
        from = first;
        // No group of a card number is shorter.
        if first - start >= 3
            && begins_number(text, start)
            && let Some(end) = card_end(text, start, first)
        {
            return Some(TextRange { start, end });
        }
    }
}

/// The furthest end of a card number whose first group of digits lies at `start..first`.
fn card_end(text: &[u8], start: usize, first: usize) -> Option<usize> {
    let mut digits = [0_u8; 19];
    let mut count = 0;
    let mut end = first;
    let mut group = start;
    let mut found = None;
    loop {
        for digit in text.get(group..end)? {
            match digits.get_mut(count) {
                Some(slot) => *slot = digit - b'0',
                None => return found,
            }
            count += 1;
        }
        let known = digits.get(..count)?;
        if ends_number(text, end) && is_card(known) {
            found = Some(end);
        }
        let length = end - group;
        if !(3..=7).contains(&length) || !matches!(at(text, end), b' ' | b'-') {
            return found;
        }
        group = end + 1;
        end = run(text, group, DIGITS);
        if !(3..=7).contains(&(end - group)) {
            return found;
        }
    }
}

fn is_card(digits: &[u8]) -> bool {
    let prefix = |count: usize| {
        digits.iter().take(count).fold(0_u32, |number, digit| number * 10 + u32::from(*digit))
    };
    let issued = matches!(
        (prefix(1), prefix(2), prefix(4), digits.len()),
        (4, _, _, 13 | 16 | 19)
            | (_, 51..=55, _, 16)
            | (_, _, 2221..=2720, 16)
            | (_, 34 | 37, _, 15)
            | (_, _, 1800 | 2131, 15)
            | (_, 36 | 38 | 39, _, 14..=19)
            | (_, _, 3000..=3059, 14..=19)
            | (_, 35 | 62 | 64 | 65, _, 16..=19)
            | (_, _, 6011, 16..=19)
            | (_, 50 | 56..=58 | 63 | 67, _, 13..=19)
    );
    issued && luhn(digits)
}

/// The check of ISO/IEC 7812-1, annex B.
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| match (index % 2, u32::from(*digit)) {
            (1, digit) if digit > 4 => digit * 2 - 9,
            (1, digit) => digit * 2,
            (_, digit) => digit,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The next US social security number, `AAA-GG-SSSS` with parts that are given out.
pub(super) fn ssn(text: &[u8], mut from: usize) -> Option<TextRange> {
    loop {
        // Hyphens are rarer than digits.
        let area = from.saturating_add(3);
        let hyphen = area + memchr::memchr(b'-', text.get(area..)?)?;
        let start = hyphen - 3;
        from = hyphen - 2;
        if digit_start(text, start) != start {
            continue;
        }
        let whole = text.get(start..start + 11).unwrap_or_default();
        let hyphen_before = before(text, start, 1) == b'-' && is_word(before(text, start, 2));
        if begins_number(text, start)
            && !hyphen_before
            && is_ssn(whole)
            && ends_number(text, start + 11)
            && at(text, start + 11) != b'-'
        {
            return Some(TextRange { start, end: start + 11 });
        }
    }
}

fn is_ssn(text: &[u8]) -> bool {
    let &[a, b, c, b'-', d, e, b'-', f, g, h, i] = text else { return false };
    let digits = [a, b, c, d, e, f, g, h, i].iter().all(u8::is_ascii_digit);
    let area = [a, b, c];
    digits
        && a != b'9'
        && area != *b"000"
        && area != *b"666"
        && [d, e] != *b"00"
        && [f, g, h, i] != *b"0000"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(find: fn(&[u8], usize) -> Option<TextRange>, text: &str) -> Option<&str> {
        find(text.as_bytes(), 0).map(|hit| text.get(hit.start..hit.end).unwrap())
    }

    #[test]
    fn cards() {
        assert_eq!(found(card, "my card 4111 1111 1111 1111."), Some("4111 1111 1111 1111"));
        assert_eq!(found(card, "x:4111111111111111"), Some("4111111111111111"));
        assert_eq!(found(card, "3782-822463-10005 ok"), Some("3782-822463-10005"));
        assert_eq!(found(card, "2024 5555 5555 5555 4444"), Some("5555 5555 5555 4444"));
        assert_eq!(found(card, r"\u53f74111111111111111"), Some("4111111111111111"));
        for none in [
            "4111 1111 1111 1112",
            "0.4111111111111111",
            "a4111111111111111",
            "41111111111111111111111",
            "1795352867893868497",
            "1 2 3 4 5 6 7 8 9 10 11",
            "",
        ] {
            assert_eq!(found(card, none), None, "{none}");
        }
    }

    #[test]
    fn social_security_numbers() {
        assert_eq!(found(ssn, "ssn 123-45-6789,"), Some("123-45-6789"));
        for none in ["000-12-3456", "666-12-3456", "912-12-3456", "123-00-6789", "123-45-67890"] {
            assert_eq!(found(ssn, none), None, "{none}");
        }
        assert_eq!(found(ssn, "a-123-45-6789"), None);
        assert_eq!(found(ssn, "0-1-2 123-45-6789"), Some("123-45-6789"));
        assert_eq!(found(ssn, r"\n123-45-6789"), Some("123-45-6789"));
        assert_eq!(found(ssn, r"\u00e9123-45-6789"), Some("123-45-6789"));
        assert_eq!(found(ssn, r"\u0123-45-6789"), None);
        assert_eq!(found(ssn, "-"), None);
    }
}
