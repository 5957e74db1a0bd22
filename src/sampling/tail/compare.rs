//! What changed policies would have decided, counted.

use super::TailSampler;
use super::trace::Trace;
use crate::sampling::policy::TraceOutcome;

impl TailSampler {
    /// Counts whether changed policies that do not decide yet would have decided otherwise.
    pub(super) fn compare(&mut self, trace: &mut Trace, outcome: TraceOutcome) {
        let Some(comparison) = &mut self.comparison else { return };
        let keeps = matches!(outcome, TraceOutcome::Keep { .. });
        let with = self.buffer.shared();
        let [alike, kept_instead, dropped_instead] = &mut self.tally.compared;
        let count = match (keeps, comparison.would_keep(trace, with, &self.buffer.found, self.now))
        {
            (false, true) => kept_instead,
            (true, false) => dropped_instead,
            _ => alike,
        };
        *count += 1;
    }
}
