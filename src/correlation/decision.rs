//! Decision: which trace a log belongs to, by the spans that carry its id.
//!
//! A log that gets the ids of another trace is worse than one without. So a log of a service that has
//! spans gets only the ids of its own service's spans, and only of one during which it was written, which
//! tells attempts apart that share an id. Where an id is shared by several traces and that does not
//! tell which it is, the log gets none.

use std::time::Duration;

use super::ids::IdSpace;
use crate::clock::Tick;
use crate::model::{SpanId, TraceId};

/// How far a log of another machine or process may lie before a span or after it: clocks differ, and
/// proxies write their logs when all is over.
const TOLERANCE: Duration = Duration::from_secs(1);

/// A hash of a service's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Service(pub(super) u64);

/// A span that carries an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SpanOccurrence {
    pub(super) trace: TraceId,
    pub(super) span: Option<SpanId>,
    /// `None` where its resource does not say.
    pub(super) service: Option<Service>,
    /// Nanoseconds since the Unix epoch.
    pub(super) start: u64,
    pub(super) end: u64,
    /// When it came.
    pub(super) seen: Tick,
}

/// What is known of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogFacts {
    service: Option<Service>,
    /// When it was written, in nanoseconds since the Unix epoch: from the first of these to the second.
    from: u64,
    until: u64,
}

impl LogFacts {
    /// A log of this time. A time without fraction is one of a clock that counts in seconds, and so on:
    /// the log was written at any time in that second.
    pub(super) const fn new(service: Option<Service>, unix_nanos: u64) -> Self {
        let resolution = if unix_nanos.is_multiple_of(1_000_000_000) {
            999_999_999
        } else if unix_nanos.is_multiple_of(1_000_000) {
            999_999
        } else if unix_nanos.is_multiple_of(1_000) {
            999
        } else {
            0
        };
        Self { service, from: unix_nanos, until: unix_nanos.saturating_add(resolution) }
    }

    /// Whether its clock is fine enough to tell attempts apart, which lie milliseconds apart at least.
    const fn tells_attempts(&self) -> bool {
        self.until - self.from < 1_000_000
    }

    /// The service that wrote it, if it says so.
    pub(super) const fn service(&self) -> Option<Service> {
        self.service
    }
}

/// The place of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceMatch {
    pub(super) trace: TraceId,
    /// `None` if only the trace is certain.
    pub(super) span: Option<SpanId>,
}

/// What one id of a log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// The log belongs there.
    Match(TraceMatch),
    /// Several traces share the id, and nothing tells which it is.
    Ambiguous,
    /// Nothing is known, or not enough.
    Unknown,
}

impl SpanOccurrence {
    /// Whether the log was certainly written while the span was open.
    const fn holds(&self, log: &LogFacts) -> bool {
        self.start <= log.from && log.until <= self.end
    }

    /// Whether it may have been, as far as its clock tells.
    const fn may_hold(&self, log: &LogFacts) -> bool {
        self.start <= log.until && log.from <= self.end
    }

    /// The same, where clocks may differ.
    fn is_near(&self, log: &LogFacts) -> bool {
        let tolerance = u64::try_from(TOLERANCE.as_nanos()).unwrap_or(u64::MAX);
        self.start.saturating_sub(tolerance) <= log.until
            && log.from <= self.end.saturating_add(tolerance)
    }

    /// Whether the log's time speaks for the span: its own service's clock is the log's.
    fn agrees(&self, log: &LogFacts) -> bool {
        if self.is_of(log) { self.may_hold(log) } else { self.is_near(log) }
    }

    /// Whether both say which service they are of, and it is the same.
    fn is_of(&self, log: &LogFacts) -> bool {
        log.service.is_some() && self.service == log.service
    }

    /// Whether they may be of one service.
    fn may_be_of(&self, log: &LogFacts) -> bool {
        log.service.is_none() || self.service.is_none() || self.service == log.service
    }
}

/// How many traces some spans are of.
enum Traces<'s> {
    None,
    /// One, with the span that started last, which is the innermost.
    One(&'s SpanOccurrence),
    Several,
}

fn traces<'s>(occurrences: impl Iterator<Item = &'s SpanOccurrence>) -> Traces<'s> {
    let mut found: Option<&SpanOccurrence> = None;
    for occurrence in occurrences {
        match found {
            Some(other) if other.trace != occurrence.trace => return Traces::Several,
            Some(other) if other.start > occurrence.start => {}
            _ => found = Some(occurrence),
        }
    }
    found.map_or(Traces::None, Traces::One)
}

const fn place(occurrence: &SpanOccurrence) -> Decision {
    Decision::Match(TraceMatch { trace: occurrence.trace, span: occurrence.span })
}

/// What can be said before the window ends: only ids of single calls tell, and only where a span that
/// comes later cannot change it.
pub(super) fn decide_early(
    space: IdSpace,
    occurrences: &[SpanOccurrence],
    log: &LogFacts,
) -> Decision {
    if space != IdSpace::Call {
        return Decision::Unknown;
    }
    let own =
        occurrences.iter().filter(|occurrence| occurrence.is_of(log) && occurrence.holds(log));
    if let Traces::One(occurrence) = traces(own) {
        return place(occurrence);
    }
    match traces(occurrences.iter()) {
        Traces::Several if log.service.is_none() => Decision::Ambiguous,
        Traces::One(_) => {
            let may_be =
                |occurrence: &&SpanOccurrence| occurrence.may_be_of(log) && occurrence.holds(log);
            match traces(occurrences.iter().filter(may_be)) {
                Traces::One(occurrence) => place(occurrence),
                Traces::None | Traces::Several => Decision::Unknown,
            }
        }
        Traces::Several | Traces::None => Decision::Unknown,
    }
}

/// What can be said when the window ends. `has_spans` says that the log's service is known to have
/// spans of its own.
pub(super) fn decide_finally(
    space: IdSpace,
    occurrences: &[SpanOccurrence],
    log: &LogFacts,
    has_spans: bool,
) -> Decision {
    if space == IdSpace::Call {
        let own = || occurrences.iter().filter(|occurrence| occurrence.is_of(log));
        let holding = traces(own().filter(|occurrence| occurrence.holds(log)));
        let found = match holding {
            Traces::None if log.tells_attempts() => {
                traces(own().filter(|occurrence| occurrence.may_hold(log)))
            }
            _ => holding,
        };
        match found {
            Traces::One(occurrence) => return place(occurrence),
            Traces::Several => return Decision::Ambiguous,
            Traces::None => {}
        }
    }
    match traces(occurrences.iter()) {
        Traces::None => Decision::Unknown,
        Traces::Several => Decision::Ambiguous,
        Traces::One(_) => of_one_trace(occurrences, log, has_spans),
    }
}

/// Whether the log belongs to the only trace that has its id, and where in it.
fn of_one_trace(occurrences: &[SpanOccurrence], log: &LogFacts, has_spans: bool) -> Decision {
    let agreeing = || occurrences.iter().filter(|occurrence| occurrence.agrees(log));
    let own = || agreeing().filter(|occurrence| occurrence.may_be_of(log));
    let holding = traces(own().filter(|occurrence| occurrence.holds(log)));
    let of_own = if matches!(holding, Traces::One(_)) { holding } else { traces(own()) };
    if let Traces::One(occurrence) = of_own {
        return place(occurrence);
    }
    // A log of another service: of one without spans, such as a proxy, which of the others' spans
    // it belongs to is not certain.
    match agreeing().next() {
        Some(other) if !has_spans => Decision::Match(TraceMatch { trace: other.trace, span: None }),
        _ => Decision::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A span of the trace `trace` and a service, from one second to another.
    fn span(trace: u8, service: u64, start: u64, end: u64) -> SpanOccurrence {
        SpanOccurrence {
            trace: TraceId([trace; 16]),
            span: Some(SpanId([trace; 8])),
            service: (service > 0).then_some(Service(service)),
            start: start * SECOND,
            end: end * SECOND,
            seen: Tick(0),
        }
    }

    /// A log of a service, a nanosecond after a second.
    fn log(service: u64, time: u64) -> LogFacts {
        LogFacts::new((service > 0).then_some(Service(service)), time * SECOND + 1)
    }

    fn at(trace: u8) -> Decision {
        Decision::Match(TraceMatch { trace: TraceId([trace; 16]), span: Some(SpanId([trace; 8])) })
    }

    fn only_trace(trace: u8) -> Decision {
        Decision::Match(TraceMatch { trace: TraceId([trace; 16]), span: None })
    }

    use Decision::{Ambiguous, Unknown};

    #[test]
    fn what_is_certain_is_said_at_once() {
        let call = |spans: &[SpanOccurrence], log| decide_early(IdSpace::Call, spans, &log);
        assert_eq!(call(&[], log(1, 5)), Unknown);
        assert_eq!(call(&[span(1, 1, 4, 6)], log(1, 5)), at(1));
        assert_eq!(call(&[span(1, 1, 4, 6)], log(0, 5)), at(1), "the log does not say its service");
        assert_eq!(call(&[span(1, 0, 4, 6)], log(1, 5)), at(1), "the span does not");
        assert_eq!(call(&[span(1, 1, 4, 6)], log(1, 9)), Unknown, "perhaps of the next attempt");
        assert_eq!(call(&[span(1, 2, 4, 6)], log(1, 5)), Unknown, "its own span may follow");
        let lost = [span(1, 1, 4, 8), span(2, 2, 5, 7)];
        assert_eq!(call(&lost, log(2, 6)), at(2), "the header was lost between 1 and 2");
        assert_eq!(call(&lost, log(1, 6)), at(1));
        assert_eq!(call(&lost, log(0, 6)), Ambiguous);
        assert_eq!(call(&lost, log(3, 6)), Unknown);
        let nested = [span(1, 1, 4, 8), SpanOccurrence { span: None, ..span(1, 1, 5, 7) }];
        assert_eq!(call(&nested, log(1, 6)), only_trace(1), "the innermost span");
    }

    #[test]
    fn attempts_are_told_apart_by_their_time() {
        let attempts = [span(1, 1, 4, 6), span(2, 1, 8, 10)];
        for (time, expected) in [(5, at(1)), (9, at(2)), (7, Ambiguous), (20, Ambiguous)] {
            let decided = decide_finally(IdSpace::Call, &attempts, &log(1, time), true);
            assert_eq!(decided, expected, "{time}");
        }
        let first = &attempts[..1];
        assert_eq!(decide_finally(IdSpace::Call, first, &log(1, 6), true), Unknown);
        let both = [span(1, 1, 4, 9), span(2, 1, 4, 9)];
        assert_eq!(decide_finally(IdSpace::Call, &both, &log(1, 7), true), Ambiguous);
    }

    #[test]
    fn coarse_clocks_are_taken_for_what_they_are() {
        let short = [SpanOccurrence {
            start: 4 * SECOND + 7_200_000,
            end: 4 * SECOND + 9_100_000,
            ..span(1, 1, 0, 0)
        }];
        let log = |nanos| LogFacts::new(Some(Service(1)), 4 * SECOND + nanos);
        for (nanos, early, finally) in [
            (8_000_001, at(1), at(1)),
            // Milliseconds: the last one begins in the span, the first one before it.
            (9_000_000, Unknown, at(1)),
            (7_000_000, Unknown, at(1)),
            (6_000_000, Unknown, Unknown),
            // Microseconds, seconds.
            (7_200_000, at(1), at(1)),
            (7_199_500, Unknown, Unknown),
            (7_199_000, Unknown, Unknown),
            (0, Unknown, at(1)),
        ] {
            assert_eq!(decide_early(IdSpace::Call, &short, &log(nanos)), early, "{nanos}");
            assert_eq!(
                decide_finally(IdSpace::Call, &short, &log(nanos), true),
                finally,
                "{nanos}"
            );
        }
    }

    #[test]
    fn a_coarse_clock_tells_no_attempts_apart() {
        let attempts = [span(1, 1, 4, 6), span(2, 1, 8, 10)];
        let log = LogFacts::new(Some(Service(1)), 6 * SECOND);
        assert_eq!(decide_finally(IdSpace::Call, &attempts, &log, true), Ambiguous);
        assert_eq!(decide_finally(IdSpace::Call, &attempts[..1], &log, true), at(1));
    }

    #[test]
    fn a_service_with_spans_gets_no_ids_of_others() {
        let other = [span(1, 2, 4, 6)];
        assert_eq!(decide_finally(IdSpace::Call, &other, &log(1, 5), true), Unknown);
        assert_eq!(decide_finally(IdSpace::Call, &other, &log(1, 5), false), only_trace(1));
        assert_eq!(decide_finally(IdSpace::Call, &other, &log(0, 5), false), at(1));
        let two = [span(1, 2, 4, 6), span(2, 3, 4, 6)];
        assert_eq!(decide_finally(IdSpace::Call, &two, &log(1, 5), false), Ambiguous);
    }

    #[test]
    fn sessions_and_conversations_are_said_of_one_trace_only() {
        for space in [IdSpace::Session, IdSpace::Conversation] {
            let one = [span(1, 1, 4, 6)];
            assert_eq!(decide_early(space, &one, &log(1, 5)), Unknown, "others may follow");
            assert_eq!(decide_finally(space, &one, &log(1, 5), true), at(1));
            assert_eq!(decide_finally(space, &one, &log(1, 9), true), Unknown);
            assert_eq!(decide_finally(space, &one, &log(2, 5), true), Unknown);
            assert_eq!(decide_finally(space, &one, &log(2, 5), false), only_trace(1));
            let turns = [span(1, 1, 4, 6), span(2, 1, 8, 9)];
            assert_eq!(decide_finally(space, &turns, &log(1, 5), true), Ambiguous);
            assert_eq!(decide_finally(space, &[], &log(1, 5), true), Unknown);
        }
    }
}
