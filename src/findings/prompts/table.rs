//! Prompt table: the prompts that are remembered, and the groups of similar ones, each as hashes with its statistics.
//!
//! Places stand in sets of eight, of which the least used goes when another one comes: first those with one call, then
//! those of which nothing came for longest. One key has at most half of a set, and so half of the table.

use super::group::Group;
use super::similarity::{BANDS, MAX_DISTANCE, distance, mix};

/// Places of a set.
const WAYS: usize = 8;
/// Of these, what one key may have.
const WAYS_OF_KEY: usize = WAYS / 2;
/// How long several calls protect a place, in seconds.
const PROTECTED: u32 = 3600;

/// What is in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum PlaceKind {
    #[default]
    Empty,
    /// Calls of one prompt.
    Prompt,
    /// Calls of prompts that are similar.
    Similar,
}

/// What says whose calls are in a place.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Identity {
    /// A hash of the service, operation, provider and model.
    pub(super) key: u64,
    /// A hash of the prompt and the key.
    pub(super) prompt: u64,
    /// A hash of what similar prompts have in common, and of the key.
    pub(super) frame: u64,
    /// What is compared of them; `None` of a prompt that is too short.
    pub(super) sketch: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Place {
    kind: PlaceKind,
    of: Identity,
    /// When it was last used, in Unix seconds.
    used: u32,
    group: Group,
}

/// Prompts and groups of similar ones.
#[derive(Debug)]
pub(super) struct PromptTable {
    places: Vec<Place>,
    /// By a hash of a band of a sketch, the place that had it last.
    bands: Vec<u32>,
    sets: u64,
}

/// Bytes of a prompt: its place, that of the group of similar ones, and the bands of that.
#[cfg(test)]
pub(super) const PROMPT_BYTES: usize = 2 * (size_of::<Place>() + BANDS * size_of::<u32>());

impl PromptTable {
    /// A table of so many prompts.
    pub(super) fn new(prompts: usize) -> Self {
        let sets = (2 * prompts).div_ceil(WAYS).max(1);
        let places = vec![Place::default(); sets * WAYS];
        let bands = vec![u32::MAX; places.len() * BANDS];
        Self { places, bands, sets: sets as u64 }
    }

    /// The place of a prompt, and what was known of it.
    pub(super) fn prompt(&self, prompt: u64) -> Option<(usize, Identity)> {
        let first = self.first(prompt);
        let set = self.places.get(first..first + WAYS)?;
        let is_it = |place: &Place| place.kind == PlaceKind::Prompt && place.of.prompt == prompt;
        let at = set.iter().position(is_it)?;
        Some((first + at, set.get(at)?.of))
    }

    /// Adds a prompt that is not there.
    pub(super) fn add_prompt(&mut self, of: Identity, now: u32) -> usize {
        self.add(
            self.first(of.prompt),
            Place { kind: PlaceKind::Prompt, of, used: now, ..Place::default() },
            now,
        )
    }

    /// The place of the group that is most similar to a prompt, which begins one if there is none.
    pub(super) fn similar(&mut self, of: Identity, now: u32) -> Option<usize> {
        let sketch = of.sketch?;
        let near = (0..BANDS).filter_map(|band| {
            let at = usize::try_from(*self.bands.get(self.band(of.frame, sketch, band))?).ok()?;
            let place = self.places.get(at)?;
            let is_it = place.kind == PlaceKind::Similar && place.of.frame == of.frame;
            let apart = distance(place.of.sketch.filter(|_| is_it)?, sketch);
            (apart <= MAX_DISTANCE).then_some((apart, at))
        });
        if let Some((_, at)) = near.min() {
            return Some(at);
        }
        let first = self.first(mix(of.frame ^ sketch));
        let at = self.add(
            first,
            Place { kind: PlaceKind::Similar, of, used: now, ..Place::default() },
            now,
        );
        for band in 0..BANDS {
            let slot = self.band(of.frame, sketch, band);
            if let Some(slot) = self.bands.get_mut(slot) {
                *slot = u32::try_from(at).unwrap_or(u32::MAX);
            }
        }
        Some(at)
    }

    /// The statistics of a place, which is used.
    pub(super) fn group(&mut self, at: usize, now: u32) -> Option<&mut Group> {
        let place = self.places.get_mut(at)?;
        place.used = place.used.max(now);
        Some(&mut place.group)
    }

    /// The first place of the set that a hash belongs to.
    fn first(&self, hash: u64) -> usize {
        usize::try_from(hash % self.sets).unwrap_or_default() * WAYS
    }

    fn band(&self, frame: u64, sketch: u64, band: usize) -> usize {
        let bits = sketch >> (16 * band) & 0xffff;
        let hash = mix(frame ^ (bits << 8) ^ band as u64);
        usize::try_from(hash % self.bands.len().max(1) as u64).unwrap_or_default()
    }

    fn add(&mut self, first: usize, place: Place, now: u32) -> usize {
        let set = self.places.get(first..first + WAYS).unwrap_or_default();
        let is_own = |other: &Place| other.kind != PlaceKind::Empty && other.of.key == place.of.key;
        let has_enough = set.iter().filter(|other| is_own(other)).count() >= WAYS_OF_KEY;
        let worth = |other: &Place| match other.kind {
            PlaceKind::Empty => (false, 0),
            _ => (other.group.calls > 1 && now.saturating_sub(other.used) < PROTECTED, other.used),
        };
        let may_go = set.iter().enumerate().filter(|(_, other)| !has_enough || is_own(other));
        let at = may_go.min_by_key(|(_, other)| worth(other)).map_or(0, |(at, _)| at);
        if let Some(other) = self.places.get_mut(first + at) {
            *other = place;
        }
        first + at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(key: u64, prompt: u64) -> Identity {
        Identity {
            key,
            prompt: mix(prompt ^ (key << 40)),
            frame: key,
            sketch: Some(mix(prompt + 99)),
        }
    }

    /// Guarantees: a prompt is found again until others take its place; one key leaves half of the table to others; and
    /// what was called several times outlasts what came once.
    #[test]
    fn what_is_used_stays() {
        let mut table = PromptTable::new(400);
        let is_there =
            |table: &PromptTable, key, prompt| table.prompt(identity(key, prompt).prompt).is_some();
        for prompt in 0..10 {
            let at = table.add_prompt(identity(1, prompt), 1);
            (0..2).for_each(|_| table.group(at, 1).unwrap().calls += 1);
        }
        for prompt in 0..100_000 {
            table.add_prompt(identity(2, prompt), 2);
            table.add_prompt(identity(1, prompt + 1000), 2);
        }
        assert!((0..10).all(|prompt| is_there(&table, 1, prompt)));
        let of = |key, prompts: std::ops::Range<u64>| {
            prompts.filter(|prompt| is_there(&table, key, *prompt)).count()
        };
        assert_eq!(table.places.len(), 800);
        assert_eq!(of(2, 0..100_000), 400);
        assert_eq!(of(1, 1000..101_000) + 10, 400);
        // An hour later they are worth no more than others.
        for prompt in 0..100_000 {
            table.add_prompt(identity(1, prompt + 1000), 4000);
        }
        assert!((0..10).all(|prompt| !is_there(&table, 1, prompt)));
    }

    /// Guarantees: sketches that differ in up to three bits are found whichever those are, others are not, and neither
    /// are those of another frame.
    #[test]
    fn similar_ones_are_found_by_their_bands() {
        let mut table = PromptTable::new(1000);
        let of = |frame, sketch| Identity { key: 1, prompt: 1, frame, sketch: Some(sketch) };
        let at = table.similar(of(1, 0xdead_beef_0123_4567), 1).unwrap();
        for first in 0..64 {
            for second in 0..64 {
                let apart = 1_u64 << first | 1 << second | 1 << (first * second % 64);
                let found = table.similar(of(1, 0xdead_beef_0123_4567 ^ apart), 1);
                assert_eq!(found, Some(at), "{apart:x}");
            }
        }
        assert_ne!(table.similar(of(2, 0xdead_beef_0123_4567), 1), Some(at));
        assert_ne!(table.similar(of(1, 0xdead_beef_0123_4567 ^ 0x1111), 1), Some(at));
        assert_eq!(table.similar(Identity { sketch: None, ..of(1, 0) }, 1), None);
    }

    #[test]
    fn a_prompt_takes_so_many_bytes() {
        println!("{PROMPT_BYTES} bytes for a prompt");
        const { assert!(PROMPT_BYTES <= 512, "the option's help says half a KiB") };
    }
}
