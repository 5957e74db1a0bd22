//! Content filter: takes content out of encoded maps.
//!
//! A map is read once, and written anew only from the first pair that changes.

use crate::codec::json::scan::{JsonMember, JsonMembers, without_members};
use crate::codec::msgpack::{Entry, Reader, Token, array_header, str, str_bytes};
use crate::codec::records::Event;
use crate::codec::records::layout::keys;
use crate::export::selection::content::maps::{
    PairEdit, edit_array, edit_map, is_structure, is_text_like,
};
use crate::export::selection::content::speech;
use crate::export::selection::content::unlisted::{UnlistedTexts, is_long};
use crate::genai::{ContentClass, content_class, is_content_text, is_dialect_mark, is_text_key};

/// The attribute that lists the names of what was removed.
pub(super) const REMOVED: &str = "fluentbit.ai.content.removed";
/// The attribute that lists the names of what was cut.
pub(super) const TRUNCATED: &str = "fluentbit.ai.content.truncated";
/// How many different names are listed at most.
const MAX_NAMES: usize = 64;
/// How deep structures are followed: as deep as OTLP's values nest.
const MAX_DEPTH: usize = 64;
/// A removed text shorter than this may stand elsewhere by chance.
const QUOTABLE: usize = 16;
/// How many removed texts are searched for elsewhere in the item.
const MAX_QUOTED: usize = 32;

/// What the events that carry content keep; everything else of theirs may be content.
const EVENT_KEYS: [&[u8]; 9] = [
    b"gen_ai.system",
    b"gen_ai.provider.name",
    b"gen_ai.operation.name",
    b"gen_ai.response.finish_reasons",
    b"event.name",
    b"role",
    b"index",
    b"finish_reason",
    b"id",
];
/// Beginnings of what such events keep beside, unless a list has it as content.
const EVENT_ROOTS: [&[u8]; 8] =
    [b"gen_ai.", b"server.", b"error.", b"event.", b"session.", b"user.", b"event_", b"openai."];

/// Texts that may quote what was removed, beside a log's text and a span's status message.
const QUOTING: [&[u8]; 4] =
    [b"exception.message", b"exception.stacktrace", b"error.message", b"logfire.msg"];

/// Takes content out of one item, and notes what it took.
pub(super) struct Cleaner<'a, 'u> {
    /// Texts are cut to this many bytes instead of removed.
    pub(super) max_bytes: Option<usize>,
    /// Text above this many bytes goes also under a name that no list has.
    pub(super) unlisted_limit: Option<usize>,
    /// The names of what was removed or cut, each once.
    names: Vec<String>,
    quoted: Vec<&'a [u8]>,
    event: &'a Event<'a>,
    /// Whether the item speaks a dialect, once that was asked for.
    speaks: Option<bool>,
    unlisted: &'u mut UnlistedTexts,
}

impl<'a, 'u> Cleaner<'a, 'u> {
    pub(super) fn new(
        event: &'a Event<'a>,
        max_bytes: Option<usize>,
        unlisted_limit: Option<usize>,
        unlisted: &'u mut UnlistedTexts,
    ) -> Self {
        Self {
            max_bytes,
            unlisted_limit,
            names: Vec::new(),
            quoted: Vec::new(),
            event,
            speaks: None,
            unlisted,
        }
    }

    /// Whether nothing was removed or cut.
    pub(super) const fn found_nothing(&self) -> bool {
        self.names.is_empty()
    }

    /// Adds the name of what was removed or cut.
    pub(super) fn add_name(&mut self, name: &[u8]) {
        if self.names.len() < MAX_NAMES && !self.names.iter().any(|known| known.as_bytes() == name)
        {
            self.names.push(String::from_utf8_lossy(name).into_owned());
        }
    }

    /// The pair that lists the names.
    pub(super) fn list(&self) -> Vec<u8> {
        let mut pair = Vec::new();
        str(&mut pair, if self.max_bytes.is_some() { TRUNCATED } else { REMOVED });
        array_header(&mut pair, u32::try_from(self.names.len()).unwrap_or(0));
        self.names.iter().for_each(|name| str(&mut pair, name));
        pair
    }

    fn speaks(&mut self) -> bool {
        let event = self.event;
        *self.speaks.get_or_insert_with(|| speech::speaks_dialect(event))
    }

    /// Whether the value under a key is content.
    fn is_content(&mut self, key: &[u8], value: &[u8]) -> bool {
        match content_class(key) {
            ContentClass::Unlisted => false,
            ContentClass::Content => true,
            ContentClass::Word => is_text_like(value),
            ContentClass::CommonWord => is_text_like(value) && self.speaks(),
        }
    }

    /// What becomes of a value that is content. What is no text and too long is removed: half a
    /// structure is none.
    pub(super) fn cut(&mut self, key: &[u8], value: &'a [u8]) -> PairEdit {
        let text = match Reader::new(value).token() {
            Ok(Token::Str(text)) => Some(text),
            _ => None,
        };
        if let Some(max_bytes) = self.max_bytes {
            if text.map_or(value.len(), <[u8]>::len) <= max_bytes {
                return PairEdit::Keep;
            }
            self.add_name(key);
            let Some(Ok(text)) = text.map(std::str::from_utf8) else { return PairEdit::Remove };
            let mut cut = Vec::with_capacity(max_bytes.saturating_add(5));
            str(&mut cut, text.get(..text.floor_char_boundary(max_bytes)).unwrap_or_default());
            return PairEdit::Put(cut);
        }
        self.add_name(key);
        if let Some(text) = text.filter(|text| text.len() >= QUOTABLE)
            && self.quoted.len() < MAX_QUOTED
        {
            self.quoted.push(text);
        }
        PairEdit::Remove
    }

    /// Whether a text has a removed one in it, word for word.
    fn quotes(&self, text: &[u8]) -> bool {
        self.quoted.iter().any(|quoted| memchr::memmem::find(text, quoted).is_some())
    }

    /// What becomes of a text under a name that no list has.
    fn unlisted_text(&mut self, key: &[u8], value: &'a [u8]) -> PairEdit {
        let length = match Reader::new(value).token() {
            Ok(Token::Str(text) | Token::Bin(text) | Token::Ext(_, text)) => text.len(),
            _ => return PairEdit::Keep,
        };
        if is_long(length) {
            self.unlisted.see(key);
        }
        if self.unlisted_limit.is_some_and(|limit| length > limit) {
            self.add_name(key);
            return PairEdit::Remove;
        }
        PairEdit::Keep
    }

    /// What becomes of a pair. `depth` counts the maps and arrays around it.
    fn step(&mut self, entry: &Entry<'a>, depth: usize) -> PairEdit {
        if self.is_content(entry.key, entry.value) {
            return self.cut(entry.key, entry.value);
        }
        if is_structure(entry.value) {
            return self.structure(entry.key, entry.value, depth);
        }
        if !self.quoted.is_empty() && QUOTING.contains(&entry.key) && self.quotes(entry.value) {
            self.add_name(entry.key);
            return PairEdit::Remove;
        }
        if self.is_looked_at(entry.value) {
            let edit = self.unlisted_text(entry.key, entry.value);
            if edit != PairEdit::Keep {
                return edit;
            }
        }
        match Reader::new(entry.value).token() {
            Ok(Token::Str(text)) => self.json_text(text).map_or(PairEdit::Keep, PairEdit::Put),
            _ => PairEdit::Keep,
        }
    }

    /// Whether a value may be too long for a name that no list has.
    fn is_looked_at(&self, value: &[u8]) -> bool {
        is_long(value.len()) || self.unlisted_limit.is_some_and(|limit| value.len() > limit)
    }

    /// What becomes of a map or an array that is no content itself.
    fn structure(&mut self, key: &[u8], value: &'a [u8], depth: usize) -> PairEdit {
        if depth >= MAX_DEPTH {
            self.add_name(key);
            return PairEdit::Remove;
        }
        let inner = depth.saturating_add(1);
        let changed = match Reader::new(value).token() {
            Ok(Token::Map(_)) => edit_map(value, |entry| self.step(entry, inner)),
            _ => edit_array(value, |element| self.element(key, element, inner)),
        };
        changed.map_or(PairEdit::Keep, PairEdit::Put)
    }

    /// What becomes of an element of an array; `key` is the array's.
    fn element(&mut self, key: &[u8], element: &'a [u8], depth: usize) -> PairEdit {
        if is_structure(element) {
            return self.structure(key, element, depth);
        }
        if self.is_looked_at(element) {
            return self.unlisted_text(key, element);
        }
        PairEdit::Keep
    }

    /// A map of attributes, or any other, without content; `None` if it has none.
    pub(super) fn map(&mut self, map: &'a [u8]) -> Option<Vec<u8>> {
        edit_map(map, |entry| self.step(entry, 0))
    }

    /// The attributes of an event that carries content.
    pub(super) fn event_attributes(&mut self, attributes: &'a [u8]) -> Option<Vec<u8>> {
        edit_map(attributes, |entry| self.event_step(entry))
    }

    /// What becomes of an attribute of an event that carries content, or of a key of its body.
    pub(super) fn event_step(&mut self, entry: &Entry<'a>) -> PairEdit {
        let stays = EVENT_KEYS.contains(&entry.key)
            || !is_text_like(entry.value)
            || (EVENT_ROOTS.iter().any(|root| entry.key.starts_with(root))
                && !self.is_content(entry.key, entry.value));
        if stays { self.step(entry, 0) } else { self.cut(entry.key, entry.value) }
    }

    /// What becomes of a pair at the top of a log's body, `name` being what its text is called.
    pub(super) fn log_step(&mut self, entry: &Entry<'a>, name: &[u8]) -> PairEdit {
        if !is_text_key(entry.key) {
            return self.step(entry, 0);
        }
        self.log_value(entry, name)
    }

    /// The same for the pair whose value is the log's text, whatever its key.
    pub(super) fn log_value(&mut self, entry: &Entry<'a>, name: &[u8]) -> PairEdit {
        match Reader::new(entry.value).token() {
            Ok(Token::Str(text)) => self.log_text(name, text, entry.value),
            _ => self.step(entry, 0),
        }
    }

    /// What becomes of a log's text: of JSON the members that are content go.
    fn log_text(&mut self, name: &[u8], text: &'a [u8], value: &'a [u8]) -> PairEdit {
        if is_content_text(text) || self.quotes(text) {
            return self.cut(name, value);
        }
        if self.unlisted_limit.is_some_and(|limit| text.len() > limit) {
            self.add_name(name);
            return PairEdit::Remove;
        }
        self.json_text(text).map_or(PairEdit::Keep, PairEdit::Put)
    }

    fn json_text(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        if text.trim_ascii_start().first() != Some(&b'{') {
            return None;
        }
        let mut speaks = None;
        let max_bytes = self.max_bytes;
        let mut found: Vec<Vec<u8>> = Vec::new();
        let changed = without_members(text, &mut |member| {
            let name = member.plain_name();
            let is_text = || matches!(member.value.first(), Some(b'"' | b'{' | b'['));
            let is_content = match content_class(&name) {
                ContentClass::Unlisted => false,
                ContentClass::Content => true,
                ContentClass::Word => is_text(),
                ContentClass::CommonWord => {
                    is_text() && *speaks.get_or_insert_with(|| json_speaks(text) || self.speaks())
                }
            };
            let goes =
                is_content && max_bytes.is_none_or(|max_bytes| member.value.len() > max_bytes);
            if goes && found.len() < MAX_NAMES {
                found.push(name.into_owned());
            }
            goes
        })?;
        found.iter().for_each(|name| self.add_name(name));
        let mut out = Vec::with_capacity(changed.len().saturating_add(5));
        str_bytes(&mut out, &changed);
        Some(out)
    }

    /// Whether a span's status message has to go.
    pub(super) fn refuses_message(&mut self, message: &[u8]) -> bool {
        let Ok(Token::Str(text)) = Reader::new(message).token() else { return false };
        self.quotes(text) || self.unlisted_limit.is_some_and(|limit| text.len() > limit)
    }

    /// The points of a metric without content; `None` if they have none. A point's own attribute
    /// gets a hash of its value instead, because without it the point would belong to another series.
    pub(super) fn points(&mut self, points: &'a [u8]) -> Option<Vec<u8>> {
        edit_array(points, |point| {
            let edited = edit_map(point, |entry| match entry.key {
                keys::ATTRIBUTES => {
                    let hashed = edit_map(entry.value, |entry| match self.step(entry, 0) {
                        PairEdit::Remove => PairEdit::Put(hash_of(entry.value)),
                        other => other,
                    });
                    hashed.map_or(PairEdit::Keep, PairEdit::Put)
                }
                keys::EXEMPLARS => {
                    let edited = edit_array(entry.value, |exemplar| {
                        let edited = edit_map(exemplar, |entry| match entry.key {
                            keys::FILTERED_ATTRIBUTES => {
                                self.map(entry.value).map_or(PairEdit::Keep, PairEdit::Put)
                            }
                            _ => PairEdit::Keep,
                        });
                        edited.map_or(PairEdit::Keep, PairEdit::Put)
                    });
                    edited.map_or(PairEdit::Keep, PairEdit::Put)
                }
                _ => PairEdit::Keep,
            });
            edited.map_or(PairEdit::Keep, PairEdit::Put)
        })
    }
}

/// A text that stands for a value: it is the same for the same value.
fn hash_of(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    str(&mut out, &format!("{:032x}", xxhash_rust::xxh3::xxh3_128(value)));
    out
}

/// Whether a JSON object speaks a dialect, by the names of its members and of those one level
/// deeper, or by the name of its event.
fn json_speaks(text: &[u8]) -> bool {
    let speaks = |member: &JsonMember<'_>| {
        let value = member.value.strip_prefix(b"\"").unwrap_or_default();
        is_dialect_mark(member.name) || (speech::is_naming(member.name) && is_dialect_mark(value))
    };
    JsonMembers::new(text)
        .any(|member| speaks(&member) || JsonMembers::new(member.value).any(|m| speaks(&m)))
}
