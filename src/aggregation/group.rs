//! The metrics of one tag and resource: what is added to which series.

use std::time::Duration;

use super::attribute::Attribute;
use super::budget::SeriesCost;
use super::calls_series::{CallTimes, Calls};
use super::export::Export;
use super::instruments::Accumulator;
use super::measured::MeasuredSpan;
use super::named::{NAMED, NamedSeries};
use super::nested_series::NestedUsage;
use super::operations::Operations;
use super::reported::ServiceKey;
use super::routes::Route;
use super::series::{SeriesHandle, SeriesTable};
use super::usage::{ModelIndex, TokenCounts};
use super::wanted::{TableOf, WantedSeries};
use crate::clock::Tick;
use crate::model::Emission;

/// What measuring an item did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Measured {
    /// The tokens of a model call, which count unless another item tells of it.
    pub(super) tokens: Option<TokenCounts>,
    /// Whether it is an operation that calls a model itself.
    pub(super) calls_model: bool,
    /// Where the table of models has it.
    pub(super) model: ModelIndex,
    /// Where it was counted.
    pub(super) group: usize,
    pub(super) route: Route,
    /// Whether there was no room for a series of its own.
    pub(super) is_overflow: bool,
    /// Whether that is so of its call, whose series has calls to any model then.
    pub(super) is_call_overflow: bool,
}

/// What was counted of a log event, which is taken back when a span tells of the same operation.
#[derive(Debug, Clone)]
pub(super) struct CountedEvent {
    pub(super) group: usize,
    pub(super) group_id: u64,
    pub(super) route: Route,
    pub(super) seconds: Option<f64>,
    /// The times that it said, if any, in the order of the metrics.
    pub(super) times: Option<Box<CallTimes>>,
    pub(super) finish_reasons: Box<[u8]>,
    pub(super) tokens: Option<TokenCounts>,
    pub(super) model: ModelIndex,
    pub(super) has_failed: bool,
    pub(super) calls_model: bool,
    /// Whose budgets it is of.
    pub(super) spender: u64,
    /// When it ended.
    pub(super) unix_nanos: u64,
}

/// The metrics of one tag and resource.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: u64,
    pub(super) tag: Vec<u8>,
    pub(super) resource: Vec<u8>,
    /// Whose it is.
    pub(super) service: ServiceKey,
    /// The metrics that services may report themselves and that had something to say: a bit each.
    pub(super) measured: u32,
    operations: SeriesTable<Operations>,
    pub(super) calls: SeriesTable<Calls>,
    named: Option<Box<NamedSeries>>,
    /// Operations that say other tokens than the calls within them, where there are any.
    pub(super) nested: Option<Box<SeriesTable<NestedUsage>>>,
    pub(super) used: Tick,
    /// Something was added since the last export, which would be lost with the group.
    pub(super) is_unexported: bool,
}

impl Group {
    pub(super) fn new(id: u64, tag: &[u8], resource: &[u8]) -> Self {
        let (operations, calls) = (SeriesTable::default(), SeriesTable::default());
        let service = ServiceKey::of(resource);
        let (tag, resource) = (tag.to_vec(), resource.to_vec());
        let (used, is_unexported) = (Tick(0), true);
        Self {
            id,
            tag,
            resource,
            service,
            measured: 0,
            operations,
            calls,
            named: None,
            nested: None,
            used,
            is_unexported,
        }
    }

    /// What a group takes beside its series; the resource is in its key, too.
    pub(super) const fn resource_cost(resource: &[u8]) -> SeriesCost {
        SeriesCost::of_bytes(resource.len().saturating_mul(2).saturating_add(size_of::<Self>()))
    }

    /// What it takes beside its series.
    fn own_cost(&self) -> SeriesCost {
        let mut cost = Self::resource_cost(&self.resource);
        if self.named.is_some() {
            cost.add(SeriesCost::of_bytes(size_of::<NamedSeries>()));
        }
        cost
    }

    /// What all of it takes.
    pub(super) fn cost(&self) -> SeriesCost {
        let mut cost = self.own_cost();
        cost.add(self.operations.cost());
        cost.add(self.calls.cost());
        let named = self.named.iter().flat_map(|named| &named.tables);
        named.for_each(|table| cost.add(table.cost()));
        self.nested.iter().for_each(|table| cost.add(table.cost()));
        cost
    }

    /// The series of a table with these attributes, if it is there.
    pub(super) fn find(&self, table: TableOf, key: &[u8]) -> Option<SeriesHandle> {
        match table {
            TableOf::Operations => self.operations.find(key),
            TableOf::Calls => self.calls.find(key),
            TableOf::Named(index) => self.named.as_ref()?.tables.get(index)?.find(key),
        }
    }

    /// What a further series with these attributes takes.
    pub(super) fn cost_of(&self, wanted: &WantedSeries, key: &[u8]) -> SeriesCost {
        let mut cost = match wanted.table {
            TableOf::Operations => SeriesTable::<Operations>::attributes_cost(key),
            TableOf::Calls => SeriesTable::<Calls>::attributes_cost(key),
            TableOf::Named(_) => {
                let mut cost = SeriesTable::<Accumulator>::attributes_cost(key);
                if self.named.is_none() {
                    cost.add(SeriesCost::of_bytes(size_of::<NamedSeries>()));
                }
                cost
            }
        };
        cost.add(SeriesCost { series: wanted.most, bytes: 0 });
        cost
    }

    /// The series of a table with these attributes, made if it is not there, used now; and what making it
    /// took.
    pub(super) fn find_or_add(
        &mut self,
        table: TableOf,
        (key, pairs): (&[u8], u32),
        exponential: bool,
        at: (Tick, u64),
    ) -> Option<(SeriesHandle, SeriesCost)> {
        let (handle, cost) = match table {
            TableOf::Operations => {
                self.operations.find_or_add(key, pairs, at, || Operations::new(exponential))
            }
            TableOf::Calls => self.calls.find_or_add(key, pairs, at, || Calls::new(exponential)),
            TableOf::Named(index) => {
                let instrument = &NAMED.get(index)?.instrument;
                let is_first = self.named.is_none();
                let table = self.named.get_or_insert_default().tables.get_mut(index)?;
                let make = || instrument.accumulator(exponential);
                let (handle, mut cost) = table.find_or_add(key, pairs, at, make);
                if is_first {
                    cost.add(SeriesCost::of_bytes(size_of::<NamedSeries>()));
                }
                (handle, cost)
            }
        };
        self.touch(table, handle, at.0).then_some((handle, cost))
    }

    /// Notes that a series is used, and says whether it is still there.
    #[inline]
    fn touch(&mut self, table: TableOf, series: SeriesHandle, now: Tick) -> bool {
        match table {
            TableOf::Operations => self.operations.touch(series, now).is_some(),
            TableOf::Calls => self.calls.touch(series, now).is_some(),
            TableOf::Named(index) => {
                let table = self.named.as_mut().and_then(|named| named.tables.get_mut(index));
                table.is_some_and(|table| table.touch(series, now).is_some())
            }
        }
    }

    /// Whether all series of a route are there still; notes that they are used.
    #[inline]
    pub(super) fn refresh(&mut self, route: &Route, now: Tick) -> bool {
        let operation = route.operation;
        operation.is_none_or(|series| self.touch(TableOf::Operations, series, now))
            && route.call.is_none_or(|series| self.touch(TableOf::Calls, series, now))
            && (route.named.iter().flatten())
                .all(|(index, series)| self.touch(TableOf::Named(*index), *series, now))
    }

    /// Adds an item, except its tokens, and says how many series that began.
    pub(super) fn add(
        &mut self,
        route: &Route,
        measured: &MeasuredSpan<'_, '_>,
        exponential: bool,
    ) -> usize {
        let mut begun = 0;
        let operations = route.operation.and_then(|series| self.operations.get(series));
        if let Some(operations) = operations {
            begun += operations.add(measured, exponential);
        }
        if measured.fields.has_any(Attribute::TIMES)
            && let Some(calls) = route.call.and_then(|series| self.calls.get(series))
        {
            begun += calls.add_times(measured);
        }
        self.add_named(route, measured.seconds(), |total, seconds| {
            begun += total.add(seconds, measured.weight, || measured.exemplar(seconds));
        });
        begun
    }

    /// Takes back what was counted of an event, except its tokens, and says how many series that began.
    pub(super) fn take_back(&mut self, event: &CountedEvent) -> usize {
        self.is_unexported = true;
        self.add_named(&event.route, event.seconds, |total, seconds| {
            total.take_back(seconds, 1.0);
        });
        let calls = event.route.call.and_then(|series| self.calls.get(series));
        if let Some((calls, times)) = calls.zip(event.times.as_ref()) {
            calls.take_back_times(times);
        }
        let operations = event.route.operation.and_then(|series| self.operations.get(series));
        operations
            .map_or(0, |operations| operations.take_back(event.seconds, &event.finish_reasons))
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

    pub(super) fn export(&mut self, batch: &mut Emission, mut export: Export<'_>) {
        self.is_unexported = false;
        Operations::export(&mut self.operations, &mut export, batch);
        Calls::export(&mut self.calls, &mut export, batch);
        for (index, named) in NAMED.iter().enumerate() {
            let table = self.named.as_mut().and_then(|all| all.tables.get_mut(index));
            if let Some(table) = table {
                export.table(batch, &named.instrument, table, |total, point| {
                    point(Some(total), &[]);
                });
            }
        }
        let delta = export.delta();
        if let Some(nested) = &mut self.nested {
            NestedUsage::export(nested, &mut export, batch);
        }
        self.measured |= export.reports.finish(batch, export.envelope, delta);
    }

    /// Forgets idle series, and says what they took, with all the rest if none is left.
    pub(super) fn expire(&mut self, now: Tick, idle: Duration) -> SeriesCost {
        let mut gone = self.operations.expire(now, idle);
        gone.add(self.calls.expire(now, idle));
        let named = self.named.iter_mut().flat_map(|named| &mut named.tables);
        named.for_each(|table| gone.add(table.expire(now, idle)));
        self.nested.iter_mut().for_each(|table| gone.add(table.expire(now, idle)));
        if self.is_empty() {
            gone.add(self.own_cost());
        }
        gone
    }

    pub(super) fn is_empty(&self) -> bool {
        let mut named = self.named.iter().flat_map(|named| &named.tables);
        let nested = self.nested.iter().all(|table| table.is_empty());
        nested
            && self.operations.is_empty()
            && self.calls.is_empty()
            && named.all(SeriesTable::is_empty)
    }
}
