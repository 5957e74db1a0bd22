//! Rewriter: a map of attributes with what was found, and without what others say now.

use super::collect::Collected;
use super::field::GenAiField;
use crate::codec::msgpack::{self, Entry, Reader};
use crate::genai::dialect::RuleAction;
use crate::genai::dialects::merge::KeyMeaning;

/// One attribute of an item.
pub(super) struct ReadAttribute<'a> {
    pub(super) entry: Entry<'a>,
    pub(super) meaning: Option<&'static KeyMeaning>,
    /// Whether it is wholly said by others now.
    pub(super) goes: bool,
}

/// Appends the map of attributes without those that others say wholly now, unless `keep_originals`, and with what was
/// found. Gives false, and appends nothing, if that changes nothing.
pub(super) fn write(
    attributes: &[u8],
    read: &mut [ReadAttribute<'_>],
    collected: &mut Collected<'_>,
    keep_originals: bool,
    out: &mut Vec<u8>,
) -> bool {
    let start = out.len();
    let mut gone: usize = 0;
    for attribute in &mut *read {
        attribute.goes = match attribute.meaning {
            Some(KeyMeaning { action: RuleAction::Own(field), .. }) => collected.corrects(*field),
            Some(meaning) => !keep_originals && collected.replaced(meaning, attribute.entry.value),
            None => false,
        };
        gone = gone.saturating_add(usize::from(attribute.goes));
    }
    let additions = collected.additions();
    let pairs = u32::try_from(read.len().saturating_sub(gone)).unwrap_or(u32::MAX);
    msgpack::map_header(out, pairs.saturating_add(additions.count_ones()));
    let left_of =
        |meaning: &'static KeyMeaning| collected.left_of(meaning).filter(|_| !keep_originals);
    let shortened = copy_stays(attributes, read, left_of, out);
    add(collected, out);
    let changed = shortened || additions != 0 || gone > 0;
    if !changed {
        out.truncate(start);
    }
    changed
}

/// Appends the pairs of attributes that stay, those that stand together in one piece. Whether of any only a part
/// stays, which `left_of` gives.
fn copy_stays<'c>(
    attributes: &[u8],
    read: &[ReadAttribute<'_>],
    left_of: impl Fn(&'static KeyMeaning) -> Option<&'c str>,
    out: &mut Vec<u8>,
) -> bool {
    let mut reader = Reader::new(attributes);
    let mut rest = reader.map().map(|_| reader.rest()).unwrap_or_default();
    let (mut together, mut shortened) = (0, false);
    for ReadAttribute { entry, meaning, goes } in read {
        let left = meaning.filter(|_| !goes).and_then(&left_of);
        if !goes && left.is_none() {
            together += entry.raw.len();
            continue;
        }
        let (stays, after) = rest.split_at_checked(together).unwrap_or_default();
        out.extend_from_slice(stays);
        rest = after.get(entry.raw.len()..).unwrap_or_default();
        together = 0;
        if let Some(left) = left {
            msgpack::str_bytes(out, entry.key);
            msgpack::str(out, left);
            shortened = true;
        }
    }
    out.extend_from_slice(rest.get(..together).unwrap_or_default());
    shortened
}

/// Appends the map of attributes as it is, and what was found.
pub(super) fn extend(attributes: &[u8], collected: &Collected<'_>, out: &mut Vec<u8>) -> bool {
    let mut reader = Reader::new(attributes);
    let additions = collected.additions();
    let Ok(pairs) = reader.map() else { return false };
    if additions == 0 {
        return false;
    }
    msgpack::map_header(out, pairs.saturating_add(additions.count_ones()));
    out.extend_from_slice(reader.rest());
    add(collected, out);
    true
}

/// Appends the pairs that were found.
fn add(collected: &Collected<'_>, out: &mut Vec<u8>) {
    let additions = collected.additions();
    for field in GenAiField::of_bits(additions) {
        msgpack::str(out, field.name_in(collected.conventions));
        out.extend_from_slice(collected.value(field));
    }
}
