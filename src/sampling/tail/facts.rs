//! A held trace as policies see it.

use std::cell::OnceCell;
use std::time::Duration;

use super::found::FoundIn;
use super::interner::Interner;
use super::shown::{FactVisitor, resource_tests};
use super::trace::Trace;
use crate::codec::records::edit::event_start;
use crate::codec::records::{Event, EventKind, ItemReader};
use crate::condition::{Condition, ConditionError, ConditionRecord, ConditionSubject};
use crate::model::ErrorRule;
use crate::sampling::policy::{
    PassedTests, Policies, SpanParts, TraceFacts, TraceSize, TraceUsage,
};
use crate::sampling::session::SessionKeys;
use crate::sampling::threshold::{Randomness, Threshold};

/// The bodies of a trace's spans one after the other, and where each ends, once they were asked for.
#[derive(Default)]
pub(super) struct Bodies(OnceCell<(Vec<u8>, Vec<usize>)>);

impl Bodies {
    /// The bodies in the order of the spans.
    fn of(&self, trace: &Trace) -> impl Iterator<Item = &[u8]> {
        let (bytes, ends) = self.0.get_or_init(|| {
            let mut bytes = Vec::new();
            let ends = trace.entries().map(|entry| {
                entry.body(&mut bytes);
                bytes.len()
            });
            let ends = ends.collect();
            (bytes, ends)
        });
        let mut start = 0;
        ends.iter().map(move |end| {
            bytes.get(std::mem::replace(&mut start, *end)..*end).unwrap_or_default()
        })
    }
}

/// A held trace, as policies see it.
pub(super) struct Held<'t> {
    trace: &'t Trace,
    bodies: &'t Bodies,
    metadata: &'t Interner,
    tags: &'t Interner,
    errors: ErrorRule,
    found: &'t FoundIn,
    /// Its spans, once they were asked for.
    spans: OnceCell<Vec<SpanParts<'t>>>,
}

impl<'t> Held<'t> {
    pub(super) const fn new(
        (trace, bodies): (&'t Trace, &'t Bodies),
        (metadata, tags): (&'t Interner, &'t Interner),
        errors: ErrorRule,
        found: &'t FoundIn,
    ) -> Self {
        Self { trace, bodies, metadata, tags, errors, found, spans: OnceCell::new() }
    }

    fn events(&self) -> impl Iterator<Item = (Event<'t>, u32)> {
        let metadata = self.metadata;
        self.trace.entries().zip(self.bodies.of(self.trace)).map(move |(entry, body)| {
            let time = entry.time;
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

    fn has_finding(&self) -> bool {
        self.found.ask(self.trace.id)
    }

    fn is_exemplar(&self) -> bool {
        self.found.is_exemplar(self.trace.id)
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

/// Reads the spans of a held trace again, for policies and sessions that were not asked when they came.
pub(super) fn examine(
    trace: &mut Trace,
    policies: &Policies,
    sessions: Option<&SessionKeys>,
    metadata: &Interner,
) {
    let mut chunk = Vec::new();
    for entry in trace.entries() {
        event_start(&mut chunk, entry.time, metadata.get(entry.metadata));
        entry.body(&mut chunk);
    }
    trace.forget();
    let mut visitor = FactVisitor::new(policies, sessions);
    let mut items = ItemReader::new(&chunk);
    let mut resource = None;
    while let Some(step) = items.step(&mut visitor) {
        let mut shown = std::mem::take(&mut visitor.shown);
        let Some((item, telemetry)) = step.span() else { continue };
        if item.new_metadata {
            resource = None;
        }
        let tests = policies.tests();
        let resource = *resource.get_or_insert_with(|| resource_tests(tests, telemetry));
        shown.complete(tests, resource, &item.span);
        trace.note(&shown, policies, sessions);
    }
}
