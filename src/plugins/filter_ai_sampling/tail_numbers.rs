//! The numbers of tail sampling.

use std::sync::Arc;

use super::counted::Counted;
use super::counters::{
    DROPPED, DRY_RUN, FLEET_SIZE, KEPT, NO_TRACE_ID, NOT_SAMPLED, RECEIVED, SESSION,
    SESSION_OUTCOMES,
};
use super::tenant_numbers::TenantNumbers;
use crate::sampling::{TailTally, Volume};
use crate::stats::{Counter, CounterFamily, Counters};

const HELD_SPANS: CounterFamily =
    CounterFamily::gauge("held_spans", "Spans that wait for a decision", &[]);
const HELD_BYTES: CounterFamily =
    CounterFamily::gauge("held_bytes", "Memory of the spans that wait", &[]);
const EARLY: CounterFamily = CounterFamily::counter(
    "early_decisions_total",
    "Traces decided before the decision wait was over",
    &["reason"],
);
const LATE: CounterFamily = CounterFamily::counter(
    "late_spans_total",
    "Spans that came after the decision about their trace",
    &["decision"],
);
const PROLONGED: CounterFamily = CounterFamily::counter(
    "prolonged_waits_total",
    "Traces that waited longer than the decision wait, because traces like them go on for longer",
    &[],
);
const SHED: CounterFamily = CounterFamily::counter(
    "shed_traces_total",
    "Traces decided by chance at once, because they began while the buffer was full",
    &["decision"],
);
const PREDICTED_SPANS: CounterFamily = CounterFamily::counter(
    "predicted_spans_total",
    "Spans that a dry run let through, by what would have become of them",
    &["decision", "policy"],
);
const PREDICTED_BYTES: CounterFamily = CounterFamily::counter(
    "predicted_bytes_total",
    "Bytes of the spans that a dry run let through, by what would have become of them",
    &["decision", "policy"],
);
const COMPARED: CounterFamily = CounterFamily::counter(
    "compared_traces_total",
    "Traces decided while policies of a changed file were compared, by what these said",
    &["outcome"],
);
const ADAPTIVE_KEYS: CounterFamily = CounterFamily::gauge(
    "adaptive_keys",
    "Keys that the adaptive sampler of a policy tells apart",
    &["policy"],
);
const ADAPTIVE_BEYOND: CounterFamily = CounterFamily::counter(
    "adaptive_beyond_max_keys_total",
    "Traces for whose key an adaptive sampler had no room, so that they share a rate",
    &["policy"],
);

/// What tail sampling counts, as the host shows it.
pub(super) struct TailNumbers {
    counters: Arc<Counters>,
    received: Counter,
    kept: Vec<Counter>,
    untraced: Counter,
    dropped: Vec<Counter>,
    held_spans: Counter,
    held_bytes: Counter,
    early: [Counter; 5],
    prolonged: Counter,
    shed: [Counter; 2],
    late: [Counter; 2],
    sessions: [Counter; 2],
    compared: [Counter; 3],
    predicted: Predicted,
    adaptive: Adaptive,
    fleet_size: Counter,
    /// From when a policy shares a goal among tenants.
    tenants: Option<TenantNumbers>,
}

/// What adaptive samplers count.
#[derive(Default)]
struct Adaptive {
    /// Of which policies they are; `None` before the first.
    generation: Option<u32>,
    /// Of policies that have one, by their index.
    counters: Vec<(usize, [Counter; 2])>,
}

/// What a dry run counts. The host takes new families at the start alone, and a file may ask for a dry run later;
/// policies get their series when there is one.
struct Predicted {
    let_through: Counter,
    kept: Vec<[Counter; 2]>,
    dropped: Vec<[Counter; 2]>,
}

impl TailNumbers {
    pub(super) fn new(counters: &Arc<Counters>) -> Self {
        let of = |family| move |label: &str| counters.counter(family, &[label]);
        Self {
            received: counters.counter(RECEIVED, &[]),
            kept: Vec::new(),
            untraced: counters.counter(KEPT, &[NO_TRACE_ID]),
            dropped: vec![counters.counter(DROPPED, &[NOT_SAMPLED])],
            held_spans: counters.counter(HELD_SPANS, &[]),
            held_bytes: counters.counter(HELD_BYTES, &[]),
            early: ["certain", "buffer_full", "shutdown", "trace_limit", "provisional"]
                .map(of(EARLY)),
            prolonged: counters.counter(PROLONGED, &[]),
            shed: ["keep", "drop"].map(of(SHED)),
            late: ["kept", "dropped"].map(of(LATE)),
            sessions: SESSION_OUTCOMES.map(of(SESSION)),
            compared: ["alike", "kept_instead", "dropped_instead"].map(of(COMPARED)),
            predicted: Predicted::new(counters),
            adaptive: Adaptive::default(),
            fleet_size: counters.counter(FLEET_SIZE, &[]),
            tenants: None,
            counters: Arc::clone(counters),
        }
    }

    /// Shows what a sampler counts; policies that are new get counters of their own.
    pub(super) fn show(&mut self, sampler: &mut dyn Counted) {
        self.show_tenants(sampler);
        let sampler = &*sampler;
        self.fleet_size.set(sampler.fleet_size().into());
        let tally: &TailTally = sampler.tally();
        for name in sampler.names().iter().skip(self.kept.len()) {
            self.kept.push(self.counters.counter(KEPT, &[name]));
            self.dropped.push(self.counters.counter(DROPPED, &[name]));
        }
        self.received.set(tally.received);
        set(&self.kept, &tally.kept);
        self.untraced.set(tally.untraced);
        set(&self.dropped, &tally.dropped);
        self.held_spans.set(tally.held);
        self.held_bytes.set(u64::try_from(sampler.held_bytes()).unwrap_or(u64::MAX));
        let early = [
            tally.early_certain,
            tally.early_full,
            tally.early_shutdown,
            tally.early_trace_limit,
            tally.early_provisional,
        ];
        set(&self.early, &early);
        self.prolonged.set(tally.prolonged);
        set(&self.shed, &[tally.shed_kept, tally.shed_dropped]);
        set(&self.sessions, &[tally.of_sessions, tally.against_sessions]);
        set(&self.late, &[tally.late_kept, tally.late_dropped]);
        set(&self.compared, &tally.compared);
        self.adaptive.show(sampler, &self.counters);
        if tally.dry_run > 0 {
            self.predicted.show(sampler, &self.counters);
        }
    }

    fn show_tenants(&mut self, sampler: &mut dyn Counted) {
        if self.tenants.is_none() && self.adaptive.generation != Some(sampler.generation()) {
            let Self { tenants, counters, .. } = self;
            sampler.with_policies(&mut |of| {
                let policies = of.policies();
                let mut names =
                    policies.with_tenants().map(|index| policies.name(index)).peekable();
                if names.peek().is_some() {
                    *tenants = Some(TenantNumbers::new(counters, names));
                }
            });
        }
        if let Some(tenants) = &mut self.tenants {
            sampler.take_tenants(&mut |policy, tenant, count| tenants.add(policy, tenant, count));
        }
    }
}

impl Adaptive {
    fn show(&mut self, sampler: &dyn Counted, counters: &Counters) {
        if self.generation.replace(sampler.generation()) != Some(sampler.generation()) {
            // Policies that went have none any more.
            self.counters.iter().for_each(|(_, [keys, _])| keys.set(0));
            let of = |name: &str| {
                [ADAPTIVE_KEYS, ADAPTIVE_BEYOND].map(|family| counters.counter(family, &[name]))
            };
            sampler.with_policies(&mut |sampler| {
                let policies = sampler.policies().list().iter().enumerate();
                let adaptive = policies.filter(|(_, it)| it.rule.adaptive_sampler().is_some());
                self.counters = adaptive.map(|(index, policy)| (index, of(&policy.name))).collect();
            });
        }
        for (policy, counters) in &self.counters {
            if let Some(keys) = sampler.adaptive(*policy) {
                set(counters, &[keys.known as u64, keys.beyond]);
            }
        }
    }
}

impl Predicted {
    fn new(counters: &Counters) -> Self {
        Self {
            let_through: counters.counter(KEPT, &[DRY_RUN]),
            kept: Vec::new(),
            dropped: vec![predicted(counters, "drop", NOT_SAMPLED)],
        }
    }

    fn show(&mut self, sampler: &dyn Counted, counters: &Counters) {
        for name in sampler.names().iter().skip(self.kept.len()) {
            self.kept.push(predicted(counters, "keep", name));
            self.dropped.push(predicted(counters, "drop", name));
        }
        let tally = sampler.tally();
        self.let_through.set(tally.dry_run);
        set_volumes(&self.kept, &tally.predicted_kept);
        set_volumes(&self.dropped, &tally.predicted_dropped);
    }
}

fn predicted(counters: &Counters, decision: &str, policy: &str) -> [Counter; 2] {
    [PREDICTED_SPANS, PREDICTED_BYTES].map(|family| counters.counter(family, &[decision, policy]))
}

fn set(counters: &[Counter], values: &[u64]) {
    counters.iter().zip(values).for_each(|(counter, value)| counter.set(*value));
}

fn set_volumes(counters: &[[Counter; 2]], volumes: &[Volume]) {
    for (counters, volume) in counters.iter().zip(volumes) {
        set(counters, &[volume.spans, volume.bytes]);
    }
}
