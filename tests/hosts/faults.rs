//! The fault matrix: what an endpoint can do wrong, and what every endpoint has afterwards.
//!
//! Each row is an endpoint that misbehaves beside a healthy one. The healthy one gets everything
//! once and soon, whatever the row; the other gets what the row says.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::hosts::{Running, free_port};
use crate::load;
use crate::shapes::{Shape, number_of};
use crate::sink::{Keep, Sink};
use crate::support::{Pipeline, alone, bundled, linked, real_hosts};
use crate::wire;

const ITEMS: u64 = 2_560;

/// What an endpoint does with a request.
enum Act {
    Accept,
    /// A status with a header and a body; what it says is not taken.
    Status(u16, &'static str),
    /// Takes the request and rejects three of its items.
    Partial,
    /// Says nothing.
    Hang,
    /// Closes the connection in the middle of the request.
    Reset,
    Slow,
}

/// What the endpoint of a row has in the end.
#[derive(Clone, Copy, PartialEq)]
enum Has {
    /// Everything, once.
    Everything,
    /// Everything but the first request, which nobody has.
    AllButTheFirst,
    Nothing,
}

/// How an endpoint answers request number `n`, from 0, of so many bytes.
type Script = fn(usize, usize) -> Act;

struct Row {
    name: &'static str,
    /// The endpoint comes up after this many seconds.
    late: u64,
    script: Script,
    options: &'static [&'static str],
    has: Has,
    /// What the host's log says.
    log: &'static str,
}

const fn row(name: &'static str, script: Script, log: &'static str) -> Row {
    Row { name, late: 0, script, options: &[], has: Has::Everything, log }
}

fn rows() -> Vec<Row> {
    vec![
        Row { late: 4, ..row("connection refused", |_, _| Act::Accept, "connect") },
        Row {
            options: &["endpoint.faulty.timeout: 1s"],
            ..row("hang", |n, _| if n < 2 { Act::Hang } else { Act::Accept }, "timeout")
        },
        // A broken connection is tried once more at once, so the log may have nothing to say.
        row("reset", |n, _| if n < 2 { Act::Reset } else { Act::Accept }, ""),
        row("429", |n, _| if n == 0 { Act::Status(429, "1") } else { Act::Accept }, "throttled"),
        row("503", |n, _| if n < 2 { Act::Status(503, "") } else { Act::Accept }, "unavailable"),
        Row {
            has: Has::AllButTheFirst,
            ..row("400", |n, _| if n == 0 { Act::Status(400, "") } else { Act::Accept }, "dropped")
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

#[derive(Default)]
struct Got {
    requests: usize,
    numbers: Vec<u8>,
    refused: u64,
}

/// An endpoint with a script; it also answers as a token service.
#[derive(Clone)]
struct Faulty {
    script: Script,
    tokens: bool,
    got: Arc<Mutex<Got>>,
}

impl Faulty {
    async fn start(port: u16, script: Script, tokens: bool) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let this = Self { script, tokens, got: Arc::default() };
        let faulty = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let faulty = faulty.clone();
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        let faulty = faulty.clone();
                        async move { faulty.answer(request).await }
                    });
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        this
    }

    /// Takes a request as the script says. An error closes the connection.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, String> {
        let is_token = self.tokens && request.uri().path() == "/token";
        let is_scripted = !self.tokens || is_token;
        let size = request.headers().get("content-length");
        let size = size.and_then(|size| size.to_str().ok()?.parse().ok()).unwrap_or(0);
        let act = if is_scripted {
            let n = {
                let mut got = self.got.lock().unwrap();
                got.requests += 1;
                got.requests - 1
            };
            (self.script)(n, size)
        } else {
            Act::Accept
        };
        if matches!(act, Act::Reset) {
            return Err("reset".to_owned());
        }
        let body = request.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        match act {
            Act::Hang => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return Err("hung".to_owned());
            }
            Act::Status(status, after) => {
                let mut items = 0;
                wire::items(&body, |_| items += 1);
                self.got.lock().unwrap().refused += items;
                let mut response = Response::builder().status(status);
                if !after.is_empty() {
                    response = response.header("retry-after", after);
                }
                return Ok(response.body(Full::new(Bytes::from_static(b"scripted"))).unwrap());
            }
            Act::Slow => tokio::time::sleep(Duration::from_millis(300)).await,
            _ => {}
        }
        if is_token {
            let token = Bytes::from_static(br#"{"access_token":"t","expires_in":3600}"#);
            return Ok(Response::new(Full::new(token)));
        }
        self.count(&body);
        // ExportTraceServiceResponse { partial_success { rejected_spans: 3, error_message } }
        let partial = Bytes::from_static(b"\x0a\x08\x08\x03\x12\x04odd!");
        let body = if matches!(act, Act::Partial) { partial } else { Bytes::new() };
        Ok(Response::new(Full::new(body)))
    }

    fn count(&self, body: &[u8]) {
        let mut got = self.got.lock().unwrap();
        wire::items(body, |item| {
            wire::fields(item, |field, bytes| {
                let id = <[u8; 8]>::try_from(bytes).ok().filter(|_| field == 2);
                if let Some(number) = id.and_then(number_of) {
                    let at = number as usize;
                    if got.numbers.len() <= at {
                        got.numbers.resize(at + 1, 0);
                    }
                    got.numbers[at] += 1;
                }
            });
        });
    }

    fn distinct(&self) -> u64 {
        self.got.lock().unwrap().numbers.iter().filter(|count| **count > 0).count() as u64
    }

    fn doubled(&self) -> u64 {
        self.got.lock().unwrap().numbers.iter().filter(|count| **count > 1).count() as u64
    }
}

/// Ends the handshake of each connection with a certificate that nobody trusts.
fn untrusted() -> u16 {
    let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let chain = vec![made.cert.der().clone()];
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let _refused = tls.complete_io(&mut stream);
        }
    });
    port
}

fn spans(port: u16) -> load::Args {
    load::Args {
        port,
        grpc: false,
        shape: Shape::Genai,
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

/// Scenario: every row of the table. Guarantees: the healthy endpoint has everything once within
/// seconds; the other has exactly what its row says; the host ends well.
#[tokio::test(flavor = "multi_thread")]
async fn every_fault_leaves_each_endpoint_with_what_it_should_have() {
    let _alone = alone();
    let plugins = linked();
    let hosts = real_hosts().into_iter().take(1).chain([bundled("5.1.0")]);
    for host in hosts {
        for row in rows() {
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
            let running = Running::start(&host, &pipeline.yaml(plugins.path()), http);
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
            let missing = |faulty: &Faulty| match row.has {
                Has::AllButTheFirst => faulty.got.lock().unwrap().refused,
                _ => 0,
            };
            if let Some(faulty) = &faulty {
                let start = Instant::now();
                while faulty.distinct() + missing(faulty) < ITEMS {
                    let waited = start.elapsed();
                    assert!(waited < Duration::from_secs(40), "{what}\n{}", running.log_text());
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
            // Nothing follows.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let (code, log) = running.stop();
            // The bundled host tells by its exit code that chunks were left.
            let left = row.has == Has::Nothing && code.is_some();
            assert!(code == Some(0) || left, "{what}: {code:?} {log}");
            assert!(log.contains(row.log), "{what}: {log}");
            assert!(!log.contains("hush"), "{what}: {log}");
            assert_eq!(healthy.received.lock().unwrap().doubled(), 0, "{what}: {log}");
            if let Some(faulty) = &faulty {
                assert_eq!(faulty.distinct() + missing(faulty), ITEMS, "{what}: {log}");
                assert_eq!(faulty.doubled(), 0, "{what}: {log}");
            }
        }
    }
}
