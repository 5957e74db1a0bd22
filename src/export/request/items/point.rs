//! Data point shrinking: makes one data point smaller.
//!
//! What does not say which series the point belongs to goes first: the attributes that exemplars
//! have beside the series' own, then exemplars themselves. That is noted in the metric's metadata,
//! which is not part of a series' identity. Only then are texts of the point's attributes cut. That
//! makes another series of it, which says so by an attribute and stays the same series from report
//! to report: texts keep a power of two of bytes, of which the last are a hash of the whole text, so
//! that different texts stay different.

use super::attributes_field;
use super::cut_texts::{MessageKind, ShrunkItem, TRUNCATED, cut_texts, list_attribute};
use super::fields::each;
use crate::codec::wire;
use crate::model::Signal;

/// The field of a metric's metadata.
const METADATA: u32 = 12;
/// The field of the attributes of an exemplar that the series does not have.
const FILTERED_ATTRIBUTES: u32 = 7;
/// How the metadata names what is gone.
const FILTERED: &str = "exemplars.filtered_attributes";
const EXEMPLARS: &str = "exemplars";
/// About how long that note is.
const NOTE: usize = 100;

/// A field of a data point.
enum Part<'a> {
    Exemplar { whole: &'a [u8], bare: Vec<u8>, kept: Kept },
    Other(&'a [u8]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Whole,
    Bare,
    Nothing,
}

impl Part<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Other(whole) | Self::Exemplar { whole, kept: Kept::Whole, .. } => whole,
            Self::Exemplar { bare, kept: Kept::Bare, .. } => bare,
            Self::Exemplar { kept: Kept::Nothing, .. } => &[],
        }
    }

    /// Lets an exemplar lose its own attributes; how many bytes that saves.
    fn bare(&mut self) -> usize {
        let Self::Exemplar { whole, bare, kept } = self else { return 0 };
        let saved = whole.len().saturating_sub(bare.len());
        if saved > 0 {
            *kept = Kept::Bare;
        }
        saved
    }

    /// Takes an exemplar away; how many bytes that saves.
    fn remove(&mut self) -> usize {
        let saved = self.bytes().len();
        match self {
            Self::Exemplar { kept, .. } => {
                *kept = Kept::Nothing;
                saved
            }
            Self::Other(_) => 0,
        }
    }

    fn is(&self, wanted: Kept) -> bool {
        matches!(self, Self::Exemplar { kept, .. } if *kept == wanted)
    }
}

/// The field of the exemplars of a data point of a metric whose data is in field `kind`.
const fn exemplars_field(kind: u32) -> Option<u32> {
    match kind {
        5 | 7 => Some(5),
        9 => Some(8),
        10 => Some(11),
        _ => None,
    }
}

/// The data point in at most `target` bytes, with the note that its metric gets.
pub(in crate::export) fn shrink_point(kind: u32, item: &[u8], target: usize) -> Option<ShrunkItem> {
    let target = target.checked_sub(NOTE)?;
    let mut parts = read(kind, item)?;
    let mut excess = item.len().saturating_sub(target);
    let mut order: Vec<&mut Part<'_>> = parts.iter_mut().collect();
    order.sort_by_key(|part| std::cmp::Reverse(part.bytes().len()));
    for part in order {
        if excess > 0 {
            excess = excess.saturating_sub(part.bare());
        }
    }
    for part in parts.iter_mut().rev() {
        if excess > 0 {
            excess = excess.saturating_sub(part.remove());
        }
    }
    let lost = [(Kept::Bare, FILTERED), (Kept::Nothing, EXEMPLARS)];
    let lost = lost.into_iter().filter(|(kept, _)| parts.iter().any(|part| part.is(*kept)));
    let lost: Vec<&str> = lost.map(|(_, name)| name).collect();
    let mut metadata = Vec::new();
    if !lost.is_empty() {
        list_attribute(&mut metadata, METADATA, TRUNCATED, &lost);
    }
    let mut item: Vec<u8> = parts.iter().flat_map(Part::bytes).copied().collect();
    if excess > 0 {
        let field = attributes_field(Signal::Metrics, kind);
        item = cut_texts(MessageKind::Point(field), field, &item, target)?;
    }
    Some(ShrunkItem { item, metadata })
}

fn read(kind: u32, item: &[u8]) -> Option<Vec<Part<'_>>> {
    let exemplars = exemplars_field(kind);
    let mut parts = Vec::new();
    let walked = each(item, |number, content, raw| {
        let Some(content) = content.filter(|_| Some(number) == exemplars) else {
            parts.push(Part::Other(raw));
            return Ok(());
        };
        let mut inside = Vec::new();
        each(content, |number, _, raw| {
            if number != FILTERED_ATTRIBUTES {
                inside.extend_from_slice(raw);
            }
            Ok(())
        })?;
        let mut bare = Vec::with_capacity(inside.len().saturating_add(6));
        wire::bytes(&mut bare, number, &inside);
        parts.push(Part::Exemplar { whole: raw, bare, kept: Kept::Whole });
        Ok(())
    });
    walked.ok().map(|()| parts)
}
