//! Worker thread of an output, with a loop and coroutines of its own.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::flush::{self, FlushOutcome, Job};
use crate::event_loop::{self, EventLoop, LoopEvent};
use crate::instance::Instance;
use crate::memory::{Addr, Block};
use crate::plugin_calls;
use crate::report;
use crate::thread_state;
use crate::timers;
use fluent_bit_ai::sync::Mutex;

enum Message {
    Run(Box<Job>),
    Stop,
}

struct Inbox {
    messages: Mutex<VecDeque<Message>>,
    wake: OwnedFd,
}

impl Inbox {
    fn put(&self, message: Message) {
        self.messages.lock().push_back(message);
        event_loop::write_word(self.wake.as_raw_fd(), 1);
    }

    fn take(&self) -> VecDeque<Message> {
        event_loop::read_word(self.wake.as_raw_fd());
        std::mem::take(&mut self.messages.lock())
    }
}

/// A running worker.
pub(crate) struct Worker {
    inbox: Arc<Inbox>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a thread named as the host names it.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn start(
        instance: &Arc<Instance>,
        row: &'static fluent_bit_ai::host::abi::row::HostAbi,
        config: Addr,
        number: usize,
    ) -> std::io::Result<Self> {
        let inbox = Arc::new(Inbox { messages: Mutex::default(), wake: event_loop::eventfd()? });
        let theirs = Arc::clone(&inbox);
        let instance = Arc::clone(instance);
        let thread = std::thread::Builder::new()
            .name(format!("flb-out-{}-w{number}", instance.name))
            .spawn(move || {
                if let Err(error) = work(&theirs, &instance, row, config) {
                    report::problem(&format!("a worker of {} failed: {error}", instance.name));
                }
            })?;
        Ok(Self { inbox, thread: Some(thread) })
    }

    /// Gives it a flush.
    pub(crate) fn run(&self, job: Job) {
        self.inbox.put(Message::Run(Box::new(job)));
    }

    /// Lets its flushes end, and waits for its own end.
    pub(crate) fn stop(&mut self) {
        self.inbox.put(Message::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            report::problem("a worker has panicked");
        }
    }
}

/// Offsets of the callbacks that follow `workers` in every release.
const INIT_AFTER_WORKERS: usize = 8;
const EXIT_AFTER_WORKERS: usize = 16;

/// Calls the plugin's callback for a worker's start.
pub(crate) fn call_init(instance: &Instance, workers: usize, config: Addr) {
    if let Some(function) = instance.callback(workers + INIT_AFTER_WORKERS) {
        plugin_calls::with_two(function, instance.context(), config);
    }
}

/// Calls the plugin's callback for a worker's end.
pub(crate) fn call_exit(instance: &Instance, workers: usize, config: Addr) {
    if let Some(function) = instance.callback(workers + EXIT_AFTER_WORKERS) {
        plugin_calls::with_two(function, instance.context(), config);
    }
}

fn work(
    inbox: &Inbox,
    instance: &Instance,
    row: &'static fluent_bit_ai::host::abi::row::HostAbi,
    config: Addr,
) -> std::io::Result<()> {
    let events = Rc::new(EventLoop::new()?);
    let (reader, writer) = event_loop::pipe()?;
    let shown = Block::zeroed(row.out_thread.size);
    shown.put(row.out_thread.ch_thread_events, reader.as_raw_fd());
    shown.put(row.out_thread.ch_thread_events + 4, writer.as_raw_fd());
    thread_state::become_worker(&events, config, shown.addr());
    call_init(instance, row.output_plugin.workers, config);
    events.watch(inbox.wake.as_raw_fd(), LoopEvent::Job);
    events.watch(reader.as_raw_fd(), LoopEvent::WorkerFlushesEnded);
    let mut running = true;
    // A worker of the host ends when its last flush has.
    while running || flush::any() {
        for event in events.wait() {
            match event {
                LoopEvent::Job => running &= take_messages(inbox),
                LoopEvent::WorkerFlushesEnded => forward(reader.as_raw_fd(), instance),
                LoopEvent::Timer(timer) => timers::fire(timer),
                _ => {}
            }
        }
    }
    call_exit(instance, row.output_plugin.workers, config);
    let left = flush::give_up();
    if left > 0 {
        report::problem(&format!("{}: {left} flushes had not ended at the stop", instance.name));
    }
    timers::give_up();
    thread_state::leave();
    Ok(())
}

fn take_messages(inbox: &Inbox) -> bool {
    let mut running = true;
    for message in inbox.take() {
        match message {
            Message::Run(job) => flush::start(*job),
            Message::Stop => running = false,
        }
    }
    running
}

/// Ends the flushes that have told their outcome, and tells the engine.
fn forward(descriptor: i32, instance: &Instance) {
    while let Some(word) = event_loop::read_word(descriptor) {
        let Some(ended) = FlushOutcome::read(word) else {
            report::problem(&format!("{}: {word:#x} is no outcome", instance.name));
            continue;
        };
        flush::end(ended.task_id, ended.output_id);
        if let Some((_, writer)) = instance.channel() {
            event_loop::write_word(writer, word);
        }
    }
}
