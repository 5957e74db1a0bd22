//! Rewriter: a map of attributes with what was found, and without what others say now.

use super::collect::Collected;
use super::field::GenAiField;
use super::scratch::Cut;
use super::seen::{DialectAttribute, OwnAttribute};
use crate::codec::msgpack::{self, Reader};

/// Appends the map of attributes without those that others say wholly now, unless `keep_originals`, and with what was
/// found. Gives false, and appends nothing, if that changes nothing. `dialect` are the map's attributes of dialects.
pub(super) fn write(
    attributes: &[u8],
    dialect: &[DialectAttribute<'_>],
    collected: &mut Collected<'_, '_>,
    keep_originals: bool,
    out: &mut Vec<u8>,
) -> bool {
    let mut reader = Reader::new(attributes);
    let Ok(pairs) = reader.map() else { return false };
    let body = reader.rest();
    let cut = |raw: &[u8], left_of| {
        let start = raw.as_ptr().addr().saturating_sub(body.as_ptr().addr());
        Cut { start, length: raw.len(), left_of }
    };
    let mut cuts = std::mem::take(&mut collected.scratch.cuts);
    cuts.clear();
    let mut gone = 0_u32;
    if !keep_originals {
        for DialectAttribute { meaning, entry } in dialect {
            if collected.replaced(meaning, entry.value) {
                gone = gone.saturating_add(1);
                add_cut(&mut cuts, cut(entry.raw, None));
            } else if collected.leaves_parts() && collected.left_of(meaning).is_some() {
                cuts.push(cut(entry.raw, Some(*meaning)));
            }
        }
    }
    if collected.corrects_own() {
        let corrected = |own: &&OwnAttribute<'_>| collected.corrects(own.field);
        for own in collected.own_attributes.iter().filter(corrected) {
            gone = gone.saturating_add(1);
            cuts.push(cut(own.raw, None));
        }
        cuts.sort_unstable_by_key(|cut| cut.start);
    }
    let additions = collected.additions();
    let changed = additions != 0 || !cuts.is_empty();
    if changed {
        let stay = pairs.saturating_sub(gone);
        msgpack::map_header(out, stay.saturating_add(additions.count_ones()));
        copy_stays(body, &cuts, collected, out);
        add(collected, out);
    }
    collected.scratch.cuts = cuts;
    changed
}

/// Adds a pair that goes, as one with the pair before it if that goes, too.
fn add_cut(cuts: &mut Vec<Cut>, cut: Cut) {
    match cuts.last_mut() {
        Some(last) if last.left_of.is_none() && last.start + last.length == cut.start => {
            last.length += cut.length;
        }
        _ => cuts.push(cut),
    }
}

/// Appends the pairs of attributes that stay, those that stand together in one piece.
fn copy_stays(body: &[u8], cuts: &[Cut], collected: &Collected<'_, '_>, out: &mut Vec<u8>) {
    let mut copied = 0;
    for cut in cuts {
        out.extend_from_slice(body.get(copied..cut.start).unwrap_or_default());
        copied = cut.start.saturating_add(cut.length);
        if let Some(meaning) = cut.left_of {
            let pair = body.get(cut.start..copied).unwrap_or_default();
            msgpack::str_bytes(out, Reader::new(pair).key().unwrap_or_default());
            out.extend_from_slice(collected.left_of(meaning).unwrap_or_default());
        }
    }
    out.extend_from_slice(body.get(copied..).unwrap_or_default());
}

/// Appends the map of attributes as it is, and what was found.
pub(super) fn extend(attributes: &[u8], collected: &Collected<'_, '_>, out: &mut Vec<u8>) -> bool {
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
fn add(collected: &Collected<'_, '_>, out: &mut Vec<u8>) {
    for field in GenAiField::of_bits(collected.additions()) {
        collected.scratch.write(field, out);
    }
}
