//! Text truncation: makes one item smaller by cutting its longest texts, and says which.

use std::collections::HashMap;

use super::attributes::pair_of;
use crate::codec::wire::{self, NestedMessage, WireError, WireFields, WireValue};
use crate::genai::is_content;

/// The attribute that lists the names of what was cut.
pub(in crate::export) const TRUNCATED: &str = "fluentbit.ai.truncated";
/// What a text keeps at least.
const MIN_TEXT: usize = 32;
/// How deep values are followed.
const MAX_DEPTH: usize = 64;
/// How many names are listed at most, and how long each.
const MAX_NAMES: usize = 32;
const MAX_NAME: usize = 128;

/// The messages on the way to a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::export) enum MessageKind {
    Span,
    Log,
    /// A data point, with the field of its attributes.
    Point(u32),
    Event,
    Link,
    Pair,
    Value,
    Array,
    List,
}

/// What a field of a message is.
enum Field {
    Message(MessageKind),
    Text,
    Bytes,
    Other,
}

const fn field(kind: MessageKind, number: u32) -> Field {
    match (kind, number) {
        (MessageKind::Span, 9)
        | (MessageKind::Log, 6)
        | (MessageKind::Event, 3)
        | (MessageKind::Link, 4)
        | (MessageKind::List, 1) => Field::Message(MessageKind::Pair),
        (MessageKind::Point(attributes), number) if number == attributes => {
            Field::Message(MessageKind::Pair)
        }
        (MessageKind::Span, 11) => Field::Message(MessageKind::Event),
        (MessageKind::Span, 13) => Field::Message(MessageKind::Link),
        (MessageKind::Log, 5) | (MessageKind::Pair, 2) | (MessageKind::Array, 1) => {
            Field::Message(MessageKind::Value)
        }
        (MessageKind::Value, 5) => Field::Message(MessageKind::Array),
        (MessageKind::Value, 6) => Field::Message(MessageKind::List),
        (MessageKind::Value, 1) => Field::Text,
        (MessageKind::Value, 7) => Field::Bytes,
        _ => Field::Other,
    }
}

/// A text on the way, in the order in which they come.
struct Leaf {
    name: String,
    length: usize,
}

/// Goes through the texts of an item; with `cuts` (offset of the text -> bytes kept) also writes
/// it.
struct Walk<'c> {
    leaves: Vec<Leaf>,
    cuts: Option<&'c HashMap<usize, usize>>,
    /// Whether what is cut ends with a hash of the whole text.
    hashed: bool,
    out: Vec<u8>,
}

impl Walk<'_> {
    fn message(
        &mut self,
        kind: MessageKind,
        message: &[u8],
        name: &str,
        depth: usize,
    ) -> Result<(), WireError> {
        let own;
        let name = if kind == MessageKind::Pair && name.is_empty() {
            own = String::from_utf8_lossy(pair_of(message).0).into_owned();
            own.as_str()
        } else {
            name
        };
        let mut fields = WireFields::new(message);
        while let Some(read) = fields.read()? {
            match (field(kind, read.number), read.value) {
                (Field::Message(inner), WireValue::Bytes(bytes)) if depth < MAX_DEPTH => {
                    let name = if kind == MessageKind::Log && inner == MessageKind::Value {
                        "body"
                    } else {
                        name
                    };
                    let nested = NestedMessage::open(&mut self.out, read.number, bytes.len());
                    self.message(inner, bytes, name, depth + 1)?;
                    nested.close(&mut self.out);
                }
                (Field::Text, WireValue::Bytes(bytes)) => self.leaf(1, bytes, name, true),
                (Field::Bytes, WireValue::Bytes(bytes)) => self.leaf(7, bytes, name, false),
                _ => self.out.extend_from_slice(read.raw),
            }
        }
        Ok(())
    }

    fn leaf(&mut self, number: u32, bytes: &[u8], name: &str, is_text: bool) {
        let kept = self.cuts.and_then(|cuts| cuts.get(&self.leaves.len())).copied();
        self.leaves.push(Leaf { name: name.to_owned(), length: bytes.len() });
        let Some(kept) = kept.filter(|kept| *kept < bytes.len()) else {
            return wire::bytes(&mut self.out, number, bytes);
        };
        let mut tail = String::new();
        if self.hashed {
            tail = format!("~{:016x}", xxhash_rust::xxh3::xxh3_64(bytes));
        }
        let mut end = kept.saturating_sub(tail.len());
        if let (true, Ok(text)) = (is_text, std::str::from_utf8(bytes)) {
            end = text.floor_char_boundary(end);
        }
        let cut = [bytes.get(..end).unwrap_or_default(), tail.as_bytes()].concat();
        wire::bytes(&mut self.out, number, &cut);
    }
}

/// A smaller item.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::export) struct ShrunkItem {
    /// Its bytes.
    pub(in crate::export) item: Vec<u8>,
    /// Fields that the metric of a data point gets beside its own.
    pub(in crate::export) metadata: Vec<u8>,
}

/// The item in at most `target` bytes, by cutting content first and the longest text first; `None`
/// if cutting texts does not make it that small. What was cut is listed in the attributes, which
/// are in field `field`.
pub(in crate::export) fn cut_texts(
    kind: MessageKind,
    field: u32,
    item: &[u8],
    target: usize,
) -> Option<Vec<u8>> {
    let mut walk = Walk { leaves: Vec::new(), cuts: None, hashed: false, out: Vec::new() };
    walk.message(kind, item, "", 0).ok()?;
    let leaves = walk.leaves;
    let mut order: Vec<usize> = (0..leaves.len()).collect();
    let rank = |at: &usize| {
        let leaf = leaves.get(*at);
        let content = leaf.is_some_and(|leaf| is_content(&leaf.name) || leaf.name == "body");
        std::cmp::Reverse((content, leaf.map_or(0, |leaf| leaf.length)))
    };
    order.sort_by_key(rank);
    let hashed = matches!(kind, MessageKind::Point(_));
    // The list of names grows with each cut.
    let mut excess = item.len().saturating_add(64).saturating_sub(target);
    let (mut cuts, mut names) = (HashMap::new(), Vec::<&str>::new());
    for at in order {
        let Some(leaf) = leaves.get(at).filter(|leaf| leaf.length > MIN_TEXT) else { continue };
        if excess == 0 {
            break;
        }
        let name = leaf.name.get(..leaf.name.floor_char_boundary(MAX_NAME)).unwrap_or_default();
        if !names.contains(&name) && names.len() < MAX_NAMES {
            names.push(name);
            excess = excess.saturating_add(name.len()).saturating_add(8);
        }
        let mut kept = leaf.length.saturating_sub(excess).max(MIN_TEXT);
        if hashed {
            kept = 1 << kept.ilog2();
        }
        excess = excess.saturating_sub(leaf.length.saturating_sub(kept));
        cuts.insert(at, kept);
    }
    if excess > 0 || cuts.is_empty() {
        return None;
    }
    let mut walk = Walk { leaves: Vec::new(), cuts: Some(&cuts), hashed, out: Vec::new() };
    walk.message(kind, item, "", 0).ok()?;
    let mut out = walk.out;
    list_attribute(&mut out, field, TRUNCATED, &names);
    Some(out)
}

/// Appends an attribute whose value is a list of texts.
pub(in crate::export) fn list_attribute(out: &mut Vec<u8>, field: u32, key: &str, names: &[&str]) {
    let pair = NestedMessage::open(out, field, 100);
    wire::bytes(out, 1, key.as_bytes());
    let value = NestedMessage::open(out, 2, 100);
    let array = NestedMessage::open(out, 5, 100);
    for name in names {
        let element = NestedMessage::open(out, 1, name.len());
        wire::bytes(out, 1, name.as_bytes());
        element.close(out);
    }
    array.close(out);
    value.close(out);
    pair.close(out);
}
