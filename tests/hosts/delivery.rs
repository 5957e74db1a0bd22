//! Dead endpoints, paused hosts: nothing lost, nothing doubled.

use std::time::{Duration, Instant};

use crate::faults::scripted::{Act, Faulty};
use crate::hosts::{RunningHost, free_port};
use crate::load;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, together};

fn spans(port: u16, items: u64) -> load::Args {
    load::Args {
        port,
        grpc: false,
        shape: TelemetryShape::Genai,
        items,
        batch: 128,
        connections: 2,
        rate: 0,
        attempts: 400,
    }
}

/// Scenario: one of two endpoints is down and comes up later. Guarantees: the healthy one gets
/// everything once and soon; the other gets everything once after it is up.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_was_down_gets_everything_once() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let healthy = Sink::start(0, Keep::Numbers).await;
        let (http, grpc, down) = (free_port(), free_port(), free_port());
        let pipeline = Pipeline::default()
            .service("scheduler.base: 1")
            .service("scheduler.cap: 2")
            .otlp_in(http, grpc)
            .otlp_out(&[("up", healthy.port, "http/protobuf"), ("down", down, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let report = load::run(spans(http, 12_800)).await;
        assert_eq!(report.accepted, 12_800, "{}: {:?}", host.title(), report.first_error);
        healthy.settle(12_800, Duration::from_secs(8), Duration::from_secs(20)).await;
        assert_eq!(
            healthy.received.lock().unwrap().distinct(),
            12_800,
            "{}: the healthy endpoint waits for the dead one\n{}",
            host.title(),
            running.log_text()
        );
        let late = Sink::start(down, Keep::Numbers).await;
        late.settle(12_800, Duration::from_secs(25), Duration::from_secs(60)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        for (name, sink) in [("up", &healthy), ("down", &late)] {
            let received = sink.received.lock().unwrap();
            assert_eq!(received.distinct(), 12_800, "{} {name}: {log}", host.title());
            assert_eq!(received.doubled(), 0, "{} {name}: {log}", host.title());
        }
    }
}

/// Scenario: SIGTERM while chunks that were refused for the moment are on their way again, to one endpoint
/// and to two. The host then brings those once more. Guarantees: everything arrives once.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_again_when_the_host_stops_arrives_once() {
    let _together = together();
    let plugins = linked();
    for (host, endpoints) in all_hosts().into_iter().flat_map(|host| [(host.clone(), 1), (host, 2)])
    {
        let what = format!("{}, {endpoints} endpoints", host.title());
        // Three refusals open a breaker, so that all chunks go back to the host first.
        let act = |n, _| if n < 3 { Act::Status(503, "") } else { Act::Slow };
        let mut faulty = Vec::new();
        for _ in 0..endpoints {
            let port = free_port();
            faulty.push((port, Faulty::start(port, act, false).await));
        }
        let names = ["one", "two"].into_iter();
        let given: Vec<_> =
            names.zip(&faulty).map(|(name, (port, _))| (name, *port, "http/protobuf")).collect();
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .service("scheduler.base: 1")
            .service("scheduler.cap: 2")
            .otlp_in(http, grpc)
            .otlp_out(&given);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let report = load::run(spans(http, 6_400)).await;
        assert_eq!(report.accepted, 6_400, "{what}: {:?}", report.first_error);
        // An answer takes 300 ms, so a retry is on its way.
        let start = Instant::now();
        while faulty.iter().any(|(_, faulty)| faulty.got.lock().unwrap().faults < 4) {
            assert!(
                start.elapsed() < testkit::at_most(Duration::from_secs(20)),
                "{what}: {}",
                running.log_text()
            );
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let (code, log) = tokio::task::block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        for (_, faulty) in &faulty {
            let got = faulty.got.lock().unwrap();
            assert_eq!(got.numbers.len(), 6_400, "{what}: {log}");
            assert!(got.numbers.iter().all(|count| *count == 1), "{what}: {log}");
        }
    }
}

/// Scenario: the output is down, the input's memory limit is reached, then the output comes up.
/// Guarantees: clients were told to retry, and everything accepted arrives once.
#[tokio::test(flavor = "multi_thread")]
async fn a_paused_host_tells_clients_to_retry() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let (http, grpc, down) = (free_port(), free_port(), free_port());
        let pipeline = Pipeline::default()
            .service("scheduler.base: 1")
            .service("scheduler.cap: 2")
            .otlp_in(http, grpc)
            .input_option("mem_buf_limit: 5M")
            .otlp_out(&[("one", down, "http/protobuf")]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let loader = tokio::spawn(load::run(spans(http, 12_800)));
        tokio::time::sleep(Duration::from_secs(4)).await;
        let sink = Sink::start(down, Keep::Numbers).await;
        let report = loader.await.unwrap();
        assert_eq!(report.accepted, 12_800, "{}: {:?}", host.title(), report.first_error);
        assert!(report.errors > 0, "{}: the host was never paused", host.title());
        let first = report.first_error.unwrap_or_default();
        assert!(first.starts_with("503") || first.starts_with("429"), "{}: {first}", host.title());
        sink.settle(12_800, Duration::from_secs(20), Duration::from_secs(60)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        let received = sink.received.lock().unwrap();
        assert_eq!(received.distinct(), 12_800, "{}: {log}", host.title());
        assert_eq!(received.doubled(), 0, "{}: {log}", host.title());
    }
}

/// Scenario: flush on the engine's thread (`workers: 0`) and on one and four workers, all signals.
/// Guarantees: everything arrives once.
#[tokio::test(flavor = "multi_thread")]
async fn any_number_of_workers_delivers() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        for workers in [0, 1, 4] {
            let sink = Sink::start(0, Keep::Numbers).await;
            let (http, grpc) = (free_port(), free_port());
            let pipeline = Pipeline::default()
                .otlp_in(http, grpc)
                .otlp_out(&[("one", sink.port, "grpc")])
                .output_option(&format!("workers: {workers}"));
            let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
            for shape in [TelemetryShape::Logs, TelemetryShape::Metrics] {
                let args = load::Args { shape, ..spans(http, 6400) };
                let report = load::run(args).await;
                assert_eq!(report.accepted, 6400, "{}: {:?}", host.title(), report.first_error);
            }
            sink.settle(12_800, Duration::from_secs(6), Duration::from_secs(20)).await;
            let (code, log) = running.stop();
            assert_eq!(code, Some(0), "{} workers {workers}: {log}", host.title());
            let received = sink.received.lock().unwrap();
            // Logs and metrics carry the same numbers: each came twice.
            assert_eq!(received.items, 12_800, "{} workers {workers}: {log}", host.title());
            assert_eq!(received.doubled(), 6400, "{} workers {workers}: {log}", host.title());
        }
    }
}
