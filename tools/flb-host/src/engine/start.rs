//! The start, in the order of Fluent Bit's engine.

use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::worker::{self, Worker};
use super::{Channel, Engine, Output, PreparedRun, current};
use crate::event_loop::LoopEvent;
use crate::instance::Instance;
use crate::memory::Addr;
use crate::plugin_calls;
use crate::report;

impl Engine {
    /// Starts a run on this thread and stays until it has stopped.
    ///
    /// # Errors
    /// One line that says which instance refused to start; what had started is stopped.
    pub(crate) fn live(
        prepared: PreparedRun,
        channel: Arc<Channel>,
        started: impl FnOnce(),
    ) -> Result<(), String> {
        let engine = Self::new(prepared, channel).map_err(|error| error.to_string())?;
        current::become_engine(&engine);
        let outcome = engine.start();
        match &outcome {
            Ok(()) => {
                started();
                engine.run();
            }
            Err(_) => engine.exit_all(),
        }
        current::leave();
        if Rc::strong_count(&engine) > 1 {
            report::problem("the engine is still in use after its end");
        }
        outcome
    }

    fn start(&self) -> Result<(), String> {
        self.config.set_running();
        let row = self.row;
        for input in &self.inputs {
            self.init(&input.instance, row.input_plugin.cb_init)?;
            for processor in &input.processors {
                self.init(processor, row.filter_plugin.cb_init)?;
            }
        }
        for filter in &self.filters {
            self.init(filter, row.filter_plugin.cb_init)?;
        }
        for input in &self.inputs {
            self.pre_run(&input.instance, row.input_plugin.cb_pre_run)?;
        }
        for (index, output) in self.outputs.iter().enumerate() {
            self.init(&output.instance, row.output_plugin.cb_init)?;
            if let Some((reader, _)) = output.instance.channel() {
                self.events.watch(reader, LoopEvent::FlushesEnded(index));
            }
            self.start_workers(output)?;
        }
        for output in &self.outputs {
            self.pre_run(&output.instance, row.output_plugin.cb_pre_run)?;
        }
        self.events.watch(self.channel.wake.as_raw_fd(), LoopEvent::Command);
        self.events.after(self.flush, Some(self.flush), LoopEvent::Flush);
        self.start_collectors();
        Ok(())
    }

    fn init(&self, instance: &Instance, offset: usize) -> Result<(), String> {
        let Some(function) = instance.callback(offset) else { return Ok(()) };
        let rc =
            plugin_calls::with_three(function, [instance.addr(), self.config.addr(), Addr::NULL]);
        if rc < 0 {
            return Err(format!("failed to initialize {} {}", instance.kind.name(), instance.name));
        }
        Ok(())
    }

    fn pre_run(&self, instance: &Instance, offset: usize) -> Result<(), String> {
        let Some(function) = instance.callback(offset) else { return Ok(()) };
        let arguments = [instance.addr(), self.config.addr(), instance.context()];
        if plugin_calls::with_three(function, arguments) < 0 {
            return Err(format!("the pre-run of {} failed", instance.name));
        }
        Ok(())
    }

    fn start_workers(&self, output: &Output) -> Result<(), String> {
        let instance = &output.instance;
        if instance.plugin.is_none() {
            return Ok(());
        }
        let count = instance.workers();
        for number in 0..count {
            let worker = Worker::start(instance, self.row, self.config.addr(), number)
                .map_err(|error| format!("{}: no worker: {error}", instance.name))?;
            output.workers.borrow_mut().push(worker);
        }
        instance.set_threaded(count > 0);
        if count == 0 {
            worker::call_init(instance, self.row.output_plugin.workers, self.config.addr());
        }
        Ok(())
    }
}

/// How often a stop looks whether it is complete.
pub(super) const STOP_TICK: Duration = Duration::from_millis(100);
