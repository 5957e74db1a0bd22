//! Accept loop: sockets, and what is accepted from them.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use super::connection::serve;
use super::connections::ConnectionSlot;
use super::receiver_state::ReceiverState;
use super::unix::SocketFile;
use crate::stats::LogLevel;

/// How long the close of the listening sockets may take.
pub(super) const STOP_ACCEPTING: Duration = Duration::from_secs(1);
/// Connections that the system may hold for us.
const BACKLOG: u32 = 1024;
/// How long to wait after the system refused a connection, for example without free descriptors.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Listener {
    /// On a port.
    Tcp(TcpListener),
    /// In the file system; the file goes with it.
    Unix { listener: UnixListener, _file: SocketFile },
}

/// What was accepted.
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Opens a port. Must be called in the runtime's context.
pub(super) fn bind(host: &str, port: u16) -> std::io::Result<TcpListener> {
    first_of(host, port, listen)
}

/// What `take` makes of the first address of a host that it takes, or why it takes none.
pub(super) fn first_of<T>(
    host: &str,
    port: u16,
    mut take: impl FnMut(SocketAddr) -> std::io::Result<T>,
) -> std::io::Result<T> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut failure = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        match take(address) {
            Ok(taken) => return Ok(taken),
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

impl Listener {
    async fn accept(&self) -> std::io::Result<Stream> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(stream, _)| Stream::Tcp(stream)),
            Self::Unix { listener, .. } => {
                listener.accept().await.map(|(stream, _)| Stream::Unix(stream))
            }
        }
    }
}

/// Accepts connections until it is stopped.
pub(super) async fn accept(listener: Listener, mut shared: ReceiverState) {
    let mut stop = shared.stop.clone();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(stream) => {
                // Without a slot it is closed right away: a sender that sees that tries again,
                // while one that waits in the system's queue would not know for how long.
                if let Some(slot) = shared.connections.admit() {
                    shared.tasks.spawn(connection(stream, shared.clone(), slot));
                }
            }
            Err(error) => {
                shared.answering.log().often(LogLevel::Warn, "accept", || {
                    format!("cannot accept a connection: {error}")
                });
                // Most likely there are no free descriptors, so an idle connection gives one.
                shared.connections.evict();
                tokio::time::sleep(AFTER_ERROR).await;
            }
        }
        shared.stop = stop.clone();
    }
}

async fn connection(stream: Stream, shared: ReceiverState, slot: ConnectionSlot) {
    match stream {
        Stream::Tcp(stream) => {
            // Answers are small and a client waits for them.
            drop(stream.set_nodelay(true));
            secured(stream, shared, slot).await;
        }
        Stream::Unix(stream) => serve(stream, None, shared, slot).await,
    }
}

/// Serves a connection after its handshake, if there is to be one. Only ports have TLS: who may
/// open a Unix socket is a matter of its file.
async fn secured(stream: TcpStream, shared: ReceiverState, slot: ConnectionSlot) {
    let Some(tls) = shared.answering.tls() else {
        return serve(stream, None, shared, slot).await;
    };
    let mut stop = shared.stop.clone();
    let accepted = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return,
        accepted = tls.accept(stream) => accepted,
    };
    if let Some((stream, peer)) = accepted {
        Box::pin(serve(stream, peer, shared, slot)).await;
    }
}
