//! Broken context: spans whose parent never came, roots beside a root, clocks that differ, found when
//! nothing more comes of a trace, and counted by services.

mod counts;
mod kinds;
mod services;
mod trace;

use std::sync::Arc;
use std::time::Duration;

pub use self::kinds::{BrokenKind, Unexamined};

use self::counts::BrokenCounts;
use self::services::{ServiceNames, ServiceNumber};
use self::trace::{CallSide, SeenSpan, TraceSpans, TraceState};
use super::window_map::WindowMap;
use crate::clock::Tick;
use crate::codec::msgpack::{MapView, int_of, text_of};
use crate::codec::records::layout::keys;
pub use crate::codec::records::metric_writer::Temporality as MetricTemporality;
use crate::codec::records::{ItemReader, SpanView, Telemetry};
use crate::model::{Emission, Position, TraceId};

/// How broken context is found.
#[derive(Debug)]
pub struct BrokenContextConfig {
    /// How long after its last span a trace is looked at.
    pub window: Duration,
    /// How far clocks may differ.
    pub tolerance: Duration,
    /// The most memory for spans of traces.
    pub max_bytes: usize,
    /// What the points of the metric cover.
    pub temporality: MetricTemporality,
    /// How often it is emitted.
    pub interval: Duration,
    /// Marks what is emitted, so that the filters up to here leave it alone.
    pub position: Position,
}

/// What has happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BrokenContextTally {
    /// Traces that were looked at.
    pub examined: u64,
    /// Traces that were not, by the order of [`Unexamined::ALL`].
    pub unexamined: [u64; Unexamined::ALL.len()],
    /// Spans that came after their trace had been looked at.
    pub late_spans: u64,
    /// What was found, by the order of [`BrokenKind::ALL`].
    pub broken: [u64; BrokenKind::ALL.len()],
}

fn increase<const N: usize>(counts: &mut [u64; N], index: usize, more: u64) {
    if let Some(count) = counts.get_mut(index) {
        *count = count.saturating_add(more);
    }
}

/// Finds broken context.
#[derive(Debug)]
pub struct BrokenContextFinder {
    traces: WindowMap<TraceId, TraceSpans>,
    services: ServiceNames,
    counts: BrokenCounts,
    tolerance: Duration,
    interval: Duration,
    position: Position,
    started: u64,
    exported: Tick,
    /// The tag of the last span.
    tag: Arc<[u8]>,
    closed: bool,
    put_back: Vec<Emission>,
    tally: BrokenContextTally,
}

impl BrokenContextFinder {
    /// One that begins now.
    #[must_use]
    pub fn new(config: BrokenContextConfig, now: Tick, unix_nanos: u64) -> Self {
        Self {
            traces: WindowMap::new(config.window, config.max_bytes),
            services: ServiceNames::default(),
            counts: BrokenCounts::new(config.temporality, config.position, unix_nanos),
            tolerance: config.tolerance,
            interval: config.interval,
            position: config.position,
            started: unix_nanos,
            exported: now,
            tag: Arc::default(),
            closed: false,
            put_back: Vec::new(),
            tally: BrokenContextTally::default(),
        }
    }

    /// Looks at the spans of a chunk.
    pub fn on_chunk(&mut self, tag: &[u8], chunk: &[u8], now: Tick) {
        let mut items = ItemReader::new(chunk);
        let mut service = None;
        while let Some(step) = items.step(&mut ()) {
            let Some((item, telemetry)) = step.span() else { continue };
            if telemetry.is_past(self.position) {
                continue;
            }
            let known = service.filter(|_| !item.new_metadata);
            let number = known.unwrap_or_else(|| self.service_of(telemetry));
            service = Some(number);
            if *self.tag != *tag {
                self.tag = tag.into();
            }
            if let Some((trace, span)) = item.span.trace_id().zip(seen(&item.span, number)) {
                self.span(trace, span, now);
            }
        }
        self.note_forgotten();
    }

    /// What is to be emitted now. With `everything`, nothing is looked at from then on.
    pub fn take(&mut self, everything: bool, now: Tick, unix_nanos: u64) -> Vec<Emission> {
        self.examine(now);
        if everything && !self.closed {
            self.closed = true;
            let is_open = |trace: &&TraceSpans| trace.state != TraceState::Examined;
            let open = self.traces.values().filter(is_open).count();
            let open = u64::try_from(open).unwrap_or(u64::MAX);
            increase(&mut self.tally.unexamined, Unexamined::Shutdown as usize, open);
            self.traces.clear();
        } else if everything || now.since(self.exported) < self.interval {
            return std::mem::take(&mut self.put_back);
        }
        self.exported = now;
        let mut emissions = std::mem::take(&mut self.put_back);
        emissions.extend(self.counts.export(&self.services, unix_nanos));
        emissions
    }

    /// Takes back what could not be emitted; it is given again by the next
    /// [`BrokenContextFinder::take`].
    pub fn put_back(&mut self, emission: Emission) {
        self.put_back.push(emission);
    }

    /// What has happened so far.
    #[must_use]
    pub const fn tally(&self) -> &BrokenContextTally {
        &self.tally
    }

    /// The memory that spans take, in bytes.
    #[must_use]
    pub const fn held_bytes(&self) -> usize {
        self.traces.bytes()
    }

    fn service_of(&mut self, telemetry: &Telemetry<'_>) -> ServiceNumber {
        let name = telemetry
            .resource
            .and_then(|resource| MapView::new(resource).get(keys::ATTRIBUTES))
            .and_then(|attributes| MapView::new(attributes).get(b"service.name"))
            .and_then(text_of);
        self.services.number(name.unwrap_or_default())
    }

    fn span(&mut self, trace: TraceId, span: SeenSpan, now: Tick) {
        if self.closed {
            return;
        }
        let tag = &self.tag;
        let state = self.traces.change(trace, now, |spans| {
            if spans.state == TraceState::Open {
                spans.note(span);
                spans.tag = Arc::clone(tag);
            }
            spans.state
        });
        if state == TraceState::Examined {
            self.tally.late_spans = self.tally.late_spans.saturating_add(1);
        }
    }

    fn note_forgotten(&mut self) {
        let forgotten = self.traces.forgotten();
        if let Some(count) = self.tally.unexamined.get_mut(Unexamined::Memory as usize) {
            *count = forgotten;
        }
    }

    /// Looks at the traces of which nothing more comes.
    fn examine(&mut self, now: Tick) {
        let (counts, tally) = (&mut self.counts, &mut self.tally);
        let (tolerance, started) = (self.tolerance, self.started);
        let mut examined = Vec::new();
        self.traces.expire(now, |trace, spans| {
            match spans.state {
                TraceState::Examined => return,
                TraceState::Full => {
                    increase(&mut tally.unexamined, Unexamined::Spans as usize, 1);
                }
                TraceState::Open if spans.began_before(started) => {
                    increase(&mut tally.unexamined, Unexamined::Start as usize, 1);
                }
                TraceState::Open => {
                    tally.examined = tally.examined.saturating_add(1);
                    spans.examine(tolerance, |broken| {
                        increase(&mut tally.broken, broken.kind as usize, 1);
                        counts.add(&spans.tag, broken);
                    });
                }
            }
            examined.push(trace);
        });
        // What comes late of a trace would look broken: it is known for one more window.
        for trace in examined {
            self.traces.change(trace, now, |spans| spans.state = TraceState::Examined);
        }
        self.note_forgotten();
    }
}

/// What is to be remembered of a span; `None` if it has no id.
fn seen(span: &SpanView<'_>, service: ServiceNumber) -> Option<SeenSpan> {
    /// OTLP's flags: whether it is known if the parent is in another process, and whether it is.
    const REMOTE: i64 = 0x300;
    let side = match text_of(span.kind) {
        Some("client") => CallSide::Client,
        Some("server") => CallSide::Server,
        _ => CallSide::Other,
    };
    Some(SeenSpan {
        span: span.span_id()?,
        parent: span.parent_span_id(),
        parent_is_remote: int_of(span.flags).is_some_and(|flags| flags & REMOTE == REMOTE),
        service,
        side,
        start: span.start_unix_nanos(),
        end: span.end_unix_nanos(),
    })
}

#[cfg(test)]
mod tests;
