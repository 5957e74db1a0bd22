//! The form that the metrics of a selection have: how many values their attributes, and which temporality.

use crate::export::counters::LossReason;
use crate::export::delivery::destination::Destination;
use crate::export::selection::Selection;
use crate::export::selection::attribute_limit::EndpointAttributeLimit;
use crate::export::selection::encode::Lane;
use crate::export::selection::temporality::EndpointTemporality;
use crate::routing::ChunkId;
use crate::stats::{Log, LogLevel, LogText};

/// What is done to the metrics of a selection, which no destinations share then.
pub(in crate::export) struct MetricForm {
    temporality: Option<EndpointTemporality>,
    attribute_limit: Option<EndpointAttributeLimit>,
}

impl MetricForm {
    /// That of a selection in a run that began at `since`, in Unix nanoseconds.
    pub(in crate::export) fn of(selection: &Selection, since: u64) -> Self {
        let temporality = |settings| EndpointTemporality::new(settings, since);
        Self {
            temporality: selection.temporality.map(temporality),
            attribute_limit: selection.max_attribute_values.map(EndpointAttributeLimit::new),
        }
    }

    /// Gives the metrics of a chunk their form, and counts at the destinations what has no place in their temporality.
    pub(in crate::export) fn apply<'d, D: Iterator<Item = &'d Destination>>(
        &self,
        chunk: ChunkId,
        lane: &mut Lane,
        destinations: impl Fn() -> D,
        log: &Log,
    ) {
        if let Some(limit) = &self.attribute_limit {
            let exceeded = limit.apply(lane);
            for destination in destinations() {
                exceeded.iter().for_each(|exceeded| warn(destination, exceeded, log));
            }
        }
        if let Some(temporality) = &self.temporality {
            let unsent = temporality.apply(chunk, lane);
            for destination in destinations() {
                let meters = destination.meters();
                meters.dropped(LossReason::FirstPoint, unsent.first);
                meters.dropped(LossReason::LatePoint, unsent.late);
                meters.dropped(LossReason::ForgottenPoint, unsent.forgotten);
            }
        }
    }

    /// A chunk is done with.
    pub(in crate::export) fn forget(&self, chunk: ChunkId) {
        if let Some(temporality) = &self.temporality {
            temporality.forget(chunk);
        }
    }
}

fn warn(destination: &Destination, (metric, attribute): &(String, String), log: &Log) {
    log.often(LogLevel::Warn, "max_attribute_values", || {
        let name = destination.name();
        let own = format!(
            "endpoint '{name}' gets no more values of an attribute of a metric, others are '_OTHER' from now on \
             ('max_attribute_values'): "
        );
        LogText::quoting(own, format!("'{attribute}' of '{metric}'"))
    });
}
