//! What waits in memory for outputs that are slower than senders.

use std::time::{Duration, Instant};

use crate::hosts::{RunningHost, free_port};
use crate::load;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, alone, linked, real_hosts};

const SPANS: u64 = 25_600;

fn spans(port: u16) -> load::Args {
    load::Args {
        port,
        grpc: false,
        shape: TelemetryShape::Genai,
        items: SPANS,
        batch: 128,
        connections: 2,
        rate: 0,
        attempts: 600,
    }
}

fn patient(http: u16, down: u16) -> Pipeline {
    Pipeline::default()
        .service("scheduler.base: 1")
        .service("scheduler.cap: 2")
        .service("log_level: info")
        .otlp_in(http, free_port())
        .input_option("queue_timeout: 500ms")
        .input_option("max_memory: 8m")
        .otlp_out(&[("one", down, "http/protobuf")])
        .output_option("retry_limit: no_limits")
}

/// Scenario: the endpoint is away while several times as much comes as may wait in memory.
/// Guarantees: nobody but us says stop, once in the log; senders are told to come again, the host
/// stays small, and when the endpoint is there everything that was accepted arrives once.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_memory_is_bounded_by_default() {
    let _alone = alone();
    let plugins = linked();
    for host in all_hosts() {
        let (http, down) = (free_port(), free_port());
        let running = RunningHost::start(&host, &patient(http, down).yaml(plugins.path()), http);
        let quiet = running.peak_mib();
        let loader = tokio::spawn(load::run(spans(http)));
        let start = Instant::now();
        while !running.log_text().contains("asked to come again") {
            assert!(
                start.elapsed() < testkit::at_most(Duration::from_secs(20)),
                "{}",
                running.log_text()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        let grown = running.peak_mib() - quiet;
        // 8 MB of chunks, with what a copy on its way and a debug build take; 35 MB were sent.
        assert!(grown < 60.0, "{}: {grown} MiB more", host.title());
        let sink = Sink::start(down, Keep::Numbers).await;
        let report = loader.await.unwrap();
        assert_eq!(report.accepted, SPANS, "{}: {:?}", host.title(), report.first_error);
        let first = report.first_error.unwrap_or_default();
        assert!(first.starts_with("429"), "{}: {first}", host.title());
        sink.settle(SPANS, Duration::from_secs(20), Duration::from_secs(60)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        assert_eq!(log.matches("asked to come again").count(), 1, "{}: {log}", host.title());
        assert!(!log.contains("overlimit"), "the host did not pause us: {log}");
        let received = sink.received.lock().unwrap();
        let arrived = (received.distinct(), received.doubled());
        assert_eq!(arrived, (SPANS, 0), "{}: {log}", host.title());
    }
}

/// Scenario: the user has the host bound its chunks, in memory or on disk, and gives our limit too.
/// Guarantees: the start says that ours has no effect, and it has none.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_host_bounds_is_left_to_it() {
    let _alone = alone();
    let plugins = linked();
    for host in real_hosts() {
        let disk = tempfile::tempdir().unwrap();
        let storage = format!("storage.path: {}", disk.path().display());
        for (service, option) in [
            ("log_level: info", "mem_buf_limit: 100M"),
            (storage.as_str(), "storage.type: filesystem"),
        ] {
            let (http, down) = (free_port(), free_port());
            let pipeline = patient(http, down).service(service).input_option(option);
            let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
            let report = load::run(spans(http)).await;
            assert_eq!(report.accepted, SPANS, "{}: {:?}", host.title(), report.first_error);
            assert_eq!(report.errors, 0, "{} {option}", host.title());
            let log = running.log_text();
            assert!(log.contains("'max_memory': has no effect"), "{}: {log}", host.title());
            assert!(!log.contains("come again"), "{}: {log}", host.title());
            drop(running);
        }
    }
}
