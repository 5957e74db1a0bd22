//! Emitter: derived telemetry on its way into the pipeline, for the inputs that have a timer.

use std::sync::Arc;
use std::time::Duration;

use super::native_metrics;
use crate::clock;
use crate::codec::fluentbit::write::ReaderCapabilities;
use crate::hub::{Drain, EmissionForm, Hub, drain};
use crate::model::Emission;
use crate::plugin::{Environment, NotAppended, Pause, Sink, Waker};
use crate::stats::{Counter, CounterFamily, Log, LogLevel};

/// How often what is due is looked for.
pub(in crate::plugins) const TICK: Duration = Duration::from_millis(250);

const EMITTED_RECORDS: CounterFamily = CounterFamily::counter(
    "emitted_records_total",
    "Records of derived and scraped telemetry that entered the pipeline here.",
    &[],
);
const REFUSED_RECORDS: CounterFamily = CounterFamily::counter(
    "emit_refused_records_total",
    "Records of derived and scraped telemetry that the host refused; they are offered again.",
    &[],
);

const LOST_RECORDS: CounterFamily = CounterFamily::counter(
    "emit_lost_records_total",
    "Records of derived and scraped metrics that the host, or a processor of the input, will never take.",
    &[],
);

const LOST_POINTS: CounterFamily = CounterFamily::counter(
    "emit_lost_points_total",
    "Data points of derived and scraped metrics that the form of 'emit_as' has no place for.",
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
pub(in crate::plugins) struct Emitter {
    hub: Arc<Hub>,
    mode: Mode,
    /// Has the host call back before the next tick, where there is more to emit than one call may take.
    waker: Waker,
    is_behind: bool,
    /// What the readers of the running release take.
    forms: ReaderCapabilities,
    emitted: Counter,
    refused: Counter,
    lost: Counter,
    lost_points: Counter,
    log: Arc<Log>,
}

impl Emitter {
    /// An emitter known to the hub.
    pub(in crate::plugins) fn new(environment: &Environment, waker: Waker) -> Self {
        let Environment { hub, counters, log, .. } = environment;
        hub.add_emitter();
        let ours = waker.clone();
        hub.add_waker(move || ours.wake());
        Self {
            hub: Arc::clone(hub),
            forms: ReaderCapabilities::of_release(&environment.host_release),
            mode: Mode::Running,
            waker,
            is_behind: false,
            emitted: counters.counter(EMITTED_RECORDS, &[]),
            refused: counters.counter(REFUSED_RECORDS, &[]),
            lost: counters.counter(LOST_RECORDS, &[]),
            lost_points: counters.counter(LOST_POINTS, &[]),
            log: Arc::clone(log),
        }
    }

    /// Emits what is due, as long as it is less than `room` bytes: the emission that fills it is the
    /// last one, and the others stay where they are held until there is memory again. Between the
    /// begin of a stop and its end the host still ticks: what came about meanwhile leaves at once.
    pub(in crate::plugins) fn tick(&mut self, sink: &mut dyn Sink, room: usize) {
        self.is_behind = false;
        self.hub.note_drain();
        match self.mode {
            Mode::Running if room == 0 => self.log.often(LogLevel::Warn, "overfull", || {
                "what filters made waits in them: too much waits in memory for the outputs"
                    .to_owned()
            }),
            Mode::Running => {
                (_, self.is_behind) = self.emit(Drain::Due, sink, room);
                if self.is_behind {
                    self.waker.wake();
                }
            }
            Mode::Paused => {}
            Mode::Stopping => self.emit_everything(sink),
        }
    }

    /// Whether the last tick left something for a call that comes before the next one, or a source has something new.
    pub(in crate::plugins) fn is_behind(&self) -> bool {
        self.is_behind || self.hub.is_woken()
    }

    /// Stops emitting; at the end of the run after everything that is held.
    pub(in crate::plugins) fn pause(&mut self, why: Pause, sink: &mut dyn Sink) {
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
    pub(in crate::plugins) fn resume(&mut self) {
        if self.mode == Mode::Paused {
            self.mode = Mode::Running;
        }
    }

    fn emit_everything(&self, sink: &mut dyn Sink) {
        if self.emit(Drain::Everything, sink, usize::MAX).0 > 0 {
            sink.flush_now();
        }
    }

    /// Appends one emission now, unless the host paused the input, and says whether it is done with: the host has
    /// it, or will never take it.
    pub(in crate::plugins) fn emit_now(
        &self,
        emission: &Emission,
        form: EmissionForm,
        sink: &mut dyn Sink,
    ) -> bool {
        if self.mode == Mode::Paused {
            return false;
        }
        let offered = self.offer(emission, form, sink);
        let counter = match offered {
            Offered::Taken => &self.emitted,
            Offered::Lost => &self.lost,
            Offered::Refused => &self.refused,
        };
        counter.add_items(emission.records);
        offered != Offered::Refused
    }

    /// Emits, and says how many records that were, and whether there are more.
    fn emit(&self, what: Drain, sink: &mut dyn Sink, room: usize) -> (usize, bool) {
        let mut lost = 0_usize;
        let (mut appended_bytes, mut is_full) = (0_usize, false);
        let drained =
            drain(&self.hub, what, clock::now(), clock::unix_nanos(), |emission, form| {
                if appended_bytes >= room {
                    is_full = true;
                    return false;
                }
                match self.offer(emission, form, sink) {
                    Offered::Taken => {
                        appended_bytes = appended_bytes.saturating_add(emission.events.len());
                    }
                    Offered::Lost => lost = lost.saturating_add(emission.records),
                    Offered::Refused => return false,
                }
                true
            });
        let emitted = drained.emitted.saturating_sub(lost);
        self.emitted.add_items(emitted);
        // What there is no room for was not offered to the host.
        self.refused.add_items(if is_full { 0 } else { drained.refused });
        self.lost.add_items(lost);
        (emitted, drained.has_more)
    }

    /// Offers an emission to the host.
    fn offer(&self, emission: &Emission, form: EmissionForm, sink: &mut dyn Sink) -> Offered {
        let appended = match form {
            EmissionForm::Records => sink
                .append(&emission.tag, emission.records, &emission.events)
                .map(|()| 0)
                .map_err(|_| NotAppended::Refused),
            EmissionForm::Native => native_metrics::append(emission, self.forms, sink),
            EmissionForm::Prometheus => {
                native_metrics::append_for_prometheus(emission, self.forms, sink)
            }
        };
        match appended {
            Ok(points_lost) => {
                self.lost_points.add_items(points_lost);
                if form == EmissionForm::Prometheus {
                    // The next one is not to be in the same chunk.
                    sink.flush_now();
                }
                Offered::Taken
            }
            Err(NotAppended::Refused) => Offered::Refused,
            Err(problem) => {
                self.log.often(LogLevel::Error, "emit", || format!("metrics are lost: {problem}"));
                Offered::Lost
            }
        }
    }
}

/// What became of an emission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offered {
    /// The host has it.
    Taken,
    /// The host will never take it.
    Lost,
    /// The host does not take it now.
    Refused,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Tick;
    use crate::hub::TelemetrySource;
    use crate::plugin::AppendRefused;
    use crate::stats::Counters;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Shelf(Mutex<Vec<Emission>>);

    impl TelemetrySource for Shelf {
        fn take(&self, _: Drain, _: Tick, _: u64) -> Vec<Emission> {
            std::mem::take(&mut self.0.lock().unwrap())
        }

        fn put_back(&self, emission: Emission) {
            self.0.lock().unwrap().push(emission);
        }
    }

    #[derive(Default)]
    struct Taken(usize);

    impl Sink for Taken {
        fn append(&mut self, _: &[u8], records: usize, _: &[u8]) -> Result<(), AppendRefused> {
            self.0 += records;
            Ok(())
        }

        fn flush_now(&mut self) {}
    }

    /// Scenario: an input is paused by the host, or so much waits in memory that nothing more may.
    /// Guarantees: what filters made stays in them, said in the log if it is for our own limit, and
    /// leaves when the input may append again, or at the end of the run in any case.
    #[test]
    fn what_may_not_be_appended_stays_with_its_source() {
        let hub = Arc::new(Hub::new(1));
        let log = Arc::new(Log::default());
        let environment = Environment {
            instance: "test.0".to_owned(),
            hub: Arc::clone(&hub),
            position: 1,
            host_release: "5.1.1".to_owned(),
            log_groups: true,
            native_chunks: true,
            counters: Arc::new(Counters::default()),
            log: Arc::clone(&log),
        };
        let shelf = Arc::new(Shelf::default());
        hub.add_source(Arc::<Shelf>::clone(&shelf));
        let fill = || {
            let emission = Emission { tag: Vec::new(), records: 2, events: vec![1] };
            shelf.put_back(emission);
        };
        let waker = Waker::new(|| {});
        let (mut emitter, mut sink) = (Emitter::new(&environment, waker), Taken::default());
        fill();
        emitter.tick(&mut sink, 0);
        assert_eq!((sink.0, shelf.0.lock().unwrap().len()), (0, 1));
        assert!(log.take()[0].text.contains("waits in them"));
        emitter.tick(&mut sink, usize::MAX);
        assert_eq!(sink.0, 2);
        emitter.pause(Pause::Pressure, &mut sink);
        fill();
        emitter.tick(&mut sink, usize::MAX);
        assert_eq!((sink.0, shelf.0.lock().unwrap().len()), (2, 1));
        emitter.resume();
        emitter.tick(&mut sink, usize::MAX);
        assert_eq!(sink.0, 4);
        // Of three the second fills the room of two bytes, and the third stays.
        for _ in 0..3 {
            fill();
        }
        emitter.tick(&mut sink, 2);
        assert_eq!((sink.0, shelf.0.lock().unwrap().len()), (8, 1));
        assert_eq!(emitter.refused.value(), 0, "it was not offered");
        emitter.pause(Pause::Shutdown, &mut sink);
        fill();
        emitter.tick(&mut sink, 0);
        assert_eq!((sink.0, shelf.0.lock().unwrap().len()), (12, 0));
    }
}
