//! Added dialects: those that a configuration names beside the built-in ones, and the tables of all.

use super::merge::{KeyMeaning, KeyTable, KnownList, LISTS};
use super::{DialectSet, MOST_ADDED};
use crate::genai::dialect::{Dialect, DialectRule, RuleAction, common, rule};
use crate::genai::normalize::field::Conventions;

/// The dialects that a configuration adds. They come before the built-in ones.
#[derive(Debug, Clone, Copy, Default)]
pub struct AddedDialects(Option<&'static MergedTables>);

/// Added dialects, and the tables of these and of the built-in ones.
#[derive(Debug)]
pub struct MergedTables {
    dialects: Vec<Dialect>,
    keys: Vec<KeyMeaning>,
    later_keys: Vec<KeyMeaning>,
    lists: Vec<KnownList>,
}

impl AddedDialects {
    /// None.
    pub const NONE: Self = Self(None);

    /// The most dialects that may be added.
    pub const MAX: usize = MOST_ADDED;

    /// The most keys that they may have together.
    pub const MAX_KEYS: usize = 512;

    /// The dialects of these tables.
    #[must_use]
    pub const fn of(tables: &'static MergedTables) -> Self {
        Self(Some(tables))
    }

    /// The dialects, in the order of their priority.
    #[must_use]
    pub fn dialects(self) -> &'static [Dialect] {
        self.0.map(|tables| &tables.dialects[..]).unwrap_or_default()
    }

    /// The words for those that are mapped, as counters have them.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.dialects().iter().map(|dialect| dialect.name)
    }

    /// The keys of all dialects, each once.
    #[must_use]
    pub fn keys(self, conventions: Conventions) -> &'static [KeyMeaning] {
        match (self.0, conventions) {
            (None, _) => KeyTable::of(conventions).keys(),
            (Some(tables), Conventions::V1_41) => &tables.keys,
            (Some(tables), Conventions::GenAi0_1) => &tables.later_keys,
        }
    }

    /// The lists of all dialects. Of two with one prefix the last counts.
    #[must_use]
    pub fn lists(self) -> &'static [KnownList] {
        self.0.map_or(&LISTS, |tables| &tables.lists)
    }
}

impl MergedTables {
    /// The tables of these dialects and the built-in ones.
    #[must_use]
    pub fn new(dialects: Vec<Dialect>) -> Self {
        let keys = |conventions| merged(&dialects, KeyTable::of(conventions).keys());
        let (keys, later_keys) = (keys(Conventions::V1_41), keys(Conventions::GenAi0_1));
        let mut lists = LISTS.to_vec();
        for (index, dialect) in dialects.iter().enumerate() {
            for list in dialect.lists {
                let speakers = DialectSet::added(index);
                let meaning = KeyMeaning {
                    shows: if list.is_common { DialectSet::NONE } else { speakers },
                    is_common: list.is_common,
                    ..KeyMeaning::new(list.prefix, RuleAction::List(lists.len()), speakers, 0)
                };
                lists.push(KnownList { list, meaning });
            }
        }
        Self { dialects, keys, later_keys, lists }
    }

    /// The dialects.
    #[must_use]
    pub fn dialects(&self) -> &[Dialect] {
        &self.dialects
    }
}

/// The rules of a dialect, and those that its other signs are.
pub fn dialect_rules(dialect: &Dialect) -> impl Iterator<Item = DialectRule> {
    let signs = dialect.detection.attributes.iter().map(|key| rule(key, RuleAction::Sign));
    let valued = dialect.detection.values.iter().map(|(key, _)| common(key, RuleAction::Sign));
    dialect.rules.iter().copied().chain(signs).chain(valued)
}

/// The keys of the dialects, and then the built-in ones.
fn merged(dialects: &[Dialect], built_in: &[KeyMeaning]) -> Vec<KeyMeaning> {
    let mut added: Vec<KeyMeaning> = Vec::new();
    let by_value: Vec<&str> =
        dialects.iter().flat_map(|dialect| dialect.detection.values).map(|(key, _)| *key).collect();
    for (index, dialect) in dialects.iter().enumerate() {
        for rule in dialect_rules(dialect) {
            let speakers = DialectSet::added(index);
            let shows = if rule.is_common { DialectSet::NONE } else { speakers };
            let is_known_sign = rule.action == RuleAction::Sign
                && rule.is_common
                && built_in.iter().any(|known| known.key == rule.key);
            if let Some(known) = added.iter_mut().find(|known| known.key == rule.key) {
                known.shows = known.shows.and(shows);
                known.speakers = known.speakers.and(speakers);
            } else if !is_known_sign {
                let rank = u16::try_from(added.len()).unwrap_or(u16::MAX).saturating_add(1);
                added.push(KeyMeaning {
                    shows,
                    is_common: rule.is_common,
                    stays: rule.stays,
                    ..KeyMeaning::new(rule.key, rule.action, speakers, rank)
                });
            }
        }
    }
    for known in &mut added {
        let same_key = built_in.iter().find(|other| other.key == known.key);
        same_key.into_iter().for_each(|other| join(known, other));
    }
    let count = u16::try_from(added.len()).unwrap_or(u16::MAX);
    let is_left = |known: &&KeyMeaning| added.iter().all(|other| other.key != known.key);
    let shifted = built_in.iter().filter(is_left).map(|known| KeyMeaning {
        rank: if known.rank > 0 { known.rank.saturating_add(count) } else { 0 },
        ..*known
    });
    let shifted: Vec<KeyMeaning> = shifted.collect();
    let mut all: Vec<KeyMeaning> = added.into_iter().chain(shifted).collect();
    for known in &mut all {
        known.shows_by_value |= by_value.contains(&known.key);
    }
    all
}

/// Adds what a built-in key shows to an added one. Where both mean the same, it is a key of the built-in
/// dialects, too; else it means only what the added one says.
fn join(added: &mut KeyMeaning, built_in: &KeyMeaning) {
    added.shows = added.shows.and(built_in.shows);
    added.shows_by_value = built_in.shows_by_value;
    if added.action == built_in.action {
        added.speakers = added.speakers.and(built_in.speakers);
        added.is_common &= built_in.is_common;
        added.stays |= built_in.stays;
        added.is_session |= built_in.is_session;
    }
}
