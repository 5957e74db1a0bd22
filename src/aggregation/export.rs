//! Export of series: the points of one metric from a table of series.

use super::export_mode::ExportMode;
use super::instruments::{Accumulator, Instrument, PointData};
use super::reported::ServiceReports;
use super::semconv::{MetricName, OperationKind, SemconvVersion, renamed};
use super::series::SeriesTable;
use super::write::{MetricEnvelope, MetricWriter, PointContext};
use crate::codec::msgpack::str;
use crate::model::Emission;

/// What the name of a metric begins with that stands beside one that the service reports.
const BESIDE: &str = "fluentbit.";

/// One export of a group.
#[derive(Debug)]
pub(super) struct Export<'e> {
    pub(super) envelope: &'e MetricEnvelope,
    /// What points say.
    pub(super) mode: ExportMode,
    /// When deltas began.
    pub(super) since: u64,
    /// What the group's service reports itself.
    pub(super) reports: ServiceReports<'e>,
    /// Whose names metrics have.
    pub(super) semconv: SemconvVersion,
}

impl Export<'_> {
    /// When points begin, where that is not when their series did.
    pub(super) fn delta(&self) -> Option<u64> {
        self.mode.is_delta().then_some(self.since)
    }

    /// Writes the points of a metric. `points` gives those of a series, each with the attribute that it
    /// has beside the series', encoded, or an empty slice.
    pub(super) fn table<T>(
        &mut self,
        batch: &mut Emission,
        instrument: &'static Instrument,
        table: &mut SeriesTable<T>,
        mut points: impl FnMut(&mut T, &mut dyn FnMut(Option<&mut Accumulator>, &[u8])),
    ) {
        let mode = self.mode;
        self.data(batch, instrument, table, |value, point| {
            points(value, &mut |total, more| {
                point(total.and_then(|total| total.export(mode)), more);
            });
        });
    }

    /// Writes the points of a metric, whose data `points` gives.
    pub(super) fn data<T>(
        &mut self,
        batch: &mut Emission,
        instrument: &'static Instrument,
        table: &mut SeriesTable<T>,
        mut points: impl FnMut(&mut T, &mut dyn FnMut(Option<PointData>, &[u8])),
    ) {
        match renamed(self.semconv, instrument.name) {
            None => self.named(batch, instrument, (instrument.name, &[]), table, &mut points),
            Some(names) => {
                for name in names {
                    self.named(batch, instrument, *name, table, &mut points);
                }
            }
        }
    }

    /// Writes the points that go under one name: those of some operations, or all where none is named.
    fn named<T>(
        &mut self,
        batch: &mut Emission,
        instrument: &'static Instrument,
        (name, kinds): MetricName,
        table: &mut SeriesTable<T>,
        points: &mut impl FnMut(&mut T, &mut dyn FnMut(Option<PointData>, &[u8])),
    ) {
        let fate = self.reports.fate(instrument);
        let prefix = if fate.is_beside { BESIDE } else { "" };
        let mut writer = MetricWriter::new(batch, instrument, [prefix, name], self.envelope);
        let (mode, delta) = (self.mode, self.delta());
        let reports = &mut self.reports;
        table.for_each(|attributes, series| {
            if !kinds.is_empty() && !kinds.contains(&OperationKind::of(attributes)) {
                return;
            }
            let start = delta.unwrap_or(series.since);
            let own = series.pairs;
            points(&mut series.value, &mut |data, more| {
                if let Some(data) = data {
                    let pairs = own + u32::from(!more.is_empty());
                    let context = PointContext { attributes, more, pairs, start };
                    if mode != ExportMode::Page {
                        reports.note(fate, &context, &data, delta.is_some());
                    }
                    if !fate.is_withheld {
                        writer.add(context, data);
                    }
                }
            });
        });
        writer.flush();
    }
}

/// The attribute that points of a metric have beside those of their series, encoded.
pub(super) fn attribute_of(instrument: &Instrument, value: &str) -> Vec<u8> {
    let mut pair = Vec::new();
    str(&mut pair, instrument.by.unwrap_or_default());
    str(&mut pair, value);
    pair
}
