//! Words beside a number that say that it is a telephone number.

use super::text::{at, before};

/// Names of a telephone number, in small letters.
const NAMES: &[&[u8]] = &[
    b"phone",
    b"phones",
    b"telephone",
    b"tel",
    b"cellphone",
    b"mobile",
    b"msisdn",
    b"fax",
    b"telefax",
    b"whatsapp",
    b"landline",
    b"hotline",
    b"telefon",
    b"telefono",
    b"telefone",
    b"handy",
    b"celular",
];

/// What stands before other numbers too.
const HINTS: &[&[u8]] = &[
    b"call",
    b"dial",
    b"ring",
    b"reach",
    b"contact",
    b"answering",
    b"messages",
    b"sms",
    b"cell",
    b"desk",
];

/// Words between one of the above and its number.
const FILLERS: &[&[u8]] = &[
    b"number", b"numbers", b"no", b"nr", b"is", b"at", b"on", b"to", b"me", b"us", b"my", b"him",
    b"her", b"them", b"the", b"our", b"your", b"his", b"their", b"and", b"or", b"home", b"work",
];

/// Names that stand behind a number and end its line or clause.
const BEHIND: &[&[u8]] = &[b"office", b"fax", b"mobile", b"cell", b"home", b"phone"];

/// The most words that are looked at before a number.
const MAX_WORDS: usize = 6;

/// The most signs between a word and the next, or a number.
const MAX_SIGNS: usize = 8;

/// The longest word that is compared.
const MAX_WORD: usize = 12;

/// Whether the words before or behind the number at `start..end` call it a telephone number.
/// `divided` says that it consists of groups: a hint is believed of such a number alone.
pub(super) fn is_labelled(text: &[u8], start: usize, end: usize, divided: bool) -> bool {
    is_named_before(text, start, divided) || (divided && is_named_behind(text, end))
}

/// Whether a key's last words are the name of a telephone number: `user.phone_number`.
pub(super) fn is_phone_key(key: &[u8]) -> bool {
    let mut place = key.len();
    for _ in 0..2 {
        let word = word_before(key, place);
        if NAMES.contains(&word.folded()) {
            return true;
        }
        if !matches!(word.folded(), b"number" | b"no") {
            return false;
        }
        place = word
            .start
            .saturating_sub(usize::from(matches!(before(key, word.start, 1), b'_' | b'-' | b'.')));
    }
    false
}

fn is_named_before(text: &[u8], start: usize, divided: bool) -> bool {
    let mut place = start;
    for _ in 0..MAX_WORDS {
        let Some(end) = skip_signs(text, place) else { return false };
        let word = word_before(text, end);
        let folded = word.folded();
        if NAMES.contains(&folded) {
            return true;
        }
        if HINTS.contains(&folded) {
            return divided;
        }
        if !FILLERS.contains(&folded) {
            return false;
        }
        place = word.start;
    }
    false
}

fn is_named_behind(text: &[u8], end: usize) -> bool {
    let start = if matches!(at(text, end), b' ' | b'-') { end + 1 } else { return false };
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.iter().take(MAX_WORD).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = rest.get(..length).unwrap_or_default();
    let ends = matches!(at(text, start + length), 0 | b'\n' | b'\r' | b'\\' | b',' | b'.' | b';');
    ends && BEHIND.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// The end of the word before a place, if no more than a few signs lie between.
fn skip_signs(text: &[u8], place: usize) -> Option<usize> {
    let mut end = place;
    while place - end < MAX_SIGNS {
        let signs = match (before(text, end, 2), before(text, end, 1)) {
            // Escapes of JSON.
            (b'\\', b'n' | b'r' | b't') => 2,
            (
                _,
                b' ' | b'\t' | b'\n' | b'\r' | b':' | b'=' | b'"' | b'\'' | b'\\' | b'.' | b'_'
                | b'-' | b'#' | b'*' | b'(',
            ) => 1,
            _ => return Some(end),
        };
        end -= signs;
    }
    None
}

/// The last word before a place, in small letters: letters up to a change from small to capital ones.
struct Word {
    start: usize,
    bytes: [u8; MAX_WORD],
    length: usize,
}

impl Word {
    fn folded(&self) -> &[u8] {
        self.bytes.get(MAX_WORD - self.length..).unwrap_or_default()
    }
}

fn word_before(text: &[u8], end: usize) -> Word {
    let mut word = Word { start: end, bytes: [0; MAX_WORD], length: 0 };
    loop {
        let letter = before(text, word.start, 1);
        // `userPhone`, but not `iPhone`.
        let small_before_capital = word.start < end
            && letter.is_ascii_lowercase()
            && before(text, word.start, 2).is_ascii_alphabetic()
            && at(text, word.start).is_ascii_uppercase();
        if !letter.is_ascii_alphabetic() || small_before_capital {
            break;
        }
        if word.length == MAX_WORD {
            // No name is as long.
            word.length = 0;
            break;
        }
        word.start -= 1;
        word.length += 1;
        if let Some(slot) = word.bytes.get_mut(MAX_WORD - word.length) {
            *slot = letter.to_ascii_lowercase();
        }
    }
    word
}
