//! Attribute limit of an endpoint: so many values for each attribute of a metric.

use std::sync::Arc;

use crate::export::request::EncodedRequest;
use crate::export::selection::encode::Lane;
use crate::metric_points::attribute_limit::AttributeLimiter;
use crate::model::Signal;
use crate::sync::Mutex;

/// The metrics of one endpoint, with bounded attributes.
#[derive(Debug)]
pub(in crate::export) struct EndpointAttributeLimit {
    limiter: Mutex<AttributeLimiter>,
}

impl EndpointAttributeLimit {
    pub(in crate::export) fn new(max_values: usize) -> Self {
        Self { limiter: Mutex::new(AttributeLimiter::new(max_values)) }
    }

    /// Limits the metrics of a chunk, and gives the metrics and attributes that had too many values for the first
    /// time. Values that were taken once are taken again, so that a retry says the same. A request that cannot be
    /// read goes as it is.
    pub(in crate::export) fn apply(&self, lane: &mut Lane) -> Vec<(String, String)> {
        let mut exceeded = Vec::new();
        for part in lane.parts.iter_mut().filter(|part| part.signal == Signal::Metrics) {
            let Ok(Some(changed)) = self.limiter.lock().limit(part.bytes()) else { continue };
            lane.merged = lane.merged.saturating_add(changed.merged);
            exceeded.extend(changed.exceeded);
            let request = EncodedRequest::new(Signal::Metrics, changed.points, changed.request);
            *part = Arc::new(request.derived(part.is_derived));
        }
        exceeded
    }
}
