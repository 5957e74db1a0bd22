//! Failures of redaction: what could not be searched is counted, said in the log, and kept aside under
//! a tag of its own where that is asked for.

use std::sync::Arc;

use crate::clock::{self, Tick};
use crate::genai::{FailedEvent, FailureReason, OnFailure, without_search};
use crate::hub::{Drain, TelemetrySource};
use crate::model::{Emission, Position};
use crate::plugin::{Chunk, Environment, Fallback, Verdict};
use crate::stats::{Counter, CounterFamily, Log, LogLevel};
use crate::sync::Mutex;

const FAILURES: CounterFamily = CounterFamily::counter(
    "redaction_failures_total",
    "Events, or values beside them, that could not be searched for what is to be redacted, by why and by \
     what became of them",
    &["reason", "action"],
);

/// The most bytes that wait to be emitted; what comes beyond that is dropped.
const MAX_WAITING: usize = 8 << 20;

const DROP: &str = "drop";

/// The numbers and the quarantine of one filter.
#[derive(Clone)]
pub(super) struct Failures(Arc<Inner>);

struct Inner {
    /// Nothing where nothing is redacted.
    on_failure: Option<OnFailure>,
    position: Position,
    counters: [Counter; FailureReason::ALL.len()],
    /// Those of what there was no room for.
    dropped: [Counter; FailureReason::ALL.len()],
    quarantine: Option<Arc<Quarantine>>,
    log: Arc<Log>,
}

impl Failures {
    pub(super) fn new(
        on_failure: Option<OnFailure>,
        quarantine_tag: Option<String>,
        position: Position,
        environment: &Environment,
    ) -> Self {
        let action = match on_failure {
            Some(OnFailure::Quarantine) => "quarantine",
            Some(OnFailure::Pass) => "pass",
            Some(OnFailure::Drop) | None => DROP,
        };
        let counter = |reason: FailureReason, action| {
            environment.counters.counter(FAILURES, &[reason.name(), action])
        };
        let quarantine = quarantine_tag.map(|tag| {
            let quarantine =
                Arc::new(Quarantine { tag: tag.into_bytes(), waiting: Mutex::default() });
            environment.hub.add_source(Arc::clone(&quarantine) as Arc<dyn TelemetrySource>);
            quarantine
        });
        Self(Arc::new(Inner {
            on_failure,
            position,
            counters: FailureReason::ALL.map(|reason| counter(reason, action)),
            dropped: FailureReason::ALL.map(|reason| counter(reason, DROP)),
            quarantine,
            log: Arc::clone(&environment.log),
        }))
    }

    /// Counts what failed in a chunk of this tag, and keeps it aside.
    pub(super) fn note(
        &self,
        failed: [u64; FailureReason::ALL.len()],
        tag: &[u8],
        quarantined: Vec<FailedEvent>,
    ) {
        let inner = &*self.0;
        let Some(on_failure) = inner.on_failure else { return };
        let mut failed = failed;
        if let Some(quarantine) = &inner.quarantine {
            for event in quarantined {
                let index = event.reason.index();
                if !quarantine.keep(&event, tag, inner.position)
                    && let (Some(count), Some(dropped)) =
                        (failed.get_mut(index), inner.dropped.get(index))
                {
                    *count = count.saturating_sub(1);
                    dropped.add(1);
                    inner.log.often(LogLevel::Error, "quarantine_full", || {
                        format!(
                            "{MAX_WAITING} bytes wait for quarantine_tag already, or the pipeline \
                             ends: what cannot be searched is dropped"
                        )
                    });
                }
            }
        }
        for ((reason, counter), count) in FailureReason::ALL.iter().zip(&inner.counters).zip(failed)
        {
            counter.add(count);
            if count > 0 {
                inner.log.often(LogLevel::Warn, reason.name(), || message_for(*reason, on_failure));
            }
        }
    }
}

fn message_for(reason: FailureReason, on_failure: OnFailure) -> String {
    let what = match reason {
        FailureReason::Unreadable => "an event that cannot be read",
        FailureReason::NewerLayout => "a record in a newer layout",
        FailureReason::HiddenValues => "a record with values beside it that cannot be read",
        FailureReason::Profiles => "a request of profiles",
        FailureReason::Panic => "an event after a panic",
    };
    let becomes = match (reason, on_failure) {
        (FailureReason::HiddenValues, OnFailure::Drop) => "these values are dropped",
        (_, OnFailure::Drop) => "it is dropped",
        (_, OnFailure::Quarantine) => "it goes to quarantine_tag",
        (_, OnFailure::Pass) => "it passes unredacted, as 'on_failure: pass' has it",
    };
    format!("{what} could not be searched for what is to be redacted: {becomes}")
}

/// Events that wait to be emitted under their own tag.
struct Quarantine {
    tag: Vec<u8>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    records: usize,
    events: Vec<u8>,
    closed: bool,
}

impl Quarantine {
    /// Keeps an event until it is drained. `false` if there is no room for it.
    fn keep(&self, event: &FailedEvent, tag: &[u8], position: Position) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.closed || waiting.events.len().saturating_add(event.event.len()) > MAX_WAITING {
            return false;
        }
        event.write(tag, clock::unix_nanos(), position, &mut waiting.events);
        waiting.records = waiting.records.saturating_add(1);
        true
    }
}

impl TelemetrySource for Quarantine {
    fn take(&self, drain: Drain, _now: Tick, _unix_nanos: u64) -> Vec<Emission> {
        let mut waiting = self.waiting.lock();
        waiting.closed |= drain == Drain::Everything;
        if waiting.records == 0 {
            return Vec::new();
        }
        let records = std::mem::take(&mut waiting.records);
        let events = std::mem::take(&mut waiting.events);
        vec![Emission { tag: self.tag.clone(), records, events }]
    }

    fn put_back(&self, emission: Emission) {
        let mut waiting = self.waiting.lock();
        waiting.records = waiting.records.saturating_add(emission.records);
        let later = std::mem::replace(&mut waiting.events, emission.events);
        waiting.events.extend_from_slice(&later);
    }
}

/// What is done with chunks once the filter that redacts is gone.
pub(super) struct AfterPanic {
    failures: Failures,
    on_failure: OnFailure,
}

impl AfterPanic {
    /// Nothing where nothing is redacted.
    pub(super) fn new(failures: &Failures) -> Option<Self> {
        Some(Self { failures: failures.clone(), on_failure: failures.0.on_failure? })
    }
}

impl Fallback for AfterPanic {
    fn on_chunk(&self, chunk: Chunk<'_>) -> Verdict {
        let mut failed = [0_u64; FailureReason::ALL.len()];
        let mut quarantined = Vec::new();
        let left = without_search(chunk.bytes, self.failures.0.position, |event| {
            if let Some(count) = failed.get_mut(event.reason.index()) {
                *count = count.saturating_add(1);
            }
            if self.on_failure == OnFailure::Quarantine {
                quarantined.push(event);
            }
        });
        self.failures.note(failed, chunk.tag, quarantined);
        match (left, self.on_failure) {
            (None, _) | (_, OnFailure::Pass) => Verdict::Pass,
            (Some(left), _) => Verdict::Replace(left),
        }
    }

    fn consequence(&self) -> &'static str {
        match self.on_failure {
            OnFailure::Drop => {
                "as this filter redacts, all data that it gets is dropped from now on (on_failure: drop)"
            }
            OnFailure::Quarantine => {
                "as this filter redacts, all data that it gets goes to quarantine_tag from now on"
            }
            OnFailure::Pass => {
                "data passes this filter unredacted from now on, as 'on_failure: pass' has it"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::records::Events;
    use crate::hub::Hub;
    use crate::stats::Counters;

    const EVENT: [u8; 5] = [0x92, 0x92, 5, 0x80, 0x80];
    const HERE: Position = Position { run: 7, after: 1 };

    struct Bench {
        failures: Failures,
        hub: Arc<Hub>,
        counters: Arc<Counters>,
        log: Arc<Log>,
    }

    impl Bench {
        fn new(on_failure: OnFailure) -> Self {
            let (hub, counters) = (Arc::new(Hub::new(7)), Arc::new(Counters::default()));
            let log = Arc::new(Log::default());
            let environment = Environment {
                instance: "ai_context.0".to_owned(),
                hub: Arc::clone(&hub),
                position: 1,
                host_release: "5.1.1".to_owned(),
                log_groups: true,
                native_chunks: true,
                counters: Arc::clone(&counters),
                log: Arc::clone(&log),
            };
            let tag = (on_failure == OnFailure::Quarantine).then(|| "aside".to_owned());
            let failures = Failures::new(Some(on_failure), tag, HERE, &environment);
            Self { failures, hub, counters, log }
        }

        fn after_panic(&self, bytes: &[u8]) -> Verdict {
            AfterPanic::new(&self.failures).unwrap().on_chunk(Chunk { tag: b"app", bytes })
        }

        fn count(&self, reason: &str, action: &str) -> u64 {
            let readings = self.counters.readings();
            let found = readings.iter().find(|reading| reading.labels == [reason, action]);
            found.map_or(0, |reading| reading.counter.value())
        }

        fn drain(&self, drain: Drain) -> Vec<Emission> {
            self.hub.sources().iter().flat_map(|source| source.take(drain, Tick(0), 0)).collect()
        }
    }

    /// Scenario: a chunk that comes after a panic, for each of the three policies. Guarantees: only
    /// `pass` lets it by, and each is counted and said.
    #[test]
    fn after_a_panic_nothing_passes_unless_asked_for() {
        let chunk = [EVENT, EVENT].concat();
        let nothing = || Verdict::Replace(Vec::new());
        for (on_failure, action, verdict) in [
            (OnFailure::Drop, "drop", nothing()),
            (OnFailure::Quarantine, "quarantine", nothing()),
            (OnFailure::Pass, "pass", Verdict::Pass),
        ] {
            let bench = Bench::new(on_failure);
            assert_eq!(bench.after_panic(&chunk), verdict);
            assert_eq!(bench.count("panic", action), 2, "{action}");
            assert!(bench.log.take()[0].text.starts_with("an event after a panic could not be"));
        }
        assert_eq!(Bench::new(OnFailure::Drop).after_panic(b""), Verdict::Pass);
    }

    /// Scenario: quarantined events are emitted, come back through the same filter, and are refused
    /// by the host once. Guarantees: they are left alone, and nothing is lost.
    #[test]
    fn what_is_kept_aside_arrives_under_its_own_tag() {
        let bench = Bench::new(OnFailure::Quarantine);
        drop(bench.after_panic(&EVENT));
        let mut emissions = bench.drain(Drain::Due);
        assert_eq!((emissions[0].tag.as_slice(), emissions[0].records), (&b"aside"[..], 1));
        assert_eq!(bench.after_panic(&emissions[0].events), Verdict::Pass);
        drop(bench.after_panic(&EVENT));
        bench.hub.sources()[0].put_back(emissions.remove(0));
        let again = bench.drain(Drain::Everything).remove(0);
        assert_eq!((again.records, Events::new(&again.events).count()), (2, 2));
        // From now on nothing takes it.
        drop(bench.after_panic(&EVENT));
        assert_eq!((bench.count("panic", "quarantine"), bench.count("panic", "drop")), (2, 1));
    }

    #[test]
    fn what_waits_is_bounded() {
        let bench = Bench::new(OnFailure::Quarantine);
        let large = vec![0xc1; MAX_WAITING / 2];
        for _ in 0..3 {
            assert_eq!(bench.after_panic(&large), Verdict::Replace(Vec::new()));
        }
        assert_eq!((bench.count("panic", "quarantine"), bench.count("panic", "drop")), (1, 2));
        assert_eq!(bench.drain(Drain::Due)[0].records, 1);
    }
}
