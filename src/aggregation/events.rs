//! Log events of operations: those that coding agents send of calls to models and of tools.
//!
//! An event tells of an operation as a span does, and often both come. One that stands in a span adds
//! only tokens, by [`super::calls`]: of all else that span tells. One that stands in none is told apart by
//! the id of the response or of the tool call, which spans have too: what was counted of it is taken
//! back when such a span comes.

use std::collections::HashMap;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::attribute::Attribute;
use super::fields::SpanFields;
use super::number::amount;
use crate::clock::Tick;
use crate::codec::msgpack::{Reader, text_of};

/// Events whose `duration_ms` is that of a part of the call.
const OF_PARTS: &[&str] = &["codex.sse_event"];

/// A hash of an operation's id: that of the response of a model, or of the call of a tool; `None` where
/// there is none.
#[inline]
pub(super) fn operation_id(fields: &SpanFields<'_>, calls_model: bool) -> Option<u64> {
    let (attribute, seed) =
        if calls_model { (Attribute::ResponseId, 0) } else { (Attribute::ToolCallId, 1) };
    let id = Reader::new(fields.get(attribute)).str().ok().filter(|id| !id.is_empty())?;
    Some(xxhash_rust::xxh3::xxh3_64_with_seed(id, seed))
}

/// What the operation of an event took, in nanoseconds, if it says so.
pub(super) fn nanos(fields: &SpanFields<'_>) -> Option<u64> {
    let name = text_of(fields.get(Attribute::EventName));
    if name.is_some_and(|name| OF_PARTS.contains(&name)) {
        return None;
    }
    let encoded = fields.get(Attribute::DurationMillis);
    let text = || text_of(encoded)?.parse::<f64>().ok();
    let millis = amount(encoded).or_else(text)?;
    let duration = Duration::try_from_secs_f64(millis / 1e3).ok()?;
    u64::try_from(duration.as_nanos()).ok()
}

/// Remembers which operations were told of, by their ids.
#[derive(Debug)]
pub(super) struct EventTracker<E> {
    window: Duration,
    max: usize,
    turned: Tick,
    young: HashMap<u64, Told<E>, RandomState>,
    old: HashMap<u64, Told<E>, RandomState>,
}

/// What told of an operation.
#[derive(Debug)]
enum Told<E> {
    Span,
    /// An event, and what was counted of it.
    Event(Box<E>),
}

impl<E> EventTracker<E> {
    /// A tracker that remembers an operation for at least `window`, unless there are more than `max`.
    pub(super) fn new(window: Duration, max: usize) -> Self {
        let (young, old) = (HashMap::default(), HashMap::default());
        Self { window, max: max.max(2), turned: Tick(0), young, old }
    }

    /// Notes that a span tells of an operation, and gives what an event had told of it.
    #[inline]
    pub(super) fn span(&mut self, id: u64, now: Tick) -> Option<Box<E>> {
        self.turn(now);
        let earlier = if self.old.is_empty() { None } else { self.old.remove(&id) };
        match self.young.insert(id, Told::Span).or(earlier) {
            Some(Told::Event(event)) => Some(event),
            _ => None,
        }
    }

    /// Whether nothing told of an operation yet.
    pub(super) fn is_new(&self, id: u64) -> bool {
        !self.young.contains_key(&id) && !self.old.contains_key(&id)
    }

    /// Notes that an event told of an operation, and what was counted of it.
    pub(super) fn event(&mut self, id: u64, counted: E, now: Tick) {
        self.turn(now);
        self.young.insert(id, Told::Event(Box::new(counted)));
    }

    #[inline]
    fn turn(&mut self, now: Tick) {
        if now.since(self.turned) < self.window && self.young.len() < self.max / 2 {
            return;
        }
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.clear();
        if now.since(self.turned) >= self.window.saturating_mul(2) {
            self.old.clear();
        }
        self.turned = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregation::fields::SpanFieldVisitor;
    use crate::codec::msgpack::str;
    use crate::codec::records::AttributeVisitor;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_span_takes_the_place_of_an_event() {
        let mut tracker = EventTracker::new(Duration::from_secs(60), 100);
        assert!(tracker.is_new(1));
        tracker.event(1, "one", Tick(1));
        assert!(!tracker.is_new(1));
        assert_eq!(tracker.span(1, Tick(61 * SECOND)).as_deref(), Some(&"one"));
        assert_eq!(tracker.span(1, Tick(62 * SECOND)), None, "it was taken back");
        assert!(!tracker.is_new(1) && tracker.span(2, Tick(62 * SECOND)).is_none());
        assert!(tracker.span(3, Tick(300 * SECOND)).is_none() && tracker.is_new(1));
    }

    #[test]
    fn so_many_operations_are_remembered() {
        let mut tracker = EventTracker::new(Duration::from_secs(60), 100);
        for id in 0..1000 {
            tracker.event(id, id, Tick(1));
            assert!(tracker.young.len() + tracker.old.len() <= 100);
        }
        assert!(!tracker.is_new(999) && tracker.is_new(0));
    }

    #[test]
    fn durations_are_numbers_or_text() {
        let took = |name: &str, millis: &[u8]| {
            let mut encoded = Vec::new();
            str(&mut encoded, name);
            let mut visitor = SpanFieldVisitor::new(&[]);
            visitor.attribute(b"event.name", &encoded);
            visitor.attribute(b"duration_ms", millis);
            nanos(&visitor.fields)
        };
        assert_eq!(took("api_request", &[0xcd, 0x03, 0x84]), Some(900_000_000));
        assert_eq!(took("codex.tool_result", b"\xa15"), Some(5_000_000));
        assert_eq!(took("codex.sse_event", b"\xa15"), None);
        assert_eq!(took("api_request", b"\xa3one"), None);
        assert_eq!(took("api_request", b"\xa3-10"), None);
        assert_eq!(took("api_request", b"\xa3inf"), None);
    }
}
