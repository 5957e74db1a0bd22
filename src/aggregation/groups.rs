//! The groups: the metrics of each tag and resource.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::attribute::Attribute;
use super::calls_series::Calls;
use super::config::{HistogramForm, MetricsConfig};
use super::group::{CountedEvent, Group, Measured, tokens_of};
use super::histogram::Exemplar;
use super::measured::MeasuredSpan;
use super::routes::Routes;
use super::series_key::{OF_CALLS, SeriesKeys};
use super::usage::TokenCounts;
use super::write::MetricEnvelope;
use crate::clock::Tick;
use crate::codec::records::metric_writer::Temporality;
use crate::model::{Emission, Position};

/// All groups.
#[derive(Debug)]
pub(super) struct Groups {
    indices: HashMap<Vec<u8>, usize, RandomState>,
    slots: Vec<Option<Group>>,
    free: Vec<usize>,
    next_id: u64,
    routes: Routes,
    key: Vec<u8>,
    keys: SeriesKeys,
    tag: Option<Vec<u8>>,
    position: Position,
    temporality: Temporality,
    exponential: bool,
    max_series: usize,
    max_resources: usize,
}

impl Groups {
    pub(super) fn new(config: &MetricsConfig) -> Self {
        Self {
            indices: HashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            next_id: 0,
            routes: Routes::default(),
            key: Vec::new(),
            keys: SeriesKeys::new(&config.dimensions),
            tag: config.tag.clone(),
            position: config.position,
            temporality: config.temporality,
            exponential: config.histogram == HistogramForm::Exponential,
            max_series: config.max_series,
            max_resources: config.max_resources,
        }
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
        let tag = self.tag.as_deref().unwrap_or(tag);
        let group = Group::new(self.next_id, tag, resource, self.max_series);
        self.next_id += 1;
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len().saturating_sub(1)
        });
        *self.slots.get_mut(index)? = Some(group);
        self.indices.insert(key, index);
        Some(index)
    }

    /// Measures a span, or an event that stands in none. Tokens are not counted yet.
    pub(super) fn measure(
        &mut self,
        index: usize,
        measured: &MeasuredSpan<'_, '_>,
        at: (Tick, u64),
    ) -> Measured {
        let exponential = self.exponential;
        let Some(group) = self.slots.get_mut(index).and_then(Option::as_mut) else {
            return Measured { overflow: 1, ..Measured::default() };
        };
        let key = self.routes.key(group.id, measured);
        let known = self.routes.get(key).filter(|route| {
            let has_call = route.call.is_some()
                || !route.calls_model
                || !measured.fields.has_any(Calls::ATTRIBUTES);
            has_call && group.refresh(route, at.0)
        });
        let mut found = match known {
            Some(route) => Measured { route, ..Measured::default() },
            None => {
                let found = group.find((&self.keys, &mut self.key), measured, exponential, at);
                if found.overflow == 0 {
                    self.routes.put(key, found.route);
                }
                found
            }
        };
        group.add(&found.route, measured, exponential);
        found.calls_model = found.route.calls_model;
        if found.calls_model {
            found.tokens = tokens_of((index, group.id), found.route.call, measured);
        }
        found
    }

    /// The tokens of an event that stands in a span, which tells of all else.
    pub(super) fn measure_tokens(
        &mut self,
        index: usize,
        measured: &MeasuredSpan<'_, '_>,
        at: (Tick, u64),
    ) -> Measured {
        let mut found = Measured::default();
        let group = self.slots.get_mut(index).and_then(Option::as_mut);
        let Some(group) = group.filter(|_| measured.fields.calls_model()) else { return found };
        let exponential = self.exponential;
        let pairs = self.keys.write(&mut self.key, measured, OF_CALLS.iter().copied());
        let series = group.calls.find(&self.key, pairs, at, || Calls::new(exponential));
        let series = found.note(series);
        found.tokens = tokens_of((index, group.id), series, measured);
        found
    }

    /// What is to be remembered of an event that was measured, so that it can be taken back.
    pub(super) fn counted_event(
        &self,
        index: usize,
        found: &Measured,
        measured: &MeasuredSpan<'_, '_>,
    ) -> Option<CountedEvent> {
        let group = self.slots.get(index)?.as_ref()?;
        let finish_reasons = measured.fields.get(Attribute::FinishReasons).into();
        Some(CountedEvent {
            group: index,
            group_id: group.id,
            route: found.route,
            seconds: measured.seconds(),
            finish_reasons,
            tokens: found.tokens,
        })
    }

    /// Takes back what was counted of an event, except its tokens.
    pub(super) fn take_back_event(&mut self, event: &CountedEvent) {
        let group = self.slots.get_mut(event.group).and_then(Option::as_mut);
        let Some(group) = group.filter(|group| group.id == event.group_id) else { return };
        group.take_back(event);
    }

    fn calls_of(&mut self, tokens: &TokenCounts) -> Option<&mut Calls> {
        let group = self.slots.get_mut(tokens.group)?.as_mut()?;
        if group.id == tokens.group_id { group.calls.get(tokens.series) } else { None }
    }

    /// Counts the tokens of a call.
    pub(super) fn count(
        &mut self,
        tokens: &TokenCounts,
        exemplar: impl Fn(f64) -> Option<Exemplar>,
    ) {
        if let Some(calls) = self.calls_of(tokens) {
            calls.add_tokens(&tokens.tokens, tokens.weight, exemplar);
        }
    }

    /// Takes the tokens of a call back, unless their series is gone.
    pub(super) fn take_back(&mut self, tokens: &TokenCounts) {
        if let Some(calls) = self.calls_of(tokens) {
            calls.take_back_tokens(&tokens.tokens, tokens.weight);
        }
    }

    /// Appends the metrics of every group; deltas begin at `since`.
    pub(super) fn export(&mut self, batches: &mut Vec<Emission>, since: u64, unix_nanos: u64) {
        let delta = (self.temporality == Temporality::Delta).then_some(since);
        for group in self.slots.iter_mut().flatten() {
            let envelope =
                MetricEnvelope::new(&group.resource, self.position, self.temporality, unix_nanos);
            let mut batch = Emission { tag: group.tag.clone(), records: 0, events: Vec::new() };
            group.export(&mut batch, &envelope, delta);
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
            expired += group.expire(now, idle);
            let keep = !group.is_empty();
            if !keep {
                *slot = None;
                free.push(*index);
            }
            keep
        });
        u64::try_from(expired).unwrap_or(u64::MAX)
    }
}
