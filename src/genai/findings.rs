//! Annotation: the mark of items in which something was found that must not leave.
//!
//! What was found is gone when the item is marked; the mark tells whoever comes later, for instance
//! an endpoint that gets content of such items only, that there was something, and of which kind.

use super::patch::{ByteRange, Cursor, Patch, find, head, items, pairs};
use super::redact::{Detector, FindingSource, Pattern};
use crate::codec::msgpack::{self, Token};
use crate::codec::records::is_placing_key;
use crate::codec::records::layout::keys;
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

/// Notes the mark of a record: in the attributes of a span or OTLP log, in the body of an ordinary
/// log. `known` is as for [`head`].
pub(super) fn mark(
    record: &[u8],
    signal: Option<Signal>,
    known: &[u8],
    names: &[&str],
    patch: &mut Patch,
) {
    let Ok(read) = head(record, known) else { return };
    let body = ByteRange { start: read.cursor.position(), end: record.len() };
    let otlp = read.metadata.and_then(|metadata| find(record, metadata, keys::OTLP));
    // An ordinary log that only got its place in a trace stays one.
    let otlp = otlp.filter(|otlp| pairs(record, *otlp).any(|pair| !is_placing_key(pair.key)));
    match (signal, otlp) {
        (Some(Signal::Metrics | Signal::Profiles), _) => {}
        (Some(Signal::Traces), _) => in_attributes(record, body, names, patch),
        (Some(Signal::Logs) | None, Some(otlp)) => in_attributes(record, otlp, names, patch),
        (Some(Signal::Logs) | None, None) => {
            in_map(record, body, names, patch);
        }
    }
}

/// Adds the mark to the attributes that are in the map at a place.
fn in_attributes(record: &[u8], map: ByteRange, names: &[&str], patch: &mut Patch) {
    match find(record, map, b"attributes") {
        Some(attributes) if in_map(record, attributes, names, patch) => {}
        // An empty list of attributes may have become an array.
        Some(other) => {
            patch.replace(other, |out| {
                write_map(out, names);
                Some(())
            });
        }
        None => add(record, map, patch, |out| {
            msgpack::str(out, "attributes");
            write_map(out, names);
        }),
    }
}

fn write_map(out: &mut Vec<u8>, names: &[&str]) {
    msgpack::map_header(out, 1);
    msgpack::str(out, FINDINGS);
    write_names(out, names);
}

fn write_names(out: &mut Vec<u8>, names: &[&str]) {
    msgpack::array_header(out, u32::try_from(names.len()).unwrap_or(0));
    names.iter().for_each(|name| msgpack::str(out, name));
}

/// Adds the mark to a map, together with the names that are there already. Whether it is a map.
fn in_map(record: &[u8], map: ByteRange, names: &[&str], patch: &mut Patch) -> bool {
    if !matches!(Cursor::at(record, map.start).token(), Ok(Token::Map(_))) {
        return false;
    }
    let Some(given) = find(record, map, FINDINGS.as_bytes()) else {
        add(record, map, patch, |out| {
            msgpack::str(out, FINDINGS);
            write_names(out, names);
        });
        return true;
    };
    let mut all: Vec<&str> = Vec::new();
    let former = items(record, given).filter_map(|item| msgpack::text_of(item.of(record)));
    for name in former.chain(names.iter().copied()) {
        if all.len() < MAX_NAMES && !all.contains(&name) {
            all.push(name);
        }
    }
    patch.replace(given, |out| {
        write_names(out, &all);
        Some(())
    });
    true
}

/// Adds a pair at the end of a map.
fn add(record: &[u8], map: ByteRange, patch: &mut Patch, write: impl FnOnce(&mut Vec<u8>)) {
    let mut cursor = Cursor::at(record, map.start);
    let Ok(Token::Map(pairs)) = cursor.token() else { return };
    let header = ByteRange { start: map.start, end: cursor.position() };
    patch.replace(header, |out| {
        msgpack::map_header(out, pairs.saturating_add(1));
        Some(())
    });
    patch.replace(ByteRange { start: map.end, end: map.end }, |out| {
        write(out);
        Some(())
    });
}
