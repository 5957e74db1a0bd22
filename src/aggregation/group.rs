//! The metrics of one tag and resource: what is added to which series.

use std::time::Duration;

use super::attribute::Attribute;
use super::calls_series::Calls;
use super::export::{Export, attribute_of};
use super::finish_reasons::FinishReasons;
use super::instruments::{Accumulator, FINISH_REASONS, LATENCY, OF_OPERATIONS};
use super::measured::MeasuredSpan;
use super::named::{NAMED, NamedSeries};
use super::routes::Route;
use super::series::{FoundSeries, SeriesHandle, SeriesTable};
use super::series_key::{OF_CALLS, SeriesKeys};
use super::usage::TokenCounts;
use super::write::MetricEnvelope;
use crate::clock::Tick;
use crate::model::{Emission, LatencyPart};

/// What measuring an item did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured {
    /// The tokens of a model call, which count unless another item tells of it.
    pub(super) tokens: Option<TokenCounts>,
    /// Whether it is an operation that calls a model itself.
    pub(super) calls_model: bool,
    /// Where it was counted.
    pub(super) route: Route,
    /// How many series were made.
    pub(super) made: u64,
    /// 1 if there was no room for a series of its own.
    pub(super) overflow: u64,
}

/// What was counted of a log event, which is taken back when a span tells of the same operation.
#[derive(Debug, Clone)]
pub(super) struct CountedEvent {
    pub(super) group: usize,
    pub(super) group_id: u64,
    pub(super) route: Route,
    pub(super) seconds: Option<f64>,
    pub(super) finish_reasons: Box<[u8]>,
    pub(super) tokens: Option<TokenCounts>,
}

#[derive(Debug)]
struct Operations {
    /// In the order of [`OF_OPERATIONS`].
    values: [Accumulator; OF_OPERATIONS.len()],
    /// In the order of [`LatencyPart::ALL`], if a span said any part.
    latency: Option<Box<[Accumulator; LatencyPart::ALL.len()]>>,
    finish_reasons: FinishReasons,
}

impl Operations {
    fn new(exponential: bool) -> Self {
        let values = OF_OPERATIONS.each_ref().map(|(one, _)| one.accumulator(exponential));
        Self { values, latency: None, finish_reasons: FinishReasons::default() }
    }

    fn add(&mut self, measured: &MeasuredSpan<'_, '_>, exponential: bool) {
        for ((_, value_of), total) in OF_OPERATIONS.iter().zip(&mut self.values) {
            if let Some(value) = value_of(measured) {
                total.add(value, measured.weight, || measured.exemplar(value));
            }
        }
        if measured.fields.has_any(Attribute::FinishReasons.bit()) {
            self.finish_reasons.add(measured.fields.get(Attribute::FinishReasons), measured.weight);
        }
        if measured.fields.is_split() {
            self.add_latency(measured, exponential);
        }
    }

    /// Adds the parts of the duration that a span says.
    #[cold]
    fn add_latency(&mut self, measured: &MeasuredSpan<'_, '_>, exponential: bool) {
        let none = || Box::new(LatencyPart::ALL.map(|_| LATENCY.accumulator(exponential)));
        let totals = self.latency.get_or_insert_with(none);
        for (part, total) in LatencyPart::ALL.into_iter().zip(&mut **totals) {
            if let Some(seconds) = measured.fields.latency(part) {
                total.add(seconds, measured.weight, || measured.exemplar(seconds));
            }
        }
    }
}

/// The metrics of one tag and resource.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: u64,
    pub(super) tag: Vec<u8>,
    pub(super) resource: Vec<u8>,
    operations: SeriesTable<Operations>,
    pub(super) calls: SeriesTable<Calls>,
    named: Option<Box<NamedSeries>>,
    max_series: usize,
}

impl Group {
    pub(super) fn new(id: u64, tag: &[u8], resource: &[u8], max_series: usize) -> Self {
        let (operations, calls) = (SeriesTable::new(max_series), SeriesTable::new(max_series));
        let (tag, resource) = (tag.to_vec(), resource.to_vec());
        Self { id, tag, resource, operations, calls, named: None, max_series }
    }

    /// The series of an item, made where they are not there.
    #[cold]
    pub(super) fn find(
        &mut self,
        (keys, key): (&SeriesKeys, &mut Vec<u8>),
        measured: &MeasuredSpan<'_, '_>,
        exponential: bool,
        at: (Tick, u64),
    ) -> Measured {
        let mut found = Measured::default();
        if measured.fields.is_operation() {
            let dimensions = OF_CALLS.iter().copied().chain([Attribute::ErrorType]);
            let pairs = keys.write(key, measured, dimensions);
            let series = self.operations.find(key, pairs, at, || Operations::new(exponential));
            found.route.operation = found.note(series);
            found.route.calls_model = measured.fields.calls_model();
        }
        if found.route.calls_model && measured.fields.has_any(Calls::ATTRIBUTES) {
            let pairs = keys.write(key, measured, OF_CALLS.iter().copied());
            let series = self.calls.find(key, pairs, at, || Calls::new(exponential));
            found.route.call = found.note(series);
        }
        let named = NAMED.iter().enumerate().filter(|(_, named)| (named.takes)(measured));
        for ((index, named), slot) in named.zip(0..) {
            let dimensions = named.dimensions.iter().copied().chain([Attribute::ErrorType]);
            let pairs = keys.write(key, measured, dimensions);
            let max_series = self.max_series;
            let all = self.named.get_or_insert_with(|| Box::new(NamedSeries::new(max_series)));
            let Some(table) = all.tables.get_mut(index) else { continue };
            let make = || named.instrument.accumulator(exponential);
            let series = found.note(table.find(key, pairs, at, make));
            if let Some(slot) = found.route.named.get_mut(slot) {
                *slot = series.map(|series| (index, series));
            }
        }
        found
    }

    /// Whether all series of a route are there still; notes that they are used.
    #[inline]
    pub(super) fn refresh(&mut self, route: &Route, now: Tick) -> bool {
        let Self { operations, calls, named, .. } = self;
        route.operation.is_none_or(|series| operations.refresh(series, now))
            && route.call.is_none_or(|series| calls.refresh(series, now))
            && route.named.iter().flatten().all(|(index, series)| {
                let table = named.as_mut().and_then(|named| named.tables.get_mut(*index));
                table.is_some_and(|table| table.refresh(*series, now))
            })
    }

    /// Adds an item, except its tokens.
    pub(super) fn add(
        &mut self,
        route: &Route,
        measured: &MeasuredSpan<'_, '_>,
        exponential: bool,
    ) {
        let operations = route.operation.and_then(|series| self.operations.get(series));
        if let Some(operations) = operations {
            operations.add(measured, exponential);
        }
        if measured.fields.has_any(Attribute::TIMES)
            && let Some(calls) = route.call.and_then(|series| self.calls.get(series))
        {
            calls.add_times(measured);
        }
        self.add_named(route, measured.seconds(), |total, seconds| {
            total.add(seconds, measured.weight, || measured.exemplar(seconds));
        });
    }

    /// Takes back what was counted of an event, except its tokens.
    pub(super) fn take_back(&mut self, event: &CountedEvent) {
        let operations = event.route.operation.and_then(|series| self.operations.get(series));
        if let Some(operations) = operations {
            let values = [Some(1.0), event.seconds];
            for (total, value) in operations.values.iter_mut().zip(values) {
                if let Some(value) = value {
                    total.take_back(value, 1.0);
                }
            }
            operations.finish_reasons.add(&event.finish_reasons, -1.0);
        }
        self.add_named(&event.route, event.seconds, |total, seconds| {
            total.take_back(seconds, 1.0);
        });
    }

    /// Does something with the durations of what has a name.
    fn add_named(
        &mut self,
        route: &Route,
        seconds: Option<f64>,
        mut add: impl FnMut(&mut Accumulator, f64),
    ) {
        let (Some(named), Some(seconds)) = (&mut self.named, seconds) else { return };
        for (index, series) in route.named.iter().flatten() {
            let table = named.tables.get_mut(*index);
            if let Some(total) = table.and_then(|table| table.get(*series)) {
                add(total, seconds);
            }
        }
    }

    pub(super) fn export(
        &mut self,
        batch: &mut Emission,
        envelope: &MetricEnvelope,
        delta: Option<u64>,
    ) {
        let export = Export { envelope, delta };
        for (index, (instrument, _)) in OF_OPERATIONS.iter().enumerate() {
            export.table(batch, instrument, &mut self.operations, |operations, point| {
                point(operations.values.get_mut(index), &[]);
            });
        }
        export.table(batch, &FINISH_REASONS, &mut self.operations, |operations, point| {
            for (pair, total) in operations.finish_reasons.by_pair() {
                point(Some(total), pair);
            }
        });
        let parts = LatencyPart::ALL.map(|part| attribute_of(&LATENCY, part.name()));
        export.table(batch, &LATENCY, &mut self.operations, |operations, point| {
            for (total, part) in operations.latency.iter_mut().flat_map(|it| &mut **it).zip(&parts)
            {
                point(Some(total), part);
            }
        });
        Calls::export(&mut self.calls, &export, batch);
        for (index, named) in NAMED.iter().enumerate() {
            let table = self.named.as_mut().and_then(|all| all.tables.get_mut(index));
            if let Some(table) = table {
                export.table(batch, &named.instrument, table, |total, point| {
                    point(Some(total), &[]);
                });
            }
        }
    }

    pub(super) fn expire(&mut self, now: Tick, idle: Duration) -> usize {
        let named = self.named.iter_mut().flat_map(|named| &mut named.tables);
        let named: usize = named.map(|table| table.expire(now, idle)).sum();
        self.operations.expire(now, idle) + self.calls.expire(now, idle) + named
    }

    pub(super) fn is_empty(&self) -> bool {
        let mut named = self.named.iter().flat_map(|named| &named.tables);
        self.operations.is_empty() && self.calls.is_empty() && named.all(SeriesTable::is_empty)
    }
}

impl Measured {
    /// Notes what finding a series did, and gives its handle.
    pub(super) fn note(&mut self, found: Option<FoundSeries>) -> Option<SeriesHandle> {
        let Some(found) = found else {
            self.overflow = 1;
            return None;
        };
        self.made += u64::from(found.new);
        self.overflow |= u64::from(found.overflow);
        Some(found.handle)
    }
}

/// The tokens of an item's call, and where they are to be counted.
pub(super) fn tokens_of(
    (group, group_id): (usize, u64),
    series: Option<SeriesHandle>,
    measured: &MeasuredSpan<'_, '_>,
) -> Option<TokenCounts> {
    let (series, tokens) = (series?, measured.fields.tokens()?);
    Some(TokenCounts { group, group_id, series, tokens, weight: measured.weight })
}
