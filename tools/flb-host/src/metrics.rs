//! Metrics registry: the counters and gauges that plugins register, and their text for Prometheus.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::memory::{Addr, Block};
use crate::report;
use fluent_bit_ai::sync::{Mutex, MutexGuard};

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MetricKind {
    /// It only grows.
    Counter,
    /// It may go anywhere.
    Gauge,
}

/// How a value is changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum MetricChange {
    /// It becomes this.
    Set(f64),
    /// It grows by this.
    Add(f64),
}

struct Metric {
    owner: Addr,
    kind: MetricKind,
    name: String,
    help: String,
    labels: Vec<String>,
    values: BTreeMap<Vec<String>, f64>,
    alive: bool,
    /// Its address is the plugin's handle; it is kept so that no later handle is equal.
    _handle: Block,
}

static METRICS: Mutex<BTreeMap<Addr, Metric>> = Mutex::new(BTreeMap::new());

fn metrics() -> MutexGuard<'static, BTreeMap<Addr, Metric>> {
    METRICS.lock()
}

/// Registers a metric in the context `owner` and returns its handle.
pub(crate) fn create(
    owner: Addr,
    kind: MetricKind,
    name: String,
    help: String,
    labels: Vec<String>,
) -> Addr {
    let handle = Block::zeroed(1);
    let addr = handle.addr();
    let metric = Metric {
        owner,
        kind,
        name,
        help,
        labels,
        values: BTreeMap::new(),
        alive: true,
        _handle: handle,
    };
    metrics().insert(addr, metric);
    addr
}

/// Changes a value; false if the host would refuse it.
pub(crate) fn change(handle: Addr, labels: Vec<String>, change: MetricChange) -> bool {
    let mut metrics = metrics();
    let Some(metric) = metrics.get_mut(&handle) else {
        report::problem("a metric was changed that was never created");
        return false;
    };
    if !metric.alive {
        report::problem(&format!("{} was changed after its instance was gone", metric.name));
        return false;
    }
    if labels.len() != metric.labels.len() {
        report::problem(&format!(
            "{} has {} labels but was given {} values",
            metric.name,
            metric.labels.len(),
            labels.len()
        ));
        return false;
    }
    let value = metric.values.entry(labels).or_default();
    let next = match change {
        MetricChange::Set(next) => next,
        MetricChange::Add(by) => *value + by,
    };
    if metric.kind == MetricKind::Counter && next < *value {
        report::problem(&format!("the counter {} went back", metric.name));
        return false;
    }
    *value = next;
    true
}

/// The metrics of a context are not to be used any more.
pub(crate) fn destroy(owner: Addr) {
    metrics().values_mut().filter(|metric| metric.owner == owner).for_each(|metric| {
        metric.alive = false;
    });
}

/// All metrics that are alive in Prometheus' text format.
pub(crate) fn text() -> String {
    let metrics = metrics();
    let mut named: BTreeMap<&str, Vec<&Metric>> = BTreeMap::new();
    for metric in metrics.values().filter(|metric| metric.alive) {
        named.entry(&metric.name).or_default().push(metric);
    }
    let mut text = String::new();
    for (name, metrics) in named {
        for (index, metric) in metrics.iter().enumerate() {
            if index == 0 {
                let kind = if metric.kind == MetricKind::Counter { "counter" } else { "gauge" };
                // Writing to a String does not fail.
                writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", metric.help).ok();
            }
            for (values, value) in &metric.values {
                writeln!(text, "{name}{} {value}", labels(&metric.labels, values)).ok();
            }
        }
    }
    text
}

fn labels(names: &[String], values: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> = names
        .iter()
        .zip(values)
        .map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            format!("{name}=\"{value}\"")
        })
        .collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_counted_and_printed() {
        let owner = Addr(1);
        let label = vec!["name".to_owned()];
        let sent = create(owner, MetricKind::Counter, "a_sent_total".into(), "Sent.".into(), label);
        assert!(change(sent, vec!["x\"y".into()], MetricChange::Add(2.0)));
        assert!(change(sent, vec!["x\"y".into()], MetricChange::Set(5.0)));
        assert!(!change(sent, vec!["x\"y".into()], MetricChange::Set(4.0)));
        assert!(!change(sent, Vec::new(), MetricChange::Add(1.0)));
        let shown = text();
        assert!(shown.contains("# TYPE a_sent_total counter"), "{shown}");
        assert!(shown.contains("a_sent_total{name=\"x\\\"y\"} 5"), "{shown}");
        destroy(owner);
        assert!(!text().contains("a_sent_total"));
        assert!(!change(sent, vec!["x\"y".into()], MetricChange::Add(1.0)));
    }
}
