//! Counters of normalisation: what was mapped, by dialect, and the names that no rule maps.

use std::sync::Arc;

use crate::genai::{AddedDialects, ContextProcessor, ContextTally, DialectCounts};
use crate::stats::{Counter, CounterFamily, Counters};

const SPANS: CounterFamily = CounterFamily::counter(
    "normalized_spans_total",
    "Spans whose attributes were mapped to the current GenAI conventions",
    &["dialect"],
);
const LOGS: CounterFamily = CounterFamily::counter(
    "normalized_logs_total",
    "Logs whose attributes were mapped to the current GenAI conventions",
    &["dialect"],
);
const UNKNOWN: CounterFamily = CounterFamily::counter(
    "unknown_attributes_total",
    "Attributes under the names of a dialect that no rule maps, of items that speak it: the first 256 \
     names one by one, others as _OTHER",
    &["attribute"],
);

/// The numbers of one filter.
pub(super) struct MappingCounters {
    spans: Vec<Counter>,
    logs: Vec<Counter>,
    /// Those of names that were there already, by the processor's index, of which there are some hundred at most.
    unknown: Vec<Option<Counter>>,
    counters: Arc<Counters>,
}

impl MappingCounters {
    pub(super) fn new(counters: &Arc<Counters>, added: AddedDialects) -> Self {
        // So that the family is there before there is anything to count.
        counters.counter(UNKNOWN, &["_OTHER"]);
        let by_dialect = |family: CounterFamily| {
            let names = DialectCounts::names().chain(added.names());
            names.map(|name| counters.counter(family, &[name])).collect()
        };
        let (spans, logs) = (by_dialect(SPANS), by_dialect(LOGS));
        Self { spans, logs, unknown: Vec::new(), counters: Arc::clone(counters) }
    }

    /// Adds what the processor did to a chunk.
    pub(super) fn add(&mut self, tally: &ContextTally, processor: &mut ContextProcessor) {
        for (counters, counts) in
            [(&self.spans, &tally.normalized), (&self.logs, &tally.normalized_logs)]
        {
            let counts = counts.values().chain(counts.added());
            let some = counters.iter().zip(counts).filter(|(_, count)| *count > 0);
            some.for_each(|(counter, count)| counter.add(count));
        }
        processor.take_unknown_names(|index, name, count| self.add_unknown(index, name, count));
    }

    fn add_unknown(&mut self, index: usize, name: &str, count: u64) {
        if self.unknown.len() <= index {
            self.unknown.resize_with(index.saturating_add(1), || None);
        }
        let Some(known) = self.unknown.get_mut(index) else { return };
        known.get_or_insert_with(|| self.counters.counter(UNKNOWN, &[name])).add(count);
    }
}
