//! Counters of what was redacted: by detector, pattern, and for their key.

use crate::genai::{ContextTally, Detector, Pattern};
use crate::stats::{Counter, CounterFamily, Counters};

const REDACTIONS: CounterFamily = CounterFamily::counter(
    "redactions_total",
    "Places that were redacted, by the detector, the pattern, or the word key for values that went for \
     their key",
    &["detector"],
);

/// The word for values that went for their key.
const BY_KEY: &str = "key";

/// What was redacted.
pub(super) struct RedactionCounters {
    detectors: Vec<Counter>,
    patterns: Vec<Counter>,
    by_key: Counter,
}

impl RedactionCounters {
    pub(super) fn new(counters: &Counters, patterns: &[Pattern]) -> Self {
        let of = |name: &str| counters.counter(REDACTIONS, &[name]);
        Self {
            detectors: Detector::ALL.iter().map(|detector| of(detector.name())).collect(),
            patterns: patterns.iter().map(|pattern| of(pattern.name())).collect(),
            by_key: of(BY_KEY),
        }
    }

    pub(super) fn add(&self, tally: &ContextTally) {
        add(&self.detectors, tally.redactions);
        add(&self.patterns, tally.patterns);
        self.by_key.add(tally.keys);
    }
}

fn add(counters: &[Counter], counts: impl IntoIterator<Item = u64>) {
    for (counter, count) in counters.iter().zip(counts) {
        counter.add(count);
    }
}
