//! One trace that waits for its decision: its spans as encoded bytes, and what they showed.

use std::time::Duration;

use super::packed::{Known, pack, unpack};
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
pub(super) const TRACE_OVERHEAD: usize = 296;

/// What [`More`] costs.
const MORE_OVERHEAD: usize = 80;

/// One span that is to be held.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewEntry<'a> {
    /// The number of its metadata.
    pub(super) metadata: u32,
    /// The number of its tag.
    pub(super) tag: u32,
    /// The event's time.
    pub(super) time: EventTime,
    /// The encoded body.
    pub(super) body: &'a [u8],
}

/// One span that is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct TraceEntry<'a> {
    /// The number of its metadata.
    pub(super) metadata: u32,
    /// The number of its tag.
    pub(super) tag: u32,
    /// The event's time.
    pub(super) time: EventTime,
    id: TraceId,
    packed: &'a [u8],
}

impl TraceEntry<'_> {
    /// Appends the encoded body, as it came.
    pub(super) fn body(&self, out: &mut Vec<u8>) {
        unpack(self.packed, Known { id: self.id, time: self.time }, out);
    }
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
    /// The bytes of the encoded bodies, as they came.
    bytes: u64,
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
            bytes: 0,
            has_root: false,
            generation,
            more: None,
            arena: Vec::new(),
        }
    }

    /// Holds one more span; `head` is used again for each. Says whether that worked, which it does for every span
    /// of less than 4 GiB.
    pub(super) fn push(&mut self, entry: NewEntry<'_>, head: &mut Vec<u8>) -> bool {
        let NewEntry { metadata, tag, time, body } = entry;
        head.clear();
        let rest = pack(body, Known { id: self.id, time }, head);
        let Ok(length) = u32::try_from(head.len() + rest.len()) else { return false };
        let packed = head.len();
        write_number(head, metadata);
        write_number(head, tag);
        head.extend_from_slice(&time.seconds.to_le_bytes());
        head.extend_from_slice(&time.nanos.to_le_bytes());
        write_number(head, length);
        let needed = head.len() + rest.len();
        if self.arena.capacity() - self.arena.len() < needed {
            // Growing by an eighth wastes little; the copies that this costs are few, because most
            // traces have few spans.
            self.arena.reserve_exact(needed.max(self.arena.len() / 8));
        }
        let (packed, numbers) = head.split_at_checked(packed).unwrap_or_default();
        self.arena.extend_from_slice(numbers);
        self.arena.extend_from_slice(packed);
        self.arena.extend_from_slice(rest);
        self.spans += 1;
        self.bytes += body.len() as u64;
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
        TraceEntries { id: self.id, rest: &self.arena }
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
        TraceSize { spans: self.spans, bytes: self.bytes }
    }

    /// The time from the first start to the last end.
    pub(super) fn duration(&self) -> Duration {
        Duration::from_nanos(self.end.saturating_sub(self.start))
    }
}

/// The spans of a trace.
#[derive(Debug, Clone)]
pub(super) struct TraceEntries<'a> {
    id: TraceId,
    rest: &'a [u8],
}

impl<'a> TraceEntries<'a> {
    fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_le_bytes(*word))
    }

    fn number(&mut self) -> Option<u32> {
        let (mut number, mut shift) = (0_u32, 0);
        loop {
            let (byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u32::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if *byte < 0x80 {
                return Some(number);
            }
        }
    }
}

impl<'a> Iterator for TraceEntries<'a> {
    type Item = TraceEntry<'a>;

    fn next(&mut self) -> Option<TraceEntry<'a>> {
        let (metadata, tag) = (self.number()?, self.number()?);
        let time = EventTime { seconds: self.word()?, nanos: self.word()? };
        let length = self.number()?;
        let (packed, rest) = self.rest.split_at_checked(length as usize)?;
        self.rest = rest;
        Some(TraceEntry { metadata, tag, time, id: self.id, packed })
    }
}

/// Appends a number in 7 bits a byte, the lowest first, of which all but the last have the highest bit.
fn write_number(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_come_back_as_they_went_in() {
        let mut trace = Trace::new(TraceId([1; 16]), Tick(0), 0);
        let bodies: Vec<Vec<u8>> = (0..50).map(|length| vec![7; length * 310]).collect();
        let numbers = || (0..7_u32).flat_map(|byte| [1_u32 << (byte * 5), (1 << (byte * 4)) - 1]);
        let mut head = Vec::new();
        for (number, body) in numbers().cycle().zip(&bodies) {
            let time = EventTime { seconds: number, nanos: 9 };
            let entry = NewEntry { metadata: number, tag: !number, time, body };
            assert!(trace.push(entry, &mut head));
        }
        assert_eq!(trace.entries().count(), 50);
        for ((number, body), entry) in numbers().cycle().zip(&bodies).zip(trace.entries()) {
            assert_eq!((entry.metadata, entry.tag, entry.time.seconds), (number, !number, number));
            let mut out = Vec::new();
            entry.body(&mut out);
            assert_eq!(&out, body);
        }
        let bytes: usize = bodies.iter().map(Vec::len).sum();
        assert_eq!(trace.size(), TraceSize { spans: 50, bytes: bytes as u64 });
        assert!(trace.held() < (bytes + 50 * 24) * 9 / 8 + TRACE_OVERHEAD);
    }

    /// Guarantees: what a trace of one span takes beside the span is not more than what is counted for it.
    #[test]
    fn what_a_trace_costs_is_counted() {
        assert!(size_of::<Trace>() <= 160, "{}", size_of::<Trace>());
        let mut trace = Trace::new(TraceId([1; 16]), Tick(0), 0);
        let time = EventTime { seconds: 1, nanos: 9 };
        trace.push(NewEntry { metadata: 1, tag: 1, time, body: &[7; 100] }, &mut Vec::new());
        assert_eq!(trace.held(), TRACE_OVERHEAD + 100 + 12, "not a byte more than is needed");
    }
}
