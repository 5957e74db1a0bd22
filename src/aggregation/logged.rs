//! Logged operations: log events, and logs of model servers that tell of a call.

use super::attribute::Attribute;
use super::calls::{EventOfCall, SeenEvent};
use super::fields::{SpanFieldVisitor, divided};
use super::group::CountedEvent;
use super::log_event::LogEvent;
use super::measured::MeasuredSpan;
use super::metadata_run::MetadataRun;
use super::number::low;
use super::responses::AnsweredCall;
use super::usage::TokenCounts;
use super::{Aggregator, events, observe};
use crate::clock::Tick;
use crate::codec::records::{ItemStep, StatusCode};
use crate::model::{SpanId, TraceId};

impl Aggregator {
    /// Measures a log event of an operation.
    pub(super) fn event<'a>(
        &mut self,
        tag: &[u8],
        metadata_run: &mut MetadataRun<'a>,
        log: &LogEvent<'a>,
        visitor: &mut SpanFieldVisitor<'_, 'a>,
        at: (Tick, u64),
    ) {
        metadata_run.complete(&mut visitor.further);
        let (fields, ids) = (&visitor.fields, log.ids);
        let nanos = events::nanos(fields);
        let is_tool = fields.has_any(Attribute::ToolName.bit() | Attribute::ToolCallId.bit());
        if is_tool && nanos.is_none() && !fields.calls_model() {
            // It tells of a decision, not of the tool.
            return;
        }
        let from = nanos.map_or(0, |nanos| log.unix_nanos.saturating_sub(nanos));
        let (further, budgeted) = divided(&visitor.further, self.own_dimensions);
        let measured = MeasuredSpan {
            fields,
            further,
            status: StatusCode::Unset,
            kind: &[],
            events: &[],
            from,
            to: log.unix_nanos,
            ids,
            weight: 1.0,
            is_kept: self.is_kept(ids),
            spender: self.spender(fields, budgeted, log.unix_nanos),
        };
        let Some(group) = self.group_of(tag, metadata_run, Some(&log.telemetry), &measured) else {
            self.tally.overflow += 1;
            return;
        };
        self.tally.measured_events += 1;
        let id = events::operation_id(fields, fields.calls_model());
        match ids {
            Some((trace, span)) => {
                self.event_in_span(group, (trace, span, log.name), id, &measured, at);
            }
            None => {
                let counts = self.event_alone(group, id, &measured, at);
                if let Some(findings) = &mut self.findings {
                    observe::tell(findings, &metadata_run.origin, &measured, counts.as_ref());
                }
            }
        }
    }

    /// Measures the tokens of an event that stands in a span.
    fn event_in_span(
        &mut self,
        group: usize,
        (trace, span, name): (TraceId, SpanId, &[u8]),
        id: Option<u64>,
        measured: &MeasuredSpan<'_, '_>,
        at: (Tick, u64),
    ) {
        let Some(found) = self.groups.measure_tokens(group, measured, at) else { return };
        self.tally.overflow += u64::from(found.is_overflow);
        let Some(mut what) = found.tokens else { return };
        if let Some(models) = &mut self.models {
            what.model = models.index(measured, at.0);
        }
        let response = id.map_or(0, |id| id.max(1));
        let name = xxhash_rust::xxh3::xxh3_64(name);
        let tokens = xxhash_rust::xxh3::xxh3_64(&what.tokens.distinctive().to_le_bytes());
        let event = EventOfCall { name: low(name), tokens: low(tokens) };
        let (from, to) = (measured.from, measured.to);
        let what = AnsweredCall { answer: 0, ids: (trace, span), from, to, what };
        let seen = SeenEvent { trace, span, response, event, what };
        self.settle(at.0, |calls, changes| calls.observe_event(&seen, at.0, changes));
    }

    /// Measures a log of a model server, where such are asked for, and says whether it tells of a call.
    pub(super) fn server_log(
        &mut self,
        tag: &[u8],
        dimensions: &[String],
        step: &ItemStep<'_>,
        at: (Tick, u64),
    ) -> bool {
        let Some(logs) = &mut self.server_logs else { return false };
        let (is_measured, call) = logs.measure(tag, step, at);
        self.changed |= is_measured;
        let Some(call) = call else { return false };
        let mut visitor = SpanFieldVisitor::new(dimensions);
        let event = call.event(&mut visitor);
        let mut run = self.metadata_run(tag, dimensions, &event.telemetry);
        self.event(tag, &mut run, &event, &mut visitor, at);
        true
    }

    /// Measures an event that stands in no span.
    fn event_alone(
        &mut self,
        group: usize,
        id: Option<u64>,
        measured: &MeasuredSpan<'_, '_>,
        (now, unix_nanos): (Tick, u64),
    ) -> Option<TokenCounts> {
        if id.is_some_and(|id| !self.events.is_new(id)) {
            self.tally.duplicate_calls += 1;
            return None;
        }
        let Some(mut found) = self.groups.measure(group, measured, (now, unix_nanos)) else {
            self.tally.overflow += 1;
            return None;
        };
        self.tally.overflow += u64::from(found.is_overflow);
        self.note_model(&mut found, measured, now);
        let at = (measured.to, None);
        match &found.tokens {
            Some(tokens) => self.count(tokens, at, |_| None),
            None => self.spend_without_tokens(measured),
        }
        let counted = self.groups.counted_event(&found, measured);
        if let Some((id, counted)) = id.zip(counted) {
            self.events.event(id, counted, now);
        }
        found.tokens
    }

    /// Takes an event back that a span tells of.
    pub(super) fn take_back_event(&mut self, event: &CountedEvent) {
        self.tally.duplicate_calls += 1;
        self.groups.take_back_event(event);
        if let Some(models) = &mut self.models {
            models.take_back_call(event.model, event.has_failed);
        }
        self.take_back_spent(event);
        if let Some(tokens) = &event.tokens {
            self.take_back(tokens, (event.unix_nanos, None));
        }
    }
}
