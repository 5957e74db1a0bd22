//! The process is killed: what was acknowledged is on disk and comes out after the restart.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::client::Client;
use crate::hosts::{Host, RunningHost, free_port};
use crate::shapes::{GeneratedBatch, TelemetryShape};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, linked, real_hosts, together};

const BATCH: u64 = 64;
const CONNECTIONS: u64 = 3;

/// How long the load goes on before the process is killed.
const LOAD: Duration = Duration::from_secs(5);

/// What came this long before the end is not in flight any more: the host flushes each second.
const SETTLED: Duration = Duration::from_secs(3);

/// Sends on one connection until it breaks; gives the numbers of the items that were acknowledged.
async fn send_until_the_end(port: u16, next: Arc<AtomicU64>) -> Vec<Range<u64>> {
    let mut batch = GeneratedBatch::new(TelemetryShape::Genai, BATCH as usize);
    let mut client = Client::connect(port, false).await.unwrap();
    let mut acknowledged = Vec::new();
    loop {
        let first = next.fetch_add(BATCH, Ordering::Relaxed);
        let request = batch.numbered(first);
        match client
            .send(TelemetryShape::Genai.path(), TelemetryShape::Genai.service(), request)
            .await
        {
            Ok(()) => acknowledged.push(first..first + BATCH),
            // Told to wait: the number is given up, it was not acknowledged.
            Err(answer) if answer.starts_with("503") || answer.starts_with("429") => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(_) => return acknowledged,
        }
    }
}

/// What an endpoint has in the end.
struct Outcome {
    name: &'static str,
    /// Whether it was there before the crash.
    was_up: bool,
    lost: u64,
    doubled: u64,
    /// Came more than once although it had come long before the crash.
    doubled_late: u64,
    /// Came more often than twice: before the crash and after it.
    more: u64,
}

/// The endpoints of one crash: name, protocol, and whether it is up before the crash. Those that
/// are not come up after the restart.
type Endpoints = &'static [(&'static str, &'static str, bool)];

const CASES: [(&str, Endpoints); 3] = [
    ("one endpoint, down", &[("one", "http/protobuf", false)]),
    ("one endpoint, up", &[("one", "http/protobuf", true)]),
    (
        "one of three down",
        &[("one", "http/protobuf", true), ("two", "grpc", false), ("three", "grpc", true)],
    ),
];

fn pipeline(
    storage: &std::path::Path,
    [http, grpc]: [u16; 2],
    endpoints: &[(&str, u16, &str)],
) -> Pipeline {
    Pipeline::default()
        .service(&format!("storage.path: {}", storage.display()))
        .service("scheduler.base: 1")
        .service("scheduler.cap: 2")
        .otlp_in(http, grpc)
        .input_option("storage.type: filesystem")
        .otlp_out(endpoints)
}

/// How many of the acknowledged items are not there.
fn lost(sink: &Sink, acknowledged: &[Range<u64>]) -> u64 {
    let received = sink.received.lock().unwrap();
    let came = |number: &u64| received.numbers.get(*number as usize).is_some_and(|n| *n > 0);
    acknowledged.iter().cloned().flatten().filter(|number| !came(number)).count() as u64
}

/// One crash: how many items were acknowledged, what the endpoints have, what the host said.
async fn crash(host: &Host, endpoints: Endpoints) -> (u64, Vec<Outcome>, String) {
    let plugins = linked();
    let storage = tempfile::tempdir().unwrap();
    let ports = [free_port(), free_port()];
    let named: Vec<_> =
        endpoints.iter().map(|(name, protocol, _)| (*name, free_port(), *protocol)).collect();
    let yaml = pipeline(storage.path(), ports, &named).yaml(plugins.path());
    let mut before = Vec::new();
    for ((_, port, _), (.., up)) in named.iter().zip(endpoints) {
        before.push(if *up { Some(Sink::start(*port, Keep::Numbers).await) } else { None });
    }
    let running = RunningHost::start(host, &yaml, ports[0]);
    let next = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(send_until_the_end(ports[0], Arc::clone(&next))))
        .collect();
    tokio::time::sleep(LOAD.saturating_sub(SETTLED)).await;
    let numbers = |sink: &Sink| sink.received.lock().unwrap().numbers.clone();
    let settled: Vec<_> = before.iter().map(|sink| sink.as_ref().map(numbers)).collect();
    tokio::time::sleep(SETTLED).await;
    running.signal("KILL");
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    drop(running);

    let again = RunningHost::start(host, &yaml, ports[0]);
    let mut sinks = Vec::new();
    for (sink, (_, port, _)) in before.into_iter().zip(&named) {
        sinks.push(match sink {
            Some(sink) => sink,
            None => Sink::start(*port, Keep::Numbers).await,
        });
    }
    let items: u64 = acknowledged.iter().map(|range| range.end - range.start).sum();
    for _ in 0..300 {
        if sinks.iter().all(|sink| lost(sink, &acknowledged) == 0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (code, log) = again.stop();
    assert_eq!(code, Some(0), "{}: {log}", host.title());
    let outcomes = sinks.iter().zip(settled).zip(endpoints);
    let outcomes = outcomes.map(|((sink, settled), (name, _, was_up))| {
        let lost = lost(sink, &acknowledged);
        let received = sink.received.lock().unwrap();
        let late = settled.unwrap_or_default();
        let late = late.iter().zip(&received.numbers);
        Outcome {
            name,
            was_up: *was_up,
            lost,
            doubled: received.doubled(),
            doubled_late: late.filter(|(before, now)| **before > 0 && **now > 1).count() as u64,
            more: received.numbers.iter().filter(|count| **count > 2).count() as u64,
        }
    });
    (items, outcomes.collect(), log)
}

/// Scenario: `kill -9` under load with storage in the filesystem, with the backend down and with it
/// up, and with one of three endpoints down, and a restart on the same storage. Guarantees:
/// everything that was acknowledged comes out at every endpoint. What comes twice: with one
/// endpoint, only what was in flight. With several, also what the host still kept for the one that
/// was down, because which endpoints have a chunk is known to the process only. Nothing comes twice
/// to an endpoint that had got nothing, and nothing comes more often than twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_the_process() {
    let _together = together();
    println!("flb-host has no storage in the filesystem: only real hosts are killed");
    for host in real_hosts() {
        for (case, endpoints) in CASES {
            let (acknowledged, outcomes, log) = crash(&host, endpoints).await;
            let what = format!("{}, {case}", host.title());
            assert!(acknowledged > 500, "{what}: only {acknowledged} acknowledged\n{log}");
            for Outcome { name, was_up, lost, doubled, doubled_late, more } in outcomes {
                println!(
                    "{what}: of {acknowledged} acknowledged items '{name}' lost {lost}, and has {doubled} twice"
                );
                assert_eq!(lost, 0, "{what}: '{name}', of {acknowledged}\n{log}");
                assert_eq!(more, 0, "{what}: '{name}' has items more than twice\n{log}");
                if endpoints.len() == 1 {
                    assert_eq!(doubled_late, 0, "{what}: twice, and not in flight\n{log}");
                }
                if !was_up {
                    assert_eq!(doubled, 0, "{what}: '{name}' had never got anything\n{log}");
                }
            }
        }
    }
}
