//! What spans show while they are taken in, and a held trace as policies see it.

use std::cell::OnceCell;
use std::time::Duration;

use super::interner::Interner;
use super::trace::Trace;
use crate::codec::records::{AttributeVisitor, Event, EventKind};
use crate::condition::{Condition, ConditionError, ConditionRecord, ConditionSubject};
use crate::model::ErrorRule;
use crate::sampling::policy::{
    PassedTests, Policies, SpanParts, SpanTests, SpanUsage, TraceFacts, TraceSize, TraceUsage,
};
use crate::sampling::session::{SessionKeys, SessionName};
use crate::sampling::threshold::{Randomness, Threshold};

/// What the attributes of a span show.
#[derive(Default)]
pub(super) struct Shown<'a> {
    pub(super) facts: PassedTests,
    pub(super) usage: SpanUsage,
    pub(super) session: Option<SessionName<'a>>,
}

/// Collects it.
pub(super) struct FactVisitor<'t, 'a> {
    tests: &'t SpanTests,
    reads_usage: bool,
    sessions: Option<&'t SessionKeys>,
    pub(super) shown: Shown<'a>,
}

impl<'t> FactVisitor<'t, '_> {
    pub(super) fn new(policies: &'t Policies, sessions: Option<&'t SessionKeys>) -> Self {
        let (tests, reads_usage) = (policies.tests(), policies.read_usage());
        Self { tests, reads_usage, sessions, shown: Shown::default() }
    }
}

impl<'a> AttributeVisitor<'a> for FactVisitor<'_, 'a> {
    #[inline]
    fn attribute(&mut self, key: &'a [u8], value: &'a [u8]) {
        self.tests.attribute(&mut self.shown.facts, key, value);
        if self.reads_usage {
            self.shown.usage.attribute(key, value);
        }
        if let Some(sessions) = self.sessions {
            sessions.attribute(&mut self.shown.session, key, value);
        }
    }
}

/// A held trace, as policies see it.
pub(super) struct Held<'t> {
    pub(super) trace: &'t Trace,
    pub(super) metadata: &'t Interner,
    pub(super) tags: &'t Interner,
    pub(super) errors: ErrorRule,
    /// Its spans, once they were asked for.
    pub(super) spans: OnceCell<Vec<SpanParts<'t>>>,
}

impl<'t> Held<'t> {
    fn events(&self) -> impl Iterator<Item = (Event<'t>, u32)> {
        let metadata = self.metadata;
        self.trace.entries().map(move |entry| {
            let (time, body) = (entry.time, entry.body);
            let (kind, metadata) = (EventKind::Record, metadata.get(entry.metadata));
            (Event { raw: body, kind, time, metadata, body, group: None }, entry.tag)
        })
    }
}

impl TraceFacts for Held<'_> {
    fn passed_tests(&self) -> PassedTests {
        self.trace.facts
    }

    fn duration(&self) -> Duration {
        self.trace.duration()
    }

    fn size(&self) -> TraceSize {
        self.trace.size()
    }

    fn usage(&self) -> TraceUsage {
        self.trace.more.as_ref().map(|more| more.usage).unwrap_or_default()
    }

    fn randomness(&self) -> Randomness {
        let randomness = self.trace.randomness.or_else(|| self.trace.session());
        randomness.unwrap_or(Randomness::of_trace(self.trace.id))
    }

    fn threshold_before(&self) -> Option<Threshold> {
        self.trace.threshold
    }

    fn spans(&self) -> &[SpanParts<'_>] {
        self.spans
            .get_or_init(|| self.events().map(|(event, _)| SpanParts::of_event(&event)).collect())
    }

    fn meets(&self, condition: &Condition) -> Result<bool, ConditionError> {
        let records: Vec<ConditionRecord<'_>> = self
            .events()
            .map(|(event, tag)| ConditionRecord::new(event, event.telemetry(), self.tags.get(tag)))
            .collect();
        condition.evaluate(&ConditionSubject::Trace(&records, self.errors))
    }
}
