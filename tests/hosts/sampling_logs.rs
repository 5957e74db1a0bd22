//! Logs that wait for their trace while a host is reloaded, stopped or paused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use crate::arrived;
use crate::client::Client;
use crate::hosts::{RunningHost, free_port};
use crate::meters::{page_when, start};
use crate::sampling::{send_spans, spans_request};
use crate::sampling_companions::{log_names, logs, logs_request, send_logs, span};
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// What of a trace is kept: every other one.
fn kind(trace: u8) -> &'static str {
    if trace.is_multiple_of(2) { "a" } else { "b" }
}

/// Waits until so many logs have arrived.
async fn until_logs(sink: &Sink, count: usize, (running, what): (&RunningHost, &str)) {
    let start = Instant::now();
    while log_names(sink).len() < count {
        let log = running.log_text();
        let arrived = log_names(sink).len();
        let most = testkit::at_most(Duration::from_secs(30));
        assert!(start.elapsed() < most, "{what}: {arrived} of {count}: {log}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Scenario: logs that came before the spans of their trace, after them, and for traces of which no span comes; and a
/// signal in the middle of their waits: SIGTERM, or SIGHUP and then more of the same. Guarantees: what waits is decided
/// on what is there: logs of kept traces arrive, once each, with the name of the policy, and so do those without a trace;
/// those of the others do not. The counters add up before each signal, and no journal is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn logs_that_wait_are_decided_at_signals() {
    const TRACES: u8 = 20;
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        for again in [false, true] {
            let what = format!("{}, again: {again}", host.title());
            let folder = tempfile::tempdir().unwrap();
            let journal = format!("journal_path: {}", folder.path().display());
            let sink = Sink::start(0, Keep::Requests).await;
            let http = free_port();
            let filter = [
                "name: ai_sampling",
                "match: 'ai*'",
                "mode: tail",
                "decision_wait: 600s",
                "early_decision: off",
                "logs: follow",
                "keep_attribute: k=a",
                &journal,
            ];
            let pipeline = Pipeline::default()
                .service("hot_reload: on")
                .otlp_in(http, 0)
                .filter(&filter)
                .otlp_out(&[("sink", sink.port, "http/protobuf")]);
            let (running, port) = start(&host, plugins.path(), pipeline, http);
            let (mut kept, mut alone) = (BTreeSet::new(), BTreeSet::new());
            for round in 0..=u8::from(again) {
                let traces: Vec<u8> = (1..=TRACES).map(|trace| trace + 100 * round).collect();
                let texts = |when: &str| -> Vec<(u8, String)> {
                    traces.iter().map(|trace| (*trace, format!("{trace} {when}"))).collect()
                };
                let without: Vec<(u8, String)> = (30..35)
                    .map(|it| it + 100 * round)
                    .map(|it| (it, format!("{it} alone")))
                    .collect();
                send_logs(http, &texts("before")).await;
                send_logs(http, &without).await;
                let spans = traces.iter().map(|trace| span(*trace, false, kind(*trace)));
                send_spans(http, spans.collect()).await;
                send_logs(http, &texts("after")).await;
                let all = 2 * u64::from(TRACES) + 5;
                let page = page_when((&host, &running, port), &what, |page| {
                    page.sum_of("held_logs", &[]) == Some(all)
                        && page.sum_of("held_spans", &[]) == Some(u64::from(TRACES))
                })
                .await;
                assert_eq!(page.sum("received_logs_total", &[]), all, "{what}");
                for trace in traces.iter().filter(|trace| trace.is_multiple_of(2)) {
                    kept.extend(["before", "after"].map(|when| format!("{trace} {when}")));
                }
                alone.extend(without.into_iter().map(|(_, name)| name));
                if again && round == 0 {
                    running.signal("HUP");
                    until_logs(&sink, kept.len() + alone.len(), (&running, &what)).await;
                    // The port is open before the new engine runs.
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
            let (code, log) = block_in_place(|| running.stop());
            assert_eq!(code, Some(0), "{what}: {log}");
            let arrived_logs = logs(&sink);
            let (with_policy, others): (Vec<_>, Vec<_>) =
                arrived_logs.iter().partition(|(_, (said, _))| {
                    said.get("fluentbit.ai.sampling.policy")
                        .is_some_and(|it| it == "keep_attribute")
                });
            let names =
                |of: Vec<(&String, &_)>| of.into_iter().map(|(name, _)| name.clone()).collect();
            let (with_policy, others): (BTreeSet<String>, BTreeSet<String>) =
                (names(with_policy), names(others));
            assert_eq!(with_policy, kept, "{what}: {log}");
            assert_eq!(others, alone, "{what}: {log}");
            assert_eq!(arrived::spans(&sink).len(), kept.len() / 2, "{what}: {log}");
            let left = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
            let left: Vec<_> =
                left.filter(|path| path.extension().is_some_and(|end| end == "journal")).collect();
            assert!(left.is_empty(), "{what}: {left:?}: {log}");
        }
    }
}

/// Sends a request until it is accepted; counts in `refused` how often it was not.
async fn deliver(client: &mut Client, path: &str, request: &[u8], refused: &AtomicU64) {
    let start = Instant::now();
    while let Err(error) =
        client.send(path, TelemetryShape::Genai.service(), request.to_vec()).await
    {
        refused.fetch_add(1, Ordering::Relaxed);
        assert!(start.elapsed() < testkit::at_most(Duration::from_secs(90)), "{error}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Scenario: traces and their logs, half of them before their span and half after it, that wait for two seconds; those whose
/// wait is over fill the input's `mem_buf_limit`, as the endpoint is away, so that the host pauses the input while logs wait
/// still; then the endpoint comes. Guarantees: senders were told to retry, what waits stays held meanwhile, each log of a kept
/// trace arrives once, and so do spans; of the others those alone that are counted as without a decision.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pause_while_logs_wait_loses_none() {
    const TRACES: u8 = 240;
    const BATCH: usize = 4;
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let (http, away) = (free_port(), free_port());
        let filter = [
            "name: ai_sampling",
            "match: 'ai*'",
            "mode: tail",
            "decision_wait: 2s",
            "early_decision: off",
            "logs: follow",
            "keep_attribute: k=a",
        ];
        let pipeline = Pipeline::default()
            .service("scheduler.base: 1")
            .service("scheduler.cap: 2")
            .otlp_in(http, 0)
            .input_option("mem_buf_limit: 300K")
            .filter(&filter)
            .otlp_out(&[("one", away, "http/protobuf")]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        let refused = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&refused);
        let sender = tokio::spawn(async move {
            let mut client = Client::connect(http, false).await.unwrap();
            let filler = "x".repeat(8000);
            let all: Vec<u8> = (1..=TRACES).collect();
            for (number, traces) in all.chunks(BATCH).enumerate() {
                let spans = traces.iter().map(|trace| span(*trace, false, kind(*trace)));
                let spans = spans_request(spans.collect());
                let texts = traces.iter().flat_map(|trace| {
                    ["one", "two"].map(|name| (*trace, format!("{trace} {name} {filler}")))
                });
                let texts = logs_request(&texts.collect::<Vec<_>>());
                let mut both = [("/v1/traces", spans), ("/v1/logs", texts)];
                if number.is_multiple_of(2) {
                    both.reverse();
                }
                for (path, request) in both {
                    deliver(&mut client, path, &request, &counted).await;
                }
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        });
        let since = Instant::now();
        while refused.load(Ordering::Relaxed) == 0 {
            let most = testkit::at_most(Duration::from_secs(60));
            assert!(since.elapsed() < most && !sender.is_finished(), "{what}: never paused");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // Longer than the waits of all that came before the pause.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let page = page_when((&host, &running, port), &what, |_| true).await;
        let sum = |name: &str| page.sum(name, &[]);
        let decided = sum("kept_logs_total") + sum("dropped_logs_total");
        assert!(sum("held_logs") > 0 && decided > 0, "{what}: {decided} decided");
        assert_eq!(sum("received_logs_total"), decided + sum("held_logs"), "{what}");
        let sink = Sink::start(away, Keep::Requests).await;
        sender.await.unwrap();
        until_logs(&sink, usize::from(TRACES), (&running, &what)).await;
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("held_spans", &[]) == Some(0)
                && page.sum_of("held_logs", &[]) == Some(0)
                && page.sum_of("received_logs_total", &[]) == Some(2 * u64::from(TRACES))
        })
        .await;
        let without_decision = page.sum("kept_logs_total", &[("policy", "no_decision")]);
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let (mut found, mut undecided) = (BTreeSet::new(), BTreeSet::new());
        for (name, (said, _)) in logs(&sink) {
            let name = name.split_once(" x").map(|(name, _)| name.to_owned()).unwrap();
            if !said.contains_key("fluentbit.ai.sampling.policy") {
                undecided.insert(name.clone());
            }
            found.insert(name);
        }
        let kept: Vec<u8> = (1..=TRACES).filter(|trace| trace.is_multiple_of(2)).collect();
        let wanted: BTreeSet<String> =
            kept.iter().flat_map(|it| ["one", "two"].map(|name| format!("{it} {name}"))).collect();
        assert!(wanted.is_subset(&found), "{what}: {:?}: {log}", wanted.difference(&found));
        // Those whose span was refused for longer than the wait stay for want of a decision.
        assert!(
            found.difference(&wanted).all(|name| undecided.contains(name)),
            "{what}: {found:?}"
        );
        assert_eq!(undecided.len() as u64, without_decision, "{what}: {undecided:?}: {log}");
        let mut spans: Vec<u8> = arrived::spans(&sink).iter().map(|it| it.span_id[0]).collect();
        spans.sort_unstable();
        assert_eq!(spans, kept, "{what}: {log}");
    }
}
