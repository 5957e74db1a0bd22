//! Collecting parameter: what a span's attributes say together.

use serde_json::Value;

use super::convert::convert;
use super::field::GenAiField;
use super::indexed_keys::{KeyTree, json_of};
use super::json;
use super::messages;
use crate::codec::msgpack::{self, Entry, Reader, Token, text_of};
use crate::genai::dialect::{ListForm, RuleAction, SpanPart};
use crate::genai::dialects::DialectSet;
use crate::genai::dialects::merge::{KeyMeaning, LISTS, RULE_COUNT};

/// Ranks of what is worked out from more than one attribute; names of the dialects rank between.
pub(super) const FIRST: u16 = 0;
pub(super) const LAST: u16 = u16::MAX;

/// A field's value: its rank and where it is among the values made.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    rank: u16,
    start: usize,
    end: usize,
}

/// An attribute that means something only together with others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deferred<'a> {
    pub(super) meaning: &'static KeyMeaning,
    pub(super) value: &'a [u8],
}

/// The text of an encoded text value.
pub(super) fn text(value: &[u8]) -> Option<&[u8]> {
    match Reader::new(value).token() {
        Ok(Token::Str(text)) if !text.is_empty() => Some(text),
        _ => None,
    }
}

/// What was read of one span.
pub(crate) struct Collected<'a> {
    /// Fields that the span has under their current name.
    pub(super) own: u64,
    /// Fields for which a value was found.
    pub(super) found: u64,
    slots: [Slot; GenAiField::COUNT],
    made: &'a mut Vec<u8>,
    /// The dialects that the keys showed.
    pub(super) spoken: DialectSet,
    pub(super) operation: Option<&'a str>,
    /// In the order of the attributes until they are resolved, by rank from then on.
    pub(super) deferred: Vec<Deferred<'a>>,
    /// Lists by their index in [`LISTS`].
    pub(super) trees: Vec<(usize, KeyTree)>,
    /// Which attributes are wholly said by fields now, as bits by rank.
    mapped: [u64; RULE_COUNT / 64 + 1],
}

impl<'a> Collected<'a> {
    /// Nothing read yet; `spoken` is what the keys showed, `made` is scratch space.
    pub(crate) fn new(spoken: DialectSet, made: &'a mut Vec<u8>) -> Self {
        made.clear();
        Self {
            own: 0,
            found: 0,
            slots: [Slot::default(); GenAiField::COUNT],
            made,
            spoken,
            operation: None,
            deferred: Vec::new(),
            trees: Vec::new(),
            mapped: [0; RULE_COUNT / 64 + 1],
        }
    }

    /// Notes the fields that are there already; these are never overwritten.
    pub(crate) fn note_own(&mut self, meaning: &KeyMeaning, value: &'a [u8]) {
        if let RuleAction::Own(field) = meaning.action {
            self.own |= field.bit();
            if field == GenAiField::OperationName {
                self.operation = self.operation.or_else(|| text_of(value));
            }
        }
    }

    /// Reads one attribute of a dialect; to be called after [`Collected::note_own`] of all.
    pub(crate) fn read(&mut self, meaning: &'static KeyMeaning, entry: Entry<'a>) {
        let (rank, value) = (meaning.rank, entry.value);
        if meaning.is_common && !self.spoken.has(meaning.dialect) {
            return;
        }
        match meaning.action {
            RuleAction::Own(_) | RuleAction::Total | RuleAction::Sign => {}
            RuleAction::To(field) => self.offer(field, rank, value),
            RuleAction::Kind if text_of(value).is_none() => {}
            RuleAction::Kind
            | RuleAction::Model
            | RuleAction::Part(_)
            | RuleAction::ApiBase
            | RuleAction::ApiBaseWithin => self.defer(meaning, value),
            RuleAction::MediaType(_) => {
                // Of a key that occurs twice, the last one.
                self.deferred.retain(|known| known.meaning.rank != rank);
                self.defer(meaning, value);
            }
            RuleAction::Parameters => self.parameters(rank, value),
            RuleAction::Details(names) => self.details(value, rank, names),
            RuleAction::Prompts => self.prompts(value, rank),
            RuleAction::Messages(field, role) => self.json_messages(field, role, rank, value),
            RuleAction::List(index) => self.list(index, entry),
        }
    }

    /// Of a key that occurs twice, the first one counts.
    fn defer(&mut self, meaning: &'static KeyMeaning, value: &'a [u8]) {
        if self.deferred.iter().all(|known| known.meaning.rank != meaning.rank) {
            if self.deferred.is_empty() {
                self.deferred.reserve(8);
            }
            self.deferred.push(Deferred { meaning, value });
        }
    }

    /// The attribute that ranks first among those deferred that say this; of one dialect, or of any.
    pub(super) fn deferred(
        &self,
        action: RuleAction,
        dialect: Option<usize>,
    ) -> Option<Deferred<'a>> {
        let is_of = |known: &KeyMeaning| dialect.is_none_or(|dialect| known.dialect == dialect);
        let mut all = self.deferred.iter();
        all.find(|known| known.meaning.action == action && is_of(known.meaning)).copied()
    }

    /// The media type of a part.
    pub(super) fn media_type(&self, part: SpanPart, dialect: usize) -> Option<&'a [u8]> {
        text(self.deferred(RuleAction::MediaType(part), Some(dialect))?.value)
    }

    fn parameters(&mut self, rank: u16, value: &[u8]) {
        let Some(object) = text(value).and_then(json::read_object) else { return };
        let (said, whole) = json::parameters(&object);
        for (field, value) in said {
            // What was asked for outranks the model that answered.
            self.make(field, rank, |out| json::append(field, value, out));
        }
        if whole {
            self.mark_mapped(rank);
        }
    }

    fn list(&mut self, index: usize, entry: Entry<'a>) {
        let Some(list) = LISTS.get(index).map(|known| known.list) else { return };
        let has_own = self.own & list.field.bit() != 0;
        if has_own && !matches!(list.form, ListForm::Completions(..)) {
            return;
        }
        let Some(path) = entry.key.strip_prefix(list.prefix.as_bytes()) else { return };
        if let Some((_, tree)) = self.trees.iter_mut().find(|(known, _)| *known == index) {
            tree.insert(path, entry.value);
            return;
        }
        let mut tree = KeyTree::default();
        tree.insert(path, entry.value);
        self.trees.push((index, tree));
    }

    /// Whether a value of this rank would be taken.
    pub(super) fn wants(&self, field: GenAiField, rank: u16) -> bool {
        let known = self.slots.get(field.index()).map_or(FIRST, |slot| slot.rank);
        self.own & field.bit() == 0 && (self.found & field.bit() == 0 || rank < known)
    }

    /// Takes what `write` appends as the field's value, if it ranks before what is known.
    pub(super) fn make(
        &mut self,
        field: GenAiField,
        rank: u16,
        write: impl FnOnce(&mut Vec<u8>) -> bool,
    ) -> bool {
        if !self.wants(field, rank) {
            return false;
        }
        let start = self.made.len();
        let made = write(self.made);
        if made && let Some(slot) = self.slots.get_mut(field.index()) {
            *slot = Slot { rank, start, end: self.made.len() };
            self.found |= field.bit();
        }
        made
    }

    pub(super) fn offer(&mut self, field: GenAiField, rank: u16, value: &[u8]) {
        self.make(field, rank, |out| convert(field, value, out));
    }

    pub(super) fn offer_text(&mut self, field: GenAiField, rank: u16, text: Option<&str>) -> bool {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return false };
        self.make(field, rank, |out| {
            msgpack::str(out, text);
            true
        })
    }

    fn details(&mut self, value: &[u8], rank: u16, names: &[(&str, GenAiField)]) {
        let Some(object) = text(value).and_then(json::read_object) else { return };
        for (name, field) in names {
            if let Some(value) = object.get(*name) {
                self.make(*field, rank, |out| json::append(*field, value, out));
            }
        }
    }

    fn prompts(&mut self, value: &[u8], rank: u16) {
        if !self.wants(GenAiField::InputMessages, rank) {
            return;
        }
        let prompts: Vec<String> = match json_of(value, 0) {
            Value::Array(list) => {
                list.iter().filter_map(|prompt| prompt.as_str().map(str::to_owned)).collect()
            }
            Value::String(prompt) => vec![prompt],
            _ => Vec::new(),
        };
        let rendered = messages::of_prompts(&prompts);
        self.offer_text(GenAiField::InputMessages, rank, rendered.as_deref());
    }

    fn json_messages(&mut self, field: GenAiField, role: &str, rank: u16, value: &[u8]) {
        if self.wants(field, rank) {
            let rendered = text_of(value).and_then(|text| messages::of_json(text, role));
            if self.offer_text(field, rank, rendered.as_deref()) {
                self.mark_mapped(rank);
            }
        }
    }

    /// Notes that the attribute with this rank is wholly said by fields.
    pub(super) fn mark_mapped(&mut self, rank: u16) {
        if let Some(word) = self.mapped.get_mut(usize::from(rank / 64)) {
            *word |= 1 << (rank % 64);
        }
    }

    /// The fields to add, as bits.
    pub(crate) fn additions(&self) -> u64 {
        self.found & !self.own
    }

    /// The encoded value found for a field.
    pub(crate) fn value(&self, field: GenAiField) -> &[u8] {
        let slot = self.slots.get(field.index()).copied().unwrap_or_default();
        self.made.get(slot.start..slot.end).unwrap_or_default()
    }

    /// Whether all that the attribute says is said by fields under their current names.
    pub(crate) fn replaced(&self, meaning: &KeyMeaning) -> bool {
        let filled = self.own | self.found;
        let has = |field: GenAiField| filled & field.bit() != 0;
        if meaning.stays || (meaning.is_common && !self.spoken.has(meaning.dialect)) {
            return false;
        }
        match meaning.action {
            RuleAction::To(field) => has(field),
            RuleAction::List(index) => LISTS.get(index).is_some_and(|known| has(known.list.field)),
            RuleAction::Prompts => has(GenAiField::InputMessages),
            RuleAction::Total => has(GenAiField::InputTokens) && has(GenAiField::OutputTokens),
            _ => {
                let word = self.mapped.get(usize::from(meaning.rank / 64)).copied().unwrap_or(0);
                word & (1 << (meaning.rank % 64)) != 0
            }
        }
    }
}
