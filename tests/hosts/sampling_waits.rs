//! Tail sampling on hosts: waits that are learned, traces that begin while the buffer is full or have as many spans as one
//! may have, and traces that are new.

use std::collections::BTreeSet;
use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use tokio::task::block_in_place;

use crate::arrived;
use crate::hosts::free_port;
use crate::meters::{page_when, start};
use crate::sampling::send_spans;
use crate::sampling_runtime::{names, set, span, spans_of};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// A tail sampler with these options.
fn pipeline(http: u16, sink: u16, options: &[&str]) -> Pipeline {
    let common = ["name: ai_sampling", "match: 'ai*'", "mode: tail"];
    Pipeline::default().otlp_in(http, 0).filter(&[&common, options].concat()).otlp_out(&[(
        "sink",
        sink,
        "http/protobuf",
    )])
}

/// Scenario: an agent's run whose root comes long after the wait is over; then two more runs like it: one that failed, and
/// one that has not. Guarantees: the first is decided without its root, and teaches how long its likes go on; of the others the
/// failed one, which is kept for certain, leaves at the usual wait and the rest of it follows, and the other one waits for its
/// root and is decided as a whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn runs_that_go_on_are_waited_for() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let options = [
            "decision_wait: 1s",
            "decision_wait_max: 600s",
            "early_decision: off",
            "keep_errors: on",
            "keep_where: 'size(spans) == 2'",
        ];
        let (running, port) =
            start(&host, plugins.path(), pipeline(http, sink.port, &options), http);
        let target = (&host, &running, port);
        let child = |trace| Span {
            parent_span_id: vec![1; 8],
            name: "step".to_owned(),
            ..span(trace, 2, "")
        };
        let root = |trace| span(trace, 1, "");
        send_spans(http, vec![child(1)]).await;
        page_when(target, &what, |page| page.sum_of("dropped_spans_total", &[]) == Some(1)).await;
        tokio::time::sleep(testkit::at_most(Duration::from_secs(12))).await;
        send_spans(http, vec![root(1)]).await;
        page_when(target, &what, |page| {
            page.sum_of("late_spans_total", &[("decision", "dropped")]) == Some(1)
        })
        .await;
        let failed = Span { status: Some(Status { code: 2, ..Status::default() }), ..child(2) };
        send_spans(http, vec![failed, child(3)]).await;
        let page = page_when(target, &what, |page| {
            page.sum_of("early_decisions_total", &[("reason", "provisional")]) == Some(1)
                && page.sum_of("prolonged_waits_total", &[]) == Some(1)
        })
        .await;
        assert_eq!(spans_of(&page), [4, 1, 2, 1], "{what}: one waits on");
        send_spans(http, vec![root(2), root(3)]).await;
        let page =
            page_when(target, &what, |page| page.sum_of("kept_spans_total", &[]) == Some(4)).await;
        assert_eq!(spans_of(&page), [6, 4, 2, 0], "{what}");
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let mut arrived: Vec<(u8, u8)> =
            arrived::spans(&sink).iter().map(|span| (span.trace_id[0], span.span_id[0])).collect();
        arrived.sort_unstable();
        assert_eq!(arrived, [(2, 1), (2, 2), (3, 1), (3, 2)], "{what}: {log}");
    }
}

/// Scenario: one trace more than may wait, and then many. Guarantees: those that begin then are decided at once by their ids,
/// whose half the percentage keeps, and say with which threshold; what waited is decided by the policies.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn traces_are_shed_by_their_ids() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let options = [
            "decision_wait: 600s",
            "keep_errors: on",
            "max_traces: 40",
            "shed_sampling_percentage: 50",
        ];
        let (running, port) =
            start(&host, plugins.path(), pipeline(http, sink.port, &options), http);
        send_spans(http, (1..=41).map(|trace| span(trace, 1, "")).collect()).await;
        send_spans(http, (100..=160).map(|trace| span(trace, 1, "")).collect()).await;
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("received_spans_total", &[]) == Some(102)
        })
        .await;
        assert_eq!(spans_of(&page), [102, 33, 29, 40], "{what}");
        for (decision, traces) in [("keep", 33), ("drop", 28)] {
            let of = [("decision", decision)];
            assert_eq!(page.sum("shed_traces_total", &of), traces, "{what}: {decision}");
        }
        // Later spans of a trace that was shed go the same way.
        send_spans(http, [120, 140].map(|trace| span(trace, 2, "")).into()).await;
        page_when((&host, &running, port), &what, |page| {
            page.sum_of("received_spans_total", &[]) == Some(104)
        })
        .await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let kept = (128..=160).map(|trace| format!("{trace}.1"));
        let kept: BTreeSet<String> = kept.chain(["140.2".to_owned()]).collect();
        assert_eq!(names(&sink), kept, "{what}: {log}");
        assert!(arrived::spans(&sink).iter().all(|span| span.trace_state == "ot=th:8"), "{what}");
    }
}

/// Scenario: traces of two kinds that come again, with prompts alike and not, and one that has as many spans as one may have.
/// Guarantees: the first of each kind and what is unlike the others stay; the large one is decided at once, and what follows of
/// it goes the same way.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_new_stays_and_what_is_too_large_does_not_wait() {
    const LONG: &str = "please summarize the quarterly report of the finance department for the board of directors";
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let policies = plugins.path().join("new.yaml");
        let text = "policies:\n  - {name: rare, type: rare, keys: [kind]}\n  - {name: diverse, type: diverse, keys: [k]}\n";
        std::fs::write(&policies, text).unwrap();
        let file = format!("config_file: {}", policies.display());
        let sink = Sink::start(0, Keep::Requests).await;
        let http = free_port();
        let options = ["decision_wait: 2s", "max_spans_per_trace: 3", &file];
        let (running, port) =
            start(&host, plugins.path(), pipeline(http, sink.port, &options), http);
        // No span has the key 'kind', so that all are of one kind: the first stays by 'rare' whatever it says.
        send_spans(http, vec![span(1, 1, "first")]).await;
        let target = (&host, &running, port);
        page_when(target, &what, |page| page.sum_of("kept_spans_total", &[]) == Some(1)).await;
        send_spans(http, vec![span(2, 1, LONG)]).await;
        page_when(target, &what, |page| page.sum_of("kept_spans_total", &[]) == Some(2)).await;
        send_spans(http, vec![span(3, 1, LONG)]).await;
        let page =
            page_when(target, &what, |page| page.sum_of("dropped_spans_total", &[]) == Some(1))
                .await;
        for policy in ["rare", "diverse"] {
            assert_eq!(page.sum("kept_spans_total", &[("policy", policy)]), 1, "{what}: {policy}");
        }
        let large = (1..=3).map(|id| span(4, id, &format!("a {LONG}"))).collect();
        send_spans(http, large).await;
        page_when(target, &what, |page| {
            page.sum_of("early_decisions_total", &[("reason", "trace_limit")]) == Some(1)
        })
        .await;
        send_spans(http, vec![span(4, 4, "late")]).await;
        let page =
            page_when(target, &what, |page| page.sum_of("received_spans_total", &[]) == Some(7))
                .await;
        assert_eq!(spans_of(&page)[3], 0, "{what}");
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let arrived = names(&sink);
        let of_large = arrived.iter().filter(|name| name.starts_with("4.")).count();
        assert!([0, 4].contains(&of_large), "{what}: torn: {arrived:?}");
        let others: BTreeSet<String> =
            arrived.into_iter().filter(|name| !name.starts_with("4.")).collect();
        assert_eq!(others, set(&["1.1", "2.1"]), "{what}: {log}");
    }
}
