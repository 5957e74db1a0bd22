//! Derived telemetry on its way into the pipeline, for the inputs that have a timer.

use std::sync::Arc;
use std::time::Duration;

use super::native_metrics;
use crate::clock;
use crate::codec::native::write::Forms;
use crate::hub::{Drain, Hub, drain};
use crate::plugin::{Environment, NotAppended, Pause, Sink};
use crate::stats::{Counter, CounterFamily, Level, Log};

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

const LOST_RECORDS: CounterFamily = CounterFamily::counter(
    "emit_lost_records_total",
    "Records of derived metrics that the host, or a processor of the input, will never take.",
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
    /// What the readers of the running release take.
    forms: Forms,
    emitted: Counter,
    refused: Counter,
    lost: Counter,
    log: Arc<Log>,
}

impl Emitter {
    /// An emitter known to the hub.
    pub(super) fn new(environment: &Environment) -> Self {
        let Environment { hub, counters, log, .. } = environment;
        hub.add_emitter();
        Self {
            hub: Arc::clone(hub),
            forms: Forms::of_release(&environment.host_release),
            mode: Mode::Running,
            emitted: counters.counter(EMITTED_RECORDS, &[]),
            refused: counters.counter(REFUSED_RECORDS, &[]),
            lost: counters.counter(LOST_RECORDS, &[]),
            log: Arc::clone(log),
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
        let mut lost = 0_usize;
        let drained = drain(&self.hub, what, clock::now(), clock::unix_nanos(), |emission| {
            let appended = if emission.native {
                native_metrics::append(emission, self.forms, sink)
            } else {
                sink.append(&emission.tag, emission.records, &emission.events)
                    .map_err(|_| NotAppended::Refused)
            };
            match appended {
                Ok(()) => true,
                Err(NotAppended::Refused) => false,
                Err(problem) => {
                    lost = lost.saturating_add(emission.records);
                    self.log.often(Level::Error, "emit", || {
                        format!("derived metrics are lost: {problem}")
                    });
                    true
                }
            }
        });
        let emitted = drained.emitted.saturating_sub(lost);
        self.emitted.add_items(emitted);
        self.refused.add_items(drained.refused);
        self.lost.add_items(lost);
        emitted
    }
}
