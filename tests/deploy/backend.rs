//! A stand-in for backends: an OTLP server with the rules of one of them. What breaks a rule is refused, as the
//! backend would, and kept.

use std::convert::Infallible;
use std::io::Read;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message;
use testkit::sink::{SinkAnswer, plain};
use tokio::net::TcpListener;

/// What a backend asks of requests at one path.
#[derive(Clone, Copy)]
pub struct Rule {
    pub path: &'static str,
    /// Headers with what their values begin with.
    pub headers: &'static [(&'static str, &'static str)],
    /// What else is refused: by the body, uncompressed, and its size as it came.
    pub refuses: fn(&[u8], usize) -> bool,
    /// Whether zstd is taken.
    pub zstd: bool,
}

/// A request: its path, what was answered, and its body.
#[derive(Clone)]
pub struct Request_ {
    pub path: String,
    pub status: StatusCode,
    pub body: Vec<u8>,
}

pub struct Backend {
    pub port: u16,
    seen: Arc<Mutex<Vec<Request_>>>,
}

impl Backend {
    pub async fn start(rules: &'static [Rule]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let seen = Arc::<Mutex<Vec<Request_>>>::default();
        let shared = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        answer(request, Arc::clone(&shared), rules)
                    });
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, seen }
    }

    pub fn seen(&self) -> Vec<Request_> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(
    request: Request<Incoming>,
    seen: Arc<Mutex<Vec<Request_>>>,
    rules: &'static [Rule],
) -> Result<SinkAnswer, Infallible> {
    let (head, body) = request.into_parts();
    let Ok(body) = body.collect().await else { return Ok(plain(StatusCode::BAD_REQUEST)) };
    let (path, body) = (head.uri.path().to_owned(), body.to_bytes());
    let (status, body) = judge(&path, &head.headers, &body, rules);
    seen.lock().unwrap().push(Request_ { path, status, body });
    Ok(plain(status))
}

/// What a backend answers.
fn judge(path: &str, headers: &HeaderMap, body: &Bytes, rules: &[Rule]) -> (StatusCode, Vec<u8>) {
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok()).unwrap_or_default();
    let Some(rule) = rules.iter().find(|rule| rule.path == path) else {
        return (StatusCode::NOT_FOUND, Vec::new());
    };
    if header("content-type") != "application/x-protobuf" {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, Vec::new());
    }
    let has = |(name, start): &(&str, &str)| header(name).starts_with(start);
    if !rule.headers.iter().all(has) {
        return (StatusCode::UNAUTHORIZED, Vec::new());
    }
    let plain = match header("content-encoding") {
        "" | "identity" => body.to_vec(),
        "gzip" => {
            let mut out = Vec::new();
            flate2::read::GzDecoder::new(&body[..]).read_to_end(&mut out).unwrap();
            out
        }
        "zstd" if rule.zstd => zstd::decode_all(&body[..]).unwrap(),
        _ => return (StatusCode::UNSUPPORTED_MEDIA_TYPE, Vec::new()),
    };
    match (rule.refuses)(&plain, body.len()) {
        true => (StatusCode::BAD_REQUEST, plain),
        false => (StatusCode::OK, plain),
    }
}

/// The temporalities of monotonic sums and histograms in a request: 1 is delta, 2 cumulative.
fn temporalities(body: &[u8]) -> Vec<i32> {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let scopes = request.resource_metrics.into_iter().flat_map(|it| it.scope_metrics);
    let data = scopes.flat_map(|scope| scope.metrics).filter_map(|metric| metric.data);
    data.filter_map(|data| match data {
        Data::Sum(sum) if sum.is_monotonic => Some(sum.aggregation_temporality),
        Data::Histogram(it) => Some(it.aggregation_temporality),
        Data::ExponentialHistogram(it) => Some(it.aggregation_temporality),
        _ => None,
    })
    .collect()
}

pub fn nothing(_: &[u8], _: usize) -> bool {
    false
}

pub fn cumulative(body: &[u8], _: usize) -> bool {
    temporalities(body).contains(&2)
}

pub fn delta(body: &[u8], _: usize) -> bool {
    temporalities(body).contains(&1)
}

/// More than New Relic takes as it is sent.
pub fn above_a_megabyte(_: &[u8], sent: usize) -> bool {
    sent > 1_000_000
}
