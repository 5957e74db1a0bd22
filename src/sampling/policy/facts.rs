//! What policies ask of a trace, and how likely it stays.

use std::time::Duration;

use super::attribute::PassedTests;
use super::field::SpanParts;
use super::usage::TraceUsage;
use crate::condition::{Condition, ConditionError};
use crate::sampling::threshold::{Randomness, Threshold};

/// The probability with which a trace stays. The order is from likely to unlikely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeepProbability {
    /// It stays, by a rule that chance has no part in.
    Certain,
    /// It stays if its randomness reaches this threshold.
    At(Threshold),
    /// It stays while a limit of spans or bytes per second has room, so that nobody knows how likely.
    Unknown,
}

impl KeepProbability {
    /// Whether chance lets a trace stay; limits are not asked.
    pub(super) fn stays(self, trace: &dyn TraceFacts) -> bool {
        match self {
            Self::At(threshold) => stays_at(threshold, trace),
            Self::Certain | Self::Unknown => true,
        }
    }
}

/// How large a trace is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TraceSize {
    /// Its spans.
    pub spans: u64,
    /// The bytes of its encoded spans, without resource and scope.
    pub bytes: u64,
}

/// What policies ask of a trace.
pub trait TraceFacts {
    /// The span tests that its spans passed.
    fn passed_tests(&self) -> PassedTests;
    /// The time from its first start to its last end.
    fn duration(&self) -> Duration;
    /// How large it is.
    fn size(&self) -> TraceSize;
    /// The tokens and the money that its calls used; none if no policy asks for it.
    fn usage(&self) -> TraceUsage;
    /// Whether something was found in it.
    fn has_finding(&self) -> bool;
    /// Whether an exemplar of a metric names it.
    fn is_exemplar(&self) -> bool;
    /// The randomness that decides about it.
    fn randomness(&self) -> Randomness;
    /// The highest threshold at which a sampler kept one of its spans before.
    fn threshold_before(&self) -> Option<Threshold>;
    /// Its spans.
    fn spans(&self) -> &[SpanParts<'_>];
    /// Whether an expression over the trace is true.
    ///
    /// # Errors
    /// It has no answer for this trace.
    fn meets(&self, condition: &Condition) -> Result<bool, ConditionError>;
}

/// Whether a trace stays at a threshold: by its randomness, or because a sampler kept it at that
/// threshold or a higher one before.
pub(super) fn stays_at(threshold: Threshold, trace: &dyn TraceFacts) -> bool {
    threshold.keeps(trace.randomness())
        || trace.threshold_before().is_some_and(|before| before >= threshold)
}
