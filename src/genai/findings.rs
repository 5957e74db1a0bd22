//! The mark of items in which something was found that must not leave.
//!
//! What was found is gone when the item is marked; the mark tells whoever comes later, for instance
//! an endpoint that gets content of such items only, that there was something, and of which kind.

use super::redact::{Detector, Finder, Pattern};
use super::walk::{Patch, Place, Walker, find, head, items, pairs};
use crate::codec::msgpack::{self, Token};
use crate::codec::records::is_placing_key;
use crate::codec::records::layout::keys;
use crate::model::Signal;

/// The attribute that lists what was found in an item: names of detectors and patterns.
pub const FINDINGS: &str = "fluentbit.ai.findings";

/// Names that are listed at most; an item may come with others already.
const MOST: usize = 64;

/// What found something in one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Found {
    detectors: [bool; Detector::ALL.len()],
    patterns: [bool; Pattern::MOST],
}

impl Found {
    pub(super) fn note(&mut self, finder: Finder) {
        let slot = match finder {
            Finder::Detector(detector) => self.detectors.get_mut(detector.index()),
            Finder::Pattern(index) => self.patterns.get_mut(index),
        };
        if let Some(slot) = slot {
            *slot = true;
        }
    }

    /// What found something, patterns first.
    pub(super) fn finders(&self) -> impl Iterator<Item = Finder> + '_ {
        let detectors = Detector::ALL.into_iter().zip(self.detectors);
        let detectors = detectors.filter(|(_, found)| *found);
        let patterns = self.patterns.iter().enumerate().filter(|(_, found)| **found);
        let patterns = patterns.map(|(index, _)| Finder::Pattern(index));
        patterns.chain(detectors.map(|(detector, _)| Finder::Detector(detector)))
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
    let body = Place { start: read.walker.position(), end: record.len() };
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
fn in_attributes(record: &[u8], map: Place, names: &[&str], patch: &mut Patch) {
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
fn in_map(record: &[u8], map: Place, names: &[&str], patch: &mut Patch) -> bool {
    if !matches!(Walker::at(record, map.start).token(), Ok(Token::Map(_))) {
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
        if all.len() < MOST && !all.contains(&name) {
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
fn add(record: &[u8], map: Place, patch: &mut Patch, write: impl FnOnce(&mut Vec<u8>)) {
    let mut walker = Walker::at(record, map.start);
    let Ok(Token::Map(pairs)) = walker.token() else { return };
    let header = Place { start: map.start, end: walker.position() };
    patch.replace(header, |out| {
        msgpack::map_header(out, pairs.saturating_add(1));
        Some(())
    });
    patch.replace(Place { start: map.end, end: map.end }, |out| {
        write(out);
        Some(())
    });
}
