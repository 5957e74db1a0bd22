//! The status page on hosts: its numbers, who may read it, and what it never shows.
//!
//! | endpoint | what it does | what the page says |
//! |---|---|---|
//! | `one` | accepts | sent |
//! | `away` | is not there, and then is | failing, and since when; everything waits; then it is up and has everything |

mod browser;
mod prometheus;
mod readers;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use testkit::at_most;
use testkit::made_spans::{call, pair, request, span, text};
use tokio::task::block_in_place;

use crate::client::Client;
use crate::hosts::{Host, RunningHost, free_port, http_get};
use crate::meters::{Page, page_when, start};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, all_hosts, linked, real_hosts, together};

/// What must be nowhere.
const SECRET: &str = "Xyzzy-prompt";
/// A name of a model that would do harm where it is taken for HTML or for script.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'&{{7*7}}";

const USUAL: u64 = 90;
const HOSTILES: u64 = 9;

/// Calls to a usual model and to one with a hostile name, with content; the first has a negative count.
fn spans(from: u64) -> Vec<Span> {
    let content = || text("gen_ai.input.messages", &format!("[{{\"content\":\"{SECRET}\"}}]"));
    let usual = (0..USUAL).map(|number| {
        let output = if number == 0 { -5 } else { 100 };
        let mut call = call(from + number, 2.0, "gpt-4o-2024-08-06", output);
        call.attributes.push(content());
        call
    });
    let hostile = (0..HOSTILES).map(|number| {
        let attributes = vec![
            text("gen_ai.operation.name", "chat"),
            text("gen_ai.provider.name", HOSTILE),
            text("gen_ai.request.model", HOSTILE),
            text("error.type", HOSTILE),
            pair(
                "gen_ai.usage.input_tokens",
                opentelemetry_proto::tonic::common::v1::any_value::Value::IntValue(7),
            ),
            content(),
        ];
        span(from + USUAL + number, 0.5, attributes)
    });
    usual.chain(hostile).collect()
}

/// Sends so many requests of [`spans`], and says how many spans that are.
async fn send(http: u16, requests: u64) -> u64 {
    let mut client = Client::connect(http, false).await.unwrap();
    for number in 0..requests {
        let from = number * (USUAL + HOSTILES);
        client.send("/v1/traces", "", request(HOSTILE, &spans(from))).await.unwrap();
    }
    requests * (USUAL + HOSTILES)
}

/// A host with all plugins and a page, and the ports of OTLP/HTTP, of the page and of the host's counters.
struct Watched {
    running: RunningHost,
    http: u16,
    page: u16,
    counters: u16,
    /// Of the endpoint that is away.
    away: u16,
    _sink: Sink,
}

fn pipeline(http: u16, page: u16, endpoints: &[(&str, u16, &str)]) -> Pipeline {
    let page = format!("status_port: {page}");
    Pipeline::default()
        .otlp_in(http, free_port())
        .input_option(&page)
        .filter(&["name: ai_context", "match: '*'", "normalize: on"])
        .filter(&[
            "name: ai_metrics",
            "match: '*'",
            "interval: 1s",
            "temporality: delta",
            "find_usage: on",
            "emit_as: records",
        ])
        .otlp_out(endpoints)
}

async fn watch(host: &Host, plugins: &Path) -> Watched {
    let sink = Sink::start(0, Keep::Requests).await;
    let (http, page, away) = (free_port(), free_port(), free_port());
    let endpoints = [("one", sink.port, "http/protobuf"), ("away", away, "http/protobuf")];
    let pipeline = pipeline(http, page, &endpoints);
    let (running, counters) = start(host, plugins, pipeline, http);
    Watched { running, http, page, counters, away, _sink: sink }
}

/// The status now.
fn status(page: u16) -> Value {
    let text = block_in_place(|| http_get(page, "/status.json"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Reads the status until something is so, and gives that status.
async fn until(page: u16, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let now = status(page);
        if is_so(&now) {
            return now;
        }
        assert!(start.elapsed() < at_most(Duration::from_secs(60)), "{what}: {now}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// A counter's name, its labels and its value.
type Series = (String, Vec<(String, String)>, u64);

/// The series of an instance's counters that do not change while nothing is sent: names, labels, values.
fn settled(status: &Value) -> Vec<Series> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut all = Vec::new();
    for instance in status["instances"].as_array().unwrap() {
        for family in instance["counters"].as_array().unwrap() {
            let name = text(&family["name"]);
            if family["gauge"] == true || name.starts_with("retried_") {
                continue;
            }
            for series in family["series"].as_array().unwrap() {
                let keys = family["labels"].as_array().unwrap().iter().map(text);
                let values = series[0].as_array().unwrap().iter().map(text);
                let mut labels: Vec<(String, String)> = keys.zip(values).collect();
                if labels.iter().any(|(_, value)| value == "away") {
                    continue;
                }
                labels.push(("name".to_owned(), text(&instance["name"])));
                all.push((name.clone(), labels, series[1].as_u64().unwrap()));
            }
        }
    }
    all
}

/// What the status and the host's own page say differently.
fn differences(status: &Value, page: &Page) -> Vec<String> {
    let series = settled(status);
    let differ = series.iter().filter_map(|(name, labels, value)| {
        let labels: Vec<(&str, &str)> =
            labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let host = page.sum_of(name, &labels);
        (host != Some(*value)).then(|| format!("{name} {labels:?}: {value}, host {host:?}"))
    });
    differ.collect()
}

/// The row of a section in which a field has this value, if there is one yet.
fn find_row<'s>(status: &'s Value, section: &str, field: &str, value: &str) -> Option<&'s Value> {
    status[section].as_array().unwrap().iter().find(|row| row[field] == value)
}

/// The row of a section in which a field has this value.
fn row<'s>(status: &'s Value, section: &str, field: &str, value: &str) -> &'s Value {
    let found = find_row(status, section, field, value);
    found.unwrap_or_else(|| panic!("no {value} in {section}: {}", status[section]))
}

/// The answer to a request with any method and `Host`.
fn ask(port: u16, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(at_most(Duration::from_secs(5)))).unwrap();
    let length = body.len();
    let request = format!("{head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The local addresses on which a port is listened on, as the kernel lists them.
fn listening(port: u16) -> Vec<String> {
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        for line in std::fs::read_to_string(table).unwrap_or_default().lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (address, of) = fields[1].split_once(':').unwrap();
            if fields[3] == "0A" && u16::from_str_radix(of, 16) == Ok(port) {
                found.push(address.to_owned());
            }
        }
    }
    found
}

/// Scenario: calls with content, of a model with a hostile name too, and a request with content that is malformed, on a
/// host whose page is read all the while; one endpoint is away. Guarantees: all that counts on the page is what the host's
/// own page says and what was sent; the absent endpoint has failed since then, and all waits for it, until it is back; the negative count is
/// a finding, the malformed request an error; the content is nowhere; the page listens on loopback alone, and answers no
/// other host's name.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_page_says_what_the_host_counts() {
    let _together = together();
    let plugins = linked();
    for host in all_hosts() {
        let what = host.title();
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let watched = watch(&host, plugins.path()).await;
        let Watched { running, http, page, counters, .. } = &watched;
        let sent = {
            let reading = readers::Readers::start(*page, 2);
            let sent = send(*http, 20).await;
            assert!(reading.stop() > 0, "{what}");
            sent
        };
        let post = "POST /v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/json";
        let malformed = format!("{{\"resourceLogs\": [{{\"{SECRET}\": {SECRET}}}]}}");
        let refused = block_in_place(|| ask(*http, post, &malformed));
        assert!(refused.starts_with("HTTP/1.1 400 "), "{what}: {refused}");
        let mut last = Value::Null;
        page_when((&host, running, *counters), &what, |host_page| {
            last = status(*page);
            // Endpoints are listed once the first of them has told what it does.
            let endpoint = |name| find_row(&last, "endpoints", "endpoint", name);
            let (Some(one), Some(away)) = (endpoint("one"), endpoint("away")) else {
                return false;
            };
            // What the host publishes is up to a second old.
            one["sent"].as_u64().unwrap() > sent
                && one["waiting"] == 0
                && away["failing_since"].is_number()
                && differences(&last, host_page).is_empty()
        })
        .await;
        let of = |name: &str, labels: &[&str]| -> u64 {
            let has = |found: &[(String, String)]| {
                labels.iter().all(|label| found.iter().any(|(_, value)| value == label))
            };
            let series = settled(&last);
            series.iter().filter(|(of, with, _)| of == name && has(with)).map(|(.., n)| n).sum()
        };
        assert_eq!(of("received_items_total", &["traces"]), sent, "{what}");
        assert_eq!(of("accepted_items_total", &["traces"]), sent, "{what}");
        assert_eq!(of("refused_requests_total", &["malformed"]), 1, "{what}");
        assert_eq!(of("measured_spans_total", &[]), sent, "{what}");
        assert_eq!(
            of("findings_total", &["usage"]),
            last["findings"].as_array().unwrap().len() as u64
        );
        let away = row(&last, "endpoints", "endpoint", "away");
        let received: u64 = of("exporter_received_items_total", &[]);
        assert_eq!((&away["sent"], &away["waiting"]), (&0.into(), &received.into()), "{what}");
        let since = away["failing_since"].as_f64().unwrap();
        assert!(since >= before && since <= last["time"].as_f64().unwrap(), "{what}: {away}");
        let usual = row(&last, "models", "model", "gpt-4o");
        assert_eq!(usual["requests"], 20 * USUAL, "{what}");
        assert_eq!(usual["input_tokens"], 20 * USUAL * 1000, "{what}");
        let p50 = usual["p50"].as_f64().unwrap();
        assert!((1.9..2.1).contains(&p50), "{what}: {usual}");
        let hostile = row(&last, "models", "model", HOSTILE);
        assert_eq!(
            (&hostile["requests"], &hostile["errors"]),
            (&180.into(), &180.into()),
            "{what}"
        );
        assert_eq!(hostile["provider"], HOSTILE, "{what}");
        row(&last, "findings", "type", "usage");
        let errors = last["errors"].to_string();
        assert!(errors.contains("refused a request (malformed)"), "{what}: {errors}");
        assert!(errors.contains("endpoint 'away' is left alone for a while"), "{what}: {errors}");
        let words = ["/healthz", "/readyz"].map(|path| block_in_place(|| http_get(*page, path)));
        assert_eq!(words, ["running", "running"], "{what}");
        for path in ["/", "/status.json", "/status.js", "/status.css", "/nothing"] {
            let text = block_in_place(|| http_get(*page, path));
            assert!(!text.is_empty() && !text.contains(SECRET), "{what}: {path}");
        }
        assert_eq!(listening(*page), ["0100007F"], "{what}");
        let foreign = "GET /status.json HTTP/1.1\r\nhost: example.com";
        let answer = block_in_place(|| ask(*page, foreign, ""));
        assert!(answer.starts_with("HTTP/1.1 421 "), "{what}: {answer}");
        let _back = Sink::start(watched.away, Keep::Requests).await;
        until(*page, &what, |status| {
            let [one, away] =
                ["one", "away"].map(|name| row(status, "endpoints", "endpoint", name));
            away["failing_since"].is_null() && away["waiting"] == 0 && away["sent"] == one["sent"]
        })
        .await;
        let (code, log) = block_in_place(|| watched.running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
        println!("{what}: {} series equal, {} of them not zero", settled(&last).len(), {
            settled(&last).iter().filter(|(.., value)| *value > 0).count()
        });
    }
}

/// Scenario: a reload while a reader holds a connection of the page, twice, then SIGTERM. Guarantees: the new run has its
/// page on the same port and says when it started; the process ends as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_page_comes_back_after_a_reload() {
    let _together = together();
    let plugins = linked();
    for host in real_hosts() {
        let what = host.title();
        let sink = Sink::start(0, Keep::Numbers).await;
        let (http, page) = (free_port(), free_port());
        let endpoints = [("one", sink.port, "http/protobuf")];
        let pipeline = pipeline(http, page, &endpoints).service("hot_reload: on");
        let pipeline = pipeline.service("grace: 2").yaml(plugins.path());
        let running = block_in_place(|| RunningHost::start(&host, &pipeline, http));
        let mut started = 0.0;
        for _ in 0..3 {
            let start = Instant::now();
            loop {
                let text = block_in_place(|| http_get(page, "/status.json"));
                let status: Value = serde_json::from_str(&text).unwrap_or_default();
                let at = status["started"].as_f64().unwrap_or(0.0);
                if at > started && status["state"] == "running" {
                    started = at;
                    break;
                }
                let late = start.elapsed() > at_most(Duration::from_secs(30));
                assert!(!late, "{what}: {status}\n{}", running.log_text());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let mut held = TcpStream::connect(("127.0.0.1", page)).unwrap();
            held.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
            let mut answer = [0; 15];
            held.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200 OK", "{what}");
            running.signal("HUP");
            tokio::time::sleep(Duration::from_millis(500)).await;
            drop(held);
        }
        let (code, log) = block_in_place(|| running.stop());
        assert_eq!(code, Some(0), "{what}: {log}");
    }
}
