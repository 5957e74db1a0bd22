//! Tail sampling where more comes than it, or the pipeline behind it, can hold.

use std::time::Duration;

use tokio::task::block_in_place;

use crate::due;
use crate::hosts::free_port;
use crate::load;
use crate::meters::{page_when, start};
use crate::sampling_runtime::spans_of;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::soak;
use crate::support::{Pipeline, all_hosts, alone, linked, real_hosts, together};

/// Spans of a trace of this shape.
const PER_TRACE: usize = 4;

/// Scenario: traces come and wait for two seconds in so many shards; those whose wait is over and that chance keeps fill
/// the input's `mem_buf_limit`, as the endpoint is away, so that the host pauses the input while others wait still; then the
/// endpoint comes. Guarantees: clients were told to retry, nothing that waits leaves meanwhile, what came is kept, dropped or
/// held; every span of the kept traces arrives, once, and of the others none: as many as are counted.
async fn pause_in_the_middle_of_waits(shards: usize) {
    const SPANS: u64 = 12_800;
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = format!("{}, {shards} shards", host.title());
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
                "sampling_percentage: 75",
                &format!("shards: {shards}"),
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
        let [received, kept, dropped, held] = spans_of(&page);
        assert!(
            held > 1000 && received < SPANS,
            "{what}: {kept} kept, {dropped} dropped, {held} held"
        );
        let sink = Sink::start(away, Keep::Numbers).await;
        let report = loader.await.unwrap();
        assert_eq!(report.accepted, SPANS, "{what}: {:?}", report.first_error);
        assert!(report.errors > 0, "{what}: the host was never paused");
        let page = page_when((&host, &running, port), &what, |page| {
            page.sum_of("received_spans_total", &[]) == Some(SPANS)
                && page.sum_of("held_spans", &[]) == Some(0)
        })
        .await;
        let [_, kept, dropped, _] = spans_of(&page);
        assert!(kept > SPANS / 2 && dropped > SPANS / 10, "{what}: {kept} kept, {dropped} dropped");
        assert_eq!(page.sum("early_decisions_total", &[]), 0, "{what}");
        sink.settle(kept, Duration::from_secs(20), Duration::from_secs(60)).await;
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        let received = sink.received.lock().unwrap();
        assert_eq!((received.distinct(), received.doubled()), (kept, 0), "{what}: {log}");
        let torn = |trace: &&[u8]| trace.iter().any(|count| *count != trace[0]);
        let torn = received.numbers.chunks(PER_TRACE).filter(torn).count();
        assert_eq!(torn, 0, "{what}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pause_in_the_middle_of_waits_loses_nothing() {
    pause_in_the_middle_of_waits(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_pause_in_the_middle_of_waits_in_shards_loses_nothing() {
    pause_in_the_middle_of_waits(4).await;
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

/// Scenario: many spans in four shards that are due at once, all of them dropped and all of them kept, on the newest host.
/// Guarantees: all are decided, beside the thread of the host's engine, which goes on with its other work meanwhile: with one
/// decision after the other this build would be away for seconds. See `due` in tools/testkit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_due_at_once_in_shards_does_not_hold_the_host_up() {
    let _alone = alone();
    let plugins = linked();
    let Some(host) = real_hosts().into_iter().next() else {
        return println!("no real host was found: it has no input of its own to look at");
    };
    for keep in [false, true] {
        let plugins = plugins.path().to_owned();
        let args = due::Args { plugins, spans: 60_416, shards: 4, keep, wait: 25, rounds: 2 };
        let report = due::on(&host, &args).await.unwrap();
        println!("{}", report.text(&args));
        assert!(report.longest() < testkit::at_most(Duration::from_millis(300)), "{report:?}");
    }
}
