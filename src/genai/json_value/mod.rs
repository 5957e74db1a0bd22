//! JSON values of one item: texts are borrowed from what they were read from, all else lies in an [`Arena`]. They
//! keep the order of members, and are copied, not moved.
//!
//! `serde_json::Value` allocates every text, every key, every list and every object by itself, which cost more than
//! all else of mapping messages.

mod arena;
mod members;
mod number;
mod read;
mod text;
mod write;

pub(in crate::genai) use arena::Arena;
pub(in crate::genai) use arena::Building;
pub(in crate::genai) use members::Members;
pub(in crate::genai) use members::Pair;
pub(in crate::genai) use number::Number;
pub(in crate::genai) use text::Text;
pub(in crate::genai) use write::append;

use crate::codec::msgpack::{MapView, Reader, Token, elements};

/// How deep an encoded value may nest; what lies deeper is left out.
pub(super) const MAX_DEPTH: usize = 12;

/// A JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Json<'a> {
    #[default]
    Null,
    Bool(bool),
    Number(Number),
    Text(Text<'a>),
    List(&'a [Json<'a>]),
    Object(Members<'a>),
}

/// The text that bytes are, with what is none of it replaced.
fn text_of<'a>(arena: &'a Arena, bytes: &'a [u8]) -> Text<'a> {
    // Nearly all are text, which is quicker to see at once.
    match std::str::from_utf8(bytes) {
        Ok(text) => Text::from(text),
        Err(_) => Text::from(arena.text(&String::from_utf8_lossy(bytes))),
    }
}

impl<'a> Json<'a> {
    /// A word that JSON writes as it is.
    pub const fn word(word: &'static str) -> Self {
        Self::Text(Text::word(word))
    }

    /// An object of these members.
    pub fn object<const N: usize>(arena: &'a Arena, members: [(&'static str, Self); N]) -> Self {
        let pairs = members.map(|(name, value)| (Text::word(name), value));
        Self::Object(Members::collect(arena, pairs))
    }

    /// An encoded value. Bytes, extensions and what nests too deep are null.
    pub fn of_encoded(arena: &'a Arena, encoded: &'a [u8]) -> Self {
        Self::of_nested(arena, encoded, 0)
    }

    fn of_nested(arena: &'a Arena, encoded: &'a [u8], depth: usize) -> Self {
        match Reader::new(encoded).token() {
            Ok(Token::Str(text)) => Self::Text(text_of(arena, text)),
            Ok(Token::Bool(value)) => Self::Bool(value),
            Ok(Token::Uint(value)) => Self::Number(value.into()),
            Ok(Token::Int(value)) => Self::Number(value.into()),
            Ok(Token::Float(value)) => Self::of_float(value),
            Ok(Token::Array(_)) if depth < MAX_DEPTH => {
                let inner = |element| Self::of_nested(arena, element, depth + 1);
                Self::List(arena.list(elements(encoded).map(inner)))
            }
            Ok(Token::Map(_)) if depth < MAX_DEPTH => {
                let members = MapView::new(encoded).map(|entry| {
                    (text_of(arena, entry.key), Self::of_nested(arena, entry.value, depth + 1))
                });
                Self::Object(Members::collect(arena, members))
            }
            _ => Self::Null,
        }
    }

    fn of_float(value: f64) -> Self {
        if value.is_finite() { Self::Number(Number::Float(value)) } else { Self::Null }
    }

    /// The member of an object.
    pub fn get(self, name: &str) -> Option<Self> {
        self.as_object()?.get(name)
    }

    pub const fn as_text(self) -> Option<Text<'a>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub const fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    pub const fn as_list(self) -> Option<&'a [Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    pub const fn as_object(self) -> Option<Members<'a>> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    pub const fn is_text(self) -> bool {
        matches!(self, Self::Text(_))
    }

    pub const fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }
}

impl<'a> From<&'a str> for Json<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_values_end() {
        let mut deep = vec![0x91; 100_000];
        deep.push(0xc0);
        assert!(Json::of_encoded(&Arena::default(), &deep).as_list().is_some());
    }

    /// Scenario: encoded values of every kind, with bytes that are no text. Guarantees: they are what JSON says.
    #[test]
    fn encoded_values_become_json() {
        let encoded = [
            0x87, 0xa1, b'a', 0xc0, 0xa1, b'b', 0xc3, 0xa1, b'c', 0x07, 0xa1, b'd', 0xff, 0xa1,
            b'e', 0x92, 0xa1, 0xff, 0x80, 0xa1, b'f', 0xca, 0x3f, 0x00, 0x00, 0x00, 0xa1, b'g',
            0xca, 0x7f, 0x80, 0x00, 0x00,
        ];
        let arena = Arena::default();
        let text = Json::of_encoded(&arena, &encoded).to_text();
        assert_eq!(
            text,
            "{\"a\":null,\"b\":true,\"c\":7,\"d\":-1,\"e\":[\"\u{fffd}\",{}],\"f\":0.5,\"g\":null}"
        );
    }
}
