//! Fields in plain text: `key=value` and `key: value`, as logfmt, layouts of log libraries and printed
//! headers have them.

use memchr::memchr2;

/// What of a text is looked at; container runtimes cut lines at 16 KiB.
const MAX_TEXT: usize = 16 * 1024;
/// What of a text may have fields.
pub(super) fn fields_text(text: &[u8]) -> &[u8] {
    text.get(..MAX_TEXT).unwrap_or(text)
}

/// The most bytes of a key and of a value.
const LONGEST: usize = 256;

/// A field of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextField<'a> {
    /// The key: letters, digits, `_`, `.` and `-`.
    pub key: &'a [u8],
    /// The value, without quotes; it ends at white space and at what closes or separates.
    pub value: &'a [u8],
    /// The value to the next white space or quote, for values with separators in them.
    pub long_value: &'a [u8],
}

/// The fields of a text, one by one, without taking memory. What only looks like a field is one too:
/// the caller knows the keys.
#[derive(Debug, Clone)]
pub struct TextFields<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> TextFields<'a> {
    /// The fields of a text.
    #[must_use]
    pub fn new(text: &'a [u8]) -> Self {
        Self { text: fields_text(text), at: 0 }
    }
}

impl<'a> Iterator for TextFields<'a> {
    type Item = TextField<'a>;

    fn next(&mut self) -> Option<TextField<'a>> {
        loop {
            let found = memchr2(b'=', b':', self.text.get(self.at..)?)?;
            let separator = self.at.saturating_add(found);
            let before = self.text.get(self.at..separator).unwrap_or_default();
            self.at = separator.saturating_add(1);
            let after = self.text.get(self.at..).unwrap_or_default();
            let key = key_at_end(before);
            let value = value_at_start(after);
            if key.is_empty() || value.is_empty() {
                continue;
            }
            let long_value = run(value, |byte| !byte.is_ascii_whitespace() && !is_quote(byte));
            let value = run(value, is_value_byte);
            return Some(TextField { key, value, long_value });
        }
    }
}

/// The longest start of a text of such bytes.
fn run(text: &[u8], belongs: impl Fn(u8) -> bool) -> &[u8] {
    let text = text.get(..LONGEST).unwrap_or(text);
    let end = text.iter().position(|byte| !belongs(*byte)).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// The key that a text ends with, perhaps in quotes.
fn key_at_end(text: &[u8]) -> &[u8] {
    let text = match text {
        [start @ .., quote] if is_quote(*quote) => start,
        _ => text,
    };
    let text = text.get(text.len().saturating_sub(LONGEST)..).unwrap_or_default();
    let start = text.iter().rposition(|byte| !is_key_byte(*byte)).map_or(0, |at| at + 1);
    text.get(start..).unwrap_or_default()
}

/// What follows a separator, without the blank and the quote or bracket before a value.
fn value_at_start(text: &[u8]) -> &[u8] {
    let text = text.strip_prefix(b" ").unwrap_or(text);
    match text {
        [quote, rest @ ..] if is_quote(*quote) || *quote == b'[' => rest,
        _ => text,
    }
}

const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

const fn is_key_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')
}

const fn is_value_byte(byte: u8) -> bool {
    let ends = matches!(byte, b',' | b';' | b')' | b']' | b'}' | b'>' | b'&' | b'|' | b'\\');
    !byte.is_ascii_whitespace() && !is_quote(byte) && !ends
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(text: &str) -> Vec<(String, String)> {
        let owned = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        TextFields::new(text.as_bytes())
            .map(|field| (owned(field.key), owned(field.value)))
            .collect()
    }

    #[test]
    fn fields_of_common_forms_are_found() {
        for (text, key, value) in [
            ("level=info request_id=req_1 msg=\"a b\"", "request_id", "req_1"),
            ("x-request-id: req_1", "x-request-id", "req_1"),
            ("done [requestId=req_1] in 5ms", "requestId", "req_1"),
            ("headers {\"X-Request-Id\": \"req_1\", \"a\": 1}", "X-Request-Id", "req_1"),
            ("{'dd.trace_id': 'req_1'}", "dd.trace_id", "req_1"),
            ("call(session.id='req_1')", "session.id", "req_1"),
            ("GET /x?rid=req_1&a=b", "rid", "req_1"),
            ("10:00:01 id=req_1;more", "id", "req_1"),
        ] {
            let fields = fields(text);
            assert!(fields.contains(&(key.to_owned(), value.to_owned())), "{text}: {fields:?}");
        }
        assert!(fields("no fields here = = : :").is_empty());
        let whole = TextFields::new(b"X-Amzn-Trace-Id: Root=1-a;Parent=b next").next().unwrap();
        assert_eq!((whole.value, whole.long_value), (&b"Root=1-a"[..], &b"Root=1-a;Parent=b"[..]));
    }

    #[test]
    fn any_text_is_walked_to_its_end() {
        for text in
            ["=", ":::::", "a=", "=a", "a==b", "\"=\"", &"a:".repeat(20_000), &"=".repeat(99)]
        {
            let count = TextFields::new(text.as_bytes()).count();
            assert!(count <= MAX_TEXT, "{count}");
        }
        assert_eq!(TextFields::new("a:".repeat(20_000).as_bytes()).count(), MAX_TEXT / 2 - 1);
    }
}
