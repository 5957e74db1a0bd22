//! The metrics of one tag and resource each.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::config::{HistogramForm, MetricsConfig};
use super::cost::{CallCost, CostSource, PricedCall, Pricing, SeriesCost};
use super::fields::{self, SpanFields};
use super::histogram::Exemplar;
use super::instruments::{
    Accumulator, COST, COST_CALLS, Instrument, LATENCY, MeasuredSpan, OF_OPERATIONS, PointData,
    TOKEN_USAGE,
};
use super::number::{amount, whole};
use super::series::{SeriesHandle, SeriesTable};
use super::write::{MetricEnvelope, MetricWriter, PointContext};
use crate::clock::Tick;
use crate::codec::msgpack::str;
use crate::codec::records::metric_writer::Temporality;
use crate::model::{Emission, LatencyPart, Position};
use crate::pricing::{PriceTable, UsedTokens};

/// The attribute `gen_ai.token.type`, encoded.
const TYPE_INPUT: &[u8] = b"\xb1gen_ai.token.type\xa5input";
const TYPE_OUTPUT: &[u8] = b"\xb1gen_ai.token.type\xa6output";

/// What counting an operation did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct CountedOperation {
    /// Its series, unless that is the overflow series.
    series: Option<SeriesHandle>,
    /// How many series were made.
    pub(super) made: u64,
    /// How many spans went to the overflow series, or to none.
    pub(super) overflow: u64,
}

/// The tokens of one call, and where they are counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TokenCounts {
    group: usize,
    group_id: u64,
    handle: SeriesHandle,
    pub(super) input: Option<f64>,
    pub(super) output: Option<f64>,
    pub(super) weight: f64,
    /// `None` where costs are not asked for.
    pub(super) cost: Option<CallCost>,
    from: Option<Exemplar>,
}

#[derive(Debug)]
struct Operations {
    /// In the order of [`OF_OPERATIONS`].
    values: [Accumulator; OF_OPERATIONS.len()],
    /// In the order of [`LatencyPart::ALL`], if a span said any part.
    latency: Option<Box<[Accumulator; LatencyPart::ALL.len()]>>,
    /// The series of the tokens of the same calls.
    usage: Option<SeriesHandle>,
}

impl Operations {
    /// Adds the parts of the duration that a span says.
    fn add_latency(&mut self, measured: &MeasuredSpan<'_, '_>, exponential: bool) {
        if !measured.fields.is_split() {
            return;
        }
        let none = || Box::new(LatencyPart::ALL.map(|_| LATENCY.accumulator(exponential)));
        let totals = self.latency.get_or_insert_with(none);
        for (part, total) in LatencyPart::ALL.into_iter().zip(&mut **totals) {
            if let Some(seconds) = measured.fields.latency(part) {
                total.add(seconds, measured.weight, measured.exemplar(seconds));
            }
        }
    }
}

#[derive(Debug)]
struct Usage {
    input: Accumulator,
    output: Accumulator,
    /// Where costs are asked for.
    cost: Option<Box<SeriesCost>>,
}

#[derive(Debug)]
struct Group {
    id: u64,
    tag: Vec<u8>,
    resource: Vec<u8>,
    operations: SeriesTable<Operations>,
    usage: SeriesTable<Usage>,
}

/// All groups.
#[derive(Debug)]
pub(super) struct Groups {
    indices: HashMap<Vec<u8>, usize, RandomState>,
    slots: Vec<Option<Group>>,
    free: Vec<usize>,
    next_id: u64,
    key: Vec<u8>,
    keys: Keys,
    pricing: Pricing,
    tag: Option<Vec<u8>>,
    position: Position,
    temporality: Temporality,
    exponential: bool,
    max_series: usize,
    max_resources: usize,
}

/// The keys of the dimensions, encoded.
#[derive(Debug)]
struct Keys {
    operation: Vec<u8>,
    provider: Vec<u8>,
    request_model: Vec<u8>,
    response_model: Vec<u8>,
    address: Vec<u8>,
    port: Vec<u8>,
    error_type: Vec<u8>,
    further: Vec<Vec<u8>>,
}

impl Keys {
    fn new(further: &[String]) -> Self {
        let encode = |key: &str| {
            let mut out = Vec::new();
            str(&mut out, key);
            out
        };
        Self {
            operation: encode(fields::OPERATION),
            provider: encode(fields::PROVIDER),
            request_model: encode(fields::REQUEST_MODEL),
            response_model: encode(fields::RESPONSE_MODEL),
            address: encode(fields::ADDRESS),
            port: encode(fields::PORT),
            error_type: encode(fields::ERROR_TYPE),
            further: further.iter().map(|key| encode(key)).collect(),
        }
    }

    /// Writes the attributes of a span's series and gives their number.
    fn write(&self, out: &mut Vec<u8>, measured: &MeasuredSpan<'_, '_>, with_error: bool) -> u32 {
        let fields = measured.fields;
        let error = if with_error { fields.error(measured.span.status_code()) } else { &[] };
        let port = if fields.address.is_empty() { &[] } else { fields.port };
        let fixed: [(&[u8], &[u8]); 7] = [
            (&self.operation, fields.operation),
            (&self.provider, fields.provider_or_system()),
            (&self.request_model, fields.request_model),
            (&self.response_model, fields.response_model),
            (&self.address, fields.address),
            (&self.port, port),
            (&self.error_type, error),
        ];
        let further = self.further.iter().map(Vec::as_slice).zip(measured.further.iter().copied());
        let mut pairs = 0;
        out.clear();
        for (key, value) in fixed.into_iter().chain(further) {
            if !value.is_empty() {
                out.extend_from_slice(key);
                out.extend_from_slice(value);
                pairs += 1;
            }
        }
        pairs
    }
}

impl Groups {
    pub(super) fn new(config: &MetricsConfig) -> Self {
        Self {
            indices: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            next_id: 0,
            key: Vec::new(),
            keys: Keys::new(&config.dimensions),
            pricing: Pricing::new(config.prices.clone()),
            tag: config.tag.clone(),
            position: config.position,
            temporality: config.temporality,
            exponential: config.histogram == HistogramForm::Exponential,
            max_series: config.max_series,
            max_resources: config.max_resources,
        }
    }

    /// Takes other prices for the calls to come.
    pub(super) fn replace_prices(&mut self, prices: PriceTable) {
        self.pricing.replace(prices);
    }

    fn group_key(&self, tag: &[u8], resource: &[u8]) -> Vec<u8> {
        let tag = self.tag.as_deref().unwrap_or(tag);
        [&tag.len().to_le_bytes()[..], tag, resource].concat()
    }

    /// The group of a tag and resource, if it is there.
    pub(super) fn known(&self, tag: &[u8], resource: &[u8]) -> Option<usize> {
        self.indices.get(&self.group_key(tag, resource)).copied()
    }

    /// The group of a tag and resource, made if it is not there. When there are too many the
    /// resource is left out, and when that is not enough there is none.
    pub(super) fn find_or_add(&mut self, tag: &[u8], resource: &[u8]) -> Option<usize> {
        let full = self.indices.len() >= self.max_resources;
        let resource = if full { &[] } else { resource };
        let key = self.group_key(tag, resource);
        if let Some(index) = self.indices.get(&key) {
            return Some(*index);
        }
        if self.indices.len() >= self.max_resources.saturating_mul(2) {
            return None;
        }
        let tag = self.tag.as_deref().unwrap_or(tag).to_vec();
        let id = self.next_id;
        self.next_id += 1;
        let (operations, usage) =
            (SeriesTable::new(self.max_series), SeriesTable::new(self.max_series));
        let group = Group { id, tag, resource: resource.to_vec(), operations, usage };
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len().saturating_sub(1)
        });
        *self.slots.get_mut(index)? = Some(group);
        self.indices.insert(key, index);
        Some(index)
    }

    /// Counts an operation.
    pub(super) fn operation(
        &mut self,
        group: usize,
        measured: &MeasuredSpan<'_, '_>,
        at: (Tick, u64),
    ) -> CountedOperation {
        let exponential = self.exponential;
        let mut key = std::mem::take(&mut self.key);
        let pairs = self.keys.write(&mut key, measured, true);
        let slot = self.slots.get_mut(group).and_then(Option::as_mut);
        let make = || Operations {
            values: OF_OPERATIONS.each_ref().map(|(one, _)| one.accumulator(exponential)),
            latency: None,
            usage: None,
        };
        let found = slot.and_then(|group| group.operations.find(&key, pairs, at, make));
        self.key = key;
        let Some(found) = found else {
            return CountedOperation { overflow: 1, ..CountedOperation::default() };
        };
        let operations = &mut found.series.value;
        for ((_, value_of), total) in OF_OPERATIONS.iter().zip(&mut operations.values) {
            if let Some(value) = value_of(measured) {
                total.add(value, measured.weight, measured.exemplar(value));
            }
        }
        operations.add_latency(measured, exponential);
        let series = (!found.overflow).then_some(found.handle);
        CountedOperation { series, made: u64::from(found.new), overflow: u64::from(found.overflow) }
    }

    /// The series in which the tokens of a counted operation are counted, and the number of series
    /// made.
    pub(super) fn tokens(
        &mut self,
        group: usize,
        operation: CountedOperation,
        measured: &MeasuredSpan<'_, '_>,
        (input, output): (Option<f64>, Option<f64>),
        at: (Tick, u64),
    ) -> Option<(TokenCounts, u64)> {
        let exponential = self.exponential;
        let slot = self.slots.get_mut(group).and_then(Option::as_mut)?;
        let operations = operation.series.and_then(|series| slot.operations.get(series));
        let known = operations.as_ref().and_then(|operations| operations.usage);
        let (mut made, mut overflow) = (0, false);
        let handle = match known.filter(|handle| slot.usage.refresh(*handle, at.0)) {
            Some(handle) => handle,
            None => {
                let pairs = self.keys.write(&mut self.key, measured, false);
                let total = || TOKEN_USAGE.accumulator(exponential);
                let make = || Usage { input: total(), output: total(), cost: None };
                let found = slot.usage.find(&self.key, pairs, at, make)?;
                (made, overflow) = (u64::from(found.new), found.overflow);
                if let Some(operations) = operations.filter(|_| !overflow) {
                    operations.usage = Some(found.handle);
                }
                found.handle
            }
        };
        let (group_id, weight) = (slot.id, measured.weight);
        let from = measured.exemplar(0.0);
        let cost = self.pricing.prices().map(|prices| {
            // An overflow series has calls to any model.
            let usage = if overflow { None } else { slot.usage.get(handle) };
            let series = usage.map(|usage| &mut **usage.cost.get_or_insert_default());
            prices.cost(&priced(measured.fields, (input, output)), series)
        });
        Some((TokenCounts { group, group_id, handle, input, output, weight, cost, from }, made))
    }

    fn usage(&mut self, tokens: &TokenCounts) -> Option<&mut Usage> {
        let group = self.slots.get_mut(tokens.group)?.as_mut()?;
        if group.id == tokens.group_id { group.usage.get(tokens.handle) } else { None }
    }

    /// Counts the tokens of a call.
    pub(super) fn count(&mut self, tokens: &TokenCounts) {
        let Some(usage) = self.usage(tokens) else { return };
        let from = |value| tokens.from.map(|from| Exemplar { value, ..from });
        if let Some(input) = tokens.input {
            usage.input.add(input, tokens.weight, from(input));
        }
        if let Some(output) = tokens.output {
            usage.output.add(output, tokens.weight, from(output));
        }
        if let Some(cost) = tokens.cost {
            usage.cost.get_or_insert_default().add(cost, tokens.weight);
        }
    }

    /// Takes the tokens of a call back, unless their series is gone.
    pub(super) fn take_back(&mut self, tokens: &TokenCounts) {
        let Some(usage) = self.usage(tokens) else { return };
        if let Some(input) = tokens.input {
            usage.input.take_back(input, tokens.weight);
        }
        if let Some(output) = tokens.output {
            usage.output.take_back(output, tokens.weight);
        }
        if let Some(cost) = tokens.cost {
            usage.cost.get_or_insert_default().take_back(cost, tokens.weight);
        }
    }

    /// Appends the metrics of every group; deltas begin at `since`.
    pub(super) fn export(&mut self, batches: &mut Vec<Emission>, since: u64, unix_nanos: u64) {
        let delta = (self.temporality == Temporality::Delta).then_some(since);
        for group in self.slots.iter_mut().flatten() {
            let envelope =
                MetricEnvelope::new(&group.resource, self.position, self.temporality, unix_nanos);
            let mut batch = Emission { tag: group.tag.clone(), records: 0, events: Vec::new() };
            export_operations(&mut group.operations, &mut batch, &envelope, delta);
            export_latency(&mut group.operations, &mut batch, &envelope, delta);
            export_usage(&mut group.usage, &mut batch, &envelope, delta);
            let out = (&mut batch, &envelope);
            export_cost(&mut group.usage, out, delta, &COST, |cost, cumulative| {
                cost.amounts(cumulative).map(|usd| usd.map(PointData::Double))
            });
            let out = (&mut batch, &envelope);
            export_cost(&mut group.usage, out, delta, &COST_CALLS, |cost, cumulative| {
                cost.calls(cumulative).map(|calls| calls.map(PointData::Number))
            });
            if batch.records > 0 {
                batches.push(batch);
            }
        }
    }

    /// Forgets idle series and empty groups, and says how many series that were.
    pub(super) fn expire(&mut self, now: Tick, idle: Duration) -> u64 {
        let mut expired = 0;
        let (slots, free) = (&mut self.slots, &mut self.free);
        self.indices.retain(|_, index| {
            let Some(slot) = slots.get_mut(*index) else { return false };
            let Some(group) = slot else { return false };
            expired += group.operations.expire(now, idle) + group.usage.expire(now, idle);
            let keep = !group.operations.is_empty() || !group.usage.is_empty();
            if !keep {
                *slot = None;
                free.push(*index);
            }
            keep
        });
        u64::try_from(expired).unwrap_or(u64::MAX)
    }
}

/// What a span says of its call's cost.
fn priced<'a>(
    fields: &'a SpanFields<'_>,
    (input, output): (Option<f64>, Option<f64>),
) -> PricedCall<'a> {
    let count = |tokens: Option<f64>| tokens.map_or(0, whole);
    PricedCall {
        provider: fields.provider_or_system(),
        response_model: fields.response_model,
        request_model: fields.request_model,
        tier: fields.tier,
        cost: fields.cost,
        currency: fields.currency,
        used: UsedTokens {
            input: count(input),
            output: count(output),
            cache_read: count(amount(fields.cache_read)),
            cache_write: count(amount(fields.cache_write)),
            cache_write_1h: count(amount(fields.cache_write_1h)),
        },
    }
}

fn export_operations(
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

fn export_latency(
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

fn export_usage(
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

fn export_cost(
    table: &mut SeriesTable<Usage>,
    (batch, envelope): (&mut Emission, &MetricEnvelope),
    delta: Option<u64>,
    instrument: &'static Instrument,
    data_of: fn(&mut SeriesCost, bool) -> [Option<PointData>; 3],
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
