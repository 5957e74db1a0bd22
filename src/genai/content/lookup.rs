//! Search table: name -> what it says of its value, in a few nanoseconds, most of all for names
//! that no list knows.

use std::sync::LazyLock;

use crate::genai::dialect::{Dialect, NameFamily, NameParts};
use crate::genai::dialects::{DIALECTS, litellm};

/// What a name says of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContentClass {
    /// It is no content, as far as the lists know.
    Unlisted,
    /// It is content if it is a text or a structure, and the item speaks a dialect.
    CommonWord,
    /// It is content if it is a text or a structure.
    Word,
    /// It is content.
    Content,
}

/// Last parts of names under content names that are no content.
const HARMLESS_ENDS: [&[u8]; 3] = [b".finish_reason", b".role", b".score"];

/// Last parts of a name that hold numbers, ids and names, in a family of which all else is content.
const PLAIN_ENDS: [&[u8]; 8] =
    [b"_id", b"_ms", b"_count", b"_key", b"_name", b"_tokens", b"_seconds", b"_type"];
const PLAIN_PARTS: [&[u8]; 2] = [b"id", b"name"];

/// One listed name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Listed {
    /// The name's first bytes as a number of the same order: most comparisons need no more.
    head: u128,
    name: &'static [u8],
    class: ContentClass,
}

/// The first bytes of a name as a number; shorter names are filled with zeros.
#[inline]
fn head(name: &[u8]) -> u128 {
    if let Some(bytes) = name.first_chunk() {
        return u128::from_be_bytes(*bytes);
    }
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(name).for_each(|(byte, given)| *byte = *given);
    u128::from_be_bytes(bytes)
}

/// The lists of some dialects as one.
pub(super) struct ContentTable {
    /// Sorted; what a content name covers is not there a second time.
    listed: Vec<Listed>,
    /// Where names of a first byte start; those of the last one end at the end.
    starts: [usize; 257],
    /// Names that content names cover and that are no content.
    exceptions: Vec<&'static [u8]>,
    families: Vec<&'static NameFamily>,
    /// Whether a family begins with this byte.
    has_family: [bool; 256],
    events: Vec<&'static str>,
    marks: Vec<&'static [u8]>,
    /// Whether a mark begins with this byte.
    marked: [bool; 256],
}

/// The table of the built-in dialects.
pub(super) static TABLE: LazyLock<ContentTable> = LazyLock::new(|| ContentTable::new(DIALECTS));

impl ContentTable {
    /// The table of these dialects.
    pub(super) fn new(dialects: &[&Dialect]) -> Self {
        let listed = sorted(dialects);
        let first = |listed: &Listed| listed.name.first().copied().map_or(0, usize::from);
        let starts = std::array::from_fn(|byte| listed.partition_point(|name| first(name) < byte));
        let mut marks: Vec<&[u8]> = Vec::new();
        let all = dialects.iter().flat_map(|dialect| dialect.detection.beginnings);
        marks.extend(all.map(|mark| mark.as_bytes()));
        let marked = first_bytes(marks.iter().copied());
        let families: Vec<&NameFamily> =
            dialects.iter().flat_map(|dialect| dialect.content.families).collect();
        let has_family = first_bytes(families.iter().map(|family| family.root.as_bytes()));
        let events = dialects.iter().flat_map(|dialect| dialect.content.events).copied().collect();
        let exceptions = dialects.iter().flat_map(|dialect| dialect.content.exceptions);
        let exceptions = exceptions.map(|name| name.as_bytes()).collect();
        Self { listed, starts, exceptions, families, has_family, events, marks, marked }
    }

    /// What a name says of its value.
    pub(super) fn class(&self, name: &[u8]) -> ContentClass {
        let Some(first) = name.first().copied().map(usize::from) else {
            return ContentClass::Unlisted;
        };
        let range = self.starts.get(first).zip(self.starts.get(first.saturating_add(1)));
        let names = range.and_then(|(start, end)| self.listed.get(*start..*end));
        let names = names.unwrap_or_default();
        let word = head(name);
        let before = names.partition_point(|listed| {
            listed.head < word || (listed.head == word && listed.name <= name)
        });
        let listed = before.checked_sub(1).and_then(|last| names.get(last));
        if let Some(Listed { name: known, class, .. }) = listed
            && let Some(rest) = name.strip_prefix(*known)
        {
            match (rest.first(), class) {
                (None, class) => return *class,
                (Some(b'.'), ContentClass::Content) if self.is_exception(name) => {
                    return ContentClass::Unlisted;
                }
                (Some(b'.'), ContentClass::Content) => return ContentClass::Content,
                _ => {}
            }
        }
        let may_be_in_family = self.has_family.get(first).copied().unwrap_or(false);
        if (may_be_in_family && self.is_in_family(name)) || litellm::is_raw_field(name) {
            return ContentClass::Content;
        }
        ContentClass::Unlisted
    }

    fn is_exception(&self, name: &[u8]) -> bool {
        self.exceptions.contains(&name) || HARMLESS_ENDS.iter().any(|end| name.ends_with(end))
    }

    fn is_in_family(&self, name: &[u8]) -> bool {
        let start = name.first_chunk::<4>();
        self.families.iter().any(|family| {
            let root = family.root.as_bytes();
            // No root is shorter.
            root.first_chunk() == start
                && name.strip_prefix(root).is_some_and(|rest| family.has(rest))
        })
    }

    pub(super) fn is_event(&self, name: &str) -> bool {
        self.events.contains(&name)
    }

    pub(super) fn is_mark(&self, name: &[u8]) -> bool {
        let first = name.first().map(|first| usize::from(*first));
        let may_be = first.and_then(|first| self.marked.get(first)).copied().unwrap_or(false);
        may_be && self.marks.iter().any(|mark| name.starts_with(mark))
    }
}

/// By byte, whether one of these begins with it.
fn first_bytes<'a>(names: impl Iterator<Item = &'a [u8]>) -> [bool; 256] {
    let mut found = [false; 256];
    for byte in names.filter_map(|name| name.first()) {
        if let Some(slot) = found.get_mut(usize::from(*byte)) {
            *slot = true;
        }
    }
    found
}

/// The listed names in order, each once, without those that a content name before them covers.
fn sorted(dialects: &[&Dialect]) -> Vec<Listed> {
    let listed = |names: &'static [&'static str], class| {
        names.iter().map(move |name| {
            let name = name.as_bytes();
            Listed { head: head(name), name, class }
        })
    };
    // A word that one dialect has for itself is no common one.
    let classes = [ContentClass::Content, ContentClass::Word, ContentClass::CommonWord];
    let mut all: Vec<Listed> = Vec::new();
    for class in classes {
        for names in dialects.iter().map(|dialect| &dialect.content) {
            all.extend(listed(
                match class {
                    ContentClass::Content => names.names,
                    ContentClass::Word => names.words,
                    _ => names.common_words,
                },
                class,
            ));
        }
    }
    all.sort_by_key(|listed| listed.name);
    let mut kept: Vec<Listed> = Vec::with_capacity(all.len());
    for listed in all {
        let covered = kept.last().is_some_and(|last| {
            let rest = listed.name.strip_prefix(last.name);
            rest.is_some_and(|rest| {
                rest.is_empty() || (last.class == ContentClass::Content && rest.starts_with(b"."))
            })
        });
        if !covered {
            kept.push(listed);
        }
    }
    kept
}

impl NameFamily {
    /// Whether the family's name that ends in `rest` is content.
    fn has(&self, rest: &[u8]) -> bool {
        let last = rest.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
        let is_one = |parts: &[&str]| parts.iter().any(|part| part.as_bytes() == last);
        match self.parts {
            NameParts::Only(parts) => is_one(parts),
            NameParts::AllBut(parts) => {
                !is_one(parts)
                    && !PLAIN_PARTS.contains(&last)
                    && !PLAIN_ENDS.iter().any(|end| last.ends_with(end))
            }
        }
    }
}
