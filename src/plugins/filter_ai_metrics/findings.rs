//! Findings of `ai_metrics` on their way: log events, lines of the log, hints to the sampler, and counters.

use std::sync::Arc;

use super::Shared;
use crate::aggregation::Aggregator;
use crate::clock::Tick;
use crate::findings::CheckMode;
use crate::hub::{Drain, TelemetrySource};
use crate::model::Emission;

/// How a check may be set.
pub(super) const MODES: [(&str, CheckMode); 3] =
    [("off", CheckMode::Off), ("warn", CheckMode::Warn), ("on", CheckMode::On)];

/// The log events of findings, which are records in whatever form the metrics are.
pub(super) struct FindingEvents(pub(super) Arc<Shared>);

impl TelemetrySource for FindingEvents {
    fn take(&self, _drain: Drain, _now: Tick, _unix_nanos: u64) -> Vec<Emission> {
        self.0.lock().findings().map(|findings| findings.take_events()).unwrap_or_default()
    }

    fn put_back(&self, emission: Emission) {
        if let Some(findings) = self.0.lock().findings() {
            findings.put_back(emission);
        }
    }
}

impl Shared {
    /// Shows what has happened so far, and passes on what was found.
    pub(super) fn show(&self, aggregator: &mut Aggregator) {
        self.numbers.show(aggregator.tally());
        let Some(findings) = aggregator.findings() else { return };
        self.numbers.show_findings(&findings.tally());
        findings.take_lines().into_iter().for_each(|line| self.log.warn(line));
        let hints = self.hub.trace_hints();
        findings.take_hints().into_iter().for_each(|trace| hints.add(trace));
    }
}
