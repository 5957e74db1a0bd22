//! The groups: the metrics of each tag and resource.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::attribute::Attribute;
use super::budget::{SeriesBudget, SeriesCost};
use super::calls_series::Calls;
use super::config::{HistogramForm, MetricsConfig};
use super::cost::Pricing;
use super::export::Export;
use super::export_mode::ExportMode;
use super::group::{CountedEvent, Group, Measured};
use super::histogram::Exemplar;
use super::measured::MeasuredSpan;
use super::models::has_failed;
use super::nested_series::OperationNames;
use super::reported::{ReportedServices, ServiceKey};
use super::routes::Routes;
use super::semconv::SemconvVersion;
use super::series::OVERFLOW;
use super::usage::{ModelIndex, OperationIndex, TokenCounts};
use super::wanted::{TableOf, WantedFinder, WantedSeries};
use super::write::MetricEnvelope;
use crate::clock::Tick;
use crate::model::{Emission, Position};
use crate::pricing::PriceTable;

/// A group that is not used, and when it was.
type IdleGroup = (Tick, usize, u64);

/// All groups.
#[derive(Debug)]
pub(super) struct Groups {
    indices: HashMap<Vec<u8>, usize, RandomState>,
    slots: Vec<Option<Group>>,
    free: Vec<usize>,
    next_id: u64,
    routes: Routes,
    wanted: WantedFinder,
    pricing: Pricing,
    tag: Option<Vec<u8>>,
    position: Position,
    semconv: SemconvVersion,
    exponential: bool,
    is_whole: bool,
    budget: SeriesBudget,
    /// Groups that may go to make room, those that were used last first; `None` before they are needed.
    idle: Option<Vec<IdleGroup>>,
    /// The group of what has no room even in an overflow series of its resource.
    shared: Option<(usize, u64)>,
    evicted: u64,
    pub(super) operation_names: OperationNames,
}

impl Groups {
    pub(super) fn new(config: &MetricsConfig) -> Self {
        Self {
            indices: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            next_id: 0,
            routes: Routes::default(),
            wanted: WantedFinder::new(config),
            pricing: Pricing::new(config.prices.clone()),
            tag: config.tag.clone(),
            position: config.position,
            semconv: config.semconv,
            exponential: config.histogram == HistogramForm::Exponential,
            is_whole: config.is_whole,
            budget: SeriesBudget::new(config.max_series),
            idle: None,
            shared: None,
            evicted: 0,
            operation_names: OperationNames::default(),
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

    /// What series and resources take by the budget, and what they take counted one by one.
    #[cfg(test)]
    pub(super) fn costs(&self) -> [SeriesCost; 2] {
        let mut counted = SeriesCost::default();
        self.slots.iter().flatten().for_each(|group| counted.add(group.cost()));
        [self.budget.taken(), counted]
    }

    /// How many series went to make room for others.
    pub(super) const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// The group of a tag and an item's resource, made if it is not there. Where there is no room for it, that
    /// is the one for what has no room.
    pub(super) fn find_or_add(
        &mut self,
        tag: &[u8],
        resource: &[u8],
        measured: &MeasuredSpan<'_, '_>,
    ) -> Option<usize> {
        if let Some(index) = self.known(tag, resource) {
            return Some(index);
        }
        let mut cost = Group::resource_cost(resource);
        cost.series = self.wanted.most(measured);
        if self.make_room(cost) || self.budget.has_overflow_room(cost) {
            return self.add(tag, resource);
        }
        self.shared_group(tag)
    }

    fn add(&mut self, tag: &[u8], resource: &[u8]) -> Option<usize> {
        let key = self.group_key(tag, resource);
        let tag = self.tag.as_deref().unwrap_or(tag);
        let group = Group::new(self.next_id, tag, resource);
        self.next_id += 1;
        self.budget.take(Group::resource_cost(resource));
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len().saturating_sub(1)
        });
        *self.slots.get_mut(index)? = Some(group);
        self.indices.insert(key, index);
        Some(index)
    }

    #[inline]
    pub(super) fn group(&mut self, index: usize) -> Option<&mut Group> {
        self.slots.get_mut(index)?.as_mut()
    }

    /// The group, if it is still the one with this id.
    pub(super) fn group_with_id(&mut self, index: usize, id: u64) -> Option<&mut Group> {
        self.group(index).filter(|group| group.id == id)
    }

    /// The group without resource that takes what has no room anywhere; its tag is the first that needed it.
    fn shared_group(&mut self, tag: &[u8]) -> Option<usize> {
        if let Some((index, id)) = self.shared
            && self.group_with_id(index, id).is_some()
        {
            return Some(index);
        }
        let index = self.known(tag, &[]).or_else(|| self.add(tag, &[]))?;
        self.shared = Some((index, self.group(index)?.id));
        Some(index)
    }

    /// Whether there is room for so much more, if need be when groups went that nothing was added to since
    /// the last export, so that all they say was said.
    fn make_room(&mut self, cost: SeriesCost) -> bool {
        while !self.budget.has_room(cost) {
            if self.budget.is_too_large(cost) {
                return false;
            }
            let slots = &self.slots;
            let idle = self.idle.get_or_insert_with(|| idle_groups(slots));
            let Some((_, index, id)) = idle.pop() else { return false };
            self.evict(index, id);
        }
        true
    }

    /// The same for what is not counted where there is no room.
    pub(super) fn has_room_for(&mut self, cost: SeriesCost) -> bool {
        self.make_room(cost)
    }

    /// Notes that so much more is taken.
    pub(super) fn take_room(&mut self, cost: SeriesCost) {
        self.budget.take(cost);
    }

    /// The index of an item's operation.
    pub(super) fn operation_index(&mut self, measured: &MeasuredSpan<'_, '_>) -> OperationIndex {
        self.operation_names.index(measured.fields.get(Attribute::Operation))
    }

    fn evict(&mut self, index: usize, id: u64) {
        let series = self.remove(index, id);
        self.evicted += u64::try_from(series).unwrap_or(u64::MAX);
    }

    /// Forgets a group, unless something was added to it since the last export, and says how many series it had.
    fn remove(&mut self, index: usize, id: u64) -> usize {
        let Some(slot) = self.slots.get_mut(index) else { return 0 };
        let Some(group) = slot.take_if(|group| group.id == id && !group.is_unexported) else {
            return 0;
        };
        let cost = group.cost();
        self.budget.give_back(cost);
        self.indices.remove(&self.group_key(&group.tag, &group.resource));
        self.free.push(index);
        cost.series
    }

    /// The metrics that services may report themselves and that were measured of one: a bit each.
    pub(super) fn measured_of(&self, service: ServiceKey) -> u32 {
        let groups = self.slots.iter().flatten().filter(|group| group.service == service);
        groups.fold(0, |all, group| all | group.measured)
    }

    /// Has the series of services begin anew.
    fn begin_anew(&mut self, services: &[ServiceKey]) {
        if services.is_empty() {
            return;
        }
        let slots = self.slots.iter().enumerate();
        let slots = slots.filter_map(|(index, slot)| Some((index, slot.as_ref()?)));
        let theirs: Vec<(usize, u64)> = slots
            .filter(|(_, group)| services.contains(&group.service))
            .map(|(index, group)| (index, group.id))
            .collect();
        for (index, id) in theirs {
            self.remove(index, id);
        }
    }

    /// Measures a span, or an event that stands in none. Tokens are not counted yet. `None` if the group is not
    /// there.
    pub(super) fn measure(
        &mut self,
        index: usize,
        measured: &MeasuredSpan<'_, '_>,
        at: (Tick, u64),
    ) -> Option<Measured> {
        let exponential = self.exponential;
        let group = self.slots.get_mut(index)?.as_mut()?;
        // From here on the group does not go.
        (group.used, group.is_unexported) = (at.0, true);
        let key = self.routes.key(group.id, measured);
        let known = self.routes.get(key).filter(|route| {
            let has_call = route.call.is_some()
                || !route.calls_model
                || !measured.fields.has_any(Calls::ATTRIBUTES);
            has_call && group.refresh(route, at.0)
        });
        let mut found = match known {
            Some(route) => Measured { group: index, route, ..Measured::default() },
            None => {
                let wanted = self.wanted.all(measured);
                let mut found = self.place(index, &wanted, at)?;
                found.route.calls_model = measured.fields.calls_model();
                if !found.is_overflow {
                    self.routes.put(key, found.route);
                }
                found
            }
        };
        let group = self.slots.get_mut(found.group)?.as_mut()?;
        let begun = group.add(&found.route, measured, exponential);
        self.budget.take(SeriesCost { series: begun, bytes: 0 });
        found.calls_model = found.route.calls_model;
        if found.calls_model {
            found.tokens = self.tokens_of(&found, measured);
        }
        Some(found)
    }

    /// The tokens of an event that stands in a span, which tells of all else.
    pub(super) fn measure_tokens(
        &mut self,
        index: usize,
        measured: &MeasuredSpan<'_, '_>,
        at: (Tick, u64),
    ) -> Option<Measured> {
        if !measured.fields.calls_model() {
            return None;
        }
        let group = self.group(index)?;
        (group.used, group.is_unexported) = (at.0, true);
        let wanted = [self.wanted.call(measured)];
        let mut found = self.place(index, &wanted, at)?;
        found.tokens = self.tokens_of(&found, measured);
        Some(found)
    }

    /// The series of an item: its own, or where there is no room those for overflow of its group, or where there
    /// is none for these either those that all groups share.
    #[cold]
    fn place(
        &mut self,
        mut index: usize,
        wanted: &[WantedSeries],
        at: (Tick, u64),
    ) -> Option<Measured> {
        let group = self.group(index)?;
        let mut missing = SeriesCost::default();
        for one in wanted.iter().filter(|one| group.find(one.table, &one.key).is_none()) {
            missing.add(group.cost_of(one, &one.key));
        }
        let has_room = missing == SeriesCost::default() || self.make_room(missing);
        let mut is_shared = false;
        if !has_room && !self.has_overflow_room(index, wanted)? {
            let tag = self.group(index)?.tag.clone();
            index = self.shared_group(&tag)?;
            is_shared = true;
        }
        let exponential = self.exponential;
        let group = self.slots.get_mut(index)?.as_mut()?;
        (group.used, group.is_unexported) = (at.0, true);
        let mut found = Measured { group: index, ..Measured::default() };
        for one in wanted {
            let is_own = has_room || (!is_shared && group.find(one.table, &one.key).is_some());
            let key = if is_own { (&one.key[..], one.pairs) } else { (OVERFLOW, 1) };
            let (series, new) = group.find_or_add(one.table, key, exponential, at)?;
            self.budget.take(new);
            found.is_overflow |= !is_own;
            found.is_call_overflow |= !is_own && one.table == TableOf::Calls;
            found.route.note(one.table, series);
        }
        Some(found)
    }

    /// Whether a group has room for the overflow series of what is not there.
    fn has_overflow_room(&self, index: usize, wanted: &[WantedSeries]) -> Option<bool> {
        let group = self.slots.get(index)?.as_ref()?;
        let mut missing = SeriesCost::default();
        for one in wanted.iter().filter(|one| group.find(one.table, &one.key).is_none()) {
            if group.find(one.table, OVERFLOW).is_none() {
                missing.add(group.cost_of(one, OVERFLOW));
            }
        }
        Some(missing == SeriesCost::default() || self.budget.has_overflow_room(missing))
    }

    /// The tokens of an item's call and what it cost, and where they are to be counted.
    fn tokens_of(
        &mut self,
        found: &Measured,
        measured: &MeasuredSpan<'_, '_>,
    ) -> Option<TokenCounts> {
        let (series, tokens) = (found.route.call?, measured.fields.tokens()?);
        let operation = self.operation_index(measured);
        let group = self.slots.get_mut(found.group)?.as_mut()?;
        let cost = self.pricing.prices().map(|prices| {
            let calls = if found.is_call_overflow { None } else { group.calls.get(series) };
            prices.cost(&measured.priced(&tokens), calls.map(Calls::costs))
        });
        let (group_id, weight, model) = (group.id, measured.weight, ModelIndex::default());
        let (group, series, spender) = (found.group, Some(series), measured.spender);
        Some(TokenCounts {
            group,
            group_id,
            series,
            tokens,
            model,
            operation,
            weight,
            spender,
            cost,
        })
    }

    /// What is to be remembered of an event that was measured, so that it can be taken back.
    pub(super) fn counted_event(
        &self,
        found: &Measured,
        measured: &MeasuredSpan<'_, '_>,
    ) -> Option<CountedEvent> {
        let group = self.slots.get(found.group)?.as_ref()?;
        let finish_reasons = measured.fields.get(Attribute::FinishReasons).into();
        Some(CountedEvent {
            group: found.group,
            group_id: group.id,
            route: found.route,
            seconds: measured.seconds(),
            times: Calls::times_of(measured),
            finish_reasons,
            tokens: found.tokens,
            model: found.model,
            has_failed: has_failed(measured),
            calls_model: found.calls_model,
            spender: measured.spender,
            unix_nanos: measured.to,
        })
    }

    /// Takes back what was counted of an event, except its tokens.
    pub(super) fn take_back_event(&mut self, event: &CountedEvent) {
        let Some(group) = self.group_with_id(event.group, event.group_id) else { return };
        let begun = group.take_back(event);
        self.budget.take(SeriesCost { series: begun, bytes: 0 });
    }

    #[inline]
    fn calls_of(&mut self, tokens: &TokenCounts) -> Option<&mut Calls> {
        let group = self.group_with_id(tokens.group, tokens.group_id)?;
        group.is_unexported = true;
        group.calls.get(tokens.series?)
    }

    /// Counts the tokens of a call and what it cost.
    pub(super) fn count(
        &mut self,
        tokens: &TokenCounts,
        exemplar: impl Fn(f64) -> Option<Exemplar>,
    ) {
        let Some(calls) = self.calls_of(tokens) else { return };
        let begun = calls.count(tokens, exemplar);
        self.budget.take(SeriesCost { series: begun, bytes: 0 });
    }

    /// Takes the tokens of a call back and what it cost, unless their series is gone.
    pub(super) fn take_back(&mut self, tokens: &TokenCounts) {
        if let Some(calls) = self.calls_of(tokens) {
            calls.take_back(tokens);
        }
    }

    /// Appends the metrics of every group; deltas begin at `since`.
    pub(super) fn export(
        &mut self,
        batches: &mut Vec<Emission>,
        reported: &mut ReportedServices,
        (mode, since): (ExportMode, u64),
        (now, unix_nanos): (Tick, u64),
    ) {
        reported.begin_export();
        self.idle = None;
        let mut whole: Option<Emission> = None;
        for group in self.slots.iter_mut().flatten() {
            let envelope =
                MetricEnvelope::new(&group.resource, self.position, mode.temporality(), unix_nanos);
            let mut batch = match whole.take() {
                Some(whole) => whole,
                None => Emission { tag: group.tag.clone(), records: 0, events: Vec::new() },
            };
            let reports = reported.of_service(group.service, (group.id, group.used), unix_nanos);
            let (envelope, semconv) = (&envelope, self.semconv);
            group.export(&mut batch, Export { envelope, mode, since, reports, semconv });
            if self.is_whole {
                whole = Some(batch);
            } else if batch.records > 0 {
                batches.push(batch);
            }
        }
        batches.extend(whole.filter(|whole| whole.records > 0));
        if mode != ExportMode::Page {
            self.begin_anew(&reported.lapse(now, unix_nanos));
        }
    }

    /// Forgets idle series and empty groups.
    pub(super) fn expire(&mut self, now: Tick, idle: Duration) {
        let mut gone = SeriesCost::default();
        let (slots, free) = (&mut self.slots, &mut self.free);
        self.indices.retain(|_, index| {
            let Some(slot) = slots.get_mut(*index) else { return false };
            let Some(group) = slot else { return false };
            gone.add(group.expire(now, idle));
            let keep = !group.is_empty();
            if !keep {
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
