//! Assignments: values that stand in a text beside a name that says that they are secrets, as in JSON,
//! YAML, headers, code, command lines and query parameters.

use super::super::text::{TextRange, at, before, is_word, run};
use super::names::{
    SecretName, has_scheme, is_placeholder, is_secret_value, looks_random, secret_name,
};
use super::shape::has_digit;

/// The longest name, and the longest value, that is looked at.
const MAX_NAME: usize = 64;
const MAX_VALUE: usize = 4096;

/// What schemes an `Authorization` header names before its credentials.
const SCHEMES: &[&[u8]] =
    &[b"bearer", b"basic", b"token", b"apikey", b"api-key", b"digest", b"negotiate"];

/// How the value is joined to its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Join {
    /// `name=value` without blanks, as in variables and query parameters.
    Tight,
    /// With blanks, or by a colon, as in code and in sentences.
    Loose,
}

/// The secret value of the name that has a word of secrets at `hit`.
pub(super) fn assigned(text: &[u8], hit: TextRange) -> Option<TextRange> {
    let name = name_around(text, hit)?;
    let spelled = text.get(name.start..name.end)?;
    let (value, join) = value_start(text, name)?;
    let kind = secret_name(spelled)?;
    let (range, quoted) = value_at(text, value)?;
    let range = if has_scheme(spelled) { credentials(text, range, quoted)? } else { range };
    let found = text.get(range.start..range.end)?;
    let is_secret = if quoted {
        is_secret_value(kind, found)
    } else {
        !found.eq_ignore_ascii_case(spelled) && is_bare_secret(kind, found, join)
    };
    is_secret.then_some(range)
}

/// The whole name around a word in it.
fn name_around(text: &[u8], hit: TextRange) -> Option<TextRange> {
    let is_name = |byte: u8| is_word(byte) || matches!(byte, b'-' | b'.');
    let head = text.get(hit.start.saturating_sub(MAX_NAME)..hit.start)?;
    let start = hit.start - head.iter().rev().take_while(|byte| is_name(**byte)).count();
    let tail = text.get(hit.end..text.len().min(hit.end + MAX_NAME))?;
    let end = hit.end + tail.iter().take_while(|byte| is_word(**byte) || **byte == b'-').count();
    Some(TextRange { start, end })
}

/// Where the value of a name begins, and how it is joined to it.
fn value_start(text: &[u8], name: TextRange) -> Option<(usize, Join)> {
    let blank = |byte: u8| matches!(byte, b' ' | b'\t');
    let (closed, quoted) = match quote_at(text, name.end) {
        Some((after, _, _)) => (after, true),
        None => (name.end, false),
    };
    let closed = if quoted && at(text, closed) == b']' { closed + 1 } else { closed };
    let operator = run(text, closed, blank);
    let spaced = operator > closed;
    if operator > closed + 8 {
        return None;
    }
    let after = match (at(text, operator), at(text, operator + 1)) {
        (b'=', b'=') | (b':', b'/') => return None,
        (b'=', b'>') | (b':' | b'?' | b'.', b'=') => operator + 2,
        (b':', b':') => run(text, operator, |byte| matches!(byte, b':' | b'=')),
        (b'=' | b':', _) => operator + 1,
        (b',', _) if quoted => operator + 1,
        (b'>', _) if !spaced => {
            let value = run(text, operator + 1, |byte| byte.is_ascii_whitespace());
            return Some((value, Join::Loose));
        }
        // `--token VALUE`
        _ if spaced && before(text, name.start, 1) != b'\\' && is_flag(text, name) => {
            return Some((operator, Join::Loose));
        }
        // `var token string = "VALUE"`
        (b'a'..=b'z' | b'A'..=b'Z', _) if spaced => return typed(text, operator),
        _ => return None,
    };
    let value = run(text, after, blank);
    let tight = at(text, operator) == b'=' && !spaced && value == after;
    (value <= after + 8).then_some((value, if tight { Join::Tight } else { Join::Loose }))
}

/// Whether a name is an option of a command line.
fn is_flag(text: &[u8], name: TextRange) -> bool {
    text.get(name.start..name.end).is_some_and(|name| name.starts_with(b"--"))
}

/// Where the quoted value begins after a type and `=`.
fn typed(text: &[u8], from: usize) -> Option<(usize, Join)> {
    let kind = run(text, from, is_word);
    let operator = run(text, kind, |byte| byte == b' ');
    if kind > from + 16 || at(text, operator) != b'=' {
        return None;
    }
    let value = run(text, operator + 1, |byte| byte == b' ');
    quote_at(text, value).map(|_| (value, Join::Loose))
}

/// The quotation mark at a place, with the backslashes that escape it: where it ends, which it is, and
/// how many backslashes.
fn quote_at(text: &[u8], from: usize) -> Option<(usize, u8, usize)> {
    let quote = run(text, from, |byte| byte == b'\\');
    let mark = at(text, quote);
    matches!(mark, b'"' | b'\'' | b'`').then_some((quote + 1, mark, quote - from))
}

/// The value that begins at a place, and whether it stands in quotation marks.
fn value_at(text: &[u8], from: usize) -> Option<(TextRange, bool)> {
    let Some((start, mark, depth)) = quote_at(text, from) else {
        let limit = text.len().min(from.saturating_add(MAX_VALUE));
        let rest = text.get(from..limit)?;
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'`<>&;,)}]\\|".contains(byte);
        let end = from + rest.iter().position(ends).unwrap_or(rest.len());
        return Some((TextRange { start: from, end }, false));
    };
    let limit = text.len().min(start.saturating_add(MAX_VALUE));
    let mut index = start;
    loop {
        let rest = text.get(index..limit)?;
        let Some(found) = memchr::memchr2(mark, b'\n', rest) else {
            return Some((TextRange { start, end: limit }, true));
        };
        let hit = index + found;
        let slashes = text.get(start..hit)?.iter().rev().take_while(|byte| **byte == b'\\').count();
        // One with more backslashes stands inside the value.
        if slashes <= depth || at(text, hit) == b'\n' {
            return Some((TextRange { start, end: hit - slashes }, true));
        }
        index = hit + 1;
    }
}

/// The credentials of an `Authorization` header without its scheme.
fn credentials(text: &[u8], value: TextRange, quoted: bool) -> Option<TextRange> {
    let given = text.get(value.start..value.end)?;
    let scheme = given.iter().position(|byte| *byte == b' ').unwrap_or(given.len());
    let scheme = given.get(..scheme)?;
    if !SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme)) {
        return Some(value);
    }
    let start = run(text, value.start + scheme.len(), |byte| byte == b' ');
    if quoted {
        return (start < value.end).then_some(TextRange { start, end: value.end });
    }
    value_at(text, start).map(|(range, _)| range)
}

/// Whether a value without quotation marks is a secret: in code and sentences, others stand there too.
fn is_bare_secret(kind: SecretName, value: &[u8], join: Join) -> bool {
    let is_code = |byte: &u8| matches!(byte, b'(' | b'[' | b'{');
    if value.iter().any(is_code) || matches!(value, [b'/', ..]) || is_placeholder(value) {
        return false;
    }
    match (kind, join) {
        (SecretName::Always, Join::Tight) => {
            // Names in code have small letters, dots and underscores; passwords of letters only have not.
            let is_name = |byte: &u8| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_');
            let marked = value.iter().any(|byte| matches!(byte, b'.' | b'_'));
            value.len() >= 3 && !(marked && value.iter().all(is_name))
        }
        (SecretName::Always, Join::Loose) => value.len() >= 6 && has_digit(value),
        (SecretName::IfRandom, _) => looks_random(value) && has_digit(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<&str> {
        let words = ["key", "token", "secret", "passw", "pwd", "authorization", "cookie"];
        let lower = text.to_ascii_lowercase();
        let mut hits: Vec<_> =
            words.iter().filter_map(|word| Some((lower.find(word)?, word))).collect();
        hits.sort_unstable();
        hits.into_iter().find_map(|(start, word)| {
            let hit = TextRange { start, end: start + word.len() };
            let value = assigned(text.as_bytes(), hit)?;
            text.get(value.start..value.end)
        })
    }

    #[test]
    fn values_beside_their_names() {
        for (text, value) in [
            (r#"{"password": "correct horse"}"#, "correct horse"),
            (r#"{\"password\":\"a \\\"quoted\\\" word\"}"#, r#"a \\\"quoted\\\" word"#),
            ("DB_PASSWORD=swordfish", "swordfish"),
            ("Server=db;Pwd=Sword-fish;Port=1", "Sword-fish"),
            ("https://x.io/?api_key=abc&n=1", "abc"),
            ("https://x.io/?n=1&access_token=a1b2c3d4e5", "a1b2c3d4e5"),
            ("password: hunter22", "hunter22"),
            ("x-api-key: 0123456789abcdef", "0123456789abcdef"),
            ("cli login --token a1b2c3d4e5f6 now", "a1b2c3d4e5f6"),
            ("Authorization: Bearer abcdef123456", "abcdef123456"),
            (r#""authorization": "Basic dXNlcjpwYXNz""#, "dXNlcjpwYXNz"),
            (r#""Authorization": "abc def""#, "abc def"),
            ("const apiKey = 'abcdef';", "abcdef"),
            (r#"var myToken string = "a1b2c3d4e5""#, "a1b2c3d4e5"),
            ("<password>\n  hunter22\n</password>", "hunter22"),
            (r#"os.environ["API_KEY"] = "abcdef""#, "abcdef"),
            (r#"set("API_TOKEN", "a1b2c3d4e5")"#, "a1b2c3d4e5"),
            (r#"{"password": 123456}"#, "123456"),
        ] {
            assert_eq!(found(text), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_value_stays() {
        for text in [
            "password: must have eight letters",
            "password=password",
            "password = getpass()",
            "api_key=settings.api_key",
            "token=self.token",
            r#"{"token": "Hello", "logprob": -0.1}"#,
            r#"{"properties": {"password": {"type": "string"}}}"#,
            r#"{"api_key": "${OPENAI_API_KEY}"}"#,
            r#"{"password": "[secret]", "x": 1}"#,
            "password=[secret:abcdefgh] next",
            "Authorization: Bearer [secret]",
            "Authorization: required",
            "max_tokens: 4096",
            "PWD=/home/user",
            "if token == \"abc1234567\":",
            "the secret of a good soup",
            "secret",
        ] {
            assert_eq!(found(text), None, "{text}");
        }
    }
}
