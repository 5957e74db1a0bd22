//! An endpoint that answers as a script says.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::shapes::number_of;
use crate::wire;

/// What an endpoint does with a request.
pub enum Act {
    Accept,
    /// A status with a header and a body; what it says is not taken.
    Status(u16, &'static str),
    /// Takes the request and rejects three of its items.
    Partial,
    /// Says nothing.
    Hang,
    /// Closes the connection in the middle of the request.
    Reset,
    /// Takes the request and closes the connection in the middle of the answer.
    Cut,
    Slow,
}

/// How an endpoint answers request number `n`, from 0, of so many bytes.
pub type Script = fn(usize, usize) -> Act;

#[derive(Default)]
pub struct Got {
    requests: usize,
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
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, String> {
        let is_token = self.tokens && request.uri().path() == "/token";
        let is_scripted = !self.tokens || is_token;
        let size = request.headers().get("content-length");
        let size = size.and_then(|size| size.to_str().ok()?.parse().ok()).unwrap_or(0);
        let act = if is_scripted {
            let n = {
                let mut got = self.got.lock().unwrap();
                got.requests += 1;
                got.first.get_or_insert_with(Instant::now);
                got.requests - 1
            };
            (self.script)(n, size)
        } else {
            Act::Accept
        };
        let mut body = request.into_body();
        if matches!(act, Act::Reset) {
            let _some = body.frame().await;
            return Err("reset".to_owned());
        }
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
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
                return Ok(response.body(whole(b"scripted")).unwrap());
            }
            Act::Slow => tokio::time::sleep(Duration::from_millis(300)).await,
            _ => {}
        }
        if is_token {
            return Ok(Response::new(whole(br#"{"access_token":"t","expires_in":3600}"#)));
        }
        self.count(&body, matches!(act, Act::Cut));
        Ok(match act {
            // ExportTraceServiceResponse { partial_success { rejected_spans: 3, error_message } }
            Act::Partial => Response::new(whole(b"\x0a\x08\x08\x03\x12\x04odd!")),
            Act::Cut => {
                let start = Frame::data(Bytes::from_static(b"\x0a\x08"));
                let frames = futures_util::stream::iter([Ok(start), Err("cut".to_owned())]);
                // The start is on its way before the connection breaks.
                let frames = frames.then(|frame| async {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    frame
                });
                let body = BodyExt::boxed(StreamBody::new(frames));
                Response::builder().header("content-length", 10).body(body).unwrap()
            }
            _ => Response::new(whole(b"")),
        })
    }

    fn count(&self, body: &[u8], cut: bool) {
        let mut got = self.got.lock().unwrap();
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
