//! Copy-on-write edits of encoded maps and arrays: what does not change is not written anew.

use crate::codec::msgpack::{Entry, MapView, Reader, Token, array_header, elements, map_header};

/// What becomes of a pair of a map, or of an element of an array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PairEdit {
    Keep,
    Remove,
    /// Its value becomes this one.
    Put(Vec<u8>),
}

/// Whether an encoded value is a map or an array.
pub(super) fn is_structure(value: &[u8]) -> bool {
    matches!(value.first(), Some(0x80..=0x9f | 0xdc..=0xdf))
}

/// Whether an encoded value may hold text: it is no nil, boolean or number.
pub(super) fn is_text_like(value: &[u8]) -> bool {
    !matches!(
        value.first(),
        None | Some(0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xca..=0xd3 | 0xe0..=0xff)
    )
}

/// The map as `step` leaves it, or `None` if that is as it is. What is no map is left alone.
pub(super) fn edit_map<'a>(
    map: &'a [u8],
    mut step: impl FnMut(&Entry<'a>) -> PairEdit,
) -> Option<Vec<u8>> {
    let mut reader = Reader::new(map);
    reader.map().ok()?;
    let all = reader.rest();
    let mut kept: Option<Vec<u8>> = None;
    let (mut pairs, mut read) = (0_u32, 0_usize);
    for entry in MapView::new(map) {
        let edit = step(&entry);
        let before = read;
        read = read.saturating_add(entry.raw.len());
        if edit != PairEdit::Remove {
            pairs = pairs.saturating_add(1);
        }
        if edit != PairEdit::Keep {
            kept.get_or_insert_with(|| {
                let mut start = Vec::with_capacity(map.len());
                start.extend_from_slice(all.get(..before).unwrap_or_default());
                start
            });
        }
        let Some(kept) = &mut kept else { continue };
        match edit {
            PairEdit::Keep => kept.extend_from_slice(entry.raw),
            PairEdit::Remove => {}
            PairEdit::Put(value) => {
                let key = entry.raw.len().saturating_sub(entry.value.len());
                kept.extend_from_slice(entry.raw.get(..key).unwrap_or_default());
                kept.extend_from_slice(&value);
            }
        }
    }
    let kept = kept?;
    let mut out = Vec::with_capacity(kept.len().saturating_add(5));
    map_header(&mut out, pairs);
    out.extend_from_slice(&kept);
    Some(out)
}

/// The array as `step` leaves it, or `None` if that is as it is. What is no array is left alone.
pub(super) fn edit_array<'a>(
    array: &'a [u8],
    mut step: impl FnMut(&'a [u8]) -> PairEdit,
) -> Option<Vec<u8>> {
    let mut reader = Reader::new(array);
    let Ok(Token::Array(_)) = reader.token() else { return None };
    let all = reader.rest();
    let mut kept: Option<Vec<u8>> = None;
    let (mut count, mut read) = (0_u32, 0_usize);
    for element in elements(array) {
        let edit = step(element);
        let before = read;
        read = read.saturating_add(element.len());
        if edit != PairEdit::Remove {
            count = count.saturating_add(1);
        }
        if edit != PairEdit::Keep {
            kept.get_or_insert_with(|| all.get(..before).unwrap_or_default().to_vec());
        }
        let Some(kept) = &mut kept else { continue };
        match edit {
            PairEdit::Keep => kept.extend_from_slice(element),
            PairEdit::Remove => {}
            PairEdit::Put(value) => kept.extend_from_slice(&value),
        }
    }
    let kept = kept?;
    let mut out = Vec::with_capacity(kept.len().saturating_add(5));
    array_header(&mut out, count);
    out.extend_from_slice(&kept);
    Some(out)
}

/// The map with another value under a key that it has.
pub(super) fn with_value(map: &[u8], key: &[u8], value: &[u8]) -> Vec<u8> {
    let edited = edit_map(map, |entry| {
        if entry.key == key { PairEdit::Put(value.to_vec()) } else { PairEdit::Keep }
    });
    edited.unwrap_or_else(|| map.to_vec())
}

/// The map with one more pair, which is encoded; what is not a map becomes one of that pair.
pub(super) fn with_pair(map: &[u8], pair: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(map.len().saturating_add(pair.len()).saturating_add(5));
    let mut reader = Reader::new(map);
    match reader.map() {
        Ok(pairs) => {
            map_header(&mut out, pairs.saturating_add(1));
            out.extend_from_slice(reader.rest());
        }
        Err(_) => map_header(&mut out, 1),
    }
    out.extend_from_slice(pair);
    out
}
