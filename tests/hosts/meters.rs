//! The counters of `multi_otlp`, as hosts show them.
//!
//! | endpoint | what it does | what its counters say |
//! |---|---|---|
//! | `steady` | accepts | sent |
//! | `picky` | 503, then 400, then accepts | failed by reason, dropped by reason, sent |
//! | `late` | is not there, and then is | failed, nothing sent; then everything sent |

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::task::block_in_place;

use crate::client::Client;
use crate::faults::scripted::{Act, Faulty};
use crate::hosts::{Host, RunningHost, free_port, http_get};
use crate::shapes::{GeneratedBatch, TelemetryShape};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, bundled, linked, real_hosts, together};

/// Spans of each of two requests.
const SPANS: u64 = 20;
const LOGS: u64 = 30;

/// The host publishes every second, and its page follows.
const SOON: Duration = Duration::from_secs(30);

/// A host with this pipeline and these plugin files, whose counters can be read.
pub fn start(host: &Host, plugins: &Path, pipeline: Pipeline, http: u16) -> (RunningHost, u16) {
    let port = free_port();
    let pipeline = match host.arguments.is_empty() {
        true => pipeline
            .service("http_server: on")
            .service("http_listen: 127.0.0.1")
            .service(&format!("http_port: {port}")),
        false => pipeline,
    };
    let running = block_in_place(|| RunningHost::start(host, &pipeline.yaml(plugins), http));
    (running, port)
}

/// The values of a host's page by their names and labels.
#[derive(Default)]
pub struct Page(BTreeMap<(String, BTreeMap<String, String>), f64>);

impl Page {
    /// Reads Prometheus' text format; of a series that comes again the last value counts.
    fn read(text: &str) -> Self {
        let mut page = Self::default();
        for line in text.lines().filter(|line| line.starts_with("fluentbit_ai_")) {
            let (name, rest) = line.split_once('{').unwrap();
            let (labels, value) = rest.split_once('}').unwrap();
            let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
            let labels =
                pairs.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()));
            let value = value.split_whitespace().next().unwrap().parse().unwrap();
            page.0.insert((name["fluentbit_ai_".len()..].to_owned(), labels.collect()), value);
        }
        page
    }

    fn now(host: &Host, running: &RunningHost, port: u16) -> Self {
        if host.is_real() {
            return Self::read(&http_get(port, "/api/v2/metrics/prometheus"));
        }
        // The bundled host has no page; it writes its metrics to its log.
        running.signal("USR1");
        std::thread::sleep(Duration::from_millis(200));
        Self::read(&running.log_text())
    }

    /// Whether there is a series of this name.
    pub fn has(&self, name: &str) -> bool {
        self.0.keys().any(|(known, _)| known == name)
    }

    /// The sum of the series of this name whose labels are among others these, if there are any.
    pub fn sum_of(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let has = |found: &BTreeMap<String, String>| {
            labels.iter().all(|(key, value)| found.get(*key).is_some_and(|found| found == value))
        };
        let series = self.0.iter().filter(|((known, found), _)| known == name && has(found));
        let values: Vec<f64> = series.map(|(_, value)| *value).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() as u64)
    }

    /// The sum of series that are there.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let sum = self.sum_of(name, labels);
        sum.unwrap_or_else(|| panic!("no {name} {labels:?} in {:?}", self.0.keys()))
    }

    fn of(&self, endpoint: &str, name: &str) -> u64 {
        self.sum(name, &[("endpoint", endpoint)])
    }

    fn with_reason(&self, endpoint: &str, name: &str, reason: &str) -> u64 {
        self.sum(name, &[("endpoint", endpoint), ("reason", reason)])
    }

    fn sent(&self, endpoint: &str, signal: &str) -> u64 {
        self.sum("sent_items_total", &[("endpoint", endpoint), ("signal", signal)])
    }

    /// What came to the exporter and is neither sent, nor lost, nor for others; `None` if
    /// that is less than nothing.
    fn held(&self, endpoint: &str) -> Option<u64> {
        let gone = [
            "sent_items_total",
            "dropped_items_total",
            "dead_letter_items_total",
            "filtered_items_total",
        ];
        let gone: u64 = gone.iter().map(|name| self.of(endpoint, name)).sum();
        self.sum("exporter_received_items_total", &[]).checked_sub(gone)
    }
}

async fn send(http: u16, shape: TelemetryShape, first: u64, items: u64) {
    let mut client = Client::connect(http, false).await.unwrap();
    let request = GeneratedBatch::new(shape, items as usize).numbered(first);
    client.send(shape.path(), shape.service(), request).await.unwrap();
}

/// Reads the page until something is so, and gives that page.
pub async fn page_when(
    (host, running, port): (&Host, &RunningHost, u16),
    what: &str,
    mut is_so: impl FnMut(&Page) -> bool,
) -> Page {
    let start = Instant::now();
    loop {
        let page = block_in_place(|| Page::now(host, running, port));
        if !page.0.is_empty() && is_so(&page) {
            return page;
        }
        let late = start.elapsed() > testkit::at_most(SOON);
        assert!(!late, "{what}: {:#?}\n{}", page.0, running.log_text());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Counters of endpoints that are one number, while `late` is away.
const EXACT: [(&str, &str, &str, u64); 13] = [
    ("steady", "failed_requests_total", "", 0),
    ("steady", "dropped_items_total", "", 0),
    ("picky", "failed_requests_total", "", 2),
    ("picky", "failed_requests_total", "unavailable", 1),
    ("picky", "failed_requests_total", "refused", 1),
    ("picky", "dropped_items_total", "", SPANS),
    ("picky", "dropped_items_total", "refused", SPANS),
    ("picky", "refused_requests_total", "", 1),
    ("picky", "export_latency_ms_count", "", 1),
    ("picky", "sent_items_total", "", SPANS),
    ("late", "sent_items_total", "", 0),
    ("late", "dropped_items_total", "", 0),
    ("late", "export_latency_ms_count", "", 0),
];

/// While one endpoint is not there: what is in is out, dropped, not for an endpoint, or held.
fn check_while_one_is_away(page: &Page, requests: usize, what: &str) {
    for (endpoint, name, reason, value) in EXACT {
        let found = match reason {
            "" => page.of(endpoint, name),
            _ => page.with_reason(endpoint, name, reason),
        };
        assert_eq!(found, value, "{what}: {name} of {endpoint} {reason}");
    }
    let received = |signal| page.sum("exporter_received_items_total", &[("signal", signal)]);
    assert_eq!([received("traces"), received("logs")], [2 * SPANS, LOGS], "{what}");
    assert_eq!(page.sum("exporter_skipped_items_total", &[]), 0, "{what}");
    // What is missing at an endpoint for so short a time does not go back to the host.
    assert_eq!(page.sum("retried_chunks_total", &[]), 0, "{what}");
    assert!(page.sum("held_chunks", &[]) >= 2 && page.sum("held_bytes", &[]) > 0, "{what}");
    assert_eq!(page.sent("steady", "traces"), 2 * SPANS, "{what}");
    assert_eq!(page.of("steady", "export_latency_ms_count"), requests as u64, "{what}");
    // The one request that it accepted took 300 ms.
    let took = page.of("picky", "export_latency_ms_sum");
    assert!((300..5_000).contains(&took), "{what}: {took} ms");
    assert!(page.with_reason("late", "failed_requests_total", "connect") >= 3, "{what}");
    for (endpoint, up, filtered, held) in
        [("steady", 1, LOGS, 0), ("picky", 1, LOGS, 0), ("late", 0, 0, 2 * SPANS + LOGS)]
    {
        let found = [page.of(endpoint, "endpoint_up"), page.of(endpoint, "filtered_items_total")];
        assert_eq!(
            (found, page.held(endpoint)),
            ([up, filtered], Some(held)),
            "{what}: {endpoint}"
        );
    }
}

/// Scenario: two requests of spans and one of logs to an endpoint that accepts, one that is away for a
/// moment and then refuses, and one that is not there and comes. Guarantees: each endpoint's counters
/// say what became of its items, and together they are what came in.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn counters_account_for_every_item() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts().into_iter().take(1).chain([bundled("5.1.0")]) {
        let what = host.title();
        let steady = Sink::start(0, Keep::Requests).await;
        let (picky_port, late_port) = (free_port(), free_port());
        let script = |n, _| match n {
            0 => Act::Status(503, ""),
            1 => Act::Status(400, ""),
            _ => Act::Slow,
        };
        let picky = Faulty::start(picky_port, script, false).await;
        let (http, grpc) = (free_port(), free_port());
        let pipeline = Pipeline::default()
            .service("scheduler.base: 1")
            .service("scheduler.cap: 2")
            .otlp_in(http, grpc)
            .otlp_out(&[
                ("steady", steady.port, "http/protobuf"),
                ("picky", picky_port, "http/protobuf"),
                ("late", late_port, "http/protobuf"),
            ])
            .output_option("endpoint.steady.signals: traces")
            .output_option("endpoint.picky.signals: traces");
        let (running, port) = start(&host, plugins.path(), pipeline, http);
        let target = (&host, &running, port);
        send(http, TelemetryShape::Genai, 0, SPANS).await;
        let start = Instant::now();
        while picky.got.lock().unwrap().faults < 2 {
            assert!(start.elapsed() < testkit::at_most(SOON), "{what}: {}", running.log_text());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        send(http, TelemetryShape::Genai, SPANS, SPANS).await;
        send(http, TelemetryShape::Logs, 0, LOGS).await;
        let page = page_when(target, &what, |page| {
            page.sum("exporter_received_items_total", &[]) == 2 * SPANS + LOGS
                && page.sent("picky", "traces") == SPANS
                && page.of("late", "deferred_requests_total") > 0
        })
        .await;
        let requests = steady.received.lock().unwrap().requests["/v1/traces"].len();
        check_while_one_is_away(&page, requests, &what);

        let late = Sink::start(late_port, Keep::Numbers).await;
        late.settle(2 * SPANS + LOGS, SOON, SOON).await;
        let page = page_when(target, &what, |page| {
            let accounted =
                ["steady", "picky"].iter().all(|endpoint| page.held(endpoint) == Some(0));
            accounted
                && page.sent("late", "traces") == 2 * SPANS
                && page.sent("late", "logs") == LOGS
                && page.sum("held_chunks", &[]) == 0
        })
        .await;
        assert_eq!(page.held("late"), Some(0), "{what}");
        assert_eq!(page.of("late", "dropped_items_total"), 0, "{what}");
        assert_eq!(page.of("late", "endpoint_up"), 1, "{what}");
        assert!(page.of("late", "export_latency_ms_count") >= 2, "{what}");
        assert_eq!(page.sent("steady", "traces"), 2 * SPANS, "{what}");
        assert_eq!(page.of("steady", "filtered_items_total"), LOGS, "{what}");
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        println!("{what}: {} series agree", page.0.len());
    }
}
