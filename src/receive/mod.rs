//! Receiver: OTLP/gRPC and OTLP/HTTP listeners, and the hand-over to the host.
//!
//! A request is read, decompressed and transcoded to log events on the runtime's threads, waits in
//! a queue for the host's thread, and is answered when the host has it in storage. When the host
//! takes nothing in, senders are asked to send again; nothing is stored without their knowing.

mod backpressure;
mod body;
mod chunks;
mod connection;
mod connections;
mod counters;
mod decompress;
mod encoding;
mod format;
mod grpc;
mod handoff;
mod http;
mod limits;
mod listen_addresses;
mod listen_port;
mod listener;
mod media_type;
mod memory;
mod memory_budget;
mod page;
mod page_server;
mod receiver_state;
mod refusal;
mod response_body;
mod responses;
mod security;
mod service;
mod tenancy;
mod transcode;
mod unix;

#[cfg(test)]
pub(crate) mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::watch;

pub use security::{JwtSettings, KeySource, Secret, SecuritySettings, ServerTlsSettings};

use crate::plugin::{OpenError, Sink, Waker};
use crate::runtime::{Runtime, Tasks};
use crate::stats::{Counters, Log};
use backpressure::Backpressure;
pub use chunks::{CHUNK_BYTES, warn_if_bounded};
use connection::LAST_ANSWERS;
use connections::OpenConnections;
use counters::ReceiveCounters;
use handoff::Handoff;
use listen_port::ListenPort;
use listener::{Listener, STOP_ACCEPTING};
use memory::WaitingMemory;
use memory_budget::MemoryBudget;
use receiver_state::{Answering, ReceiverState};
use security::Security;
use service::Service;
use tenancy::Tenancy;
pub use tenancy::{MAX_TENANT_LENGTH, TagFrom, TagSettings, TenancySettings, TenantRate, is_tag};
pub use transcode::NativeSettings;
use transcode::Transcoder;

pub use limits::ClientLimits;
pub use listen_addresses::ListenAddresses;
pub use page::Page;
pub use page_server::{PageAddress, PageServer};
pub use unix::UnixSocket;

/// What a receiver needs to know.
#[derive(Debug, Clone)]
pub struct ReceiverSettings {
    /// Address or name to listen on.
    pub(crate) listen: String,
    /// Port for OTLP/gRPC, if there is to be one; 0 lets the system choose. Both ports, which may
    /// be the same, take both protocols.
    pub(crate) grpc_port: Option<u16>,
    /// Port for OTLP/HTTP, if there is to be one; 0 lets the system choose.
    pub(crate) http_port: Option<u16>,
    /// A socket in the file system that takes both protocols.
    pub(crate) unix_socket: Option<UnixSocket>,
    /// What clients may cost.
    pub(crate) limits: ClientLimits,
    /// Largest request in bytes, before and after decompression.
    pub(crate) max_request_size: usize,
    /// Bytes of requests that may be read or wait for the host at a time.
    pub(crate) max_queue_size: usize,
    /// Bytes of requests and of the host's chunks that may wait in memory for the outputs, if there
    /// is a limit.
    pub(crate) max_memory: Option<usize>,
    /// Whether logs get group markers.
    pub(crate) log_groups: bool,
    /// The key under which the bodies of all logs stand, maps too; without one, a map is the record's
    /// body, and what is none stands under `log`.
    pub(crate) logs_body_key: Option<String>,
    /// The host's own forms to write instead of records.
    pub(crate) native: Option<NativeSettings>,
    /// Whether profiles are taken in.
    pub(crate) profiles: bool,
    /// Tags and tenants.
    pub(crate) tenancy: TenancySettings,
    /// Who may send.
    pub(crate) security: SecuritySettings,
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
        settings: &ReceiverSettings,
        waker: Waker,
        counters: &Counters,
        log: Arc<Log>,
    ) -> Result<Self, OpenError> {
        let runtime = Runtime::acquire()
            .map_err(|error| OpenError::one(format!("cannot start threads: {error}")))?;
        let security = Security::open(&settings.security, counters, Arc::clone(&log))?;
        let listeners = bind_all(settings, &runtime)?;
        let addresses = announce(&listeners, settings, &log)?;
        let limits = Arc::new(settings.limits.clone());
        let meters = ReceiveCounters::new(counters);
        let memory = Arc::new(WaitingMemory::new(settings.max_memory, &meters, Arc::clone(&log)));
        let queue_bytes = meters.queue_bytes.clone();
        let service = Arc::new(Service {
            security,
            handoff: Handoff::new(waker.clone(), Arc::clone(&memory)),
            pressure: Backpressure::default(),
            budget: MemoryBudget::new(settings.max_queue_size, queue_bytes, Arc::clone(&memory)),
            memory: Arc::clone(&memory),
            meters,
            log,
            max_request_size: settings.max_request_size,
            profiles: settings.profiles,
            tenancy: Tenancy::new(&settings.tenancy, counters),
            limits: Arc::clone(&limits),
            transcoder: Transcoder::new(settings.log_groups, settings.max_request_size)
                .body_key(settings.logs_body_key.as_deref())
                .native(settings.native, counters),
        });
        let (accepting, connections) = (runtime.tasks(), runtime.tasks());
        let stop = watch::Sender::new(false);
        let shared = ReceiverState {
            answering: Answering::Otlp(Arc::clone(&service)),
            connections: OpenConnections::new(&limits, counters),
            limits,
            tasks: connections.clone(),
            stop: stop.subscribe(),
        };
        let (watched, stopped) = (Arc::clone(&service), stop.subscribe());
        accepting.spawn(async move { watched.security.watch(stopped).await });
        let stopped = stop.subscribe();
        accepting.spawn(async move { memory.watch(waker, stopped).await });
        for (_, listener) in listeners {
            accepting.spawn(listener::accept(listener, shared.clone()));
        }
        Ok(Self { service, accepting, connections, stop, addresses, _runtime: runtime })
    }

    /// Finds what [`Receiver::open`] would refuse, and listens on nothing: files are read, and of
    /// addresses it is known which ones receivers of the same configuration have.
    ///
    /// # Errors
    /// Every problem, as [`Receiver::open`] says it.
    pub fn check(
        settings: &ReceiverSettings,
        counters: &Counters,
        log: &Arc<Log>,
        taken: &mut ListenAddresses,
    ) -> Result<(), OpenError> {
        Security::open(&settings.security, counters, Arc::clone(log))?;
        let mut problems = Vec::new();
        for port in ports(settings) {
            let held = taken.hold_port(&settings.listen, port.number);
            problems.extend(held.err().map(|error| port.refusal(&settings.listen, &error)));
        }
        if let Some(socket) = &settings.unix_socket {
            let held = taken.hold_path(&socket.path);
            problems.extend(held.err().map(|error| socket_refusal(socket, &error)));
        }
        problems.extend(nothing_to_listen_on(settings));
        if problems.is_empty() { Ok(()) } else { Err(OpenError(problems)) }
    }

    /// The protocols and the addresses they are expected on; a Unix socket has none.
    #[must_use]
    pub fn addresses(&self) -> &[(&'static str, SocketAddr)] {
        &self.addresses
    }

    /// Appends what waits to the host and answers its senders, for as long as the host's thread
    /// can be spared; asks for another wake if something is left.
    pub fn append(&self, sink: &mut dyn Sink) {
        self.service.handoff.append(sink, &self.service.meters);
    }

    /// Whether so much waits in memory that not even what our own filters made may be appended.
    #[must_use]
    pub fn is_overfull(&self) -> bool {
        self.service.memory.is_overfull()
    }

    /// Says that [`ReceiverSettings::max_memory`] does not hold, if the host bounds its chunks.
    pub fn warn_if_bounded(&self, sink: &dyn Sink) {
        self.service.memory.warn_if_bounded(sink);
    }

    /// Takes nothing in until [`Receiver::resume`]: senders are asked to send again.
    pub fn pause(&self) {
        self.service.handoff.pause(&self.service.meters);
    }

    /// Takes data in again.
    pub fn resume(&self) {
        self.service.handoff.resume();
        self.service.pressure.end();
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

/// Says where the receiver listens, and gives back the addresses.
fn announce(
    listeners: &[(&'static str, Listener)],
    settings: &ReceiverSettings,
    log: &Log,
) -> Result<Vec<(&'static str, SocketAddr)>, OpenError> {
    let mut addresses = Vec::new();
    for (name, listener) in listeners {
        match listener {
            Listener::Tcp(listener) => {
                let address = listener.local_addr().map_err(|error| {
                    OpenError::one(format!("cannot read the address of a listener: {error}"))
                })?;
                log.info(format!("listening for {name} on {address}"));
                addresses.push((*name, address));
            }
            Listener::Unix { .. } => {
                let path = settings.unix_socket.as_ref().map(|socket| socket.path.display());
                if let Some(path) = path {
                    log.info(format!("listening for {name} on {path}"));
                }
            }
        }
    }
    Ok(addresses)
}

/// What is listened for where one listener takes both protocols.
const BOTH: &str = "OTLP/gRPC and OTLP/HTTP";

/// The ports to listen on; one for both protocols if they are equal.
fn ports(settings: &ReceiverSettings) -> Vec<ListenPort> {
    let ReceiverSettings { grpc_port, http_port, .. } = *settings;
    if let Some(number) = grpc_port.filter(|port| *port != 0 && http_port == Some(*port)) {
        return vec![ListenPort {
            name: BOTH,
            listen_option: "listen",
            option: "grpc_port",
            number,
        }];
    }
    let each =
        [("OTLP/gRPC", "grpc_port", grpc_port), ("OTLP/HTTP", "http_port", http_port)].into_iter();
    each.filter_map(|(name, option, number)| {
        Some(ListenPort { name, listen_option: "listen", option, number: number? })
    })
    .collect()
}

fn socket_refusal(socket: &UnixSocket, error: &std::io::Error) -> String {
    let path = socket.path.display();
    format!("cannot listen on {path}: {error}; change the option 'unix_socket'")
}

fn nothing_to_listen_on(settings: &ReceiverSettings) -> Option<String> {
    (ports(settings).is_empty() && settings.unix_socket.is_none()).then(|| {
        "there is nothing to listen on: set one of the options 'grpc_port', 'http_port' and \
         'unix_socket'"
            .to_owned()
    })
}

/// All listeners.
fn bind_all(
    settings: &ReceiverSettings,
    runtime: &Runtime,
) -> Result<Vec<(&'static str, Listener)>, OpenError> {
    let _context = runtime.handle().enter();
    let mut listeners = Vec::new();
    let mut problems = Vec::new();
    for port in ports(settings) {
        match listener::bind(&settings.listen, port.number) {
            Ok(listener) => listeners.push((port.name, Listener::Tcp(listener))),
            Err(error) => problems.push(port.refusal(&settings.listen, &error)),
        }
    }
    if let Some(socket) = &settings.unix_socket {
        match unix::bind(socket, runtime) {
            Ok((listener, _file)) => listeners.push((BOTH, Listener::Unix { listener, _file })),
            Err(error) => problems.push(socket_refusal(socket, &error)),
        }
    }
    problems.extend(nothing_to_listen_on(settings));
    if problems.is_empty() { Ok(listeners) } else { Err(OpenError(problems)) }
}
