//! The metrics of the last export, kept for a page.

use std::sync::Arc;

use super::{Aggregator, HistogramForm, Temporality};
use crate::model::{Emission, LastMetrics};

/// How many bytes of records are kept; the text of a page is several times as long.
const LARGEST: usize = 32 * 1024 * 1024;

impl Aggregator {
    /// Whether a page shows other points than those that are emitted: it knows no deltas and no exponential histograms.
    pub(super) fn has_own_page(&self) -> bool {
        self.config.temporality == Temporality::Delta
            || self.config.histogram == HistogramForm::Exponential
    }

    /// Keeps what an export made, if it is not too much and a page may show it.
    pub(super) fn keep_export(&mut self, batches: &[Emission], unix_nanos: u64) {
        if self.models.is_none() {
            return;
        }
        let bytes: usize = batches.iter().map(|batch| batch.events.len()).sum();
        let is_whole = bytes <= LARGEST;
        let batches = batches.iter().filter(|_| is_whole);
        let events: Vec<&[u8]> = batches.map(|batch| &batch.events[..]).collect();
        self.exported = LastMetrics { unix_nanos, events: Arc::new(events.concat()), is_whole };
    }

    /// The metrics of the last export since [`Aggregator::watch`], whether the pipeline has them yet or not: cumulative,
    /// with explicit buckets.
    #[must_use]
    pub fn last_metrics(&self) -> LastMetrics {
        self.exported.clone()
    }
}
