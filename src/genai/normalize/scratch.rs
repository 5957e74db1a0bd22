//! Scratch space: what mapping a span needs besides its attributes, in memory that is used again.

use super::field::GenAiField;
use crate::genai::dialects::merge::KeyMeaning;

/// A field's value: its rank and where it is among the values made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    pub(super) rank: u16,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Memory that is used again for the next span.
pub(super) struct Scratch {
    /// The values made.
    pub(super) made: Vec<u8>,
    /// Where those of the fields are that were found; of others it may be anything.
    pub(super) slots: Box<[Slot; GenAiField::COUNT]>,
    /// Two values that are compared.
    pub(super) compared: Vec<u8>,
    /// What is cut out of the attributes.
    pub(super) cuts: Vec<Cut>,
}

impl Default for Scratch {
    fn default() -> Self {
        let slots = Box::new([Slot::default(); GenAiField::COUNT]);
        Self { made: Vec::new(), slots, compared: Vec::new(), cuts: Vec::new() }
    }
}

/// A pair of a map that does not stay as it is.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    /// Where it begins in the pairs of the map, and how long it is.
    pub(super) start: usize,
    pub(super) length: usize,
    /// Of which attribute a part stays, if it does.
    pub(super) left_of: Option<&'static KeyMeaning>,
}

/// An attribute that means something only together with others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deferred<'a> {
    pub(super) meaning: &'static KeyMeaning,
    pub(super) value: &'a [u8],
}
