//! Hash table: attribute key -> what it means, in a few nanoseconds, most of all for keys that no
//! dialect has.

use super::field::{Conventions, GenAiField};
use crate::genai::dialects::added::AddedDialects;
use crate::genai::dialects::merge::{KeyMeaning, KnownList, RULE_COUNT};

/// The most keys that there may be.
const MOST_KEYS: usize = GenAiField::COUNT + RULE_COUNT + AddedDialects::MAX_KEYS;

/// Slots of the hash table, a power of two well above the number of keys that are built in.
const SLOTS: usize = ((GenAiField::COUNT + RULE_COUNT) * 4).next_power_of_two();

const _: () = assert!(MOST_KEYS < 0xffff, "an index does not fit a slot");
const _: () = assert!(MOST_KEYS < SLOTS, "keys do not fit the table");

/// The table of all keys.
pub(super) struct KeyLookup {
    keys: Box<[KnownKey]>,
    lists: &'static [KnownList],
    /// 1 + the index in `keys`; 0 is empty.
    slots: Box<[u16; SLOTS]>,
    /// The first eight bytes of the prefixes of lists.
    heads: Vec<u64>,
    /// Of those, one bit each by a hash: few other keys pass.
    head_filter: [u64; 4],
}

/// A key, with its ends beside it: most keys need not be read to be told apart.
struct KnownKey {
    ends: (u64, u64),
    meaning: &'static KeyMeaning,
}

impl KnownKey {
    /// What it means, if it is `key`, which has these ends.
    #[inline(always)]
    fn meaning_of(&self, ends: (u64, u64), key: &[u8]) -> Option<&'static KeyMeaning> {
        let known = self.meaning.key.as_bytes();
        let is_same = self.ends == ends && known.len() == key.len() && has_same_middle(known, key);
        is_same.then_some(self.meaning)
    }
}

/// The first and the last eight bytes as numbers, which overlap in a shorter key, or four of each.
#[inline(always)]
fn ends(key: &[u8]) -> (u64, u64) {
    if let (Some(head), Some(tail)) = (key.first_chunk(), key.last_chunk()) {
        return (u64::from_le_bytes(*head), u64::from_le_bytes(*tail));
    }
    if let (Some(head), Some(tail)) = (key.first_chunk(), key.last_chunk()) {
        return (u32::from_le_bytes(*head).into(), u32::from_le_bytes(*tail).into());
    }
    let few = key.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
    (few, few)
}

/// Whether two keys of one length and with equal ends are equal: eight bytes at once, which takes fewer steps than a
/// call for their lengths.
#[inline(always)]
fn has_same_middle(known: &[u8], key: &[u8]) -> bool {
    // The first eight are in the ends, and so is what is left of the last eight.
    let (Some(mut known), Some(mut key)) = (known.get(8..), key.get(8..)) else { return true };
    while let (Some((one, known_rest)), Some((other, rest))) =
        (known.split_first_chunk::<8>(), key.split_first_chunk::<8>())
    {
        if one != other {
            return false;
        }
        (known, key) = (known_rest, rest);
    }
    true
}

#[inline(always)]
fn first_slot((head, tail): (u64, u64), length: usize) -> usize {
    let length = u64::try_from(length).unwrap_or(0);
    let mixed = (head.rotate_left(23) ^ tail)
        .wrapping_add(length.wrapping_mul(0xd6e8_feb8_6659_fd93))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (u64::BITS - SLOTS.trailing_zeros())).unwrap_or(0)
}

/// The word and the bit of a head in the filter.
#[inline]
fn filter_bit(head: u64) -> (usize, u64) {
    let hash = head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    (usize::try_from(hash >> 6).unwrap_or(0), 1 << (hash & 63))
}

impl KeyLookup {
    /// The table for a release of the conventions.
    pub(super) fn new(conventions: Conventions, added: AddedDialects) -> Self {
        let (keys, lists) = (added.keys(conventions), added.lists());
        let mut slots = Box::new([0_u16; SLOTS]);
        for (number, known) in (1..).zip(keys) {
            let mut slot = first_slot(ends(known.key.as_bytes()), known.key.len());
            while slots.get(slot % SLOTS).is_some_and(|taken| *taken != 0) {
                slot += 1;
            }
            if let Some(free) = slots.get_mut(slot % SLOTS) {
                *free = number;
            }
        }
        let heads = lists.iter().filter_map(|known| known.list.prefix.as_bytes().first_chunk());
        let heads: Vec<u64> = heads.map(|head| u64::from_le_bytes(*head)).collect();
        let mut head_filter = [0; 4];
        for (index, bit) in heads.iter().map(|head| filter_bit(*head)) {
            if let Some(word) = head_filter.get_mut(index) {
                *word |= bit;
            }
        }
        let known =
            |meaning: &'static KeyMeaning| KnownKey { ends: ends(meaning.key.as_bytes()), meaning };
        Self { keys: keys.iter().map(known).collect(), lists, slots, heads, head_filter }
    }

    /// What `key` means.
    #[inline(always)]
    pub(super) fn find(&self, key: &[u8]) -> Option<&'static KeyMeaning> {
        let ends = ends(key);
        let slot = first_slot(ends, key.len());
        let Some(known) = self.at(slot) else { return self.find_list(key) };
        // Nearly all keys that there are have the first slot that they may have.
        match known.meaning_of(ends, key) {
            None => self.find_from(slot.saturating_add(1), key),
            found => found,
        }
    }

    /// The key in a slot, if there is one.
    #[inline(always)]
    fn at(&self, slot: usize) -> Option<&KnownKey> {
        let found = self.slots.get(slot % SLOTS).copied().unwrap_or(0);
        self.keys.get(usize::from(found).checked_sub(1)?)
    }

    /// What `key` means, from a slot on.
    #[inline(never)]
    fn find_from(&self, mut slot: usize, key: &[u8]) -> Option<&'static KeyMeaning> {
        let ends = ends(key);
        while let Some(known) = self.at(slot) {
            if let Some(meaning) = known.meaning_of(ends, key) {
                return Some(meaning);
            }
            slot += 1;
        }
        self.find_list(key)
    }

    /// What `key` means as part of a list that is spread over many keys.
    #[inline]
    fn find_list(&self, key: &[u8]) -> Option<&'static KeyMeaning> {
        let head = u64::from_le_bytes(*key.first_chunk::<8>()?);
        let (index, bit) = filter_bit(head);
        if self.head_filter.get(index).is_none_or(|word| word & bit == 0) {
            return None;
        }
        self.find_list_of(head, key)
    }

    /// The same for a key with a head that passes the filter.
    #[inline(never)]
    fn find_list_of(&self, head: u64, key: &[u8]) -> Option<&'static KeyMeaning> {
        if !self.heads.contains(&head) {
            return None;
        }
        // Those of added dialects are the last.
        let list = self.lists.iter().rev().find(|known| {
            let rest = key.strip_prefix(known.list.prefix.as_bytes());
            rest.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
        });
        list.map(|known| &known.meaning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genai::dialect::RuleAction;
    use crate::genai::dialects::merge::{KeyTable, LISTS};

    #[test]
    fn every_key_is_found_and_no_other() {
        let lookup = KeyLookup::new(Conventions::GenAi0_1, AddedDialects::NONE);
        let later = lookup.find(b"gen_ai.usage.cache_write.input_tokens").unwrap();
        assert_eq!(later.action, RuleAction::Own(GenAiField::CacheCreationTokens));
        let former = lookup.find(b"gen_ai.workflow.name").unwrap();
        assert_eq!(former.action, RuleAction::To(GenAiField::WorkflowName));
        let lookup = KeyLookup::new(Conventions::V1_41, AddedDialects::NONE);
        for known in KeyTable::of(Conventions::V1_41).keys() {
            let meaning = lookup.find(known.key.as_bytes()).unwrap();
            assert_eq!((meaning.key, meaning.rank), (known.key, known.rank));
        }
        for key in ["", "a", "http.method", "gen_ai.prompt.name2", "gen_ai.prompt.", "llm.tools.x"]
        {
            assert!(lookup.find(key.as_bytes()).is_none(), "{key}");
        }
        // Another byte at any place makes it another key.
        for known in KeyTable::of(Conventions::V1_41).keys() {
            for place in 0..known.key.len() {
                let mut other = known.key.as_bytes().to_vec();
                other[place] ^= 0x80;
                assert!(lookup.find(&other).is_none(), "{} {place}", known.key);
            }
            assert!(lookup.find(&known.key.as_bytes()[1..]).is_none(), "{}", known.key);
        }
        for (index, known) in LISTS.iter().enumerate() {
            let key = format!("{}12.message.role", known.list.prefix);
            let meaning = lookup.find(key.as_bytes()).unwrap();
            assert_eq!(meaning.action, RuleAction::List(index), "{key}");
        }
    }
}
