//! Encoded values of logs: which keys hold text, what a text is, and which value is which.

use crate::codec::msgpack::{MapView, Reader, Token};

/// The keys that commonly hold a log's text, the most telling first.
pub(super) const TEXT_KEYS: [&[u8]; 6] =
    [b"log", b"message", b"msg", b"body", b"MESSAGE", b"Message"];

/// Whether two encoded values are the same one, not only equal.
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    std::ptr::eq(one.as_ptr(), other.as_ptr())
}

/// The text of an encoded value, empty if it is none.
pub(super) fn text(value: &[u8]) -> &[u8] {
    match Reader::new(value).token() {
        Ok(Token::Str(text)) => text,
        _ => &[],
    }
}

/// The texts of a log's encoded body: what stands under the keys that commonly hold one, and under
/// `body_key`.
pub fn log_texts<'a>(body: &'a [u8], body_key: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let holds = move |key: &[u8]| TEXT_KEYS.contains(&key) || (!key.is_empty() && key == body_key);
    let texts = MapView::new(body).filter(move |entry| holds(entry.key));
    texts.map(|entry| text(entry.value)).filter(|text| !text.is_empty())
}
