//! Dialect detector: whether an item speaks a GenAI dialect, so that common words in it mean
//! content.

use crate::codec::msgpack::{MapView, Reader, Token, elements};
use crate::codec::records::Event;
use crate::genai::is_dialect_mark;

/// How deep names are looked for: an OTLP resource's are in the third map.
const MAX_DEPTH: usize = 5;

/// Whether the names of an item's attributes, of its span or event, or of its scope and service, in
/// whatever map they stand, show that it speaks a dialect.
pub(super) fn speaks_dialect(event: &Event<'_>) -> bool {
    let group = event.group.map(|group| group.body).unwrap_or_default();
    [event.body, event.metadata, group].into_iter().any(|map| speaks(map, 0))
}

/// Whether the value under a key is the name of an event, a span, a scope or a service.
pub(super) fn is_naming(key: &[u8]) -> bool {
    matches!(
        key,
        b"name"
            | b"event.name"
            | b"event_name"
            | b"eventName"
            | b"service.name"
            | b"service_name"
            | b"service"
            | b"logger"
            | b"logger_name"
            | b"scope"
            | b"log"
            | b"message"
            | b"body"
    )
}

fn speaks(value: &[u8], depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    let inner = depth.saturating_add(1);
    match Reader::new(value).token() {
        Ok(Token::Map(_)) => MapView::new(value).any(|entry| {
            is_dialect_mark(entry.key)
                || match Reader::new(entry.value).token() {
                    Ok(Token::Str(text)) => is_naming(entry.key) && is_dialect_mark(text),
                    Ok(Token::Map(_) | Token::Array(_)) => speaks(entry.value, inner),
                    _ => false,
                }
        }),
        Ok(Token::Array(_)) => elements(value).any(|element| speaks(element, inner)),
        _ => false,
    }
}
