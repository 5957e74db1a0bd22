//! OTLP sink: a receiver that is cheap enough not to be what a benchmark measures.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use crate::{shapes, wire};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The port on 127.0.0.1 for OTLP/gRPC and OTLP/HTTP.
    #[arg(long)]
    port: u16,
    /// How long to listen, in seconds.
    #[arg(long, default_value_t = 3600)]
    seconds: u64,
}

/// What a sink is to keep of what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The number of every item, for exact counting.
    Numbers,
    /// Every request as it came.
    Requests,
    /// The same, but for the first ones, so many, which are answered 503.
    RequestsAfter(u64),
    /// Nothing: it takes requests and never answers.
    Hang,
    /// The number of every item and when it was accepted; many requests are not.
    Failing(Trouble),
}

/// When a sink does not take what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// How long from the first request on everything is answered 503.
    pub outage: Duration,
    /// Each request with this number in turn is answered 503 after that.
    pub every: u64,
    /// How long each answer takes.
    pub answer: Duration,
}

/// What came.
#[derive(Default)]
pub struct ReceivedRequests {
    /// How often each numbered item came, by its number.
    pub numbers: Vec<u8>,
    pub items: u64,
    pub bytes: u64,
    pub last: Option<Instant>,
    /// When the first request came, whatever was answered, and how many have come.
    pub first: Option<Instant>,
    pub tried: u64,
    /// When each numbered item was accepted, by its number, where a sink keeps that.
    pub times: Option<Vec<Option<Instant>>>,
    /// Requests by path.
    pub requests: BTreeMap<String, Vec<Bytes>>,
}

impl ReceivedRequests {
    pub fn distinct(&self) -> u64 {
        self.numbers.iter().filter(|count| **count > 0).count() as u64
    }

    pub fn doubled(&self) -> u64 {
        self.numbers.iter().filter(|count| **count > 1).count() as u64
    }

    fn count(&mut self, path: &str, request: &[u8]) {
        wire::items(request, |item| {
            if path == "/v1/metrics" {
                metric_points(item, |number| self.number(number));
            } else {
                let field = if path == "/v1/logs" { 10 } else { 2 };
                wire::fields(item, |number, bytes| {
                    if number == field {
                        let id = <[u8; 8]>::try_from(bytes).ok();
                        self.number(id.and_then(shapes::number_of));
                    }
                });
            }
        });
    }

    fn number(&mut self, number: Option<u64>) {
        self.items += 1;
        if let Some(number) = number {
            let at = number as usize;
            if self.numbers.len() <= at {
                self.numbers.resize((at + 1).next_power_of_two(), 0);
            }
            self.numbers[at] = self.numbers[at].saturating_add(1);
            if let Some(times) = &mut self.times {
                if times.len() <= at {
                    times.resize((at + 1).next_power_of_two(), None);
                }
                times[at] = times[at].or(self.last);
            }
        }
    }

    /// Whether a request that comes now is taken.
    fn takes(&mut self, trouble: Trouble) -> bool {
        self.tried += 1;
        let first = *self.first.get_or_insert_with(Instant::now);
        first.elapsed() >= trouble.outage && !self.tried.is_multiple_of(trouble.every)
    }
}

/// The time of each data point of a metric is its number.
fn metric_points(metric: &[u8], mut found: impl FnMut(Option<u64>)) {
    wire::fields(metric, |number, data| {
        if matches!(number, 5 | 7 | 9 | 10 | 11) {
            wire::fields(data, |number, point| {
                if number == 1 {
                    // fixed64 time_unix_nano has the tag 0x19 in all kinds of points.
                    let at = point.windows(9).find(|window| {
                        window[0] == 0x19
                            && shapes::number_of(window[1..9].try_into().unwrap()).is_some()
                    });
                    found(
                        at.and_then(|window| shapes::number_of(window[1..9].try_into().unwrap())),
                    );
                }
            });
        }
    });
}

/// A running receiver.
pub struct Sink {
    pub port: u16,
    pub received: Arc<Mutex<ReceivedRequests>>,
}

impl Sink {
    pub async fn start(port: u16, keep: Keep) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let times = matches!(keep, Keep::Failing(_)).then(Vec::new);
        let received =
            Arc::new(Mutex::new(ReceivedRequests { times, ..ReceivedRequests::default() }));
        let shared = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        answer(request, Arc::clone(&shared), keep)
                    });
                    let mut server =
                        hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    // Room for whole chunks: the stock output breaks connections that make it wait.
                    server
                        .http2()
                        .initial_stream_window_size(16 << 20)
                        .initial_connection_window_size(64 << 20);
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, received }
    }

    /// Waits until the expected items came; where their number is not known, which is 0, until nothing
    /// came for `quiet`; at most `limit`.
    pub async fn settle(&self, expected: u64, quiet: Duration, limit: Duration) {
        let (quiet, limit) = (crate::at_most(quiet), crate::at_most(limit));
        let start = Instant::now();
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let (items, last) = {
                let received = self.received.lock().unwrap();
                (received.items, received.last)
            };
            let is_quiet =
                last.is_none_or(|last| last.elapsed() > quiet) && start.elapsed() > quiet;
            let has_all = if expected > 0 { items >= expected } else { is_quiet };
            if has_all || start.elapsed() > limit {
                return;
            }
        }
    }
}

pub type SinkAnswer = Response<BoxBody<Bytes, Infallible>>;

async fn answer(
    request: Request<Incoming>,
    received: Arc<Mutex<ReceivedRequests>>,
    keep: Keep,
) -> Result<SinkAnswer, Infallible> {
    let (head, body) = request.into_parts();
    let grpc = head
        .headers
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let Ok(body) = body.collect().await else { return Ok(plain(StatusCode::BAD_REQUEST)) };
    if keep == Keep::Hang {
        return std::future::pending().await;
    }
    if let Keep::Failing(trouble) = keep {
        let takes = received.lock().unwrap().takes(trouble);
        tokio::time::sleep(trouble.answer).await;
        if !takes {
            return Ok(plain(StatusCode::SERVICE_UNAVAILABLE));
        }
    }
    if let Keep::RequestsAfter(refused) = keep {
        let mut received = received.lock().unwrap();
        received.tried += 1;
        if received.tried <= refused {
            return Ok(plain(StatusCode::SERVICE_UNAVAILABLE));
        }
    }
    let body = body.to_bytes();
    let path = path_of(head.uri.path());
    let gzip = head.headers.get("content-encoding").is_some_and(|kind| kind == "gzip");
    for message in messages(&body, grpc, gzip) {
        let mut received = received.lock().unwrap();
        received.bytes += message.len() as u64;
        received.last = Some(Instant::now());
        match keep {
            Keep::Numbers | Keep::Failing(_) => received.count(path, &message),
            Keep::Requests | Keep::RequestsAfter(_) => {
                wire::items(&message, |_| received.items += 1);
                received.requests.entry(path.to_owned()).or_default().push(message);
            }
            Keep::Hang => {}
        }
    }
    Ok(if grpc { grpc_ok() } else { plain(StatusCode::OK) })
}

/// The HTTP path of a request, also for gRPC.
fn path_of(path: &str) -> &'static str {
    if path.contains("TraceService") || path.ends_with("traces") {
        "/v1/traces"
    } else if path.contains("MetricsService") || path.ends_with("metrics") {
        "/v1/metrics"
    } else if path.contains("ProfilesService") || path.ends_with("profiles") {
        "/v1development/profiles"
    } else {
        "/v1/logs"
    }
}

pub fn messages(body: &Bytes, grpc: bool, gzip: bool) -> Vec<Bytes> {
    if !grpc {
        return vec![if gzip { gunzip(body) } else { body.clone() }];
    }
    let mut messages = Vec::new();
    let mut rest = body.clone();
    while rest.len() >= 5 {
        let head = rest.split_to(5);
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let message = rest.split_to(length.min(rest.len()));
        messages.push(if head[0] == 1 { gunzip(&message) } else { message });
    }
    messages
}

fn gunzip(body: &[u8]) -> Bytes {
    let mut out = Vec::new();
    let _ = flate2::read::GzDecoder::new(body).read_to_end(&mut out);
    out.into()
}

pub fn plain(status: StatusCode) -> SinkAnswer {
    let body = Full::new(Bytes::new()).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", "application/x-protobuf".parse().unwrap());
    response
}

pub fn grpc_ok() -> SinkAnswer {
    let mut trailers = hyper::HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().unwrap());
    let frames = [
        Ok(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 0]))),
        Ok::<_, Infallible>(Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let mut response = Response::new(BodyExt::boxed(body));
    response.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    response
}

pub async fn serve_and_print(args: Args) {
    let sink = Sink::start(args.port, Keep::Numbers).await;
    println!("listening on 127.0.0.1:{}", sink.port);
    let mut seen = 0;
    for _ in 0..args.seconds {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let received = sink.received.lock().unwrap();
        if received.items != seen {
            seen = received.items;
            println!(
                "items {} distinct {} doubled {} bytes {}",
                received.items,
                received.distinct(),
                received.doubled(),
                received.bytes
            );
        }
    }
}
