//! Attribute key -> rule, in a few nanoseconds, most of all for keys that no rule knows.

use super::field::Field;
use super::rules::{Action, Family, RULES};
use crate::genai::dialect::Marks;

/// Slots of the hash table, a power of two well above the number of keys.
const SLOTS: usize = 1024;

/// What a key means, and how it ranks among keys that say the same; less is better.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meaning {
    pub(crate) marks: Marks,
    pub(crate) action: Action,
    pub(crate) rank: u8,
}

/// The table of all keys.
pub(crate) struct Lookup {
    /// 1 + the place among the fields and, after those, the rules; 0 is empty.
    slots: Box<[u8; SLOTS]>,
}

/// The first (or last) eight bytes as a number; shorter keys are filled with zeros.
#[inline]
fn word(bytes: Option<&[u8; 8]>, key: &[u8]) -> u64 {
    bytes.map_or_else(
        || key.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte)),
        |bytes| u64::from_le_bytes(*bytes),
    )
}

#[inline]
fn first_slot(key: &[u8]) -> usize {
    let head = word(key.first_chunk(), key);
    let tail = word(key.last_chunk(), key);
    let length = u64::try_from(key.len()).unwrap_or(0);
    let mixed = (head.rotate_left(23) ^ tail)
        .wrapping_add(length.wrapping_mul(0xd6e8_feb8_6659_fd93))
        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 54).unwrap_or(0)
}

/// The key and the meaning at a place of the table.
#[inline]
fn entry(place: u8) -> Option<(&'static [u8], Meaning)> {
    let index = usize::from(place).checked_sub(1)?;
    if let Some(field) = Field::ALL.get(index) {
        let meaning = Meaning { marks: Marks::NONE, action: Action::Own(*field), rank: 0 };
        return Some((field.name().as_bytes(), meaning));
    }
    let rule = RULES.get(index.checked_sub(Field::COUNT)?)?;
    let meaning = Meaning { marks: rule.marks, action: rule.action, rank: place };
    Some((rule.key.as_bytes(), meaning))
}

impl Lookup {
    pub(crate) fn new() -> Self {
        let mut slots = Box::new([0_u8; SLOTS]);
        for place in 1..=u8::MAX {
            let Some((key, _)) = entry(place) else { break };
            let mut slot = first_slot(key);
            while slots.get(slot % SLOTS).is_some_and(|taken| *taken != 0) {
                slot += 1;
            }
            if let Some(free) = slots.get_mut(slot % SLOTS) {
                *free = place;
            }
        }
        Self { slots }
    }

    /// What `key` means.
    #[inline]
    pub(crate) fn find(&self, key: &[u8]) -> Option<Meaning> {
        let mut slot = first_slot(key);
        loop {
            let place = self.slots.get(slot % SLOTS).copied().unwrap_or(0);
            if place == 0 {
                return family(key);
            }
            match entry(place) {
                Some((known, meaning)) if known == key => return Some(meaning),
                _ => slot += 1,
            }
        }
    }
}

/// What `key` means as part of a list that is spread over many keys.
#[inline]
fn family(key: &[u8]) -> Option<Meaning> {
    let head = key.first_chunk::<8>()?;
    if !matches!(
        head,
        b"llm.inpu"
            | b"llm.outp"
            | b"gen_ai.p"
            | b"gen_ai.c"
            | b"llm.tool"
            | b"llm.requ"
            | b"retrieva"
    ) {
        return None;
    }
    Family::ALL.into_iter().find_map(|family| {
        let rest = key.strip_prefix(family.prefix())?;
        rest.first().filter(|digit| digit.is_ascii_digit())?;
        Some(Meaning { marks: family.marks(), action: Action::Flat(family), rank: u8::MAX })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_no_other() {
        assert!(Field::COUNT + RULES.len() < usize::from(u8::MAX));
        let lookup = Lookup::new();
        for field in Field::ALL {
            let meaning = lookup.find(field.name().as_bytes()).unwrap();
            assert_eq!(meaning.action, Action::Own(*field));
        }
        for rule in RULES {
            assert_eq!(
                lookup.find(rule.key.as_bytes()).unwrap().action,
                rule.action,
                "{}",
                rule.key
            );
        }
        for key in ["", "a", "http.method", "gen_ai.prompt.name2", "gen_ai.prompt.", "llm.tools.x"]
        {
            assert!(lookup.find(key.as_bytes()).is_none(), "{key}");
        }
        let flat = lookup.find(b"llm.input_messages.12.message.role").unwrap();
        assert_eq!(flat.action, Action::Flat(Family::InferenceInput));
    }

    #[test]
    fn no_key_is_named_twice() {
        let mut keys: Vec<&str> = RULES.iter().map(|rule| rule.key).collect();
        keys.extend(Field::ALL.iter().map(|field| field.name()));
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
