//! Traces that are new: the first of their fingerprint in a window, and those unlike all that were kept lately.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::field::SpanParts;
use crate::clock::Tick;
use crate::sampling::adaptive::KeyFields;

/// The most fingerprints that [`Novelty::Diverse`] remembers.
pub const MAX_REMEMBERED: usize = 4096;
/// The most words of a trace that its likeness is made of.
const MAX_WORDS: usize = 4096;
/// The fingerprint of all that there is no room for.
const OTHERS: u64 = 0;

/// What makes a trace new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Novelty {
    /// There were fewer than so many of its fingerprint since the first of them, in a window. So many
    /// fingerprints are told apart; those beyond share one.
    Rare(u64, usize),
    /// Its words differ from those of all that were kept in the window, of which so many are remembered, in so
    /// many bits of a SimHash of 64 (Charikar, 2002) at least.
    Diverse(u32, usize),
}

/// A policy that keeps what is new.
#[derive(Debug, Clone, PartialEq)]
pub struct NoveltyConfig {
    /// The fields whose values tell traces apart.
    pub fields: KeyFields,
    /// What is new.
    pub novelty: Novelty,
    /// How long what was seen counts.
    pub window: Duration,
}

/// What was seen. It takes up to about 60 bytes for each fingerprint, and no more.
#[derive(Debug)]
pub(super) struct Seen {
    config: NoveltyConfig,
    /// When the first of a fingerprint came, and how many did.
    counts: HashMap<u64, (Tick, u64), RandomState>,
    /// What is over is looked for then, where room is needed.
    sweep_at: Tick,
    /// What was kept, from the oldest on.
    kept: VecDeque<(Tick, u64)>,
}

impl Seen {
    /// Nothing was seen.
    pub(super) fn new(config: NoveltyConfig) -> Self {
        Self { config, counts: HashMap::default(), sweep_at: Tick(0), kept: VecDeque::new() }
    }

    /// What is new here.
    pub(super) const fn config(&self) -> &NoveltyConfig {
        &self.config
    }

    /// Whether a trace is new, which it is not any more then.
    pub(super) fn is_new(&mut self, spans: &[SpanParts<'_>], now: Tick) -> bool {
        match self.config.novelty {
            Novelty::Rare(most, max_keys) => {
                self.is_rare(self.config.fields.hash(spans), (most, max_keys), now)
            }
            Novelty::Diverse(distance, remembered) => {
                let likeness = likeness(&self.config.fields, spans);
                self.is_unlike(likeness, (distance, remembered), now)
            }
        }
    }

    fn is_rare(&mut self, key: u64, (most, max_keys): (u64, usize), now: Tick) -> bool {
        let window = self.config.window;
        let is_over = move |first: Tick| now.since(first) >= window;
        let is_full = self.counts.len() >= max_keys && !self.counts.contains_key(&key);
        if is_full && now >= self.sweep_at {
            self.counts.retain(|_, (first, _)| !is_over(*first));
            self.sweep_at = now.after(window / 8);
        }
        let is_beyond = self.counts.len() >= max_keys && !self.counts.contains_key(&key);
        let key = if is_beyond { OTHERS } else { key };
        let (first, count) = self.counts.entry(key).or_insert((now, 0));
        if is_over(*first) {
            (*first, *count) = (now, 0);
        }
        *count += 1;
        *count <= most
    }

    fn is_unlike(&mut self, likeness: u64, (least, remembered): (u32, usize), now: Tick) -> bool {
        let window = self.config.window;
        while self.kept.front().is_some_and(|(at, _)| now.since(*at) >= window) {
            self.kept.pop_front();
        }
        let is_near = |(_, other): &(Tick, u64)| (likeness ^ other).count_ones() < least;
        if self.kept.iter().any(is_near) {
            return false;
        }
        if self.kept.len() >= remembered.clamp(1, MAX_REMEMBERED) {
            self.kept.pop_front();
        }
        self.kept.push_back((now, likeness));
        true
    }
}

/// The SimHash of the words of all values.
fn likeness(fields: &KeyFields, spans: &[SpanParts<'_>]) -> u64 {
    let mut sums = [0_i32; 64];
    let mut words_left = MAX_WORDS;
    fields.values(spans, &mut |field, text| {
        let words = text.split(|byte| byte.is_ascii() && !byte.is_ascii_alphanumeric());
        for word in words.filter(|word| !word.is_empty()).take(words_left) {
            words_left -= 1;
            let hash = xxh3_64_with_seed(word, field);
            for (bit, sum) in sums.iter_mut().enumerate() {
                *sum += if hash >> bit & 1 == 1 { 1 } else { -1 };
            }
        }
    });
    let bits = sums.iter().enumerate().filter(|(_, sum)| **sum > 0);
    bits.fold(0, |likeness, (bit, _)| likeness | 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::records::Events;
    use crate::codec::records::testing::{SpanRecord, chunk};
    use crate::sampling::policy::Field;

    fn seen(novelty: Novelty) -> Seen {
        let fields = ["name", "k"].map(|field| Field::parse(field).unwrap());
        let window = Duration::from_secs(60);
        Seen::new(NoveltyConfig { fields: KeyFields::new(fields.into(), false), novelty, window })
    }

    fn is_new(seen: &mut Seen, text: &str, second: u64) -> bool {
        let chunk = chunk(&[SpanRecord::new(1, 1).with("k", text), SpanRecord::new(1, 2)]);
        let events: Vec<_> = Events::new(&chunk).map(Result::unwrap).collect();
        let parts: Vec<_> = events.iter().map(SpanParts::of_event).collect();
        seen.is_new(&parts, Tick(second * 1_000_000_000))
    }

    /// Guarantees: the first ones of a fingerprint are rare, again once the window is over, whatever other
    /// fingerprints come.
    #[test]
    fn the_first_of_a_fingerprint_is_rare_in_a_window() {
        let mut seen = seen(Novelty::Rare(2, 10));
        for (text, second, want) in [
            ("a", 0, true),
            ("b", 1, true),
            ("a", 2, true),
            ("a", 3, false),
            ("b", 59, true),
            ("a", 59, false),
            ("a", 60, true),
            ("b", 60, false),
            ("b", 61, true),
            ("a", 61, true),
            ("a", 62, false),
        ] {
            assert_eq!(is_new(&mut seen, text, second), want, "{text} at {second}");
        }
    }

    /// Guarantees: so many fingerprints are told apart and no more, those beyond share one, and there is room
    /// again once windows are over.
    #[test]
    fn fingerprints_are_bounded() {
        let mut seen = seen(Novelty::Rare(1, 3));
        let mut new = |key: u64, second| is_new(&mut seen, &key.to_string(), second);
        assert_eq!([1, 2, 3].map(|key| new(key, 0)), [true; 3]);
        assert_eq!([4, 5, 6, 1].map(|key| new(key, 1)), [true, false, false, false]);
        assert!((7..1000).all(|key| !new(key, 2)));
        assert_eq!([4, 5, 1, 6].map(|key| new(key, 70)), [true; 4]);
        assert_eq!([7, 8].map(|key| new(key, 71)), [false, false], "those beyond share one");
        assert!(seen.counts.len() <= 4);
    }

    const PROMPT: &str = "You are a helpful assistant of the travel agency. Answer the question of the customer in \
        two short sentences, in the language of the customer, and never name a price that the tool did not say. \
        Question: which trains go from Vienna to Venice on Friday evening, and may I take a bicycle with me?";

    /// Scenario: prompts that differ in a word, in half of their words and in all of them. Guarantees: a prompt
    /// that hardly differs from one that was kept goes, others stay; as many are remembered as may be, and for
    /// as long.
    #[test]
    fn what_is_unlike_all_that_was_kept_is_diverse() {
        let mut seen = seen(Novelty::Diverse(8, 2));
        let near = PROMPT.replace("Friday", "Sunday");
        let half: String = PROMPT.replace("the", "a").replace('n', "m");
        let far = "Summarise this ticket as JSON with severity, component and owner; say unknown if you cannot tell";
        assert!(is_new(&mut seen, PROMPT, 0));
        assert_eq!([PROMPT, &near].map(|text| is_new(&mut seen, text, 1)), [false, false]);
        assert!(is_new(&mut seen, far, 2), "{:?}", seen.kept);
        assert!(is_new(&mut seen, &half, 3), "{:?}", seen.kept);
        assert_eq!(seen.kept.len(), 2);
        assert!(is_new(&mut seen, PROMPT, 4), "it was forgotten for the third");
        assert!(!is_new(&mut seen, &half, 62));
        assert!(is_new(&mut seen, &half, 63), "the window is over");
    }
}
