//! Attribute limit of an endpoint: so many values for each attribute of a metric.

use std::sync::Arc;

use crate::export::request::EncodedRequest;
use crate::export::selection::encode::Lane;
use crate::metric_points::attribute_limit::AttributeLimiter;
use crate::model::Signal;
use crate::sync::Mutex;

/// What became of a chunk's points.
#[derive(Debug, Default)]
pub(in crate::export) struct LimitedPoints {
    /// Points that are in others now.
    pub(in crate::export) merged: usize,
    /// Metrics and attributes that had too many values for the first time.
    pub(in crate::export) exceeded: Vec<(String, String)>,
}

/// The metrics of one endpoint, with bounded attributes.
#[derive(Debug)]
pub(in crate::export) struct EndpointAttributeLimit {
    limiter: Mutex<AttributeLimiter>,
}

impl EndpointAttributeLimit {
    pub(in crate::export) fn new(max_values: usize) -> Self {
        Self { limiter: Mutex::new(AttributeLimiter::new(max_values)) }
    }

    /// Limits the metrics of a chunk. Values that were taken once are taken again, so that a retry says the same. A
    /// request that cannot be read goes as it is.
    pub(in crate::export) fn apply(&self, lane: &mut Lane) -> LimitedPoints {
        let mut limited = LimitedPoints::default();
        for part in lane.parts.iter_mut().filter(|part| part.signal == Signal::Metrics) {
            let Ok(Some(changed)) = self.limiter.lock().limit(part.bytes()) else { continue };
            limited.merged = limited.merged.saturating_add(changed.merged);
            limited.exceeded.extend(changed.exceeded);
            let request = EncodedRequest::new(Signal::Metrics, changed.points, changed.request);
            *part = Arc::new(request.derived(part.is_derived));
        }
        limited
    }
}
