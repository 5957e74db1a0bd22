//! What is measured in one series, and its export.

use super::cost::{CallCosts, CostSource};
use super::histogram::Exemplar;
use super::instruments::{
    Accumulator, Instrument, LATENCY, MeasuredSpan, OF_OPERATIONS, PointData, TOKEN_USAGE,
};
use super::series::{SeriesHandle, SeriesTable, SeriesValues};
use super::write::{MetricEnvelope, MetricWriter, PointContext};
use crate::codec::msgpack::str;
use crate::model::{Emission, LatencyPart};

/// The attribute `gen_ai.token.type`, encoded.
const TYPE_INPUT: &[u8] = b"\xb1gen_ai.token.type\xa5input";
const TYPE_OUTPUT: &[u8] = b"\xb1gen_ai.token.type\xa6output";

#[derive(Debug)]
pub(super) struct Operations {
    /// In the order of [`OF_OPERATIONS`].
    pub(super) values: [Accumulator; OF_OPERATIONS.len()],
    /// In the order of [`LatencyPart::ALL`], if a span said any part.
    pub(super) latency: Option<Box<[Accumulator; LatencyPart::ALL.len()]>>,
    /// The series of the tokens of the same calls.
    pub(super) usage: Option<SeriesHandle>,
}

impl Operations {
    /// Adds the parts of the duration that a span says, and says how many series that began.
    pub(super) fn add_latency(
        &mut self,
        measured: &MeasuredSpan<'_, '_>,
        exponential: bool,
    ) -> usize {
        if !measured.fields.is_split() {
            return 0;
        }
        let none = || Box::new(LatencyPart::ALL.map(|_| LATENCY.accumulator(exponential)));
        let totals = self.latency.get_or_insert_with(none);
        let mut begun = 0;
        for (part, total) in LatencyPart::ALL.into_iter().zip(&mut **totals) {
            if let Some(seconds) = measured.fields.latency(part) {
                begun += add(total, seconds, measured.weight, measured.exemplar(seconds));
            }
        }
        begun
    }
}

impl SeriesValues for Operations {
    fn series(&self) -> usize {
        let latency = self.latency.iter().flat_map(|totals| totals.iter());
        self.values.iter().chain(latency).filter(|value| !value.is_unused()).count()
    }
}

/// Adds a value to a metric of a series, and says how many series that began.
pub(super) fn add(
    total: &mut Accumulator,
    value: f64,
    weight: f64,
    exemplar: Option<Exemplar>,
) -> usize {
    let begun = usize::from(total.is_unused());
    total.add(value, weight, exemplar);
    begun
}

#[derive(Debug)]
pub(super) struct Usage {
    pub(super) input: Accumulator,
    pub(super) output: Accumulator,
    /// Where costs are asked for.
    pub(super) cost: Option<Box<CallCosts>>,
}

impl SeriesValues for Usage {
    fn series(&self) -> usize {
        let tokens =
            [&self.input, &self.output].into_iter().filter(|value| !value.is_unused()).count();
        tokens.saturating_add(self.cost.as_ref().map_or(0, |cost| cost.series()))
    }
}

pub(super) fn export_operations(
    table: &mut SeriesTable<Operations>,
    batch: &mut Emission,
    envelope: &MetricEnvelope,
    delta: Option<u64>,
) {
    for (index, (instrument, _)) in OF_OPERATIONS.iter().enumerate() {
        let mut writer = MetricWriter::new(batch, instrument, envelope);
        table.for_each(|attributes, series| {
            let start = delta.unwrap_or(series.since);
            let value = series.value.values.get_mut(index);
            if let Some(data) = value.and_then(|value| value.export(delta.is_none())) {
                writer
                    .add(PointContext { attributes, more: &[], pairs: series.pairs, start }, data);
            }
        });
        writer.flush();
    }
}

pub(super) fn export_latency(
    table: &mut SeriesTable<Operations>,
    batch: &mut Emission,
    envelope: &MetricEnvelope,
    delta: Option<u64>,
) {
    let by = LATENCY.by.unwrap_or_default();
    let parts = LatencyPart::ALL.map(|part| {
        let mut pair = Vec::new();
        str(&mut pair, by);
        str(&mut pair, part.name());
        pair
    });
    let mut writer = MetricWriter::new(batch, &LATENCY, envelope);
    table.for_each(|attributes, series| {
        let (start, pairs) = (delta.unwrap_or(series.since), series.pairs + 1);
        for (total, more) in series.value.latency.iter_mut().flat_map(|it| &mut **it).zip(&parts) {
            if let Some(data) = total.export(delta.is_none()) {
                writer.add(PointContext { attributes, more, pairs, start }, data);
            }
        }
    });
    writer.flush();
}

pub(super) fn export_usage(
    table: &mut SeriesTable<Usage>,
    batch: &mut Emission,
    envelope: &MetricEnvelope,
    delta: Option<u64>,
) {
    let mut writer = MetricWriter::new(batch, &TOKEN_USAGE, envelope);
    table.for_each(|attributes, series| {
        let (start, pairs) = (delta.unwrap_or(series.since), series.pairs + 1);
        let Usage { input, output, .. } = &mut series.value;
        for (value, more) in [(input, TYPE_INPUT), (output, TYPE_OUTPUT)] {
            if let Some(data) = value.export(delta.is_none()) {
                writer.add(PointContext { attributes, more, pairs, start }, data);
            }
        }
    });
    writer.flush();
}

pub(super) fn export_cost(
    table: &mut SeriesTable<Usage>,
    (batch, envelope): (&mut Emission, &MetricEnvelope),
    delta: Option<u64>,
    instrument: &'static Instrument,
    data_of: fn(&mut CallCosts, bool) -> [Option<PointData>; 3],
) {
    let by = instrument.by.unwrap_or_default();
    let sources = CostSource::ALL.map(|source| {
        let mut pair = Vec::new();
        str(&mut pair, by);
        str(&mut pair, source.name());
        pair
    });
    let mut writer = MetricWriter::new(batch, instrument, envelope);
    table.for_each(|attributes, series| {
        let (start, pairs) = (delta.unwrap_or(series.since), series.pairs + 1);
        let Some(cost) = &mut series.value.cost else { return };
        for (data, more) in data_of(cost, delta.is_none()).into_iter().zip(&sources) {
            if let Some(data) = data {
                writer.add(PointContext { attributes, more, pairs, start }, data);
            }
        }
    });
    writer.flush();
}
