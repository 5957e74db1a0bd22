//! The page over real sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Health, StatusPage};
use crate::clock::{self, Tick};
use crate::hub::{Hub, StatusSection, StatusSource, WatchedInstance};
use crate::receive::{ListenAddresses, PageAddress, PageServer};
use crate::stats::{CounterFamily, Log, LogText};

const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\"'&\u{2028}";
const RECEIVED: CounterFamily =
    CounterFamily::counter("received_items_total", "What came.", &["signal"]);
const OPEN: CounterFamily = CounterFamily::gauge("connections", "How many.", &[]);

struct Model;

impl StatusSource for Model {
    fn rows(&self, _: Tick, _: u64) -> Vec<(StatusSection, Value)> {
        vec![(StatusSection::Models, json!({ "model": HOSTILE, "requests": 7 }))]
    }
}

pub(super) struct Served {
    pub(super) hub: Arc<Hub>,
    health: Arc<Health>,
    log: Arc<Log>,
    pub(super) server: PageServer,
}

fn at(port: u16) -> PageAddress {
    PageAddress { listen: "127.0.0.1".to_owned(), port }
}

pub(super) fn serve() -> Served {
    let (hub, health, log) = (Arc::new(Hub::new(1)), Arc::<Health>::default(), Arc::default());
    let names = ("ai_otlp.0", "5.1.1", "127.0.0.1");
    let page = Arc::new(StatusPage::new(Arc::clone(&hub), Arc::clone(&health), names));
    let server = PageServer::open(&at(0), page, &log).unwrap();
    Served { hub, health, log, server }
}

/// The answer to bytes, until the server closes.
pub(super) fn ask(address: SocketAddr, request: &str) -> String {
    String::from_utf8(ask_bytes(address, request)).unwrap()
}

/// The same, of what is no text.
pub(super) fn ask_bytes(address: SocketAddr, request: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(test_timeout::at_most(Duration::from_secs(5)))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

impl Served {
    pub(super) fn get(&self, path: &str) -> String {
        self.request("GET", path, "localhost")
    }

    fn request(&self, method: &str, path: &str, host: &str) -> String {
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        ask(self.server.address(), &request)
    }

    fn json(&self) -> Value {
        let answer = self.get("/status.json");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap()
    }

    fn instance(&self, name: &str) -> WatchedInstance {
        let instance = WatchedInstance {
            kind: "input",
            plugin: "ai_otlp",
            name: name.to_owned(),
            counters: Arc::default(),
            log: Arc::default(),
        };
        self.hub.add_instance(instance.clone());
        instance
    }
}

#[test]
fn the_document_has_what_the_run_counts_and_says() {
    let served = serve();
    served.hub.watch();
    let instance = served.instance(HOSTILE);
    instance.counters.counter(RECEIVED, &["traces"]).add(5);
    instance.counters.counter(OPEN, &[]).set(1);
    instance.counters.counter(RECEIVED, &["logs"]).add(6);
    instance.log.warn(LogText::quoting("refused: ", "a prompt"));
    served.hub.add_status_source("ai_metrics.0", Arc::new(Model));
    served.health.tick(clock::now());
    let status = served.json();
    assert_eq!((&status["state"], &status["ready"]), (&json!("running"), &json!(true)));
    let counters = &status["instances"][0]["counters"];
    assert_eq!(
        counters[0],
        json!({
            "name": "received_items_total",
            "help": "What came.",
            "gauge": false,
            "labels": ["signal"],
            "series": [[["traces"], 5], [["logs"], 6]],
        })
    );
    assert_eq!(counters[1]["series"], json!([[[], 1]]));
    assert_eq!(status["instances"][0]["name"], HOSTILE);
    let model = json!({ "model": HOSTILE, "requests": 7, "instance": "ai_metrics.0" });
    assert_eq!((&status["models"], &status["findings"]), (&json!([model]), &json!([])));
    assert_eq!(
        (&status["errors"][0]["text"], &status["errors"][0]["level"]),
        (&json!("refused"), &json!("warn"))
    );
    assert!(status["time"].as_f64() >= status["started"].as_f64());
}

/// Scenario: many ask at once. Guarantees: the document is made once for all of them.
#[test]
fn a_document_is_given_to_all_who_ask() {
    let served = serve();
    let counter = served.instance("a").counters.counter(OPEN, &[]);
    let first = served.json();
    counter.set(1);
    assert_eq!(served.json()["time"], first["time"]);
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(served.json()["instances"][0]["counters"][0]["series"], json!([[[], 1]]));
}

#[test]
fn every_answer_has_the_headers_of_a_closed_page() {
    let served = serve();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/?x=1", "text/html; charset=utf-8"),
        ("/status.css", "text/css; charset=utf-8"),
        ("/status.js", "text/javascript; charset=utf-8"),
        ("/status.json", "application/json"),
        ("/healthz", "text/plain; charset=utf-8"),
        ("/nowhere", "text/plain; charset=utf-8"),
    ] {
        let answer = served.get(path);
        for header in [
            format!("content-type: {kind}"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; \
             connect-src 'self'; "
                .to_owned(),
            "x-content-type-options: nosniff".to_owned(),
            "cache-control: no-store".to_owned(),
        ] {
            assert!(answer.contains(&header), "{path}: {answer}");
        }
        assert_eq!(answer.starts_with("HTTP/1.1 404 "), path == "/nowhere", "{answer}");
    }
}

/// Scenario: the files of the page. Guarantees: nothing in them names another place, nothing is inline, and the
/// script writes no HTML.
#[test]
fn the_files_need_nothing_from_elsewhere() {
    let (html, css, script) = (
        include_str!("assets/status.html"),
        include_str!("assets/status.css"),
        include_str!("assets/status.js"),
    );
    for text in [html, css, script] {
        assert!(!text.contains("://") && !text.contains("@import") && !text.contains("url("));
    }
    assert!(!html.contains("<style") && !html.contains(" style=") && !html.contains(" on"));
    assert_eq!(html.matches("<script").count(), html.matches("<script src=").count());
    for way in
        ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval", "Function"]
    {
        assert!(!script.contains(way), "{way}");
    }
}

#[test]
fn other_hosts_and_methods_are_refused() {
    let served = serve();
    for (method, host, status) in [
        ("GET", "localhost", 200),
        ("GET", "127.0.0.1:80", 200),
        ("HEAD", "localhost", 200),
        ("GET", "example.com", 421),
        ("POST", "localhost", 405),
        ("DELETE", "localhost", 405),
        ("OPTIONS", "localhost", 405),
        ("POST", "example.com", 421),
    ] {
        let answer = served.request(method, "/status.json", host);
        let head = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&head), "{method} {host}: {answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.contains("allow: GET, HEAD"), status == 405, "{head}");
        assert_eq!(body.is_empty(), method == "HEAD", "{method}: {body}");
        assert!(!head.contains("access-control-allow-origin"), "{head}");
    }
    let without = ask(served.server.address(), "GET / HTTP/1.1\r\nconnection: close\r\n\r\n");
    assert!(without.starts_with("HTTP/1.1 421 "), "{without}");
}

#[test]
fn probes_follow_the_input() {
    let served = serve();
    let probes = || {
        ["/healthz", "/readyz"].map(|path| {
            let answer = served.get(path);
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
        })
    };
    let both = |health: &str, ready: &str, word: &str| {
        [health, ready].map(|status| (status.to_owned(), word.to_owned()))
    };
    assert_eq!(probes(), both("200", "503", "starting"));
    served.health.tick(clock::now());
    assert_eq!(probes(), both("200", "200", "running"));
    served.health.pause();
    assert_eq!(probes(), both("200", "503", "paused"));
    served.health.resume();
    served.health.stop();
    assert_eq!(probes(), both("200", "503", "stopping"));
}

/// Scenario: more connections than there may be, which say nothing. Guarantees: one that asks is answered.
#[test]
fn idle_connections_make_room() {
    let served = serve();
    let idle: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect(served.server.address()).unwrap()).collect();
    assert!(served.get("/healthz").starts_with("HTTP/1.1 200 "));
    drop(idle);
}

/// Scenario: a server on a port, and a second one; then the first ends, with a connection open. Guarantees: the
/// second is told what to change, as by a check that listens on nothing, and the port is free afterwards.
#[test]
fn a_port_is_taken_while_the_server_lives() {
    let served = serve();
    let address = served.server.address();
    let mut open = TcpStream::connect(address).unwrap();
    open.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let mut answer = [0; 15];
    open.read_exact(&mut answer).unwrap();
    let again = || {
        let names = ("ai_emitter.0", "5.1.1", "127.0.0.1");
        let page = StatusPage::new(Arc::clone(&served.hub), Arc::default(), names);
        PageServer::open(&at(address.port()), Arc::new(page), &served.log)
    };
    let refused = again().unwrap_err().to_string();
    let mut taken = ListenAddresses::default();
    at(address.port()).check(&mut taken).unwrap();
    assert_eq!(at(address.port()).check(&mut taken).unwrap_err().to_string(), refused);
    let says = format!(
        "cannot listen for the status page on {address}: Address already in use (os error 98); change the \
         option 'status_listen' or 'status_port', or stop what uses this address"
    );
    assert_eq!(refused, says);
    let Served { hub, log, server, .. } = served;
    drop(server);
    let names = ("ai_emitter.0", "5.1.1", "127.0.0.1");
    let page = Arc::new(StatusPage::new(hub, Arc::default(), names));
    PageServer::open(&at(address.port()), page, &log).unwrap();
}
