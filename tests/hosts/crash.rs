//! The process is killed: what was acknowledged is on disk and comes out after the restart.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::client::Client;
use crate::hosts::{Host, Running, free_port};
use crate::shapes::{Batch, Shape};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, alone, linked, real_hosts};

const BATCH: u64 = 64;
const CONNECTIONS: u64 = 3;

/// How long the load goes on before the process is killed.
const LOAD: Duration = Duration::from_secs(5);

/// What came this long before the end is not in flight any more: the host flushes each second.
const SETTLED: Duration = Duration::from_secs(3);

/// Sends on one connection until it breaks; gives the numbers of the items that were acknowledged.
async fn send_until_the_end(port: u16, next: Arc<AtomicU64>) -> Vec<Range<u64>> {
    let mut batch = Batch::new(Shape::Genai, BATCH as usize);
    let mut client = Client::connect(port, false).await.unwrap();
    let mut acknowledged = Vec::new();
    loop {
        let first = next.fetch_add(BATCH, Ordering::Relaxed);
        let request = batch.numbered(first);
        match client.send(Shape::Genai.path(), Shape::Genai.service(), request).await {
            Ok(()) => acknowledged.push(first..first + BATCH),
            // Told to wait: the number is given up, it was not acknowledged.
            Err(answer) if answer.starts_with("503") || answer.starts_with("429") => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(_) => return acknowledged,
        }
    }
}

struct Outcome {
    acknowledged: u64,
    lost: u64,
    doubled: u64,
    /// Came more than once although it had come long before the crash.
    doubled_late: u64,
    log: String,
}

fn pipeline(storage: &std::path::Path, ports: [u16; 3]) -> Pipeline {
    let [http, grpc, backend] = ports;
    Pipeline::default()
        .service(&format!("storage.path: {}", storage.display()))
        .service("scheduler.base: 1")
        .service("scheduler.cap: 2")
        .otlp_in(http, grpc)
        .input_option("storage.type: filesystem")
        .otlp_out(&[("one", backend, "http/protobuf")])
}

/// One crash; `up` says whether the backend is up before it.
async fn crash(host: &Host, up: bool) -> Outcome {
    let plugins = linked();
    let storage = tempfile::tempdir().unwrap();
    let ports = [free_port(), free_port(), free_port()];
    let yaml = pipeline(storage.path(), ports).yaml(plugins.path());
    let mut sink = None;
    if up {
        sink = Some(Sink::start(ports[2], Keep::Numbers).await);
    }
    let running = Running::start(host, &yaml, ports[0]);
    let next = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(send_until_the_end(ports[0], Arc::clone(&next))))
        .collect();
    tokio::time::sleep(LOAD.saturating_sub(SETTLED)).await;
    let settled = sink.as_ref().map(|sink| sink.received.lock().unwrap().numbers.clone());
    tokio::time::sleep(SETTLED).await;
    running.signal("KILL");
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    drop(running);

    let sink = match sink {
        Some(sink) => sink,
        None => Sink::start(ports[2], Keep::Numbers).await,
    };
    let again = Running::start(host, &yaml, ports[0]);
    let items: u64 = acknowledged.iter().map(|range| range.end - range.start).sum();
    let lost = || {
        let received = sink.received.lock().unwrap();
        let came = |number: &u64| received.numbers.get(*number as usize).is_some_and(|n| *n > 0);
        acknowledged.iter().cloned().flatten().filter(|number| !came(number)).count() as u64
    };
    for _ in 0..300 {
        if lost() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let lost = lost();
    let (code, log) = again.stop();
    assert_eq!(code, Some(0), "{}: {log}", host.title());
    let received = sink.received.lock().unwrap();
    let late = settled.unwrap_or_default();
    let late = late.iter().zip(&received.numbers).filter(|(before, now)| **before > 0 && **now > 1);
    let doubled_late = late.count() as u64;
    Outcome { acknowledged: items, lost, doubled: received.doubled(), doubled_late, log }
}

/// Scenario: `kill -9` under load with storage in the filesystem, with the backend down and with it
/// up, and a restart on the same storage. Guarantees: everything that was acknowledged comes out;
/// only what was in flight comes twice, and nothing does if nothing had been sent.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_process() {
    let _alone = alone();
    println!("flb-host has no storage in the filesystem: only real hosts are killed");
    for host in real_hosts() {
        for up in [false, true] {
            let outcome = crash(&host, up).await;
            let Outcome { acknowledged, lost, doubled, doubled_late, log } = outcome;
            let title = host.title();
            let state = if up { "up" } else { "down" };
            println!(
                "{title}, backend {state}: {acknowledged} items acknowledged, {lost} lost, {doubled} twice"
            );
            assert!(acknowledged > 500, "{title}: only {acknowledged} acknowledged\n{log}");
            assert_eq!(lost, 0, "{title}, backend {state}: of {acknowledged}\n{log}");
            assert_eq!(doubled_late, 0, "{title}: twice, and not in flight\n{log}");
            if !up {
                assert_eq!(doubled, 0, "{title}: twice, and never sent before\n{log}");
            }
        }
    }
}
