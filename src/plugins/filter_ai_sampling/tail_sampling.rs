//! Tail sampling as the filter `ai_sampling` runs it: its lines in the log, its policies as they change, and
//! its way into the pipeline.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::companions::CompanionNumbers;
use super::counted::Counted;
use super::fleet::FleetSizeFile;
use super::journal::{Journal, JournalEnvironment, JournalSettings};
use super::reload::ConfigFile;
use super::samplers::Samplers;
use super::tail_numbers::TailNumbers;
use crate::clock::{self, Tick};
use crate::condition::NoAnswer;
use crate::hub::{Drain, TelemetrySource};
use crate::model::Emission;
use crate::plugin::{Chunk, Environment};
use crate::sampling::policy::{Policy, PolicyAction};
use crate::sampling::{TailConfig, Unanswered};
use crate::stats::{Counter, CounterFamily, Counters, Log, LogLevel};
use crate::sync::Mutex;

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
const FILE_CHANGES: CounterFamily = CounterFamily::counter(
    "config_file_changes_total",
    "Changes of the config_file while the host ran, by what became of them",
    &["outcome"],
);

/// The sampler, shared between the filter and the inputs that drain it.
pub(super) struct TailSampling {
    state: Mutex<State>,
    counters: Arc<Counters>,
    log: Arc<Log>,
}

struct State {
    samplers: Samplers,
    numbers: TailNumbers,
    companions: CompanionNumbers,
    expressions: Vec<Expression>,
    /// Of which policies the expressions are.
    generation: u32,
    was_shedding: bool,
    file: Option<ConfigFile>,
    fleet_file: Option<FleetSizeFile>,
    /// Taken and refused.
    file_changes: [Counter; 2],
    journal: Journaling,
}

/// Where the journal stands.
enum Journaling {
    /// There is none, or it has ended.
    Off,
    /// It begins when the host runs.
    Due(Box<(JournalSettings, JournalEnvironment)>),
    On(Box<Journal>),
}

impl TailSampling {
    pub(super) fn new(
        mut samplers: Samplers,
        (file, fleet_file): (Option<ConfigFile>, Option<FleetSizeFile>),
        (journal, companions): (Option<JournalSettings>, CompanionNumbers),
        environment: &Environment,
    ) -> Self {
        let counters = Arc::clone(&environment.counters);
        let changes = |outcome| counters.counter(FILE_CHANGES, &[outcome]);
        let journal = journal.map_or(Journaling::Off, |settings| {
            Journaling::Due(Box::new((settings, JournalEnvironment::new(environment))))
        });
        let sampler = samplers.counted();
        let state = State {
            journal,
            numbers: TailNumbers::new(&counters),
            companions,
            expressions: expressions(sampler, &counters),
            generation: sampler.generation(),
            was_shedding: false,
            file,
            fleet_file,
            file_changes: ["taken", "refused"].map(changes),
            samplers,
        };
        let sampling =
            Self { state: Mutex::new(state), log: Arc::clone(&environment.log), counters };
        sampling.show(&mut sampling.state.lock());
        sampling
    }

    /// Takes the spans of a chunk into the buffer; gives what is left of the chunk, if anything was
    /// taken.
    pub(super) fn on_chunk(&self, chunk: Chunk<'_>, now: Tick) -> Option<Vec<u8>> {
        let mut state = self.state.lock();
        state.begin_journal(&self.log);
        let changed = state.samplers.on_chunk(chunk.tag, chunk.bytes, now);
        state.write_journal(false, now);
        self.show(&mut state);
        changed
    }

    /// Takes the configuration anew if its file has changed. A file with mistakes is told of, and what it
    /// said before holds.
    fn reload(&self, state: &mut State, now: Tick) {
        let Some(file) = &mut state.file else { return };
        let Some(read) = file.changed(now) else { return };
        let name = file.name();
        let [taken, refused] = &state.file_changes;
        match read {
            Ok(configs) => {
                taken.add(1);
                let of = |config: &TailConfig| (config.policies.list().len(), config.compare_for);
                let (policies, wait) = configs.first().map(of).unwrap_or_default();
                let when = match state.samplers.replace(configs, now) {
                    true => "decide from now on".to_owned(),
                    false => format!("are compared for {} s before they decide", wait.as_secs()),
                };
                self.log.info(format!("{name} has changed: its {policies} policies {when}"));
            }
            Err(problems) => {
                refused.add(1);
                for problem in problems {
                    self.log.warn(format!(
                        "{problem}; {name} has changed, but what it said before holds"
                    ));
                }
            }
        }
    }

    fn show(&self, state: &mut State) {
        let State { samplers, numbers, companions, expressions, generation, was_shedding, .. } =
            state;
        let sampler = samplers.counted();
        numbers.show(sampler);
        companions.show(sampler);
        if *generation != sampler.generation() {
            *generation = sampler.generation();
            *expressions = self::expressions(sampler, &self.counters);
            let [alike, kept, dropped] = sampler.tally().compared;
            if alike + kept + dropped > 0 {
                self.log.info(format!(
                    "changed policies decide from now on; of the traces compared so far they decided {alike} \
                     alike, would have kept {kept} that were dropped, and dropped {dropped} that were kept"
                ));
            }
        }
        if sampler.is_shedding() && !std::mem::replace(was_shedding, true) {
            self.log.often(LogLevel::Warn, "shedding", || {
                "the buffer is full: traces that begin are decided at once, by 'shed_sampling_percentage', \
                 until a quarter of 'max_buffer_size' and 'max_traces' is free"
                    .to_owned()
            });
        }
        *was_shedding = sampler.is_shedding();
        let unanswered = &sampler.tally().unanswered;
        for expression in expressions {
            if let Some(tally) = unanswered.get(expression.index) {
                expression.show(tally, &self.log);
            }
        }
    }
}

impl State {
    /// Begins the journal, now that the host runs: a check of the configuration must not touch its files.
    fn begin_journal(&mut self, log: &Log) {
        if !matches!(self.journal, Journaling::Due(_)) {
            return;
        }
        let Journaling::Due(due) = std::mem::replace(&mut self.journal, Journaling::Off) else {
            return;
        };
        match Journal::start(&due.0, &due.1, clock::unix_nanos()) {
            Ok(journal) => {
                self.samplers.keep_journal(true);
                self.journal = Journaling::On(Box::new(journal));
            }
            Err(error) => log.error(format!("there is no journal: {error}")),
        }
    }

    /// Takes in what earlier runs left undecided, once that is read.
    fn recover(&mut self, log: &Log, now: Tick) {
        let Journaling::On(journal) = &mut self.journal else { return };
        let Some(found) = journal.recovered(now) else { return };
        for (tag, events) in &found.chunks {
            self.samplers.restore(tag, events, now);
        }
        if found.spans > 0 || found.torn_bytes > 0 {
            log.info(format!(
                "{} spans that waited when an earlier run ended wait again; {} bytes at the end of its journal \
                 are torn",
                found.spans, found.torn_bytes
            ));
        }
    }

    fn write_journal(&mut self, decided: bool, now: Tick) {
        let Journaling::On(journal) = &mut self.journal else { return };
        let frames = self.samplers.take_journal(decided);
        let is_idle = decided && self.samplers.held_bytes() == 0;
        journal.append(frames, self.samplers.longest_wait(), is_idle, now);
    }

    /// Removes the journal: all that waited was decided, and nothing waits any more.
    fn end_journal(&mut self, now: Tick) {
        if let Journaling::On(journal) = std::mem::replace(&mut self.journal, Journaling::Off) {
            self.samplers.keep_journal(false);
            journal.end(now);
        }
    }
}

/// What is told of the policies that decide and have expressions.
fn expressions(sampler: &dyn Counted, counters: &Counters) -> Vec<Expression> {
    let mut found = Vec::new();
    sampler.with_policies(&mut |of| {
        let policies = of.policies().list().iter().enumerate();
        for (index, policy) in policies.filter(|(_, policy)| policy.rule.has_cel()) {
            let slot = of.slot(index);
            let told = sampler.tally().unanswered.get(slot).map_or(0, Unanswered::total);
            found.push(Expression::new(slot, told, policy, counters));
        }
    });
    found
}

/// What is told of a policy with an expression that may have no answer.
struct Expression {
    /// Where its policy is counted.
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
    fn new(index: usize, told: u64, policy: &Policy, counters: &Counters) -> Self {
        let spans = |decision| counters.counter(UNANSWERED_SPANS, &[&policy.name, decision]);
        Self {
            index,
            name: policy.name.clone(),
            action: policy.action,
            traces: NoAnswer::ALL
                .map(|reason| counters.counter(CONDITION_ERRORS, &[&policy.name, reason.name()])),
            kept_spans: spans("kept"),
            dropped_spans: spans("dropped"),
            logged: AtomicU64::new(told),
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
    fn take(&self, drain: Drain, now: Tick, unix_nanos: u64) -> Vec<Emission> {
        let mut state = self.state.lock();
        self.reload(&mut state, now);
        let State { samplers, fleet_file, .. } = &mut *state;
        if let Some(size) = fleet_file.as_mut().and_then(|file| file.follow(now, &self.log)) {
            samplers.set_fleet_size(size);
        }
        state.begin_journal(&self.log);
        state.recover(&self.log, now);
        state.write_journal(true, now);
        let everything = drain == Drain::Everything;
        let mut released = state.samplers.take(everything, now);
        let State { samplers, companions, .. } = &mut *state;
        released.extend(companions.take_counts(samplers.counted(), everything, (now, unix_nanos)));
        if drain == Drain::Everything {
            state.end_journal(now);
        }
        self.show(&mut state);
        released
    }

    fn put_back(&self, emission: Emission) {
        let mut state = self.state.lock();
        state.samplers.put_back(emission);
        self.show(&mut state);
    }

    fn has_more(&self) -> bool {
        self.state.lock().samplers.is_behind()
    }
}
