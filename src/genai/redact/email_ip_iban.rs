//! Detectors: e-mail addresses, IP addresses, bank accounts.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::text::{
    TextRange, after_escape, at, before, begins, begins_number, is_word, next_digit, run,
};

/// Longest local part and domain of an e-mail address, by RFC 5321, section 4.5.3.1.
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 255;

/// The next e-mail address.
pub(super) fn email(text: &[u8], mut from: usize) -> Option<TextRange> {
    loop {
        let sign = from + memchr::memchr(b'@', text.get(from..)?)?;
        if let Some(hit) = email_around(text, from, sign) {
            return Some(hit);
        }
        from = sign + 1;
    }
}

fn email_around(text: &[u8], from: usize, sign: usize) -> Option<TextRange> {
    let first = from.max(sign.saturating_sub(MAX_LOCAL));
    let local = text.get(first..sign)?;
    let is_local = |byte: &u8| byte.is_ascii_alphanumeric() || b".!#$%&*+=?^_`{|}~-".contains(byte);
    let length = local.iter().rev().take_while(|byte| is_local(byte)).count();
    let mut start = after_escape(text, sign - length);
    // What opens a bracket or a sentence is no part of the name.
    start = run(text, start, |byte| matches!(byte, b'.' | b'{' | b'|' | b'`' | b'*' | b'&' | b'?'));
    let last = text.len().min(sign.saturating_add(MAX_DOMAIN));
    let domain = text.get(sign + 1..last)?;
    let is_domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    let mut length = domain.iter().take_while(|byte| is_domain(byte)).count();
    while matches!(domain.get(..length)?.last(), Some(b'.' | b'-')) {
        length -= 1;
    }
    let domain = domain.get(..length)?;
    let dot = domain.iter().rposition(|byte| *byte == b'.')?;
    let top = domain.get(dot + 1..)?;
    let named = top.len() >= 2 && top.iter().all(u8::is_ascii_alphabetic);
    let labels = domain.split(|byte| *byte == b'.').all(|label| !label.is_empty());
    (start < sign && named && labels).then_some(TextRange { start, end: sign + 1 + length })
}

/// The next IPv4 or IPv6 address.
pub(super) fn ip(text: &[u8], mut from: usize) -> Option<TextRange> {
    let is_part = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':');
    loop {
        // Hexadecimal digits are in most words, but dots and colons are rare.
        let mark = from + memchr::memchr2(b'.', b':', text.get(from..)?)?;
        let before = text.get(from..mark)?.iter().rev();
        let start = mark - before.take_while(|byte| is_part(**byte)).count();
        let end = run(text, mark, is_part);
        let marks = text.get(start..end)?.iter().filter(|byte| matches!(byte, b'.' | b':'));
        if marks.count() >= 2
            && let Some(hit) = address_in(text, start, end)
        {
            return Some(hit);
        }
        from = end;
    }
}

/// The address in a run of hexadecimal digits, dots and colons.
fn address_in(text: &[u8], start: usize, end: usize) -> Option<TextRange> {
    let start = match before(text, start, 1) {
        b'\\' => after_escape(text, start),
        _ => after_escape(text, start).min(end),
    };
    let whole = text.get(start..end)?;
    // A port after an address of version 4, and the full stop or colon of a sentence.
    let version4 = whole.split(|byte| *byte == b':').next()?;
    let version4 = version4.strip_suffix(b".").unwrap_or(version4);
    let hit = |address: &[u8]| Some(TextRange { start, end: start + address.len() });
    let parses4 = std::str::from_utf8(version4).ok()?.parse::<Ipv4Addr>().is_ok();
    if parses4 && begins_number(text, start) && !is_word(at(text, start + version4.len())) {
        return hit(version4);
    }
    let version6 = whole.strip_suffix(b".").unwrap_or(whole);
    let trimmed = version6.strip_suffix(b":").filter(|rest| !rest.ends_with(b":"));
    let version6 = trimmed.unwrap_or(version6);
    let colons = version6.iter().filter(|byte| **byte == b':').count();
    let digits = version6.iter().any(u8::is_ascii_digit);
    if colons < 2 || !digits || !begins(text, start) || is_word(at(text, start + version6.len())) {
        return None;
    }
    std::str::from_utf8(version6).ok()?.parse::<Ipv6Addr>().ok()?;
    hit(version6)
}

/// Lengths of bank account numbers by country, from the IBAN registry of ISO 13616.
const IBAN_LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SC", 31),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
];

/// The next international bank account number with the right check digits, whole or in groups.
pub(super) fn iban(text: &[u8], mut from: usize) -> Option<TextRange> {
    loop {
        let digit = next_digit(text, from)?;
        // After a digit none can stand that letters stand before.
        from = run(text, digit, |byte| byte.is_ascii_digit());
        let Some(start) = digit.checked_sub(2) else { continue };
        let upper = |index: usize| at(text, index).is_ascii_uppercase();
        if upper(start)
            && upper(start + 1)
            && begins(text, start)
            && let Some(end) = iban_end(text, start)
        {
            return Some(TextRange { start, end });
        }
    }
}

fn iban_end(text: &[u8], start: usize) -> Option<usize> {
    let country = text.get(start..)?.first_chunk::<2>()?;
    let length = IBAN_LENGTHS.iter().find(|(known, _)| *known == country)?.1;
    let mut characters = [0_u8; 34];
    let mut count = 0;
    let mut index = start;
    while count < length {
        let byte = at(text, index);
        if byte.is_ascii_uppercase() || byte.is_ascii_digit() {
            *characters.get_mut(count)? = byte;
            count += 1;
        } else if byte != b' ' || before(text, index, 1) == b' ' {
            return None;
        }
        index += 1;
    }
    let (head, tail) = characters.get(..length)?.split_at_checked(4)?;
    let remainder = tail.iter().chain(head).fold(0_u32, |remainder, byte| match byte {
        b'0'..=b'9' => (remainder * 10 + u32::from(byte - b'0')) % 97,
        _ => (remainder * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    (remainder == 1 && !is_word(at(text, index))).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(find: fn(&[u8], usize) -> Option<TextRange>, text: &str) -> Option<&str> {
        find(text.as_bytes(), 0).map(|hit| text.get(hit.start..hit.end).unwrap())
    }

    #[test]
    fn emails() {
        assert_eq!(found(email, "to joe.b+x@mail.example.org."), Some("joe.b+x@mail.example.org"));
        assert_eq!(found(email, r#"{\"to\":\"a@b.io\"}"#), Some("a@b.io"));
        assert_eq!(found(email, r"hi\njoe@x.com"), Some("joe@x.com"));
        assert_eq!(found(email, r"hi\u00e9joe@x.com"), Some("joe@x.com"));
        assert_eq!(found(email, "x@y @ z@w.de"), Some("z@w.de"));
        for none in ["@app.route", "pkg@1.2.3", "a@b", "@", "a@.com", "a@b..com", "user@host"] {
            assert_eq!(found(email, none), None, "{none}");
        }
    }

    #[test]
    fn addresses() {
        assert_eq!(found(ip, "from 10.0.0.1:8080"), Some("10.0.0.1"));
        assert_eq!(found(ip, "at 192.168.1.20."), Some("192.168.1.20"));
        assert_eq!(found(ip, "[2001:db8::1]:443"), Some("2001:db8::1"));
        assert_eq!(found(ip, r"\n10.1.2.3"), Some("10.1.2.3"));
        for none in ["1.2.3", "1.2.3.4.5", "v1.2.3.4", "12:34:56", "std::abc", "::", "256.1.1.1"] {
            assert_eq!(found(ip, none), None, "{none}");
        }
    }

    #[test]
    fn accounts() {
        assert_eq!(found(iban, "DE89370400440532013000."), Some("DE89370400440532013000"));
        let grouped = "GB29 NWBK 6016 1331 9268 19";
        assert_eq!(found(iban, grouped), Some(grouped));
        for none in ["DE89370400440532013001", "XX89370400440532013000", "DE8937040044053201300"] {
            assert_eq!(found(iban, none), None, "{none}");
        }
    }
}
