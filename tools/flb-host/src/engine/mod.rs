//! The pipeline: collectors bring data in, filters change it, tasks carry it to the outputs.
//!
//! One thread runs it all, as Fluent Bit's `flb-pipeline` does; outputs may have worker threads.
//! Callbacks of plugins call back into the engine, so nothing stays borrowed while one runs.

mod append;
pub(crate) mod current;
pub(crate) mod flush;
mod inputs;
mod prepare;
mod start;
mod stop;
pub(crate) mod tasks;
mod worker;

use std::cell::{Cell, RefCell};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fluent_bit_ai::clock::Tick;
use fluent_bit_ai::host::abi::row::HostAbi;
use fluent_bit_ai::sync::Mutex;

use crate::builtin::BuiltinOutput;
use crate::event_loop::{self, EventLoop, LoopEvent};
use crate::faults::Faults;
use crate::instance::Instance;
use crate::metrics;
use crate::report;
use crate::timers;
pub(crate) use inputs::CollectorTrigger;
use inputs::Input;
pub(crate) use prepare::{PreparedRun, RunConfig, RunContext};
use tasks::{FlushResult, Tasks};
use worker::Worker;

/// What the main thread asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EngineCommand {
    /// Stop, delivering what is there.
    Stop,
    /// Print the plugins' counters.
    PrintMetrics,
}

/// The way from the main thread to the engine's.
#[derive(Debug)]
pub(crate) struct Channel {
    commands: Mutex<Vec<EngineCommand>>,
    wake: OwnedFd,
}

impl Channel {
    /// An empty channel.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { commands: Mutex::default(), wake: event_loop::eventfd()? })
    }

    /// Asks for something.
    pub(crate) fn send(&self, command: EngineCommand) {
        self.commands.lock().push(command);
        event_loop::write_word(self.wake.as_raw_fd(), 1);
    }

    fn take(&self) -> Vec<EngineCommand> {
        event_loop::read_word(self.wake.as_raw_fd());
        std::mem::take(&mut self.commands.lock())
    }
}

/// An output and its threads.
pub(crate) struct Output {
    pub(crate) instance: Arc<Instance>,
    pub(crate) sink: Option<BuiltinOutput>,
    workers: RefCell<Vec<Worker>>,
    next_worker: Cell<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping { since: Tick },
    Stopped,
}

/// A run of the pipeline.
pub(crate) struct Engine {
    pub(crate) row: &'static HostAbi,
    pub(crate) config: RunConfig,
    pub(crate) events: Rc<EventLoop>,
    without_valgrind: bool,
    faults: Faults,
    flush: Duration,
    grace: Duration,
    retry_base: Duration,
    retry_cap: Duration,
    inputs: Vec<Input>,
    filters: Vec<Arc<Instance>>,
    outputs: Vec<Output>,
    tasks: RefCell<Tasks>,
    channel: Arc<Channel>,
    phase: Cell<Phase>,
    appends: Cell<usize>,
    successes: Cell<usize>,
}

impl Engine {
    fn new(prepared: PreparedRun, channel: Arc<Channel>) -> std::io::Result<Rc<Self>> {
        let outputs = prepared.outputs.into_iter().map(|(instance, sink)| Output {
            instance,
            sink,
            workers: RefCell::default(),
            next_worker: Cell::new(0),
        });
        Ok(Rc::new(Self {
            row: prepared.row,
            config: prepared.config,
            events: Rc::new(EventLoop::new()?),
            without_valgrind: prepared.without_valgrind,
            faults: prepared.faults,
            flush: prepared.flush,
            grace: prepared.grace,
            retry_base: prepared.retry_base,
            retry_cap: prepared.retry_cap,
            inputs: prepared.inputs.into_iter().map(Input::new).collect(),
            filters: prepared.filters,
            outputs: outputs.collect(),
            tasks: RefCell::default(),
            channel,
            phase: Cell::new(Phase::Running),
            appends: Cell::new(0),
            successes: Cell::new(0),
        }))
    }

    /// Runs until it has stopped.
    fn run(&self) {
        while self.phase.get() != Phase::Stopped {
            for event in self.events.wait() {
                // What came in with the event that ended the run finds no thread any more.
                if self.phase.get() != Phase::Stopped {
                    self.on(event);
                }
            }
        }
    }

    fn on(&self, event: LoopEvent) {
        match event {
            LoopEvent::Collector(input, number) => self.collect(input, number),
            LoopEvent::Builtin(input) => self.tick_builtin(input),
            LoopEvent::FlushesEnded(output) => self.read_outcomes(output),
            LoopEvent::Command => self.run_commands(),
            LoopEvent::Flush => self.dispatch_on_timer(),
            LoopEvent::Retry(task, output) => self.retry(task, output),
            LoopEvent::Timer(timer) => timers::fire(timer),
            LoopEvent::Unpause(input) => self.resume(input),
            LoopEvent::StopTick => self.stop_tick(),
            LoopEvent::Job | LoopEvent::WorkerFlushesEnded => {}
        }
    }

    fn run_commands(&self) {
        for command in self.channel.take() {
            match command {
                EngineCommand::Stop => self.begin_stop(),
                EngineCommand::PrintMetrics => eprint!("{}", metrics::text()),
            }
        }
    }

    fn dispatch_on_timer(&self) {
        if self.phase.get() == Phase::Running {
            self.dispatch();
        }
    }

    /// Whether chunks that no task carries hold a stop up; releases before 4.0 forget them.
    const fn stop_waits_for_chunks(&self) -> bool {
        self.row.first.major >= 4
    }

    /// Reads what an output tells.
    fn read_outcomes(&self, output: usize) {
        let Some(known) = self.outputs.get(output) else { return };
        let Some((reader, _)) = known.instance.channel() else { return };
        while let Some(word) = event_loop::read_word(reader) {
            let Some(ended) = flush::FlushOutcome::read(word) else {
                report::problem(&format!("{}: {word:#x} is no outcome", known.instance.name));
                continue;
            };
            if known.workers.borrow().is_empty() {
                flush::end(ended.task_id, ended.output_id);
            }
            match FlushResult::of(ended.outcome) {
                Some(outcome) => self.record_outcome(ended.task_id, output, outcome),
                None => report::problem(&format!(
                    "{}: {} is no outcome of a flush",
                    known.instance.name, ended.outcome
                )),
            }
        }
    }
}
