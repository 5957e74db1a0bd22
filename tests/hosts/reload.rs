//! A reload while an endpoint is away, with the host's own settings of reloads. Away is one that
//! refuses connections, and one that accepts them, takes requests and never answers.
//!
//! | storage | the reload | what was acknowledged before it |
//! |---|---|---|
//! | file system | ends within `grace` and a few seconds, also when asked for twice | is at the endpoint that was there, and at the other one when it is back; twice is allowed |
//! | memory | the same | is at the endpoint that was there, once |
//!
//! Then SIGTERM, with the endpoint away in memory's rows, ends the process as soon.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::faults::station::Station;
use crate::hosts::{Host, RunningHost, free_port};
use crate::load;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, alone, linked, real_hosts};

const GRACE: Duration = Duration::from_secs(3);
/// What the host takes for a reload or a stop beside its grace period, on a busy machine.
const FEW: Duration = Duration::from_secs(9);
const ITEMS: u64 = 1280;

async fn send(port: u16) {
    let report = load::run(load::Args {
        port,
        grpc: false,
        shape: TelemetryShape::Genai,
        items: ITEMS,
        batch: 128,
        connections: 2,
        rate: 0,
        attempts: 400,
    })
    .await;
    assert_eq!(report.accepted, ITEMS, "{:?}", report.first_error);
}

async fn until(
    limit: Duration,
    what: &str,
    log: &RunningHost,
    mut is: impl FnMut() -> bool,
) -> Duration {
    let start = Instant::now();
    while !is() {
        let left = start.elapsed() < limit;
        assert!(left, "{what}: not within {limit:?}\n{}", log.log_text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    start.elapsed()
}

fn distinct(sink: &Sink) -> u64 {
    sink.received.lock().unwrap().distinct()
}

/// How an endpoint is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Away {
    Refuses,
    Hangs,
}

async fn reload(host: &Host, in_files: bool, how: Away) {
    let storage = if in_files { "file system" } else { "memory" };
    let title = format!("{}, {storage}, {how:?}", host.title());
    let (plugins, storage) = (linked(), tempfile::tempdir().unwrap());
    let (http, grpc) = (free_port(), free_port());
    let mut station = Station::start(Ipv4Addr::LOCALHOST, 0).await;
    let away = station.address.port();
    match how {
        Away::Refuses => station.down().await,
        Away::Hangs => station.fall_silent(),
    }
    let there = Sink::start(0, Keep::Numbers).await;
    let later = Sink::start(0, Keep::Numbers).await;
    let pipeline = |endpoints: &[(&str, u16, &str)]| {
        let mut pipeline = Pipeline::default()
            .service(&format!("grace: {}", GRACE.as_secs()))
            .service("hot_reload: on")
            .service("scheduler.cap: 5")
            .service(&format!("storage.path: {}", storage.path().display()))
            .otlp_in(http, grpc);
        if in_files {
            pipeline = pipeline.input_option("storage.type: filesystem");
        }
        pipeline.otlp_out(endpoints).yaml(plugins.path())
    };
    let protocol = "http/protobuf";
    let both = [("there", there.port, protocol), ("away", away, protocol)];
    let running = RunningHost::start(host, &pipeline(&both), http);
    send(http).await;
    until(FEW, &title, &running, || distinct(&there) == ITEMS).await;
    // What the reload is to put in force: one endpoint more.
    let file = running.log.with_file_name("fluent-bit.yaml");
    let three = [both[0], both[1], ("later", later.port, protocol)];
    std::fs::write(&file, pipeline(&three)).unwrap();
    let start = Instant::now();
    running.signal("HUP");
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    running.signal("HUP");
    let asked = || running.log_text().matches("start everything").count() > 0;
    let is_back = || std::net::TcpStream::connect(("127.0.0.1", http)).is_ok();
    let limit = GRACE + FEW;
    until(limit, &title, &running, || start.elapsed() > GRACE / 2 && asked() && is_back()).await;
    let reload = start.elapsed();
    send(http).await;
    until(2 * limit, &title, &running, || distinct(&later) == ITEMS).await;
    if in_files {
        match how {
            Away::Refuses => station.up().await,
            Away::Hangs => station.speak(),
        }
        let all = || station.distinct(ITEMS) == ITEMS;
        until(Duration::from_secs(40), &title, &running, all).await;
    }
    let start = Instant::now();
    let (code, log) = running.stop();
    let stop = start.elapsed();
    assert_eq!(code, Some(0), "{title}: {log}");
    assert!(stop < limit, "{title}: the stop took {stop:?}\n{log}");
    assert!(log.contains("the reload waits for chunks"), "{title}: {log}");
    println!("{title}: the reload took {reload:.1?}, the stop {stop:.1?}");
}

/// Both rows of a host at once, as they wait for its grace period most of their time.
async fn on_every_host(how: Away) {
    for host in real_hosts() {
        let rows = [true, false].map(|in_files| {
            let host = host.clone();
            tokio::spawn(async move { reload(&host, in_files, how).await })
        });
        for row in rows {
            row.await.unwrap();
        }
    }
}

/// Scenario: the rows above, on every real host. Guarantees: the table, exit code 0.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reload_ends_although_an_endpoint_is_away() {
    let _alone = alone();
    on_every_host(Away::Refuses).await;
}

/// Scenario: the same with an endpoint that never answers. Guarantees: the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reload_ends_although_an_endpoint_hangs() {
    let _alone = alone();
    on_every_host(Away::Hangs).await;
}
