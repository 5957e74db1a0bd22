//! What became of traces for which a policy has no answer.

use crate::condition::{ConditionError, NoAnswer};

/// Traces for which the expression of one policy had no answer, so that it did not match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unanswered {
    /// Traces by reason, in the order of [`NoAnswer::ALL`].
    pub traces: [u64; NoAnswer::ALL.len()],
    /// Their spans that were kept, by another policy.
    pub kept_spans: u64,
    /// Their spans that were dropped.
    pub dropped_spans: u64,
    /// The last reason in words; empty while there is none.
    pub reason: String,
}

impl Unanswered {
    /// All traces.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.traces.iter().sum()
    }

    pub(super) fn add(&mut self, error: &ConditionError, kept: bool, spans: u64) {
        let kinds = NoAnswer::ALL.iter().zip(&mut self.traces);
        kinds.filter(|(kind, _)| **kind == error.kind()).for_each(|(_, count)| *count += 1);
        *if kept { &mut self.kept_spans } else { &mut self.dropped_spans } += spans;
        self.reason = error.reason();
    }
}
