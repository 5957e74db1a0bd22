//! Findings of `ai_metrics` on their way: log events, lines of the log, and hints to the sampler.

use std::sync::Arc;

use crate::aggregation::Aggregator;
use crate::clock::Tick;
use crate::findings::{CheckMode, Findings};
use crate::hub::{Drain, Hub, TelemetrySource};
use crate::model::Emission;
use crate::stats::Log;
use crate::sync::Mutex;

/// How a check may be set.
pub(super) const MODES: [(&str, CheckMode); 3] =
    [("off", CheckMode::Off), ("warn", CheckMode::Warn), ("on", CheckMode::On)];

/// The log events of findings, which are records in whatever form the metrics are.
pub(super) struct FindingEvents(pub(super) Arc<Mutex<Aggregator>>);

impl TelemetrySource for FindingEvents {
    fn take(&self, _drain: Drain, _now: Tick, _unix_nanos: u64) -> Vec<Emission> {
        self.0.lock().findings().map(Findings::take_events).unwrap_or_default()
    }

    fn put_back(&self, emission: Emission) {
        if let Some(findings) = self.0.lock().findings() {
            findings.put_back(emission);
        }
    }
}

/// Says what was found in the log, and hints at the traces of it.
pub(super) fn pass_on(findings: &mut Findings, log: &Log, hub: &Hub) {
    findings.take_lines().into_iter().for_each(|line| log.warn(line));
    let hints = hub.trace_hints();
    findings.take_hints().into_iter().for_each(|trace| hints.add(trace));
}
