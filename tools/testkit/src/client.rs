//! OTLP test client: sends ready-made request bytes, over OTLP/HTTP or OTLP/gRPC.

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// One connection.
pub enum Client {
    Http(http1::SendRequest<Full<Bytes>>, String),
    Grpc(http2::SendRequest<Full<Bytes>>, String),
}

impl Client {
    pub async fn connect(port: u16, grpc: bool) -> Result<Self, String> {
        Self::open(port, grpc).await.map_err(|e| e.to_string())
    }

    /// The same with the system's error.
    pub async fn open(port: u16, grpc: bool) -> std::io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(stream);
        let authority = format!("127.0.0.1:{port}");
        if grpc {
            let (sender, connection) = http2::Builder::new(TokioExecutor::new())
                .initial_stream_window_size(4 << 20)
                .handshake(io)
                .await
                .map_err(std::io::Error::other)?;
            tokio::spawn(connection);
            return Ok(Self::Grpc(sender, authority));
        }
        let (sender, connection) = http1::handshake(io).await.map_err(std::io::Error::other)?;
        tokio::spawn(connection);
        Ok(Self::Http(sender, authority))
    }

    /// Sends one request and waits for the answer.
    pub async fn send(&mut self, path: &str, service: &str, body: Vec<u8>) -> Result<(), String> {
        match self {
            Self::Http(sender, authority) => {
                let request = Request::post(path)
                    .header("host", authority.as_str())
                    .header("content-type", "application/x-protobuf")
                    .body(Full::new(Bytes::from(body)))
                    .map_err(|e| e.to_string())?;
                sender.ready().await.map_err(|e| e.to_string())?;
                let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
                let status = response.status();
                let answer = response.into_body().collect().await.map_err(|e| e.to_string())?;
                if status.is_success() {
                    return Ok(());
                }
                Err(format!("{status}: {}", String::from_utf8_lossy(&answer.to_bytes())))
            }
            Self::Grpc(sender, authority) => {
                let mut framed = BytesMut::with_capacity(body.len() + 5);
                framed.put_u8(0);
                framed.put_u32(body.len() as u32);
                framed.extend_from_slice(&body);
                let request = Request::post(format!("http://{authority}{service}"))
                    .header("content-type", "application/grpc")
                    .header("te", "trailers")
                    .body(Full::new(framed.freeze()))
                    .map_err(|e| e.to_string())?;
                sender.ready().await.map_err(|e| e.to_string())?;
                let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
                let headers = response.headers().clone();
                let body = response.into_body().collect().await.map_err(|e| e.to_string())?;
                let trailers = body.trailers().cloned().unwrap_or(headers);
                match trailers.get("grpc-status").map(|status| status.as_bytes().to_vec()) {
                    Some(status) if status == b"0" => Ok(()),
                    other => Err(format!(
                        "grpc-status {:?} {:?}",
                        other.map(|status| String::from_utf8_lossy(&status).into_owned()),
                        trailers.get("grpc-message")
                    )),
                }
            }
        }
    }
}
