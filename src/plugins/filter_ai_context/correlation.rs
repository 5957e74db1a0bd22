//! Correlation by ids as the filter `ai_context` runs it: its options, its numbers, and its way into the
//! pipeline.

use std::sync::Arc;
use std::time::Duration;

use super::inheritance::Inheritance;
use super::stage_options::{named, refuse_idle};
use crate::clock::{self, Tick};
use crate::config::read::{self, Read};
use crate::config::{Parser, parse_duration};
use crate::correlation::{CorrelationConfig, Correlator, IdKeys, IdKind, Unmatched};
use crate::hub::{Drain, TelemetrySource};
use crate::model::{Emission, Position};
use crate::plugin::{Environment, OptionSpec};
use crate::plugins::derived::missing_emitter::missing_emitter;
use crate::stats::{Counter, CounterFamily};
use crate::sync::Mutex;

const RECEIVED: CounterFamily = CounterFamily::counter(
    "correlation_received_logs_total",
    "Logs without a trace that have an id of those that correlate_by and correlate_keys name",
    &[],
);
const MATCHED: CounterFamily = CounterFamily::counter(
    "correlation_matched_logs_total",
    "Logs that got the ids of the trace whose span carries their id: at_once, or late, after they had \
     waited",
    &["when"],
);
const UNMATCHED: CounterFamily = CounterFamily::counter(
    "correlation_unmatched_logs_total",
    "Logs that went on as they were: expired (no span in the window), ambiguous (several traces share \
     the id), memory (there was none to wait in), shutdown (the pipeline ended while they waited)",
    &["reason"],
);
const HELD: CounterFamily =
    CounterFamily::gauge("correlation_held_logs", "Logs that wait for their span", &[]);
const HELD_BYTES: CounterFamily = CounterFamily::gauge(
    "correlation_held_bytes",
    "Memory of logs that wait and of what is remembered of spans",
    &[],
);
const FORGOTTEN: CounterFamily = CounterFamily::counter(
    "correlation_forgotten_ids_total",
    "Ids of spans that were forgotten before their time, because correlate_max_memory was reached",
    &[],
);

/// What is given of the options.
pub(super) struct CorrelationGiven {
    pub(super) is_on: bool,
    pub(super) kinds: Vec<IdKind>,
    pub(super) keys: Vec<String>,
    pub(super) window: Duration,
    pub(super) max_memory: usize,
    pub(super) copies_metadata: bool,
    /// The options that mean nothing without kinds and keys.
    pub(super) limits: [&'static OptionSpec; 2],
}

/// Kinds of ids.
pub(super) fn kinds(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<IdKind>> {
    named(parser, option, &IdKind::ALL, IdKind::name)
}

/// Keys of ids.
pub(super) fn keys(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<String>> {
    let keys = read::list(parser, option)?;
    for key in keys.iter().filter(|key| !IdKeys::is_usable(key)) {
        parser.refuse(option.name, key, "allowed: a key with letters or digits, such as order.id");
    }
    Some(keys)
}

/// How long logs wait.
pub(super) fn window(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    let range = Duration::from_secs(1)..=Duration::from_secs(600);
    parser.value(option, "allowed: a duration from 1s to 10m", |text| {
        parse_duration(text).filter(|window| range.contains(window))
    })
}

impl CorrelationGiven {
    /// How to correlate by ids, if that is asked for.
    pub(super) fn read(
        self,
        parser: &mut Parser<'_>,
        environment: &Environment,
        position: Position,
    ) -> Option<CorrelationConfig> {
        if self.kinds.is_empty() && self.keys.is_empty() {
            for option in self.limits {
                refuse_idle(parser, option, "it needs 'correlate_by' or 'correlate_keys'");
            }
            return None;
        }
        if !self.is_on {
            parser.problem("options 'correlate_by' and 'correlate_keys' need 'correlate: on'");
        }
        if self.copies_metadata {
            parser.problem(
                "option 'copy_metadata': beside 'correlate_by' and 'correlate_keys' it would copy what \
                 a log says before it has its trace; set it in another ai_context after this one, with \
                 'normalize: off' and 'correlate: off'",
            );
        }
        if !environment.hub.has_emitter() {
            parser.problem(missing_emitter(&environment.host_release));
        }
        let keys = IdKeys::new(&self.kinds, &self.keys, position.run);
        Some(CorrelationConfig { keys, window: self.window, max_bytes: self.max_memory, position })
    }
}

/// The correlator, shared between the filter and the inputs that drain it.
pub(super) struct Correlation {
    correlator: Mutex<Correlator>,
    /// What logs inherit that leave late.
    inheritance: Option<Arc<Inheritance>>,
    received: Counter,
    at_once: Counter,
    late: Counter,
    unmatched: [Counter; Unmatched::ALL.len()],
    held: Counter,
    held_bytes: Counter,
    forgotten: Counter,
}

impl Correlation {
    /// Starts one, and lets the inputs drain it.
    pub(super) fn start(
        config: CorrelationConfig,
        inheritance: Option<Arc<Inheritance>>,
        environment: &Environment,
    ) -> Arc<Self> {
        let counters = &environment.counters;
        let correlation = Arc::new(Self {
            correlator: Mutex::new(Correlator::new(config)),
            inheritance,
            received: counters.counter(RECEIVED, &[]),
            at_once: counters.counter(MATCHED, &["at_once"]),
            late: counters.counter(MATCHED, &["late"]),
            unmatched: Unmatched::ALL.map(|why| counters.counter(UNMATCHED, &[why.name()])),
            held: counters.counter(HELD, &[]),
            held_bytes: counters.counter(HELD_BYTES, &[]),
            forgotten: counters.counter(FORGOTTEN, &[]),
        });
        environment.hub.add_source(Arc::clone(&correlation) as Arc<dyn TelemetrySource>);
        correlation
    }

    /// Places the logs of a chunk and looks at its spans; gives what is left of the chunk if anything
    /// changed.
    pub(super) fn on_chunk(&self, tag: &[u8], chunk: &[u8]) -> Option<Vec<u8>> {
        let mut correlator = self.correlator.lock();
        let changed = correlator.on_chunk(tag, chunk, clock::now());
        self.show(&correlator);
        changed
    }

    fn show(&self, correlator: &Correlator) {
        let tally = correlator.tally();
        self.received.set(tally.received);
        self.at_once.set(tally.matched_at_once);
        self.late.set(tally.matched_late);
        for (counter, value) in self.unmatched.iter().zip(tally.unmatched) {
            counter.set(value);
        }
        self.held.set(tally.held);
        self.held_bytes.set(u64::try_from(correlator.held_bytes()).unwrap_or(u64::MAX));
        self.forgotten.set(tally.forgotten_ids);
    }
}

impl TelemetrySource for Correlation {
    fn take(&self, drain: Drain, now: Tick, _unix_nanos: u64) -> Vec<Emission> {
        let mut correlator = self.correlator.lock();
        let leaving = correlator.take(drain == Drain::Everything, now);
        self.show(&correlator);
        drop(correlator);
        match &self.inheritance {
            Some(inheritance) => {
                leaving.into_iter().map(|logs| inheritance.on_late_logs(logs)).collect()
            }
            None => leaving,
        }
    }

    fn put_back(&self, emission: Emission) {
        let mut correlator = self.correlator.lock();
        correlator.put_back(emission);
        self.show(&correlator);
    }
}
