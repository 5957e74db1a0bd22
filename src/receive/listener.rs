//! Sockets and connections.

use std::convert::Infallible;
use std::net::{SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::security::Peer;
use super::service::Service;
use crate::clock::{self, Tick};
use crate::runtime::Tasks;
use crate::stats::Level;

/// Connections that the system may hold for us.
const BACKLOG: u32 = 1024;
/// Open connections at most; more wait in the system's queue.
pub(super) const MAX_CONNECTIONS: usize = 1024;
/// Calls at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// How long a new connection may take to its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(30);
/// How long a connection may stay without a request.
const IDLE: Duration = Duration::from_secs(300);
/// How long an HTTP/1 connection may take to the end of its next headers.
const HEADERS: Duration = Duration::from_secs(120);
/// How often HTTP/2 connections are asked for a sign of life, and how long that may take.
const PING: Duration = Duration::from_secs(30);
const PING_LIMIT: Duration = Duration::from_secs(20);
/// How long to wait after the system refused a connection, for example without free descriptors.
const AFTER_ERROR: Duration = Duration::from_millis(100);
const MAX_HEADER_BYTES: u32 = 16 * 1024;
const STREAM_WINDOW: u32 = 512 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
const FRAME_SIZE: u32 = 64 * 1024;

/// Opens a socket that listens. Must be called in the runtime's context.
pub(super) fn bind(host: &str, port: u16) -> std::io::Result<TcpListener> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut failure = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A restart must not wait for the connections of the run before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// What every connection gets.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) service: Arc<Service>,
    pub(super) connections: Tasks,
    pub(super) slots: Arc<Semaphore>,
    pub(super) stop: watch::Receiver<bool>,
}

/// Accepts connections until told to stop.
pub(super) async fn accept(listener: TcpListener, mut shared: Shared) {
    let mut stop = shared.stop.clone();
    loop {
        let next = async {
            let slot = Arc::clone(&shared.slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            next = next => next,
        };
        let Ok(slot) = slot else { return };
        match accepted {
            Ok((stream, _peer)) => {
                shared.connections.spawn(connection(stream, shared.clone(), slot));
            }
            Err(error) => {
                shared.service.log.often(Level::Warn, "accept", || {
                    format!("cannot accept a connection: {error}")
                });
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
        shared.stop = stop.clone();
    }
}

/// When a connection was last used.
#[derive(Debug)]
struct Activity {
    requests: AtomicUsize,
    served: AtomicBool,
    last: AtomicU64,
}

/// One request under way.
struct Busy(Arc<Activity>);

impl Activity {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            requests: AtomicUsize::new(0),
            served: AtomicBool::new(false),
            last: AtomicU64::new(clock::now().0),
        })
    }

    fn begin(self: &Arc<Self>) -> Busy {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.served.store(true, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// How much longer the connection may stay without a request.
    fn patience(&self, now: Tick) -> Duration {
        let limit = if self.served.load(Ordering::Relaxed) { IDLE } else { FIRST_REQUEST };
        if self.requests.load(Ordering::Relaxed) > 0 {
            return limit;
        }
        limit.saturating_sub(now.since(Tick(self.last.load(Ordering::Relaxed))))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.last.store(clock::now().0, Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves one connection to its end, to the stop of the receiver, or until it is idle too long.
async fn connection(stream: TcpStream, shared: Shared, slot: OwnedSemaphorePermit) {
    let _slot = slot;
    // Answers are small and somebody waits for them.
    drop(stream.set_nodelay(true));
    let Some(tls) = &shared.service.security.tls else {
        return serve(stream, None, &shared).await;
    };
    let mut stop = shared.stop.clone();
    let accepted = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return,
        accepted = tls.accept(stream) => accepted,
    };
    if let Some((stream, peer)) = accepted {
        Box::pin(serve(stream, peer, &shared)).await;
    }
}

/// Serves requests on a connection of a client that may have shown who it is.
async fn serve<S>(stream: S, peer: Option<Arc<Peer>>, shared: &Shared)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new();
    let service = service_fn(|mut request: Request<Incoming>| {
        if let Some(peer) = &peer {
            request.extensions_mut().insert(Arc::clone(peer));
        }
        let busy = activity.begin();
        let service = Arc::clone(&shared.service);
        async move {
            let response = service.answer(request).await;
            drop(busy);
            Ok::<_, Infallible>(response)
        }
    });
    let builder = builder(shared.connections.clone());
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stop = shared.stop.clone();
    let mut ending = false;
    loop {
        let patience = activity.patience(clock::now());
        tokio::select! {
            // An error here is the client's business: it left, or it does not speak HTTP.
            _ended = connection.as_mut() => return,
            _ = stop.wait_for(|stop| *stop), if !ending => {
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(patience.max(Duration::from_millis(10))) => {
                if !activity.patience(clock::now()).is_zero() {
                    continue;
                }
                if ending {
                    return;
                }
                ending = true;
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

/// HTTP/1.1 and HTTP/2 without TLS, whichever the client starts with.
fn builder(connections: Tasks) -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(connections);
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING_LIMIT)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME_SIZE);
    builder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_runs_out_only_without_requests() {
        let activity = Activity::new();
        let start = Tick(activity.last.load(Ordering::Relaxed));
        assert_eq!(activity.patience(start.after(Duration::from_secs(10))).as_secs(), 20);
        assert!(activity.patience(start.after(FIRST_REQUEST)).is_zero());
        let busy = activity.begin();
        assert_eq!(activity.patience(start.after(IDLE * 2)), IDLE);
        drop(busy);
        let last = Tick(activity.last.load(Ordering::Relaxed));
        assert_eq!(activity.patience(last), IDLE);
        assert!(activity.patience(last.after(IDLE)).is_zero());
    }
}
