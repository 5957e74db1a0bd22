//! Content address: a hash that stands for the value of an attribute.

use crate::codec::wire::{WireFields, WireValue};
use crate::digest::Digest;

/// The value of an attribute, an `AnyValue`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ContentValue<'a> {
    /// A text.
    Text(&'a [u8]),
    /// Anything else, as it is encoded.
    Encoded(&'a [u8]),
}

impl<'a> ContentValue<'a> {
    pub(super) fn of(value: &'a [u8]) -> Self {
        let mut fields = WireFields::new(value);
        match (fields.read(), fields.rest()) {
            (Ok(Some(field)), []) if field.number == 1 => match field.value {
                WireValue::Bytes(text) => Self::Text(text),
                _ => Self::Encoded(value),
            },
            _ => Self::Encoded(value),
        }
    }

    const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Text(bytes) | Self::Encoded(bytes) => bytes,
        }
    }

    /// Its bytes in all.
    pub(super) const fn len(self) -> usize {
        self.bytes().len()
    }

    /// Its address: of a text that of its bytes, so that anyone can make it; of what has no form but OTLP's
    /// that of its encoding, under a name of its own, so that no text has the same.
    pub(super) fn address(self) -> String {
        let algorithm = match self {
            Self::Text(_) => "sha256",
            Self::Encoded(_) => "sha256+protobuf",
        };
        format!("{algorithm}:{}", Digest::default().hex(self.bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_have_the_hash_of_their_bytes_and_nothing_else_has_it() {
        const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let text = ContentValue::of(b"\x0a\x03abc");
        assert_eq!((text, text.len()), (ContentValue::Text(b"abc"), 3));
        assert_eq!(text.address(), format!("sha256:{ABC}"));
        // Bytes, a list of one text, a number, two values of which the last counts, and what is broken.
        for value in [
            &b"\x3a\x03abc"[..],
            b"\x2a\x05\x0a\x03abc",
            b"\x18\x05",
            b"\x0a\x01a\x10\x01",
            b"\x0a",
        ] {
            let other = ContentValue::of(value);
            assert_eq!(other, ContentValue::Encoded(value));
            assert!(other.address().starts_with("sha256+protobuf:"));
        }
    }
}
