//! Attribute names of the GenAI dialects -> the GenAI conventions 1.41.
//!
//! The names are OpenInference's, OpenLLMetry's, LiteLLM's, LangSmith's, and those that other
//! releases of the conventions have. What a span says under a current name is never overwritten,
//! except that a value of a wrong type (a number as text, a list as JSON text) gets the right one.
//! Doing it twice is the same as doing it once.

mod address;
mod collect;
mod convert;
mod field;
mod flat;
mod json;
mod lookup;
mod messages;
mod resolve;
mod rules;
mod values;

pub(crate) use values::provider;

use collect::Collected;
use field::Field;
use lookup::{Lookup, Meaning};
use rules::Action;

use super::dialect::{Dialect, Marks};
use crate::codec::msgpack::{self, Entry, MapView};

/// What the keys of a span's attributes show at a glance.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sighting {
    marks: Marks,
    misfit: bool,
}

impl Sighting {
    /// Whether there may be something to do.
    pub(crate) fn calls_for_work(self) -> bool {
        self.misfit || self.marks != Marks::NONE
    }

    /// Whether the span comes from `OpenInference`, whose first token shows only as a span event.
    pub(crate) fn is_open_inference(self) -> bool {
        self.marks.has(Marks::OPEN_INFERENCE)
    }
}

/// Maps the attributes of spans, of their events, and of logs.
pub(crate) struct Normalizer {
    lookup: Lookup,
    keep_originals: bool,
    made: Vec<u8>,
}

impl Normalizer {
    /// A normalizer that leaves the attributes it maps in place, or else removes those that are
    /// wholly said by attributes of the current names.
    pub(crate) fn new(keep_originals: bool) -> Self {
        Self { lookup: Lookup::new(), keep_originals, made: Vec::new() }
    }

    /// Looks at one attribute.
    #[inline]
    pub(crate) fn sight(&self, sighting: &mut Sighting, key: &[u8], value: &[u8]) {
        if let Some(meaning) = self.lookup.find(key) {
            sighting.marks = sighting.marks.and(meaning.marks);
            if let Action::Own(field) = meaning.action {
                sighting.misfit |= convert::misfits(field.shape(), value);
            }
        }
    }

    /// Looks at a whole map of attributes.
    pub(crate) fn sight_all(&self, attributes: &[u8]) -> Sighting {
        let mut sighting = Sighting::default();
        for entry in MapView::new(attributes) {
            self.sight(&mut sighting, entry.key, entry.value);
        }
        sighting
    }

    /// Appends the map of attributes with what it lacks, or gives `None` and appends nothing if it
    /// lacks nothing. `first_token` is the time in seconds from the span's start to its first token.
    pub(crate) fn rewrite(
        &mut self,
        attributes: &[u8],
        sighting: Sighting,
        first_token: Option<f64>,
        out: &mut Vec<u8>,
    ) -> Option<Dialect> {
        let mut made = std::mem::take(&mut self.made);
        let mut collected = Collected::new(sighting.marks, &mut made);
        for (entry, meaning) in self.entries(attributes) {
            meaning.into_iter().for_each(|meaning| collected.note_own(meaning, entry.value));
        }
        for (entry, meaning) in self.entries(attributes) {
            meaning.into_iter().for_each(|meaning| collected.read(meaning, entry));
        }
        collected.resolve(first_token);
        let changed = self.write(attributes, &collected, out);
        self.made = made;
        changed.then(|| sighting.marks.dialect())
    }

    fn entries<'a>(
        &self,
        attributes: &'a [u8],
    ) -> impl Iterator<Item = (Entry<'a>, Option<Meaning>)> {
        MapView::new(attributes).map(|entry| (entry, self.lookup.find(entry.key)))
    }

    fn write(&self, attributes: &[u8], collected: &Collected<'_>, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let goes = |meaning: Option<Meaning>| {
            !self.keep_originals && meaning.is_some_and(|meaning| collected.replaced(meaning))
        };
        let gone = if self.keep_originals {
            0
        } else {
            self.entries(attributes).filter(|(_, meaning)| goes(*meaning)).count()
        };
        let additions = collected.additions();
        let pairs = MapView::new(attributes)
            .len()
            .saturating_sub(u32::try_from(gone).unwrap_or(0))
            .saturating_add(additions.count_ones());
        msgpack::map_header(out, pairs);
        let mut changed = additions != 0 || gone > 0;
        for (entry, meaning) in self.entries(attributes) {
            if goes(meaning) {
                continue;
            }
            match meaning.map(|meaning| meaning.action) {
                Some(Action::Own(field)) if convert::misfits(field.shape(), entry.value) => {
                    changed |= retype(field, entry, out);
                }
                _ => out.extend_from_slice(entry.raw),
            }
        }
        for field in Field::ALL.iter().filter(|field| additions & field.bit() != 0) {
            msgpack::str(out, field.name());
            out.extend_from_slice(collected.value(*field));
        }
        if !changed {
            out.truncate(start);
        }
        changed
    }
}

/// Appends a pair with its value in the right type, or as it is if that cannot be.
fn retype(field: Field, entry: Entry<'_>, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    msgpack::str_bytes(out, entry.key);
    let done = convert::convert(field, entry.value, out);
    if !done {
        out.truncate(start);
        out.extend_from_slice(entry.raw);
    }
    done
}
