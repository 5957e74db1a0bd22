//! Endpoints that go away under load and come back.
//!
//! | row | the endpoints that stay | the endpoints that go |
//! |---|---|---|
//! | one of three | each item once, within seconds | each item once; what came meanwhile, when it is back and its breaker has asked |
//! | all three | - | each item once, after they are back |
//!
//! The first host, which is the newest real one if there is any, and the bundled one's newest row have
//! outages of a minute, all others of ten seconds.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::hosts::{Host, RunningHost, free_port};
use crate::load;
use crate::shapes::TelemetryShape;
use crate::support::{Pipeline, all_hosts, alone, linked};

use super::station::Station;

/// Items a second, before, during and after the outage.
const RATE: u64 = 100;
const BEFORE: Duration = Duration::from_secs(3);
const AFTER: Duration = Duration::from_secs(5);

/// How long an item may take to an endpoint that is there: the host flushes each second, and
/// several hosts share the machine.
const SOON: Duration = Duration::from_secs(8);

/// The longest that a breaker waits until it asks again.
const BREAKER: Duration = Duration::from_secs(30);

/// The newest row of the bundled host.
const NEWEST: &str = "row 5.1.0";

struct Row {
    host: Host,
    length: Duration,
    /// How many of the three go away: the last ones.
    gone: usize,
}

impl Row {
    fn title(&self) -> String {
        format!("{}, {} of 3 away for {:?}", self.host.title(), self.gone, self.length)
    }
}

fn spans(port: u16, items: u64) -> load::Args {
    load::Args {
        port,
        grpc: false,
        shape: TelemetryShape::Genai,
        items,
        batch: 20,
        connections: 2,
        rate: RATE,
        attempts: 100,
    }
}

/// When an item was to be sent.
fn due(start: Instant, number: usize) -> Instant {
    start + Duration::from_micros(number as u64 * 1_000_000 / RATE)
}

async fn run(row: Row, plugins: std::path::PathBuf) {
    let title = row.title();
    let mut stations = Vec::new();
    for _ in 0..3 {
        stations.push(Station::start(Ipv4Addr::LOCALHOST, 0).await);
    }
    let (http, grpc) = (free_port(), free_port());
    let named: Vec<(&str, u16, &str)> = ["one", "two", "three"]
        .into_iter()
        .zip(&stations)
        .zip(["grpc", "http/protobuf", "grpc"])
        .map(|((name, station), protocol)| (name, station.address.port(), protocol))
        .collect();
    let pipeline = Pipeline::default()
        .service("scheduler.base: 1")
        .service("scheduler.cap: 2")
        .otlp_in(http, grpc)
        .otlp_out(&named);
    let running = RunningHost::start(&row.host, &pipeline.yaml(&plugins), http);
    let items = RATE * (BEFORE + row.length + AFTER).as_secs();
    let start = Instant::now();
    let loader = tokio::spawn(load::run(spans(http, items)));
    tokio::time::sleep(BEFORE).await;
    let stay = stations.len() - row.gone;
    for station in &mut stations[stay..] {
        station.down().await;
    }
    tokio::time::sleep(row.length).await;
    let back = Instant::now();
    for station in &mut stations[stay..] {
        station.up().await;
    }
    let report = loader.await.unwrap();
    assert_eq!((report.accepted, report.errors), (items, 0), "{title}: {:?}", report.first_error);
    // A breaker that opened again and again waits twice as long each time, up to its limit.
    let limit = row.length.min(BREAKER) + SOON;
    while stations.iter().any(|station| station.distinct(items) < items) {
        let late = back.elapsed() > limit + AFTER;
        assert!(!late, "{title}: not everything came\n{}", running.log_text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Nothing follows.
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let (code, log) = running.stop();
    assert_eq!(code, Some(0), "{title}: {log}");
    for (index, (name, ..)) in named.iter().enumerate() {
        let arrivals = stations[index].arrivals(items);
        let mut slowest = Duration::ZERO;
        for (number, times) in arrivals.iter().enumerate() {
            assert_eq!(times.len(), 1, "{title}: item {number} at '{name}'\n{log}");
            let late = times[0].saturating_duration_since(due(start, number));
            slowest = slowest.max(late);
        }
        let times = |text: &str| log.matches(text).count();
        let left = times(&format!("endpoint '{name}' is left alone"));
        let returned = times(&format!("endpoint '{name}' is back"));
        if index < stay {
            assert!(slowest < SOON, "{title}: '{name}' got an item after {slowest:?}\n{log}");
            assert_eq!((left, returned), (0, 0), "{title}: '{name}'\n{log}");
        } else {
            let limit = row.length + limit;
            assert!(slowest < limit, "{title}: '{name}' got an item after {slowest:?}\n{log}");
            // The outage was one: what the first failing request was has waited for all of it.
            assert!(slowest + SOON > row.length, "{title}: '{name}' was never away");
            assert_eq!((left, returned), (1, 1), "{title}: '{name}'\n{log}");
        }
        println!("{title}: '{name}' has {items} items once, the slowest after {slowest:.1?}");
    }
}

/// Scenario: the rows above, side by side. Guarantees: the table; clients never wait; the log tells
/// once that an endpoint went and once that it is back.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn outages_delay_only_what_is_for_those_that_are_away() {
    let _alone = alone();
    let plugins = linked();
    let mut rows = Vec::new();
    for host in all_hosts() {
        let minute = rows.is_empty() || host.release.ends_with(NEWEST);
        let length = Duration::from_secs(if minute { 60 } else { 10 });
        rows.push(Row { host: host.clone(), length, gone: 1 });
        rows.push(Row { host, length, gone: 3 });
    }
    let tasks: Vec<_> =
        rows.into_iter().map(|row| tokio::spawn(run(row, plugins.path().to_owned()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}
