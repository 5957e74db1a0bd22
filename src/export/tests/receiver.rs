//! Fake server: an OTLP receiver whose answers a test writes, HTTP on hyper, gRPC on the generated
//! services.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use tonic::codec::CompressionEncoding;
use tonic::codegen::Service;

use crate::runtime::{Runtime, Tasks};

/// A header that the receiver adds to what it saw: the number of the connection, from 0.
pub(super) const CONNECTION: &str = "x-seen-connection";

/// A request as the receiver saw it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) path: String,
    /// Over HTTP.
    pub(super) query: Option<String>,
    pub(super) version: http::Version,
    pub(super) headers: HeaderMap,
    /// The message in protobuf, decompressed.
    pub(super) body: Vec<u8>,
    /// The body as it came, over HTTP.
    pub(super) wire: Vec<u8>,
}

/// What the receiver answers.
#[derive(Debug, Clone)]
pub(super) enum Say {
    Accept,
    Partial(i64, &'static str),
    /// An HTTP status with headers and a body.
    Http(u16, Vec<(&'static str, String)>, Vec<u8>),
    Grpc(tonic::Status),
    Hang,
    /// Accepts after a while.
    Slow(Duration),
}

type Script = Arc<dyn Fn(usize, &Seen) -> Say + Send + Sync>;

#[derive(Clone)]
struct Handler {
    seen: Arc<Mutex<Vec<Seen>>>,
    script: Script,
}

/// A running receiver.
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    handler: Handler,
    tasks: Tasks,
    _runtime: Runtime,
}

impl Receiver {
    /// A receiver that answers request number `n` (from 0) with `script(n, request)`.
    pub(super) fn start(script: impl Fn(usize, &Seen) -> Say + Send + Sync + 'static) -> Self {
        Self::start_at("127.0.0.1:0", script)
    }

    /// The same at an address.
    pub(super) fn start_at(
        address: &str,
        script: impl Fn(usize, &Seen) -> Say + Send + Sync + 'static,
    ) -> Self {
        let runtime = Runtime::acquire().unwrap();
        let tasks = runtime.tasks();
        let handler = Handler { seen: Arc::default(), script: Arc::new(script) };
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        tasks.spawn(accept(listener, handler.clone(), tasks.clone()));
        Self { address, handler, tasks, _runtime: runtime }
    }

    pub(super) fn accepting() -> Self {
        Self::start(|_, _| Say::Accept)
    }

    pub(super) fn url(&self) -> http::Uri {
        format!("http://{}", self.address).parse().unwrap()
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.handler.seen.lock().unwrap().clone()
    }

    /// The messages of one path's end, decoded.
    pub(super) fn messages<M: Message + Default>(&self, end: &str) -> Vec<M> {
        let seen = self.seen();
        let matching = seen.iter().filter(|seen| seen.path.contains(end));
        matching.map(|seen| M::decode(seen.body.as_slice()).unwrap()).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

async fn accept(listener: std::net::TcpListener, handler: Handler, tasks: Tasks) {
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let mut connections = 0_u64;
    while let Ok((stream, _)) = listener.accept().await {
        let (handler, executor, connection) = (handler.clone(), tasks.clone(), connections);
        connections += 1;
        tasks.spawn(async move {
            let service = service_fn(move |mut request: Request<Incoming>| {
                let handler = handler.clone();
                request.headers_mut().insert(CONNECTION, connection.into());
                async move { Ok::<_, Infallible>(handler.answer(request).await) }
            });
            let connection = auto::Builder::new(executor);
            let _ended = connection.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

impl Handler {
    async fn answer(self, request: Request<Incoming>) -> Response<tonic::body::Body> {
        const GZIP: CompressionEncoding = CompressionEncoding::Gzip;
        let path = request.uri().path().to_owned();
        let answer = if path.contains("TraceService") {
            TraceServiceServer::new(self).accept_compressed(GZIP).call(request).await
        } else if path.contains("MetricsService") {
            MetricsServiceServer::new(self).accept_compressed(GZIP).call(request).await
        } else if path.contains("LogsService") {
            LogsServiceServer::new(self).accept_compressed(GZIP).call(request).await
        } else {
            Ok(self.http(path, request).await)
        };
        answer.unwrap()
    }

    async fn note(&self, seen: Seen) -> Say {
        let say = {
            let mut list = self.seen.lock().unwrap();
            list.push(seen);
            (self.script)(list.len() - 1, list.last().unwrap())
        };
        if matches!(say, Say::Hang) {
            tokio::time::sleep(Duration::from_secs(30)).await;
        }
        if let Say::Slow(time) = say {
            tokio::time::sleep(time).await;
        }
        say
    }

    async fn http(&self, path: String, request: Request<Incoming>) -> Response<tonic::body::Body> {
        let (parts, body) = request.into_parts();
        let mut body =
            body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        let wire = body.clone();
        if parts.headers.get("content-encoding").is_some_and(|encoding| encoding == "gzip") {
            let mut plain = Vec::new();
            let mut decoder = flate2::read::GzDecoder::new(body.as_slice());
            std::io::Read::read_to_end(&mut decoder, &mut plain).unwrap();
            body = plain;
        } else if parts.headers.get("content-encoding").is_some_and(|encoding| encoding == "zstd") {
            body = zstd::bulk::decompress(&body, 16 << 20).unwrap();
        }
        let query = parts.uri.query().map(str::to_owned);
        let (version, headers) = (parts.version, parts.headers);
        let say = self.note(Seen { path, query, version, headers, body, wire }).await;
        let (status, headers, body) = match say {
            Say::Partial(rejected, expected) => (200, Vec::new(), partial(rejected, expected)),
            Say::Http(status, headers, body) => (status, headers, body),
            Say::Accept | Say::Grpc(_) | Say::Hang | Say::Slow(_) => (200, Vec::new(), Vec::new()),
        };
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(name, value);
        }
        response.body(tonic::body::Body::new(Full::new(Bytes::from(body)))).unwrap()
    }

    async fn grpc<M: Message>(
        &self,
        path: &str,
        request: tonic::Request<M>,
    ) -> Result<(i64, &'static str), tonic::Status> {
        let headers = request.metadata().clone().into_headers();
        let body = request.into_inner().encode_to_vec();
        let (path, version) = (path.to_owned(), http::Version::HTTP_2);
        let seen = Seen { path, query: None, version, headers, body, wire: Vec::new() };
        match self.note(seen).await {
            Say::Grpc(status) => Err(status),
            Say::Partial(rejected, expected) => Ok((rejected, expected)),
            Say::Accept | Say::Http(..) | Say::Hang | Say::Slow(_) => Ok((0, "")),
        }
    }
}

fn partial(rejected_spans: i64, expected: &str) -> Vec<u8> {
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: expected.to_owned() };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
}

#[tonic::async_trait]
impl TraceService for Handler {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        let (rejected, expected) = self.grpc("grpc/traces", request).await?;
        let response = ExportTraceServiceResponse::decode(partial(rejected, expected).as_slice());
        Ok(tonic::Response::new(response.unwrap()))
    }
}

#[tonic::async_trait]
impl MetricsService for Handler {
    async fn export(
        &self,
        request: tonic::Request<ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<ExportMetricsServiceResponse>, tonic::Status> {
        self.grpc("grpc/metrics", request).await?;
        Ok(tonic::Response::new(ExportMetricsServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Handler {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        let (rejected_log_records, expected) = self.grpc("grpc/logs", request).await?;
        let partial =
            ExportLogsPartialSuccess { rejected_log_records, error_message: expected.to_owned() };
        Ok(tonic::Response::new(ExportLogsServiceResponse { partial_success: Some(partial) }))
    }
}
