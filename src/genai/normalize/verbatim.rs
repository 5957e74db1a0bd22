//! Comparison of words: whether a list of the conventions' words says all that it was made of.

use super::convert::text_bytes;
use super::values;
use crate::codec::msgpack::elements;

/// How long a value is that is searched byte by byte.
const SHORT: usize = 64;

/// Whether all words of a list are in what it was made of, whatever their case and spelling.
pub(super) fn is_verbatim(given: &[u8], list: &[u8]) -> bool {
    let joins = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    // What most are: one word, with which it ends.
    if let [0x91, word @ ..] = list
        && let word @ [_, ..] = text_bytes(word)
        && let Some(before) = given.strip_suffix(word)
        && !before.last().is_some_and(joins)
    {
        return true;
    }
    let given = given.to_ascii_lowercase();
    let joins = |at: Option<usize>| at.and_then(|at| given.get(at)).is_some_and(joins);
    let stands =
        |word: &[u8], at: usize| !joins(at.checked_sub(1)) && !joins(at.checked_add(word.len()));
    let holds = |word: &[u8]| {
        if given.len() > SHORT {
            return memchr::memmem::find_iter(&given, word).any(|at| stands(word, at));
        }
        // What most are, without a search that is made for long texts.
        (0..given.len()).any(|at| {
            given.get(at..).is_some_and(|rest| rest.starts_with(word)) && stands(word, at)
        })
    };
    let mut words = elements(list).map(text_bytes).filter(|word| !word.is_empty());
    let spelled = |word: &str| holds(word.as_bytes());
    words.all(|word| {
        let word = String::from_utf8_lossy(word).to_ascii_lowercase();
        spelled(&word) || values::spellings(&word).iter().any(|other| spelled(other))
    })
}
