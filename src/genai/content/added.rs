//! Registry: the dialects that configurations have added, for as long as the process runs.
//!
//! What is content must be known to every plugin of the process, whichever of them was configured with
//! the names. Names that are there stay: who takes them out of a file and reloads it gets rid of too
//! much rather than of too little. A reload with the same text takes what is there.

use std::sync::OnceLock;

use serde_json::Value;

use super::lookup::{ContentClass, ContentTable};
use crate::genai::dialects::added::{AddedDialects, MergedTables};

/// The dialects of one text, and those of the next one.
struct Registered {
    text: &'static Value,
    tables: MergedTables,
    content: ContentTable,
    next: OnceLock<&'static Registered>,
}

static FIRST: OnceLock<&'static Registered> = OnceLock::new();

/// The dialects of a text; `read` makes them of it where it was not there before.
///
/// # Errors
/// What `read` says.
pub fn register<E>(
    text: &Value,
    read: impl FnOnce(&'static Value) -> Result<MergedTables, E>,
) -> Result<AddedDialects, E> {
    if let Some(known) = all().find(|known| known.text == text) {
        return Ok(AddedDialects::of(&known.tables));
    }
    let text: &'static Value = Box::leak(Box::new(text.clone()));
    let tables = read(text)?;
    let content = ContentTable::new(&tables.dialects().iter().collect::<Vec<_>>());
    let next = OnceLock::new();
    let registered: &'static Registered =
        Box::leak(Box::new(Registered { text, tables, content, next }));
    let mut place = &FIRST;
    while place.set(registered).is_err() {
        let Some(taken) = place.get() else { break };
        place = &taken.next;
    }
    Ok(AddedDialects::of(&registered.tables))
}

fn all() -> impl Iterator<Item = &'static Registered> {
    std::iter::successors(FIRST.get().copied(), |known| known.next.get().copied())
}

/// What a name says of its value by the added dialects, if that is more than `class`.
#[inline]
pub(super) fn class(name: &[u8], class: ContentClass) -> ContentClass {
    if FIRST.get().is_none() {
        return class;
    }
    all().map(|known| known.content.class(name)).fold(class, Ord::max)
}

/// Whether an added dialect has an event of this name that carries nothing but content.
pub(super) fn is_event(name: &str) -> bool {
    all().any(|known| known.content.is_event(name))
}

/// Whether a name shows that an item speaks an added dialect.
#[inline]
pub(super) fn is_mark(name: &[u8]) -> bool {
    all().any(|known| known.content.is_mark(name))
}
