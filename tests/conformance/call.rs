//! Raw clients: a test decides every byte of a request and sees every part of the answer.

use std::io::Write;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;

use crate::table::Transport;

/// No answer may take longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request, ready to be sent.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Only HTTP/2 has them here.
    pub trailers: Option<HeaderMap>,
}

pub fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A gRPC message with its flag and length.
pub fn frame(compressed: bool, message: &[u8]) -> Vec<u8> {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(u8::from(compressed));
    framed.put_u32(message.len() as u32);
    framed.extend_from_slice(message);
    framed.to_vec()
}

impl Call {
    /// A call of a transport with its usual headers; `message` is not framed yet.
    pub fn new(transport: Transport, path: &str, message: &[u8]) -> Self {
        let call = Self {
            method: Method::POST,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: message.to_vec(),
        };
        match transport {
            Transport::Grpc => {
                let call = call.with("content-type", "application/grpc").with("te", "trailers");
                Self { body: frame(false, message), ..call }
            }
            Transport::Protobuf => call.with("content-type", "application/x-protobuf"),
            Transport::Json => call.with("content-type", "application/json"),
        }
    }

    /// The same with a compressed message.
    pub fn gzipped(transport: Transport, path: &str, message: &[u8]) -> Self {
        let call = Self::new(transport, path, &gzip(message));
        match transport {
            Transport::Grpc => {
                Self { body: frame(true, &gzip(message)), ..call }.with("grpc-encoding", "gzip")
            }
            _ => call.with("content-encoding", "gzip"),
        }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.insert(name, value.parse().unwrap());
        self
    }

    pub fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    fn request(&self, uri: String) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(Bytes::from(self.body.clone())));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri.parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

/// One connection.
pub enum Connection {
    One(http1::SendRequest<Full<Bytes>>, u16),
    Two(http2::SendRequest<Full<Bytes>>, u16),
}

impl Connection {
    pub async fn open(port: u16, http2: bool) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(text)?;
        stream.set_nodelay(true).map_err(text)?;
        let io = TokioIo::new(stream);
        if http2 {
            // Signs of life are asked for so often that they meet every test.
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(Duration::from_millis(200))
                .keep_alive_timeout(Duration::from_secs(5))
                .keep_alive_while_idle(true)
                .handshake(io)
                .await
                .map_err(text)?;
            tokio::spawn(connection);
            return Ok(Self::Two(sender, port));
        }
        let (sender, connection) = http1::handshake(io).await.map_err(text)?;
        tokio::spawn(connection);
        Ok(Self::One(sender, port))
    }

    pub async fn send(&mut self, call: &Call) -> Result<Reply, String> {
        tokio::time::timeout(testkit::at_most(PATIENCE), self.send_slowly(call))
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))
    }

    async fn send_slowly(&mut self, call: &Call) -> Result<Reply, String> {
        let response = match self {
            Self::One(sender, port) => {
                let mut request = call.request(call.path.clone());
                let host = format!("127.0.0.1:{port}").parse().unwrap();
                request.headers_mut().insert("host", host);
                sender.ready().await.map_err(text)?;
                sender.send_request(request).await.map_err(text)?
            }
            Self::Two(sender, port) => {
                let request = call.request(format!("http://127.0.0.1:{port}{}", call.path));
                sender.ready().await.map_err(text)?;
                sender.send_request(request).await.map_err(text)?
            }
        };
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(text)?;
        let trailers = body.trailers().cloned();
        Ok(Reply { status: parts.status, headers: parts.headers, body: body.to_bytes(), trailers })
    }

    /// Sends on the same connection while other calls are under way; HTTP/2 only.
    pub fn another(&self) -> Option<Self> {
        match self {
            Self::One(..) => None,
            Self::Two(sender, port) => Some(Self::Two(sender.clone(), *port)),
        }
    }
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
