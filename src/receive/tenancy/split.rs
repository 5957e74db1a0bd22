//! Request splitting: a request in parts, by the tags of its resources.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::tags::Tag;
use crate::codec::wire::{WireError, WireFields, WireValue};

/// A request by tags.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestPieces {
    /// All resources have this tag.
    Whole(Tag),
    /// The resources of each tag, as requests of their own, in the order in which the tags came.
    Parts(Vec<(Tag, Vec<u8>)>),
}

/// Splits a request at its `ResourceSpans` or their likes. What stands beside them is unknown to
/// this version of OTLP, so it is in each part.
pub(super) fn split(
    request: &[u8],
    mut tag_of: impl FnMut(&[u8]) -> Result<Tag, WireError>,
) -> Result<RequestPieces, WireError> {
    let mut order: HashMap<Tag, usize, RandomState> = HashMap::default();
    let mut tags = Vec::new();
    let mut slices = Vec::new();
    let mut unknown = Vec::new();
    let mut fields = WireFields::new(request);
    while let Some(field) = fields.read()? {
        let (1, WireValue::Bytes(envelope)) = (field.number, field.value) else {
            unknown.extend_from_slice(field.raw);
            continue;
        };
        let tag = tag_of(envelope)?;
        let index = *order.entry(tag).or_insert_with_key(|tag| {
            tags.push((tag.clone(), Vec::new(), 0_usize));
            tags.len().saturating_sub(1)
        });
        if let Some((_, _, length)) = tags.get_mut(index) {
            *length = length.saturating_add(field.raw.len());
        }
        slices.push((index, field.raw));
    }
    if tags.len() <= 1 {
        return Ok(RequestPieces::Whole(tags.pop().map(|(tag, ..)| tag).unwrap_or_default()));
    }
    for (_, bytes, length) in &mut tags {
        bytes.reserve_exact(length.saturating_add(unknown.len()));
    }
    for (index, raw) in slices {
        if let Some((_, bytes, _)) = tags.get_mut(index) {
            bytes.extend_from_slice(raw);
        }
    }
    for (_, bytes, _) in &mut tags {
        bytes.extend_from_slice(&unknown);
    }
    Ok(RequestPieces::Parts(tags.into_iter().map(|(tag, bytes, _)| (tag, bytes)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by_content(envelope: &[u8]) -> Result<Tag, WireError> {
        Ok(Tag::new(std::str::from_utf8(&envelope[..1]).unwrap()))
    }

    #[test]
    fn resources_of_one_tag_stay_together_in_order() {
        let request = b"\x0a\x02a1\x0a\x02b1\x12\x02??\x0a\x02a2";
        let pieces = split(request, by_content).unwrap();
        let expected = vec![
            (Tag::new("a"), b"\x0a\x02a1\x0a\x02a2\x12\x02??".to_vec()),
            (Tag::new("b"), b"\x0a\x02b1\x12\x02??".to_vec()),
        ];
        assert_eq!(pieces, RequestPieces::Parts(expected));
    }

    #[test]
    fn one_tag_costs_no_copy() {
        let pieces = split(b"\x0a\x02a1\x0a\x02a2", by_content).unwrap();
        assert_eq!(pieces, RequestPieces::Whole(Tag::new("a")));
        assert_eq!(split(b"", by_content).unwrap(), RequestPieces::Whole(Tag::default()));
        assert!(split(b"\x0a\x05a", by_content).is_err());
    }
}
