//! Series of operations that say other tokens than the calls within them.

use super::export::{Export, attribute_of};
use super::instruments::{Accumulator, NESTED_USAGE};
use super::nested_usage::{TOKEN_TYPES, UsageDifference};
use super::series::{SeriesTable, SeriesValues};
use super::usage::OperationIndex;
use crate::codec::msgpack::str;
use crate::model::Emission;

/// How many names of operations are told apart.
const MAX_NAMES: usize = 32;

/// What is counted of the operations of one name: for each metric of [`NESTED_USAGE`], by type of tokens.
#[derive(Debug)]
pub(super) struct NestedUsage([[Accumulator; TOKEN_TYPES.len()]; NESTED_USAGE.len()]);

impl NestedUsage {
    /// How many series there may be of one name.
    pub(super) const MOST: usize = NESTED_USAGE.len() * TOKEN_TYPES.len();

    pub(super) fn new() -> Self {
        Self(NESTED_USAGE.each_ref().map(|one| TOKEN_TYPES.map(|_| one.accumulator(false))))
    }

    /// Counts a difference, and says how many series that began.
    pub(super) fn add(&mut self, difference: &UsageDifference, weight: f64) -> usize {
        let sides = [difference.missing, difference.surplus];
        let totals = self.0.iter_mut().flatten().zip(sides.as_flattened());
        let begun = totals.filter(|(_, tokens)| **tokens > 0.0);
        begun.map(|(total, tokens)| total.add(*tokens, weight, || None)).sum()
    }

    /// Writes the points of a table of these.
    pub(super) fn export(
        table: &mut SeriesTable<Self>,
        export: &mut Export<'_>,
        batch: &mut Emission,
    ) {
        for (index, instrument) in NESTED_USAGE.iter().enumerate() {
            let types = TOKEN_TYPES.map(|kind| attribute_of(instrument, kind));
            export.table(batch, instrument, table, |nested, point| {
                for (total, kind) in nested.0.get_mut(index).into_iter().flatten().zip(&types) {
                    point(Some(total), kind);
                }
            });
        }
    }
}

impl SeriesValues for NestedUsage {
    fn series(&self) -> usize {
        self.0.iter().flatten().map(SeriesValues::series).sum()
    }
}

/// The names of operations that were seen, encoded.
#[derive(Debug, Default)]
pub(super) struct OperationNames(Vec<Box<[u8]>>);

impl OperationNames {
    /// The index of a name, remembered if there is room.
    pub(super) fn index(&mut self, encoded: &[u8]) -> OperationIndex {
        let known = self.0.iter().position(|name| **name == *encoded);
        let index = known.or_else(|| {
            let has_room = self.0.len() < MAX_NAMES;
            has_room.then(|| {
                self.0.push(encoded.into());
                self.0.len().saturating_sub(1)
            })
        });
        index.and_then(|index| u8::try_from(index).ok()).map(OperationIndex).unwrap_or_default()
    }

    /// The attribute of a series, encoded.
    pub(super) fn attribute(&self, index: OperationIndex) -> Vec<u8> {
        let mut pair = Vec::new();
        str(&mut pair, "gen_ai.operation.name");
        match self.0.get(usize::from(index.0)) {
            Some(name) => pair.extend_from_slice(name),
            None => str(&mut pair, "_OTHER"),
        }
        pair
    }
}
