//! TailSampling sampling as the filter `ai_sampling` runs it: its numbers, its lines in the log, and its way
//! into the pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::counters::{
    DROPPED, KEPT, NO_TRACE_ID, NOT_SAMPLED, RECEIVED, SESSION, SESSION_OUTCOMES,
};
use crate::clock::Tick;
use crate::condition::NoAnswer;
use crate::hub::{Drain, TelemetrySource};
use crate::model::Emission;
use crate::plugin::{Chunk, Environment};
use crate::sampling::policy::{Policy, PolicyAction};
use crate::sampling::{TailSampler, TailTally, Unanswered};
use crate::stats::{Counter, CounterFamily, Counters, Log};
use crate::sync::{Mutex, MutexGuard};

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
const CONDITION_ERRORS: CounterFamily = CounterFamily::counter(
    "condition_errors_total",
    "Traces for which the expression of a policy had no answer, so that it did not match",
    &["policy", "reason"],
);
const UNANSWERED_SPANS: CounterFamily = CounterFamily::counter(
    "condition_error_spans_total",
    "Spans of traces for which the expression of a policy had no answer, by what became of them",
    &["policy", "decision"],
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
/// The sampler, shared between the filter and the inputs that drain it.
pub(super) struct TailSampling {
    sampler: Mutex<TailSampler>,
    numbers: TailNumbers,
    expressions: Vec<Expression>,
    log: Arc<Log>,
}

struct TailNumbers {
    received: Counter,
    kept: Vec<Counter>,
    untraced: Counter,
    dropped: Vec<Counter>,
    held_spans: Counter,
    held_bytes: Counter,
    early: [Counter; 3],
    late: [Counter; 2],
    /// Of adaptive samplers, by their index.
    adaptive: Vec<(usize, [Counter; 2])>,
    sessions: [Counter; 2],
}

impl TailSampling {
    pub(super) fn new(sampler: TailSampler, environment: &Environment) -> Self {
        let counters = &environment.counters;
        let policies = sampler.policies().list();
        let names = || policies.iter().map(|policy| policy.name.as_str());
        let kept = names().map(|name| counters.counter(KEPT, &[name])).collect();
        let dropped = [NOT_SAMPLED].into_iter().chain(names());
        let expressions = policies
            .iter()
            .enumerate()
            .filter(|(_, policy)| policy.rule.has_cel())
            .map(|(index, policy)| Expression::new(index, policy, counters))
            .collect();
        let adaptive = policies.iter().filter_map(|policy| {
            let of = |family| counters.counter(family, &[&policy.name]);
            Some((policy.rule.adaptive_sampler()?, [ADAPTIVE_KEYS, ADAPTIVE_BEYOND].map(of)))
        });
        let numbers = TailNumbers {
            adaptive: adaptive.collect(),
            received: counters.counter(RECEIVED, &[]),
            kept,
            untraced: counters.counter(KEPT, &[NO_TRACE_ID]),
            dropped: dropped.map(|name| counters.counter(DROPPED, &[name])).collect(),
            held_spans: counters.counter(HELD_SPANS, &[]),
            held_bytes: counters.counter(HELD_BYTES, &[]),
            early: ["certain", "buffer_full", "shutdown"]
                .map(|reason| counters.counter(EARLY, &[reason])),
            late: ["kept", "dropped"].map(|decision| counters.counter(LATE, &[decision])),
            sessions: SESSION_OUTCOMES.map(|outcome| counters.counter(SESSION, &[outcome])),
        };
        let log = Arc::clone(&environment.log);
        Self { sampler: Mutex::new(sampler), numbers, expressions, log }
    }

    fn lock(&self) -> MutexGuard<'_, TailSampler> {
        self.sampler.lock()
    }

    /// Takes the spans of a chunk into the buffer; gives what is left of the chunk, if anything was
    /// taken.
    pub(super) fn on_chunk(&self, chunk: Chunk<'_>, now: Tick) -> Option<Vec<u8>> {
        let mut sampler = self.lock();
        let changed = sampler.on_chunk(chunk.tag, chunk.bytes, now);
        self.show(&sampler);
        changed
    }

    fn show(&self, sampler: &TailSampler) {
        self.numbers.show(sampler);
        let unanswered = &sampler.tally().unanswered;
        for expression in &self.expressions {
            if let Some(tally) = unanswered.get(expression.index) {
                expression.show(tally, &self.log);
            }
        }
    }
}

impl TailNumbers {
    fn show(&self, sampler: &TailSampler) {
        let tally: &TailTally = sampler.tally();
        self.received.set(tally.received);
        for (counter, value) in self.kept.iter().zip(&tally.kept) {
            counter.set(*value);
        }
        self.untraced.set(tally.untraced);
        for (counter, value) in self.dropped.iter().zip(&tally.dropped) {
            counter.set(*value);
        }
        self.held_spans.set(tally.held);
        self.held_bytes.set(u64::try_from(sampler.held_bytes()).unwrap_or(u64::MAX));
        for (index, [keys, beyond]) in &self.adaptive {
            if let Some(adaptive) = sampler.adaptive().get(*index) {
                keys.set(adaptive.keys() as u64);
                beyond.set(adaptive.beyond());
            }
        }
        let early = [tally.early_certain, tally.early_full, tally.early_shutdown];
        for (counter, value) in self.early.iter().zip(early) {
            counter.set(value);
        }
        let of_sessions = [tally.of_sessions, tally.against_sessions];
        self.sessions.iter().zip(of_sessions).for_each(|(counter, value)| counter.set(value));
        for (counter, value) in self.late.iter().zip([tally.late_kept, tally.late_dropped]) {
            counter.set(value);
        }
    }
}

/// What is told of a policy with an expression that may have no answer.
struct Expression {
    index: usize,
    name: String,
    action: PolicyAction,
    traces: [Counter; NoAnswer::ALL.len()],
    kept_spans: Counter,
    dropped_spans: Counter,
    /// How many traces there were at the last line of the log.
    logged: AtomicU64,
}

impl Expression {
    fn new(index: usize, policy: &Policy, counters: &Counters) -> Self {
        let spans = |decision| counters.counter(UNANSWERED_SPANS, &[&policy.name, decision]);
        Self {
            index,
            name: policy.name.clone(),
            action: policy.action,
            traces: NoAnswer::ALL
                .map(|reason| counters.counter(CONDITION_ERRORS, &[&policy.name, reason.name()])),
            kept_spans: spans("kept"),
            dropped_spans: spans("dropped"),
            logged: AtomicU64::new(0),
        }
    }

    /// Counts, and says in the log at the first trace and whenever their number has doubled.
    fn show(&self, tally: &Unanswered, log: &Log) {
        self.traces.iter().zip(tally.traces).for_each(|(counter, value)| counter.set(value));
        self.kept_spans.set(tally.kept_spans);
        self.dropped_spans.set(tally.dropped_spans);
        let total = tally.total();
        let logged = self.logged.load(Ordering::Relaxed);
        if total == 0 || total < logged.saturating_mul(2) {
            return;
        }
        self.logged.store(total, Ordering::Relaxed);
        let does = match self.action {
            PolicyAction::Keep => "keeps",
            PolicyAction::Drop => "drops",
        };
        log.warn(format!(
            "policy '{}' has no answer for {total} traces so far ({}); it {does} none of them: {} of \
             their spans were dropped, {} were kept by other policies",
            self.name, tally.reason, tally.dropped_spans, tally.kept_spans
        ));
    }
}

impl TelemetrySource for TailSampling {
    fn take(&self, drain: Drain, now: Tick, _unix_nanos: u64) -> Vec<Emission> {
        let mut sampler = self.lock();
        let released = sampler.take(drain == Drain::Everything, now);
        self.show(&sampler);
        released
    }

    fn put_back(&self, emission: Emission) {
        let mut sampler = self.lock();
        sampler.put_back(emission);
        self.show(&sampler);
    }
}
