//! Prompt text: what a call asked, made comparable.
//!
//! Runs of white space count as one space and capital letters as small ones. Instructions of the system stand apart
//! from the other messages. Ids and types of parts are left out, as they are not what is asked.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::letters::{Escapes, equal, first, first_char, push};
use super::similarity::{Sketcher, mix};
use crate::codec::msgpack::{MapView, Reader, Token, elements};

/// How much of the messages and of the instructions is made comparable, in bytes. The rest counts as it is.
const MAX_TEXT: usize = 32 * 1024;
/// How deep what is no text may nest.
const MAX_DEPTH: usize = 12;
/// Ends a message, before the first letter of its role without the bits that make it one.
const MESSAGE: u8 = 1;
const OF_LETTER: u8 = 0x1f;

/// The text of one prompt; used again for the next one.
#[derive(Debug, Default)]
pub(super) struct PromptText {
    system: Vec<u8>,
    messages: Vec<u8>,
    /// How many messages there are.
    count: u64,
    /// Where the message begins that is read, and its role.
    begin: usize,
    role: Role,
    /// Whether instructions are read.
    in_system: bool,
}

/// The role of a message, which may come before or after what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Role {
    #[default]
    Unknown,
    System,
    /// Another one, by its first letter.
    Other(u8),
}

/// What a member of a message says, by its key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Member {
    /// Whose message it is.
    Role,
    /// What is asked.
    Asked,
    /// What is not.
    NotAsked,
}

impl Member {
    fn of(key: &[u8]) -> Self {
        match key {
            b"role" => Self::Role,
            b"type" | b"id" | b"call_id" | b"tool_call_id" | b"finish_reason" | b"modality"
            | b"mime_type" => Self::NotAsked,
            _ => Self::Asked,
        }
    }
}

impl PromptText {
    /// Reads encoded messages and instructions, and says whether there is any message.
    pub(super) fn read(&mut self, messages: &[u8], instructions: &[u8]) -> bool {
        self.clear();
        if messages.is_empty() {
            return false;
        }
        self.in_system = true;
        self.value(instructions);
        self.in_system = false;
        self.value(messages);
        !self.messages.is_empty()
    }

    /// Forgets the text, also in memory.
    pub(super) fn clear(&mut self) {
        for text in [&mut self.system, &mut self.messages] {
            text.fill(0);
            text.clear();
        }
        (self.count, self.begin, self.role) = (0, 0, Role::Unknown);
    }

    /// A hash of all of it under a seed.
    pub(super) fn hash(&self, seed: u64) -> u64 {
        xxh3_64_with_seed(&self.messages, xxh3_64_with_seed(&self.system, seed))
    }

    /// A hash of the instructions, in which numbers do not count, and of how many messages there are: only where these
    /// are the same prompts are taken for similar ones.
    pub(super) fn frame(&self, seed: u64) -> u64 {
        let mut hash = mix(seed ^ self.count);
        words(&self.system, |word| hash = mix(hash ^ word));
        hash
    }

    /// The sketch of the messages, in which numbers do not count.
    pub(super) fn sketch(&self, seed: u64) -> Option<u64> {
        let mut sketcher = Sketcher::new(seed);
        words(&self.messages, |word| sketcher.word(word));
        sketcher.finish()
    }

    fn target(&mut self) -> &mut Vec<u8> {
        if self.in_system { &mut self.system } else { &mut self.messages }
    }

    /// Adds an encoded value: text, JSON in a text, or what is structured already.
    fn value(&mut self, encoded: &[u8]) {
        let Some(text) = utf8(encoded) else { return self.structured(&[], encoded, 0) };
        let (start, rest) = text.split_at(boundary(text, MAX_TEXT));
        if let Some(first) = first_letter(start) {
            if matches!(first, b'[' | b'{') {
                self.json(start);
            } else {
                push(self.target(), start, Escapes::None);
                self.role = Role::Other(0);
            }
        }
        self.end_message();
        if !rest.is_empty() {
            let hash = xxh3_64_with_seed(rest, 0).to_le_bytes();
            self.target().extend_from_slice(&hash);
        }
    }

    fn structured(&mut self, key: &[u8], encoded: &[u8], depth: usize) {
        match Reader::new(encoded).token() {
            Ok(Token::Str(_)) => {
                let text = utf8(encoded).unwrap_or_default();
                self.member(Member::of(key), text, Escapes::None);
            }
            Ok(Token::Array(_)) if depth < MAX_DEPTH => {
                elements(encoded).for_each(|element| self.structured(key, element, depth + 1));
            }
            Ok(Token::Map(_)) if depth < MAX_DEPTH => {
                for entry in MapView::new(encoded) {
                    self.structured(entry.key, entry.value, depth + 1);
                }
                if depth <= 1 {
                    self.end_message();
                }
            }
            // Numbers and the like count as they are encoded.
            Ok(_) if self.target().len() < MAX_TEXT => self.target().extend_from_slice(encoded),
            _ => {}
        }
    }

    /// Adds the texts and other scalars of JSON, and ends messages, which are objects in a list. What is no valid JSON is
    /// read as far as it looks like it.
    fn json(&mut self, text: &[u8]) {
        let (mut member, mut depth, mut rest) = (Member::Asked, 0_u32, text);
        while let Some((byte, after)) = rest.split_first() {
            let start = std::mem::replace(&mut rest, after);
            match byte {
                b'"' => {
                    let (string, after) = after.split_at(closing(after));
                    rest = after.get(1..).unwrap_or_default();
                    if let [b':', value @ ..] = rest {
                        (member, rest) = (Member::of(string), value);
                    } else if is_after_key(rest) {
                        member = Member::of(string);
                    } else {
                        self.member(member, string, Escapes::Json);
                    }
                }
                b'[' | b'{' => depth += 1,
                b']' | b'}' => {
                    depth = depth.saturating_sub(1);
                    if depth == 1 {
                        self.end_message();
                    }
                }
                b',' | b':' | b' ' | b'\t'..=b'\r' => {}
                _ => {
                    let end = start.iter().position(|byte| ends_scalar(*byte));
                    let (scalar, after) = start.split_at(end.unwrap_or(start.len()));
                    push(self.target(), scalar, Escapes::None);
                    rest = after;
                }
            }
        }
    }

    /// Adds what a member says.
    fn member(&mut self, member: Member, text: &[u8], escapes: Escapes) {
        match member {
            Member::Role => {
                self.role = match text {
                    b"system" | b"developer" => Role::System,
                    role => Role::Other(role.first().copied().unwrap_or_default()),
                };
            }
            Member::Asked => push(self.target(), text, escapes),
            Member::NotAsked => {}
        }
    }

    /// Ends a message, which goes to the instructions if it is one of the system.
    fn end_message(&mut self) {
        if self.in_system {
            return;
        }
        match self.role {
            Role::Unknown => return,
            Role::System => {
                let own = self.messages.get_mut(self.begin..).unwrap_or_default();
                self.system.extend_from_slice(own);
                own.fill(0);
                self.messages.truncate(self.begin);
            }
            Role::Other(letter) => {
                self.count += 1;
                self.messages.extend_from_slice(&[MESSAGE, letter & OF_LETTER]);
            }
        }
        (self.begin, self.role) = (self.messages.len(), Role::Unknown);
    }
}

/// The bytes of an encoded text, if that is UTF-8.
fn utf8(encoded: &[u8]) -> Option<&[u8]> {
    let text = Reader::new(encoded).str().ok()?;
    (text.is_ascii() || std::str::from_utf8(text).is_ok()).then_some(text)
}

/// The first byte of a text that begins no white space.
fn first_letter(mut text: &[u8]) -> Option<u8> {
    loop {
        let first = *text.first()?;
        let length = match first {
            b' ' | b'\t'..=b'\r' => 1,
            0x80.. => {
                first_char(text).filter(|char| char.is_whitespace()).map_or(0, char::len_utf8)
            }
            _ => 0,
        };
        if length == 0 {
            return Some(first);
        }
        text = text.get(length..)?;
    }
}

/// Whether a text of JSON that ends before this is a key, after white space.
#[inline]
fn is_after_key(rest: &[u8]) -> bool {
    matches!(rest.first(), Some(b' ' | b'\t'..=b'\r' | 0x80..)) && first_letter(rest) == Some(b':')
}

/// Whether a scalar of JSON that is no text ends before this byte.
const fn ends_scalar(byte: u8) -> bool {
    matches!(byte, b'"' | b'[' | b']' | b'{' | b'}' | b',' | b':' | b' ' | b'\t'..=b'\r')
}

/// Where the quotation mark is that ends a JSON text.
fn closing(text: &[u8]) -> usize {
    // Most keys and types are short.
    if let Some(word) = text.first_chunk() {
        let word = u64::from_le_bytes(*word);
        let at = first(equal(word, b'"') | equal(word, b'\\'));
        if text.get(at) == Some(&b'"') {
            return at;
        }
    }
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text.get(at) == Some(&b'"') {
            return at;
        }
        at += 2;
    }
    text.len()
}

/// The largest length up to `most` at which a text can be cut.
fn boundary(text: &[u8], most: usize) -> usize {
    let mut end = text.len().min(most);
    while matches!(text.get(end), Some(0x80..0xc0)) {
        end = end.saturating_sub(1);
    }
    end
}

/// Tells of the words of a text by their hashes. Letters, digits and what is not ASCII make words, all numbers are one,
/// and of scripts that have no spaces each character is one.
fn words(text: &[u8], mut tell: impl FnMut(u64)) {
    const FACTOR: u64 = 0x517c_c1b7_2722_0a95;
    let (mut hash, mut last, mut left) = (0_u64, b' ', 0_u8);
    let add = |hash: u64, byte: u8| (hash.rotate_left(5) ^ u64::from(byte)).wrapping_mul(FACTOR);
    text.iter().copied().chain([b' ']).for_each(|byte| {
        // What most texts are of.
        if byte.is_ascii_lowercase() && left == 0 {
            (hash, last) = (add(hash, byte), byte);
            return;
        }
        // Chinese and Japanese: the first byte of three.
        let is_sign = (0xe3..=0xe9).contains(&byte);
        let is_word = byte.is_ascii_alphanumeric() || byte >= 0x80;
        if hash != 0 && (!is_word || is_sign) {
            tell(std::mem::take(&mut hash));
        }
        left = if is_sign { 3 } else { left };
        if is_word && !(byte.is_ascii_digit() && last.is_ascii_digit()) {
            hash = add(hash, if byte.is_ascii_digit() { b'0' } else { byte });
        }
        if left == 1 {
            tell(std::mem::take(&mut hash));
        }
        left = left.saturating_sub(1);
        last = byte;
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::str;

    fn encoded(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        str(&mut out, text);
        out
    }

    fn read(messages: &str, instructions: &str) -> PromptText {
        let mut text = PromptText::default();
        let instructions = if instructions.is_empty() { Vec::new() } else { encoded(instructions) };
        assert!(text.read(&encoded(messages), &instructions));
        text
    }

    fn user(text: &str) -> String {
        let parts = serde_json::json!([{"type": "text", "content": text}]);
        serde_json::json!([{"role": "user", "parts": parts}]).to_string()
    }

    /// Guarantees: white space, capital letters, escapes, ids and the form of the attribute make no other prompt; words,
    /// numbers, signs, roles and instructions do.
    #[test]
    fn the_same_prompt_is_the_same_whatever_its_form() {
        let same = [
            user("What is 2+2, Größe?"),
            user("what\n  IS 2+2, GRÖSSE?").replace("SSE", "ßE"),
            r#"[ {"role":"user", "parts":[{"id":"x1","type":"text","content":"what is\u00a02+2, gr\u00d6\u00dfe?"}]}]"#.to_owned(),
        ];
        let hash = |text: &str| read(text, "").hash(5);
        same.iter().for_each(|text| assert_eq!(hash(text), hash(&same[0]), "{text}"));
        let structured = serde_json::json!([
            {"role": "user", "parts": [{"type": "text", "content": "What is 2+2, Größe?"}]}
        ]);
        let mut text = PromptText::default();
        assert!(text.read(&rmp_serde::to_vec(&structured).unwrap(), &[]));
        assert_eq!(text.hash(5), hash(&same[0]));
        for other in ["What is 2-2, Größe?", "What is 2+3, Größe?", "What is 2+2"] {
            assert_ne!(hash(&user(other)), hash(&same[0]), "{other}");
        }
        assert_ne!(hash(&same[0].replace("\"user\"", "\"assistant\"")), hash(&same[0]));
        assert_ne!(read(&same[0], "Be brief.").hash(5), hash(&same[0]));
        assert_ne!(read(&same[0], "").hash(6), hash(&same[0]), "without the seed nobody can tell");
        let long = "word ".repeat(10_000);
        assert_ne!(hash(&long), hash(&format!("{long}more")), "what is beyond the limit counts");
    }

    #[test]
    fn there_is_no_prompt_without_messages() {
        let mut text = PromptText::default();
        assert!(!text.read(&[], &encoded("Be brief.")));
        assert!(!text.read(&encoded(""), &[]));
        assert!(!text.read(&encoded("[]"), &[]));
        assert!(text.read(&encoded("plain words"), &[]));
        assert_eq!(text.messages, b"plain words\x01\0");
        text.clear();
        assert!(text.messages.is_empty() && text.system.is_empty());
    }

    /// Guarantees: numbers do not count in sketches and frames; the frame is that of the instructions and of the number of
    /// messages; and system messages are instructions.
    #[test]
    fn numbers_do_not_make_prompts_less_similar() {
        let order = |id: u32| {
            user(&format!(
                "Where is order {id}? I bought it on 2026-0{}-02, and it is not here yet.",
                id % 9
            ))
        };
        let (one, other) =
            (read(&order(17), "Today is day 4."), read(&order(4211), "Today is day 15."));
        assert_ne!(one.hash(1), other.hash(1));
        assert_eq!(one.sketch(1), other.sketch(1));
        assert!(one.sketch(1).is_some());
        assert_eq!(one.frame(1), other.frame(1));
        assert_ne!(one.frame(1), read(&order(17), "Today is no day.").frame(1));
        let two = order(17).replacen('[', "[{\"role\":\"user\",\"parts\":[]},", 1);
        assert_ne!(one.frame(1), read(&two, "Today is day 4.").frame(1));
        let within =
            order(17).replacen('[', "[{\"role\":\"system\",\"content\":\"Today is day 9.\"},", 1);
        let within = read(&within, "");
        assert_eq!(within.sketch(1), one.sketch(1));
        assert_eq!(read(&user("short"), "").sketch(1), None);
    }

    #[test]
    fn signs_are_words_of_their_own() {
        let count = |text: &str| {
            let mut all = 0;
            words(text.as_bytes(), |_| all += 1);
            all
        };
        assert_eq!(count("two words"), 2);
        assert_eq!(count("今日は"), 3);
        assert_eq!(count("x今y 12.5 Größe"), 6);
    }

    /// Guarantees: what is no JSON is read without harm.
    #[test]
    fn broken_texts_are_read() {
        for text in [
            r#"["#,
            r#"[""#,
            r#"["\"#,
            r#"["\u12"#,
            r#"["\ud800\u"#,
            r#"["\ud83d\ude00"]"#,
            r#"{"a":tru"#,
            "[\"\\é\"]",
            "[\"\\\u{1f600}",
        ] {
            let mut read = PromptText::default();
            read.read(&encoded(text), &[]);
            assert!(std::str::from_utf8(&read.messages).is_ok(), "{text}");
        }
    }
}
