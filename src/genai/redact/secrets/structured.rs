//! Secrets with a structure of their own: JSON Web Tokens, private keys, credentials of HTTP and in
//! URLs, keys that are known by what is in their middle.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::super::text::{TextRange, after_escape, at, begins, run};
use super::names::is_placeholder;
use super::shape::{CharacterClass, has_digit, is_varied};

/// The longest header of a JSON Web Token that is looked at.
const MAX_JWT_HEADER: usize = 2048;
/// The longest private key that is looked at for its end.
const MAX_PEM: usize = 16 << 10;
/// The longest name and password of a URL.
const MAX_USER_INFO: usize = 256;
/// The longest credentials of basic authentication that are decoded.
const MAX_BASIC: usize = 1024;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn is_token(byte: u8) -> bool {
    CharacterClass::Token.has(byte)
}

fn is_base64(byte: u8) -> bool {
    is_token(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=')
}

/// The end of a base64 value, in which JSON may write `/` as `\/`.
fn value_end(text: &[u8], from: usize) -> usize {
    let mut end = from;
    loop {
        end = run(text, end, is_base64);
        let slashes = run(text, end, |byte| byte == b'\\');
        if slashes == end || at(text, slashes) != b'/' {
            return end;
        }
        end = slashes;
    }
}

/// The start of the run of bytes for which `is` holds that ends before a position; at most `max` bytes
/// back, and not before `from`.
fn run_back(text: &[u8], end: usize, from: usize, max: usize, is: impl Fn(u8) -> bool) -> usize {
    let first = from.max(end.saturating_sub(max));
    let before = text.get(first..end).unwrap_or_default();
    end - before.iter().rev().take_while(|byte| is(**byte)).count()
}

/// The token after the scheme `Bearer` that stands at `hit`: 16 bytes or more, with a digit.
pub(super) fn bearer(text: &[u8], hit: TextRange) -> Option<TextRange> {
    let start = after_scheme(text, hit)?;
    let end = value_end(text, start);
    let value = text.get(start..end)?;
    (value.len() >= 16 && has_digit(value)).then_some(TextRange { start, end })
}

/// The credentials after the scheme `Basic` that stands at `hit`: base64 of a name, a colon and a
/// password (RFC 7617, section 2).
pub(super) fn basic(text: &[u8], hit: TextRange) -> Option<TextRange> {
    let start = after_scheme(text, hit)?;
    let end = value_end(text, start);
    let value = text.get(start..end).filter(|value| (6..=MAX_BASIC).contains(&value.len()))?;
    let decoded = BASE64.decode(value).ok()?;
    let printable = decoded.iter().all(|byte| !byte.is_ascii_control());
    (printable && decoded.contains(&b':')).then_some(TextRange { start, end })
}

fn after_scheme(text: &[u8], hit: TextRange) -> Option<usize> {
    let start = run(text, hit.end, |byte| matches!(byte, b' ' | b'\t'));
    (begins(text, hit.start) && (1..=4).contains(&(start - hit.end))).then_some(start)
}

/// The password of the URL whose `://` stands at `hit`, or its user where that is a token (RFC 3986,
/// section 3.2.1).
pub(super) fn user_info(text: &[u8], hit: TextRange) -> Option<TextRange> {
    let is_user = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:%".contains(&byte);
    let limit = text.len().min(hit.end.saturating_add(MAX_USER_INFO));
    let rest = text.get(hit.end..limit)?;
    let length = rest.iter().take_while(|byte| is_user(**byte)).count();
    if rest.get(length) != Some(&b'@') {
        return None;
    }
    let end = hit.end + length;
    let info = rest.get(..length)?;
    match memchr::memchr(b':', info) {
        Some(colon) => {
            let password = info.get(colon + 1..)?;
            let there = !password.is_empty() && !is_placeholder(password);
            there.then_some(TextRange { start: hit.end + colon + 1, end })
        }
        None => (length >= 20 && has_digit(info)).then_some(TextRange { start: hit.end, end }),
    }
}

/// The key of Azure's services around the mark that is in its middle: 52 letters and digits before it, 26
/// after it.
pub(super) fn azure_key(text: &[u8], hit: TextRange, from: usize) -> Option<TextRange> {
    let is = |byte| CharacterClass::Alnum.has(byte);
    let start = after_escape(text, run_back(text, hit.start, from, 80, is));
    let end = run(text, hit.end, is);
    (hit.start.checked_sub(start)? >= 40 && end - hit.end >= 16).then_some(TextRange { start, end })
}

/// The client secret of Microsoft Entra around `Q~`: three characters and a digit before it, 31 to 34
/// characters after it.
pub(super) fn entra_secret(text: &[u8], hit: TextRange, from: usize) -> Option<TextRange> {
    let is = |byte: u8| CharacterClass::Word.has(byte) || matches!(byte, b'~' | b'.' | b'-');
    let start = hit.start.checked_sub(4).filter(|start| *start >= from)?;
    let tail = text.get(hit.end..text.len().min(hit.end + 40))?;
    let end = hit.end + tail.iter().take_while(|byte| is(**byte)).count();
    let head = text.get(start..hit.start)?;
    let digit = head.last().is_some_and(u8::is_ascii_digit);
    let whole = digit && head.iter().all(|byte| is(*byte)) && begins(text, start);
    let varied = is_varied(text.get(hit.end..end)?, 8);
    (whole && varied && (31..=34).contains(&(end - hit.end))).then_some(TextRange { start, end })
}

/// The token of a Telegram bot around `:AA`: 8 to 10 digits before it, 33 characters after it.
pub(super) fn telegram_token(text: &[u8], hit: TextRange, from: usize) -> Option<TextRange> {
    let start = run_back(text, hit.start, from, 11, |byte| byte.is_ascii_digit());
    let tail = text.get(hit.end..text.len().min(hit.end + 40))?;
    let end = hit.end + tail.iter().take_while(|byte| is_token(**byte)).count();
    let digits = (8..=10).contains(&(hit.start - start));
    (digits && end - hit.end == 33 && begins(text, start)).then_some(TextRange { start, end })
}

/// The JSON Web Token that begins at `hit`.
pub(super) fn jwt(text: &[u8], hit: TextRange) -> Option<TextRange> {
    let start = hit.start;
    if !begins(text, start) {
        return None;
    }
    let limit = text.len().min(start.saturating_add(MAX_JWT_HEADER));
    let header = run(text.get(..limit)?, hit.end, is_token);
    // It has three parts, of which the first two are JSON objects (RFC 7519, section 3).
    if header < hit.end + 8 || !text.get(header..)?.starts_with(b".eyJ") {
        return None;
    }
    let payload = run(text, header + 1, is_token);
    if at(text, payload) != b'.' {
        return None;
    }
    Some(TextRange { start: after_escape(text, start), end: run(text, payload + 1, is_token) })
}

/// The private key whose first line, `-----BEGIN ... PRIVATE KEY-----`, begins at `hit`.
pub(super) fn private_key(text: &[u8], hit: TextRange) -> Option<TextRange> {
    let is_label = |byte: u8| CharacterClass::Upper.has(byte) || matches!(byte, b' ' | b'_');
    let label = run(text, hit.end, is_label);
    let words = text.get(hit.end..label).filter(|words| words.len() <= 100)?;
    let is_key = words.ends_with(b"PRIVATE KEY") || words.ends_with(b"PRIVATE KEY BLOCK");
    let body = label + 5;
    let closed = text.get(label..body) == Some(b"-----");
    (is_key && closed).then(|| TextRange { start: hit.start, end: pem_end(text, body) })
}

/// The end of a private key whose first line ends at `from`. It never leaves the JSON string that
/// the key stands in: that would need a quotation mark.
fn pem_end(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..text.len().min(from.saturating_add(MAX_PEM))).unwrap_or_default();
    let rest = rest.get(..memchr::memchr(b'"', rest).unwrap_or(rest.len())).unwrap_or_default();
    if let Some(last) = memchr::memmem::find(rest, b"-----END ") {
        let line = rest.get(last + 9..).unwrap_or_default();
        if let Some(close) = memchr::memmem::find(line.get(..60).unwrap_or(line), b"-----") {
            return from + last + 9 + close + 5;
        }
    }
    // No end: all that looks like the key. Line ends may be escaped, at any depth.
    let mut end = from;
    loop {
        end = run(text, end, |byte| is_base64(byte) || byte.is_ascii_whitespace());
        let slashes = run(text, end, |byte| byte == b'\\');
        if slashes == end || !matches!(at(text, slashes), b'n' | b'r' | b'/') {
            return end;
        }
        end = slashes + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Find = fn(&[u8], TextRange) -> Option<TextRange>;

    fn found<'a>(find: Find, mark: &str, text: &'a str) -> Option<&'a str> {
        let start = text.find(mark).unwrap();
        let hit = find(text.as_bytes(), TextRange { start, end: start + mark.len() })?;
        text.get(hit.start..hit.end)
    }

    #[test]
    fn credentials_in_urls() {
        for (text, value) in [
            ("postgres://joe:hunter2@db/x", Some("hunter2")),
            ("https://a1b2c3d4e5f6a1b2c3d4@git.io/x", Some("a1b2c3d4e5f6a1b2c3d4")),
            ("https://:pass@x.io", Some("pass")),
            ("https://joe@x.io", None),
            ("https://joe:@x.io", None),
            ("https://x.io/a:b@c", None),
            ("https://joe:${PASSWORD}@x.io", None),
            ("https://joe:****@x.io", None),
        ] {
            assert_eq!(found(user_info, "://", text), value, "{text}");
        }
    }

    #[test]
    fn credentials_after_their_scheme() {
        assert_eq!(found(basic, "Basic", "Basic dXNlcjpwYXNz,"), Some("dXNlcjpwYXNz"));
        assert_eq!(found(basic, "Basic", "Basic dXNlcjpwYXNzdw==\""), Some("dXNlcjpwYXNzdw=="));
        assert_eq!(found(basic, "Basic", "Basic understanding of things"), None);
        assert_eq!(found(basic, "basic", "visualbasic dXNlcjpwYXNz"), None);
        assert_eq!(found(bearer, "Bearer", "Bearer abc"), None);
        assert_eq!(found(bearer, "bearer", "bearer of bad-news-and-more-words"), None);
    }

    #[test]
    fn keys_known_by_their_middle() {
        let find: Find = |text, hit| azure_key(text, hit, 0);
        let key = format!("{}JQQJ99{}", "a1B2".repeat(13), "c3D4".repeat(6));
        assert_eq!(found(find, "JQQJ99", &format!("k {key} x")), Some(key.as_str()));
        assert_eq!(found(find, "JQQJ99", "shortJQQJ99short"), None);
        let find: Find = |text, hit| entra_secret(text, hit, 0);
        let key = format!("aB~1Q~{}", "x.Y-z_9~w".repeat(4).get(..32).unwrap());
        assert_eq!(found(find, "Q~", &format!("'{key}'")), Some(key.as_str()));
        assert_eq!(found(find, "Q~", "IQ~ a"), None);
        let find: Find = |text, hit| telegram_token(text, hit, 0);
        let key = format!("123456789:AA{}", "a1B2c3D4e5F".repeat(3));
        assert_eq!(found(find, ":AA", &format!("bot {key} x")), Some(key.as_str()));
    }
}
