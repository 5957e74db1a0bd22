//! What becomes of a span, by its trace's randomness.

use crate::model::TraceId;
use crate::sampling::threshold::{Randomness, Threshold};
use crate::sampling::tracestate::OtState;

/// What becomes of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadDecision {
    /// It goes.
    Drop,
    /// It stays as it is.
    Keep,
    /// It stays, with this threshold in its tracestate.
    KeepWith(Threshold),
}

/// A span that was sampled at the threshold or a higher one before is kept as it is, else R >= T decides.
pub(super) fn decide_at(threshold: Option<Threshold>, id: TraceId, state: OtState) -> HeadDecision {
    let Some(wanted) = threshold else { return HeadDecision::Drop };
    if state.threshold.is_some_and(|before| before >= wanted) {
        return HeadDecision::Keep;
    }
    let randomness = state.randomness.unwrap_or(Randomness::of_trace(id));
    if wanted.keeps(randomness) { HeadDecision::KeepWith(wanted) } else { HeadDecision::Drop }
}
