//! Metric filter: endpoints that refuse a kind of metric, and with it the whole request, get
//! requests without it.
//!
//! Backends on the model of Prometheus take no delta temporality, and answer 400 to a request that
//! has any, also where the rest of it is as they like it. Such a request is sent again in parts of
//! one kind and temporality each, so that only what is refused is lost.

use crate::export::request::EncodedRequest;
use crate::export::request::items::{MetricTemporality, PointKind, RequestItems};
use crate::model::{SCOPE_NAME, Signal};
use crate::runtime::heavy;

/// The scope of what our own filters derive.
const OURS: &[u8] = SCOPE_NAME.as_bytes();

/// A request of metrics as two, where it has some that our own filters derived and some of
/// applications. Records say which is which; what comes in the host's own form says it by its scope.
pub(in crate::export) fn apart(whole: EncodedRequest) -> Vec<EncodedRequest> {
    let is_for_both =
        whole.signal == Signal::Metrics && memchr::memmem::find(whole.bytes(), OURS).is_some();
    let batch = is_for_both.then(|| RequestItems::read(whole.signal, whole.bytes()).ok()).flatten();
    let Some(batch) = batch else { return vec![whole] };
    let (ours, others): (Vec<usize>, Vec<usize>) =
        (0..batch.len()).partition(|unit| batch.scope_name(*unit) == OURS);
    if others.is_empty() || ours.is_empty() {
        return vec![whole.derived(others.is_empty())];
    }
    let part = |units: &[usize], is_derived| {
        EncodedRequest::new(whole.signal, units.len(), batch.build(units, None)).derived(is_derived)
    };
    vec![part(&others, false), part(&ours, true)]
}

/// The kinds of metrics in a request; none if it cannot be read.
pub(in crate::export) fn of(part: &EncodedRequest) -> Vec<PointKind> {
    heavy(part.size(), || {
        RequestItems::read(part.signal, part.bytes()).map(|batch| batch.kinds()).unwrap_or_default()
    })
}

/// What to do about a request with metrics of one kind that is refused.
pub(in crate::export) const fn advice(kind: Option<PointKind>, is_derived: bool) -> &'static str {
    let Some(PointKind { temporality: MetricTemporality::Delta, .. }) = kind else { return "" };
    if is_derived {
        "; these metrics have delta temporality, which some backends do not take: with \
         'temporality: cumulative' ai_metrics makes cumulative ones, and so does the endpoint's option"
    } else {
        "; these metrics have delta temporality, which some backends do not take: with the endpoint's \
         'temporality: cumulative' they become cumulative here, or their sender can make such ones \
         (OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE)"
    }
}
