//! Leftover pairs: what is left of a record's pairs when others have moved to fields.

use super::super::{fields, values};
use super::accessors::MovedValues;
use super::trace_context::UsedKeys;
use crate::codec::msgpack::{Entry, MapView};
use crate::codec::wire;

/// What moved out of a map: ids by their keys, and other values.
#[derive(Debug, Clone, Copy)]
pub(super) struct LeftoverWriter<'g> {
    pub(super) used: UsedKeys,
    pub(super) moved: &'g MovedValues<'g>,
}

impl LeftoverWriter<'_> {
    /// Whether a pair in the map under the top key `within` is gone.
    fn has_within(&self, within: &[u8], entry: &Entry<'_>) -> bool {
        self.used.contains_within(within, entry.key) || !self.leaves(entry)
    }

    /// Whether something of a pair is left: a map that only had what moved is not.
    fn leaves(&self, entry: &Entry<'_>) -> bool {
        !self.moved.has(entry.value)
            && (!self.moved.is_inside(entry.value)
                || MapView::new(entry.value).any(|inner| self.leaves(&inner)))
    }

    /// Writes a pair of the top without what moved; a map that only had that is left out.
    pub(super) fn write_entry(&self, out: &mut Vec<u8>, field: u32, entry: &Entry<'_>) {
        if self.used.is_empty() && self.moved.is_empty() {
            return values::attribute(out, field, entry);
        }
        if self.used.contains(entry.key) || self.moved.has(entry.value) {
            return;
        }
        if !self.is_cut(entry.key, entry.value) {
            return values::attribute(out, field, entry);
        }
        if MapView::new(entry.value).all(|inner| self.has_within(entry.key, &inner)) {
            return;
        }
        write_map(out, field, entry.key, |out| self.write_pairs(out, 1, entry.key, entry.value));
    }

    /// Writes the content of an `AnyValue` without what moved out of it. `key` is its key at the
    /// top, if it lies there.
    pub(super) fn write_content(&self, out: &mut Vec<u8>, key: &[u8], value: &[u8]) {
        if self.is_cut(key, value) {
            wire::message(out, 6, |out| self.write_pairs(out, 1, key, value));
        } else {
            values::content(out, value);
        }
    }

    /// Writes the pairs of the map under the top key `key`, each as a message in `field`.
    pub(super) fn write_pairs(&self, out: &mut Vec<u8>, field: u32, key: &[u8], map: &[u8]) {
        for inner in MapView::new(map) {
            if !self.used.contains_within(key, inner.key) {
                self.write_inner(out, field, &inner, 1);
            }
        }
    }

    /// Whether something may have moved out of a value.
    fn is_cut(&self, key: &[u8], value: &[u8]) -> bool {
        (self.moved.is_inside(value) || self.used.touches(key)) && fields::is_map(value)
    }

    /// An accessor has few parts, so that this does not go deep.
    fn write_inner(&self, out: &mut Vec<u8>, field: u32, entry: &Entry<'_>, outer: u32) {
        if !self.moved.is_inside(entry.value) && !self.moved.has(entry.value) {
            return values::nested_attribute(out, field, entry, outer);
        }
        if self.leaves(entry) {
            write_map(out, field, entry.key, |out| {
                for inner in MapView::new(entry.value) {
                    self.write_inner(out, 1, &inner, outer.saturating_add(1));
                }
            });
        }
    }
}

/// A `KeyValue` with a map, whose pairs `fill` writes.
fn write_map(out: &mut Vec<u8>, field: u32, key: &[u8], fill: impl FnOnce(&mut Vec<u8>)) {
    wire::message(out, field, |out| {
        wire::nonempty(out, 1, key);
        wire::message(out, 2, |out| wire::message(out, 6, fill));
    });
}
