//! The series that an item needs: one of each table that it belongs in.

use super::attribute::Attribute;
use super::calls_series::Calls;
use super::config::MetricsConfig;
use super::measured::MeasuredSpan;
use super::named::NAMED;
use super::operations::Operations;
use super::series_key::{OF_CALLS, SeriesKeys};

/// A table of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableOf {
    /// Of operations.
    Operations,
    /// Of calls to models.
    Calls,
    /// Of what has a name: the index of the metric.
    Named(usize),
}

/// A series that an item needs.
#[derive(Debug)]
pub(super) struct WantedSeries {
    pub(super) table: TableOf,
    /// Its attributes, encoded.
    pub(super) key: Vec<u8>,
    /// The number of its attributes.
    pub(super) pairs: u32,
    /// How many series the item may begin in it at most.
    pub(super) most: usize,
}

/// Finds out which series items need.
#[derive(Debug)]
pub(super) struct WantedFinder {
    keys: SeriesKeys,
    is_priced: bool,
}

impl WantedFinder {
    /// A finder for what is configured.
    pub(super) fn new(config: &MetricsConfig) -> Self {
        let keys = SeriesKeys::new(&config.dimensions, config.semconv);
        Self { keys, is_priced: config.prices.is_some() }
    }

    /// The series that an item needs.
    pub(super) fn all(&self, measured: &MeasuredSpan<'_, '_>) -> Vec<WantedSeries> {
        let mut wanted = Vec::new();
        let error = [Attribute::ErrorType];
        if measured.fields.is_operation() {
            let (key, pairs) = self.keys.of(measured, OF_CALLS.iter().copied().chain(error));
            let (table, most) = (TableOf::Operations, Operations::most(measured));
            wanted.push(WantedSeries { table, key, pairs, most });
        }
        if measured.fields.calls_model() && measured.fields.has_any(Calls::ATTRIBUTES) {
            wanted.push(self.call(measured));
        }
        let named = NAMED.iter().enumerate().filter(|(_, named)| (named.takes)(measured));
        wanted.extend(named.map(|(index, named)| {
            let dimensions = named.dimensions.iter().copied().chain(error);
            let (key, pairs) = self.keys.of(measured, dimensions);
            WantedSeries { table: TableOf::Named(index), key, pairs, most: 1 }
        }));
        wanted
    }

    /// How many series an item may begin at most.
    pub(super) fn most(&self, measured: &MeasuredSpan<'_, '_>) -> usize {
        let (mut most, fields) = (0, measured.fields);
        if fields.is_operation() {
            most += Operations::most(measured);
        }
        if fields.calls_model() && fields.has_any(Calls::ATTRIBUTES) {
            most += Calls::most(measured, self.is_priced);
        }
        most + NAMED.iter().filter(|named| (named.takes)(measured)).count()
    }

    /// That of an item's call.
    pub(super) fn call(&self, measured: &MeasuredSpan<'_, '_>) -> WantedSeries {
        let (key, pairs) = self.keys.of(measured, OF_CALLS.iter().copied());
        let most = Calls::most(measured, self.is_priced);
        WantedSeries { table: TableOf::Calls, key, pairs, most }
    }
}
