//! Scripted server: an endpoint that answers as a script says, over OTLP/HTTP and OTLP/gRPC.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::sync::Notify;

use crate::shapes::number_of;
use crate::sink::messages;
use crate::wire;

/// The bytes before the message of a gRPC call.
const PREFIX: usize = 5;

/// What an endpoint does with a request.
pub enum Act {
    Accept,
    /// A status with a header and a body; what it says is not taken.
    Status(u16, &'static str),
    /// Status 200 with a web page; what it says is not taken.
    Page,
    /// A redirect with this status to this place; what it says is not taken.
    Redirect(u16, &'static str),
    /// The end of a gRPC call; what it says is not taken.
    End(Ending),
    /// Takes the request and rejects three of its items.
    Partial,
    /// Says nothing.
    Hang,
    /// Closes the connection in the middle of the request, or over HTTP/2 the stream.
    Reset,
    /// Closes the connection in the middle of the request, whatever else it carries: nothing of that
    /// is taken.
    Break,
    /// Takes the request and closes the connection in the middle of the answer.
    Cut,
    Slow,
}

/// How a gRPC call fails.
pub struct Ending {
    pub code: u8,
    pub message: String,
    /// The seconds of a `RetryInfo`.
    pub wait: Option<u8>,
    /// Whether headers come first; if not, the answer is the status alone.
    pub in_trailers: bool,
}

impl Ending {
    /// What a failing call says: at the end of an answer, or instead of one.
    fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("grpc-status", u16::from(self.code).into());
        headers.insert("grpc-message", self.message.parse().unwrap());
        if let Some(seconds) = self.wait {
            // google.rpc.Status { code, details: [Any { type_url, value: RetryInfo { retry_delay } }] }
            let mut details = vec![0x08, self.code, 0x1a, 0x30, 0x0a, 0x28];
            details.extend_from_slice(b"type.googleapis.com/google.rpc.RetryInfo");
            details.extend_from_slice(&[0x12, 0x04, 0x0a, 0x02, 0x08, seconds]);
            let details = STANDARD_NO_PAD.encode(details);
            headers.insert("grpc-status-details-bin", details.parse().unwrap());
        }
        headers
    }

    fn answer(&self) -> Answer {
        if self.in_trailers {
            return call(&[], self.headers());
        }
        let mut answer = Response::new(whole(b""));
        *answer.headers_mut() = self.headers();
        answer.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
        answer
    }
}

/// How an endpoint answers request number `n`, from 0, of so many bytes.
pub type Script = fn(usize, usize) -> Act;

#[derive(Default)]
pub struct Got {
    requests: usize,
    /// Requests that were not simply accepted.
    pub faults: usize,
    pub numbers: Vec<u8>,
    pub refused: u64,
    /// Items of the requests whose answer was cut.
    pub cut: Vec<usize>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Got {
    /// From the first request, whatever came of it, to the last that was taken.
    pub fn took(&self) -> Duration {
        let times = self.first.zip(self.last);
        times.map_or(Duration::ZERO, |(first, last)| last.saturating_duration_since(first))
    }
}

type Answer = Response<BoxBody<Bytes, String>>;

fn whole(body: &'static [u8]) -> BoxBody<Bytes, String> {
    Full::new(Bytes::from_static(body)).map_err(|never| match never {}).boxed()
}

/// The answer to a gRPC call: its body, and what follows.
fn call(body: &[u8], trailers: HeaderMap) -> Answer {
    let frames = [Ok(Frame::data(Bytes::copy_from_slice(body))), Ok(Frame::trailers(trailers))];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let response = Response::builder().header("content-type", "application/grpc");
    response.body(BodyExt::boxed(body)).unwrap()
}

/// The answer to a request that was accepted; `message` is an `ExportTraceServiceResponse`.
fn accepted(message: &'static [u8], grpc: bool) -> Answer {
    if !grpc {
        return Response::new(whole(message));
    }
    let mut body = vec![0, 0, 0, 0, message.len() as u8];
    body.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", 0.into());
    call(&body, trailers)
}

/// An answer whose start is on its way before it breaks.
fn cut(grpc: bool) -> Answer {
    let start = Frame::data(Bytes::from_static(b"\x0a\x08"));
    let frames = futures_util::stream::iter([Ok(start), Err("cut".to_owned())]);
    let frames = frames.then(|frame| async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        frame
    });
    let body = BodyExt::boxed(StreamBody::new(frames));
    let response = Response::builder();
    let response = match grpc {
        true => response.header("content-type", "application/grpc"),
        false => response.header("content-length", 10),
    };
    response.body(body).unwrap()
}

/// One connection.
#[derive(Default)]
struct Line {
    broken: AtomicBool,
    end: Notify,
}

/// An endpoint with a script; it also answers as a token service.
#[derive(Clone)]
pub struct Faulty {
    script: Script,
    tokens: bool,
    pub got: Arc<Mutex<Got>>,
}

impl Faulty {
    pub async fn start(port: u16, script: Script, tokens: bool) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let this = Self { script, tokens, got: Arc::default() };
        let faulty = this.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let faulty = faulty.clone();
                let line = Arc::new(Line::default());
                tokio::spawn(async move {
                    let of_service = Arc::clone(&line);
                    let service = hyper::service::service_fn(move |request| {
                        let (faulty, line) = (faulty.clone(), Arc::clone(&of_service));
                        async move { faulty.answer(request, &line).await }
                    });
                    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                    tokio::select! {
                        _ = server.serve_connection(TokioIo::new(stream), service) => {}
                        () = line.end.notified() => {}
                    }
                });
            }
        });
        this
    }

    /// What is to be done with a request; nothing on a connection that breaks.
    fn act(&self, size: usize, line: &Line) -> Option<Act> {
        let mut got = self.got.lock().unwrap();
        if line.broken.load(Ordering::Relaxed) {
            return None;
        }
        got.requests += 1;
        got.first.get_or_insert_with(Instant::now);
        let act = (self.script)(got.requests - 1, size);
        got.faults += usize::from(!matches!(act, Act::Accept));
        line.broken.store(matches!(act, Act::Break), Ordering::Relaxed);
        Some(act)
    }

    /// Takes a request as the script says. An error closes the connection, or over HTTP/2 the stream.
    async fn answer(&self, request: Request<Incoming>, line: &Line) -> Result<Answer, String> {
        let is_token = self.tokens && request.uri().path() == "/token";
        let is_scripted = !self.tokens || is_token;
        let kind = request.headers().get("content-type");
        let grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
        let size = request.headers().get("content-length");
        let size: usize = size.and_then(|size| size.to_str().ok()?.parse().ok()).unwrap_or(0);
        let size = size.saturating_sub(if grpc { PREFIX } else { 0 });
        let act = match is_scripted {
            true => self.act(size, line).ok_or("broken")?,
            false => Act::Accept,
        };
        let mut body = request.into_body();
        if matches!(act, Act::Reset | Act::Break) {
            let _some = body.frame().await;
            if matches!(act, Act::Break) {
                line.end.notify_one();
            }
            return Err("reset".to_owned());
        }
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        let body = messages(&body, grpc, false).pop().unwrap_or_default();
        match &act {
            Act::Hang => {
                tokio::time::sleep(Duration::from_secs(60)).await;
                return Err("hung".to_owned());
            }
            Act::Status(status, after) => {
                self.refuse(&body);
                let mut response = Response::builder().status(*status);
                if !after.is_empty() {
                    response = response.header("retry-after", *after);
                }
                return Ok(response.body(whole(b"scripted")).unwrap());
            }
            Act::Page => {
                self.refuse(&body);
                let page = whole(b"<!DOCTYPE html><html><body>Welcome</body></html>");
                let response = Response::builder().header("content-type", "text/html");
                return Ok(response.body(page).unwrap());
            }
            Act::Redirect(status, location) => {
                self.refuse(&body);
                let response = Response::builder().status(*status).header("location", *location);
                return Ok(response.body(whole(b"moved")).unwrap());
            }
            Act::End(ending) => {
                self.refuse(&body);
                return Ok(ending.answer());
            }
            Act::Slow => tokio::time::sleep(Duration::from_millis(300)).await,
            _ => {}
        }
        if is_token {
            return Ok(Response::new(whole(br#"{"access_token":"t","expires_in":3600}"#)));
        }
        if !self.count(&body, matches!(act, Act::Cut), line) {
            return Err("broken".to_owned());
        }
        Ok(match act {
            // ExportTraceServiceResponse { partial_success { rejected_spans: 3, error_message } }
            Act::Partial => accepted(b"\x0a\x08\x08\x03\x12\x04odd!", grpc),
            Act::Cut => cut(grpc),
            _ => accepted(b"", grpc),
        })
    }

    fn refuse(&self, body: &[u8]) {
        let mut items = 0;
        wire::items(body, |_| items += 1);
        self.got.lock().unwrap().refused += items;
    }

    /// Takes what is in a request, unless its connection breaks.
    fn count(&self, body: &[u8], cut: bool, line: &Line) -> bool {
        let mut got = self.got.lock().unwrap();
        if line.broken.load(Ordering::Relaxed) {
            return false;
        }
        got.last = Some(Instant::now());
        wire::items(body, |item| {
            wire::fields(item, |field, bytes| {
                let id = <[u8; 8]>::try_from(bytes).ok().filter(|_| field == 2);
                if let Some(number) = id.and_then(number_of) {
                    let at = number as usize;
                    if got.numbers.len() <= at {
                        got.numbers.resize(at + 1, 0);
                    }
                    got.numbers[at] += 1;
                    if cut {
                        got.cut.push(at);
                    }
                }
            });
        });
        true
    }

    pub fn distinct(&self) -> u64 {
        self.got.lock().unwrap().numbers.iter().filter(|count| **count > 0).count() as u64
    }
}

/// Ends the handshake of each connection with a certificate that nobody trusts.
pub fn untrusted() -> u16 {
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
