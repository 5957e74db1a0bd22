//! Patch: an encoded record read by byte ranges instead of slices, so that parts of it can be
//! replaced.

use crate::codec::msgpack::{ReadError, Reader, Token};
use crate::codec::records::layout::keys;
use crate::codec::records::{EventKind, event_kind, event_time};

/// A part of a record: from its first byte to before its last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ByteRange {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl ByteRange {
    /// The bytes at the range.
    #[inline]
    pub(super) fn of(self, record: &[u8]) -> &[u8] {
        record.get(self.start..self.end).unwrap_or_default()
    }
}

/// A reader that knows where in the record it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cursor<'a> {
    reader: Reader<'a>,
    length: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the record's start.
    pub(super) fn new(record: &'a [u8]) -> Self {
        Self { reader: Reader::new(record), length: record.len() }
    }

    /// A cursor at a range of the record.
    pub(super) fn at(record: &'a [u8], start: usize) -> Self {
        Self { reader: Reader::new(record.get(start..).unwrap_or_default()), length: record.len() }
    }

    /// Where the cursor is.
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.length.saturating_sub(self.reader.rest().len())
    }

    /// What lies ahead.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.reader.rest()
    }

    /// Reads one token.
    #[inline]
    pub(super) fn token(&mut self) -> Result<Token<'a>, ReadError> {
        self.reader.token()
    }

    /// Skips one object.
    #[inline]
    pub(super) fn skip(&mut self) -> Result<&'a [u8], ReadError> {
        self.reader.skip()
    }

    /// Skips one object and says where it was.
    #[inline]
    pub(super) fn range(&mut self) -> Result<ByteRange, ReadError> {
        let start = self.position();
        self.reader.skip()?;
        Ok(ByteRange { start, end: self.position() })
    }

    /// Jumps over bytes known to be whole objects.
    pub(super) fn jump(&mut self, count: usize) {
        self.reader = Reader::new(self.reader.rest().get(count..).unwrap_or_default());
    }

    /// Reads a key; one that is no text is skipped and read as empty.
    #[inline]
    pub(super) fn key(&mut self) -> Result<&'a [u8], ReadError> {
        let before = self.reader;
        if let Token::Str(key) = self.reader.token()? {
            return Ok(key);
        }
        self.reader = before;
        self.reader.skip()?;
        Ok(&[])
    }
}

/// A pair of a map.
#[derive(Debug, Clone, Copy)]
pub(super) struct MapPair<'a> {
    /// The key; empty if it is no text.
    pub(super) key: &'a [u8],
    /// The value's range.
    pub(super) value: ByteRange,
    /// The range of key and value.
    pub(super) whole: ByteRange,
}

/// The pairs of the map at a range; none if it is no map.
pub(super) fn pairs(record: &[u8], map: ByteRange) -> impl Iterator<Item = MapPair<'_>> {
    let mut cursor = Cursor::at(record, map.start);
    let mut left = match cursor.token() {
        Ok(Token::Map(pairs)) => pairs,
        _ => 0,
    };
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        let start = cursor.position();
        let key = cursor.key().ok()?;
        let value = cursor.range().ok()?;
        Some(MapPair { key, value, whole: ByteRange { start, end: value.end } })
    })
}

/// The elements of the array at a range; none if it is no array.
pub(super) fn items(record: &[u8], array: ByteRange) -> impl Iterator<Item = ByteRange> {
    let mut cursor = Cursor::at(record, array.start);
    let mut left = match cursor.token() {
        Ok(Token::Array(count)) => count,
        _ => 0,
    };
    std::iter::from_fn(move || {
        left = left.checked_sub(1)?;
        cursor.range().ok()
    })
}

/// The value under a key of the map at a range.
pub(super) fn find(record: &[u8], map: ByteRange, key: &[u8]) -> Option<ByteRange> {
    pairs(record, map).find(|pair| pair.key == key).map(|pair| pair.value)
}

/// The data points of the metric whose body is at a range.
pub(super) fn data_points(record: &[u8], body: ByteRange) -> impl Iterator<Item = ByteRange> {
    pairs(record, body)
        .filter(|pair| keys::METRIC_DATA.contains(&pair.key))
        .filter_map(|data| find(record, data.value, keys::DATA_POINTS))
        .flat_map(|points| items(record, points))
}

/// Parts of a record to replace, and what with.
#[derive(Debug, Default)]
pub(super) struct Patch {
    /// Ranges in the record, and in `bytes`.
    edits: Vec<(ByteRange, ByteRange)>,
    bytes: Vec<u8>,
}

impl Patch {
    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.edits.clear();
        self.bytes.clear();
    }

    /// Whether nothing is to be replaced.
    pub(super) fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Replaces a range by what `write` appends, if it gives something. Ranges must not overlap.
    pub(super) fn replace<T>(
        &mut self,
        range: ByteRange,
        write: impl FnOnce(&mut Vec<u8>) -> Option<T>,
    ) -> Option<T> {
        let start = self.bytes.len();
        let given = write(&mut self.bytes);
        if given.is_some() {
            self.edits.push((range, ByteRange { start, end: self.bytes.len() }));
        } else {
            self.bytes.truncate(start);
        }
        given
    }

    /// Appends the record with the replacements.
    pub(super) fn apply(&mut self, record: &[u8], out: &mut Vec<u8>) {
        self.edits.sort_by_key(|(range, _)| range.start);
        let mut copied = 0;
        for (range, with) in &self.edits {
            out.extend_from_slice(record.get(copied..range.start).unwrap_or_default());
            out.extend_from_slice(with.of(&self.bytes));
            copied = range.end;
        }
        out.extend_from_slice(record.get(copied..).unwrap_or_default());
    }
}

/// The parts of a log event `[[time, metadata], body]` or, in the old form, `[time, body]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct RecordHead<'a> {
    pub(super) time: ByteRange,
    pub(super) metadata: Option<ByteRange>,
    /// Whether the event starts or ends a group.
    pub(super) marker: bool,
    /// At the body's start.
    pub(super) cursor: Cursor<'a>,
}

/// Reads up to an event's body. Where the metadata begins with `known`, a whole encoded map, it is
/// not read again.
pub(super) fn head<'a>(record: &'a [u8], known: &[u8]) -> Result<RecordHead<'a>, ReadError> {
    let mut cursor = Cursor::new(record);
    let Token::Array(2) = cursor.token()? else { return Err(ReadError::Type) };
    let mut time = ByteRange { start: cursor.position(), end: 0 };
    let mut metadata = None;
    let mut token = cursor.token()?;
    if let Token::Array(parts) = token {
        time.start = cursor.position();
        token = cursor.token()?;
        time.end = cursor.position();
        for part in 1..parts {
            let start = cursor.position();
            if part == 1 && !known.is_empty() && cursor.rest().starts_with(known) {
                cursor.jump(known.len());
            } else {
                cursor.skip()?;
            }
            metadata = metadata.or(Some(ByteRange { start, end: cursor.position() }));
        }
    }
    time.end = time.end.max(if metadata.is_none() { cursor.position() } else { 0 });
    let marker = event_kind(token, event_time(token)?) != EventKind::Record;
    Ok(RecordHead { time, metadata, marker, cursor })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_replaces_places_in_any_order() {
        let mut patch = Patch::default();
        let mut put = |start, end, with: &[u8]| {
            patch.replace(ByteRange { start, end }, |out| {
                out.extend_from_slice(with);
                (!with.is_empty()).then_some(())
            });
        };
        put(4, 5, b"EEE");
        put(1, 3, b"b");
        put(0, 1, b"");
        let mut out = Vec::new();
        patch.apply(b"abcdef", &mut out);
        assert_eq!(out, b"abdEEEf");
    }

    #[test]
    fn heads_of_all_forms() {
        let modern = [0x92, 0x92, 0x05, 0x80, 0x81, 0xa1, b'k', 1];
        let read = head(&modern, &[]).unwrap();
        assert_eq!(read.metadata, Some(ByteRange { start: 3, end: 4 }));
        assert_eq!((read.time, read.cursor.position()), (ByteRange { start: 2, end: 3 }, 4));
        let known = head(&modern, &[0x80]).unwrap();
        assert_eq!(known.cursor.position(), 4);
        let legacy = [0x92, 0x05, 0x80];
        let read = head(&legacy, &[]).unwrap();
        assert_eq!((read.time, read.metadata), (ByteRange { start: 1, end: 2 }, None));
        assert!(head(&[0x92, 0x92, 0xff, 0x80, 0x80], &[]).unwrap().marker);
        assert!(head(&[0x93, 1, 2, 3], &[]).is_err());
        assert!(head(&[0x92, 0xa0, 2], &[]).is_err());
    }
}
