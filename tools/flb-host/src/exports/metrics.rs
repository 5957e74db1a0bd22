//! Counters and gauges.

use crate::memory::Addr;
use crate::metrics::{self, MetricChange, MetricKind};

/// Where the parts of a metric's name lie.
struct Name {
    parts: [Addr; 3],
    help: Addr,
}

fn texts(count: i32, list: Addr) -> Vec<String> {
    let count = usize::try_from(count).unwrap_or(0);
    (0..count)
        .map(|index| list.plus(index * size_of::<Addr>()).read::<Addr>().text())
        .map(Option::unwrap_or_default)
        .collect()
}

fn create(owner: Addr, kind: MetricKind, name: &Name, labels: Vec<String>) -> Addr {
    let parts: Vec<String> =
        name.parts.iter().filter_map(|part| part.text()).filter(|part| !part.is_empty()).collect();
    metrics::create(owner, kind, parts.join("_"), name.help.text().unwrap_or_default(), labels)
}

fn change(metric: Addr, labels: Vec<String>, change: MetricChange) -> i32 {
    if metrics::change(metric, labels, change) { 0 } else { -1 }
}

macro_rules! creates {
    ($function:ident, $kind:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn $function(
            owner: Addr,
            space: Addr,
            subsystem: Addr,
            name: Addr,
            help: Addr,
            count: i32,
            labels: Addr,
        ) -> Addr {
            let name = Name { parts: [space, subsystem, name], help };
            create(owner, $kind, &name, texts(count, labels))
        }
    };
}

macro_rules! changes {
    ($function:ident, |$value:ident| $change:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn $function(
            metric: Addr,
            _time: u64,
            $value: f64,
            count: i32,
            labels: Addr,
        ) -> i32 {
            change(metric, texts(count, labels), $change)
        }
    };
}

macro_rules! steps {
    ($function:ident, $by:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn $function(metric: Addr, _time: u64, count: i32, labels: Addr) -> i32 {
            change(metric, texts(count, labels), MetricChange::Add($by))
        }
    };
}

creates!(cmt_counter_create, MetricKind::Counter);
creates!(cmt_gauge_create, MetricKind::Gauge);
changes!(cmt_counter_set, |value| MetricChange::Set(value));
changes!(cmt_counter_add, |value| MetricChange::Add(value));
changes!(cmt_gauge_set, |value| MetricChange::Set(value));
changes!(cmt_gauge_add, |value| MetricChange::Add(value));
changes!(cmt_gauge_sub, |value| MetricChange::Add(-value));
steps!(cmt_counter_inc, 1.0);
steps!(cmt_gauge_inc, 1.0);
steps!(cmt_gauge_dec, -1.0);

kept! {
    [
        cmt_counter_create,
        cmt_gauge_create,
    ]: extern "C" fn(Addr, Addr, Addr, Addr, Addr, i32, Addr) -> Addr;
    [
        cmt_counter_set,
        cmt_counter_add,
        cmt_gauge_set,
        cmt_gauge_add,
        cmt_gauge_sub,
    ]: extern "C" fn(Addr, u64, f64, i32, Addr) -> i32;
    [cmt_counter_inc, cmt_gauge_inc, cmt_gauge_dec]: extern "C" fn(Addr, u64, i32, Addr) -> i32;
}
