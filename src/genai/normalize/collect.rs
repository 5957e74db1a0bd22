//! What a span's attributes say together.

use serde_json::Value;

use super::convert::convert;
use super::field::Field;
use super::flat::{Tree, json_of};
use super::json;
use super::lookup::Meaning;
use super::messages;
use super::rules::{Action, Family, KindOf};
use crate::codec::msgpack::{self, Entry, Reader, Token, text_of};
use crate::genai::dialect::Marks;

/// Ranks of what is worked out from more than one attribute; names of the dialects rank between.
pub(super) const FIRST: u8 = 0;
pub(super) const LAST: u8 = u8::MAX;

/// A field's value: its rank and its place among the values made.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    rank: u8,
    start: usize,
    end: usize,
}

/// An attribute that means something only together with others.
type Later<'a> = Option<(u8, &'a [u8])>;

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
    slots: [Slot; Field::COUNT],
    made: &'a mut Vec<u8>,
    pub(super) marks: Marks,
    pub(super) operation: Option<&'a str>,
    pub(super) kinds: [Option<&'a str>; 4],
    pub(super) kind_ranks: [u8; 4],
    pub(super) later: [Later<'a>; 8],
    pub(super) mimes: [Option<&'a [u8]>; 2],
    pub(super) parameters: [Later<'a>; 2],
    pub(super) trees: Vec<(Family, Tree)>,
    /// Which attributes are wholly said by fields now, as bits by rank.
    consumed: [u64; 4],
}

/// Places in `later`.
pub(super) const MODEL: usize = 0;
pub(super) const ENTITY_NAME: usize = 1;
pub(super) const ENTITY_INPUT: usize = 2;
pub(super) const ENTITY_OUTPUT: usize = 3;
pub(super) const INPUT: usize = 4;
pub(super) const OUTPUT: usize = 5;
pub(super) const API_BASE: usize = 6;
pub(super) const HIDDEN: usize = 7;

impl<'a> Collected<'a> {
    /// Nothing read yet; `marks` is what the keys showed, `made` is scratch space.
    pub(crate) fn new(marks: Marks, made: &'a mut Vec<u8>) -> Self {
        made.clear();
        Self {
            own: 0,
            found: 0,
            slots: [Slot::default(); Field::COUNT],
            made,
            marks,
            operation: None,
            kinds: [None; 4],
            kind_ranks: [0; 4],
            later: [None; 8],
            mimes: [None; 2],
            parameters: [None; 2],
            trees: Vec::new(),
            consumed: [0; 4],
        }
    }

    /// Notes the fields that are there already; these are never overwritten.
    pub(crate) fn note_own(&mut self, meaning: Meaning, value: &'a [u8]) {
        if let Action::Own(field) = meaning.action {
            self.own |= field.bit();
            if field == Field::OperationName {
                self.operation = self.operation.or_else(|| text_of(value));
            }
        }
    }

    /// Reads one attribute of a dialect; to be called after [`Collected::note_own`] of all.
    pub(crate) fn read(&mut self, meaning: Meaning, entry: Entry<'a>) {
        let (rank, value) = (meaning.rank, entry.value);
        let inference = self.marks.has(Marks::OPEN_INFERENCE);
        match meaning.action {
            Action::Own(_) | Action::Total | Action::Marker => {}
            Action::To(field) => self.offer(field, rank, value),
            Action::Common(field) if inference => self.offer(field, rank, value),
            Action::Common(_) => {}
            Action::Kind(of) => self.note_kind(of, rank, value),
            Action::Parameters => self.note_parameters(rank, value),
            Action::Model => self.note(MODEL, rank, value),
            Action::EntityName => self.note(ENTITY_NAME, rank, value),
            Action::EntityInput => self.note(ENTITY_INPUT, rank, value),
            Action::EntityOutput => self.note(ENTITY_OUTPUT, rank, value),
            Action::InputValue if inference => self.note(INPUT, rank, value),
            Action::OutputValue if inference => self.note(OUTPUT, rank, value),
            Action::InputValue | Action::OutputValue => {}
            Action::ApiBase => self.note(API_BASE, rank, value),
            Action::HiddenParams => self.note(HIDDEN, rank, value),
            Action::InputMime => self.mimes[0] = text(value),
            Action::OutputMime => self.mimes[1] = text(value),
            Action::InputDetails => self.details(value, rank, json::INPUT_DETAILS),
            Action::OutputDetails => self.details(value, rank, json::OUTPUT_DETAILS),
            Action::Prompts => self.prompts(value, rank),
            Action::PromptJson => self.json_messages(Field::InputMessages, "user", rank, value),
            Action::CompletionJson => {
                self.json_messages(Field::OutputMessages, "assistant", rank, value);
            }
            Action::Flat(family) => self.flat(family, entry),
        }
    }

    fn note(&mut self, place: usize, rank: u8, value: &'a [u8]) {
        if let Some(slot) = self.later.get_mut(place) {
            *slot = slot.or(Some((rank, value)));
        }
    }

    fn note_kind(&mut self, of: KindOf, rank: u8, value: &'a [u8]) {
        let place = of as usize;
        if let (Some(kind), Some(slot)) =
            (self.kinds.get_mut(place), self.kind_ranks.get_mut(place))
        {
            *kind = kind.or_else(|| text_of(value));
            *slot = rank;
        }
    }

    fn note_parameters(&mut self, rank: u8, value: &'a [u8]) {
        if let Some(free) = self.parameters.iter_mut().find(|slot| slot.is_none()) {
            *free = Some((rank, value));
        }
    }

    fn flat(&mut self, family: Family, entry: Entry<'a>) {
        if self.own & family.field().bit() != 0 && family != Family::Completion {
            return;
        }
        if family == Family::Documents && !self.marks.has(Marks::OPEN_INFERENCE) {
            return;
        }
        let Some(path) = entry.key.strip_prefix(family.prefix()) else { return };
        if let Some((_, tree)) = self.trees.iter_mut().find(|(known, _)| *known == family) {
            tree.insert(path, entry.value);
            return;
        }
        let mut tree = Tree::default();
        tree.insert(path, entry.value);
        self.trees.push((family, tree));
    }

    /// Whether a value of this rank would be taken.
    pub(super) fn wants(&self, field: Field, rank: u8) -> bool {
        let known = self.slots.get(field.index()).map_or(FIRST, |slot| slot.rank);
        self.own & field.bit() == 0 && (self.found & field.bit() == 0 || rank < known)
    }

    /// Takes what `write` appends as the field's value, if it ranks before what is known.
    pub(super) fn make(
        &mut self,
        field: Field,
        rank: u8,
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

    pub(super) fn offer(&mut self, field: Field, rank: u8, value: &[u8]) {
        self.make(field, rank, |out| convert(field, value, out));
    }

    pub(super) fn offer_text(&mut self, field: Field, rank: u8, text: Option<&str>) -> bool {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return false };
        self.make(field, rank, |out| {
            msgpack::str(out, text);
            true
        })
    }

    fn details(&mut self, value: &[u8], rank: u8, names: &[(&str, Field)]) {
        let Some(object) = text(value).and_then(json::read_object) else { return };
        for (name, field) in names {
            if let Some(value) = object.get(*name) {
                self.make(*field, rank, |out| json::append(*field, value, out));
            }
        }
    }

    fn prompts(&mut self, value: &[u8], rank: u8) {
        if !self.wants(Field::InputMessages, rank) {
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
        self.offer_text(Field::InputMessages, rank, rendered.as_deref());
    }

    fn json_messages(&mut self, field: Field, role: &str, rank: u8, value: &[u8]) {
        if self.wants(field, rank) {
            let rendered = text_of(value).and_then(|text| messages::of_json(text, role));
            if self.offer_text(field, rank, rendered.as_deref()) {
                self.consume(rank);
            }
        }
    }

    pub(super) fn consume(&mut self, rank: u8) {
        if let Some(word) = self.consumed.get_mut(usize::from(rank / 64)) {
            *word |= 1 << (rank % 64);
        }
    }

    pub(super) fn kind(&self, of: KindOf) -> Option<&'a str> {
        self.kinds.get(of as usize).copied().flatten()
    }

    /// The fields to add, as bits.
    pub(crate) fn additions(&self) -> u64 {
        self.found & !self.own
    }

    /// The encoded value found for a field.
    pub(crate) fn value(&self, field: Field) -> &[u8] {
        let slot = self.slots.get(field.index()).copied().unwrap_or_default();
        self.made.get(slot.start..slot.end).unwrap_or_default()
    }

    /// Whether all that the attribute says is said by fields under their current names.
    pub(crate) fn replaced(&self, meaning: Meaning) -> bool {
        let filled = self.own | self.found;
        let has = |field: Field| filled & field.bit() != 0;
        match meaning.action {
            // A session joins other signals too, and the parameters may be a declaration.
            Action::Common(Field::ConversationId | Field::ToolArguments) => false,
            Action::To(field) => has(field),
            Action::Common(field) => has(field) && self.marks.has(Marks::OPEN_INFERENCE),
            Action::Flat(Family::Documents) => {
                has(Field::RetrievalDocuments) && self.marks.has(Marks::OPEN_INFERENCE)
            }
            Action::Flat(family) => has(family.field()),
            Action::Prompts => has(Field::InputMessages),
            Action::Total => has(Field::InputTokens) && has(Field::OutputTokens),
            _ => {
                let word = self.consumed.get(usize::from(meaning.rank / 64)).copied().unwrap_or(0);
                word & (1 << (meaning.rank % 64)) != 0
            }
        }
    }
}
