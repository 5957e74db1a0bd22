//! Raw client: HTTP/2 over any stream.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use crate::model::Signal;

/// A connection that has begun with the preface of HTTP/2.
pub(super) struct Client {
    pub(super) sender: SendRequest<Full<Bytes>>,
    pub(super) running: JoinSet<hyper::Result<()>>,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    trailers: HeaderMap,
}

impl Answer {
    fn text(&self, name: &str) -> String {
        let value = self.trailers.get(name).or_else(|| self.headers.get(name));
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// The status and the words of gRPC.
    pub(super) fn grpc(&self) -> (String, String) {
        (self.text("grpc-status"), self.text("grpc-message"))
    }
}

impl Client {
    pub(super) async fn tcp(to: std::net::SocketAddr) -> Self {
        Self::over(tokio::net::TcpStream::connect(to).await.unwrap()).await
    }

    pub(super) async fn over<S>(stream: S) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let mut running = JoinSet::new();
        running.spawn(connection);
        Self { sender, running }
    }

    pub(super) async fn send(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> hyper::Result<Answer> {
        let mut request = Request::post(format!("http://x{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::copy_from_slice(body))).unwrap();
        let response = self.sender.clone().send_request(request).await?;
        let (parts, body) = response.into_parts();
        let trailers = body.collect().await?.trailers().cloned().unwrap_or_default();
        Ok(Answer { status: parts.status, headers: parts.headers, trailers })
    }

    /// Exports traces over OTLP/HTTP.
    pub(super) async fn post(&self, message: &[u8]) -> hyper::Result<Answer> {
        let headers = [("content-type", "application/x-protobuf")];
        self.send(Signal::Traces.http_path(), &headers, message).await
    }

    /// Exports traces over OTLP/gRPC. The message is marked as compressed if there is an encoding.
    pub(super) async fn grpc(&self, encoding: &str, message: &[u8]) -> hyper::Result<Answer> {
        let mut framed = vec![u8::from(!encoding.is_empty())];
        framed.extend_from_slice(&u32::try_from(message.len()).unwrap().to_be_bytes());
        framed.extend_from_slice(message);
        let mut headers = vec![("content-type", "application/grpc"), ("te", "trailers")];
        if !encoding.is_empty() {
            headers.push(("grpc-encoding", encoding));
        }
        self.send(Signal::Traces.grpc_path(), &headers, &framed).await
    }
}
