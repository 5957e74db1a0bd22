//! Lazy views of encoded maps and arrays.

use super::{Reader, Token, before};

/// One pair of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key, if it is text; empty otherwise.
    pub key: &'a [u8],
    /// The encoded value.
    pub value: &'a [u8],
    /// The encoded pair, key and value.
    pub raw: &'a [u8],
}

/// An encoded map, read pair by pair. What is not a map has no pairs.
#[derive(Debug, Clone, Copy)]
pub struct MapView<'a> {
    reader: Reader<'a>,
    left: u32,
}

impl<'a> MapView<'a> {
    /// A view of the map that `encoded` starts with.
    #[must_use]
    pub fn new(encoded: &'a [u8]) -> Self {
        let mut reader = Reader::new(encoded);
        let left = reader.map().unwrap_or(0);
        Self { reader, left }
    }

    /// The number of pairs not yet read.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.left
    }

    /// Whether no pair is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// The encoded value of the first pair with this key.
    #[must_use]
    pub fn get(self, key: &[u8]) -> Option<&'a [u8]> {
        self.into_iter().find(|entry| entry.key == key).map(|entry| entry.value)
    }
}

impl<'a> Iterator for MapView<'a> {
    type Item = Entry<'a>;

    #[inline]
    fn next(&mut self) -> Option<Entry<'a>> {
        self.left = self.left.checked_sub(1)?;
        let start = self.reader.rest();
        let pair = self.reader.key().and_then(|key| Ok((key, self.reader.skip()?)));
        let Ok((key, value)) = pair else {
            self.left = 0;
            return None;
        };
        Some(Entry { key, value, raw: before(start, self.reader.rest()) })
    }
}

/// The encoded elements of an encoded array; none for anything else.
pub fn elements(encoded: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(encoded);
    let mut left = match reader.token() {
        Ok(Token::Array(count)) => count,
        _ => 0,
    };
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        reader.skip().ok()
    })
}

/// The text of an encoded value; `None` for other types and for text that is not UTF-8.
#[must_use]
pub fn text_of(encoded: &[u8]) -> Option<&str> {
    match Reader::new(encoded).token() {
        Ok(Token::Str(text)) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

/// The integer of an encoded value, also of one written as a number without fraction.
#[must_use]
pub fn int_of(encoded: &[u8]) -> Option<i64> {
    match Reader::new(encoded).token() {
        Ok(Token::Uint(value)) => i64::try_from(value).ok(),
        Ok(Token::Int(value)) => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{array_header, bin, int, map_header, str};
    use super::*;

    #[test]
    fn a_map_is_read_lazily_and_keeps_duplicates() {
        let mut map = Vec::new();
        map_header(&mut map, 3);
        str(&mut map, "k");
        int(&mut map, 1);
        str(&mut map, "k");
        int(&mut map, 2);
        int(&mut map, 9);
        bin(&mut map, b"x");
        let view = MapView::new(&map);
        assert_eq!(view.get(b"k").and_then(int_of), Some(1));
        let keys: Vec<&[u8]> = view.map(|entry| entry.key).collect();
        assert_eq!(keys, [&b"k"[..], b"k", b""]);
        assert_eq!(view.last().map(|entry| entry.raw), Some(&[9, 0xc4, 1, b'x'][..]));
    }

    #[test]
    fn what_is_broken_ends_the_view() {
        assert_eq!(MapView::new(&[0x82, 0xa1, b'k', 1, 0xa1]).count(), 1);
        assert_eq!(MapView::new(&[0x01]).count(), 0);
        let mut array = Vec::new();
        array_header(&mut array, 2);
        str(&mut array, "a");
        assert_eq!(elements(&array).count(), 1);
    }
}
