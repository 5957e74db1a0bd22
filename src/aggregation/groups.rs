//! The metrics of one tag and resource each.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::budget::{SeriesBudget, SeriesCost};
use super::config::{HistogramForm, MetricsConfig};
use super::cost::{CallCost, PricedCall, Pricing};
use super::fields::{self, SpanFields};
use super::histogram::Exemplar;
use super::instruments::{COST, COST_CALLS, MeasuredSpan, OF_OPERATIONS, PointData, TOKEN_USAGE};
use super::measured_series::{
    Operations, Usage, add, export_cost, export_latency, export_operations, export_usage,
};
use super::number::{amount, whole};
use super::series::{OVERFLOW, SeriesHandle, SeriesTable};
use super::write::MetricEnvelope;
use crate::clock::Tick;
use crate::codec::msgpack::str;
use crate::codec::records::metric_writer::Temporality;
use crate::model::{Emission, Position};
use crate::pricing::{PriceTable, UsedTokens};

/// How many series a new set of attributes may begin at once: those of its operation and its tokens,
/// and what they cost with the number of calls.
const HEADROOM: usize = OF_OPERATIONS.len() + 2;
const COST_HEADROOM: usize = 2;

/// Where an operation was counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct CountedOperation {
    group: usize,
    series: SeriesHandle,
    /// Whether its series stands in for one that there was no room for.
    pub(super) is_overflow: bool,
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
struct Group {
    id: u64,
    tag: Vec<u8>,
    resource: Vec<u8>,
    operations: SeriesTable<Operations>,
    usage: SeriesTable<Usage>,
    used: Tick,
    /// Something was added since the last export, which would be lost with the group.
    is_unexported: bool,
}

impl Group {
    /// What a group takes beside its series; the resource is in its key, too.
    const fn resource_cost(resource: &[u8]) -> SeriesCost {
        SeriesCost::of_bytes(resource.len().saturating_mul(2).saturating_add(size_of::<Self>()))
    }

    fn cost(&self) -> SeriesCost {
        let mut cost = Self::resource_cost(&self.resource);
        cost.add(self.operations.cost());
        cost.add(self.usage.cost());
        cost
    }
}

/// A group that is not used, and when it was.
type IdleGroup = (Tick, usize, u64);

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
    is_whole: bool,
    budget: SeriesBudget,
    /// Groups that may go to make room, those that were used last first; `None` before they are needed.
    idle: Option<Vec<IdleGroup>>,
    /// The group of what has no room even in an overflow series of its resource.
    shared: Option<(usize, u64)>,
    evicted: u64,
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
        let of_cost = config.prices.as_ref().map_or(0, |_| COST_HEADROOM);
        let headroom = HEADROOM.saturating_add(of_cost);
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
            is_whole: config.is_whole,
            budget: SeriesBudget::new(config.max_series, headroom),
            idle: None,
            shared: None,
            evicted: 0,
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

    /// How many series there are.
    pub(super) const fn series(&self) -> usize {
        self.budget.series()
    }

    /// What attributes and resources take.
    #[cfg(test)]
    pub(super) const fn attribute_bytes(&self) -> usize {
        self.budget.bytes()
    }

    /// How many series went to make room for others.
    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The group of a tag and resource, made if it is not there. Where there is no room for it, that is the
    /// one for what has no room.
    pub(super) fn find_or_add(&mut self, tag: &[u8], resource: &[u8]) -> Option<usize> {
        if let Some(index) = self.known(tag, resource) {
            return Some(index);
        }
        let cost = Group::resource_cost(resource);
        if self.make_room(cost.bytes) || self.budget.has_overflow_room(cost.bytes) {
            return self.add(tag, resource);
        }
        self.shared_group(tag)
    }

    fn add(&mut self, tag: &[u8], resource: &[u8]) -> Option<usize> {
        let key = self.group_key(tag, resource);
        let tag = self.tag.as_deref().unwrap_or(tag).to_vec();
        let id = self.next_id;
        self.next_id += 1;
        let (operations, usage) = (SeriesTable::default(), SeriesTable::default());
        let (used, is_unexported) = (Tick(0), true);
        let resource = resource.to_vec();
        self.budget.take(Group::resource_cost(&resource));
        let group = Group { id, tag, resource, operations, usage, used, is_unexported };
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len().saturating_sub(1)
        });
        *self.slots.get_mut(index)? = Some(group);
        self.indices.insert(key, index);
        Some(index)
    }

    fn group(&mut self, index: usize) -> Option<&mut Group> {
        self.slots.get_mut(index)?.as_mut()
    }

    /// The group without resource that takes what has no room anywhere; its tag is the first that needed it.
    fn shared_group(&mut self, tag: &[u8]) -> Option<usize> {
        if let Some((index, id)) = self.shared
            && self.group(index).is_some_and(|group| group.id == id)
        {
            return Some(index);
        }
        let index = self.known(tag, &[]).or_else(|| self.add(tag, &[]))?;
        self.shared = Some((index, self.group(index)?.id));
        Some(index)
    }

    /// Whether there is room for a further set of attributes of so many bytes, if need be when groups went
    /// that nothing was added to since the last export, so that all they say was said.
    fn make_room(&mut self, bytes: usize) -> bool {
        while !self.budget.has_room(bytes) {
            if self.budget.is_too_large(bytes) {
                return false;
            }
            let slots = &self.slots;
            let idle = self.idle.get_or_insert_with(|| idle_groups(slots));
            let Some((_, index, id)) = idle.pop() else { return false };
            self.evict(index, id);
        }
        true
    }

    fn evict(&mut self, index: usize, id: u64) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let Some(group) = slot.take_if(|group| group.id == id && !group.is_unexported) else {
            return;
        };
        let cost = group.cost();
        self.budget.give_back(cost);
        self.evicted += u64::try_from(cost.series).unwrap_or(u64::MAX);
        self.indices.remove(&self.group_key(&group.tag, &group.resource));
        self.free.push(index);
    }

    /// Counts an operation.
    pub(super) fn operation(
        &mut self,
        group: usize,
        measured: &MeasuredSpan<'_, '_>,
        at: (Tick, u64),
    ) -> Option<CountedOperation> {
        let exponential = self.exponential;
        let mut key = std::mem::take(&mut self.key);
        let pairs = self.keys.write(&mut key, measured, true);
        let counted = self.place(group, (&key, pairs), at);
        self.key = key;
        let counted = counted?;
        let operations = self.group(counted.group)?.operations.touch(counted.series, at.0)?;
        let mut begun = 0;
        for ((_, value_of), total) in OF_OPERATIONS.iter().zip(&mut operations.values) {
            if let Some(value) = value_of(measured) {
                begun += add(total, value, measured.weight, measured.exemplar(value));
            }
        }
        begun += operations.add_latency(measured, exponential);
        self.budget.take(SeriesCost { series: begun, bytes: 0 });
        Some(counted)
    }

    /// The series of an operation with these attributes: its own, or where there is no room the overflow
    /// series of its group, or where there is none for that the one that all share.
    fn place(
        &mut self,
        mut group: usize,
        (key, pairs): (&[u8], u32),
        at: (Tick, u64),
    ) -> Option<CountedOperation> {
        let found = self.group(group)?;
        // From here on the group does not go.
        (found.used, found.is_unexported) = (at.0, true);
        if let Some(series) = found.operations.find(key) {
            return Some(CountedOperation { group, series, is_overflow: false });
        }
        let bytes = SeriesTable::<Operations>::attributes_cost(key).bytes.saturating_mul(2);
        let is_overflow = !self.make_room(bytes);
        let (key, pairs) = if is_overflow { (OVERFLOW, 1) } else { (key, pairs) };
        if is_overflow && self.group(group)?.operations.find(key).is_none() {
            let bytes = SeriesTable::<Operations>::attributes_cost(key).bytes.saturating_mul(2);
            if !self.budget.has_overflow_room(bytes) {
                let tag = self.group(group)?.tag.clone();
                group = self.shared_group(&tag)?;
            }
        }
        let exponential = self.exponential;
        let make = || Operations {
            values: OF_OPERATIONS.each_ref().map(|(one, _)| one.accumulator(exponential)),
            latency: None,
            usage: None,
        };
        let found = self.group(group)?;
        (found.used, found.is_unexported) = (at.0, true);
        let (series, new) = found.operations.find_or_add(key, pairs, at, make);
        self.budget.take(new);
        Some(CountedOperation { group, series, is_overflow })
    }

    /// The series in which the tokens of a counted operation are counted.
    pub(super) fn tokens(
        &mut self,
        operation: CountedOperation,
        measured: &MeasuredSpan<'_, '_>,
        (input, output): (Option<f64>, Option<f64>),
        at: (Tick, u64),
    ) -> Option<TokenCounts> {
        let exponential = self.exponential;
        let CountedOperation { group, series, is_overflow } = operation;
        let slot = self.slots.get_mut(group).and_then(Option::as_mut)?;
        let operations = slot.operations.touch(series, at.0)?;
        let known = operations.usage;
        let handle = match known.filter(|handle| slot.usage.touch(*handle, at.0).is_some()) {
            Some(handle) => handle,
            None => {
                let pairs = self.keys.write(&mut self.key, measured, false);
                let (key, pairs) = if is_overflow { (OVERFLOW, 1) } else { (&self.key[..], pairs) };
                let total = || TOKEN_USAGE.accumulator(exponential);
                let make = || Usage { input: total(), output: total(), cost: None };
                let (handle, new) = slot.usage.find_or_add(key, pairs, at, make);
                slot.usage.touch(handle, at.0);
                operations.usage = Some(handle);
                self.budget.take(new);
                handle
            }
        };
        let (group_id, weight) = (slot.id, measured.weight);
        let from = measured.exemplar(0.0);
        let cost = self.pricing.prices().map(|prices| {
            // An overflow series has calls to any model.
            let usage = if is_overflow { None } else { slot.usage.get(handle) };
            let series = usage.map(|usage| &mut **usage.cost.get_or_insert_default());
            prices.cost(&priced(measured.fields, (input, output)), series)
        });
        Some(TokenCounts { group, group_id, handle, input, output, weight, cost, from })
    }

    fn usage(&mut self, tokens: &TokenCounts) -> Option<&mut Usage> {
        let group = self.slots.get_mut(tokens.group)?.as_mut()?;
        if group.id != tokens.group_id {
            return None;
        }
        group.is_unexported = true;
        group.usage.get(tokens.handle)
    }

    /// Counts the tokens of a call.
    pub(super) fn count(&mut self, tokens: &TokenCounts) {
        let Some(usage) = self.usage(tokens) else { return };
        let from = |value| tokens.from.map(|from| Exemplar { value, ..from });
        let mut begun = 0;
        if let Some(input) = tokens.input {
            begun += add(&mut usage.input, input, tokens.weight, from(input));
        }
        if let Some(output) = tokens.output {
            begun += add(&mut usage.output, output, tokens.weight, from(output));
        }
        if let Some(cost) = tokens.cost {
            begun += usage.cost.get_or_insert_default().add(cost, tokens.weight);
        }
        self.budget.take(SeriesCost { series: begun, bytes: 0 });
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
        self.idle = None;
        let mut whole: Option<Emission> = None;
        for group in self.slots.iter_mut().flatten() {
            group.is_unexported = false;
            let envelope =
                MetricEnvelope::new(&group.resource, self.position, self.temporality, unix_nanos);
            let mut batch = match whole.take() {
                Some(whole) => whole,
                None => Emission { tag: group.tag.clone(), records: 0, events: Vec::new() },
            };
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
            if self.is_whole {
                whole = Some(batch);
            } else if batch.records > 0 {
                batches.push(batch);
            }
        }
        batches.extend(whole.filter(|whole| whole.records > 0));
    }

    /// Forgets idle series and empty groups.
    pub(super) fn expire(&mut self, now: Tick, idle: Duration) {
        let mut gone = SeriesCost::default();
        let (slots, free) = (&mut self.slots, &mut self.free);
        self.indices.retain(|_, index| {
            let Some(slot) = slots.get_mut(*index) else { return false };
            let Some(group) = slot else { return false };
            gone.add(group.operations.expire(now, idle));
            gone.add(group.usage.expire(now, idle));
            let keep = !group.operations.is_empty() || !group.usage.is_empty();
            if !keep {
                gone.add(Group::resource_cost(&group.resource));
                *slot = None;
                free.push(*index);
            }
            keep
        });
        self.budget.give_back(gone);
    }
}

/// The groups that nothing was added to since the last export, those that were used last first.
fn idle_groups(slots: &[Option<Group>]) -> Vec<IdleGroup> {
    let groups = slots.iter().enumerate().filter_map(|(index, slot)| Some((index, slot.as_ref()?)));
    let idle = groups.filter(|(_, group)| !group.is_unexported);
    let mut idle: Vec<IdleGroup> =
        idle.map(|(index, group)| (group.used, index, group.id)).collect();
    idle.sort_unstable_by(|left, right| right.cmp(left));
    idle
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
