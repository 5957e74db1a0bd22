//! Shards of the filter as the host sees it, beside one sampler.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;

use super::super::AiSampling;
use crate::clock::{self, Tick};
use crate::codec::msgpack::{MapView, text_of};
use crate::codec::records::testing::{SpanRecord, chunk, log_event};
use crate::codec::records::{EventKind, Events, LogView, SpanView};
use crate::hub::{Drain, TelemetrySource};
use crate::model::Emission;
use crate::plugin::{Environment, Filter, GivenOptions};
use crate::plugins::testing::{counter, environment, pass, problems};

/// A filter with its source.
struct Run {
    filter: AiSampling,
    source: Arc<dyn TelemetrySource>,
    environment: Environment,
    start: Tick,
}

impl Run {
    fn open(shards: usize, options: &[(&str, &str)]) -> Self {
        Self::with(&[&[("shards", shards.to_string().as_str())][..], options].concat())
    }

    fn with(options: &[(&str, &str)]) -> Self {
        let environment = environment(true);
        let options = [&[("mode", "tail")][..], options].concat();
        let filter = AiSampling::open(&GivenOptions::of(&options), environment.clone()).unwrap();
        let source = environment.hub.sources().pop().unwrap();
        Self { filter, source, environment, start: clock::now() }
    }

    fn count(&self, name: &str, label: &str) -> u64 {
        counter(&self.environment, name, label)
    }

    /// All series of a counter.
    fn sum(&self, name: &str) -> u64 {
        let readings = self.environment.counters.readings();
        readings.iter().filter(|it| it.family.name == name).map(|it| it.counter.value()).sum()
    }

    fn adds_up(&self) {
        let [received, kept, dropped, held] =
            ["received_spans_total", "kept_spans_total", "dropped_spans_total", "held_spans"]
                .map(|name| self.sum(name));
        assert_eq!(received, kept + dropped + held);
    }

    fn take(&self, seconds: u64) -> Vec<Emission> {
        self.source.take(Drain::Due, self.start.after(Duration::from_secs(seconds)), 9)
    }

    /// Takes what is due then, until nothing waits and nothing more is released.
    fn settled(&self, seconds: u64) -> Vec<Emission> {
        let (begun, mut taken, mut at_rest) = (clock::now(), Vec::new(), 0);
        while at_rest < 3 {
            let held = self.sum("held_spans") + self.sum("held_logs");
            let more = self.take(seconds);
            at_rest = if more.is_empty() && held == 0 { at_rest + 1 } else { 0 };
            taken.extend(more);
            let limit = test_timeout::at_most(Duration::from_secs(20));
            assert!(clock::now().since(begun) < limit, "{held} wait");
            std::thread::sleep(Duration::from_millis(1));
        }
        taken
    }
}

/// What stays of each trace, in the order of the spans' numbers: with the policy, the tracestate, and the logs.
fn kept(out: &[u8], into: &mut BTreeMap<[u8; 16], Vec<String>>) {
    for event in Events::new(out).map(Result::unwrap) {
        if event.kind != EventKind::Record {
            continue;
        }
        let field = |key: &[u8]| MapView::new(event.body).get(key).and_then(text_of);
        let said =
            ["span_id", "trace_state", "log"].map(|key| field(key.as_bytes()).unwrap_or_default());
        let attributes = MapView::new(event.body).get(b"attributes").unwrap_or_default();
        let policy =
            MapView::new(attributes).get(b"fluentbit.ai.sampling.policy").and_then(text_of);
        let of_log = || event.otlp().and_then(|otlp| LogView::new(otlp).trace_id());
        let id = SpanView::new(event.body).trace_id().or_else(of_log).unwrap();
        let of_trace = into.entry(id.0).or_default();
        of_trace.push(format!("{} {}", said.join(" "), policy.unwrap_or_default()));
        of_trace.sort();
    }
}

fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn log(trace: u64, number: u64) -> Vec<u8> {
    let id = format!("0af7651916cd43dd{trace:016x}");
    let body = json!({ "log": format!("log {number}") });
    log_event(5, &json!({ "otlp": { "trace_id": id } }), &body)
}

/// A trace's number, spread so that chance keeps some.
fn trace(number: u64) -> u64 {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Chunks of so many spans of 700 traces in pieces and out of order, with logs of them; some are errors or slow.
fn traffic(spans: u64, most: u64) -> Vec<Vec<u8>> {
    let (mut state, mut chunks) = (3, Vec::new());
    for from in (0..spans).step_by(usize::try_from(most).unwrap()) {
        let (mut of_chunk, mut logs) = (Vec::new(), Vec::new());
        for number in from..(from + most).min(spans) {
            let mut one_in = |of: u64| random(&mut state).is_multiple_of(of);
            let (is_slow, is_error, has_log) = (one_in(50), one_in(40), one_in(9));
            let trace = trace(random(&mut state) % 700 + 1);
            let end = if is_slow { 9000 } else { 10 };
            let span = SpanRecord::new(trace, number + 1).times(1, end);
            let span = span.with("text", "x".repeat(200).as_str());
            of_chunk.push(if is_error { span.error() } else { span });
            if has_log {
                logs.extend(log(trace, number));
            }
        }
        chunks.push([chunk(&of_chunk), logs].concat());
    }
    chunks
}

const POLICIES: [(&str, &str); 6] = [
    ("keep_errors", "on"),
    ("keep_slower_than", "5s"),
    ("keep_where", "size(spans) == 5"),
    ("sampling_percentage", "20"),
    ("logs", "follow"),
    ("tombstones", "counts"),
];

/// What stays of the traffic and of spans and logs that come late, and the counters at the end.
fn outcome(shards: usize, chunk_spans: u64) -> (BTreeMap<[u8; 16], Vec<String>>, Vec<u64>) {
    let mut run = Run::open(shards, &POLICIES);
    let mut stays = BTreeMap::new();
    for events in traffic(3000, chunk_spans) {
        kept(&pass(&mut run.filter, &events), &mut stays);
        run.adds_up();
    }
    assert!(run.count("held_spans", "") > 1000);
    run.settled(31).iter().for_each(|it| kept(&it.events, &mut stays));
    run.adds_up();
    let late = (1..=700).map(|number| SpanRecord::new(trace(number), 10_000 + number));
    let logs = (1..=700).flat_map(|number| log(trace(number), 10_000 + number));
    let events = [chunk(&late.collect::<Vec<_>>()), logs.collect()].concat();
    kept(&pass(&mut run.filter, &events), &mut stays);
    run.settled(70).iter().for_each(|it| kept(&it.events, &mut stays));
    run.adds_up();
    let names =
        ["received_spans_total", "kept_spans_total", "dropped_spans_total", "late_spans_total"];
    let of_logs =
        ["received_logs_total", "kept_logs_total", "dropped_logs_total", "tombstones_total"];
    let counts = names.iter().chain(&of_logs).map(|name| run.sum(name)).collect();
    (stays, counts)
}

/// Scenario: traces in pieces and their logs, in chunks that the host's thread works on alone and in such that others
/// help with, among 1 to 16 shards, and what comes late. Guarantees: each trace stays or goes as a whole, with its
/// logs and what comes late, by the policy and with the tracestate that one sampler says; all counters are those of
/// one sampler, and add up after each chunk.
#[test]
fn shards_decide_as_one_sampler_does() {
    let (want, counts) = outcome(1, 100);
    assert!(want.len() > 100 && want.len() < 600, "{}", want.len());
    for (shards, chunk_spans) in [(2, 100), (2, 1500), (5, 3000), (16, 1000)] {
        let (stays, of_shards) = outcome(shards, chunk_spans);
        assert_eq!(stays.len(), want.len(), "{shards}");
        for (id, of_trace) in &want {
            // The policy that keeps a trace for certain first depends on the order of its spans alone.
            assert_eq!(stays.get(id), Some(of_trace), "{shards} {chunk_spans} {id:?}");
        }
        assert_eq!(of_shards, counts, "{shards} {chunk_spans}");
    }
}

/// Guarantees: counts of dropped traces are one sum, whose points are those of one sampler.
#[test]
fn counts_of_dropped_traces_are_one_sum() {
    let counts = |shards| {
        let mut run = Run::open(shards, &[("keep_errors", "on"), ("tombstones", "counts")]);
        run.take(0);
        let spans: Vec<_> = (1..=90).map(|number| SpanRecord::new(trace(number), number)).collect();
        pass(&mut run.filter, &chunk(&spans));
        assert_eq!(run.settled(31), []);
        run.take(61)
    };
    let want = counts(1);
    assert_eq!(want.iter().map(|emission| emission.records).sum::<usize>(), 2);
    assert_eq!(counts(4), want);
}

/// Scenario: traces that wait at the end of a run, and after it more. Guarantees: all of them are decided then, and what
/// the host does not take is given again.
#[test]
fn the_end_of_a_run_releases_what_every_shard_holds() {
    let mut run = Run::open(4, &[("keep_where", "size(spans) == 1")]);
    let spans: Vec<_> = (1..=200).map(|number| SpanRecord::new(trace(number), number)).collect();
    assert_eq!(pass(&mut run.filter, &chunk(&spans[..100])), b"");
    let records = |emissions: &[Emission]| emissions.iter().map(|it| it.records).sum::<usize>();
    let everything = || run.source.take(Drain::Everything, run.start, 9);
    let released = everything();
    assert_eq!((records(&released), run.count("early_decisions_total", "shutdown")), (100, 100));
    released.into_iter().for_each(|emission| run.source.put_back(emission));
    assert!(run.count("held_bytes", "") > 0);
    assert_eq!((records(&everything()), records(&everything())), (100, 0));
    let out = pass(&mut run.filter, &chunk(&spans[100..]));
    assert_eq!(Events::new(&out).count(), 100, "nothing waits any more");
    assert_eq!(run.count("kept_spans_total", "keep_where"), 200);
    run.adds_up();
}

/// Guarantees: what other threads release wakes the input, which gets it without a tick.
#[test]
fn what_was_released_wakes_the_host() {
    let mut run = Run::open(3, &[("keep_where", "size(spans) == 1")]);
    let woken = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&woken);
    run.environment.hub.add_waker(move || {
        count.fetch_add(1, Ordering::Relaxed);
    });
    let spans: Vec<_> = (1..=50).map(|number| SpanRecord::new(trace(number), number)).collect();
    pass(&mut run.filter, &chunk(&spans));
    run.take(31);
    let begun = clock::now();
    while woken.load(Ordering::Relaxed) == 0 {
        assert!(clock::now().since(begun) < test_timeout::at_most(Duration::from_secs(20)));
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(run.environment.hub.is_woken());
    let released = run.settled(31);
    assert_eq!(released.iter().map(|emission| emission.records).sum::<usize>(), 50);
    run.environment.hub.note_drain();
    assert!(!run.environment.hub.is_woken());
}

/// Scenario: a file whose policies change while traces wait, at once and after a comparison, and whose number of shards
/// does. Guarantees: every shard decides by what it says then, a comparison counts the traces of all, and another
/// number of shards is refused.
#[test]
fn a_changed_file_changes_every_shard() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.yaml");
    let write = |shards: u32, more: &str, name: &str, spans: u32| {
        let text = format!(
            "shards: {shards}\n{more}\npolicies:\n  - {{name: {name}, type: span_count, min_spans: {spans}, max_spans: {spans}}}\n"
        );
        std::fs::write(&path, text).unwrap();
    };
    write(4, "", "one", 9);
    let file = path.display().to_string();
    let mut run = Run::with(&[("config_file", &file)]);
    let send = |run: &mut Run, from: u64| {
        let spans: Vec<_> =
            (from..from + 60).map(|number| SpanRecord::new(trace(number), number)).collect();
        pass(&mut run.filter, &chunk(&spans));
    };
    send(&mut run, 1);
    write(4, "", "two", 1);
    let records = |emissions: Vec<Emission>| emissions.iter().map(|it| it.records).sum::<usize>();
    assert_eq!(records(run.settled(31)), 60);
    assert_eq!(
        (run.count("kept_spans_total", "two"), run.count("config_file_changes_total", "taken")),
        (60, 1)
    );
    write(4, "reload_compare_for: 40s", "three", 2);
    run.take(35);
    send(&mut run, 100);
    assert_eq!(records(run.settled(70)), 60);
    assert_eq!(run.count("compared_traces_total", "dropped_instead"), 60);
    run.take(80);
    write(2, "", "four", 1);
    run.take(85);
    assert_eq!(run.count("config_file_changes_total", "refused"), 1);
    let log = run.environment.log.take();
    assert!(log.iter().any(|line| line.text.contains("shards: it changes by a reload")), "{log:?}");
}

/// Scenario: changed policies that are compared, by one sampler and by shards; after the first traces nothing comes, and
/// nothing waits. Guarantees: the comparison ends by time alone, when it is over and not before, in all shards at once.
#[test]
fn a_comparison_ends_by_time_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.yaml");
    let write = |more: &str, name: &str, spans: u32| {
        let text = format!(
            "{more}policies:\n  - {{name: {name}, type: span_count, min_spans: {spans}}}\n"
        );
        std::fs::write(&path, text).unwrap();
    };
    let file = path.display().to_string();
    for shards in [1, 3, 8] {
        write("", "one", 1);
        let mut run = Run::open(
            shards,
            &[("config_file", &file), ("decision_wait", "5s"), ("early_decision", "off")],
        );
        write("reload_compare_for: 20s\n", "two", 2);
        run.take(3);
        let said = |what: &str| {
            let lines = run.environment.log.take();
            lines.iter().any(|line| line.text.contains(what))
        };
        assert!(said("are compared for 20 s before they decide"), "{shards}");
        let spans: Vec<_> = (1..=40).map(|number| SpanRecord::new(trace(number), number)).collect();
        pass(&mut run.filter, &chunk(&spans));
        assert_eq!(run.settled(9).iter().map(|it| it.records).sum::<usize>(), 40);
        assert_eq!(run.count("compared_traces_total", "dropped_instead"), 40);
        run.take(22);
        assert!(!said("changed policies decide"), "{shards}");
        run.take(23);
        let line = "changed policies decide from now on; of the traces compared so far they decided 0 alike, would have \
                    kept 0 that were dropped, and dropped 40 that were kept";
        assert!(said(line), "{shards}");
        // Each shard has the new ones: what is dropped now is not what a comparison would have kept.
        let more: Vec<_> = (41..=80).map(|number| SpanRecord::new(trace(number), number)).collect();
        pass(&mut run.filter, &chunk(&more));
        assert_eq!(run.settled(40), []);
        assert_eq!(run.count("dropped_spans_total", "not_sampled"), 40);
        assert_eq!(run.sum("compared_traces_total"), 40);
        run.adds_up();
    }
}

/// Scenario: runs of other numbers of shards that are left without an end while traces wait. Guarantees: what waited
/// waits again, whatever the number is then, and is decided once.
#[test]
fn what_waited_waits_again_in_other_shards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().display().to_string();
    let options = [("keep_where", "size(spans) == 2"), ("journal_path", path.as_str())];
    let spans = |from: u64| -> Vec<_> {
        (1..=40).map(|number| SpanRecord::new(trace(number), from + number)).collect()
    };
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let begun = clock::now();
        while !is_so() {
            let limit = test_timeout::at_most(Duration::from_secs(20));
            assert!(clock::now().since(begun) < limit, "{what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    let size = || {
        let files = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap());
        files.map(|file| file.metadata().unwrap().len()).sum::<u64>()
    };
    let mut run = Run::open(3, &options);
    pass(&mut run.filter, &chunk(&spans(100)));
    run.take(0);
    assert_eq!(run.count("journal_spans_total", "written"), 40);
    until("it is written", &|| size() > 40 * 100);
    drop(run);
    let is_free = || {
        std::fs::File::open(folder.path().join("lock")).is_ok_and(|file| file.try_lock().is_ok())
    };
    until("the folder is free", &is_free);
    for shards in [1, 5] {
        let run = Run::open(shards, &options);
        until("it is read", &|| {
            run.take(0);
            run.count("journal_spans_total", "recovered") == 40
        });
        assert_eq!(run.count("held_spans", ""), 40, "{shards}");
        drop(run);
        until("the folder is free", &is_free);
    }
    let mut run = Run::open(4, &options);
    until("it is read", &|| {
        run.take(0);
        run.count("journal_spans_total", "recovered") == 40
    });
    pass(&mut run.filter, &chunk(&spans(200)));
    let out = run.settled(31);
    assert_eq!(out.iter().map(|emission| emission.records).sum::<usize>(), 80);
    run.take(32);
    run.source.take(Drain::Everything, run.start.after(Duration::from_secs(33)), 9);
    let ends = std::fs::read_dir(folder.path()).unwrap().map(|it| it.unwrap().file_name());
    assert!(ends.into_iter().all(|name| name == "lock"));
}

/// Guarantees: what cannot be divided stops the start, with the option, its value and what is in its way; what is not
/// for shards or for head sampling is refused.
#[test]
fn what_cannot_be_divided_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.yaml");
    let file = path.display().to_string();
    let problems = |policy: &str, pairs: &[(&str, &str)]| {
        std::fs::write(&path, format!("policies:\n  - {{name: p, {policy}}}\n")).unwrap();
        let options = [&[("mode", "tail"), ("config_file", file.as_str())][..], pairs].concat();
        problems::<AiSampling>(&options, true).join("\n")
    };
    let limit = "type: rate_limiting, spans_per_second: 10";
    for (policy, pairs, part) in [
        ("type: always_sample", &[("shards", "257")][..], "allowed: a number from 1 to 256"),
        ("type: always_sample", &[("shards", "0")], "allowed: a number from 1 to 256"),
        ("type: always_sample", &[("shards", "256"), ("max_buffer_size", "10m")], "each needs 64k"),
        (
            "type: rare, keys: [k]",
            &[("shards", "2")],
            "'shards': '2' is not allowed; policy 'p' keeps what is new",
        ),
        (
            "type: and, policies: [{type: error}, {type: diverse, keys: [k]}]",
            &[("shards", "2")],
            "policy 'p' keeps what is new",
        ),
        (
            limit,
            &[("shards", "64")],
            "the limit of policy 'p' divided by them lets no trace through",
        ),
        (
            "type: composite, max_total_spans_per_second: 10, policy_order: [a], policies: [{name: a, type: error}]",
            &[("shards", "16")],
            "the limit of policy 'p'",
        ),
    ] {
        let text = problems(policy, pairs);
        assert!(text.contains(part), "{policy} {pairs:?}: {text}");
    }
    assert_eq!(problems(limit, &[("shards", "16")]), "");
    assert_eq!(problems("type: rare, keys: [k]", &[("shards", "1")]), "");
    let head = crate::plugins::testing::problems::<AiSampling>(
        &[("sampling_percentage", "10"), ("shards", "2")],
        true,
    );
    assert!(head.join("").contains("it needs 'mode: tail'"), "{head:?}");
}

/// Guarantees: limits and room of all shards together are those of one sampler.
#[test]
fn limits_and_room_are_divided() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policies.yaml");
    let policies = "policies:\n  - {name: p, type: rate_limiting, spans_per_second: 100, burst_capacity: 400}\n";
    std::fs::write(&path, policies).unwrap();
    let file = path.display().to_string();
    let options = [("config_file", file.as_str()), ("max_traces", "1200")];
    let mut run = Run::open(4, &options);
    let send = |run: &mut Run, spans: std::ops::Range<u64>| {
        let spans: Vec<_> = spans.map(|number| SpanRecord::new(trace(number), number)).collect();
        pass(&mut run.filter, &chunk(&spans));
    };
    send(&mut run, 1..901);
    run.settled(31);
    assert_eq!((run.sum("early_decisions_total"), run.count("kept_spans_total", "p")), (0, 400));
    send(&mut run, 1001..3001);
    run.adds_up();
    let full = run.count("early_decisions_total", "buffer_full");
    assert_eq!(full, 800, "each shard holds a quarter of the traces");
}
