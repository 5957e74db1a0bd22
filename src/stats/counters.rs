//! Metrics registry: counters that the host layer mirrors into the host's own metrics as
//! `fluentbit_ai_*`.
//!
//! An instance makes every counter with every label value in its `open`, because the host's metric
//! store may only grow on the engine's thread; from then on a counter is an atomic number.

use crate::sync::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A family of counters: what the host's metrics call a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterFamily {
    /// The name after `fluentbit_ai_`, for example `received_items_total`.
    pub name: &'static str,
    /// One sentence of help.
    pub help: &'static str,
    /// Names of the labels that follow the host's own `name` label; at most three.
    pub labels: &'static [&'static str],
    /// Whether the value may go down, which makes it a gauge.
    pub gauge: bool,
}

impl CounterFamily {
    /// A family whose values only grow.
    #[must_use]
    pub const fn counter(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, help, labels, gauge: false }
    }

    /// A family whose values go up and down.
    #[must_use]
    pub const fn gauge(
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Self {
        Self { name, help, labels, gauge: true }
    }
}

/// One number; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// Adds to the number.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// Adds a number of items.
    pub fn add_items(&self, count: usize) {
        self.add(u64::try_from(count).unwrap_or(u64::MAX));
    }

    /// Sets the number, for gauges.
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// The number.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A counter as the host layer sees it.
#[derive(Debug, Clone)]
pub struct CounterReading {
    /// What it belongs to.
    pub family: CounterFamily,
    /// Values of the family's labels.
    pub labels: Vec<String>,
    /// The number.
    pub counter: Counter,
}

/// The counters of one instance.
#[derive(Debug, Default)]
pub struct Counters {
    readings: Mutex<Vec<CounterReading>>,
}

impl Counters {
    /// The counter with these label values, made when it is asked for the first time.
    pub fn counter(&self, family: CounterFamily, labels: &[&str]) -> Counter {
        let mut readings = self.readings.lock();
        let known = readings.iter().find(|reading| {
            reading.family == family
                && reading.labels.iter().map(String::as_str).eq(labels.iter().copied())
        });
        if let Some(known) = known {
            return known.counter.clone();
        }
        let counter = Counter::default();
        readings.push(CounterReading {
            family,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            counter: counter.clone(),
        });
        counter
    }

    /// The counters that were made after the first `known`, in their order.
    #[must_use]
    pub fn readings_after(&self, known: usize) -> Vec<CounterReading> {
        self.readings.lock().get(known..).unwrap_or_default().to_vec()
    }

    /// All counters, in the order in which they were made.
    #[must_use]
    pub fn readings(&self) -> Vec<CounterReading> {
        self.readings.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_made_once() {
        const FAMILY: CounterFamily = CounterFamily::counter("x_total", "x", &["why"]);
        let counters = Counters::default();
        counters.counter(FAMILY, &["a"]).add(2);
        counters.counter(FAMILY, &["a"]).add(3);
        counters.counter(FAMILY, &["b"]).add_items(1);
        let values: Vec<u64> = counters.readings().iter().map(|r| r.counter.value()).collect();
        assert_eq!(values, [5, 1]);
    }
}
