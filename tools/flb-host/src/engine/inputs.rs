//! Inputs: their collectors, and when they are paused.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::flush::stack_size;
use super::prepare::PreparedInput;
use crate::builtin::BuiltinInput;
use crate::coroutine;
use crate::event_loop::LoopEvent;
use crate::instance::Instance;
use crate::memory::Addr;
use crate::plugin_calls;
use crate::report;

/// What makes a collector run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CollectorTrigger {
    /// Time.
    Every(Duration),
    /// A descriptor that can be read.
    Readable(i32),
}

struct Collector {
    trigger: CollectorTrigger,
    callback: Addr,
    /// The timer or the watch, while it runs.
    running: Option<u64>,
}

/// Events of one tag and type that wait for their outputs.
#[derive(Debug)]
pub(super) struct OpenChunk {
    pub(super) kind: i32,
    pub(super) tag: Vec<u8>,
    pub(super) bytes: Vec<u8>,
    pub(super) records: usize,
}

/// An input and what it has brought in.
pub(crate) struct Input {
    pub(crate) instance: Arc<Instance>,
    pub(super) source: Option<RefCell<BuiltinInput>>,
    pub(super) processors: Vec<Arc<Instance>>,
    collectors: RefCell<Vec<Collector>>,
    pub(super) chunks: RefCell<Vec<OpenChunk>>,
    pub(super) held: Cell<usize>,
    pub(super) appends: Cell<usize>,
    forced: Cell<bool>,
}

impl Input {
    pub(super) fn new(prepared: PreparedInput) -> Self {
        let PreparedInput { instance, source, processors } = prepared;
        Self {
            instance,
            source: source.map(RefCell::new),
            processors,
            collectors: RefCell::default(),
            chunks: RefCell::default(),
            held: Cell::new(0),
            appends: Cell::new(0),
            forced: Cell::new(false),
        }
    }

    /// Says how many bytes its chunks hold.
    pub(super) fn hold(&self, bytes: usize) {
        self.held.set(bytes);
        self.instance.set_chunk_bytes(bytes);
    }
}

const FORCED_PAUSE: Duration = Duration::from_millis(300);

impl Engine {
    fn input_at(&self, address: Addr) -> Option<(usize, &Input)> {
        let found =
            self.inputs.iter().enumerate().find(|(_, input)| input.instance.addr() == address);
        if found.is_none() {
            report::problem("a function of inputs was called with what is no input of this run");
        }
        found
    }

    /// The place of an input.
    pub(crate) fn index_of(&self, address: Addr) -> Option<usize> {
        self.input_at(address).map(|(index, _)| index)
    }

    /// Adds a collector and returns its number.
    pub(crate) fn add_collector(
        &self,
        input: Addr,
        callback: Addr,
        trigger: CollectorTrigger,
    ) -> i32 {
        let Some((_, input)) = self.input_at(input) else { return -1 };
        let mut collectors = input.collectors.borrow_mut();
        collectors.push(Collector { trigger, callback, running: None });
        i32::try_from(collectors.len() - 1).unwrap_or(-1)
    }

    /// Starts or resumes a collector; -1 if it runs already.
    pub(crate) fn start_collector(&self, input: Addr, number: i32) -> i32 {
        let Some((address, input)) = self.input_at(input) else { return -1 };
        let mut collectors = input.collectors.borrow_mut();
        let collector = usize::try_from(number).ok().and_then(|index| collectors.get_mut(index));
        let Some(collector) = collector else { return -1 };
        if collector.running.is_some() {
            return -1;
        }
        let event = LoopEvent::Collector(address, number);
        collector.running = Some(match collector.trigger {
            CollectorTrigger::Every(period) => self.events.after(period, Some(period), event),
            CollectorTrigger::Readable(descriptor) => self.events.watch(descriptor, event),
        });
        0
    }

    /// Pauses a collector.
    pub(crate) fn pause_collector(&self, input: Addr, number: i32) -> i32 {
        let Some((_, input)) = self.input_at(input) else { return -1 };
        let mut collectors = input.collectors.borrow_mut();
        let collector = usize::try_from(number).ok().and_then(|index| collectors.get_mut(index));
        let Some(collector) = collector else { return -1 };
        if let Some(id) = collector.running.take() {
            match collector.trigger {
                CollectorTrigger::Every(_) => self.events.cancel(id),
                CollectorTrigger::Readable(descriptor) => self.events.unwatch(descriptor, id),
            }
        }
        0
    }

    /// Whether a collector runs.
    pub(crate) fn collector_runs(&self, input: Addr, number: i32) -> bool {
        let Some((_, input)) = self.input_at(input) else { return false };
        let collectors = input.collectors.borrow();
        let collector = usize::try_from(number).ok().and_then(|index| collectors.get(index));
        collector.is_some_and(|collector| collector.running.is_some())
    }

    /// Starts every collector of every input.
    pub(super) fn start_collectors(&self) {
        for (index, input) in self.inputs.iter().enumerate() {
            let count = i32::try_from(input.collectors.borrow().len()).unwrap_or(0);
            for number in 0..count {
                self.start_collector(input.instance.addr(), number);
            }
            if let Some(source) = &input.source {
                let period = source.borrow().period();
                self.events.after(Duration::ZERO, Some(period), LoopEvent::Builtin(index));
            }
        }
    }

    /// Calls a collector that is due.
    pub(super) fn collect(&self, address: usize, number: i32) {
        let Some(input) = self.inputs.get(address) else { return };
        let instance = &input.instance;
        if !self.collector_runs(instance.addr(), number) {
            return;
        }
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        let callback =
            input.collectors.borrow().get(index).map_or(Addr::NULL, |known| known.callback);
        let arguments = [instance.addr(), self.config.addr(), instance.context()];
        let what = format!("a collector of {}", instance.name);
        self.guarded(self.faults.coro_collectors, &what, || {
            plugin_calls::with_three(callback, arguments);
        });
    }

    /// Lets a built-in input bring something in.
    pub(super) fn tick_builtin(&self, index: usize) {
        let Some(input) = self.inputs.get(index) else { return };
        let Some(source) = &input.source else { return };
        if self.phase.get() != super::Phase::Running {
            return;
        }
        let Some(batch) = source.borrow().next() else { return };
        if self.append(index, batch.kind, None, batch.records, &batch.bytes) == 0 {
            source.borrow_mut().taken();
        }
    }

    /// Runs a callback, on a small stack if asked to.
    pub(super) fn guarded(&self, small: bool, what: &str, work: impl FnOnce()) {
        if small {
            coroutine::on_small_stack(stack_size(self.row), what, work);
        } else {
            work();
        }
    }

    /// Calls an input's pause callback, unless its full memory has paused it already.
    pub(super) fn call_pause(&self, input: &Input) {
        let instance = &input.instance;
        if instance.is_paused() || instance.context().is_null() {
            return;
        }
        report::line(report::INFO, &format!("[input] pausing {}", instance.name));
        let what = format!("the pause of {}", instance.name);
        self.guarded(self.faults.coro_pauses, &what, || {
            instance.call(self.row.input_plugin.cb_pause, self.config.addr());
        });
    }

    /// Pauses an input that holds too much.
    pub(super) fn protect(&self, index: usize) {
        let Some(input) = self.inputs.get(index) else { return };
        let limit = input.instance.core.mem_buf_limit;
        let over = limit > 0 && input.held.get() > limit;
        let each = self.faults.pause_at;
        let forced = crate::faults::hits(input.appends.get(), each) && !input.instance.is_paused();
        if forced {
            input.forced.set(true);
            self.events.after(FORCED_PAUSE, None, LoopEvent::Unpause(index));
        }
        if (over || forced) && !input.instance.is_paused() {
            self.call_pause(input);
            input.instance.set_paused(true);
        }
    }

    /// Ends a pause that was forced.
    pub(super) fn resume(&self, index: usize) {
        let Some(input) = self.inputs.get(index) else { return };
        input.forced.set(false);
        self.relax(index);
    }

    /// Resumes an input that holds little enough again, unless the run is stopping.
    pub(super) fn relax(&self, index: usize) {
        let Some(input) = self.inputs.get(index) else { return };
        let instance = &input.instance;
        let limit = instance.core.mem_buf_limit;
        let below = limit == 0 || input.held.get() <= limit;
        let running = self.phase.get() == super::Phase::Running;
        if !instance.is_paused() || !below || !running || input.forced.get() {
            return;
        }
        instance.set_paused(false);
        report::line(report::INFO, &format!("[input] resume {}", instance.name));
        if !instance.context().is_null() {
            let what = format!("the resume of {}", instance.name);
            self.guarded(self.faults.coro_pauses, &what, || {
                instance.call(self.row.input_plugin.cb_resume, self.config.addr());
            });
        }
    }

    /// A plugin pauses its own input.
    pub(crate) fn pause_at(&self, input: Addr) -> i32 {
        let Some((_, input)) = self.input_at(input) else { return -1 };
        if input.instance.is_paused() {
            return -1;
        }
        self.call_pause(input);
        0
    }

    /// A plugin resumes its own input.
    pub(crate) fn resume_at(&self, input: Addr) -> i32 {
        let Some((_, input)) = self.input_at(input) else { return -1 };
        input.instance.call(self.row.input_plugin.cb_resume, self.config.addr());
        0
    }
}
