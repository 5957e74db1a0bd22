//! Broken context as the filter `ai_context` finds it: its options, its numbers, and the way of its metric
//! into the pipeline.

use std::sync::Arc;
use std::time::Duration;

use super::stage_options::refuse_idle;
use crate::clock::{self, Tick};
use crate::config::read::Read;
use crate::config::{Parser, parse_duration};
use crate::correlation::{
    BrokenContextConfig, BrokenContextFinder, BrokenKind, MetricTemporality, Unexamined,
};
use crate::hub::{Drain, TelemetrySource};
use crate::model::{Emission, Position};
use crate::plugin::{Environment, OptionSpec};
use crate::plugins::derived::missing_emitter::missing_emitter;
use crate::stats::{Counter, CounterFamily};
use crate::sync::Mutex;

const BROKEN: CounterFamily = CounterFamily::counter(
    "broken_context_spans_total",
    "Spans whose place in their trace is broken: orphan (its parent did not come), remote_parent (nor did \
     that in another process), several_roots, clock_skew",
    &["kind"],
);
const EXAMINED: CounterFamily = CounterFamily::counter(
    "broken_context_examined_traces_total",
    "Traces that were looked at",
    &[],
);
const UNEXAMINED: CounterFamily = CounterFamily::counter(
    "broken_context_unexamined_traces_total",
    "Traces that were not looked at: memory (find_broken_max_memory was reached), spans (more than 4096), \
     start (they began before the filter), shutdown (the pipeline ended before nothing more came)",
    &["reason"],
);
const LATE: CounterFamily = CounterFamily::counter(
    "broken_context_late_spans_total",
    "Spans that came after their trace had been looked at: find_broken_window is too short for them",
    &[],
);
const HELD_BYTES: CounterFamily = CounterFamily::gauge(
    "broken_context_held_bytes",
    "Memory of what is remembered of spans to find broken context",
    &[],
);

/// How often the metric is emitted.
const INTERVAL: Duration = Duration::from_secs(10);

/// What is given of the options.
pub(super) struct BrokenContextGiven {
    pub(super) is_on: bool,
    pub(super) window: Duration,
    pub(super) tolerance: Duration,
    pub(super) max_memory: usize,
    pub(super) temporality: MetricTemporality,
    /// The options that mean nothing without it.
    pub(super) others: [&'static OptionSpec; 4],
}

/// How long a trace is waited for.
pub(super) fn window(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    let range = Duration::from_secs(1)..=Duration::from_hours(1);
    parser.value(option, "allowed: a duration from 1s to 1h", |text| {
        parse_duration(text).filter(|window| range.contains(window))
    })
}

/// How far clocks may differ.
pub(super) fn tolerance(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    parser.value(option, "allowed: a duration up to 1h", |text| {
        parse_duration(text).filter(|tolerance| *tolerance <= Duration::from_hours(1))
    })
}

impl BrokenContextGiven {
    /// How broken context is found, if that is asked for.
    pub(super) fn read(
        self,
        parser: &mut Parser<'_>,
        environment: &Environment,
        position: Position,
    ) -> Option<BrokenContextConfig> {
        if !self.is_on {
            for option in self.others {
                refuse_idle(parser, option, "it needs 'find_broken: on'");
            }
            return None;
        }
        if !environment.hub.has_emitter() {
            parser.problem(missing_emitter(&environment.host_release));
        }
        Some(BrokenContextConfig {
            window: self.window,
            tolerance: self.tolerance,
            max_bytes: self.max_memory,
            temporality: self.temporality,
            interval: INTERVAL,
            position,
        })
    }
}

/// The finder, shared between the filter and the inputs that drain it.
pub(super) struct BrokenContext {
    finder: Mutex<BrokenContextFinder>,
    broken: [Counter; BrokenKind::ALL.len()],
    examined: Counter,
    unexamined: [Counter; Unexamined::ALL.len()],
    late: Counter,
    held_bytes: Counter,
}

impl BrokenContext {
    /// Starts it, and lets the inputs drain it.
    pub(super) fn start(config: BrokenContextConfig, environment: &Environment) -> Arc<Self> {
        let counters = &environment.counters;
        let finder = BrokenContextFinder::new(config, clock::now(), clock::unix_nanos());
        let broken_context = Arc::new(Self {
            finder: Mutex::new(finder),
            broken: BrokenKind::ALL.map(|kind| counters.counter(BROKEN, &[kind.name()])),
            examined: counters.counter(EXAMINED, &[]),
            unexamined: Unexamined::ALL.map(|why| counters.counter(UNEXAMINED, &[why.name()])),
            late: counters.counter(LATE, &[]),
            held_bytes: counters.counter(HELD_BYTES, &[]),
        });
        let source = Arc::clone(&broken_context) as Arc<dyn TelemetrySource>;
        environment.hub.add_source(source);
        broken_context
    }

    /// Looks at the spans of a chunk.
    pub(super) fn on_chunk(&self, tag: &[u8], chunk: &[u8]) {
        let mut finder = self.finder.lock();
        finder.on_chunk(tag, chunk, clock::now());
        self.show(&finder);
    }

    fn show(&self, finder: &BrokenContextFinder) {
        let tally = finder.tally();
        for (counter, value) in self.broken.iter().zip(tally.broken) {
            counter.set(value);
        }
        for (counter, value) in self.unexamined.iter().zip(tally.unexamined) {
            counter.set(value);
        }
        self.examined.set(tally.examined);
        self.late.set(tally.late_spans);
        self.held_bytes.set(u64::try_from(finder.held_bytes()).unwrap_or(u64::MAX));
    }
}

impl TelemetrySource for BrokenContext {
    fn take(&self, drain: Drain, now: Tick, unix_nanos: u64) -> Vec<Emission> {
        let mut finder = self.finder.lock();
        let emissions = finder.take(drain == Drain::Everything, now, unix_nanos);
        self.show(&finder);
        emissions
    }

    fn put_back(&self, emission: Emission) {
        self.finder.lock().put_back(emission);
    }
}
