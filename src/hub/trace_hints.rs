//! Hints about traces: those in which something was found, those of exemplars, and those that are kept.

use std::collections::{HashSet, VecDeque};

use foldhash::fast::RandomState;

use crate::model::TraceId;
use crate::sync::Mutex;

/// Traces that are remembered; the oldest go first.
const MAX_TRACES: usize = 4096;

/// Traces of which something is known, up to 4096.
#[derive(Debug, Default)]
pub struct TraceHints(Mutex<Traces>);

#[derive(Debug, Default)]
struct Traces {
    known: HashSet<TraceId, RandomState>,
    oldest_first: VecDeque<TraceId>,
}

impl TraceHints {
    /// Adds a trace.
    pub fn add(&self, trace: TraceId) {
        let mut traces = self.0.lock();
        if !traces.known.insert(trace) {
            return;
        }
        traces.oldest_first.push_back(trace);
        if traces.oldest_first.len() > MAX_TRACES
            && let Some(oldest) = traces.oldest_first.pop_front()
        {
            traces.known.remove(&oldest);
        }
    }

    /// Whether a trace is one of them.
    #[must_use]
    pub fn contains(&self, trace: &TraceId) -> bool {
        self.0.lock().known.contains(trace)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_traces_are_forgotten() {
        let hints = TraceHints::default();
        let trace = |number: u128| TraceId(number.to_be_bytes());
        for number in (0..=4096).chain([4096]) {
            hints.add(trace(number));
        }
        let known = [0, 1, 4096, 4097].map(|number| hints.contains(&trace(number)));
        assert_eq!(known, [false, true, true, false]);
    }
}
