//! Our counters -> the host's metrics, as `fluentbit_ai_*`.
//!
//! A host's metric store may grow only on the thread that reads it, the engine's, on which the instance
//! starts. So series are made then, and later only by callbacks on that thread; elsewhere values of known
//! series are set, which the host does with atomic numbers.

use std::ffi::{CString, c_char, c_int};
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::host_struct::HostPointer;
use super::lend;
use super::symbols::MetricFunctions;
use crate::clock::{self, Tick};
use crate::stats::{Counter, CounterFamily, Counters};
use crate::sync::Mutex;

/// How often values are published at most.
const INTERVAL: Duration = Duration::from_secs(1);

/// One series of the host's.
#[derive(Debug)]
struct Series {
    metric: HostPointer,
    gauge: bool,
    labels: Vec<CString>,
    counter: Counter,
    published: Option<u64>,
}

#[derive(Debug)]
struct Published {
    /// The families that the host knows, with its metrics.
    families: Vec<(CounterFamily, HostPointer)>,
    series: Vec<Series>,
    /// How many of the counters have a series, or a family that the host refused.
    known: usize,
    at: Tick,
}

/// The counters of one instance, as the host shows them.
#[derive(Debug)]
pub(super) struct Mirror {
    functions: MetricFunctions,
    instance: CString,
    counters: Arc<Counters>,
    /// The engine's thread.
    thread: ThreadId,
    published: Mutex<Published>,
}

fn pointers(texts: &[CString]) -> Vec<*const c_char> {
    texts.iter().map(|text| text.as_ptr()).collect()
}

fn count(texts: &[CString]) -> c_int {
    c_int::try_from(texts.len()).unwrap_or(0)
}

impl Mirror {
    /// Makes every family and series in `cmt`, the host's metrics of the instance called `instance`, which
    /// must be the running instance's own. It is called on the engine's thread.
    pub(super) fn new(
        functions: MetricFunctions,
        cmt: HostPointer,
        instance: &str,
        counters: &Arc<Counters>,
    ) -> Self {
        let mut families: Vec<(CounterFamily, HostPointer)> = Vec::new();
        for reading in counters.readings() {
            if !families.iter().any(|(family, _)| *family == reading.family) {
                families.push((reading.family, create(&functions, cmt, reading.family)));
            }
        }
        let published = Published { families, series: Vec::new(), known: 0, at: Tick::default() };
        let mirror = Self {
            functions,
            instance: lend::c_string(instance),
            counters: Arc::clone(counters),
            thread: thread::current().id(),
            published: Mutex::new(published),
        };
        mirror.publish();
        mirror
    }

    /// Adds the series of counters that came since, of families that the host knows.
    fn grow(&self, published: &mut Published) {
        for reading in self.counters.readings_after(published.known) {
            published.known = published.known.saturating_add(1);
            let known = published.families.iter().find(|(family, _)| *family == reading.family);
            let Some((_, metric)) = known.filter(|(_, metric)| !metric.0.is_null()) else {
                continue;
            };
            let mut labels = vec![self.instance.clone()];
            labels.extend(reading.labels.iter().map(|label| lend::c_string(label)));
            published.series.push(Series {
                metric: *metric,
                gauge: reading.family.gauge,
                labels,
                counter: reading.counter,
                published: None,
            });
        }
    }

    /// Publishes what changed, if the last time is long enough ago.
    pub(super) fn publish_if_due(&self) {
        let now = clock::now();
        // Another thread that publishes just now does it for us too.
        let due = self.published.try_lock().is_some_and(|published| {
            published.at == Tick::default() || now.since(published.at) >= INTERVAL
        });
        if due {
            self.publish();
        }
    }

    /// Publishes what changed.
    pub(super) fn publish(&self) {
        let mut published = self.published.lock();
        published.at = clock::now();
        if thread::current().id() == self.thread {
            self.grow(&mut published);
        }
        let time = clock::unix_nanos();
        for series in &mut published.series {
            let value = series.counter.value();
            if series.published == Some(value) {
                continue;
            }
            series.published = Some(value);
            let labels = pointers(&series.labels);
            let set = if series.gauge {
                self.functions.cmt_gauge_set
            } else {
                self.functions.cmt_counter_set
            };
            #[expect(clippy::cast_precision_loss, reason = "the host's metrics are floats")]
            let value = value as f64;
            // SAFETY: the metric was made in this instance's store, which the host keeps until
            // after `cb_exit`; the labels outlive the call, which copies nothing but the value.
            unsafe {
                set(series.metric.0, time, value, count(&series.labels), labels.as_ptr());
            }
        }
    }
}

fn create(functions: &MetricFunctions, cmt: HostPointer, family: CounterFamily) -> HostPointer {
    let name = lend::c_string(family.name);
    let help = lend::c_string(family.help);
    let mut keys = vec![c"name".to_owned()];
    keys.extend(family.labels.iter().map(|label| lend::c_string(label)));
    let labels = pointers(&keys);
    let create =
        if family.gauge { functions.cmt_gauge_create } else { functions.cmt_counter_create };
    // SAFETY: `cmt` is the metrics store of the instance that starts, on the engine's thread; all
    // strings outlive the call, which copies them.
    let metric = unsafe {
        create(
            cmt.0,
            c"fluentbit".as_ptr(),
            c"ai".as_ptr(),
            name.as_ptr(),
            help.as_ptr(),
            count(&keys),
            labels.as_ptr(),
        )
    };
    HostPointer(metric)
}
