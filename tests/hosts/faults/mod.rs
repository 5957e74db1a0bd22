//! The fault matrix: what an endpoint can do wrong, and what every endpoint has afterwards.
//!
//! Each row is an endpoint that misbehaves, over HTTP or gRPC, beside a healthy one. The healthy one gets everything
//! once and soon, whatever the row; the other gets what the row says, in the time that it says.
//! Outages under load are in [`outages`], names that move in [`names`].

pub mod names;
mod outages;
pub mod scripted;
pub mod station;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::block_in_place;

use crate::hosts::{Host, RunningHost, free_port};
use crate::load;
use crate::shapes::TelemetryShape;
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, alone, bundled, linked, real_hosts};
use scripted::{Act, Ending, Faulty, Script, untrusted};

const ITEMS: u64 = 2_560;

/// Rows that run at the same time: as many as leave each its time.
const SIDE_BY_SIDE: usize = 4;

/// What the endpoint of a row has in the end.
#[derive(Clone, Copy, PartialEq)]
enum Has {
    /// Everything, once.
    Everything,
    /// Everything but the first request, which nobody has.
    AllButTheFirst,
    /// Everything; the requests whose answer was lost twice.
    WhatWasCutTwice,
    Nothing,
}

struct Row {
    name: &'static str,
    /// The endpoint comes up after this many seconds.
    late: u64,
    script: Script,
    options: &'static [&'static str],
    has: Has,
    /// From its first request to the last that it takes it is at least this long, in milliseconds;
    /// at most it is [`LONGEST`].
    at_least: u64,
    /// What the host's log says.
    log: &'static str,
}

impl Row {
    /// Items that nobody has, because they were refused.
    fn missing(&self, faulty: &Faulty) -> u64 {
        match self.has {
            Has::AllButTheFirst => faulty.got.lock().unwrap().refused,
            _ => 0,
        }
    }
}

/// What retries and the breaker may add to what an endpoint does.
const LONGEST: Duration = Duration::from_secs(15);

const fn row(name: &'static str, script: Script, log: &'static str) -> Row {
    Row { name, late: 0, script, options: &[], has: Has::Everything, at_least: 0, log }
}

fn rows() -> Vec<Row> {
    vec![
        Row { late: 4, ..row("connection refused", |_, _| Act::Accept, "connect") },
        Row {
            options: &["endpoint.faulty.timeout: 1s"],
            at_least: 1_000,
            ..row("hang", |n, _| if n < 2 { Act::Hang } else { Act::Accept }, "timeout")
        },
        // A broken connection is tried once more at once, so the log may have nothing to say.
        row("reset", |n, _| if n < 2 { Act::Reset } else { Act::Accept }, ""),
        Row {
            has: Has::WhatWasCutTwice,
            at_least: 50,
            ..row("answer cut", |n, _| if n == 0 { Act::Cut } else { Act::Accept }, "transport")
        },
        Row {
            at_least: 1_000,
            ..row(
                "429",
                |n, _| if n == 0 { Act::Status(429, "1") } else { Act::Accept },
                "throttled",
            )
        },
        Row {
            at_least: 50,
            ..row(
                "503",
                |n, _| if n < 2 { Act::Status(503, "") } else { Act::Accept },
                "unavailable",
            )
        },
        Row {
            has: Has::AllButTheFirst,
            ..row("400", |n, _| if n == 0 { Act::Status(400, "") } else { Act::Accept }, "dropped")
        },
        Row {
            has: Has::AllButTheFirst,
            ..row("web page", |n, _| if n == 0 { Act::Page } else { Act::Accept }, "'text/html'")
        },
        Row {
            options: &["endpoint.faulty.on_misdirected: retry"],
            ..row(
                "web page, kept",
                |n, _| if n == 0 { Act::Page } else { Act::Accept },
                "(not_otlp) and will be retried",
            )
        },
        row(
            "307, same host",
            |n, _| if n < 2 { Act::Redirect(307, "/v1/traces") } else { Act::Accept },
            "redirects to",
        ),
        row(
            "308, same host",
            |n, _| if n == 0 { Act::Redirect(308, "/v1/traces") } else { Act::Accept },
            "moved for good to",
        ),
        Row {
            has: Has::AllButTheFirst,
            ..row(
                "308, other host",
                |n, _| match n {
                    0 => Act::Redirect(308, "http://elsewhere.invalid/v1/traces"),
                    _ => Act::Accept,
                },
                "redirects to 'http://elsewhere.invalid/v1/traces'",
            )
        },
        Row {
            ..row(
                "307, other host",
                |n, _| match n {
                    0 => Act::Redirect(307, "http://elsewhere.invalid/v1/traces"),
                    _ => Act::Accept,
                },
                "redirects to 'http://elsewhere.invalid/v1/traces'",
            )
        },
        row("413", |_, size| if size > 40_000 { Act::Status(413, "") } else { Act::Accept }, ""),
        row("partial", |n, _| if n == 0 { Act::Partial } else { Act::Accept }, "rejected 3 of"),
        row("slow", |_, _| Act::Slow, ""),
        Row {
            has: Has::Nothing,
            options: &["endpoint.faulty.url: https"],
            ..row("certificate", |_, _| Act::Accept, "certificate")
        },
        Row {
            at_least: 50,
            options: &[
                "endpoint.faulty.oauth2.token_url: http",
                "endpoint.faulty.oauth2.client_id: me",
                "endpoint.faulty.oauth2.client_secret: hush",
            ],
            ..row(
                "no token",
                |n, _| if n < 2 { Act::Status(500, "") } else { Act::Accept },
                "token",
            )
        },
    ]
}

const GRPC: &str = "endpoint.faulty.protocol: grpc";

const fn grpc_row(name: &'static str, script: Script, log: &'static str) -> Row {
    Row { options: &[GRPC], ..row(name, script, log) }
}

/// A status instead of an answer.
fn status(code: u8, message: &str) -> Ending {
    Ending { code, message: message.to_owned(), wait: None, in_trailers: false }
}

fn grpc_rows() -> Vec<Row> {
    vec![
        Row {
            options: &[GRPC, "endpoint.faulty.timeout: 1s"],
            at_least: 1_000,
            ..row("gRPC, hang", |n, _| if n < 2 { Act::Hang } else { Act::Accept }, "timeout")
        },
        // What is broken is tried once more at once, so the log may have nothing to say.
        grpc_row("gRPC, stream reset", |n, _| if n < 2 { Act::Reset } else { Act::Accept }, ""),
        grpc_row("gRPC, connection reset", |n, _| if n < 2 { Act::Break } else { Act::Accept }, ""),
        Row {
            has: Has::WhatWasCutTwice,
            at_least: 50,
            ..grpc_row(
                "gRPC, answer cut",
                |n, _| if n == 0 { Act::Cut } else { Act::Accept },
                "transport",
            )
        },
        Row {
            at_least: 50,
            ..grpc_row(
                "UNAVAILABLE",
                |n, _| if n < 2 { Act::End(status(14, "later")) } else { Act::Accept },
                "unavailable",
            )
        },
        Row {
            at_least: 1_000,
            ..grpc_row(
                "RESOURCE_EXHAUSTED, RetryInfo",
                |n, _| match n {
                    0 => Act::End(Ending { wait: Some(1), ..status(8, "less") }),
                    _ => Act::Accept,
                },
                "throttled",
            )
        },
        grpc_row(
            "RESOURCE_EXHAUSTED, message limit",
            |_, size| match size > 40_000 {
                true => {
                    let message = "grpc: received message larger than max";
                    let message = format!("{message} ({size} vs. 40000)");
                    Act::End(Ending { in_trailers: true, ..status(8, &message) })
                }
                false => Act::Accept,
            },
            "",
        ),
        Row {
            has: Has::AllButTheFirst,
            ..grpc_row(
                "INVALID_ARGUMENT",
                |n, _| match n {
                    0 => Act::End(Ending { in_trailers: true, ..status(3, "never") }),
                    _ => Act::Accept,
                },
                "dropped",
            )
        },
        grpc_row(
            "gRPC, partial",
            |n, _| if n == 0 { Act::Partial } else { Act::Accept },
            "rejected 3 of",
        ),
        grpc_row("gRPC, slow", |_, _| Act::Slow, ""),
    ]
}

fn spans(port: u16) -> load::Args {
    load::Args {
        port,
        grpc: false,
        shape: TelemetryShape::Genai,
        items: ITEMS,
        batch: 128,
        connections: 2,
        rate: 0,
        attempts: 400,
    }
}

/// The output of a row: its options are made whole with the ports of this run.
fn output(row: &Row, healthy: u16, faulty: u16) -> Vec<String> {
    let mut lines = vec![
        "name: multi_otlp".to_owned(),
        "match: '*'".to_owned(),
        format!("endpoint.healthy.url: http://127.0.0.1:{healthy}"),
    ];
    let https = row.options.iter().any(|option| option.ends_with(".url: https"));
    let scheme = if https { "https" } else { "http" };
    lines.push(format!("endpoint.faulty.url: {scheme}://127.0.0.1:{faulty}"));
    for option in row.options.iter().filter(|option| !option.ends_with(".url: https")) {
        lines.push(match option.strip_suffix("token_url: http") {
            Some(start) => format!("{start}token_url: http://127.0.0.1:{faulty}/token"),
            None => (*option).to_owned(),
        });
    }
    lines
}

/// What the endpoint of a row has in the end.
fn check(row: &Row, faulty: &Faulty, what: &str, log: &str) {
    assert_eq!(faulty.distinct() + row.missing(faulty), ITEMS, "{what}: {log}");
    let items = ITEMS - row.missing(faulty);
    let mut got = faulty.got.lock().unwrap();
    // Requests of two connections arrive in any order.
    got.cut.sort_unstable();
    let twice = got.numbers.iter().enumerate().filter(|(_, count)| **count > 1);
    let twice: Vec<usize> = twice.map(|(number, _)| number).collect();
    assert_eq!(got.cut.is_empty(), row.has != Has::WhatWasCutTwice, "{what}: {log}");
    assert_eq!(twice, got.cut, "{what}: {log}");
    assert!(got.numbers.iter().all(|count| *count <= 2), "{what}: {log}");
    assert!(got.faults > 0 || row.late > 0, "{what}: nothing was wrong\n{log}");
    let (took, at_least) = (got.took(), Duration::from_millis(row.at_least));
    assert!(took >= at_least && took < LONGEST, "{what}: {took:?}\n{log}");
    println!("{what}: {items} items, {took:.1?}");
}

async fn run(host: Host, row: Row, plugins: &Path) {
    let what = format!("{}, {}", host.title(), row.name);
    let healthy = Sink::start(0, Keep::Numbers).await;
    let tls = row.has == Has::Nothing;
    let port = if tls { untrusted() } else { free_port() };
    let tokens = row.options.iter().any(|option| option.contains("oauth2"));
    let mut faulty = None;
    if row.late == 0 && !tls {
        faulty = Some(Faulty::start(port, row.script, tokens).await);
    }
    let (http, grpc) = (free_port(), free_port());
    let lines = output(&row, healthy.port, port);
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let pipeline = Pipeline::default()
        .service("scheduler.base: 1")
        .service("scheduler.cap: 2")
        .otlp_in(http, grpc)
        .output(&lines);
    let running = block_in_place(|| RunningHost::start(&host, &pipeline.yaml(plugins), http));
    let report = load::run(spans(http)).await;
    assert_eq!(report.accepted, ITEMS, "{what}: {:?}", report.first_error);
    let start = Instant::now();
    healthy.settle(ITEMS, Duration::from_secs(10), Duration::from_secs(10)).await;
    assert_eq!(healthy.received.lock().unwrap().distinct(), ITEMS, "{what}");
    assert!(start.elapsed() < Duration::from_secs(5), "{what}: {:?}", start.elapsed());
    if row.late > 0 {
        tokio::time::sleep(Duration::from_secs(row.late)).await;
        faulty = Some(Faulty::start(port, row.script, tokens).await);
    }
    if let Some(faulty) = &faulty {
        let start = Instant::now();
        while faulty.distinct() + row.missing(faulty) < ITEMS {
            let waited = start.elapsed();
            assert!(
                waited < testkit::at_most(Duration::from_secs(40)),
                "{what}\n{}",
                running.log_text()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    // Nothing follows.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (code, log) = block_in_place(|| running.stop());
    // The bundled host tells by its exit code that chunks were left.
    let left = row.has == Has::Nothing && code.is_some();
    assert!(code == Some(0) || left, "{what}: {code:?} {log}");
    assert!(log.contains(row.log), "{what}: {log}");
    assert!(!log.contains("hush"), "{what}: {log}");
    assert_eq!(healthy.received.lock().unwrap().doubled(), 0, "{what}: {log}");
    if let Some(faulty) = &faulty {
        check(&row, faulty, &what, &log);
    }
}

/// Scenario: every row of the table. Guarantees: the healthy endpoint has everything once within
/// seconds; the other has exactly what its row says; the host ends well.
#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn every_fault_leaves_each_endpoint_with_what_it_should_have() {
    let _alone = alone();
    let plugins = linked();
    let slots = Arc::new(Semaphore::new(SIDE_BY_SIDE));
    let mut tasks = Vec::new();
    for host in real_hosts().into_iter().take(1).chain([bundled("5.1.0")]) {
        for row in rows().into_iter().chain(grpc_rows()) {
            let (host, slots) = (host.clone(), Arc::clone(&slots));
            let plugins = plugins.path().to_owned();
            tasks.push(tokio::spawn(async move {
                let _slot = slots.acquire().await.unwrap();
                run(host, row, &plugins).await;
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
}
