//! Tail sampling where more comes than it, or the pipeline behind it, can hold.

use std::time::Duration;

use tokio::task::block_in_place;

use crate::hosts::free_port;
use crate::load;
use crate::meters::{page_when, start};
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::soak;
use crate::support::{Pipeline, all_hosts, alone, linked, real_hosts, together};

/// Scenario: traces come and wait for two seconds; those whose wait is over fill the input's `mem_buf_limit`, as the
/// endpoint is away, so that the host pauses the input while others wait still; then the endpoint comes. Guarantees:
/// clients were told to retry, nothing that waits leaves meanwhile, and every accepted span arrives, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pause_in_the_middle_of_waits_loses_nothing() {
    const SPANS: u64 = 12_800;
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let (http, away) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .service("scheduler.base: 1")
            .service("scheduler.cap: 2")
            .otlp_in(http, 0)
            .input_option("mem_buf_limit: 2M")
            .filter(&[
                "name: ai_sampling",
                "match: 'ai*'",
                "mode: tail",
                "decision_wait: 2s",
                "early_decision: off",
                "sampling_percentage: 100",
            ])
            .otlp_out(&[("one", away, "http/protobuf")]);
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        let loader = tokio::spawn(load::run(load::Args {
            port: http,
            grpc: false,
            shape: TelemetryShape::Genai,
            items: SPANS,
            batch: 128,
            connections: 2,
            rate: 4000,
            attempts: 1200,
        }));
        page_when((&host, &running, port), &what, |page| {
            page.sum_of("kept_spans_total", &[]).is_some_and(|kept| kept > 0)
        })
        .await;
        // Longer than the waits of all that came before the pause.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let page = page_when((&host, &running, port), &what, |_| true).await;
        let [kept, held] = ["kept_spans_total", "held_spans"].map(|name| page.sum(name, &[]));
        assert!(held > 1000 && kept + held < SPANS, "{what}: {kept} kept, {held} held");
        let sink = Sink::start(away, Keep::Numbers).await;
        let report = loader.await.unwrap();
        assert_eq!(report.accepted, SPANS, "{what}: {:?}", report.first_error);
        assert!(report.errors > 0, "{what}: the host was never paused");
        sink.settle(SPANS, Duration::from_secs(20), Duration::from_secs(60)).await;
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("kept_spans_total", &[]) == Some(SPANS)
        })
        .await;
        let early = page.sum("early_decisions_total", &[]);
        assert_eq!((page.sum("held_spans", &[]), early), (0, 0), "{what}");
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let received = sink.received.lock().unwrap();
        assert_eq!((received.distinct(), received.doubled()), (SPANS, 0), "{what}: {log}");
    }
}

/// Scenario: more comes than the buffer holds, in traces of two halves, on the newest host. Guarantees: what the soak
/// looks at every second holds: see `soak` in tools/testkit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_short_soak_holds() {
    let _alone = alone();
    let plugins = linked();
    let Some(host) = real_hosts().into_iter().next() else {
        return println!("no real host was found: its counters cannot be read every second");
    };
    let args = soak::Args {
        plugins: plugins.path().to_owned(),
        seconds: 12,
        rate: 3000,
        buffer: 16,
        wait: 8,
        apart: 500,
        beside: 24,
    };
    let report = soak::on(&host, plugins.path(), args).await.unwrap();
    assert!(report.early > 0 && report.checks >= 8, "{report:?}");
    println!("{}", report.text());
}
