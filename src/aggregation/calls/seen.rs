//! What is told of calls: spans and events that come in, and what they change.

use crate::aggregation::usage::Tokens;
use crate::model::{SpanId, TraceId};

/// What tells the events of one span apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aggregation) struct EventOfCall {
    /// A hash of the event's name.
    pub(in crate::aggregation) name: u32,
    /// A hash of the tokens.
    pub(in crate::aggregation) tokens: u32,
}

/// What a span says that tells tokens.
pub(in crate::aggregation) trait SaidUsage: Copy {
    /// The tokens.
    fn tokens(&self) -> Tokens;
}

/// One span, as far as calls are concerned.
#[derive(Debug, Clone, Copy)]
pub(in crate::aggregation) struct SeenSpan<C> {
    pub(in crate::aggregation) trace: TraceId,
    pub(in crate::aggregation) span: SpanId,
    pub(in crate::aggregation) parent: Option<SpanId>,
    /// For a model call that tells its tokens: a hash of the response id or 0, and what to count.
    pub(in crate::aggregation) call: Option<(u64, C)>,
    /// For another operation that tells tokens, what it says.
    pub(in crate::aggregation) sum: Option<C>,
}

/// A log event in a span that tells the tokens of a model call.
#[derive(Debug, Clone, Copy)]
pub(in crate::aggregation) struct SeenEvent<C> {
    pub(in crate::aggregation) trace: TraceId,
    /// The span that it stands in.
    pub(in crate::aggregation) span: SpanId,
    /// A hash of the response id or 0.
    pub(in crate::aggregation) response: u64,
    pub(in crate::aggregation) event: EventOfCall,
    pub(in crate::aggregation) what: C,
}

/// What an item changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::aggregation) struct CallChanges<C> {
    /// These calls count from now on.
    pub(in crate::aggregation) count: Vec<C>,
    /// These calls were counted before and are to be taken back.
    pub(in crate::aggregation) take_back: Vec<C>,
    /// Whether the item is a call that another one tells of already.
    pub(in crate::aggregation) duplicate: bool,
}

impl<C> Default for CallChanges<C> {
    fn default() -> Self {
        Self { count: Vec::new(), take_back: Vec::new(), duplicate: false }
    }
}

impl<C> CallChanges<C> {
    /// Makes room for those of the next item.
    #[inline]
    pub(in crate::aggregation) fn clear(&mut self) {
        self.count.clear();
        self.take_back.clear();
        self.duplicate = false;
    }

    /// Whether anything changes.
    #[inline]
    pub(in crate::aggregation) const fn is_any(&self) -> bool {
        self.duplicate || !self.count.is_empty() || !self.take_back.is_empty()
    }
}
