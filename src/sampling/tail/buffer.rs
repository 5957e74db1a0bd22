//! The traces that wait, in memory.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::facts::{Bodies, Held, examine};
use super::found::FoundIn;
use super::interner::Interner;
use super::rules::Rules;
use super::shown::{Shown, resource_tests};
use super::trace::{NewEntry, Trace};
use super::waits::Place;
use crate::clock::Tick;
use crate::codec::records::{Item, Telemetry};
use crate::model::{Position, TraceId};
use crate::sampling::policy::PassedTests;

/// What is common to the spans that follow each other with the same metadata.
#[derive(Debug, Clone, Copy)]
pub(super) struct MetadataRun {
    /// The number of the metadata.
    pub(super) metadata: u32,
    /// The number of the tag.
    pub(super) tag: u32,
    /// The tests that the resource passes.
    pub(super) resource: PassedTests,
    /// Whether we released them.
    pub(super) ours: bool,
}

/// The traces that wait.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    traces: HashMap<TraceId, Box<Trace>, RandomState>,
    trace_bytes: usize,
    metadata: Interner,
    tags: Interner,
    /// Used again for each span that is held.
    head: Vec<u8>,
    /// Who is asked what was found in traces.
    pub(super) found: FoundIn,
}

impl Buffer {
    /// Starts a run of spans with the same metadata. `None` when nothing more can be held.
    pub(super) fn enter(
        &mut self,
        tag: &[u8],
        metadata: &[u8],
        telemetry: &Telemetry<'_>,
        (rules, position): (&Rules, Position),
    ) -> Option<MetadataRun> {
        let metadata = self.metadata.add(metadata)?;
        let Some(tag) = self.tags.add(tag) else {
            self.metadata.release(metadata);
            return None;
        };
        let resource = resource_tests(rules.policies.tests(), telemetry);
        Some(MetadataRun { metadata, tag, resource, ours: telemetry.is_past(position) })
    }

    /// Ends a run.
    pub(super) fn leave(&mut self, metadata_run: Option<MetadataRun>) {
        if let Some(metadata_run) = metadata_run {
            self.metadata.release(metadata_run.metadata);
            self.tags.release(metadata_run.tag);
        }
    }

    /// Holds a span. Says when its trace began, which is `now` for its first one; `None` if the span is too
    /// large.
    pub(super) fn hold(
        &mut self,
        id: TraceId,
        MetadataRun { metadata, tag, .. }: MetadataRun,
        (item, shown): (&Item<'_>, &Shown<'_>),
        (rules, now): (&Rules, Tick),
    ) -> Option<Began> {
        let generation = rules.generation;
        let trace =
            self.traces.entry(id).or_insert_with(|| Box::new(Trace::new(id, now, generation)));
        let is_new = trace.spans == 0;
        let before = if is_new { 0 } else { trace.held() };
        let entry = NewEntry { metadata, tag, time: item.event.time, body: item.event.body };
        if !trace.push(entry, &mut self.head) {
            if is_new {
                self.traces.remove(&id);
            }
            return None;
        }
        if trace.generation == generation {
            trace.note(shown, &rules.policies, rules.sessions.as_ref());
        }
        trace.note_span(&item.span);
        self.trace_bytes = self.trace_bytes.saturating_sub(before) + trace.held();
        self.metadata.again(metadata);
        self.tags.again(tag);
        Some(Began { place: (trace.first_seen, id), is_new })
    }

    /// Notes the root of a trace; says whether it is the first one.
    pub(super) fn root(&mut self, id: TraceId) -> bool {
        let trace = self.traces.get_mut(&id);
        trace.is_some_and(|trace| !std::mem::replace(&mut trace.has_root, true))
    }

    /// Reads a trace again that began under other rules.
    pub(super) fn refresh(&mut self, id: TraceId, rules: &Rules) {
        if rules.generation == 0 {
            return;
        }
        let stale = self.traces.get_mut(&id).filter(|trace| trace.generation != rules.generation);
        let Some(trace) = stale else { return };
        let before = trace.held();
        examine(trace, &rules.policies, rules.sessions.as_ref(), &self.metadata);
        trace.generation = rules.generation;
        self.trace_bytes = self.trace_bytes.saturating_sub(before) + trace.held();
    }

    /// Whether a trace waits.
    pub(super) fn contains(&self, id: TraceId) -> bool {
        self.traces.contains_key(&id)
    }

    /// A trace that waits.
    pub(super) fn get(&self, id: TraceId) -> Option<&Trace> {
        self.traces.get(&id).map(AsRef::as_ref)
    }

    /// The trace of a queue's place, unless it was decided before.
    pub(super) fn at(&self, (first_seen, id): Place) -> Option<&Trace> {
        self.get(id).filter(|trace| trace.first_seen == first_seen)
    }

    /// A trace as policies see it.
    pub(super) fn facts_of<'t>(
        &'t self,
        trace: &'t Trace,
        bodies: &'t Bodies,
        rules: &Rules,
    ) -> Held<'t> {
        Held::new((trace, bodies), self.shared(), rules.errors, &self.found)
    }

    /// Takes a trace out. What it shares is still there, until [`Buffer::forget`].
    pub(super) fn remove(&mut self, id: TraceId) -> Option<Box<Trace>> {
        let trace = self.traces.remove(&id)?;
        self.trace_bytes = self.trace_bytes.saturating_sub(trace.held());
        Some(trace)
    }

    /// Releases what a trace that was taken out shares with others.
    pub(super) fn forget(&mut self, trace: &Trace) {
        for entry in trace.entries() {
            self.metadata.release(entry.metadata);
            self.tags.release(entry.tag);
        }
    }

    /// Metadata and tags.
    pub(super) const fn shared(&self) -> (&Interner, &Interner) {
        (&self.metadata, &self.tags)
    }

    /// How many traces wait.
    pub(super) fn len(&self) -> usize {
        self.traces.len()
    }

    /// The memory that all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.trace_bytes + self.metadata.held() + self.tags.held()
    }
}

/// A span is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Began {
    /// Its trace.
    pub(super) place: Place,
    /// Whether it is the first one.
    pub(super) is_new: bool,
}
