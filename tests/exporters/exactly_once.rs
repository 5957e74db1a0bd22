//! In fair weather: everything arrives once and no exporter complains.

use std::time::{Duration, Instant};

use crate::arrived::{assert_exactly_once, complete};
use crate::emit::{begin, end, launch, ways};
use crate::hosts::{Host, RunningHost, free_port};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, alone, bundled, linked, real_hosts};

/// The newest real host, if there is one, and the bundled one.
pub fn hosts() -> Vec<Host> {
    real_hosts().into_iter().take(1).chain([bundled("5.1.0")]).collect()
}

/// Waits until everything has come, at most `limit`, and a little longer for what comes twice.
pub async fn settle(sink: &Sink, ways: &[crate::emit::Way], limit: Duration) {
    let start = Instant::now();
    while !complete(sink, ways) && start.elapsed() < limit {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_millis(1500)).await;
}

/// Scenario: every exporter, with and without gzip, side by side. Guarantees: each span, data point
/// and log record arrives once; no exporter warns, and none has to send again.
#[tokio::test(flavor = "multi_thread")]
async fn every_exporter_is_understood() {
    let _alone = alone();
    let ways = ways();
    if ways.is_empty() {
        return;
    }
    let plugins = linked();
    for host in hosts() {
        let sink = Sink::start(0, Keep::Requests).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default().otlp_in(http, grpc).otlp_out(&[(
            "one",
            sink.port,
            "http/protobuf",
        )]);
        let running = RunningHost::start(&host, &pipeline.yaml(plugins.path()), http);
        let mut ready = launch(&ways, http, grpc, Duration::from_secs(30));
        begin(&mut ready);
        let ended = tokio::task::spawn_blocking(move || end(ready));
        for (way, said) in ended.await.unwrap() {
            let name = way.name();
            assert_eq!(said.complaints, [""; 0], "{} {name}\n{}", host.title(), running.log_text());
            assert_eq!(said.retries, 0, "{} {name}\n{}", host.title(), running.log_text());
        }
        settle(&sink, &ways, Duration::from_secs(20)).await;
        let (code, log) = running.stop();
        assert_eq!(code, Some(0), "{}: {log}", host.title());
        assert_exactly_once(&sink, &ways, &log);
        let names: Vec<String> = ways.iter().map(|way| way.name()).collect();
        println!("{}: everything once from: {}", host.title(), names.join(", "));
    }
}
