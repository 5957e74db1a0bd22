//! OTLP/gRPC and OTLP/HTTP listeners, and the hand-over to the host.
//!
//! A request is read, decompressed and transcoded to log events on the runtime's threads, waits in
//! a queue for the host's thread, and is answered when the host has it in storage. When the host
//! takes nothing in, senders are told to send again; nothing is stored without their knowing.

mod body;
mod budget;
mod format;
mod grpc;
mod handoff;
mod http;
mod listener;
mod meters;
mod refusal;
mod reply;
mod service;
mod transcode;
mod wire;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use crate::plugin::{OpenError, Sink, Waker};
use crate::runtime::{Runtime, Tasks};
use crate::stats::{Counters, Log};
use budget::Budget;
use handoff::Handoff;
use meters::Meters;
use service::Service;
use transcode::Transcoder;

/// How long the close of the listening sockets may take.
const STOP_ACCEPTING: Duration = Duration::from_secs(1);
/// How long the last answers may take on their way.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// What a receiver needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Address or name to listen on.
    pub listen: String,
    /// Port for OTLP/gRPC; 0 lets the system choose. Both ports take both protocols.
    pub grpc_port: u16,
    /// Port for OTLP/HTTP; 0 lets the system choose.
    pub http_port: u16,
    /// Largest request in bytes, before and after decompression.
    pub max_request_size: usize,
    /// Bytes of requests that may be read or wait for the host at a time.
    pub max_queue_size: usize,
    /// Whether logs get group markers.
    pub log_groups: bool,
}

/// Listeners that take OTLP in. The owner calls it on the host's thread.
#[derive(Debug)]
pub struct Receiver {
    service: Arc<Service>,
    accepting: Tasks,
    connections: Tasks,
    stop: watch::Sender<bool>,
    addresses: Vec<(&'static str, SocketAddr)>,
    /// Last, so that everything above is over before the runtime may stop.
    _runtime: Runtime,
}

impl Receiver {
    /// Starts to listen. `waker` must bring about a call of [`Receiver::append`].
    ///
    /// # Errors
    /// The addresses that cannot be listened on, and what to change.
    pub fn open(
        settings: &Settings,
        waker: Waker,
        counters: &Counters,
        log: Arc<Log>,
    ) -> Result<Self, OpenError> {
        let runtime = Runtime::acquire()
            .map_err(|error| OpenError::one(format!("cannot start threads: {error}")))?;
        let listeners = bind_all(settings, &runtime)?;
        let mut addresses = Vec::new();
        for (name, listener) in &listeners {
            let address = listener.local_addr().map_err(|error| {
                OpenError::one(format!("cannot read the address of a listener: {error}"))
            })?;
            log.info(format!("listening for {name} on {address}"));
            addresses.push((*name, address));
        }
        let meters = Meters::new(counters);
        let service = Arc::new(Service {
            handoff: Handoff::new(waker),
            budget: Budget::new(settings.max_queue_size, meters.queue_bytes.clone()),
            meters,
            log,
            max_request_size: settings.max_request_size,
            transcoder: Transcoder::new(settings.log_groups, settings.max_request_size),
        });
        let (accepting, connections) = (runtime.tasks(), runtime.tasks());
        let stop = watch::Sender::new(false);
        let shared = listener::Shared {
            service: Arc::clone(&service),
            connections: connections.clone(),
            slots: Arc::new(Semaphore::new(listener::MAX_CONNECTIONS)),
            stop: stop.subscribe(),
        };
        for (_, listener) in listeners {
            accepting.spawn(listener::accept(listener, shared.clone()));
        }
        Ok(Self { service, accepting, connections, stop, addresses, _runtime: runtime })
    }

    /// The protocols and the addresses they are expected on.
    #[must_use]
    pub fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.addresses
    }

    /// Appends what waits to the host and answers its senders, for as long as the host's thread
    /// can be spared; asks for another wake if something is left.
    pub fn append(&self, sink: &mut dyn Sink) {
        self.service.handoff.append(sink, &self.service.meters);
    }

    /// Takes nothing in until [`Receiver::resume`]: senders are told to send again.
    pub fn pause(&self) {
        self.service.handoff.pause(&self.service.meters);
    }

    /// Takes data in again.
    pub fn resume(&self) {
        self.service.handoff.resume();
    }

    /// Closes the listening sockets, appends what waits, and takes nothing in any more.
    pub fn close(&self, sink: &mut dyn Sink) {
        self.stop_listening();
        self.service.handoff.close(sink, &self.service.meters);
    }

    fn stop_listening(&self) {
        self.stop.send_replace(true);
        if !self.accepting.wait(STOP_ACCEPTING) {
            self.service.log.warn("the listening sockets did not close in time");
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.service.handoff.abandon(&self.service.meters);
        self.stop_listening();
        if !self.connections.wait(LAST_ANSWERS) {
            self.connections.cancel();
            if !self.connections.wait(LAST_ANSWERS) {
                self.service.log.warn("some connections did not close in time");
            }
        }
    }
}

/// Both listeners, or the one if the ports are equal.
fn bind_all(
    settings: &Settings,
    runtime: &Runtime,
) -> Result<Vec<(&'static str, TcpListener)>, OpenError> {
    let _context = runtime.handle().enter();
    let both = [
        ("OTLP/gRPC", "grpc_port", settings.grpc_port),
        ("OTLP/HTTP", "http_port", settings.http_port),
    ];
    let one = settings.grpc_port == settings.http_port && settings.grpc_port != 0;
    let mut listeners = Vec::new();
    let mut problems = Vec::new();
    for (name, option, port) in both.into_iter().take(if one { 1 } else { 2 }) {
        let name = if one { "OTLP/gRPC and OTLP/HTTP" } else { name };
        match listener::bind(&settings.listen, port) {
            Ok(listener) => listeners.push((name, listener)),
            Err(error) => problems.push(format!(
                "cannot listen for {name} on {}:{port}: {error}; change the option 'listen' or \
                 '{option}', or stop what uses this address",
                settings.listen
            )),
        }
    }
    if problems.is_empty() { Ok(listeners) } else { Err(OpenError(problems)) }
}
