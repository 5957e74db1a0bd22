//! Test fixture: what a rule is tested on, a host with `ai_otlp` and `multi_otlp`, and a receiver
//! behind it.

use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;

use crate::answer::{Refusal, Response, Verdict, ensure, refusal, success};
use crate::call::{Call, Connection, Reply};
use crate::hosts::{Host, RunningHost, free_port};
use crate::requests::{Signal, request};
use crate::sink::{Keep, Sink};
use crate::stored::{Expected, Stored};
use crate::support::{Pipeline, linked, run, text};
use crate::table::Transport;

/// The largest request that the receiver takes, in bytes.
pub const LARGEST: usize = 1_000_000;

/// What the receiver behind the host is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    Up,
    Down,
}

pub struct Ground {
    pub http: u16,
    pub grpc: u16,
    pub runtime: Runtime,
    /// What must have arrived at the end, and for which rule.
    expected: Mutex<Vec<(String, Expected)>>,
    names: AtomicUsize,
    /// Connections that stay open as long as the host runs.
    pub held: Vec<TcpStream>,
    host: Host,
    backend: Backend,
    running: RunningHost,
    sink: Sink,
    plugins: tempfile::TempDir,
}

impl Ground {
    /// Starts a host; `options` are further options of the input.
    pub fn start(host: &Host, backend: Backend, options: &[&str]) -> Self {
        let runtime = Runtime::new().unwrap();
        let sink = runtime.block_on(Sink::start(0, Keep::Requests));
        let output = if backend == Backend::Up { sink.port } else { free_port() };
        let plugins = linked();
        let (http, grpc) = (free_port(), free_port());
        let mut pipeline = Pipeline::default()
            .otlp_in(http, grpc)
            .input_option(&format!("max_request_size: {LARGEST}"));
        for option in options {
            pipeline = pipeline.input_option(option);
        }
        let pipeline = pipeline.otlp_out(&[("one", output, "http/protobuf")]);
        let running = RunningHost::start(host, &pipeline.yaml(plugins.path()), http);
        Self {
            http,
            grpc,
            runtime,
            expected: Mutex::default(),
            names: AtomicUsize::new(0),
            held: Vec::new(),
            host: host.clone(),
            backend,
            running,
            sink,
            plugins,
        }
    }

    /// What the host says of the input's options.
    pub fn help(&self) -> String {
        let file = self.plugins.path().join("flb-in_ai_otlp.so");
        let file = file.to_string_lossy();
        text(&run(&self.host, &["-e", &file, "-i", "ai_otlp", "-h"]))
    }

    pub fn port(&self, transport: Transport) -> u16 {
        if transport == Transport::Grpc { self.grpc } else { self.http }
    }

    /// A name for an item that no other item has.
    pub fn name(&self) -> String {
        format!("item {}.", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// Connects as a transport does.
    pub fn connect(&self, transport: Transport) -> Result<Connection, String> {
        let http2 = transport == Transport::Grpc;
        self.runtime.block_on(Connection::open(self.port(transport), http2))
    }

    /// Sends on a connection of its own.
    pub fn send(&self, transport: Transport, call: &Call) -> Result<Reply, String> {
        self.send_on(&mut self.connect(transport)?, call)
    }

    pub fn send_on(&self, connection: &mut Connection, call: &Call) -> Result<Reply, String> {
        self.runtime.block_on(connection.send(call))
    }

    /// Sends a message to where the transport has the signal; the answer must be a success.
    pub fn taken(
        &self,
        signal: Signal,
        transport: Transport,
        message: &[u8],
    ) -> Result<Response, String> {
        let call = Call::new(transport, signal.path(transport), message);
        success(signal, transport, &self.send(transport, &call)?)
    }

    /// Sends a call; the answer must be a refusal.
    pub fn refused(&self, transport: Transport, call: &Call) -> Result<Refusal, String> {
        refusal(transport, &self.send(transport, call)?)
    }

    /// Sends a call that stands for one item of the signal; it must be taken whole.
    pub fn whole(&self, signal: Signal, transport: Transport, call: &Call) -> Verdict {
        let response = success(signal, transport, &self.send(transport, call)?)?;
        ensure!(response.partial_success.is_none(), "{:?}", response.partial_success);
        Ok(())
    }

    /// A request with one item that has a name of its own, and that name.
    pub fn one(&self, signal: Signal, transport: Transport) -> (Vec<u8>, String) {
        let name = self.name();
        (request(signal, transport, std::slice::from_ref(&name)), name)
    }

    /// Demands at the end that something arrived.
    pub fn expect(&self, rule: &str, transport: Transport, expected: Expected) {
        let rule = format!("{rule} over {}", transport.name());
        self.expected.lock().unwrap().push((rule, expected));
    }

    /// Stops the host and looks at what arrived; gives what is missing, by rule, and the log.
    pub fn finish(self) -> (Vec<(String, String)>, String) {
        let Self { runtime, expected, running, sink, backend, .. } = self;
        let expected = expected.into_inner().unwrap();
        if backend == Backend::Down {
            assert!(expected.is_empty(), "nothing arrives without a backend");
            // Its grace period would pass in vain.
            running.signal("KILL");
            return (Vec::new(), running.log_text());
        }
        let start = Instant::now();
        let missing = loop {
            let stored = Stored::of(&sink.received.lock().unwrap());
            let missing: Vec<(String, String)> = expected
                .iter()
                .filter_map(|(rule, expected)| Some((rule.clone(), stored.check(expected).err()?)))
                .collect();
            if missing.is_empty() || start.elapsed() > testkit::at_most(Duration::from_secs(8)) {
                break missing;
            }
            std::thread::sleep(Duration::from_millis(200));
        };
        let (code, mut log) = running.stop();
        // The host's threads must be gone before the receiver behind it goes.
        drop(runtime);
        if code != Some(0) {
            log.push_str(&format!("\nthe host ended with {code:?}\n"));
        }
        (missing, log)
    }
}
