//! Merged table: the rules and lists of all dialects as one table each, made by the compiler.

use super::{DIALECTS, DialectSet};
use crate::genai::dialect::{DialectRule, IndexedList, RuleAction};
use crate::genai::normalize::field::{Conventions, GenAiField};

/// What a key means.
#[derive(Debug, Clone, Copy)]
pub struct KeyMeaning {
    /// The key; of a list's keys the prefix.
    pub key: &'static str,
    /// The dialect that the key shows; none if its name is a common one.
    pub shows: DialectSet,
    pub action: RuleAction,
    /// How the key ranks among those that say the same: less is better, and no two are equal. It is
    /// above 0, below `u16::MAX`, and 0 for current names.
    pub rank: u16,
    /// The dialects that have the key; of a name that is not common that is one.
    pub speakers: DialectSet,
    /// See [`DialectRule::is_common`].
    pub is_common: bool,
    /// Whether values of the key may show a dialect.
    pub shows_by_value: bool,
    /// See [`DialectRule::stays`].
    pub stays: bool,
    /// See [`DialectRule::is_session`].
    pub is_session: bool,
}

impl KeyMeaning {
    /// A key of these dialects that shows nothing.
    pub const fn new(
        key: &'static str,
        action: RuleAction,
        speakers: DialectSet,
        rank: u16,
    ) -> Self {
        let shows = DialectSet::NONE;
        let (is_common, shows_by_value, stays, is_session) = (false, false, false, false);
        Self { key, shows, action, rank, speakers, is_common, shows_by_value, stays, is_session }
    }
}

/// A list, and what its keys mean.
#[derive(Debug, Clone, Copy)]
pub struct KnownList {
    pub list: &'static IndexedList,
    pub meaning: KeyMeaning,
}

/// The number of all rules, of each dialect.
pub(crate) const RULE_COUNT: usize = rule_count();

const _: () = assert!(RULE_COUNT < 0xfffe, "a rank does not fit its type");

const fn rule_count() -> usize {
    let (mut count, mut left) = (0, DIALECTS);
    while let [dialect, rest @ ..] = left {
        count += dialect.rules.len() + dialect.detection.attributes.len();
        left = rest;
    }
    count
}

const fn list_count() -> usize {
    let (mut count, mut left) = (0, DIALECTS);
    while let [dialect, rest @ ..] = left {
        count += dialect.lists.len();
        left = rest;
    }
    count
}

/// The last tier that any rule is in.
const fn last_tier() -> u8 {
    let (mut last, mut left) = (0, DIALECTS);
    while let [dialect, rest @ ..] = left {
        let mut rules = dialect.rules;
        while let [rule, others @ ..] = rules {
            if rule.tier > last {
                last = rule.tier;
            }
            rules = others;
        }
        left = rest;
    }
    last
}

const NOTHING: KeyMeaning = KeyMeaning::new("", RuleAction::Sign, DialectSet::NONE, 0);

const fn meaning_of(rule: &DialectRule, dialect: usize, rank: u16) -> KeyMeaning {
    let speakers = DialectSet::of(dialect);
    KeyMeaning {
        shows: if rule.is_common { DialectSet::NONE } else { speakers },
        is_common: rule.is_common,
        shows_by_value: shows_by_value(rule.key),
        stays: rule.stays,
        is_session: rule.is_session,
        ..KeyMeaning::new(rule.key, rule.action, speakers, rank)
    }
}

const fn is_same(one: &str, other: &str) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    while let ([a, one_rest @ ..], [b, other_rest @ ..]) = (one, other) {
        if *a != *b {
            return false;
        }
        (one, other) = (one_rest, other_rest);
    }
    true
}

const fn shows_by_value(key: &str) -> bool {
    let mut left = DIALECTS;
    while let [dialect, rest @ ..] = left {
        let mut values = dialect.detection.values;
        while let [(known, _), others @ ..] = values {
            if is_same(key, known) {
                return true;
            }
            values = others;
        }
        left = rest;
    }
    false
}

/// The keys of all meanings, of one release of the conventions.
pub(crate) struct KeyTable {
    all: [KeyMeaning; GenAiField::COUNT + RULE_COUNT],
    count: usize,
}

impl KeyTable {
    /// The table for a release.
    pub(crate) fn of(conventions: Conventions) -> &'static Self {
        match conventions {
            Conventions::V1_41 => &KEYS,
            Conventions::GenAi0_1 => &LATER_KEYS,
        }
    }

    /// The current names, then the rules by their rank, each key once.
    pub(crate) fn keys(&'static self) -> &'static [KeyMeaning] {
        self.all.get(..self.count).unwrap_or_default()
    }

    /// The index of a key among the first `count`, or `count`.
    #[expect(clippy::indexing_slicing, reason = "the compiler runs it, and sees a wrong index")]
    const fn position(&self, key: &str) -> usize {
        let mut index = 0;
        while index < self.count && !is_same(self.all[index].key, key) {
            index += 1;
        }
        index
    }

    /// Adds a key, or a dialect to a common one.
    #[expect(clippy::indexing_slicing, reason = "the compiler runs it, and sees a wrong index")]
    const fn add(&mut self, meaning: KeyMeaning) {
        let index = self.position(meaning.key);
        if index == self.count {
            self.all[index] = meaning;
            self.count += 1;
        } else if self.all[index].rank > 0 {
            let known = &mut self.all[index];
            assert!(known.is_common && meaning.is_common, "two dialects have one key");
            known.speakers = known.speakers.and(meaning.speakers);
        }
        // What is left are current names, which an older release of the conventions did not have.
    }
}

static KEYS: KeyTable = all_keys(Conventions::V1_41);
static LATER_KEYS: KeyTable = all_keys(Conventions::GenAi0_1);

#[expect(clippy::indexing_slicing, reason = "the compiler runs it, and sees a wrong index")]
const fn all_keys(conventions: Conventions) -> KeyTable {
    let all = [NOTHING; GenAiField::COUNT + RULE_COUNT];
    let mut table = KeyTable { all, count: 0 };
    let mut fields = GenAiField::ALL;
    while let [field, rest @ ..] = fields {
        let action = RuleAction::Own(*field);
        // A field that another one says has no name of its own.
        if field.within(conventions).index() == field.index() {
            table.all[table.count] =
                KeyMeaning { key: field.name_in(conventions), action, ..NOTHING };
            table.count += 1;
        }
        fields = rest;
    }
    let (mut rank, mut tier) = (1, 0);
    while tier <= last_tier() {
        let mut dialect = 0;
        while dialect < DIALECTS.len() {
            let mut rules = DIALECTS[dialect].rules;
            while let [rule, rest @ ..] = rules {
                if rule.tier == tier {
                    table.add(meaning_of(rule, dialect, rank));
                    rank += 1;
                }
                rules = rest;
            }
            dialect += 1;
        }
        tier += 1;
    }
    let mut dialect = 0;
    while dialect < DIALECTS.len() {
        let mut signs = DIALECTS[dialect].detection.attributes;
        while let [key, rest @ ..] = signs {
            let shows = DialectSet::of(dialect);
            table.add(KeyMeaning { key, shows, rank, speakers: shows, ..NOTHING });
            rank += 1;
            signs = rest;
        }
        dialect += 1;
    }
    table
}

/// All lists.
pub(crate) static LISTS: [KnownList; list_count()] = all_lists();

#[expect(clippy::indexing_slicing, reason = "the compiler runs it, and sees a wrong index")]
const fn all_lists() -> [KnownList; list_count()] {
    const UNSET: IndexedList = IndexedList {
        prefix: "",
        field: GenAiField::InputMessages,
        form: crate::genai::dialect::ListForm::Value(|_, _| &[]),
        is_common: true,
    };
    let mut lists = [KnownList { list: &UNSET, meaning: NOTHING }; list_count()];
    let (mut count, mut dialect) = (0, 0);
    while dialect < DIALECTS.len() {
        let mut own = DIALECTS[dialect].lists;
        while let [list, rest @ ..] = own {
            assert!(list.prefix.len() >= 8, "lookups compare the first eight bytes of a prefix");
            let speakers = DialectSet::of(dialect);
            let shows = if list.is_common { DialectSet::NONE } else { speakers };
            let action = RuleAction::List(count);
            let is_common = list.is_common;
            let key = list.prefix;
            let meaning = KeyMeaning { key, shows, action, speakers, is_common, ..NOTHING };
            lists[count] = KnownList { list, meaning };
            count += 1;
            own = rest;
        }
        dialect += 1;
    }
    lists
}
