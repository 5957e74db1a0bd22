//! What goes with traces: their logs, and what is told of those that are dropped. Options, numbers, and when counts
//! are emitted.

use std::sync::Arc;
use std::time::Duration;

use super::counted::Counted;
use super::counters::{DRY_RUN, NO_TRACE_ID, NOT_SAMPLED};
use crate::clock::Tick;
use crate::config::Parser;
use crate::config::read::{self, Read};
use crate::model::Emission;
use crate::plugin::{Environment, OptionSpec};
use crate::sampling::{
    HeadLogTally, HeadRate, LogTally, LogsFollow, TailSampler, TombstoneSettings,
};
use crate::stats::{Counter, CounterFamily, Counters};

const RECEIVED_LOGS: CounterFamily = CounterFamily::counter(
    "received_logs_total",
    "Logs that came, where they follow their traces",
    &[],
);
const KEPT_LOGS: CounterFamily = CounterFamily::counter(
    "kept_logs_total",
    "Logs kept, where they follow their traces, by what kept them",
    &["policy"],
);
const DROPPED_LOGS: CounterFamily = CounterFamily::counter(
    "dropped_logs_total",
    "Logs dropped with their traces, by what dropped them",
    &["policy"],
);
const HELD_LOGS: CounterFamily =
    CounterFamily::gauge("held_logs", "Logs that wait for the decision about their trace", &[]);
const TOMBSTONES: CounterFamily = CounterFamily::counter(
    "tombstones_total",
    "Dropped traces that were told of, or for which there was no room",
    &["outcome"],
);

/// What goes with traces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Companions {
    logs: Option<LogsFollow>,
    tombstones: Option<TombstoneSettings>,
    interval: Duration,
}

/// How often counts are emitted: a second at least.
pub(super) fn interval(parser: &mut Parser<'_>, option: &OptionSpec) -> Read<Duration> {
    let interval = read::duration(parser, option)?;
    if interval < Duration::from_secs(1) {
        let given = parser.text(option.name).unwrap_or_default();
        parser.refuse(option.name, given, "allowed: a duration of at least 1s");
    }
    Some(interval)
}

/// Refuses rates of head sampling where logs follow: a log does not show what they ask of spans.
pub(super) fn check_rates(parser: &mut Parser<'_>, logs_follow: bool, rates: &[HeadRate]) {
    if logs_follow && !rates.is_empty() {
        parser.refuse(
            "logs",
            "follow",
            "a log does not show what 'rates' ask of spans; allowed with them: pass",
        );
    }
}

impl Companions {
    /// What the options say. What depends on an option that is off was meant to do something.
    pub(super) fn read(
        parser: &mut Parser<'_>,
        logs_follow: bool,
        follow: LogsFollow,
        (tombstones, interval): (Option<TombstoneSettings>, Duration),
    ) -> Self {
        let is_counted = tombstones == Some(TombstoneSettings::Counts);
        let needs = [
            (!logs_follow, "logs_without_decision", "keep", "it needs 'logs: follow'"),
            (!is_counted, "tombstone_interval", "60s", "it needs 'tombstones: counts'"),
        ];
        for (_, name, default, problem) in needs.into_iter().filter(|(is_off, ..)| *is_off) {
            if let Some(text) = parser.text(name).filter(|text| *text != default) {
                parser.refuse(name, text, problem);
            }
        }
        Self { logs: logs_follow.then_some(follow), tombstones, interval }
    }

    /// Whether logs follow their traces.
    pub(super) const fn follows_logs(&self) -> bool {
        self.logs.is_some()
    }

    /// Those of one of so many shards.
    pub(super) fn for_shard_of(self, shards: usize) -> Self {
        Self { logs: self.logs.map(|logs| logs.for_shard_of(shards)), ..self }
    }

    /// A sampler with these.
    pub(super) fn given_to(self, sampler: TailSampler) -> TailSampler {
        sampler.with_logs(self.logs).with_tombstones(self.tombstones)
    }
}

/// The numbers of what goes with traces, and when counts of dropped traces are due.
pub(super) struct CompanionNumbers {
    logs: Option<Box<LogNumbers>>,
    tombstones: Option<[Counter; 2]>,
    counts: Option<CountsDue>,
}

/// When counts of dropped traces are emitted.
struct CountsDue {
    interval: Duration,
    last: Option<Tick>,
}

impl CompanionNumbers {
    pub(super) fn new(companions: Companions, environment: &Environment) -> Self {
        let counters = &environment.counters;
        let of = |outcome| counters.counter(TOMBSTONES, &[outcome]);
        let counts = companions.tombstones == Some(TombstoneSettings::Counts);
        let interval = companions.interval;
        Self {
            logs: companions.logs.map(|_| Box::new(LogNumbers::new(counters))),
            tombstones: companions.tombstones.map(|_| ["made", "skipped"].map(of)),
            counts: counts.then_some(CountsDue { interval, last: None }),
        }
    }

    /// Shows what a sampler counts.
    pub(super) fn show(&mut self, sampler: &dyn Counted) {
        if let (Some(numbers), Some(tally)) = (&mut self.logs, sampler.log_tally()) {
            numbers.show(tally, sampler.names());
        }
        if let (Some([made, skipped]), Some(tally)) = (&self.tombstones, sampler.tombstone_tally())
        {
            made.set(tally.made);
            skipped.set(tally.skipped);
        }
    }

    /// The counts of dropped traces, when they are due.
    pub(super) fn take_counts(
        &mut self,
        sampler: &mut dyn Counted,
        everything: bool,
        (now, unix_nanos): (Tick, u64),
    ) -> Vec<Emission> {
        let Some(due) = &mut self.counts else { return Vec::new() };
        let Some(last) = due.last else {
            due.last = Some(now);
            sampler.begin_dropped_counts(unix_nanos);
            return Vec::new();
        };
        if !everything && now.since(last) < due.interval {
            return Vec::new();
        }
        due.last = Some(now);
        sampler.take_dropped_counts(everything, unix_nanos)
    }
}

/// The numbers of logs that follow their traces.
struct LogNumbers {
    counters: Arc<Counters>,
    received: Counter,
    held: Counter,
    untraced: Counter,
    dry_run: Counter,
    kept: Vec<Counter>,
    /// By no policy, then by policy.
    dropped: Vec<Counter>,
    undecided: [[Counter; 2]; 3],
}

impl LogNumbers {
    fn new(counters: &Arc<Counters>) -> Self {
        let kept = |label| counters.counter(KEPT_LOGS, &[label]);
        let dropped = |label| counters.counter(DROPPED_LOGS, &[label]);
        Self {
            received: counters.counter(RECEIVED_LOGS, &[]),
            held: counters.counter(HELD_LOGS, &[]),
            untraced: kept(NO_TRACE_ID),
            dry_run: kept(DRY_RUN),
            kept: Vec::new(),
            dropped: vec![dropped(NOT_SAMPLED)],
            undecided: LogTally::NO_DECISION.map(|why| [kept(why), dropped(why)]),
            counters: Arc::clone(counters),
        }
    }

    fn show(&mut self, tally: &LogTally, names: &[String]) {
        for name in names.iter().skip(self.kept.len()) {
            self.kept.push(self.counters.counter(KEPT_LOGS, &[name]));
            self.dropped.push(self.counters.counter(DROPPED_LOGS, &[name]));
        }
        self.received.set(tally.received);
        self.held.set(tally.held);
        self.untraced.set(tally.untraced);
        self.dry_run.set(tally.dry_run);
        let by_policy = self.kept.iter().zip(&tally.kept);
        by_policy
            .chain(self.dropped.iter().zip(&tally.dropped))
            .for_each(|(it, logs)| it.set(*logs));
        let undecided = tally.undecided_kept.iter().zip(&tally.undecided_dropped);
        for ([kept, dropped], (of_kept, of_dropped)) in self.undecided.iter().zip(undecided) {
            kept.set(*of_kept);
            dropped.set(*of_dropped);
        }
    }
}

/// The numbers of logs that follow head decisions.
pub(super) struct HeadLogNumbers {
    received: Counter,
    kept: Counter,
    untraced: Counter,
    dropped: Counter,
}

impl HeadLogNumbers {
    pub(super) fn new(counters: &Counters) -> Self {
        Self {
            received: counters.counter(RECEIVED_LOGS, &[]),
            kept: counters.counter(KEPT_LOGS, &["sampling_percentage"]),
            untraced: counters.counter(KEPT_LOGS, &[NO_TRACE_ID]),
            dropped: counters.counter(DROPPED_LOGS, &[NOT_SAMPLED]),
        }
    }

    pub(super) fn add(&self, tally: HeadLogTally) {
        self.received.add(tally.received);
        self.kept.add(tally.kept);
        self.untraced.add(tally.untraced);
        self.dropped.add(tally.dropped);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::AiSampling;
    use crate::clock;
    use crate::codec::records::testing::{SpanRecord, chunk, log_event};
    use crate::hub::Drain;
    use crate::plugin::{Filter, GivenOptions};
    use crate::plugins::testing::{counter, environment, pass, problems};

    fn log(trace: u64) -> Vec<u8> {
        let id = format!("0af7651916cd43dd{trace:016x}");
        log_event(5, &json!({ "otlp": { "trace_id": id } }), &json!({ "log": "x" }))
    }

    /// Guarantees: logs are counted by what became of them, and counts of dropped traces leave once an interval.
    #[test]
    fn companions_are_counted() {
        let environment = environment(true);
        let options = [
            ("mode", "tail"),
            ("keep_errors", "on"),
            ("logs", "follow"),
            ("tombstones", "counts"),
            ("tombstone_interval", "90s"),
        ];
        let mut filter =
            AiSampling::open(&GivenOptions::of(&options), environment.clone()).unwrap();
        let source = environment.hub.sources().pop().unwrap();
        let start = clock::now();
        let take = |seconds| {
            let emissions = source.take(Drain::Due, start.after(Duration::from_secs(seconds)), 9);
            emissions.iter().map(|emission| emission.records).sum::<usize>()
        };
        assert_eq!(take(0), 0);
        let plain = log_event(5, &json!({}), &json!({ "log": "x" }));
        let logs = [log(1), log(2), log(2), log(3), plain.clone()].concat();
        assert_eq!(pass(&mut filter, &logs), plain);
        let count = |name: &str, label: &str| counter(&environment, name, label);
        assert_eq!((count("held_logs", ""), count("received_logs_total", "")), (4, 5));
        let spans = [SpanRecord::new(1, 1), SpanRecord::new(2, 2).error()];
        drop(pass(&mut filter, &chunk(&spans)));
        assert_eq!(take(35), 3);
        assert_eq!((take(80), take(91), take(100)), (0, 2, 0));
        let at_the_end =
            || source.take(Drain::Everything, start.after(Duration::from_secs(101)), 9);
        assert_eq!(at_the_end(), [], "nothing came since");
        for (name, label, logs) in [
            ("kept_logs_total", "keep_errors", 2),
            ("kept_logs_total", "no_trace_id", 1),
            ("kept_logs_total", "no_decision", 1),
            ("dropped_logs_total", "not_sampled", 1),
            ("tombstones_total", "made", 1),
            ("held_logs", "", 0),
        ] {
            assert_eq!(count(name, label), logs, "{name} {label}");
        }
    }

    /// Guarantees: wrong values, and what would do nothing, are refused with name and value.
    #[test]
    fn options_of_companions_are_checked() {
        let problems = |pairs: &[(&str, &str)]| problems::<AiSampling>(pairs, true).join("\n");
        let tail = [("mode", "tail"), ("keep_errors", "on")];
        for (more, part) in [
            (
                &[("logs", "keep")][..],
                "option 'logs': 'keep' is not allowed; allowed: pass, follow",
            ),
            (&[("tombstones", "on")], "allowed: off, span, log, counts"),
            (&[("logs_without_decision", "drop")], "it needs 'logs: follow'"),
            (&[("logs", "follow"), ("logs_without_decision", "wait")], "allowed: keep, drop"),
            (
                &[("tombstones", "span"), ("tombstone_interval", "5s")],
                "it needs 'tombstones: counts'",
            ),
            (&[("tombstones", "counts"), ("tombstone_interval", "5ms")], "at least 1s"),
        ] {
            let text = problems(&[&tail[..], more].concat());
            assert!(text.contains(part), "{more:?}: {text}");
        }
        for (more, part) in [
            (&[("logs", "follow")][..], ""),
            (&[("tombstones", "span")], "it needs 'mode: tail'"),
            (&[("logs", "follow"), ("logs_without_decision", "drop")], "it needs 'mode: tail'"),
        ] {
            let text = problems(&[&[("sampling_percentage", "10")][..], more].concat());
            assert!(text.contains(part) && text.is_empty() == part.is_empty(), "{more:?}: {text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rates.yaml").display().to_string();
        let rates = "rates:\n  - {name: a, key: k, sampling_percentage: 5}\n";
        std::fs::write(&path, rates).unwrap();
        let given =
            [("sampling_percentage", "10"), ("logs", "follow"), ("config_file", path.as_str())];
        assert!(problems(&given).contains("allowed with them: pass"));
    }
}
