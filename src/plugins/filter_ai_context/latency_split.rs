//! The latency split as the filter `ai_context` runs it: its options, its numbers, and its way into the
//! pipeline.

use std::sync::Arc;
use std::time::Duration;

use super::stage_options::refuse_idle;
use crate::clock::{self, Tick};
use crate::config::read::Read;
use crate::config::{Parser, parse_duration};
use crate::correlation::{LatencyConfig, LatencySplitter, SplitOutcome};
use crate::hub::{Drain, TelemetrySource};
use crate::model::{Emission, Position};
use crate::plugin::{Environment, OptionSpec};
use crate::plugins::derived::missing_emitter::missing_emitter;
use crate::stats::{Counter, CounterFamily};
use crate::sync::Mutex;

const SPANS: CounterFamily = CounterFamily::counter(
    "latency_split_spans_total",
    "Spans of model calls by what the split told of them: whole, partial (the rest of the duration is not \
     known), other_span (another span of the call tells more), alone (no span of a gateway or model \
     server below it came), contradiction (a span took longer than the one around it), forgotten (its trace \
     was)",
    &["result"],
);
const FORGOTTEN: CounterFamily = CounterFamily::counter(
    "latency_split_forgotten_total",
    "What was not remembered: trace (split_latency_max_memory was reached), span (its trace has more than \
     2048), wait (spans of model calls that found no memory to wait in)",
    &["what"],
);
const HELD: CounterFamily = CounterFamily::gauge(
    "latency_split_held_spans",
    "Spans of model calls that wait for spans of gateways and model servers",
    &[],
);
const HELD_BYTES: CounterFamily = CounterFamily::gauge(
    "latency_split_held_bytes",
    "Memory of spans that wait and of what is remembered of traces",
    &[],
);

/// What is given of the options.
pub(super) struct LatencyGiven {
    pub(super) is_on: bool,
    pub(super) wait: Duration,
    pub(super) max_memory: usize,
    /// How long spans wait that lack what they could inherit.
    pub(super) inherit_wait: Duration,
    /// The options that mean nothing if it is off.
    pub(super) others: [&'static OptionSpec; 2],
}

/// How long spans wait.
pub(super) fn wait(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    let range = Duration::from_secs(1)..=Duration::from_mins(5);
    parser.value(option, "allowed: a duration from 1s to 5m", |text| {
        parse_duration(text).filter(|wait| range.contains(wait))
    })
}

impl LatencyGiven {
    /// How latency is split, if that is asked for.
    pub(super) fn read(
        self,
        parser: &mut Parser<'_>,
        environment: &Environment,
        position: Position,
    ) -> Option<LatencyConfig> {
        if !self.is_on {
            for option in self.others {
                refuse_idle(parser, option, "it needs 'split_latency: on'");
            }
            return None;
        }
        if !self.inherit_wait.is_zero() && self.inherit_wait < self.wait {
            parser.problem(
                "option 'inherit_wait': a span waits once only; allowed beside 'split_latency': 0s, or at \
                 least split_latency_wait",
            );
        }
        if !environment.hub.has_emitter() {
            parser.problem(missing_emitter(&environment.host_release));
        }
        let longest = self.wait.max(self.inherit_wait);
        Some(LatencyConfig {
            wait: self.wait,
            window: longest.saturating_mul(2),
            max_bytes: self.max_memory,
            position,
        })
    }
}

/// The splitter, shared between the filter, the spans that inheritance emits late, and the inputs that
/// drain it.
pub(super) struct LatencySplit {
    splitter: Mutex<LatencySplitter>,
    outcomes: [Counter; SplitOutcome::ALL.len()],
    traces: Counter,
    spans: Counter,
    unheld: Counter,
    held: Counter,
    held_bytes: Counter,
}

impl LatencySplit {
    /// Starts it, and lets the inputs drain it.
    pub(super) fn start(config: LatencyConfig, environment: &Environment) -> Arc<Self> {
        let counters = &environment.counters;
        let forgotten = |what: &str| counters.counter(FORGOTTEN, &[what]);
        let split = Arc::new(Self {
            splitter: Mutex::new(LatencySplitter::new(config)),
            outcomes: SplitOutcome::ALL.map(|result| counters.counter(SPANS, &[result.name()])),
            traces: forgotten("trace"),
            spans: forgotten("span"),
            unheld: forgotten("wait"),
            held: counters.counter(HELD, &[]),
            held_bytes: counters.counter(HELD_BYTES, &[]),
        });
        environment.hub.add_source(Arc::clone(&split) as Arc<dyn TelemetrySource>);
        split
    }

    /// Remembers the spans of a chunk.
    pub(super) fn look(&self, chunk: &[u8]) {
        self.splitter.lock().look(chunk, clock::now());
    }

    /// Holds the spans of model calls of a chunk; gives what is left of the chunk if anything changed.
    pub(super) fn hold(&self, tag: &[u8], chunk: &[u8]) -> Option<Vec<u8>> {
        let mut splitter = self.splitter.lock();
        let changed = splitter.hold(tag, chunk, clock::now());
        self.show(&splitter);
        changed
    }

    /// Puts the parts on spans that were held for something else.
    pub(super) fn on_late_spans(&self, emission: Emission) -> Emission {
        let mut splitter = self.splitter.lock();
        let emission = splitter.on_late_spans(emission);
        self.show(&splitter);
        emission
    }

    fn show(&self, splitter: &LatencySplitter) {
        let tally = splitter.tally();
        for (counter, value) in self.outcomes.iter().zip(tally.outcomes) {
            counter.set(value);
        }
        self.traces.set(tally.forgotten_traces);
        self.spans.set(tally.forgotten_spans);
        self.unheld.set(tally.unheld_spans);
        self.held.set(tally.held);
        self.held_bytes.set(u64::try_from(splitter.held_bytes()).unwrap_or(u64::MAX));
    }
}

impl TelemetrySource for LatencySplit {
    fn take(&self, drain: Drain, now: Tick, _unix_nanos: u64) -> Vec<Emission> {
        let mut splitter = self.splitter.lock();
        let leaving = splitter.take(drain == Drain::Everything, now);
        self.show(&splitter);
        leaving
    }

    fn put_back(&self, emission: Emission) {
        let mut splitter = self.splitter.lock();
        splitter.put_back(emission);
        self.show(&splitter);
    }
}
