//! Tests: targets over real sockets.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use prost::Message as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::{ScrapeSettings, Scraper, TargetSettings};
use crate::codec::prometheus::PageTarget;
use crate::codec::records::{EventKind, Events, RequestBuilder};
use crate::export::{EndpointSettings, Http2};
use crate::hub::EmissionForm;
use crate::model::Signal;
use crate::plugin::Waker;
use crate::stats::{Counters, Log};

const PAGE: &str = "# TYPE vllm:requests counter\nvllm:requests{m=\"a\"} 3\n";

/// An answer: its status and headers, and its body.
type Answer = (String, Vec<u8>);

fn ok(body: &str) -> Answer {
    ("200 OK\r\ncontent-type: text/plain; version=0.0.4".to_owned(), body.as_bytes().to_vec())
}

/// A page by gzip, up to so many of its bytes.
fn gzip(body: &str, length: usize) -> Answer {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body.as_bytes()).unwrap();
    let mut compressed = encoder.finish().unwrap();
    compressed.truncate(length);
    ("200 OK\r\ncontent-type: text/plain\r\ncontent-encoding: gzip".to_owned(), compressed)
}

fn status(head: &str) -> Answer {
    (head.to_owned(), Vec::new())
}

/// Serves what `answer` makes of the head of each request, a connection each; by TLS with a configuration.
fn serve(
    tls: Option<Arc<ServerConfig>>,
    answer: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static,
) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    #[expect(clippy::disallowed_methods, reason = "a server of a test")]
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, tls, answer) = (stream.unwrap(), tls.clone(), Arc::clone(&answer));
            std::thread::spawn(move || match tls {
                Some(tls) => {
                    exchange(
                        StreamOwned::new(ServerConnection::new(tls).unwrap(), stream),
                        &*answer,
                    );
                }
                None => exchange(stream, &*answer),
            });
        }
    });
    port
}

fn exchange(mut stream: impl Read + Write, answer: &dyn Fn(&str) -> Option<Answer>) {
    let (mut request, mut part) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut part) {
            Ok(length) if length > 0 => request.extend_from_slice(&part[..length]),
            _ => return,
        }
    }
    let Some((head, body)) = answer(&String::from_utf8(request).unwrap()) else {
        // Nobody waits as long as that.
        return std::thread::sleep(Duration::from_secs(120));
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    let _gone = stream.write_all(&[head.as_bytes(), &body].concat()).and_then(|()| stream.flush());
}

fn target(url: &str) -> TargetSettings {
    let mut endpoint = EndpointSettings::new("vllm", url.parse().unwrap());
    endpoint.timeout = Duration::from_secs(5);
    endpoint.http2 = Http2::Off;
    let resource = PageTarget {
        attributes: Vec::new(),
        defaults: vec![("service.name".to_owned(), "vllm".to_owned())],
    };
    TargetSettings {
        endpoint,
        interval: Duration::from_hours(1),
        max_page_size: 10_000,
        max_samples: 100,
        tag: "scraped".to_owned(),
        marks_stale: true,
        form: EmissionForm::Records,
        resource,
    }
}

struct Bench {
    scraper: Scraper,
    counters: Counters,
    log: Arc<Log>,
    woken: std::sync::mpsc::Receiver<()>,
}

impl Bench {
    fn start(targets: Vec<TargetSettings>) -> Self {
        let (counters, log) = (Counters::default(), Arc::new(Log::default()));
        let (wake, woken) = std::sync::mpsc::channel();
        let wake = Mutex::new(wake);
        let waker = Waker::new(move || {
            let _gone = wake.lock().unwrap().send(());
        });
        let settings = ScrapeSettings { targets };
        let scraper = Scraper::open(&settings, &waker, &counters, &log).unwrap();
        Self { scraper, counters, log, woken }
    }

    /// The names and values of the metrics of the next page.
    fn next(&self) -> Vec<String> {
        self.woken.recv_timeout(test_timeout::at_most(Duration::from_secs(30))).unwrap();
        let scraped = self.scraper.take().unwrap();
        assert_eq!(scraped.emission.tag, b"scraped");
        let mut builder = RequestBuilder::new(Signal::Metrics);
        let mut records = 0;
        for event in Events::new(&scraped.emission.events).flatten() {
            assert_eq!(event.kind, EventKind::Record);
            builder.push(&event, &event.telemetry().unwrap()).unwrap();
            records += 1;
        }
        assert_eq!(scraped.emission.records, records);
        let request = ExportMetricsServiceRequest::decode(&*builder.finish()).unwrap();
        let scopes = request.resource_metrics.iter().flat_map(|it| &it.scope_metrics);
        scopes.flat_map(|scope| &scope.metrics).map(|metric| metric.name.clone()).collect()
    }

    fn count(&self, name: &str, labels: &[&str]) -> u64 {
        let readings = self.counters.readings();
        let found = readings.iter().find(|it| it.family.name == name && it.labels == labels);
        found.unwrap().counter.value()
    }
}

const FOUND: [&str; 4] =
    ["vllm:requests", "up", "scrape_duration_seconds", "scrape_samples_scraped"];
const NOTHING: [&str; 2] = ["up", "scrape_duration_seconds"];

/// Scenario: a page behind a redirect to another path, which asks for OpenMetrics, a token and a header. Guarantees: it is
/// read, the token is on both requests, and the numbers say so.
#[test]
fn a_page_is_asked_for_with_all_it_needs() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&seen);
    let port = serve(None, move |head| {
        heads.lock().unwrap().push(head.to_ascii_lowercase());
        let is_slashed = head.starts_with("GET /metrics/ HTTP/1.1");
        Some(if is_slashed { ok(PAGE) } else { status("307 X\r\nlocation: /metrics/") })
    });
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "secret\n").unwrap();
    let mut target = target(&format!("http://127.0.0.1:{port}/metrics"));
    target.endpoint.credentials.bearer_token_file = Some(token.path().to_owned());
    target.endpoint.headers = vec![("x-a".parse().unwrap(), "b".parse().unwrap())];
    let bench = Bench::start(vec![target]);
    assert_eq!(bench.next(), FOUND);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    for head in &*seen {
        assert!(head.contains("authorization: bearer secret\r\n") && head.contains("x-a: b\r\n"));
        assert!(head.contains("accept: application/openmetrics-text;version=1.0.0"), "{head}");
    }
    assert_eq!(bench.count("scrapes_total", &["vllm"]), 1);
    assert_eq!(bench.count("scrape_up", &["vllm"]), 1);
    assert_eq!(bench.count("scraped_samples_total", &["vllm"]), 1);
    assert!(bench.log.take().is_empty());
}

/// Scenario: targets that fail, each in another way. Guarantees: each is counted under its reason and said once, and its
/// telemetry says that it is not up.
#[test]
fn each_failure_has_a_reason() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = |body: &'static str| serve(None, move |_| Some(ok(body)));
    let head = |head: &'static str| serve(None, move |_| Some(status(head)));
    let big = serve(None, |_| Some(ok(&"# a\n".repeat(3000))));
    let damaged = serve(None, |_| Some(gzip(PAGE, 20)));
    let bomb = serve(None, |_| Some(gzip(&"# a\n".repeat(1_000_000), usize::MAX)));
    let many = serve(None, |_| Some(ok(&"a 1\n".repeat(101))));
    for (reason, port, says) in [
        ("connect", closed, "refused"),
        ("timeout", serve(None, |_| None), "timed out"),
        ("credentials", head("401 X"), "status 401"),
        ("status", head("503 X"), "status 503"),
        (
            "status",
            head("302 X\r\nlocation: http://127.0.0.2/metrics"),
            "a redirect to '127.0.0.2'",
        ),
        ("status", head("302 X\r\nlocation: /metrics"), "more than 5 redirects"),
        ("too_large", big, "more than 10000 bytes"),
        ("samples", many, "more than 100 samples"),
        ("not_metrics", head("200 OK\r\ncontent-type: text/html"), "text/html"),
        ("not_metrics", text("<html>\n"), "line 1: a name is missing"),
        ("truncated", head("200 OK\r\ncontent-type: application/openmetrics-text"), "# EOF"),
        ("encoding", head("200 OK\r\ncontent-encoding: br"), "compressed by 'br'"),
        ("encoding", damaged, "the gzip data is damaged"),
        ("too_large", bomb, "more than 10000 bytes"),
    ] {
        let mut target = target(&format!("http://user:pass@127.0.0.1:{port}/metrics?token=hush"));
        target.endpoint.timeout = Duration::from_secs(if reason == "timeout" { 1 } else { 20 });
        let bench = Bench::start(vec![target]);
        assert_eq!(bench.next(), NOTHING, "{reason}");
        assert_eq!(bench.count("scrape_failures_total", &["vllm", reason]), 1, "{reason}");
        assert_eq!(bench.count("scrape_up", &["vllm"]), 0);
        let said = bench.log.take();
        let [line] = &said[..] else { panic!("{reason}: {said:?}") };
        let start = format!("scrape 'vllm' (http://127.0.0.1:{port}/metrics) failed ({reason}): ");
        assert!(line.text.starts_with(&start) && line.text.contains(says), "{}", line.text);
        assert!(!line.text.contains("hush") && !line.text.contains("pass"), "{}", line.text);
    }
}

/// Scenario: a target that is away, comes, has a wrong line, and goes. Guarantees: each change is said once, whatever
/// the number of scrapes, and pages that the host did not take make room for newer ones and are counted.
#[test]
fn changes_are_said_once_and_a_page_waits_at_most() {
    let number = Arc::new(Mutex::new(0));
    let port = serve(None, move |_| {
        let mut number = number.lock().unwrap();
        *number += 1;
        Some(if *number <= 2 { status("503 X") } else { ok("a 1\nb\n") })
    });
    let mut target = target(&format!("http://127.0.0.1:{port}/"));
    target.interval = Duration::from_millis(50);
    let bench = Bench::start(vec![target]);
    for _ in 0..8 {
        bench.woken.recv_timeout(test_timeout::at_most(Duration::from_secs(30))).unwrap();
    }
    bench.scraper.stop();
    let waiting = bench.scraper.take().unwrap();
    assert_eq!(waiting.emission.records, 4);
    assert!(bench.scraper.take().is_none());
    // Two pages of two records, and the others of four, but for the one that waited.
    assert!(bench.count("scrape_left_out_total", &["vllm", "record"]) >= 4 + 5 * 4);
    assert!(bench.count("scrape_left_out_total", &["vllm", "line"]) >= 6);
    bench.scraper.put_back(waiting);
    assert!(bench.scraper.take().is_some());
    let said: Vec<String> = bench.log.take().into_iter().map(|line| line.text).collect();
    assert_eq!(said.len(), 3, "{said:?}");
    assert!(said[0].contains("failed (status)"));
    assert_eq!(said[1], "scrape 'vllm': the page is read again");
    assert!(said[2].contains("1 lines of the page are not valid") && said[2].contains("line 2"));
}

/// Scenario: a page by TLS, with a certificate that the target is told to trust, and one that it is not. Guarantees: the one is
/// read, the other is not, and a file that is none stops the start with the option's name.
#[test]
fn pages_come_by_tls() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let chain = vec![CertificateDer::from(made.cert.der().to_vec())];
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let port = serve(Some(Arc::new(server)), |_| Some(ok(PAGE)));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), made.cert.pem()).unwrap();
    let untrusting = target(&format!("https://localhost:{port}/metrics"));
    let mut trusting = untrusting.clone();
    trusting.endpoint.tls.ca_file = Some(file.path().to_owned());
    assert_eq!(Bench::start(vec![trusting.clone()]).next(), FOUND);
    let bench = Bench::start(vec![untrusting]);
    assert_eq!(bench.next(), NOTHING);
    assert_eq!(bench.count("scrape_failures_total", &["vllm", "connect"]), 1);
    std::fs::write(file.path(), "rubbish").unwrap();
    let settings = ScrapeSettings { targets: vec![trusting] };
    let problem = Scraper::check(&settings, &Counters::default(), &Arc::default()).unwrap_err();
    assert!(problem.0[0].starts_with("option 'scrape.vllm.tls.ca_file': "), "{problem}");
}

/// Scenario: a scraper that goes while a target hangs. Guarantees: it is gone at once.
#[test]
fn a_hanging_target_holds_up_no_end() {
    let port = serve(None, |_| None);
    let mut hanging = target(&format!("http://127.0.0.1:{port}/"));
    hanging.endpoint.timeout = Duration::from_secs(60);
    let bench = Bench::start(vec![hanging]);
    let start = crate::clock::now();
    drop(bench.scraper);
    assert!(crate::clock::now().since(start) < super::STOP);
}

/// Scenario: a page that is compressed because that was asked for. Guarantees: it is read as any other.
#[test]
fn pages_may_be_compressed() {
    let port = serve(None, |head| {
        let may = head.to_ascii_lowercase().contains("accept-encoding: gzip\r\n");
        Some(if may { gzip(PAGE, usize::MAX) } else { status("406 X") })
    });
    let bench = Bench::start(vec![target(&format!("http://127.0.0.1:{port}/"))]);
    assert_eq!(bench.next(), FOUND);
    assert_eq!(bench.count("scraped_samples_total", &["vllm"]), 1);
}

/// Scenario: a target that shows a page and goes, with markers of staleness and without. Guarantees: with them what it had is told
/// once as gone, and counted.
#[test]
fn what_a_target_had_is_marked_when_it_goes() {
    for marks_stale in [true, false] {
        let number = Arc::new(Mutex::new(0));
        let port = serve(None, move |_| {
            let mut number = number.lock().unwrap();
            *number += 1;
            Some(if *number == 1 { ok(PAGE) } else { status("503 X") })
        });
        let mut target = target(&format!("http://127.0.0.1:{port}/"));
        target.interval = Duration::from_millis(500);
        target.marks_stale = marks_stale;
        let bench = Bench::start(vec![target]);
        assert_eq!(bench.next(), FOUND);
        let mut second = bench.next();
        second.sort();
        let gone = ["scrape_duration_seconds", "scrape_samples_scraped", "up", "vllm:requests"];
        assert_eq!(
            second,
            if marks_stale { &gone[..] } else { &["scrape_duration_seconds", "up"] }
        );
        assert_eq!(bench.next(), NOTHING);
        let points = bench.count("scraped_stale_points_total", &["vllm"]);
        assert_eq!(points, if marks_stale { 2 } else { 0 });
    }
}

/// Scenario: targets that are tried, one of which is there. Guarantees: what is read is said in samples, what is not with its
/// reason, without what may be a secret.
#[test]
fn targets_are_tried() {
    let there = serve(None, |_| Some(ok("a 1\nb 2\n")));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let targets = [there, closed].map(|port| target(&format!("http://u:hush@127.0.0.1:{port}/m")));
    let settings = ScrapeSettings { targets: targets.to_vec() };
    let log = Arc::new(Log::default());
    let mut trial = Scraper::check(&settings, &Counters::default(), &log).unwrap();
    let trials = trial.try_out().unwrap();
    let [read, unread] = &trials[..] else { panic!("{trials:?}") };
    assert_eq!((&*read.target, read.outcome.clone()), ("vllm", Ok(2)));
    assert_eq!(read.url, format!("http://127.0.0.1:{there}/m"));
    let problem = unread.outcome.clone().unwrap_err();
    assert!(problem.starts_with("(connect): ") && !problem.contains("hush"), "{problem}");
    assert!(log.take().is_empty());
}
