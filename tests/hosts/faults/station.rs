//! Switchable server: an endpoint that a test takes away and brings back.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::shapes::number_of;
use crate::sink::{SinkAnswer, grpc_ok, messages, plain};
use crate::wire;

/// What a station does with a request.
#[derive(Clone, Copy, PartialEq)]
enum Gate {
    Open,
    /// Requests that are there are answered; the next one breaks its connection.
    Closing,
    /// Takes the request and says nothing.
    Mute,
}

struct State {
    gate: Gate,
    /// Requests that are not answered yet.
    busy: usize,
    /// When each numbered item came.
    arrivals: Vec<Vec<Instant>>,
}

/// A receiver of spans over OTLP/HTTP and OTLP/gRPC that can go away and come back.
pub struct Station {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    accepting: Option<JoinHandle<()>>,
}

impl Station {
    /// A station that listens; port 0 is any.
    pub async fn start(ip: Ipv4Addr, port: u16) -> Self {
        let state = State { gate: Gate::Open, busy: 0, arrivals: Vec::new() };
        let mut station = Self {
            address: SocketAddr::from((ip, port)),
            state: Arc::new(Mutex::new(state)),
            accepting: None,
        };
        station.up().await;
        station
    }

    /// Listens again, on the same address.
    pub async fn up(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the station's own address");
        self.address = listener.local_addr().unwrap();
        self.state.lock().unwrap().gate = Gate::Open;
        let state = Arc::clone(&self.state);
        self.accepting = Some(tokio::spawn(async move {
            // When this task ends, so do all connections.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&state)));
            }
        }));
    }

    /// Breaks all connections and listens no more. What was taken was answered, so that nobody has
    /// a reason to send it again.
    pub async fn down(&mut self) {
        self.state.lock().unwrap().gate = Gate::Closing;
        while self.state.lock().unwrap().busy > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            let _ended = accepting.await;
        }
    }

    /// Keeps its connections, takes new ones, and answers no request any more.
    pub fn fall_silent(&self) {
        self.state.lock().unwrap().gate = Gate::Mute;
    }

    /// Answers again, what comes from now on.
    pub fn speak(&self) {
        self.state.lock().unwrap().gate = Gate::Open;
    }

    /// When each of the first `items` came, one time for each time it came.
    pub fn arrivals(&self, items: u64) -> Vec<Vec<Instant>> {
        let mut arrivals = self.state.lock().unwrap().arrivals.clone();
        arrivals.resize(items as usize, Vec::new());
        arrivals
    }

    /// How many of the first `items` came at least once.
    pub fn distinct(&self, items: u64) -> u64 {
        self.arrivals(items).iter().filter(|times| !times.is_empty()).count() as u64
    }
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let _ = stream.set_nodelay(true);
    let service = hyper::service::service_fn(move |request| answer(request, Arc::clone(&state)));
    let server = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
    let _ = server.serve_connection(TokioIo::new(stream), service).await;
}

/// An error breaks the connection.
async fn answer(
    request: Request<Incoming>,
    state: Arc<Mutex<State>>,
) -> Result<SinkAnswer, String> {
    let kind = request.headers().get("content-type");
    let grpc = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let body = request.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    let gate = {
        let mut state = state.lock().unwrap();
        state.busy += usize::from(state.gate == Gate::Open);
        state.gate
    };
    match gate {
        Gate::Open => {}
        Gate::Closing => return Err("gone".to_owned()),
        Gate::Mute => return std::future::pending().await,
    }
    let mut state = state.lock().unwrap();
    for message in messages(&body, grpc, false) {
        wire::items(&message, |item| {
            wire::fields(item, |field, bytes| {
                let id = <[u8; 8]>::try_from(bytes).ok().filter(|_| field == 2);
                if let Some(number) = id.and_then(number_of) {
                    let at = number as usize;
                    if state.arrivals.len() <= at {
                        state.arrivals.resize(at + 1, Vec::new());
                    }
                    state.arrivals[at].push(Instant::now());
                }
            });
        });
    }
    state.busy -= 1;
    Ok(if grpc { grpc_ok() } else { plain(StatusCode::OK) })
}
