//! Builder: the attributes of a span while they are rendered in another dialect.

use crate::codec::msgpack::{self, Entry, MapView, int_of, text_of};
use crate::genai::json_value::{Arena, Json};
use crate::genai::normalize::Normalizer;
use crate::genai::normalize::field::GenAiField;

/// What a span says under the names of the conventions and under others, and what is to be said
/// instead.
pub(super) struct Rendering<'a> {
    /// Where JSON is read.
    pub(super) arena: &'a Arena,
    own: [Option<Entry<'a>>; GenAiField::COUNT],
    others: Vec<Entry<'a>>,
    /// The fields that need not stay under their current names.
    taken: u64,
    /// The pairs that were made, and how many.
    made: Vec<u8>,
    pairs: u32,
}

impl<'a> Rendering<'a> {
    /// The attributes of a span of GenAI; `None` for others.
    pub(super) fn read(
        arena: &'a Arena,
        attributes: &'a [u8],
        normalizer: &Normalizer,
    ) -> Option<Self> {
        let mut own = [None; GenAiField::COUNT];
        let mut others = Vec::new();
        let mut is_genai = false;
        for entry in MapView::new(attributes) {
            let field = normalizer.field_named(entry.key);
            match field.and_then(|field| own.get_mut(field.index())) {
                Some(slot) if slot.is_none() => {
                    *slot = Some(entry);
                    is_genai |= entry.key.starts_with(b"gen_ai.");
                }
                _ => others.push(entry),
            }
        }
        let made = Vec::with_capacity(attributes.len());
        is_genai.then_some(Self { arena, own, others, taken: 0, made, pairs: 0 })
    }

    /// The encoded value of a field.
    pub(super) fn value(&self, field: GenAiField) -> Option<&'a [u8]> {
        self.own.get(field.index()).copied().flatten().map(|entry| entry.value)
    }

    pub(super) fn text(&self, field: GenAiField) -> Option<&'a str> {
        self.value(field).and_then(text_of)
    }

    pub(super) fn int(&self, field: GenAiField) -> Option<i64> {
        self.value(field).and_then(int_of)
    }

    /// A value as JSON.
    pub(super) fn json(&self, field: GenAiField) -> Option<Json<'a>> {
        self.value(field).map(|value| Json::of_encoded(self.arena, value))
    }

    /// The value of a name that is none of the conventions.
    pub(super) fn other(&self, key: &str) -> Option<&'a [u8]> {
        self.others.iter().find(|entry| entry.key == key.as_bytes()).map(|entry| entry.value)
    }

    /// Whether there is a list under this prefix.
    pub(super) fn has_list(&self, prefix: &str) -> bool {
        self.others.iter().any(|entry| entry.key.starts_with(prefix.as_bytes()))
    }

    /// Notes that all that a field says is said in the dialect.
    pub(super) fn take(&mut self, field: GenAiField) {
        self.taken |= field.bit();
    }

    /// Adds a pair, unless the span has the name already; says whether it is there now with the value.
    pub(super) fn put(&mut self, key: &str, value: &[u8]) -> bool {
        if let Some(known) = self.other(key) {
            return known == value;
        }
        msgpack::str(&mut self.made, key);
        self.made.extend_from_slice(value);
        self.pairs = self.pairs.saturating_add(1);
        true
    }

    /// Adds a text.
    pub(super) fn put_text(&mut self, key: &str, text: &str) -> bool {
        let mut value = Vec::with_capacity(text.len().saturating_add(5));
        msgpack::str(&mut value, text);
        self.put(key, &value)
    }

    /// Adds a text in the place of what the span has under the name.
    pub(super) fn put_instead(&mut self, key: &str, text: &str) {
        self.others.retain(|entry| entry.key != key.as_bytes());
        self.put_text(key, text);
    }

    /// Adds a number.
    pub(super) fn put_int(&mut self, key: &str, number: i64) -> bool {
        let mut value = Vec::with_capacity(9);
        msgpack::int(&mut value, number);
        self.put(key, &value)
    }

    /// Adds a value of JSON: texts, numbers and switches as such, all else as JSON text.
    pub(super) fn put_json(&mut self, key: &str, value: Json<'_>) {
        let mut encoded = Vec::new();
        match value {
            Json::Null => return,
            Json::Bool(flag) => msgpack::bool(&mut encoded, flag),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(number), _) => msgpack::int(&mut encoded, number),
                (None, Some(number)) => msgpack::f64(&mut encoded, number),
                (None, None) => msgpack::str(&mut encoded, &value.to_text()),
            },
            Json::Text(text) => msgpack::str(&mut encoded, &text),
            Json::List(_) | Json::Object(_) => {
                value.append(&mut encoded);
            }
        }
        self.put(key, &encoded);
    }

    /// Says a field under another name.
    pub(super) fn rename(&mut self, field: GenAiField, key: &str) {
        if let Some(value) = self.value(field)
            && self.put(key, value)
        {
            self.take(field);
        }
    }

    /// The attributes, unless they are as they were.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        let taken = |field: &&GenAiField| self.taken & field.bit() != 0;
        let entry = |field: &GenAiField| self.own.get(field.index()).copied().flatten();
        let stays: Vec<Entry<'a>> =
            GenAiField::ALL.iter().filter(|field| !taken(field)).filter_map(entry).collect();
        if self.pairs == 0 && stays.len() == self.own.iter().flatten().count() {
            return None;
        }
        let kept = u32::try_from(stays.len().saturating_add(self.others.len()));
        let mut out = Vec::with_capacity(self.made.len().saturating_mul(2));
        msgpack::map_header(&mut out, kept.unwrap_or(u32::MAX).saturating_add(self.pairs));
        let raw = self.others.iter().chain(&stays).map(|entry| entry.raw);
        raw.for_each(|raw| out.extend_from_slice(raw));
        out.extend_from_slice(&self.made);
        Some(out)
    }
}
