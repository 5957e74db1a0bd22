//! What is wrong with a trace, by all of its spans.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use foldhash::fast::RandomState;

use super::kinds::BrokenKind;
use super::services::ServiceNumber;
use crate::correlation::window_map::Weighed;
use crate::model::SpanId;

/// Spans that are remembered of one trace; of one with more it cannot be said what is missing.
pub(super) const MAX_SPANS: usize = 4096;

/// Which side of a call a span is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallSide {
    /// Who calls.
    Client,
    /// Who is called.
    Server,
    /// Neither.
    Other,
}

/// What is remembered of a span.
#[derive(Debug, Clone, Copy)]
pub(super) struct SeenSpan {
    pub(super) span: SpanId,
    pub(super) parent: Option<SpanId>,
    /// Whether the span says that its parent is in another process.
    pub(super) parent_is_remote: bool,
    pub(super) service: ServiceNumber,
    pub(super) side: CallSide,
    /// Nanoseconds since the Unix epoch; 0 if it is not known.
    pub(super) start: u64,
    pub(super) end: u64,
}

/// How a trace stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum TraceState {
    /// Its spans come.
    #[default]
    Open,
    /// It has too many spans.
    Full,
    /// It was looked at; what comes now is late.
    Examined,
}

/// The spans of a trace.
#[derive(Debug, Default)]
pub(super) struct TraceSpans {
    pub(super) spans: Vec<SeenSpan>,
    pub(super) state: TraceState,
    /// The tag of its last span.
    pub(super) tag: Arc<[u8]>,
}

/// Something that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Broken {
    pub(super) kind: BrokenKind,
    /// The service of the span.
    pub(super) service: ServiceNumber,
    /// That of the span above it, or of the trace's first root, if it is known.
    pub(super) peer: Option<ServiceNumber>,
}

impl Weighed for TraceSpans {
    fn heap_bytes(&self) -> usize {
        self.spans.capacity() * size_of::<SeenSpan>()
    }

    fn is_loss(&self) -> bool {
        self.state != TraceState::Examined
    }
}

impl TraceSpans {
    /// Notes a span, if the trace still takes some.
    pub(super) fn note(&mut self, span: SeenSpan) {
        if self.spans.len() < MAX_SPANS {
            self.spans.push(span);
        } else {
            self.state = TraceState::Full;
            self.spans = Vec::new();
        }
    }

    /// Whether it began before this time, in nanoseconds since the Unix epoch.
    pub(super) fn began_before(&self, unix_nanos: u64) -> bool {
        self.spans.iter().any(|span| (1..unix_nanos).contains(&span.start))
    }

    /// Says what is wrong.
    pub(super) fn examine(&self, tolerance: Duration, mut found: impl FnMut(Broken)) {
        let tolerance = u64::try_from(tolerance.as_nanos()).unwrap_or(u64::MAX);
        let mut known = HashMap::<SpanId, &SeenSpan, RandomState>::default();
        for span in &self.spans {
            // A span that comes twice was sent again.
            known.entry(span.span).or_insert(span);
        }
        let mut first_root: Option<&SeenSpan> = None;
        let is_root = |span: &&SeenSpan| span.parent.is_none();
        for root in known.values().copied().filter(is_root) {
            let earlier = |first: &SeenSpan| (first.start, first.span) < (root.start, root.span);
            if !first_root.is_some_and(earlier) {
                first_root = Some(root);
            }
        }
        for span in known.values() {
            let wrong = match span.parent {
                None => several_roots(span, first_root),
                Some(parent) => match known.get(&parent).filter(|above| above.span != span.span) {
                    Some(above) => clock_skew(span, above, tolerance),
                    None => Some((missing_parent(span), None)),
                },
            };
            if let Some((kind, peer)) = wrong {
                found(Broken { kind, service: span.service, peer });
            }
        }
    }
}

const fn missing_parent(span: &SeenSpan) -> BrokenKind {
    if span.parent_is_remote { BrokenKind::RemoteParent } else { BrokenKind::Orphan }
}

fn several_roots(
    root: &SeenSpan,
    first: Option<&SeenSpan>,
) -> Option<(BrokenKind, Option<ServiceNumber>)> {
    let first = first.filter(|first| first.span != root.span)?;
    Some((BrokenKind::SeveralRoots, Some(first.service)))
}

/// Whether the clocks of a span and of the one above it differ: nothing begins before what made it, and
/// no answer that took less time than its call ends after it.
fn clock_skew(
    span: &SeenSpan,
    above: &SeenSpan,
    tolerance: u64,
) -> Option<(BrokenKind, Option<ServiceNumber>)> {
    let has_times = |span: &SeenSpan| span.start > 0 && span.end >= span.start;
    if !has_times(span) || !has_times(above) {
        return None;
    }
    let is_early = span.start.saturating_add(tolerance) < above.start;
    let is_call = (above.side, span.side) == (CallSide::Client, CallSide::Server);
    let is_late = is_call
        && span.end - span.start <= above.end - above.start
        && above.end.saturating_add(tolerance) < span.end;
    (is_early || is_late).then_some((BrokenKind::ClockSkew, Some(above.service)))
}
