//! Inheritance as the filter `ai_context` runs it: its options, its numbers, and its way into the
//! pipeline.

use std::sync::Arc;
use std::time::Duration;

use super::latency_split::LatencySplit;
use super::stage_options::{named, refuse_idle};
use crate::clock::{self, Tick};
use crate::config::read::{self, Read};
use crate::config::{Parser, parse_duration};
use crate::correlation::{InheritConfig, InheritedFields, InheritedKind, Inheritor};
use crate::hub::{Drain, TelemetrySource};
use crate::model::{Emission, Position};
use crate::plugin::{Environment, OptionSpec};
use crate::plugins::derived::missing_emitter::missing_emitter;
use crate::stats::{Counter, CounterFamily};
use crate::sync::Mutex;

const INHERITED: CounterFamily = CounterFamily::counter(
    "inherited_attributes_total",
    "Attributes that spans and logs got because another span of their trace says them",
    &["kind"],
);
const CONFLICTS: CounterFamily = CounterFamily::counter(
    "inheritance_conflicts_total",
    "How often a span or log got no value because its trace says several, and no span above it says \
     which",
    &["kind"],
);
const FORGOTTEN: CounterFamily = CounterFamily::counter(
    "inheritance_forgotten_total",
    "What was not remembered: trace (inherit_max_memory was reached), span (its trace has more than 1024), \
     value (too long, or too many in one trace), wait (spans that found no memory to wait in)",
    &["what"],
);
const HELD: CounterFamily =
    CounterFamily::gauge("inheritance_held_spans", "Spans that wait for what others say", &[]);
const HELD_BYTES: CounterFamily = CounterFamily::gauge(
    "inheritance_held_bytes",
    "Memory of spans that wait and of what is remembered of traces",
    &[],
);

/// What is given of the options.
pub(super) struct InheritGiven {
    pub(super) kinds: Vec<InheritedKind>,
    pub(super) tenant_keys: Vec<String>,
    pub(super) window: Duration,
    pub(super) wait: Duration,
    pub(super) max_memory: usize,
    pub(super) copies_metadata: bool,
    /// The options that mean nothing without kinds.
    pub(super) others: [&'static OptionSpec; 4],
}

/// Kinds of attributes.
pub(super) fn kinds(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<InheritedKind>> {
    named(parser, option, &InheritedKind::ALL, InheritedKind::name)
}

/// Keys of the tenant.
pub(super) fn tenant_keys(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Vec<String>> {
    let keys = read::list(parser, option)?;
    if keys.is_empty() || keys.len() > InheritedFields::MAX_TENANT_KEYS {
        let given = parser.text(option.name).unwrap_or_default();
        parser.refuse(option.name, given, "allowed: one to eight keys, such as tenant.id");
    }
    Some(keys)
}

/// How long a trace is remembered.
pub(super) fn window(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    let range = Duration::from_secs(1)..=Duration::from_hours(1);
    parser.value(option, "allowed: a duration from 1s to 1h", |text| {
        parse_duration(text).filter(|window| range.contains(window))
    })
}

/// How long spans wait.
pub(super) fn wait(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    parser.value(option, "allowed: a duration up to 5m, 0s for no wait", |text| {
        parse_duration(text).filter(|wait| *wait <= Duration::from_mins(5))
    })
}

impl InheritGiven {
    /// How attributes are inherited, if that is asked for.
    pub(super) fn read(
        self,
        parser: &mut Parser<'_>,
        environment: &Environment,
        position: Position,
    ) -> Option<InheritConfig> {
        if self.kinds.is_empty() {
            for option in self.others {
                refuse_idle(parser, option, "it needs 'inherit'");
            }
            return None;
        }
        let [tenant_keys, ..] = self.others;
        if !self.kinds.contains(&InheritedKind::Tenant) {
            refuse_idle(parser, tenant_keys, "it needs 'inherit: tenant'");
        }
        if self.wait >= self.window {
            parser.problem(
                "option 'inherit_wait': what waits is to know what its trace says; allowed: less than \
                 inherit_window",
            );
        }
        if self.copies_metadata {
            parser.problem(
                "option 'copy_metadata': beside 'inherit' it would copy what a log says before it \
                 inherits; set it in another ai_context after this one, with 'normalize: off' and \
                 'correlate: off'",
            );
        }
        if !self.wait.is_zero() && !environment.hub.has_emitter() {
            parser.problem(missing_emitter(&environment.host_release));
        }
        Some(InheritConfig {
            fields: InheritedFields::new(&self.kinds, &self.tenant_keys),
            window: self.window,
            wait: self.wait,
            max_bytes: self.max_memory,
            position,
        })
    }
}

/// The inheritor, shared between the filter, the logs that correlation emits late, and the inputs that
/// drain it.
pub(super) struct Inheritance {
    inheritor: Mutex<Inheritor>,
    /// What spans get that leave late.
    latency: Option<Arc<LatencySplit>>,
    inherited: [Counter; InheritedKind::ALL.len()],
    conflicts: [Counter; InheritedKind::ALL.len()],
    traces: Counter,
    spans: Counter,
    values: Counter,
    unheld: Counter,
    held: Counter,
    held_bytes: Counter,
}

impl Inheritance {
    /// Starts it, and if spans wait, lets the inputs drain it.
    pub(super) fn start(
        config: InheritConfig,
        latency: Option<Arc<LatencySplit>>,
        environment: &Environment,
    ) -> Arc<Self> {
        let counters = &environment.counters;
        let waits = !config.wait.is_zero();
        let forgotten = |what: &str| counters.counter(FORGOTTEN, &[what]);
        let inheritance = Arc::new(Self {
            inheritor: Mutex::new(Inheritor::new(config)),
            latency,
            inherited: InheritedKind::ALL.map(|kind| counters.counter(INHERITED, &[kind.name()])),
            conflicts: InheritedKind::ALL.map(|kind| counters.counter(CONFLICTS, &[kind.name()])),
            traces: forgotten("trace"),
            spans: forgotten("span"),
            values: forgotten("value"),
            unheld: forgotten("wait"),
            held: counters.counter(HELD, &[]),
            held_bytes: counters.counter(HELD_BYTES, &[]),
        });
        if waits {
            let source = Arc::clone(&inheritance) as Arc<dyn TelemetrySource>;
            environment.hub.add_source(source);
        }
        inheritance
    }

    /// Gives the items of a chunk what they inherit; gives what is left of the chunk if anything changed.
    pub(super) fn on_chunk(&self, tag: &[u8], chunk: &[u8]) -> Option<Vec<u8>> {
        let mut inheritor = self.inheritor.lock();
        let changed = inheritor.on_chunk(tag, chunk, clock::now());
        self.show(&inheritor);
        changed
    }

    /// The same for logs that were found their trace late.
    pub(super) fn on_late_logs(&self, emission: Emission) -> Emission {
        let mut inheritor = self.inheritor.lock();
        let emission = inheritor.on_late_logs(emission);
        self.show(&inheritor);
        emission
    }

    fn show(&self, inheritor: &Inheritor) {
        let tally = inheritor.tally();
        for (counter, value) in self.inherited.iter().zip(tally.attributes) {
            counter.set(value);
        }
        for (counter, value) in self.conflicts.iter().zip(tally.conflicts) {
            counter.set(value);
        }
        self.traces.set(tally.forgotten_traces);
        self.spans.set(tally.forgotten_spans);
        self.values.set(tally.forgotten_values);
        self.unheld.set(tally.unheld_spans);
        self.held.set(tally.held);
        self.held_bytes.set(u64::try_from(inheritor.held_bytes()).unwrap_or(u64::MAX));
    }
}

impl TelemetrySource for Inheritance {
    fn take(&self, drain: Drain, now: Tick, _unix_nanos: u64) -> Vec<Emission> {
        let mut inheritor = self.inheritor.lock();
        let leaving = inheritor.take(drain == Drain::Everything, now);
        self.show(&inheritor);
        drop(inheritor);
        match &self.latency {
            Some(latency) => {
                leaving.into_iter().map(|spans| latency.on_late_spans(spans)).collect()
            }
            None => leaving,
        }
    }

    fn put_back(&self, emission: Emission) {
        let mut inheritor = self.inheritor.lock();
        inheritor.put_back(emission);
        self.show(&inheritor);
    }
}
