//! Scratch space: what mapping a span needs besides its attributes, in memory that is used again.

use super::field::{Conventions, EncodedName, GenAiField};
use crate::codec::ShortText;
use crate::genai::dialect::{Dialect, RuleAction};
use crate::genai::dialects::DialectSet;
use crate::genai::dialects::added::AddedDialects;
use crate::genai::dialects::merge::{KeyMeaning, RULE_COUNT};

/// Words of bits for every rank.
const RANK_WORDS: usize = (RULE_COUNT + AddedDialects::MAX_KEYS) / 64 + 1;

/// What is known of attributes of dialects, as bits by rank.
pub(super) struct RankBits(Box<[u64]>);

impl RankBits {
    fn none() -> Self {
        Self(Box::new([0; RANK_WORDS]))
    }

    fn clear(&mut self) {
        self.0.fill(0);
    }

    /// Notes a rank, and says whether it was noted before.
    pub(super) fn note(&mut self, rank: u16) -> bool {
        let Some(word) = self.0.get_mut(usize::from(rank / 64)) else { return false };
        let bit = 1 << (rank % 64);
        let known = *word & bit != 0;
        *word |= bit;
        known
    }

    /// Whether a rank was noted.
    pub(super) fn has(&self, rank: u16) -> bool {
        let word = self.0.get(usize::from(rank / 64)).copied().unwrap_or(0);
        word & (1 << (rank % 64)) != 0
    }
}

/// A value that was made: its rank and where it is among these.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    pub(super) rank: u16,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Memory that is used again for the next span.
pub(super) struct Scratch {
    /// The values made.
    pub(super) made: Vec<u8>,
    /// Where those of the fields are that were found; of others it may be anything.
    pub(super) slots: Box<[Slot; GenAiField::COUNT]>,
    /// What stays of attributes that are said in part, and where that of each is, by its rank.
    pub(super) left: Vec<u8>,
    pub(super) remainders: Vec<Slot>,
    /// Two values that are compared.
    pub(super) compared: Vec<u8>,
    /// What was inferred of what was not said.
    pub(super) inferred: Vec<&'static str>,
    /// What is cut out of the attributes.
    pub(super) cuts: Vec<Cut>,
    /// Which attributes are wholly said by fields now.
    pub(super) mapped: RankBits,
    /// Which attributes that are fields were read.
    pub(super) read: RankBits,
    /// The fields' names, in their order.
    names: Box<[EncodedName]>,
    /// The dialects whose output tokens are those beside the model's reasoning.
    pub(super) excluding_reasoning: DialectSet,
    /// The dialects that show of what kind a call is that does not say it.
    pub(super) showing_calls: DialectSet,
}

impl Scratch {
    /// Memory for a release of the conventions and these dialects beside the built-in ones.
    pub(super) fn new(conventions: Conventions, added: AddedDialects) -> Self {
        let names =
            GenAiField::ALL.iter().map(|field| EncodedName::new(field.name_in(conventions)));
        let with = |has: fn(&Dialect) -> bool| DialectSet::with(added.dialects(), has);
        Self {
            made: Vec::new(),
            slots: Box::new([Slot::default(); GenAiField::COUNT]),
            left: Vec::new(),
            remainders: Vec::new(),
            compared: Vec::new(),
            inferred: Vec::new(),
            cuts: Vec::new(),
            mapped: RankBits::none(),
            read: RankBits::none(),
            names: names.collect(),
            excluding_reasoning: with(|dialect| dialect.excludes_reasoning),
            showing_calls: with(|dialect| dialect.tool_sign.is_some() || dialect.serves_models),
        }
    }

    /// Forgets the span.
    pub(super) fn clear(&mut self) {
        self.made.clear();
        self.left.clear();
        self.remainders.clear();
        self.inferred.clear();
        self.mapped.clear();
        self.read.clear();
    }

    /// Makes room behind the values, so that each is followed by as much as is copied at once.
    pub(super) fn pad(&mut self) {
        self.made.extend_from_slice(&[0; 32]);
    }

    /// Appends the field's name and the value made for it.
    #[inline]
    pub(super) fn write(&self, field: GenAiField, out: &mut Vec<u8>) {
        if let Some(name) = self.names.get(field.index()) {
            name.write(out);
        }
        let Some(slot) = self.slots.get(field.index()) else { return };
        let from = self.made.get(slot.start..).unwrap_or_default();
        if let Some((value, _)) = ShortText::new(from, slot.end.saturating_sub(slot.start)) {
            value.write(out);
        }
    }
}

/// A pair of a map that does not stay as it is, or pairs one after the other that go.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Where it begins in the pairs of the map, and how long it is.
    pub(super) start: usize,
    pub(super) length: usize,
    /// Of which attribute a part stays, if it does.
    pub(super) left_of: Option<&'static KeyMeaning>,
}

/// What deferred attributes say, as a set.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sayings(u8);

impl Sayings {
    /// The kind of the span.
    pub(super) const KIND: Self = Self(1);
    /// The kind of the span, by a name that is none of a kind.
    pub(super) const EVENT: Self = Self(1 << 1);
    /// A part of the span, or what type it has.
    pub(super) const PART: Self = Self(1 << 2);
    pub(super) const MODEL: Self = Self(1 << 3);
    pub(super) const BASE: Self = Self(1 << 4);
    pub(super) const ANSWER: Self = Self(1 << 5);
    pub(super) const PARAMETERS: Self = Self(1 << 6);

    /// What an attribute says.
    fn of(action: RuleAction) -> Self {
        match action {
            RuleAction::Kind => Self::KIND,
            RuleAction::Event => Self::EVENT,
            RuleAction::Part(_) | RuleAction::MediaType(_) => Self::PART,
            RuleAction::Model => Self::MODEL,
            RuleAction::ApiBase | RuleAction::ApiBaseWithin => Self::BASE,
            RuleAction::Answer(_) => Self::ANSWER,
            RuleAction::Parameters => Self::PARAMETERS,
            _ => Self(0),
        }
    }

    /// Adds what an attribute says.
    pub(super) fn add(&mut self, action: RuleAction) {
        self.0 |= Self::of(action).0;
    }

    /// Whether that is among it.
    pub(super) const fn has(self, one: Self) -> bool {
        self.0 & one.0 != 0
    }

    /// Whether the span's kind is among it, by whatever name.
    pub(super) const fn names_kind(self) -> bool {
        self.has(Self::KIND) || self.has(Self::EVENT)
    }
}

/// An attribute that means something only together with others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deferred<'a> {
    pub(super) meaning: &'static KeyMeaning,
    pub(super) value: &'a [u8],
    /// Of an attribute that names the span's kind, the name.
    pub(super) kind: &'a [u8],
}
