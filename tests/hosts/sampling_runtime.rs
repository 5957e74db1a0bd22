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
use crate::meters::{page_when, start};
use crate::sampling::send_spans;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// A span of a trace, with a text as its attribute `k`.
fn span(trace: u8, id: u8, text: &str) -> Span {
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

fn names(sink: &Sink) -> BTreeSet<String> {
    let spans = arrived::spans(sink);
    let names: BTreeSet<String> = spans.iter().map(|span| span.name.clone()).collect();
    assert_eq!(names.len(), spans.len(), "none twice: {names:?}");
    names
}

fn set(names: &[&str]) -> BTreeSet<String> {
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

/// Scenario: traces over two requests, of which expressions keep every other one, and a signal in the middle of
/// their wait: SIGTERM, or SIGHUP and then more of the same. Guarantees: what waited is decided on what is there,
/// as a whole: the spans of the kept traces arrive, once each, and no others. The journal of each run has its spans
/// and is gone after it, so that nothing is decided twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn signals_in_the_middle_of_waits_decide_what_is_there() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        for again in [false, true] {
            let what = format!("{}, again: {again}", host.title());
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

/// Scenario: `kill -9` while traces wait, with a journal whose last entry is torn, and a restart that gets the rest of
/// the traces. Guarantees: every span of the traces that policies keep arrives, once, those from before the kill
/// too, and none of the others; a stop leaves no journal.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_waited_when_the_host_was_killed_is_decided_after_it() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let folder = tempfile::tempdir().unwrap();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let journal = format!("journal_path: {}", folder.path().display());
        let pipeline = || {
            Pipeline::default()
                .otlp_in(http, 0)
                .filter(&[
                    "name: ai_sampling",
                    "match: 'ai*'",
                    "mode: tail",
                    "decision_wait: 8s",
                    "keep_where: 'size(spans) == 2 && spans.exists(s, s.attributes[\"k\"] == \"a\")'",
                    &journal,
                ])
                .otlp_out(&[("sink", sink.port, "http/protobuf")])
        };
        let (running, port) = start(&host, plugins.path(), pipeline(), http);
        let kind = |trace: u8| if trace.is_multiple_of(2) { "a" } else { "b" };
        send_spans(http, (1..=20).map(|trace| span(trace, 1, kind(trace))).collect()).await;
        page_when((&host, &running, port), &what, |page| {
            page.sum_of("journal_spans_total", &[("outcome", "written")]) == Some(20)
        })
        .await;
        // It is a queue away from the file.
        tokio::time::sleep(testkit::at_most(Duration::from_millis(500))).await;
        assert!(journal_bytes(folder.path()) > 20 * 50, "{what}");
        running.signal("KILL");
        drop(running);
        let name = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let name = name.filter(|path| path.extension().is_some_and(|end| end == "journal")).max();
        let mut file = std::fs::OpenOptions::new().append(true).open(name.unwrap()).unwrap();
        file.write_all(&[1, 2, 3]).unwrap();

        let (running, port) = start(&host, plugins.path(), pipeline(), http);
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("journal_spans_total", &[("outcome", "recovered")]) == Some(20)
        })
        .await;
        assert_eq!(page.sum("journal_torn_bytes_total", &[]), 3, "{what}");
        send_spans(http, (1..=20).map(|trace| span(trace, 2, "b")).collect()).await;
        page_when((&host, &running, port), &what, |page| {
            page.sum_of("held_spans", &[]) == Some(0)
                && page.sum_of("dropped_spans_total", &[]) == Some(20)
        })
        .await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let kept = (1..=20_u8).filter(|trace| trace.is_multiple_of(2));
        let expected = kept.flat_map(|trace| [1, 2].map(|id| format!("{trace}.{id}"))).collect();
        assert_eq!(names(&sink), expected, "{what}: {log}");
        assert_eq!(journal_bytes(folder.path()), 0, "{what}: {log}");
    }
}
