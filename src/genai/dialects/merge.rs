//! Merged table: the rules and lists of all dialects as one table each, made by the compiler.

use super::{DIALECTS, DialectSet};
use crate::genai::dialect::{DialectRule, IndexedList, RuleAction};
use crate::genai::normalize::field::GenAiField;

/// What a key means.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyMeaning {
    /// The key; of a list's keys the prefix.
    pub(crate) key: &'static str,
    /// The dialect that the key shows; none if its name is a common one.
    pub(crate) shows: DialectSet,
    pub(crate) action: RuleAction,
    /// How the key ranks among those that say the same: less is better, and no two are equal. It is
    /// above 0, below `u16::MAX`, and 0 for current names.
    pub(crate) rank: u16,
    /// The index of the key's dialect.
    pub(crate) dialect: usize,
    /// See [`DialectRule::is_common`].
    pub(crate) is_common: bool,
    /// See [`DialectRule::stays`].
    pub(crate) stays: bool,
}

/// A list, and what its keys mean.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KnownList {
    pub(crate) list: &'static IndexedList,
    pub(crate) meaning: KeyMeaning,
}

/// The number of all rules.
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

const NOTHING: KeyMeaning = KeyMeaning {
    key: "",
    shows: DialectSet::NONE,
    action: RuleAction::Sign,
    rank: 0,
    dialect: DIALECTS.len(),
    is_common: false,
    stays: false,
};

const fn meaning_of(rule: &DialectRule, dialect: usize, rank: u16) -> KeyMeaning {
    KeyMeaning {
        key: rule.key,
        shows: if rule.is_common { DialectSet::NONE } else { DialectSet::of(dialect) },
        action: rule.action,
        rank,
        dialect,
        is_common: rule.is_common,
        stays: rule.stays,
    }
}

/// All keys: the current names, then the rules by their rank.
pub(crate) static KEYS: [KeyMeaning; GenAiField::COUNT + RULE_COUNT] = all_keys();

#[expect(clippy::indexing_slicing, reason = "the compiler runs it, and sees a wrong index")]
const fn all_keys() -> [KeyMeaning; GenAiField::COUNT + RULE_COUNT] {
    let mut keys = [NOTHING; GenAiField::COUNT + RULE_COUNT];
    let (mut count, mut fields) = (0, GenAiField::ALL);
    while let [field, rest @ ..] = fields {
        let action = RuleAction::Own(*field);
        keys[count] = KeyMeaning { key: field.name(), action, ..NOTHING };
        count += 1;
        fields = rest;
    }
    let (mut rank, mut tier) = (1, 0);
    while tier <= last_tier() {
        let mut dialect = 0;
        while dialect < DIALECTS.len() {
            let mut rules = DIALECTS[dialect].rules;
            while let [rule, rest @ ..] = rules {
                if rule.tier == tier {
                    keys[count] = meaning_of(rule, dialect, rank);
                    count += 1;
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
            keys[count] = KeyMeaning { key, shows, rank, dialect, ..NOTHING };
            count += 1;
            rank += 1;
            signs = rest;
        }
        dialect += 1;
    }
    keys
}

/// All lists.
pub(crate) static LISTS: [KnownList; list_count()] = all_lists();

#[expect(clippy::indexing_slicing, reason = "the compiler runs it, and sees a wrong index")]
const fn all_lists() -> [KnownList; list_count()] {
    const UNSET: IndexedList = IndexedList {
        prefix: "",
        field: GenAiField::InputMessages,
        form: crate::genai::dialect::ListForm::Value(|_| None),
        is_common: true,
    };
    let mut lists = [KnownList { list: &UNSET, meaning: NOTHING }; list_count()];
    let (mut count, mut dialect) = (0, 0);
    while dialect < DIALECTS.len() {
        let mut own = DIALECTS[dialect].lists;
        while let [list, rest @ ..] = own {
            assert!(list.prefix.len() >= 8, "lookups compare the first eight bytes of a prefix");
            let shows = if list.is_common { DialectSet::NONE } else { DialectSet::of(dialect) };
            let action = RuleAction::List(count);
            let is_common = list.is_common;
            let key = list.prefix;
            let meaning = KeyMeaning { key, shows, action, dialect, is_common, ..NOTHING };
            lists[count] = KnownList { list, meaning };
            count += 1;
            own = rest;
        }
        dialect += 1;
    }
    lists
}
