//! One trace that waits for its decision: its spans as encoded bytes, and what they showed.

use std::time::Duration;

use super::shown::Shown;
use crate::clock::Tick;
use crate::codec::records::{EventTime, SpanView};
use crate::model::TraceId;
use crate::sampling::policy::{PassedTests, Policies, TraceSize, TraceUsage};
use crate::sampling::session::SessionKeys;
use crate::sampling::threshold::{Randomness, Threshold};
use crate::sampling::tracestate::OtState;

/// What a held trace costs beside its spans' bytes: the struct, its places in the map and the
/// queue, and the allocator's share.
pub(super) const TRACE_OVERHEAD: usize = 328;

/// What [`More`] costs.
const MORE_OVERHEAD: usize = 80;

/// Bytes before each body: metadata, tag, seconds, nanoseconds, length.
const ENTRY_HEAD: usize = 20;

/// One span that is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TraceEntry<'a> {
    /// The number of its metadata.
    pub(super) metadata: u32,
    /// The number of its tag.
    pub(super) tag: u32,
    /// The event's time.
    pub(super) time: EventTime,
    /// The encoded body.
    pub(super) body: &'a [u8],
}

/// What only some configurations ask of a trace.
#[derive(Debug, Default)]
pub(super) struct More {
    /// What its calls used.
    pub(super) usage: TraceUsage,
    /// The randomness of the session that one of its spans names.
    pub(super) session: Option<Randomness>,
}

/// A trace that waits.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) id: TraceId,
    pub(super) first_seen: Tick,
    pub(super) facts: PassedTests,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) randomness: Option<Randomness>,
    pub(super) threshold: Option<Threshold>,
    pub(super) spans: u64,
    /// Whether its root came; told only where that matters.
    pub(super) has_root: bool,
    /// Of which rules the tests are that it passed.
    pub(super) generation: u32,
    /// There once something of it is asked for.
    pub(super) more: Option<Box<More>>,
    arena: Vec<u8>,
}

impl Trace {
    pub(super) const fn new(id: TraceId, first_seen: Tick, generation: u32) -> Self {
        Self {
            id,
            first_seen,
            facts: PassedTests(0),
            start: u64::MAX,
            end: 0,
            randomness: None,
            threshold: None,
            spans: 0,
            has_root: false,
            generation,
            more: None,
            arena: Vec::new(),
        }
    }

    /// Holds one more span; says whether that worked, which it does for every span of less than
    /// 4 GiB.
    pub(super) fn push(&mut self, entry: TraceEntry<'_>) -> bool {
        let Ok(length) = u32::try_from(entry.body.len()) else { return false };
        let needed = ENTRY_HEAD + entry.body.len();
        if self.arena.capacity() - self.arena.len() < needed {
            // Growing by an eighth wastes little; the copies that this costs are few, because most
            // traces have few spans.
            self.arena.reserve_exact(needed.max(self.arena.len() / 8));
        }
        for word in [entry.metadata, entry.tag, entry.time.seconds, entry.time.nanos, length] {
            self.arena.extend_from_slice(&word.to_le_bytes());
        }
        self.arena.extend_from_slice(entry.body);
        self.spans += 1;
        true
    }

    /// Takes in what one of its spans showed.
    pub(super) fn note(
        &mut self,
        shown: &Shown<'_>,
        policies: &Policies,
        sessions: Option<&SessionKeys>,
    ) {
        self.facts.0 |= shown.facts.0;
        if policies.read_usage() {
            self.more.get_or_insert_default().usage.add(&shown.usage);
        }
        if let (Some(name), Some(keys)) = (shown.session, sessions) {
            let session = &mut self.more.get_or_insert_default().session;
            *session = session.or_else(|| keys.randomness(name));
        }
    }

    /// Takes in what no policy has a part in: when a span was, and what samplers wrote before.
    pub(super) fn note_span(&mut self, span: &SpanView<'_>) {
        let (start, end) = (span.start_unix_nanos(), span.end_unix_nanos());
        if start > 0 {
            self.start = self.start.min(start);
            self.end = self.end.max(end).max(start);
        }
        let state = span.trace_state();
        if !state.is_empty() {
            let state = OtState::read(state);
            self.randomness = self.randomness.or(state.randomness);
            self.threshold = self.threshold.max(state.threshold);
        }
    }

    /// Forgets what its spans showed.
    pub(super) fn forget(&mut self) {
        (self.facts, self.more) = (PassedTests::default(), None);
    }

    /// The spans in the order in which they came.
    pub(super) fn entries(&self) -> TraceEntries<'_> {
        TraceEntries { rest: &self.arena }
    }

    /// The memory that the trace takes.
    pub(super) fn held(&self) -> usize {
        let more = if self.more.is_some() { MORE_OVERHEAD } else { 0 };
        self.arena.capacity() + TRACE_OVERHEAD + more
    }

    /// The randomness of its session, unless a span had some before, or was sampled by its trace id.
    pub(super) fn session(&self) -> Option<Randomness> {
        let before = OtState { threshold: self.threshold, randomness: self.randomness };
        self.more.as_ref()?.session.filter(|_| before.takes_randomness())
    }

    /// How large it is, without what the spans' resources and scopes take.
    pub(super) fn size(&self) -> TraceSize {
        let heads = self.spans.saturating_mul(ENTRY_HEAD as u64);
        TraceSize { spans: self.spans, bytes: (self.arena.len() as u64).saturating_sub(heads) }
    }

    /// The time from the first start to the last end.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_nanos(self.end.saturating_sub(self.start))
    }
}

/// The spans of a trace.
#[derive(Debug, Clone)]
pub(super) struct TraceEntries<'a> {
    rest: &'a [u8],
}

impl<'a> TraceEntries<'a> {
    fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*word))
    }
}

impl<'a> Iterator for TraceEntries<'a> {
    type Item = TraceEntry<'a>;

    fn next(&mut self) -> Option<TraceEntry<'a>> {
        let (metadata, tag) = (self.word()?, self.word()?);
        let time = EventTime { seconds: self.word()?, nanos: self.word()? };
        let length = self.word()?;
        let (body, rest) = self.rest.split_at_checked(length as usize)?;
        self.rest = rest;
        Some(TraceEntry { metadata, tag, time, body })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_come_back_as_they_went_in() {
        let mut trace = Trace::new(TraceId([1; 16]), Tick(0), 0);
        let bodies: Vec<Vec<u8>> = (0..50).map(|length| vec![7; length * 31]).collect();
        for (index, body) in bodies.iter().enumerate() {
            let number = u32::try_from(index).unwrap();
            let time = EventTime { seconds: number, nanos: 9 };
            assert!(trace.push(TraceEntry { metadata: number, tag: 2, time, body }));
        }
        assert_eq!(trace.entries().count(), 50);
        for (index, entry) in trace.entries().enumerate() {
            assert_eq!((entry.metadata as usize, entry.time.seconds as usize), (index, index));
            assert_eq!((entry.tag, entry.body), (2, &bodies[index][..]));
        }
        let bytes: usize = bodies.iter().map(|body| body.len() + ENTRY_HEAD).sum();
        assert!(trace.held() < bytes * 9 / 8 + TRACE_OVERHEAD + 2000);
    }
}
