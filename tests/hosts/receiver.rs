//! Recording server: a receiver that keeps each request with its headers.

use std::convert::Infallible;
use std::io::Read;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

use crate::sink::{SinkAnswer, grpc_ok, messages, plain};

/// A request that was accepted, without its compression.
#[derive(Debug, Clone)]
pub struct Kept {
    /// The path of OTLP/HTTP, also for gRPC.
    pub path: &'static str,
    pub headers: HeaderMap,
    pub message: Bytes,
}

impl Kept {
    /// A header's text; empty if it is not there.
    pub fn header(&self, name: &str) -> String {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    }
}

/// The headers of requests that are refused with 400.
pub type Refuses = fn(&HeaderMap) -> bool;

pub struct Receiver {
    pub port: u16,
    kept: Arc<Mutex<Vec<Kept>>>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::with(|_| false).await
    }

    pub async fn with(refuses: Refuses) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = Arc::<Mutex<Vec<Kept>>>::default();
        let shared = Arc::clone(&kept);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| {
                        answer(request, Arc::clone(&shared), refuses)
                    });
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, kept }
    }

    /// The requests so far.
    pub fn kept(&self) -> Vec<Kept> {
        self.kept.lock().unwrap().clone()
    }

    /// The messages of a path.
    pub fn messages(&self, path: &str) -> Vec<Bytes> {
        let kept = self.kept.lock().unwrap();
        kept.iter().filter(|kept| kept.path == path).map(|kept| kept.message.clone()).collect()
    }
}

async fn answer(
    request: Request<Incoming>,
    kept: Arc<Mutex<Vec<Kept>>>,
    refuses: Refuses,
) -> Result<SinkAnswer, Infallible> {
    let (head, body) = request.into_parts();
    let has = |name: &str, start: &str| {
        head.headers.get(name).is_some_and(|value| value.as_bytes().starts_with(start.as_bytes()))
    };
    let grpc = has("content-type", "application/grpc");
    let Ok(body) = body.collect().await else { return Ok(plain(StatusCode::BAD_REQUEST)) };
    if refuses(&head.headers) {
        return Ok(plain(StatusCode::BAD_REQUEST));
    }
    let gzip = has("content-encoding", "gzip");
    let zstd = has("content-encoding", "zstd");
    for message in messages(&body.to_bytes(), grpc, gzip) {
        let message = if zstd { unpacked(&message) } else { message };
        let path = path_of(head.uri.path());
        kept.lock().unwrap().push(Kept { path, headers: head.headers.clone(), message });
    }
    Ok(if grpc { grpc_ok() } else { plain(StatusCode::OK) })
}

fn unpacked(body: &[u8]) -> Bytes {
    let mut out = Vec::new();
    zstd::Decoder::new(body).unwrap().read_to_end(&mut out).unwrap();
    out.into()
}

fn path_of(path: &str) -> &'static str {
    let is = |http: &str, service: &str| path == http || path.contains(service);
    match path {
        _ if is("/v1/traces", ".TraceService/") => "/v1/traces",
        _ if is("/v1/metrics", ".MetricsService/") => "/v1/metrics",
        _ if is("/v1/logs", ".LogsService/") => "/v1/logs",
        _ => panic!("a request to {path}"),
    }
}
