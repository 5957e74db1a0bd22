//! Counting of model calls, each once: their tokens and cost, and what operations around them say beside.

use super::Aggregator;
use super::histogram::Exemplar;
use super::spending::SpentAt;
use super::usage::TokenCounts;
use crate::clock::Tick;

impl Aggregator {
    /// Counts what operations and the calls within them differ by, of traces that were forgotten since.
    pub(super) fn count_differences(&mut self, at: (Tick, u64)) {
        for (said, difference) in self.calls.take_differences() {
            self.groups.count_difference(&said.what, &difference, at);
        }
    }

    /// Counts the tokens of a call and what it cost.
    pub(super) fn count(
        &mut self,
        counts: &TokenCounts,
        at: SpentAt,
        exemplar: impl Fn(f64) -> Option<Exemplar>,
    ) {
        self.groups.count(counts, exemplar);
        self.spend_counted(counts, at, false);
        if let Some(models) = &mut self.models {
            models.count(counts);
        }
        self.totals.input += counts.tokens.input().unwrap_or(0.0) * counts.weight;
        self.totals.output += counts.tokens.output().unwrap_or(0.0) * counts.weight;
        self.totals.cost.add(counts.cost, counts.weight, 1);
    }

    /// Takes them back.
    pub(super) fn take_back(&mut self, counts: &TokenCounts, at: SpentAt) {
        self.groups.take_back(counts);
        self.spend_counted(counts, at, true);
        if let Some(models) = &mut self.models {
            models.take_back(counts);
        }
        self.totals.input -= counts.tokens.input().unwrap_or(0.0) * counts.weight;
        self.totals.output -= counts.tokens.output().unwrap_or(0.0) * counts.weight;
        self.totals.cost.add(counts.cost, counts.weight, -1);
    }
}
