//! The correlator: spans are looked at, logs are placed, and those without a place yet are held.

use std::sync::Arc;
use std::time::Duration;

use super::decision::{
    Decision, LogFacts, Service, SpanOccurrence, TraceMatch, decide_early, decide_finally,
};
use super::ids::{Id, IdKeys, IdSpace};
use super::index::{IdIndex, LogNumber};
use super::log_ids::{self, FoundIds};
use super::waiting::{Leaving, Queue, WaitingLog, to_hold, write_placed};
use crate::clock::Tick;
use crate::codec::records::{
    AttributeVisitor, ChunkRewriter, Event, Item, ItemReader, ItemStep, LogView, Telemetry,
};
use crate::model::{Emission, Position, Signal, listed_enum};

/// How a correlator works.
#[derive(Debug)]
pub struct CorrelationConfig {
    /// Which keys hold ids.
    pub keys: IdKeys,
    /// How long a log waits for its span. What spans carry is remembered for twice as long.
    pub window: Duration,
    /// The most memory: one half for what is remembered of spans, one for logs.
    pub max_bytes: usize,
    /// Marks logs that waited, so that the filters up to here leave them alone.
    pub position: Position,
}

listed_enum! {
    /// Why a log with an id got no place.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Unmatched {
        /// No span that it may belong to came in the window.
        Expired,
        /// Several traces share its id.
        Ambiguous,
        /// There was no memory to let it wait.
        Memory,
        /// The pipeline ended while it waited.
        Shutdown,
    }
}

impl Unmatched {
    /// The word for it in counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Ambiguous => "ambiguous",
            Self::Memory => "memory",
            Self::Shutdown => "shutdown",
        }
    }
}

/// What has happened so far, in logs unless it says otherwise:
/// `received = matched_at_once + matched_late + unmatched + held`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CorrelationTally {
    /// Logs that have an id that spans may carry, and are in no trace yet.
    pub received: u64,
    /// Those that got their place when they came.
    pub matched_at_once: u64,
    /// Those that got it after they had waited.
    pub matched_late: u64,
    /// Those that got none, by the order of [`Unmatched::ALL`].
    pub unmatched: [u64; Unmatched::ALL.len()],
    /// Those that wait.
    pub held: u64,
    /// Ids of spans that went for want of memory before their time.
    pub forgotten_ids: u64,
}

impl CorrelationTally {
    fn count(&mut self, why: Unmatched) {
        if let Some(count) = self.unmatched.get_mut(why as usize) {
            *count = count.saturating_add(1);
        }
    }
}

/// Places logs in their traces by ids that spans carry.
#[derive(Debug)]
pub struct Correlator {
    keys: Arc<IdKeys>,
    window: Duration,
    max_log_bytes: usize,
    position: Position,
    index: IdIndex,
    waiting: Queue,
    leaving: Leaving,
    /// The tag of the last log that was held.
    tag: Arc<[u8]>,
    closed: bool,
    tally: CorrelationTally,
    /// Used again for each log.
    found: FoundIds,
    woken: Vec<LogNumber>,
}

/// Collects the ids of a span while it is read.
struct IdVisitor<'k> {
    keys: &'k IdKeys,
    found: FoundIds,
}

impl<'a> AttributeVisitor<'a> for IdVisitor<'_> {
    #[inline]
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
        if let Some(space) = self.keys.space_of(&[], key) {
            self.found.add(self.keys.id_of(space, value));
        }
    }
}

impl Correlator {
    /// A correlator that knows nothing yet.
    #[must_use]
    pub fn new(config: CorrelationConfig) -> Self {
        let half = config.max_bytes / 2;
        Self {
            keys: Arc::new(config.keys),
            window: config.window,
            max_log_bytes: half,
            position: config.position,
            index: IdIndex::new(config.window.saturating_mul(2), half),
            waiting: Queue::default(),
            leaving: Leaving::default(),
            tag: Arc::default(),
            closed: false,
            tally: CorrelationTally::default(),
            found: FoundIds::default(),
            woken: Vec::new(),
        }
    }

    /// Looks at the spans of a chunk and places its logs, and says what goes on in the chunk's place;
    /// `None` if it is the chunk itself.
    pub fn on_chunk(&mut self, tag: &[u8], chunk: &[u8], now: Tick) -> Option<Vec<u8>> {
        let keys = Arc::clone(&self.keys);
        let mut visitor = IdVisitor { keys: &keys, found: FoundIds::default() };
        let mut rewriter = ChunkRewriter::new(chunk);
        let mut items = ItemReader::new(chunk);
        let mut service = None;
        while let Some(step) = items.step(&mut visitor) {
            match &step {
                ItemStep::Item(item) if item.signal() == Signal::Logs => {
                    self.log(tag, item, &mut rewriter, now);
                }
                _ => rewriter.keep(step.raw()),
            }
            if let Some((item, telemetry)) = step.span()
                && !telemetry.is_past(self.position)
            {
                if item.new_metadata {
                    service = self.service_of(telemetry);
                }
                self.span(item, service, &visitor.found.ids, now);
            }
            visitor.found.clear();
        }
        self.tally.held = self.waiting.count();
        self.tally.forgotten_ids = self.index.forgotten();
        rewriter.finish()
    }

    /// What is to be emitted now. With `everything`, nothing is held from then on.
    pub fn take(&mut self, everything: bool, now: Tick) -> Vec<Emission> {
        self.closed |= everything;
        while let Some((number, log)) = self.waiting.front() {
            let due = now.since(log.since) >= self.window;
            if due {
                self.conclude(number, now);
            } else if everything {
                self.tally.count(Unmatched::Shutdown);
                self.release(number, None);
            } else {
                break;
            }
        }
        self.index.expire(now);
        self.tally.held = self.waiting.count();
        self.leaving.take()
    }

    /// Takes back what could not be emitted; it is given again by the next [`Correlator::take`].
    pub fn put_back(&mut self, emission: Emission) {
        self.leaving.put_back(emission);
    }

    /// What has happened so far.
    #[must_use]
    pub const fn tally(&self) -> &CorrelationTally {
        &self.tally
    }

    /// The memory that logs and what is remembered of spans take, in bytes.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.index.bytes() + self.log_bytes()
    }

    const fn log_bytes(&self) -> usize {
        self.waiting.bytes() + self.leaving.bytes()
    }

    /// The service of the spans with this metadata, which is known to have spans from now on.
    fn service_of(&mut self, telemetry: &Telemetry<'_>) -> Option<Service> {
        let service = telemetry.resource.and_then(log_ids::service_of)?;
        self.index.note_service(service);
        Some(service)
    }

    fn span(&mut self, item: &Item<'_>, service: Option<Service>, ids: &[Id], now: Tick) {
        let span = &item.span;
        let Some(trace) = span.trace_id().filter(|_| !ids.is_empty()) else { return };
        let (start, end) = (span.start_unix_nanos(), span.end_unix_nanos());
        let occurrence = SpanOccurrence {
            trace,
            span: span.span_id(),
            service,
            start,
            end: end.max(start),
            seen: now,
        };
        let mut woken = std::mem::take(&mut self.woken);
        for id in ids {
            woken.clear();
            self.index.see(*id, occurrence, &mut woken);
            for number in &woken {
                self.wake(*number, *id, now);
            }
        }
        self.woken = woken;
    }

    /// A span came with the id of a log that waits.
    fn wake(&mut self, number: LogNumber, id: Id, now: Tick) {
        let Some(log) = self.waiting.get(number) else { return };
        let Some(occurrences) = self.index.occurrences(id, now) else { return };
        if let Decision::Match(place) = decide_early(id.space, occurrences, &log.facts) {
            self.tally.matched_late = self.tally.matched_late.saturating_add(1);
            self.release(number, Some(place));
        }
    }

    fn log(&mut self, tag: &[u8], item: &Item<'_>, rewriter: &mut ChunkRewriter<'_>, now: Tick) {
        let event = &item.event;
        let log = event.otlp().map(LogView::new).unwrap_or_default();
        let ours = item.telemetry.is_some_and(|telemetry| telemetry.is_past(self.position));
        if ours || log.trace_id().is_some() {
            return rewriter.keep(event.raw);
        }
        let mut found = std::mem::take(&mut self.found);
        log_ids::find(&self.keys, item, &log, &mut found);
        if found.ids.is_empty() {
            rewriter.keep(event.raw);
        } else {
            self.tally.received = self.tally.received.saturating_add(1);
            self.place(tag, event, &found, rewriter, now);
        }
        self.found = found;
    }

    /// Places a log with ids, or holds it.
    fn place(
        &mut self,
        tag: &[u8],
        event: &Event<'_>,
        found: &FoundIds,
        rewriter: &mut ChunkRewriter<'_>,
        now: Tick,
    ) {
        let facts = LogFacts::new(found.service, event.time.unix_nanos());
        match self.early(&found.ids, &facts, now) {
            Decision::Match(place) => {
                self.tally.matched_at_once = self.tally.matched_at_once.saturating_add(1);
                write_placed(event, place, rewriter.replace(event.raw));
            }
            Decision::Ambiguous => {
                self.tally.count(Unmatched::Ambiguous);
                rewriter.keep(event.raw);
            }
            Decision::Unknown => match self.hold(tag, event, &found.ids, facts, now) {
                Ok(()) => drop(rewriter.replace(event.raw)),
                Err(why) => {
                    self.tally.count(why);
                    rewriter.keep(event.raw);
                }
            },
        }
    }

    /// What the ids of a log say when it comes: the first that says anything.
    fn early(&mut self, ids: &[Id], facts: &LogFacts, now: Tick) -> Decision {
        for id in ids.iter().filter(|id| id.space == IdSpace::Call) {
            let decision = match self.index.occurrences(*id, now) {
                Some(occurrences) => decide_early(id.space, occurrences, facts),
                None => Decision::Ambiguous,
            };
            if decision != Decision::Unknown {
                return decision;
            }
        }
        Decision::Unknown
    }

    fn hold(
        &mut self,
        tag: &[u8],
        event: &Event<'_>,
        ids: &[Id],
        facts: LogFacts,
        now: Tick,
    ) -> Result<(), Unmatched> {
        if self.closed {
            return Err(Unmatched::Shutdown);
        }
        if *self.tag != *tag {
            self.tag = tag.into();
        }
        let events = to_hold(event, self.position);
        let log =
            WaitingLog { tag: Arc::clone(&self.tag), events, ids: ids.into(), facts, since: now };
        if self.log_bytes().saturating_add(log.bytes()) > self.max_log_bytes {
            return Err(Unmatched::Memory);
        }
        let number = self.waiting.next_number();
        self.waiting.push(log);
        ids.iter().for_each(|id| self.index.wait(*id, number, now));
        Ok(())
    }

    /// The window of a log is over.
    fn conclude(&mut self, number: LogNumber, now: Tick) {
        let Some(log) = self.waiting.get(number) else { return };
        let has_spans = log.facts.service().is_some_and(|service| self.index.has_spans(service));
        let decision = finally(&mut self.index, log, has_spans, now);
        match decision {
            Decision::Match(place) => {
                self.tally.matched_late = self.tally.matched_late.saturating_add(1);
                self.release(number, Some(place));
            }
            Decision::Ambiguous => {
                self.tally.count(Unmatched::Ambiguous);
                self.release(number, None);
            }
            Decision::Unknown => {
                self.tally.count(Unmatched::Expired);
                self.release(number, None);
            }
        }
    }

    fn release(&mut self, number: LogNumber, place: Option<TraceMatch>) {
        if let Some(log) = self.waiting.remove(number) {
            log.ids.iter().for_each(|id| self.index.leave(*id, number));
            self.leaving.push(&log, place);
        }
    }
}

/// What the ids of a log say when its window ends. Ids of calls go before those of conversations, and
/// these before those of sessions; two of a kind must not say two things.
fn finally(index: &mut IdIndex, log: &WaitingLog, has_spans: bool, now: Tick) -> Decision {
    let mut found: Option<(IdSpace, TraceMatch)> = None;
    for id in &log.ids {
        if found.is_some_and(|(space, _)| space != id.space) {
            break;
        }
        let decision = match index.occurrences(*id, now) {
            Some(occurrences) => decide_finally(id.space, occurrences, &log.facts, has_spans),
            None => Decision::Ambiguous,
        };
        match (decision, found) {
            (Decision::Unknown, _) => {}
            (Decision::Ambiguous, _) => return Decision::Ambiguous,
            (Decision::Match(place), Some((_, other))) if place.trace != other.trace => {
                return Decision::Ambiguous;
            }
            (Decision::Match(place), _) => found = Some((id.space, place)),
        }
    }
    found.map_or(Decision::Unknown, |(_, place)| Decision::Match(place))
}
