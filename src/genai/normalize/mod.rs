//! Normalizer: attribute names of the GenAI dialects -> the GenAI conventions.
//!
//! The names are those of [`super::dialects`]. What a span says under a current name is never overwritten,
//! except that a value of a wrong type (a number as text, a list as JSON text) gets the right one, that
//! operations and providers get the values of the conventions, and that input tokens that cannot
//! include the cache get it added.
//! Doing it twice is the same as doing it once.

mod address;
mod cache_tokens;
mod collect;
mod convert;
mod detection;
pub(super) mod field;
mod foreign_messages;
mod indexed_keys;
mod json;
mod langchain;
mod lookup;
mod message_events;
pub mod messages;
mod parameters;
pub(super) mod parts;
mod resolve;
mod rewrite;
mod said;
mod scratch;
mod seen;
mod tool_definitions;
mod tool_parts;
mod values;
mod verbatim;

pub(super) use detection::Detection;
pub use field::Conventions;
pub(super) use message_events::EventValues;
pub(super) use seen::SeenAttributes;
pub use values::CURRENT_OPERATIONS as OPERATIONS;
pub use values::provider;

use collect::Collected;
use field::GenAiField;
use lookup::KeyLookup;
use scratch::Scratch;
use seen::{DialectAttribute, OwnAttribute};

use super::dialect::RuleAction;
use super::dialects::added::AddedDialects;
use super::dialects::merge::KeyMeaning;
use super::dialects::{DialectSet, ValueSign};
use super::json_value::Arena;
use super::unknown::UnknownNames;
use crate::codec::msgpack::{Entry, MapView, text_of};

/// Maps the attributes of spans, of their events, and of logs.
pub(super) struct Normalizer {
    lookup: KeyLookup,
    /// The dialects beside the built-in ones.
    pub(super) added: AddedDialects,
    keep_originals: bool,
    conventions: Conventions,
    value_signs: Vec<ValueSign>,
    scratch: Option<Box<Scratch>>,
    /// Where JSON of attributes is read.
    arena: Arena,
    unknown: UnknownNames,
}

impl Normalizer {
    /// A normalizer that leaves the attributes it maps in place, or else removes those that are
    /// wholly said by attributes of the current names.
    pub(super) fn new(keep_originals: bool, conventions: Conventions) -> Self {
        Self::with(AddedDialects::NONE, keep_originals, conventions)
    }

    /// A normalizer that knows these dialects, too.
    pub(super) fn with(
        added: AddedDialects,
        keep_originals: bool,
        conventions: Conventions,
    ) -> Self {
        Self {
            lookup: KeyLookup::new(conventions, added),
            added,
            keep_originals,
            conventions,
            value_signs: ValueSign::all(added.dialects()),
            scratch: None,
            arena: Arena::default(),
            unknown: UnknownNames::default(),
        }
    }

    /// Tells the names of dialects that no rule knows, as [`UnknownNames::take`] does.
    pub(super) fn take_unknown(&mut self, tell: impl FnMut(usize, &str, u64)) {
        self.unknown.take(tell);
    }

    /// Looks at the next attribute of a map.
    #[inline(always)]
    pub(super) fn look_at<'a>(&self, entry: Entry<'a>, seen: &mut SeenAttributes<'a>) {
        let Some(meaning) = self.lookup.find(entry.key) else {
            seen.unnamed.push(entry.key);
            return;
        };
        let detection = &mut seen.detection;
        let Entry { value, raw, .. } = entry;
        detection.dialects = detection.dialects.and(meaning.shows);
        if let RuleAction::Own(field) = meaning.action {
            detection.wrong_type |= convert::has_wrong_type(field.shape(), value);
            detection.own |= field.bit();
            seen.own.push(OwnAttribute { field, value, raw });
            return;
        }
        if meaning.shows_by_value {
            detection.dialects = detection.dialects.and(self.shown_by(meaning, value));
        }
        seen.dialect.push(DialectAttribute { meaning, entry });
    }

    /// The dialects that the value of a key shows.
    #[inline(never)]
    fn shown_by(&self, meaning: &KeyMeaning, value: &[u8]) -> DialectSet {
        let Some(text) = text_of(value) else { return DialectSet::NONE };
        DialectSet::shown_by(meaning.key, text.as_bytes(), &self.value_signs)
    }

    /// The field whose current name this is.
    pub(super) fn field_named(&self, key: &[u8]) -> Option<GenAiField> {
        match self.lookup.find(key)?.action {
            RuleAction::Own(field) => Some(field),
            _ => None,
        }
    }

    /// Whether the attributes that it maps stay.
    pub(super) const fn keeps_originals(&self) -> bool {
        self.keep_originals
    }

    /// Whether there may be something to do with attributes that show this.
    #[inline]
    pub(super) fn calls_for_work(&self, seen: &SeenAttributes<'_>, attributes: &[u8]) -> bool {
        let detection = seen.detection;
        detection.wrong_type
            || detection.dialects != DialectSet::NONE
            || detection.lacks_operation()
            || (detection.counts_cache() && self.excludes_cache(seen, attributes))
    }

    /// Whether the tokens of the input are fewer than those of the cache, so that they cannot include
    /// them.
    fn excludes_cache(&self, seen: &SeenAttributes<'_>, attributes: &[u8]) -> bool {
        if !seen.are_all_of(attributes) {
            return self.look(attributes).excludes_cache();
        }
        seen.excludes_cache()
    }

    /// Looks at a whole map of attributes.
    pub(super) fn look<'a>(&self, attributes: &'a [u8]) -> SeenAttributes<'a> {
        let mut seen = SeenAttributes::default();
        self.look_again(attributes, &mut seen);
        seen
    }

    /// The same, in the memory of an earlier look.
    pub(super) fn look_again<'a>(&self, attributes: &'a [u8], seen: &mut SeenAttributes<'a>) {
        seen.clear();
        MapView::new(attributes).for_each(|entry| self.look_at(entry, seen));
    }

    /// Appends the map of attributes with what it lacks, or gives `None` and appends nothing if it
    /// lacks nothing. `seen` is what was seen of it. The dialects are those that it spoke. `events` is what the
    /// span's events say, and notes what of that was taken.
    pub(super) fn rewrite<'a>(
        &mut self,
        attributes: &'a [u8],
        seen: &mut SeenAttributes<'a>,
        events: &mut EventValues<'_>,
        out: &mut Vec<u8>,
    ) -> Option<DialectSet> {
        let spoken = seen.detection.dialects;
        if !seen.are_all_of(attributes) {
            self.look_again(attributes, seen);
            seen.detection.dialects = spoken;
        }
        let scratch = self.scratch.take();
        let scratch =
            scratch.unwrap_or_else(|| Box::new(Scratch::new(self.conventions, self.added)));
        self.arena.clear();
        let (arena, added) = (&self.arena, self.added);
        let mut collected = Collected::new(seen, arena, added, self.conventions, scratch);
        collected.check_own(seen.detection.wrong_type);
        seen.dialect.iter().for_each(|known| collected.read(known.meaning, known.entry));
        collected.resolve(events);
        let changed = if self.keep_originals && !collected.corrects_own() {
            rewrite::extend(attributes, &collected, out)
        } else {
            rewrite::write(attributes, &seen.dialect, &mut collected, self.keep_originals, out)
        };
        self.scratch = Some(collected.finish(seen));
        self.unknown.note(spoken, self.added.dialects(), &seen.unnamed);
        changed.then_some(spoken)
    }
}
