//! Derived telemetry on its way into the pipeline, for the inputs that have a timer.

use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::hub::{Drain, Hub, drain};
use crate::plugin::{Pause, Sink};
use crate::stats::{Counter, CounterFamily, Counters};

/// How often what is due is looked for.
pub(super) const TICK: Duration = Duration::from_millis(250);

const EMITTED_RECORDS: CounterFamily = CounterFamily::counter(
    "emitted_records_total",
    "Records of derived telemetry that entered the pipeline here.",
    &[],
);
const REFUSED_RECORDS: CounterFamily = CounterFamily::counter(
    "emit_refused_records_total",
    "Records of derived telemetry that the host refused; they are offered again.",
    &[],
);

/// What the host lets the input do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    Paused,
    /// For good.
    Stopping,
}

/// Brings derived telemetry into the pipeline, on behalf of an input.
#[derive(Debug)]
pub(super) struct Emitter {
    hub: Arc<Hub>,
    mode: Mode,
    emitted: Counter,
    refused: Counter,
}

impl Emitter {
    /// An emitter known to the hub.
    pub(super) fn new(hub: Arc<Hub>, counters: &Counters) -> Self {
        hub.add_emitter();
        Self {
            hub,
            mode: Mode::Running,
            emitted: counters.counter(EMITTED_RECORDS, &[]),
            refused: counters.counter(REFUSED_RECORDS, &[]),
        }
    }

    /// Emits what is due. Between the begin of a stop and its end the host still ticks: what came
    /// about meanwhile leaves at once.
    pub(super) fn tick(&self, sink: &mut dyn Sink) {
        match self.mode {
            Mode::Running => {
                self.emit(Drain::Due, sink);
            }
            Mode::Paused => {}
            Mode::Stopping => self.emit_everything(sink),
        }
    }

    /// Stops emitting; at the end of the run after everything that is held.
    pub(super) fn pause(&mut self, why: Pause, sink: &mut dyn Sink) {
        match why {
            Pause::Pressure if self.mode == Mode::Running => self.mode = Mode::Paused,
            Pause::Pressure => {}
            Pause::Shutdown => {
                self.mode = Mode::Stopping;
                self.emit_everything(sink);
            }
        }
    }

    /// Emits again, unless the run is at its end.
    pub(super) fn resume(&mut self) {
        if self.mode == Mode::Paused {
            self.mode = Mode::Running;
        }
    }

    fn emit_everything(&self, sink: &mut dyn Sink) {
        if self.emit(Drain::Everything, sink) > 0 {
            sink.flush_now();
        }
    }

    fn emit(&self, what: Drain, sink: &mut dyn Sink) -> usize {
        let drained = drain(&self.hub, what, clock::now(), clock::unix_nanos(), |emission| {
            sink.append(&emission.tag, emission.records, &emission.events).is_ok()
        });
        self.emitted.add_items(drained.emitted);
        self.refused.add_items(drained.refused);
        drained.emitted
    }
}
