//! Plugin interface: what a plugin is, in plain Rust.
//!
//! This is the contract between the wiring in `plugins/` and the host layer in `host/`: the host
//! layer calls these traits on the host's threads, and knows nothing of telemetry; the plugins
//! implement them, and know nothing of C. Method names start with `on_` when the host calls us.

mod completion;
mod options;

use std::sync::Arc;
use std::time::Duration;

pub use completion::{Completion, CompletionWaiter, Gate};
pub use options::{GivenOptions, OptionKind, OptionSpec, Options, joined, put};

use crate::hub::{FilterRole, Hub, StartedFilter};
use crate::stats::{Counters, Log};

/// What the host shows of a plugin: its name, one line of help, and its options.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// The name used in configurations, for example `ai_otlp`.
    pub name: &'static str,
    /// One line for the host's `-h`.
    pub about: &'static str,
    /// Every option; the host refuses any other.
    pub options: &'static [OptionSpec],
}

/// What an instance gets from the host at its start, beside its options.
#[derive(Clone)]
pub struct Environment {
    /// The instance's own name, for example `ai_sampling.0`, or its alias.
    pub instance: String,
    /// State shared by all our instances of one run of the host's engine.
    pub hub: Arc<Hub>,
    /// Position of this instance in the order in which our instances started, from 1.
    pub position: u32,
    /// The host's release as it names itself, for example `4.2.8`.
    pub host_release: String,
    /// Whether the host's readers know log group markers, and leave them out of what they take for
    /// records (Fluent Bit 3.2.9 and later).
    pub log_groups: bool,
    /// Whether the host takes chunks of its own contexts: see [`Sink::append_native`].
    pub native_chunks: bool,
    /// Counters that the host layer publishes in the host's own metrics.
    pub counters: Arc<Counters>,
    /// Log lines that the host layer hands to the host's logger.
    pub log: Arc<Log>,
}

impl Environment {
    /// Says in the log if a filter that does this stands where that means something else than users
    /// expect. `tags` is the host's `match`.
    pub fn order_filter(&self, role: FilterRole, tags: Option<String>) {
        let filter = StartedFilter { instance: self.instance.clone(), tags, role };
        self.hub.order_filter(filter).into_iter().for_each(|warning| self.log.warn(warning));
    }
}

/// Why an instance refuses to start: every problem found, each one line that says which option,
/// which value, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct OpenError(pub Vec<String>);

impl OpenError {
    /// An error with a single problem.
    pub fn one(problem: impl Into<String>) -> Self {
        Self(vec![problem.into()])
    }
}

/// Bytes that the host lends for the length of one callback.
#[derive(Debug, Clone, Copy)]
pub struct Chunk<'cb> {
    /// The tag of the chunk.
    pub tag: &'cb [u8],
    /// A stream of msgpack log events.
    pub bytes: &'cb [u8],
}

/// What a filter does with a chunk.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The chunk goes on as it is.
    Pass,
    /// These bytes go on in its place; empty bytes drop the chunk.
    Replace(Vec<u8>),
}

/// A filter plugin.
pub trait Filter: Sized + Send + 'static {
    /// What the host shows of it.
    const SPEC: Spec;

    /// Starts an instance.
    ///
    /// # Errors
    /// Every problem of its configuration at once.
    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError>;

    /// Called on the host's thread with each chunk that matches.
    fn on_chunk(&mut self, chunk: Chunk<'_>) -> Verdict;

    /// What is done with chunks once the filter is gone, after a panic. Without it they go on as they
    /// are.
    fn fallback(&self) -> Option<Box<dyn Fallback>> {
        None
    }
}

/// What takes the place of a filter that is gone.
pub trait Fallback: Send {
    /// Called on the host's thread with each chunk that matches. A panic in it drops the chunk.
    fn on_chunk(&self, chunk: Chunk<'_>) -> Verdict;

    /// What becomes of chunks, for the line in the log that tells of the panic.
    fn consequence(&self) -> &'static str;
}

/// Why an input is asked to stop taking data in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// The host's buffers are full; a resume follows.
    Pressure,
    /// The host is stopping or reloading; what is held must leave now.
    Shutdown,
}

/// Why an input does not start where the user asks the host for a thread of its own.
pub const NOT_THREADED: &str =
    "option 'threaded': 'on' is not allowed; the plugin has threads of its own";

/// An input plugin.
pub trait Input: Sized + Send + 'static {
    /// What the host shows of it.
    const SPEC: Spec;

    /// Whether users may give the host's keys `tls` and `tls.*`; the host refuses `tls` otherwise.
    const TLS: bool = false;

    /// How often [`Input::on_tick`] is called.
    const TICK: Duration;

    /// Starts an instance. `waker` makes the host call [`Input::on_wake`] soon, from any thread.
    ///
    /// # Errors
    /// Every problem of its configuration at once.
    fn open(
        options: &dyn Options,
        environment: Environment,
        waker: Waker,
    ) -> Result<Self, OpenError>;

    /// Called on the host's thread after the waker was used.
    fn on_wake(&mut self, sink: &mut dyn Sink);

    /// Called on the host's thread every [`Input::TICK`].
    fn on_tick(&mut self, sink: &mut dyn Sink);

    /// Called on the host's thread when the input has to stop taking data in. What is appended
    /// here still reaches the outputs.
    fn on_pause(&mut self, why: Pause, sink: &mut dyn Sink);

    /// Called on the host's thread when the input may take data in again.
    fn on_resume(&mut self);
}

/// The way from an input into the host's pipeline; usable only on the host's thread.
pub trait Sink {
    /// Appends `records` log events under a tag. An empty tag means the input's own.
    ///
    /// # Errors
    /// The host did not take the events; nothing of them was stored.
    fn append(&mut self, tag: &[u8], records: usize, events: &[u8]) -> Result<(), AppendRefused>;

    /// Appends contexts of the host's own, as one chunk or a part of one, under a tag. An empty tag
    /// means the input's own. The host's processors see them if the instance has any; its filters
    /// never do.
    ///
    /// # Errors
    /// The host did not take them, and nothing of them was stored.
    fn append_native(
        &mut self,
        _tag: &[u8],
        _kind: NativeKind,
        _contexts: &[u8],
    ) -> Result<(), NotAppended> {
        Err(NotAppended::Unsupported("this sink takes log events only"))
    }

    /// Says whether what is appended next is the rest of something that is stored in part. A host
    /// that was filled by the part, and pauses the input for it, takes the rest as it would have
    /// taken all of it in one piece.
    fn rest_follows(&mut self, _rest: bool) {}

    /// What the host holds of what was appended.
    fn chunks(&self) -> Chunks {
        Chunks::default()
    }

    /// Asks the host to send what is buffered to the outputs now.
    fn flush_now(&mut self);
}

/// The chunks that the host holds for an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chunks {
    /// Bytes of chunks in memory.
    pub bytes: usize,
    /// Whether the user has the host bound them: by `mem_buf_limit`, or by another `storage.type`
    /// than memory.
    pub bounded: bool,
}

/// The host did not take appended events: it is paused, or out of storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the host refused the events")]
pub struct AppendRefused;

/// What contexts of the host's own hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NativeKind {
    /// `CMetrics` contexts.
    Metrics,
    /// `CTraces` contexts.
    Traces,
}

/// Why contexts were not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAppended {
    /// The host is paused, or out of storage: the same contexts may be taken later.
    #[error("the host refused the contexts")]
    Refused,
    /// The host will never take them.
    #[error("the host cannot take the contexts: {0}")]
    Unsupported(&'static str),
    /// The host's own processors of the input failed on them, and would again.
    #[error("{0}")]
    Processors(&'static str),
}

/// Makes the host call an input back on its own thread. Cheap, and safe from any thread.
#[derive(Clone)]
pub struct Waker(Arc<dyn Fn() + Send + Sync>);

impl Waker {
    /// A waker that runs `wake`.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(wake))
    }

    /// Asks for a call of [`Input::on_wake`].
    pub fn wake(&self) {
        (self.0)();
    }
}

impl std::fmt::Debug for Waker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Waker")
    }
}

/// What is in a chunk that an output gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A stream of msgpack log events, telemetry records among them.
    Logs,
    /// A concatenation of `CMetrics` contexts.
    Metrics,
    /// A concatenation of `CTraces` contexts.
    Traces,
    /// Something else, with the host's number for it.
    Other(i32),
}

/// A chunk that an output is asked to deliver, lent by the host for the length of the call.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'cb> {
    /// What the bytes are.
    pub event_type: EventType,
    /// The tag of the chunk.
    pub tag: &'cb [u8],
    /// The content of the chunk.
    pub bytes: &'cb [u8],
    /// Whether the calling thread is a worker of this output, which may be kept for work. If not
    /// it is the engine's own: what takes long must be done elsewhere, on a copy.
    pub on_worker: bool,
    /// Identifies the host's task: equal for every retry of one chunk, and for no other chunk that
    /// is alive at the same time.
    pub task: u64,
    /// Whether the flush may be kept open until another attempt: see [`Completion::hold`]. Not so
    /// while the host stops.
    pub may_be_held: bool,
}

/// What becomes of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Delivered, or dropped on purpose and counted.
    Done,
    /// The host is to try again later.
    Retry,
    /// The host is to drop the chunk and count an error.
    Failed,
}

/// An output plugin.
pub trait Output: Sized + Send + Sync + 'static {
    /// What the host shows of it.
    const SPEC: Spec;

    /// Whether users may give the host's key `tls`; the host refuses it otherwise.
    const TLS: bool = false;

    /// Starts an instance.
    ///
    /// # Errors
    /// Every problem of its configuration at once.
    fn open(options: &dyn Options, environment: Environment) -> Result<Self, OpenError>;

    /// Called on a host thread with a chunk to deliver. Returns without waiting for anyone; the
    /// outcome is reported through `completion`, from any thread. A completion that is dropped
    /// unused counts as [`Fate::Retry`]. A chunk that is held comes again, by another call.
    fn on_flush(&self, delivery: Delivery<'_>, completion: Completion);

    /// Called once when the instance stops: finishes what is in flight within `budget`.
    fn close(self, budget: Duration);
}
