//! How a tail sampler works.

use std::time::Duration;

use crate::model::{ErrorRule, Position};
use crate::sampling::policy::{Policies, TraceSize};
use crate::sampling::session::SessionKeys;
use crate::sampling::threshold::Threshold;

/// How a tail sampler works.
#[derive(Debug)]
pub struct TailConfig {
    /// Waits and limits.
    pub settings: TailSettings,
    /// How many decisions to keep are remembered for late spans.
    pub kept_cache: usize,
    /// How many decisions to drop are remembered for late spans.
    pub dropped_cache: usize,
    /// Who decides.
    pub policies: Policies,
    /// Which spans expressions count as errors.
    pub errors: ErrorRule,
    /// What names the sessions whose traces are decided alike.
    pub sessions: Option<SessionKeys>,
    /// For how long policies that take the place of others are only compared with them.
    pub compare_for: Duration,
    /// Marks what is released, so that the filters up to here leave it alone.
    pub position: Position,
}

/// Waits and limits of a tail sampler.
#[derive(Debug, Clone, Copy)]
pub struct TailSettings {
    /// How long after its first span a trace is decided.
    pub decision_wait: Duration,
    /// How long after its root span a trace is decided, if that is sooner.
    pub wait_after_root: Option<Duration>,
    /// The longest wait that is learned for traces whose likes went on for longer than the wait; there
    /// is no learning without it.
    pub longest_wait: Option<Duration>,
    /// The most memory that held and released spans and what is remembered of decided traces take, in bytes. What is
    /// remembered has no limit but its number of traces; more than half of this is not counted.
    pub max_bytes: usize,
    /// The most traces held.
    pub max_traces: usize,
    /// A trace with so many spans is decided at once.
    pub max_trace_spans: Option<u64>,
    /// A trace whose encoded spans have so many bytes is decided at once.
    pub max_trace_bytes: Option<u64>,
    /// While the buffer is full, traces that begin are decided at once at this threshold.
    pub shed_at: Option<Threshold>,
    /// A trace is decided as soon as nothing that follows can change the outcome.
    pub decides_early: bool,
    /// Nothing is dropped: spans say what would have happened.
    pub dry_run: bool,
}

impl TailSettings {
    /// Whether a trace is as large as one may be.
    pub(super) fn is_full_trace(&self, size: TraceSize) -> bool {
        self.max_trace_spans.is_some_and(|most| size.spans >= most)
            || self.max_trace_bytes.is_some_and(|most| size.bytes >= most)
    }
}
