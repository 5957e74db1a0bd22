//! Normalizer: attribute names of the GenAI dialects -> the GenAI conventions 1.41.
//!
//! The names are those of [`super::dialects`]. What a span says under a current name is never overwritten,
//! except that a value of a wrong type (a number as text, a list as JSON text) gets the right one.
//! Doing it twice is the same as doing it once.

mod address;
mod collect;
mod convert;
pub(super) mod field;
pub(super) mod indexed_keys;
mod json;
mod lookup;
pub(super) mod messages;
mod resolve;
mod values;

pub(crate) use values::provider;

use collect::Collected;
use field::GenAiField;
use lookup::KeyLookup;

use super::dialect::RuleAction;
use super::dialects::DialectSet;
use super::dialects::merge::KeyMeaning;
use crate::codec::msgpack::{self, Entry, MapView, Reader};

/// What the keys of a span's attributes show at a glance.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Detection {
    dialects: DialectSet,
    wrong_type: bool,
}

impl Detection {
    /// Whether there may be something to do.
    pub(crate) fn calls_for_work(self) -> bool {
        self.wrong_type || self.dialects != DialectSet::NONE
    }

    /// The name of the span event at a stream's first token, which some dialects show in no other
    /// way.
    pub(crate) fn first_token_event(self) -> Option<&'static str> {
        self.dialects.dialects().find_map(|(_, dialect)| dialect.detection.first_token_event)
    }
}

/// Maps the attributes of spans, of their events, and of logs.
pub(crate) struct Normalizer {
    lookup: KeyLookup,
    keep_originals: bool,
    made: Vec<u8>,
}

impl Normalizer {
    /// A normalizer that leaves the attributes it maps in place, or else removes those that are
    /// wholly said by attributes of the current names.
    pub(crate) fn new(keep_originals: bool) -> Self {
        Self { lookup: KeyLookup::new(), keep_originals, made: Vec::new() }
    }

    /// Looks at one attribute.
    #[inline]
    pub(crate) fn detect(&self, detection: &mut Detection, key: &[u8], value: &[u8]) {
        if let Some(meaning) = self.lookup.find(key) {
            detection.dialects = detection.dialects.and(meaning.shows);
            if let RuleAction::Own(field) = meaning.action {
                detection.wrong_type |= convert::has_wrong_type(field.shape(), value);
            }
        }
    }

    /// Looks at a whole map of attributes.
    pub(crate) fn detect_all(&self, attributes: &[u8]) -> Detection {
        let mut detection = Detection::default();
        for entry in MapView::new(attributes) {
            self.detect(&mut detection, entry.key, entry.value);
        }
        detection
    }

    /// Appends the map of attributes with what it lacks, or gives `None` and appends nothing if it
    /// lacks nothing. The dialects are those that it spoke. `first_token` is the time in seconds from the span's start to its first token.
    pub(crate) fn rewrite(
        &mut self,
        attributes: &[u8],
        detection: Detection,
        first_token: Option<f64>,
        out: &mut Vec<u8>,
    ) -> Option<DialectSet> {
        let read: Vec<(Entry<'_>, Option<&'static KeyMeaning>)> =
            MapView::new(attributes).map(|entry| (entry, self.lookup.find(entry.key))).collect();
        let known = || read.iter().filter_map(|(entry, meaning)| Some((*entry, (*meaning)?)));
        let mut made = std::mem::take(&mut self.made);
        let mut collected = Collected::new(detection.dialects, &mut made);
        known().for_each(|(entry, meaning)| collected.note_own(meaning, entry.value));
        known().for_each(|(entry, meaning)| collected.read(meaning, entry));
        collected.resolve(first_token);
        let changed = if self.keep_originals && !detection.wrong_type {
            extend(attributes, &collected, out)
        } else {
            self.write(&read, &collected, out)
        };
        self.made = made;
        changed.then_some(detection.dialects)
    }

    fn write(
        &self,
        read: &[(Entry<'_>, Option<&'static KeyMeaning>)],
        collected: &Collected<'_>,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        let goes = |meaning: Option<&'static KeyMeaning>| {
            !self.keep_originals && meaning.is_some_and(|meaning| collected.replaced(meaning))
        };
        let stay = read.iter().filter(|(_, meaning)| !goes(*meaning)).count();
        let additions = collected.additions();
        let pairs = u32::try_from(stay).unwrap_or(u32::MAX);
        msgpack::map_header(out, pairs.saturating_add(additions.count_ones()));
        let mut changed = additions != 0 || stay < read.len();
        for (entry, meaning) in read {
            if goes(*meaning) {
                continue;
            }
            match meaning.map(|meaning| meaning.action) {
                Some(RuleAction::Own(field))
                    if convert::has_wrong_type(field.shape(), entry.value) =>
                {
                    changed |= retype(field, *entry, out);
                }
                _ => out.extend_from_slice(entry.raw),
            }
        }
        add(collected, out);
        if !changed {
            out.truncate(start);
        }
        changed
    }
}

/// Appends the map of attributes as it is, and what was found.
fn extend(attributes: &[u8], collected: &Collected<'_>, out: &mut Vec<u8>) -> bool {
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
    for field in GenAiField::ALL.iter().filter(|field| additions & field.bit() != 0) {
        msgpack::str(out, field.name());
        out.extend_from_slice(collected.value(*field));
    }
}

/// Appends a pair with its value in the right type, or as it is if that cannot be.
fn retype(field: GenAiField, entry: Entry<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    msgpack::str_bytes(out, entry.key);
    let done = convert::convert(field, entry.value, out);
    if !done {
        out.truncate(start);
        out.extend_from_slice(entry.raw);
    }
    done
}
