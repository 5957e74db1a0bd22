//! Prompt text the slow way, one character after the other: what the tests hold the other one against.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::similarity::mix;
use crate::codec::msgpack::{MapView, Reader, Token, elements, text_of};

const MAX_TEXT: usize = 32 * 1024;
const NOT_ASKED: [&str; 7] =
    ["type", "id", "call_id", "tool_call_id", "finish_reason", "modality", "mime_type"];

#[derive(Default)]
struct SlowText {
    system: Vec<u8>,
    messages: Vec<u8>,
    count: u64,
    begin: usize,
    role: Option<String>,
    in_system: bool,
}

/// The hash, the frame and the sketch of a prompt, if it has messages.
pub(super) fn read(
    messages: &[u8],
    instructions: &[u8],
    seed: u64,
) -> Option<(u64, u64, Option<u64>)> {
    if messages.is_empty() {
        return None;
    }
    let mut text = SlowText { in_system: true, ..SlowText::default() };
    text.value(instructions);
    text.in_system = false;
    text.value(messages);
    let SlowText { system, messages, count, .. } = text;
    let hash = xxh3_64_with_seed(&messages, xxh3_64_with_seed(&system, seed));
    let frame = words(&system).into_iter().fold(mix(seed ^ count), |hash, word| mix(hash ^ word));
    (!messages.is_empty()).then(|| (hash, frame, sketch(&words(&messages), seed)))
}

impl SlowText {
    fn target(&mut self) -> &mut Vec<u8> {
        if self.in_system { &mut self.system } else { &mut self.messages }
    }

    fn value(&mut self, encoded: &[u8]) {
        let Some(text) = text_of(encoded) else { return self.structured("", encoded, 0) };
        let end = (0..=text.len().min(MAX_TEXT)).rev().find(|end| text.is_char_boundary(*end));
        let (start, rest) = text.split_at(end.unwrap());
        if start.trim_start().starts_with(['[', '{']) {
            self.json(start);
        } else if !start.trim_start().is_empty() {
            self.push(start, false);
            self.role = Some("\0".to_owned());
        }
        self.end_message();
        if !rest.is_empty() {
            let hash = xxh3_64_with_seed(rest.as_bytes(), 0);
            self.target().extend(hash.to_le_bytes());
        }
    }

    fn structured(&mut self, key: &str, encoded: &[u8], depth: usize) {
        match Reader::new(encoded).token() {
            Ok(Token::Str(_)) => self.member(key, text_of(encoded).unwrap_or_default(), false),
            Ok(Token::Array(_)) if depth < 12 => {
                elements(encoded).for_each(|element| self.structured(key, element, depth + 1));
            }
            Ok(Token::Map(_)) if depth < 12 => {
                for entry in MapView::new(encoded) {
                    let key = std::str::from_utf8(entry.key).unwrap_or_default();
                    self.structured(key, entry.value, depth + 1);
                }
                if depth <= 1 {
                    self.end_message();
                }
            }
            Ok(_) if self.target().len() < MAX_TEXT => self.target().extend(encoded),
            _ => {}
        }
    }

    fn json(&mut self, text: &str) {
        let (mut rest, mut key, mut depth) = (text, "", 0);
        while let Some((between, after)) = rest.split_once('"') {
            self.between(between, &mut depth);
            let mut is_escaped = false;
            let ends = |letter: char| {
                let ends = letter == '"' && !is_escaped;
                is_escaped = letter == '\\' && !is_escaped;
                ends
            };
            let (string, after) = match after.find(ends) {
                Some(end) => (after.split_at(end).0, after.split_at(end + 1).1),
                None => (after, ""),
            };
            rest = after;
            if rest.trim_start().starts_with(':') {
                key = string;
            } else {
                self.member(key, string, true);
            }
        }
        self.between(rest, &mut depth);
    }

    fn between(&mut self, between: &str, depth: &mut u32) {
        let is_space = |letter: char| letter == ' ' || ('\t'..='\r').contains(&letter);
        let is_sign = |letter: char| "[]{},:".contains(letter) || is_space(letter);
        for part in between.split_inclusive(is_sign) {
            let scalar = part.trim_end_matches(is_sign);
            if !scalar.is_empty() {
                self.push(scalar, false);
            }
            match part.chars().last() {
                Some('[' | '{') => *depth += 1,
                Some(']' | '}') => {
                    *depth = depth.saturating_sub(1);
                    if *depth == 1 {
                        self.end_message();
                    }
                }
                _ => {}
            }
        }
    }

    fn member(&mut self, key: &str, text: &str, is_json: bool) {
        if key == "role" {
            self.role = Some(text.to_owned());
        } else if !NOT_ASKED.contains(&key) {
            self.push(text, is_json);
        }
    }

    fn end_message(&mut self) {
        if self.in_system {
            return;
        }
        let Some(role) = self.role.take() else { return };
        if matches!(&*role, "system" | "developer") {
            self.system.extend(self.messages.drain(self.begin..));
        } else {
            self.count += 1;
            let letter = role.bytes().next().unwrap_or(0) & 0x1f;
            self.messages.extend([1, letter]);
        }
        self.begin = self.messages.len();
    }

    fn push(&mut self, text: &str, is_json: bool) {
        self.letter(' ');
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            rest = rest.split_at(letter.len_utf8()).1;
            let next = rest.bytes().next().filter(|_| letter == '\\' && is_json);
            if let Some(byte) = next.filter(|byte| byte.is_ascii() && !b"ntrfbu".contains(byte)) {
                self.target().push(byte);
                rest = rest.split_at(1).1;
            } else if letter == '\\' && is_json {
                let (letter, length) = escaped(rest);
                letter.into_iter().for_each(|letter| self.letter(letter));
                rest = rest.split_at(length).1;
            } else {
                self.letter(letter);
            }
        }
    }

    fn letter(&mut self, letter: char) {
        let out = self.target();
        if !letter.is_whitespace() {
            out.extend(letter.to_lowercase().to_string().bytes());
        } else if out.last().is_some_and(|last| *last != b' ') {
            out.push(b' ');
        }
    }
}

/// What an escape of JSON stands for, and how long it is after its backslash.
fn escaped(rest: &str) -> (Option<char>, usize) {
    let unit = |at: usize| u32::from_str_radix(rest.get(at..at + 4)?, 16).ok();
    match rest.chars().next() {
        Some('n' | 't' | 'r' | 'f' | 'b') => (Some(' '), 1),
        Some('u') => {
            let Some(high) = unit(1) else { return (None, 1) };
            let low = unit(7).filter(|_| rest.get(5..7) == Some("\\u"));
            match low {
                Some(low) if (0xd800..0xdc00).contains(&high) && low >= 0xdc00 => {
                    let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                    (Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)), 11)
                }
                _ => (Some(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER)), 5),
            }
        }
        _ => (None, 0),
    }
}

/// The hashes of the words of a text.
fn words(text: &[u8]) -> Vec<u64> {
    let (mut all, mut hash, mut last, mut left) = (Vec::new(), 0_u64, b' ', 0_u8);
    for byte in text.iter().copied().chain([b' ']) {
        let is_sign = (0xe3..=0xe9).contains(&byte);
        let is_word = byte.is_ascii_alphanumeric() || byte >= 0x80;
        if hash != 0 && (!is_word || is_sign) {
            all.push(std::mem::take(&mut hash));
        }
        left = if is_sign { 3 } else { left };
        if is_word && !(byte.is_ascii_digit() && last.is_ascii_digit()) {
            let byte = if byte.is_ascii_digit() { b'0' } else { byte };
            hash = (hash.rotate_left(5) ^ u64::from(byte)).wrapping_mul(0x517c_c1b7_2722_0a95);
        }
        if left == 1 {
            all.push(std::mem::take(&mut hash));
        }
        left = left.saturating_sub(1);
        last = byte;
    }
    all
}

/// The sketch of these words: of each of 64 bins the least hash, and of an empty one that of the next one that is not.
fn sketch(words: &[u64], seed: u64) -> Option<u64> {
    let pairs = words.windows(2).map(|pair| pair[0].rotate_left(32) ^ pair[1]);
    let hashes: Vec<u64> = pairs.map(|pair| mix(pair.wrapping_add(seed))).collect();
    let least = |bin: u64| {
        let own = hashes.iter().filter(|hash| *hash >> 58 == bin % 64);
        own.map(|hash| hash & (u64::MAX >> 6)).min()
    };
    let bit = |bin: u64| (0..64).find_map(|over| Some((least(bin + over)? ^ over) & 1));
    (words.len() >= 8).then(|| (0..64).fold(0, |all, bin| all | bit(bin).unwrap_or(0) << bin))
}
