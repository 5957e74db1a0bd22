//! What is measured of the operations of one series.

use super::attribute::Attribute;
use super::export::{Export, attribute_of};
use super::finish_reasons::FinishReasons;
use super::instruments::{Accumulator, FINISH_REASONS, LATENCY, OF_OPERATIONS};
use super::measured::MeasuredSpan;
use super::series::{SeriesTable, SeriesValues};
use crate::model::{Emission, LatencyPart};

/// What is measured of the operations of one series.
#[derive(Debug)]
pub(super) struct Operations {
    /// In the order of [`OF_OPERATIONS`].
    values: [Accumulator; OF_OPERATIONS.len()],
    /// In the order of [`LatencyPart::ALL`], if a span said any part.
    latency: Option<Box<[Accumulator; LatencyPart::ALL.len()]>>,
    finish_reasons: FinishReasons,
}

impl Operations {
    pub(super) fn new(exponential: bool) -> Self {
        let values = OF_OPERATIONS.each_ref().map(|(one, _)| one.accumulator(exponential));
        Self { values, latency: None, finish_reasons: FinishReasons::default() }
    }

    /// How many series an operation may begin at most.
    pub(super) fn most(measured: &MeasuredSpan<'_, '_>) -> usize {
        let latency = if measured.fields.is_split() { LatencyPart::ALL.len() } else { 0 };
        let reasons = FinishReasons::most(measured.fields.get(Attribute::FinishReasons));
        OF_OPERATIONS.len() + latency + reasons
    }

    /// Adds an operation, and says how many series that began.
    pub(super) fn add(&mut self, measured: &MeasuredSpan<'_, '_>, exponential: bool) -> usize {
        let mut begun = 0;
        for ((_, value_of), total) in OF_OPERATIONS.iter().zip(&mut self.values) {
            if let Some(value) = value_of(measured) {
                begun += total.add(value, measured.weight, || measured.exemplar(value));
            }
        }
        if measured.fields.has_any(Attribute::FinishReasons.bit()) {
            let reasons = measured.fields.get(Attribute::FinishReasons);
            begun += self.finish_reasons.add(reasons, measured.weight);
        }
        if measured.fields.is_split() {
            begun += self.add_latency(measured, exponential);
        }
        begun
    }

    /// Adds the parts of the duration that a span says.
    #[cold]
    fn add_latency(&mut self, measured: &MeasuredSpan<'_, '_>, exponential: bool) -> usize {
        let none = || Box::new(LatencyPart::ALL.map(|_| LATENCY.accumulator(exponential)));
        let totals = self.latency.get_or_insert_with(none);
        let mut begun = 0;
        for (part, total) in LatencyPart::ALL.into_iter().zip(&mut **totals) {
            if let Some(seconds) = measured.fields.latency(part) {
                begun += total.add(seconds, measured.weight, || measured.exemplar(seconds));
            }
        }
        begun
    }

    /// Takes an operation back that an event told of, and says how many series that began.
    pub(super) fn take_back(&mut self, seconds: Option<f64>, finish_reasons: &[u8]) -> usize {
        for (total, value) in self.values.iter_mut().zip([Some(1.0), seconds]) {
            if let Some(value) = value {
                total.take_back(value, 1.0);
            }
        }
        self.finish_reasons.add(finish_reasons, -1.0)
    }

    /// Writes the points of a table of these.
    pub(super) fn export(
        table: &mut SeriesTable<Self>,
        export: &mut Export<'_>,
        batch: &mut Emission,
    ) {
        for (index, (instrument, _)) in OF_OPERATIONS.iter().enumerate() {
            export.table(batch, instrument, table, |operations, point| {
                point(operations.values.get_mut(index), &[]);
            });
        }
        export.table(batch, &FINISH_REASONS, table, |operations, point| {
            for (pair, total) in operations.finish_reasons.by_pair() {
                point(Some(total), pair);
            }
        });
        let parts = LatencyPart::ALL.map(|part| attribute_of(&LATENCY, part.name()));
        export.table(batch, &LATENCY, table, |operations, point| {
            for (total, part) in operations.latency.iter_mut().flat_map(|it| &mut **it).zip(&parts)
            {
                point(Some(total), part);
            }
        });
    }
}

impl SeriesValues for Operations {
    fn series(&self) -> usize {
        let latency = self.latency.iter().flat_map(|totals| totals.iter());
        let totals = self.values.iter().chain(latency);
        let begun: usize = totals.map(SeriesValues::series).sum();
        begun.saturating_add(self.finish_reasons.series())
    }
}
