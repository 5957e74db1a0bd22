//! Selection: which items of a chunk an endpoint gets, and what of them.

pub(super) mod attribute_limit;
pub(super) mod attributes;
pub(super) mod content;
pub(super) mod encode;
pub(super) mod randomness;
pub(super) mod temporality;

use std::sync::Arc;

use crate::codec::records::{Event, Patch, Telemetry};
use crate::condition::{Condition, ConditionError, ConditionRecord, ConditionSubject};
use crate::export::selection::attributes::AttributeRules;
use crate::export::selection::content::ContentPolicy;
use crate::export::settings::{EndpointSettings, OnError, TemporalitySettings};
use crate::genai::BackendDialect;
use crate::model::Signal;
use crate::sampling::{Mark, Probability, Threshold, marked_body};

/// How an endpoint looks at the items of a chunk.
#[derive(Debug, Clone)]
pub(in crate::export) struct Selection {
    condition: Option<Arc<Condition>>,
    on_error: OnError,
    pub(in crate::export) content: ContentPolicy,
    pub(in crate::export) dialect: Option<BackendDialect>,
    pub(in crate::export) maps_server_metrics: bool,
    pub(in crate::export) temporality: Option<TemporalitySettings>,
    pub(in crate::export) max_attribute_values: Option<usize>,
    sampling: Option<Rate>,
    signals: Vec<Signal>,
    pub(in crate::export) attributes: Option<Arc<AttributeRules>>,
    pub(in crate::export) selective: bool,
    pub(in crate::export) max_request_size: usize,
    pub(in crate::export) max_request_items: usize,
}

/// Which part of the traces an endpoint gets.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Rate {
    /// None of them: no threshold expresses that.
    Nothing,
    /// Those with a randomness at or above the threshold.
    From(Threshold),
}

/// What happens to an item.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::export) enum ItemDecision {
    Send,
    Filter,
    /// The condition had no answer, for this reason; whether the item is sent.
    Undecided(bool, ConditionError),
}

impl Selection {
    /// The selection that the endpoint's settings ask for.
    pub(in crate::export) fn of(endpoint: &EndpointSettings) -> Self {
        Self {
            condition: endpoint.condition.clone(),
            on_error: endpoint.on_error,
            content: ContentPolicy {
                content: endpoint.content,
                unlisted: endpoint.content_unlisted,
            },
            dialect: endpoint.dialect,
            maps_server_metrics: endpoint.maps_server_metrics,
            temporality: endpoint.temporality,
            max_attribute_values: endpoint.max_attribute_values,
            sampling: endpoint.sampling_percentage.map(|percentage| {
                Threshold::from_percentage(percentage).map_or(Rate::Nothing, Rate::From)
            }),
            signals: endpoint.signals.clone(),
            attributes: endpoint.attributes.clone(),
            selective: endpoint.is_selective(),
            max_request_size: endpoint.max_request_size,
            max_request_items: endpoint.max_request_items,
        }
    }

    /// Whether items of this signal are selected at all.
    pub(in crate::export) fn wants(&self, signal: Signal) -> bool {
        self.signals.contains(&signal)
    }

    /// Whether two endpoints get the very same requests. What is selective is compared no further;
    /// signals are sorted out request by request.
    pub(in crate::export) fn shares_with(&self, other: &Self) -> bool {
        let plain = |view: &Self| {
            !view.selective
                && view.attributes.is_none()
                && !view.maps_server_metrics
                && view.temporality.is_none()
                && view.max_attribute_values.is_none()
        };
        let limits = |view: &Self| (view.max_request_size, view.max_request_items);
        plain(self) && plain(other) && limits(self) == limits(other)
    }

    /// Whether an item is for this endpoint.
    pub(in crate::export) fn decide(
        &self,
        event: &Event<'_>,
        telemetry: Option<&Telemetry<'_>>,
        tag: &[u8],
    ) -> ItemDecision {
        let signal = telemetry.and_then(|telemetry| telemetry.signal).unwrap_or(Signal::Logs);
        if !self.wants(signal) || !self.samples(signal, event, telemetry) {
            return ItemDecision::Filter;
        }
        let Some(condition) = &self.condition else { return ItemDecision::Send };
        let record = ConditionRecord::new(*event, telemetry.copied(), tag);
        match condition.evaluate(&ConditionSubject::One(&record)) {
            Ok(true) => ItemDecision::Send,
            Ok(false) => ItemDecision::Filter,
            Err(error) => ItemDecision::Undecided(self.on_error == OnError::Keep, error),
        }
    }

    /// The consistent probability rule of the OpenTelemetry specification, "TraceState: Probability
    /// Sampling": keep what has a randomness at or above the threshold. What belongs to no trace is
    /// kept.
    fn samples(
        &self,
        signal: Signal,
        event: &Event<'_>,
        telemetry: Option<&Telemetry<'_>>,
    ) -> bool {
        let Some(rate) = self.sampling else { return true };
        let Some(randomness) = randomness::randomness(signal, event, telemetry) else {
            return true;
        };
        match rate {
            Rate::Nothing => false,
            Rate::From(threshold) => threshold.keeps(randomness),
        }
    }

    /// The body of a span that says in its trace state with which probability it came here; `None`
    /// if nothing is to be said.
    pub(in crate::export) fn marked(
        &self,
        signal: Signal,
        event: &Event<'_>,
        patch: &mut Patch,
    ) -> Option<Vec<u8>> {
        let Some(Rate::From(threshold)) = self.sampling else { return None };
        if signal != Signal::Traces {
            return None;
        }
        let mut body = Vec::with_capacity(event.body.len().saturating_add(32));
        let probability = Probability::AtLeast(threshold);
        let mark = Mark { probability, ..Mark::NONE };
        marked_body(event.body, mark, patch, &mut body);
        Some(body)
    }
}
