//! The spans of a trace that are remembered.

use std::time::Duration;

use super::seen::{EngineTimes, SeenSpan};
use crate::clock::Tick;
use crate::correlation::window_map::Weighed;

/// Spans that are remembered of one trace.
pub(super) const MAX_SPANS: usize = 2048;

/// The spans of a trace.
#[derive(Debug, Default)]
pub(super) struct TraceSpans {
    spans: Vec<SeenSpan>,
    /// When each came.
    times: Vec<Tick>,
    /// When a span was not remembered, for want of room.
    full: Option<Tick>,
    engine_bytes: usize,
}

impl Weighed for TraceSpans {
    fn heap_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<SeenSpan>()
            + self.times.capacity() * size_of::<Tick>()
            + self.engine_bytes
    }
}

impl TraceSpans {
    /// Notes a span. Where there is no room, those go that came longer than `window` ago, as a trace may last
    /// for long. Returns whether there is room.
    pub(super) fn note(&mut self, span: SeenSpan, window: Duration, now: Tick) -> bool {
        if self.spans.len() >= MAX_SPANS {
            self.forget_before(window, now);
        }
        if self.spans.len() >= MAX_SPANS {
            self.full = Some(now);
            return false;
        }
        self.engine_bytes += engine_bytes(&span);
        self.spans.push(span);
        self.times.push(now);
        true
    }

    fn forget_before(&mut self, window: Duration, now: Tick) {
        // They are in the order in which they came.
        let old = self.times.partition_point(|time| now.since(*time) > window);
        self.times.drain(..old);
        let gone: usize = self.spans.drain(..old).map(|span| engine_bytes(&span)).sum();
        self.engine_bytes = self.engine_bytes.saturating_sub(gone);
        self.full = self.full.filter(|time| now.since(*time) <= window);
    }

    /// The spans, unless some are missing.
    pub(super) fn all(&self) -> Option<&[SeenSpan]> {
        self.full.is_none().then_some(&self.spans)
    }
}

const fn engine_bytes(span: &SeenSpan) -> usize {
    if span.engine.is_some() { size_of::<EngineTimes>() } else { 0 }
}
