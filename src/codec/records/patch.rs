//! Patch: parts of an encoded item that are to be replaced, and what with. Between them the item is
//! copied as it is.

use crate::codec::msgpack::{Reader, map_header};

/// A part of a buffer: from its first byte to before its last.
#[derive(Debug, Clone, Copy, Default)]
struct ByteRange {
    start: usize,
    end: usize,
}

impl ByteRange {
    fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start..self.end).unwrap_or_default()
    }
}

/// Parts of an item to replace, named by slices of it. Its memory is used again for the next item.
#[derive(Debug, Default)]
pub struct Patch {
    /// Where the item is in memory.
    item: ByteRange,
    /// Ranges in the item, and in `bytes`.
    edits: Vec<(ByteRange, ByteRange)>,
    bytes: Vec<u8>,
}

/// Where a slice is in memory.
fn addresses(bytes: &[u8]) -> ByteRange {
    let start = bytes.as_ptr().addr();
    ByteRange { start, end: start + bytes.len() }
}

impl Patch {
    /// Forgets all, and begins with this item, from which all parts are to be.
    pub fn begin(&mut self, item: &[u8]) {
        self.item = addresses(item);
        self.edits.clear();
        self.bytes.clear();
    }

    /// Whether nothing is to be replaced.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Replaces a part by what `write` appends, if it gives something. Parts must not overlap.
    pub fn try_replace<T>(
        &mut self,
        part: &[u8],
        write: impl FnOnce(&mut Vec<u8>) -> Option<T>,
    ) -> Option<T> {
        let at = addresses(part);
        let is_inside = self.item.start <= at.start && at.end <= self.item.end;
        debug_assert!(is_inside, "a part of another item");
        let start = self.bytes.len();
        let given = write(&mut self.bytes).filter(|_| is_inside);
        if given.is_some() {
            let range =
                ByteRange { start: at.start - self.item.start, end: at.end - self.item.start };
            self.edits.push((range, ByteRange { start, end: self.bytes.len() }));
        } else {
            self.bytes.truncate(start);
        }
        given
    }

    /// Replaces a part by what `write` appends. Parts must not overlap.
    pub fn replace(&mut self, part: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
        self.try_replace(part, |out| {
            write(out);
            Some(())
        });
    }

    /// Adds `more` pairs, which `write` appends, at the end of a map, of which `fewer` are to be
    /// removed or were. What is no map is replaced by one.
    pub fn edit_map(
        &mut self,
        map: &[u8],
        fewer: u32,
        more: u32,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut reader = Reader::new(map);
        let Ok(pairs) = reader.map() else {
            return self.replace(map, |out| {
                map_header(out, more);
                write(out);
            });
        };
        if fewer != more {
            let (header, _) = map.split_at(map.len().saturating_sub(reader.rest().len()));
            self.replace(header, |out| {
                map_header(out, pairs.saturating_sub(fewer).saturating_add(more));
            });
        }
        if more > 0 {
            let (_, end) = map.split_at(map.len());
            self.replace(end, write);
        }
    }

    /// Appends the item with the replacements.
    pub fn apply(&mut self, item: &[u8], out: &mut Vec<u8>) {
        self.edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut copied = 0;
        for (range, with) in &self.edits {
            out.extend_from_slice(item.get(copied..range.start).unwrap_or_default());
            out.extend_from_slice(with.of(&self.bytes));
            copied = range.end;
        }
        out.extend_from_slice(item.get(copied..).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::{MapView, int_of, str, uint};

    #[test]
    fn parts_are_replaced_in_any_order() {
        let item = b"abcdef";
        let mut patch = Patch::default();
        patch.begin(item);
        let mut put = |start: usize, end: usize, with: &[u8]| {
            patch.try_replace(&item[start..end], |out| {
                out.extend_from_slice(with);
                (!with.is_empty()).then_some(())
            });
        };
        put(4, 5, b"EEE");
        put(1, 3, b"b");
        put(0, 1, b"");
        put(6, 6, b"!");
        put(4, 4, b"+");
        let mut out = Vec::new();
        patch.apply(item, &mut out);
        assert_eq!(out, b"abd+EEEf!");
    }

    #[test]
    fn maps_lose_and_gain_pairs() {
        for pairs in [0, 1, 14, 15, 16, 65_535] {
            let mut map = Vec::new();
            map_header(&mut map, pairs);
            for index in 0..pairs {
                str(&mut map, "k");
                uint(&mut map, index.into());
            }
            let mut patch = Patch::default();
            patch.begin(&map);
            let mut gone = 0;
            if let Some(first) = MapView::new(&map).next() {
                patch.replace(first.raw, |_| {});
                gone = 1;
            }
            patch.edit_map(&map, gone, 2, |out| {
                for value in [7, 8] {
                    str(out, "n");
                    uint(out, value);
                }
            });
            let mut out = Vec::new();
            patch.apply(&map, &mut out);
            assert_eq!(Reader::new(&out).skip(), Ok(&out[..]), "one whole object");
            assert_eq!(MapView::new(&out).count(), (pairs - gone + 2) as usize);
            assert_eq!(MapView::new(&out).last().and_then(|last| int_of(last.value)), Some(8));
        }
        let mut patch = Patch::default();
        let array = [0x90];
        patch.begin(&array);
        patch.edit_map(&array, 0, 1, |out| out.extend_from_slice(&[0xa1, b'k', 1]));
        let mut out = Vec::new();
        patch.apply(&array, &mut out);
        assert_eq!(out, [0x81, 0xa1, b'k', 1]);
    }
}
