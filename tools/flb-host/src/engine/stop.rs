//! The stop, in the order of Fluent Bit's engine.

use fluent_bit_ai::clock;

use super::start::STOP_TICK;
use super::worker;
use super::{Engine, Phase, flush};
use crate::event_loop::LoopEvent;
use crate::instance::Instance;
use crate::report;
use crate::timers;

impl Engine {
    /// Sends what is there, then asks the inputs to pause, then waits.
    pub(super) fn begin_stop(&self) {
        if self.phase.get() != Phase::Running {
            return;
        }
        report::line(report::INFO, "[engine] the pipeline is stopping");
        self.dispatch();
        self.try_all_again();
        self.config.set_stopping();
        self.phase.set(Phase::Stopping { since: clock::now() });
        self.pause_all();
        self.events.after(STOP_TICK, Some(STOP_TICK), LoopEvent::StopTick);
    }

    fn pause_all(&self) {
        for input in &self.inputs {
            self.call_pause(input);
        }
    }

    fn held_chunks(&self) -> usize {
        self.inputs.iter().map(|input| input.chunks.borrow().len()).sum()
    }

    /// Looks whether all is delivered, or the grace is over.
    pub(super) fn stop_tick(&self) {
        let Phase::Stopping { since } = self.phase.get() else { return };
        let tasks = self.tasks.borrow().len();
        let chunks = if self.stop_waits_for_chunks() { self.held_chunks() } else { 0 };
        let over = clock::now().since(since) >= self.grace;
        if tasks + chunks > 0 && !over {
            self.events.make_due(|event| matches!(event, LoopEvent::Retry(..)));
            self.dispatch();
            return;
        }
        self.config.set_stopped();
        self.pause_all();
        self.exit_all();
        self.phase.set(Phase::Stopped);
    }

    /// Ends every instance and says what was not delivered.
    pub(super) fn exit_all(&self) {
        let row = self.row;
        let config = self.config.addr();
        let exit_with_context = |instance: &Instance, offset: usize| {
            if !instance.context().is_null() {
                instance.call(offset, config);
            }
        };
        for filter in &self.filters {
            exit_with_context(filter, row.filter_plugin.cb_exit);
        }
        for output in &self.outputs {
            let instance = &output.instance;
            let mut workers = output.workers.take();
            if workers.is_empty() && instance.plugin.is_some() {
                worker::call_exit(instance, row.output_plugin.workers, config);
            }
            for worker in &mut workers {
                worker.stop();
            }
            instance.call(row.output_plugin.cb_exit, config);
        }
        for input in self.inputs.iter().rev() {
            for processor in &input.processors {
                exit_with_context(processor, row.filter_plugin.cb_exit);
            }
            exit_with_context(&input.instance, row.input_plugin.cb_exit);
        }
        self.report_leftovers();
        timers::give_up();
    }

    fn report_leftovers(&self) {
        let flushes = flush::give_up();
        let tasks = self.tasks.borrow().undelivered();
        let mut chunks = 0;
        let mut records = 0;
        for input in &self.inputs {
            for chunk in input.chunks.take() {
                chunks += 1;
                records += chunk.records;
            }
        }
        if flushes + tasks.0 + chunks > 0 {
            report::problem(&format!(
                "undelivered at the end: {} tasks with {} records, {chunks} chunks with {records} \
                 records, {flushes} flushes that had not ended",
                tasks.0, tasks.1
            ));
        }
        self.tasks.borrow_mut().clear();
    }
}
