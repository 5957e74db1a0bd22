//! Word list: terms of a user's own, found whatever their case and however JSON escapes them.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, Input};

use super::text::{TextRange, after_escape, begins, breaks_json};

/// The most words of one list.
const MAX_WORDS: usize = 10_000;
/// The shortest and the longest word, in bytes.
const WORD_BYTES: std::ops::RangeInclusive<usize> = 2..=256;
/// How often a letter's escape may itself be escaped: JSON inside JSON inside JSON.
const ESCAPES: u32 = 3;

/// Finds the words of a list in time that does not depend on how many they are.
#[derive(Debug, Clone)]
pub(super) struct WordList {
    automaton: AhoCorasick,
    /// Bytes of the longest spelling.
    longest: usize,
}

impl WordList {
    /// A list.
    ///
    /// # Errors
    /// Which word is wrong, and what is allowed.
    pub(super) fn new<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, String> {
        let (mut spellings, mut count) = (BTreeSet::new(), 0_usize);
        for word in words {
            check(word)?;
            count = count.saturating_add(1);
            if count > MAX_WORDS {
                return Err(format!("allowed: up to {MAX_WORDS} words"));
            }
            add_spellings(word, &mut spellings);
        }
        if spellings.is_empty() {
            return Err("allowed: one word at least".to_owned());
        }
        let longest = spellings.iter().map(String::len).max().unwrap_or_default();
        let built = AhoCorasick::builder().ascii_case_insensitive(true).build(&spellings);
        let automaton = built.map_err(|error| error.to_string())?;
        Ok(Self { automaton, longest })
    }

    /// The first place at or after `from` where a word stands; the longest word that begins there.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<TextRange> {
        let first = self.whole_words(text, from, text.len()).next()?;
        // A longer one, or one that begins earlier, ends later; it is not far.
        let start = first.end.saturating_sub(self.longest).max(from);
        let end = first.start.saturating_add(self.longest).min(text.len());
        self.whole_words(text, start, end).min_by_key(|found| (found.start, usize::MAX - found.end))
    }

    /// All words between two places, by where they end.
    fn whole_words<'t>(
        &'t self,
        text: &'t [u8],
        start: usize,
        end: usize,
    ) -> impl Iterator<Item = TextRange> + 't {
        // Past the end there is nothing to find.
        let input = Input::new(text).range(start.min(end)..end);
        let all = self.automaton.find_overlapping_iter(input);
        all.map(|found| TextRange { start: found.start(), end: found.end() })
            .filter(|found| stands_alone(text, *found))
    }
}

fn check(word: &str) -> Result<(), String> {
    let allowed = if !WORD_BYTES.contains(&word.len()) || word.trim() != word {
        "allowed: 2 to 256 bytes without space around them"
    } else if word.contains(breaks_json) {
        "allowed: words without quotation marks, backslashes and control characters"
    } else if !word.contains(char::is_alphanumeric) {
        "allowed: words with a letter or digit"
    } else {
        return Ok(());
    };
    Err(format!("{word:?}: {allowed}"))
}

/// Adds the ways to write a word that the automaton does not know by itself: it does not fold the
/// case of letters outside ASCII, and knows nothing of escapes.
fn add_spellings(word: &str, out: &mut BTreeSet<String>) {
    let lower = word.to_lowercase();
    let mut letters = lower.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    let capitalised: String = first.chain(letters).collect();
    for spelling in [word.to_owned(), word.to_uppercase(), capitalised, lower] {
        if !spelling.is_ascii() {
            out.extend((0..ESCAPES).map(|depth| escaped(&spelling, 1 << depth)));
        }
        out.insert(spelling);
    }
}

/// The word with JSON's escapes for what is not ASCII, each behind that many backslashes.
fn escaped(word: &str, backslashes: usize) -> String {
    let slashes = "\\".repeat(backslashes);
    let mut out = String::new();
    for char in word.chars() {
        if char.is_ascii() {
            out.push(char);
            continue;
        }
        for unit in char.encode_utf16(&mut [0; 2]) {
            out.push_str(&format!("{slashes}u{unit:04x}"));
        }
    }
    out
}

/// Whether a place is no part of a longer word or of an escape sequence. Only letters that have a case,
/// and digits, make words longer: languages without case write words without space between them.
fn stands_alone(text: &[u8], found: TextRange) -> bool {
    let word = text.get(found.start..found.end).unwrap_or_default();
    let is_joined = |one: Option<char>, other: Option<char>| {
        one.is_some_and(is_joining) && other.is_some_and(is_joining)
    };
    let (head, tail) = (text.get(..found.start), text.get(found.end..));
    let before = head.and_then(last_char);
    // A letter of ASCII may belong to an escape.
    let is_letter = before.is_some_and(|char| !char.is_ascii()) || !begins(text, found.start);
    let is_part = (is_letter && is_joined(before, first_char(word)))
        || is_joined(last_char(word), tail.and_then(first_char));
    !is_part
        && (word.starts_with(b"\\") || after_escape(text, found.start) == found.start)
        && (last_is_escape(word) || after_escape(text, found.end) == found.end)
}

fn is_joining(char: char) -> bool {
    char.is_lowercase() || char.is_uppercase() || char.is_numeric() || char == '_'
}

/// Whether a spelling ends with an escape, of which nothing is left behind it.
fn last_is_escape(word: &[u8]) -> bool {
    word.len()
        .checked_sub(6)
        .is_some_and(|start| after_escape(word, start.saturating_add(1)) == word.len())
}

fn first_char(text: &[u8]) -> Option<char> {
    let head = (1..=4).filter_map(|length| text.get(..length));
    head.filter_map(|head| std::str::from_utf8(head).ok()).find_map(|head| head.chars().next())
}

fn last_char(text: &[u8]) -> Option<char> {
    let tail = (1..=4).filter_map(|length| text.get(text.len().checked_sub(length)?..));
    tail.filter_map(|tail| std::str::from_utf8(tail).ok()).find_map(|tail| tail.chars().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> WordList {
        WordList::new(words.iter().copied()).unwrap()
    }

    /// What is found in a text, in its order.
    fn found<'t>(words: &[&str], text: &'t str) -> Vec<&'t str> {
        let list = list(words);
        let mut from = 0;
        std::iter::from_fn(|| {
            let found = list.find(text.as_bytes(), from)?;
            from = found.end;
            text.get(found.start..found.end)
        })
        .collect()
    }

    #[test]
    fn words_are_found_whole_and_whatever_their_case() {
        let words = ["acme", "Project Aurora", "Müller", "C++", "4711"];
        let text =
            "ACME, acmes, tacme, project aurora; MÜLLER müller Müllers; c++ 4711 47110 x4711";
        let want = ["ACME", "project aurora", "MÜLLER", "müller", "c++", "4711"];
        assert_eq!(found(&words, text), want);
        assert_eq!(found(&["acme"], "éacme acmeé acme_ _acme"), [""; 0]);
    }

    #[test]
    fn the_longest_word_that_stands_alone_is_taken() {
        let words = ["acme", "acme corp", "corp acme corp"];
        assert_eq!(found(&words, "acme corporation"), ["acme"]);
        assert_eq!(found(&words, "acme corp."), ["acme corp"]);
        assert_eq!(found(&words, "corp acme corp"), ["corp acme corp"]);
        assert_eq!(found(&words, "acme acme"), ["acme", "acme"]);
    }

    #[test]
    fn languages_without_case_need_no_space() {
        assert_eq!(found(&["田中", "東京"], "田中さんは東京にいます"), ["田中", "東京"]);
    }

    #[test]
    fn escapes_are_seen_and_not_cut() {
        assert_eq!(found(&["acme", "nacme"], r"\nacme"), ["acme"]);
        assert_eq!(found(&["Müller"], r"a M\u00fcller"), [r"M\u00fcller"]);
        assert_eq!(
            found(&["müller", "ünal"], r"\\u00DCNAL m\\\\u00FCLLER"),
            [r"\\u00DCNAL", r"m\\\\u00FCLLER"]
        );
        assert_eq!(found(&["rené"], r"ren\u00e9 ren\u00e9e"), [r"ren\u00e9"]);
        assert_eq!(found(&["u00"], r"\u00e9"), [""; 0]);
    }

    /// Scenario: a text of words that nearly match, and words that stand inside each other. Guarantees: the
    /// time grows with the text, not with its square.
    #[test]
    fn many_hits_are_found_in_a_long_text() {
        let text = "acme ".repeat(200_000);
        assert_eq!(found(&["acme", "acme corp"], &text).len(), 200_000);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (word, part) in [
            ("a", "2 to 256"),
            (" acme", "without space"),
            ("a\"b", "quotation"),
            ("a\\b", "quotation"),
            ("++", "letter"),
        ] {
            let error = WordList::new([word]).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        assert!(WordList::new([]).unwrap_err().contains("one word"));
        assert!(WordList::new(std::iter::repeat_n("ab", 10_001)).unwrap_err().contains("10000"));
        assert!(list(&["ab"]).find(b"", 0).is_none() && list(&["ab"]).find(b"ab", 9).is_none());
    }
}
