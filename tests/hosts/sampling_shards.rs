//! Tail sampling in shards, beside one sampler.

use tokio::task::block_in_place;

use crate::hosts::free_port;
use crate::load;
use crate::meters::{page_when, start};
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

/// Spans of a trace of this shape.
const PER_TRACE: usize = 4;

/// Scenario: traces come in chunks that are large enough for several threads, to one sampler and to four shards; some
/// are decided when their wait is over, and the others when the host is stopped. Guarantees: the same spans arrive
/// from both, once, and no trace in part; the counters say so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn shards_keep_what_one_sampler_keeps() {
    const SPANS: u64 = 12_288;
    let _together = together();
    let plugins = linked();
    let mut want = None;
    for host in all_hosts() {
        for shards in [1, 4] {
            let what = format!("{}, {shards} shards", host.title());
            let sink = Sink::start(0, Keep::Numbers).await;
            let http = free_port();
            let shards = format!("shards: {shards}");
            let pipeline = Pipeline::default()
                .otlp_in(http, 0)
                .filter(&[
                    "name: ai_sampling",
                    "match: 'ai*'",
                    "mode: tail",
                    "decision_wait: 2s",
                    "early_decision: off",
                    "sampling_percentage: 40",
                    &shards,
                ])
                .otlp_out(&[("sink", sink.port, "http/protobuf")]);
            let (running, port) = start(&host, plugins.path(), pipeline, http);
            let report = load::run(load::Args {
                port: http,
                grpc: false,
                shape: TelemetryShape::Genai,
                items: SPANS,
                batch: 512,
                connections: 2,
                rate: 4000,
                attempts: 100,
            })
            .await;
            assert_eq!(report.accepted, SPANS, "{what}: {:?}", report.first_error);
            let page = page_when((&host, &running, port), &what, |page| {
                page.sum_of("received_spans_total", &[]) == Some(SPANS)
                    && page.sum_of("kept_spans_total", &[]).is_some_and(|kept| kept > 0)
            })
            .await;
            let [kept, dropped, held] = ["kept_spans_total", "dropped_spans_total", "held_spans"]
                .map(|name| page.sum(name, &[]));
            assert_eq!(kept + dropped + held, SPANS, "{what}");
            let (code, log) = block_in_place(|| running.stop());
            assert_eq!(code, Some(0), "{what}: {log}");
            let received = sink.received.lock().unwrap();
            assert_eq!(received.doubled(), 0, "{what}: {log}");
            let torn = |trace: &&[_]| trace.iter().any(|count| *count != trace[0]);
            assert_eq!(received.numbers.chunks(PER_TRACE).filter(torn).count(), 0, "{what}: {log}");
            let part = received.distinct() as f64 / SPANS as f64;
            assert!((0.36..0.44).contains(&part), "{what}: {part}");
            let mut numbers = received.numbers.clone();
            numbers.resize(SPANS as usize, 0);
            assert!(*want.get_or_insert_with(|| numbers.clone()) == numbers, "{what}: {log}");
        }
    }
}
