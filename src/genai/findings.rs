//! Annotation: the mark of items in which something was found that must not leave.
//!
//! What was found is gone when the item is marked; the mark says so to what comes later, for instance
//! an endpoint that gets content of such items only, that there was something, and of which kind.

use super::redact::{Detector, FindingSource, Pattern};
use crate::codec::msgpack::{self, MapView, Reader, elements};
use crate::codec::records::layout::keys;
use crate::codec::records::{Item, Patch, is_placing_key};
use crate::model::Signal;

/// The attribute that lists what was found in an item: names of detectors and patterns.
pub const FINDINGS: &str = "fluentbit.ai.findings";

/// Names that are listed at most; an item may come with others already.
const MAX_NAMES: usize = 64;

/// What found something in one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FindingSet {
    detectors: [bool; Detector::ALL.len()],
    patterns: [bool; Pattern::MAX],
    keys: bool,
}

impl FindingSet {
    pub(super) fn note(&mut self, finder: FindingSource) {
        let slot = match finder {
            FindingSource::Detector(detector) => self.detectors.get_mut(detector.index()),
            FindingSource::Pattern(index) => self.patterns.get_mut(index),
            FindingSource::Key => Some(&mut self.keys),
        };
        if let Some(slot) = slot {
            *slot = true;
        }
    }

    /// What found something, patterns first.
    pub(super) fn finders(&self) -> impl Iterator<Item = FindingSource> + '_ {
        let detectors = Detector::ALL.into_iter().zip(self.detectors);
        let detectors = detectors.filter(|(_, found)| *found);
        let patterns = self.patterns.iter().enumerate().filter(|(_, found)| **found);
        let patterns = patterns.map(|(index, _)| FindingSource::Pattern(index));
        let keys = self.keys.then_some(FindingSource::Key);
        patterns.chain(detectors.map(|(detector, _)| FindingSource::Detector(detector))).chain(keys)
    }
}

/// Notes the mark of an item: in the attributes of a span or OTLP log, in the body of an ordinary
/// log.
pub(super) fn mark(item: &Item<'_>, names: &[&str], patch: &mut Patch) {
    // An ordinary log that only got its place in a trace stays one.
    let is_placed_only = |otlp: &&[u8]| MapView::new(otlp).all(|entry| is_placing_key(entry.key));
    let otlp = item.event.otlp().filter(|otlp| !is_placed_only(otlp));
    match (item.signal(), otlp) {
        (Signal::Metrics | Signal::Profiles, _) => {}
        (Signal::Traces, _) => in_attributes(item.event.body, names, patch),
        (Signal::Logs, Some(otlp)) => in_attributes(otlp, names, patch),
        (Signal::Logs, None) if Reader::new(item.event.body).map().is_ok() => {
            in_map(item.event.body, names, patch);
        }
        (Signal::Logs, None) => {}
    }
}

/// Adds the mark to the attributes in a map. An empty list of attributes may have become an array.
fn in_attributes(map: &[u8], names: &[&str], patch: &mut Patch) {
    match MapView::new(map).get(keys::ATTRIBUTES) {
        Some(attributes) => in_map(attributes, names, patch),
        None if Reader::new(map).map().is_err() => {}
        None => patch.edit_map(map, 0, 1, |out| {
            msgpack::str_bytes(out, keys::ATTRIBUTES);
            msgpack::map_header(out, 1);
            write_pair(out, names);
        }),
    }
}

fn write_pair(out: &mut Vec<u8>, names: &[&str]) {
    msgpack::str(out, FINDINGS);
    write_names(out, names);
}

fn write_names(out: &mut Vec<u8>, names: &[&str]) {
    msgpack::array_header(out, u32::try_from(names.len()).unwrap_or(0));
    names.iter().for_each(|name| msgpack::str(out, name));
}

/// Adds the mark to a map, together with the names that are there already.
fn in_map(map: &[u8], names: &[&str], patch: &mut Patch) {
    let Some(given) = MapView::new(map).get(FINDINGS.as_bytes()) else {
        return patch.edit_map(map, 0, 1, |out| write_pair(out, names));
    };
    let mut all: Vec<&str> = Vec::new();
    let former = elements(given).filter_map(msgpack::text_of);
    for name in former.chain(names.iter().copied()) {
        if all.len() < MAX_NAMES && !all.contains(&name) {
            all.push(name);
        }
    }
    patch.replace(given, |out| write_names(out, &all));
}
