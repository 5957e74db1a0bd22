//! Shared registry: the state of all our instances of one run of the host's engine.
//!
//! Filters have no timer and cannot append; inputs have both. So a filter that makes telemetry of
//! its own (metrics each interval, traces whose decision has come) registers a [`TelemetrySource`]
//! here, and the first of our inputs to tick drains it on the host's thread. A hot reload makes a
//! new hub.
//!
//! Each filter also registers its position, so that the log can warn of an order that means
//! something else.

mod drain;
mod order;
mod trace_hints;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::clock::{self, Tick};
use crate::model::{Emission, TraceId};
use crate::sync::Mutex;

pub use drain::{Drained, drain};
pub use order::{FilterRole, StartedFilter, warning};
pub use trace_hints::TraceHints;
use watch::WatchRegistry;
pub use watch::{ConversationVerdict, StatusSection, StatusSource, WatchedInstance};

/// Why a source is drained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// A tick passed: give what is due.
    Due,
    /// The host stops: give everything, and hold nothing from now on.
    Everything,
}

/// In what form what a source gives is appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EmissionForm {
    /// As the log events that it is.
    #[default]
    Records,
    /// As the host's own metrics.
    Native,
    /// As the host's own metrics with names, labels and buckets as Prometheus has them, each emission in a chunk
    /// of its own.
    Prometheus,
}

/// Something that holds telemetry until it is due.
pub trait TelemetrySource: Send + Sync {
    /// What is to be emitted now. `unix_nanos` is the wall-clock time.
    fn take(&self, drain: Drain, now: Tick, unix_nanos: u64) -> Vec<Emission>;

    /// Takes back what the host refused; it is offered again at a later drain.
    fn put_back(&self, emission: Emission);

    /// Whether more is due than the last [`TelemetrySource::take`] gave, so that the host's thread is not held
    /// up for long: it is drained again as soon as the host has looked after others.
    fn has_more(&self) -> bool {
        false
    }

    /// In what form what it gives is to be appended; other than as records only metrics are.
    fn form(&self) -> EmissionForm {
        EmissionForm::Records
    }
}

/// The shared state of one run.
#[derive(Default)]
pub struct Hub {
    run: u64,
    begun_unix_nanos: u64,
    positions: AtomicU32,
    emitters: AtomicU32,
    filters: AtomicU32,
    engine_runs: AtomicBool,
    sources: Mutex<Vec<Arc<dyn TelemetrySource>>>,
    started: Mutex<Vec<StartedFilter>>,
    trace_hints: TraceHints,
    exemplar_traces: TraceHints,
    kept_traces: TraceHints,
    kept_traces_wanted: AtomicBool,
    watched: WatchRegistry,
}

impl Hub {
    /// A hub for the run named by `run`, a number unlikely to be used by another process.
    #[must_use]
    pub fn new(run: u64) -> Self {
        Self { run, begun_unix_nanos: clock::unix_nanos(), ..Self::default() }
    }

    /// The run's number.
    #[must_use]
    pub fn run(&self) -> u64 {
        self.run
    }

    /// When the run began, in nanoseconds since the Unix epoch: before any of its telemetry was received or made.
    #[must_use]
    pub fn begun_unix_nanos(&self) -> u64 {
        self.begun_unix_nanos
    }

    /// The next instance's position in the order of starts, from 1.
    pub fn next_position(&self) -> u32 {
        self.positions.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Says that an input is there that drains the sources.
    pub fn add_emitter(&self) {
        self.emitters.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether any input drains the sources.
    #[must_use]
    pub fn has_emitter(&self) -> bool {
        self.emitters.load(Ordering::Relaxed) > 0
    }

    /// Says that a filter of ours has started.
    pub fn add_filter(&self) {
        self.filters.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether any filter of ours has started.
    #[must_use]
    pub fn has_filters(&self) -> bool {
        self.filters.load(Ordering::Relaxed) > 0
    }

    /// Says that the engine has called an instance of the run in the course of its work, which it does
    /// once every plugin has started.
    pub fn note_engine(&self) {
        if !self.engine_runs() {
            self.engine_runs.store(true, Ordering::Release);
        }
    }

    /// Whether everything of the run has started.
    #[must_use]
    pub fn engine_runs(&self) -> bool {
        self.engine_runs.load(Ordering::Acquire)
    }

    /// Registers the next filter in the order of starts, and returns what a user should know about
    /// its position after those before it.
    pub fn order_filter(&self, filter: StartedFilter) -> Vec<String> {
        let mut started = self.started.lock();
        let warnings = started.iter().filter_map(|earlier| warning(earlier, &filter)).collect();
        started.push(filter);
        warnings
    }

    /// The first filter that takes away the originals of spans that an output with these tags may get.
    #[must_use]
    pub fn drops_originals(&self, tags: Option<&str>) -> Option<String> {
        let started = self.started.lock();
        let found = started.iter().find(|filter| filter.drops_originals_of(tags));
        found.map(|filter| filter.instance.clone())
    }

    /// The traces in which something was found that a sampler should keep.
    #[must_use]
    pub const fn trace_hints(&self) -> &TraceHints {
        &self.trace_hints
    }

    /// The traces of exemplars that were emitted, which a sampler may keep.
    #[must_use]
    pub const fn exemplar_traces(&self) -> &TraceHints {
        &self.exemplar_traces
    }

    /// The traces that a sampler has kept, where somebody wants to know.
    #[must_use]
    pub const fn kept_traces(&self) -> &TraceHints {
        &self.kept_traces
    }

    /// Says that somebody wants to know which traces are kept.
    pub fn want_kept_traces(&self) {
        self.kept_traces_wanted.store(true, Ordering::Relaxed);
    }

    /// Notes a trace that is kept, if somebody wants to know.
    pub fn note_kept(&self, trace: TraceId) {
        if self.kept_traces_wanted.load(Ordering::Relaxed) {
            self.kept_traces.add(trace);
        }
    }

    /// Says that a status page shows this run, so that what only the page shows is kept.
    pub fn watch(&self) {
        self.watched.start();
    }

    /// Whether a status page shows this run.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.watched.is_on()
    }

    /// Registers an instance for status pages.
    pub fn add_instance(&self, instance: WatchedInstance) {
        self.watched.add_instance(instance);
    }

    /// The instances, in the order of their starts.
    #[must_use]
    pub fn instances(&self) -> Vec<WatchedInstance> {
        self.watched.instances()
    }

    /// Registers what an instance brings into the status.
    pub fn add_status_source(&self, instance: &str, source: Arc<dyn StatusSource>) {
        self.watched.add_source(instance, source);
    }

    /// What brings something into the status, each with the name of its instance.
    #[must_use]
    pub fn status_sources(&self) -> Vec<(String, Arc<dyn StatusSource>)> {
        self.watched.sources()
    }

    /// Forgets what was registered, at the end of the run: sources may know the hub in turn, and neither
    /// would go then.
    pub fn close(&self) {
        self.sources.lock().clear();
        self.watched.clear();
    }

    /// Registers a source; it stays until [`Hub::close`].
    pub fn add_source(&self, source: Arc<dyn TelemetrySource>) {
        self.sources.lock().push(source);
    }

    /// The sources in the order of registration, which is the order of the filters.
    #[must_use]
    pub fn sources(&self) -> Vec<Arc<dyn TelemetrySource>> {
        self.sources.lock().clone()
    }
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Hub").field("run", &self.run).finish_non_exhaustive()
    }
}
