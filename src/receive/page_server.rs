//! Page server: a port of its own for pages, with the listener and the connections of the receiver.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::connection::LAST_ANSWERS;
use super::connections::OpenConnections;
use super::limits::ClientLimits;
use super::listen_addresses::ListenAddresses;
use super::listen_port::ListenPort;
use super::listener::{self, Listener, STOP_ACCEPTING};
use super::page::{Page, ServedPage};
use super::receiver_state::{Answering, ReceiverState};
use crate::plugin::OpenError;
use crate::runtime::{Runtime, Tasks};
use crate::stats::{Counters, Log};

/// Where pages are served.
#[derive(Debug, Clone)]
pub struct PageAddress {
    /// Address or name to listen on.
    pub listen: String,
    /// Port; 0 lets the system choose.
    pub port: u16,
}

impl PageAddress {
    fn port(&self) -> ListenPort {
        ListenPort {
            name: "the status page",
            listen_option: "status_listen",
            option: "status_port",
            number: self.port,
        }
    }

    /// Finds what [`PageServer::open`] would refuse, and listens on nothing.
    ///
    /// # Errors
    /// The address is not there, or another input of the same configuration has it.
    pub fn check(&self, taken: &mut ListenAddresses) -> Result<(), OpenError> {
        let held = taken.hold_port(&self.listen, self.port);
        held.map_err(|error| OpenError::one(self.port().refusal(&self.listen, &error)))
    }
}

/// What browsers and probes may cost: few connections, and of the requests their heads alone.
fn limits() -> ClientLimits {
    ClientLimits {
        http2: false,
        max_connections: Some(16),
        max_concurrent_streams: 1,
        max_header_size: 16 * 1024,
        header_timeout: Duration::from_secs(10),
        read_timeout: Duration::from_secs(10),
        idle_timeout: Some(Duration::from_secs(60)),
        keepalive_time: None,
        keepalive_timeout: Duration::from_secs(20),
        max_connection_age: None,
        max_connection_age_grace: Duration::from_secs(1),
        queue_timeout: Duration::from_secs(1),
    }
}

/// A running server.
#[derive(Debug)]
pub struct PageServer {
    accepting: Tasks,
    connections: Tasks,
    stop: watch::Sender<bool>,
    address: SocketAddr,
    /// Last, so that everything above is over before the runtime may stop.
    _runtime: Runtime,
}

impl PageServer {
    /// Starts to serve a page.
    ///
    /// # Errors
    /// The address cannot be listened on, and what to change.
    pub fn open(
        address: &PageAddress,
        page: Arc<dyn Page>,
        log: &Arc<Log>,
    ) -> Result<Self, OpenError> {
        let runtime = Runtime::acquire()
            .map_err(|error| OpenError::one(format!("cannot start threads: {error}")))?;
        let context = runtime.handle().enter();
        let refused = |error| OpenError::one(address.port().refusal(&address.listen, &error));
        let listener = listener::bind(&address.listen, address.port).map_err(refused)?;
        let local = listener.local_addr().map_err(refused)?;
        drop(context);
        let (accepting, connections) = (runtime.tasks(), runtime.tasks());
        let stop = watch::Sender::new(false);
        let limits = Arc::new(limits());
        let state = ReceiverState {
            answering: Answering::Page(ServedPage { page, log: Arc::clone(log) }),
            // They are in no metric: the page is not a part of the pipeline.
            connections: OpenConnections::new(&limits, &Counters::default()),
            limits,
            tasks: connections.clone(),
            stop: stop.subscribe(),
        };
        accepting.spawn(listener::accept(Listener::Tcp(listener), state));
        Ok(Self { accepting, connections, stop, address: local, _runtime: runtime })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for PageServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        let _closed = self.accepting.wait(STOP_ACCEPTING);
        if !self.connections.wait(LAST_ANSWERS) {
            self.connections.cancel();
            let _ended = self.connections.wait(LAST_ANSWERS);
        }
    }
}
