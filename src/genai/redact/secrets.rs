//! Detector: keys and tokens, by the forms that their issuers gave them so that they can be found.

use regex::bytes::Regex;

use super::text::{TextRange, after_escape, at, begins, run};

/// How each form begins. The regex only finds candidates; [`whole`] finds their end.
const FORMS: &str = concat!(
    "(?-u)",
    "sk-[A-Za-z0-9_-]{16}",
    "|[sr]k_(?:live|test)_[A-Za-z0-9]{16}",
    "|(?:AKIA|ASIA)[0-9A-Z]{16}",
    "|gh[pousr]_[A-Za-z0-9]{30}",
    "|github_pat_[A-Za-z0-9_]{22}",
    "|glpat-[A-Za-z0-9_-]{20}",
    "|hf_[A-Za-z0-9]{30}",
    "|xox[abeoprs]-[A-Za-z0-9-]{10}",
    "|xapp-[A-Za-z0-9-]{10}",
    "|AIza[0-9A-Za-z_-]{35}",
    "|eyJ[A-Za-z0-9_-]{8}",
    "|-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----",
    "|(?i:bearer)[ \\t]{1,4}[A-Za-z0-9._~+/=-]{16}",
    "|(?i:aws_?secret_?access_?key)[\\x22'\\\\ \\t:=]{1,12}[A-Za-z0-9/+]{40}",
);

/// The longest header of a JSON Web Token that is looked at.
const MAX_JWT_HEADER: usize = 2048;
/// The longest private key that is looked at for its end.
const MAX_PEM: usize = 16 << 10;

/// Finds secrets.
#[derive(Debug)]
pub(super) struct Secrets(Regex);

impl Secrets {
    /// The finder; `None` only if the forms were no regular expression.
    pub(super) fn new() -> Option<Self> {
        Regex::new(FORMS).ok().map(Self)
    }

    /// The next secret.
    pub(super) fn find(&self, text: &[u8], mut from: usize) -> Option<TextRange> {
        loop {
            let found = self.0.find_at(text, from)?;
            match whole(text, found.start(), found.end()) {
                Ok(hit) => return Some(hit),
                Err(next) => from = next.max(found.start() + 1),
            }
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

fn is_base64(byte: u8) -> bool {
    is_token(byte) || matches!(byte, b'.' | b'~' | b'+' | b'/' | b'=')
}

/// The whole secret of a candidate, or where to go on looking.
fn whole(text: &[u8], start: usize, end: usize) -> Result<TextRange, usize> {
    let candidate = text.get(start..end).unwrap_or_default();
    if candidate.starts_with(b"-----") {
        return Ok(TextRange { start, end: pem_end(text, end) });
    }
    if !begins(text, start) {
        return Err(start + 1);
    }
    let lower = candidate.first().map(u8::to_ascii_lowercase);
    if lower == Some(b'b') {
        let gap = candidate.iter().rposition(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(0);
        return with_digit(text, start + gap + 1, value_end(text, end));
    }
    if candidate.get(..3).is_some_and(|head| head.eq_ignore_ascii_case(b"aws")) {
        return Ok(TextRange { start: after_escape(text, end - 40), end: value_end(text, end) });
    }
    if candidate.starts_with(b"eyJ") {
        return jwt(text, start, end);
    }
    let start = after_escape(text, start);
    if candidate.starts_with(b"AKIA") || candidate.starts_with(b"ASIA") {
        let end = run(text, end, is_token);
        return if end - start <= 20 { Ok(TextRange { start, end }) } else { Err(end) };
    }
    with_digit(text, start, run(text, end, is_token))
}

/// A secret of random characters has digits; words joined by hyphens have none.
fn with_digit(text: &[u8], start: usize, end: usize) -> Result<TextRange, usize> {
    let value = text.get(start..end).unwrap_or_default();
    if value.iter().any(u8::is_ascii_digit) { Ok(TextRange { start, end }) } else { Err(end) }
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

/// A JSON Web Token has three parts, of which the first two are JSON objects (RFC 7519, section 3).
fn jwt(text: &[u8], start: usize, end: usize) -> Result<TextRange, usize> {
    let limit = text.len().min(start.saturating_add(MAX_JWT_HEADER));
    let header = run(text.get(..limit).unwrap_or_default(), end, is_token);
    if !text.get(header..).unwrap_or_default().starts_with(b".eyJ") {
        return Err(end);
    }
    let payload = run(text, header + 1, is_token);
    if at(text, payload) != b'.' {
        return Err(payload);
    }
    Ok(TextRange { start: after_escape(text, start), end: run(text, payload + 1, is_token) })
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

    fn found(text: &str) -> Option<String> {
        let hit = Secrets::new().unwrap().find(text.as_bytes(), 0)?;
        Some(text.get(hit.start..hit.end)?.to_owned())
    }

    #[test]
    fn keys_of_many_issuers() {
        let tail = "a1B2c3D4e5F6g7H8i9J0";
        for key in [
            format!("sk-{tail}"),
            format!("sk-proj-{tail}_{tail}-x"),
            format!("sk-ant-api03-{tail}"),
            format!("sk_live_{tail}"),
            "AKIAIOSFODNN7EXAMPLE".to_owned(),
            format!("ghp_{tail}{tail}"),
            format!("github_pat_{tail}{tail}"),
            format!("xoxb-{tail}-{tail}"),
            format!("AIza{tail}a1B2c3D4e5F6g7H"),
            format!("hf_{tail}{tail}"),
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN".to_owned(),
        ] {
            assert_eq!(found(&format!("key={key} x")).as_deref(), Some(key.as_str()));
            let nested = format!(r#"{{\"k\":\"a\\n{key}\"}}"#);
            assert_eq!(found(&nested).as_deref(), Some(key.as_str()));
        }
    }

    #[test]
    fn values_after_their_names() {
        let bearer = "Authorization: Bearer abcdef0123456789abcd==";
        assert_eq!(found(bearer).as_deref(), Some("abcdef0123456789abcd=="));
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        let line = format!("aws_secret_access_key = {secret}");
        assert_eq!(found(&line).as_deref(), Some(secret));
        let line = format!(r#"{{"AWS_SECRET_ACCESS_KEY":"{secret}"}}"#);
        assert_eq!(found(&line).as_deref(), Some(secret));
    }

    #[test]
    fn private_keys_with_and_without_end() {
        let key = "-----BEGIN RSA PRIVATE KEY-----\\nMIIEabc+/=\\n-----END RSA PRIVATE KEY-----";
        assert_eq!(found(&format!("\"{key}\",\"b\"")).as_deref(), Some(key));
        let cut = "-----BEGIN PRIVATE KEY-----\\nMIIEabc";
        assert_eq!(found(&format!("{{\"k\":\"{cut}\"}}")).as_deref(), Some(cut));
    }

    #[test]
    fn words_are_no_secrets() {
        for none in [
            "sk-learn-pipeline-with-words",
            "task-1234567890123456789012",
            "bearer of bad-news-and-more-words",
            "AKIAIOSFODNN7EXAMPLEANDMORE",
            "eyJhbGciOiJIUzI1NiJ9",
            "-----BEGIN CERTIFICATE-----",
        ] {
            assert_eq!(found(none), None, "{none}");
        }
    }

    #[test]
    fn hostile_text_takes_linear_time() {
        for text in ["sk-".repeat(100_000), "eyJaaaaaaaa".repeat(20_000), "bearer ".repeat(50_000)]
        {
            assert_eq!(found(&text), None);
        }
    }
}
