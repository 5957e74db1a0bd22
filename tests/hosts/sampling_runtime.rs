//! Tail sampling while a host runs: a dry run, a file of policies that changes, signals in the middle of waits.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::task::block_in_place;

use crate::arrived;
use crate::hosts::{RunningHost, free_port};
use crate::meters::{Page, page_when, start};
use crate::sampling::send_spans;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// A span of a trace, with a text as its attribute `k`.
pub(crate) fn span(trace: u8, id: u8, text: &str) -> Span {
    let value = Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        name: format!("{trace}.{id}"),
        start_time_unix_nano: 1,
        end_time_unix_nano: 2,
        attributes: vec![KeyValue { key: "k".to_owned(), value, ..KeyValue::default() }],
        ..Span::default()
    }
}

pub(crate) fn names(sink: &Sink) -> BTreeSet<String> {
    let spans = arrived::spans(sink);
    let names: BTreeSet<String> = spans.iter().map(|span| span.name.clone()).collect();
    assert_eq!(names.len(), spans.len(), "none twice: {names:?}");
    names
}

pub(crate) fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(crate) async fn until_log(running: &RunningHost, what: &str, line: &str) {
    let start = Instant::now();
    while !running.log_text().contains(line) {
        let log = running.log_text();
        assert!(
            start.elapsed() < testkit::at_most(Duration::from_secs(30)),
            "{what}: {line}: {log}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Scenario: a file of policies with a dry run, that becomes one with a mistake, and then one that drops.
/// Guarantees: the dry run lets all through with what would have happened and counts it; the wrong file is
/// refused in words and changes nothing; the right one decides without a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_dry_run_and_a_file_that_changes() {
    let _together = together();
    let plugins = linked();
    let path = plugins.path().join("changing.yaml");
    let text = |dry_run: &str, kind: &str| {
        format!(
            "dry_run: {dry_run}\npolicies:\n  - {{name: a, type: {kind}, key: k, values: [a]}}\n"
        )
    };
    let file = format!("config_file: {}", path.display());
    for host in all_hosts() {
        let what = host.title();
        std::fs::write(&path, text("on", "string_attribute")).unwrap();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let filter =
            ["name: ai_sampling", "match: 'ai*'", "mode: tail", "decision_wait: 2s", &file];
        let pipeline = Pipeline::default().otlp_in(http, 0).filter(&filter).otlp_out(&[(
            "sink",
            sink.port,
            "http/protobuf",
        )]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        send_spans(http, vec![span(1, 1, "a"), span(2, 1, "b"), span(2, 2, "b")]).await;
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("predicted_spans_total", &[]) == Some(3)
        })
        .await;
        for (name, labels, spans) in [
            ("predicted_spans_total", &[("decision", "keep"), ("policy", "a")][..], 1),
            ("predicted_spans_total", &[("decision", "drop"), ("policy", "not_sampled")], 2),
            ("kept_spans_total", &[("policy", "dry_run")], 3),
            ("dropped_spans_total", &[], 0),
        ] {
            assert_eq!(page.sum(name, labels), spans, "{what}: {name}");
        }
        assert!(page.sum("predicted_bytes_total", &[("decision", "drop")]) > 100, "{what}");
        std::fs::write(&path, text("off", "strings")).unwrap();
        until_log(&running, &what, "but what it said before holds").await;
        let log = running.log_text();
        assert!(log.contains("line 3: policies[0].type: \"strings\""), "{what}: {log}");
        std::fs::write(&path, text("off", "string_attribute")).unwrap();
        until_log(&running, &what, "its 1 policies decide from now on").await;
        send_spans(http, vec![span(3, 1, "a"), span(4, 1, "b")]).await;
        page_when((&host, &running, port), &what, |page| {
            page.sum_of("dropped_spans_total", &[]) == Some(1)
                && page.sum_of("kept_spans_total", &[("policy", "a")]) == Some(1)
        })
        .await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        assert_eq!(names(&sink), set(&["1.1", "2.1", "2.2", "3.1"]), "{what}: {log}");
        let said = arrived::spans(&sink).into_iter().map(|span| {
            let has = |pair: &&KeyValue| pair.key == "fluentbit.ai.sampling.dry_run";
            let value = span.attributes.iter().find(has).and_then(|pair| pair.value.clone());
            (span.name, value.and_then(|value| value.value))
        });
        for (name, value) in said {
            let want = match name.as_str() {
                "1.1" => Some("keep"),
                "3.1" => None,
                _ => Some("drop"),
            };
            let want = want.map(|want| Value::StringValue(want.to_owned()));
            assert_eq!(value, want, "{what}: {name}");
        }
    }
}

/// Scenario: a file whose policies change, to be compared first, in one sampler and in shards; traces come while they are
/// compared, and then nothing does. Guarantees: meanwhile the policies before decide, and what would be decided otherwise is
/// counted; time alone brings the new ones in, which the log says with these numbers, and then they decide.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changed_policies_are_compared_in_the_dark() {
    let _together = together();
    let plugins = linked();
    let path = plugins.path().join("compared.yaml");
    let write = |more: &str, value: &str| {
        let text = format!(
            "{more}policies:\n  - {{name: {value}, type: string_attribute, key: k, values: [{value}]}}\n"
        );
        std::fs::write(&path, text).unwrap();
    };
    let file = format!("config_file: {}", path.display());
    for host in all_hosts() {
        for shards in [1, 4] {
            let what = format!("{}, {shards} shards", host.title());
            let shards = format!("shards: {shards}");
            write("", "a");
            let sink = Sink::start(0, Keep::Requests).await;
            let http = free_port();
            let pipeline = Pipeline::default()
                .otlp_in(http, 0)
                .filter(&[
                    "name: ai_sampling",
                    "match: 'ai*'",
                    "mode: tail",
                    "decision_wait: 1s",
                    "early_decision: off",
                    &shards,
                    &file,
                ])
                .otlp_out(&[("sink", sink.port, "http/protobuf")]);
            let (running, port) = start(&host, plugins.path(), pipeline, http);
            write("reload_compare_for: 15s\n", "b");
            until_log(&running, &what, "are compared for 15 s before they decide").await;
            let both = |from: u8| {
                (from..from + 10)
                    .map(|trace| span(trace, 1, if trace.is_multiple_of(2) { "a" } else { "b" }))
                    .collect()
            };
            send_spans(http, both(1)).await;
            let page = page_when((&host, &running, port), &what, |page| {
                page.sum_of("compared_traces_total", &[]) == Some(10)
            })
            .await;
            assert_eq!(spans_of(&page), [10, 5, 5, 0], "{what}");
            let line = "changed policies decide from now on; of the traces compared so far they decided 0 alike, would \
                        have kept 5 that were dropped, and dropped 5 that were kept";
            until_log(&running, &what, line).await;
            send_spans(http, both(101)).await;
            let page = page_when((&host, &running, port), &what, |page| {
                page.sum_of("received_spans_total", &[]) == Some(20)
                    && page.sum_of("held_spans", &[]) == Some(0)
            })
            .await;
            assert_eq!(page.sum("kept_spans_total", &[("policy", "b")]), 5, "{what}");
            let (code, log) = block_in_place(|| running.stop());
            assert_eq!(code, Some(0), "{what}: {log}");
            let kept =
                (1..=10_u8).chain(101..=110).filter(|it| it.is_multiple_of(2) == (*it < 100));
            let kept: BTreeSet<String> = kept.map(|trace| format!("{trace}.1")).collect();
            assert_eq!(names(&sink), kept, "{what}: {log}");
        }
    }
}

/// Scenario: traces over two requests, of which expressions keep every other one, in one sampler and in four shards, and
/// a signal in the middle of their wait: SIGTERM, or SIGHUP and then more of the same. Guarantees: before the signal all
/// ids are held; what waited is decided on what is there, as a whole: the spans of the kept traces arrive, once each, and no
/// others. The journal of each run has its spans and is gone after it, so that nothing is decided twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn signals_in_the_middle_of_waits_decide_what_is_there() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        for (again, shards) in [(false, 1), (true, 1), (false, 4), (true, 4)] {
            let what = format!("{}, again: {again}, {shards} shards", host.title());
            let shards = format!("shards: {shards}");
            let folder = tempfile::tempdir().unwrap();
            let journal = format!("journal_path: {}", folder.path().display());
            let sink = Sink::start(0, Keep::Requests).await;
            let http = free_port();
            let pipeline = Pipeline::default()
                .service("hot_reload: on")
                .otlp_in(http, 0)
                .filter(&[
                    "name: ai_sampling",
                    "match: 'ai*'",
                    "mode: tail",
                    "decision_wait: 600s",
                    &journal,
                    &shards,
                    "keep_where: 'spans.exists(s, s.attributes[\"k\"] == \"a\")'",
                ])
                .otlp_out(&[("sink", sink.port, "http/protobuf")]);
            let (running, port) = start(&host, plugins.path(), pipeline, http);
            let mut expected = BTreeSet::new();
            for round in 0..=u8::from(again) {
                let traces = || (1..=20).map(|trace| trace + 100 * round);
                let first: Vec<Span> = traces().map(|trace| span(trace, 1, "b")).collect();
                let kind = |trace: u8| if trace.is_multiple_of(2) { "a" } else { "b" };
                let second: Vec<Span> = traces().map(|trace| span(trace, 2, kind(trace))).collect();
                send_spans(http, first).await;
                send_spans(http, second).await;
                let page = page_when((&host, &running, port), &what, |page| {
                    page.sum_of("held_spans", &[]) == Some(40)
                        && page.sum_of("journal_spans_total", &[("outcome", "written")]) == Some(40)
                })
                .await;
                assert_eq!(page.sum("journal_spans_total", &[]), 40, "{what}");
                assert_eq!(page.sum("journal_errors_total", &[]), 0, "{what}");
                assert_eq!(spans_of(&page), [40, 0, 0, 40], "{what}");
                assert_eq!(
                    arrived::spans(&sink).len(),
                    expected.len(),
                    "{what}: none leaves before"
                );
                for trace in traces().filter(|trace| trace.is_multiple_of(2)) {
                    expected.extend([1, 2].map(|id| format!("{trace}.{id}")));
                }
                if again && round == 0 {
                    running.signal("HUP");
                    let start = Instant::now();
                    while arrived::spans(&sink).len() < 20 {
                        let log = running.log_text();
                        let most = testkit::at_most(Duration::from_secs(30));
                        assert!(start.elapsed() < most, "{what}: {log}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                    // The port is open before the new engine runs.
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
            let (code, log) = block_in_place(|| running.stop());
            assert_eq!(code, Some(0), "{what}: {log}");
            assert_eq!(names(&sink), expected, "{what}: {log}");
            assert_eq!(journal_bytes(folder.path()), 0, "{what}: {log}");
        }
    }
}

/// The bytes of a journal's files.
fn journal_bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let files =
        entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "journal"));
    files.map(|entry| entry.metadata().unwrap().len()).sum()
}

/// Received, kept, dropped and held spans, of which the first are the sum of the others.
pub(crate) fn spans_of(page: &Page) -> [u64; 4] {
    let names = ["received_spans_total", "kept_spans_total", "dropped_spans_total", "held_spans"];
    let [received, kept, dropped, held] =
        names.map(|name| page.sum_of(name, &[]).unwrap_or_default());
    assert_eq!(received, kept + dropped + held);
    [received, kept, dropped, held]
}

/// Scenario: `kill -9` while traces wait in so many shards, with a journal whose last entry is torn, and a restart with
/// so many, that gets the rest of the traces. Guarantees: what waited before the kill waits after it, and every span of
/// the traces that policies keep arrives, once, those from before the kill too; of the others, which are counted as dropped,
/// none; a stop leaves no journal.
async fn kill_in_the_middle_of_waits([before, after]: [usize; 2]) {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = format!("{}, {before} shards, then {after}", host.title());
        let folder = tempfile::tempdir().unwrap();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let journal = format!("journal_path: {}", folder.path().display());
        let pipeline = |shards: usize| {
            Pipeline::default()
                .otlp_in(http, 0)
                .filter(&[
                    "name: ai_sampling",
                    "match: 'ai*'",
                    "mode: tail",
                    "decision_wait: 8s",
                    "keep_where: 'size(spans) == 2 && spans.exists(s, s.attributes[\"k\"] == \"a\")'",
                    &journal,
                    &format!("shards: {shards}"),
                ])
                .otlp_out(&[("sink", sink.port, "http/protobuf")])
        };
        let (running, port) = start(&host, plugins.path(), pipeline(before), http);
        let kind = |trace: u8| if trace.is_multiple_of(2) { "a" } else { "b" };
        send_spans(http, (1..=20).map(|trace| span(trace, 1, kind(trace))).collect()).await;
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("journal_spans_total", &[("outcome", "written")]) == Some(20)
        })
        .await;
        assert_eq!(spans_of(&page), [20, 0, 0, 20], "{what}");
        // It is a queue away from the file.
        tokio::time::sleep(testkit::at_most(Duration::from_millis(500))).await;
        assert!(journal_bytes(folder.path()) > 20 * 50, "{what}");
        running.signal("KILL");
        drop(running);
        assert_eq!(names(&sink), set(&[]), "{what}: all of them waited");
        let name = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let name = name.filter(|path| path.extension().is_some_and(|end| end == "journal")).max();
        let mut file = std::fs::OpenOptions::new().append(true).open(name.unwrap()).unwrap();
        file.write_all(&[1, 2, 3]).unwrap();

        let (running, port) = start(&host, plugins.path(), pipeline(after), http);
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("journal_spans_total", &[("outcome", "recovered")]) == Some(20)
        })
        .await;
        assert_eq!(page.sum("journal_torn_bytes_total", &[]), 3, "{what}");
        assert_eq!(spans_of(&page), [20, 0, 0, 20], "{what}: they wait again");
        send_spans(http, (1..=20).map(|trace| span(trace, 2, "b")).collect()).await;
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("held_spans", &[]) == Some(0)
                && page.sum_of("received_spans_total", &[]) == Some(40)
        })
        .await;
        assert_eq!(spans_of(&page), [40, 20, 20, 0], "{what}");
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let kept = (1..=20_u8).filter(|trace| trace.is_multiple_of(2));
        let expected = kept.flat_map(|trace| [1, 2].map(|id| format!("{trace}.{id}"))).collect();
        assert_eq!(names(&sink), expected, "{what}: {log}");
        assert_eq!(journal_bytes(folder.path()), 0, "{what}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_waited_when_the_host_was_killed_is_decided_after_it() {
    kill_in_the_middle_of_waits([1, 1]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_waited_in_shards_when_the_host_was_killed_is_decided_after_it() {
    kill_in_the_middle_of_waits([4, 4]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_waited_in_shards_is_decided_by_another_number_of_them_after_a_kill() {
    kill_in_the_middle_of_waits([4, 7]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_waited_in_shards_is_decided_by_one_sampler_after_a_kill() {
    kill_in_the_middle_of_waits([4, 1]).await;
}
