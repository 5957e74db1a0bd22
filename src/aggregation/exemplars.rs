//! Exemplars of traces that are kept.

use super::{Aggregator, KeptTraces};
use crate::model::{SpanId, TraceId};

impl Aggregator {
    /// The same, whose exemplars are of traces that are known to be kept where there are any.
    #[must_use]
    pub fn with_kept_traces(mut self, kept: Option<KeptTraces>) -> Self {
        self.kept = kept;
        self
    }

    /// Whether the trace of an item is known to be kept.
    pub(super) fn is_kept(&self, ids: Option<(TraceId, SpanId)>) -> bool {
        self.kept.as_ref().zip(ids).is_some_and(|(kept, (trace, _))| kept.has(&trace))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::tests::{SECOND, START, aggregator, config, feed};
    use crate::aggregation::{KeptTraces, exemplar_traces};
    use crate::clock::Tick;
    use crate::codec::records::testing::SpanRecord;

    /// Scenario: calls of one bucket whose traces are kept, or not known to be, in both orders. Guarantees: the exemplars are
    /// of the last kept one, of the last one where none is known or nobody asks, and begin anew with each export.
    #[test]
    fn exemplars_of_kept_traces_come_first() {
        let call = |trace: u64| {
            SpanRecord::new(trace, trace)
                .times(1000, 1500)
                .with("gen_ai.operation.name", "chat")
                .with("gen_ai.provider.name", "openai")
                .with("gen_ai.usage.input_tokens", 10)
        };
        for (asks, expected) in [(true, [4, 6]), (false, [5, 6])] {
            let kept = KeptTraces::new(|trace| [2, 4].contains(&trace.0[15]));
            let mut aggregator = aggregator(config()).with_kept_traces(asks.then_some(kept));
            for (round, calls) in [&[1, 2, 3, 4, 5][..], &[6]].into_iter().enumerate() {
                feed(&mut aggregator, &calls.iter().map(|trace| call(*trace)).collect::<Vec<_>>());
                let at = (round as u64 + 1) * 20 * SECOND;
                let mut traces = BTreeSet::new();
                for batch in aggregator.take(false, Tick(at), START + at) {
                    exemplar_traces(&batch.events, |trace| traces.extend([trace.0[15]]));
                }
                assert_eq!(traces.into_iter().collect::<Vec<_>>(), [expected[round]], "{asks}");
            }
        }
    }
}
