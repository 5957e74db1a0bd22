//! Waits that are learned: how long traces of a shape go on.
//!
//! A shape is what is known of a trace when its first span comes: the resource and the scope of that span, its
//! name, and whether it is the root. How long traces of a shape go on is seen when their root comes, which
//! ends last, and when spans come too late.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::interner::Interner;
use super::trace::Trace;
use crate::clock::Tick;
use crate::codec::records::SpanView;
use crate::model::TraceId;
use crate::sampling::trace_cache::TraceCache;

/// How many shapes are known at once; those seen least lately are forgotten.
const SHAPES: usize = 4096;
/// What part of the way the estimate goes up to a trace that went on for longer.
const UP: u32 = 2;
/// What part of the way it goes down to one that was shorter. With [`UP`] it comes to rest where one long trace in
/// 65 weighs as much as the others: an expectile of 64/65.
const DOWN: u32 = 128;

/// The shape of a trace, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Shape(u64);

impl Shape {
    /// The shape of a trace that has a span.
    pub(super) fn of(trace: &Trace, metadata: &Interner) -> Option<Self> {
        let first = trace.entries().next()?;
        let mut body = Vec::new();
        first.body(&mut body);
        let span = SpanView::new(&body);
        let is_root = u64::from(span.parent_span_id.is_empty());
        Some(Self(xxh3_64_with_seed(span.name, metadata.hash(first.metadata) ^ is_root)))
    }
}

/// How long traces go on by their shape.
#[derive(Debug)]
pub(super) struct LearnedWaits {
    shapes: TraceCache<Duration, Shape>,
    /// Traces that were decided: spans that come later say that they went on.
    decided: TraceCache<(Shape, Tick)>,
}

impl LearnedWaits {
    /// Nothing is known yet. Of so many traces what comes late is learned from.
    pub(super) fn new(decided: usize) -> Self {
        Self { shapes: TraceCache::new(SHAPES), decided: TraceCache::new(decided) }
    }

    /// How long to wait for a trace: a quarter longer than its likes go on.
    pub(super) fn wait(&mut self, shape: Shape) -> Option<Duration> {
        self.shapes.get(shape).map(|estimate| estimate.saturating_add(estimate / 4))
    }

    /// A trace was seen to go on for so long.
    pub(super) fn observe(&mut self, shape: Shape, lasted: Duration) {
        let estimate = self.shapes.get(shape).map_or(lasted, |estimate| {
            if lasted > estimate {
                estimate.saturating_add((lasted - estimate) / UP)
            } else {
                estimate.saturating_sub((estimate - lasted) / DOWN)
            }
        });
        self.shapes.insert(shape, estimate);
    }

    /// A trace was decided.
    pub(super) fn decided(&mut self, trace: &Trace, metadata: &Interner) {
        if let Some(shape) = Shape::of(trace, metadata) {
            self.decided.insert(trace.id, (shape, trace.first_seen));
        }
    }

    /// The memory that it takes now, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.shapes.bytes() + self.decided.bytes()
    }

    /// A span came after the decision about its trace.
    pub(super) fn late(&mut self, id: TraceId, now: Tick) {
        if let Some((shape, first_seen)) = self.decided.get(id) {
            self.observe(shape, now.since(first_seen));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape(1);

    fn seconds(of: u64) -> Duration {
        Duration::from_secs(of)
    }

    /// Scenario: a shape whose traces last for 2 s, of which one in ten lasts 40 minutes; then no more of these.
    /// Guarantees: the estimate comes near the long ones while they are there, and goes down after them.
    #[test]
    fn an_estimate_follows_the_long_ones() {
        let mut learned = LearnedWaits::new(16);
        assert_eq!(learned.wait(SHAPE), None);
        learned.observe(SHAPE, seconds(2));
        assert_eq!(learned.wait(SHAPE), Some(Duration::from_millis(2500)));
        for _ in 0..100 {
            learned.observe(SHAPE, seconds(2400));
            (0..9).for_each(|_| learned.observe(SHAPE, seconds(2)));
        }
        let wait = learned.wait(SHAPE).unwrap();
        assert!(wait > seconds(2000) && wait < seconds(3000), "{wait:?}");
        (0..1500).for_each(|_| learned.observe(SHAPE, seconds(2)));
        let wait = learned.wait(SHAPE).unwrap();
        assert!(wait < seconds(3), "{wait:?}");
        assert_eq!(learned.wait(Shape(2)), None);
    }

    #[test]
    fn shapes_are_bounded() {
        let mut learned = LearnedWaits::new(16);
        (0..100_000).for_each(|shape| learned.observe(Shape(shape), seconds(1)));
        let known = (0..100_000).filter(|shape| learned.wait(Shape(*shape)).is_some()).count();
        assert!((SHAPES / 2..=SHAPES).contains(&known), "{known}");
    }
}
