//! Evaluations: scores and labels of answers, in log events of their own, in events of spans, or in attributes of spans.

use memchr::memmem;

use super::attribute::Attribute;
use super::fields::SpanFields;
use super::log_event::with_resource;
use super::number::signed;
use crate::codec::msgpack::{MapView, elements};
use crate::codec::records::layout::keys;
use crate::codec::records::{Item, ItemStep, LogView, Telemetry};
use crate::findings::{CallOrigin, Findings, ObservedEvaluation};
use crate::model::{Signal, SpanId, TraceId};

pub(super) const NAME: &[u8] = b"gen_ai.evaluation.name";
const SCORE: &[u8] = b"gen_ai.evaluation.score.value";
const LABEL: &[u8] = b"gen_ai.evaluation.score.label";
const RESPONSE_ID: &[u8] = b"gen_ai.response.id";

/// Of which answer an evaluation is, and when it was made.
#[derive(Clone, Copy)]
pub(super) struct Evaluated {
    ids: Option<(TraceId, SpanId)>,
    unix_nanos: u64,
}

/// Tells of the evaluations that a span has; `finder` finds their [`NAME`].
pub(super) fn of_span(
    findings: &mut Findings,
    finder: &memmem::Finder<'_>,
    origin: &CallOrigin<'_>,
    item: &Item<'_>,
    fields: &SpanFields<'_>,
) {
    let has_own = fields.has_any(Attribute::EvaluationName.bit());
    let has_events = finder.find(item.span.events).is_some();
    if !has_own && !has_events {
        return;
    }
    let ids = item.span.trace_id().zip(item.span.span_id());
    let of = Evaluated { ids, unix_nanos: item.span.end_unix_nanos() };
    if has_own {
        tell(findings, origin, item.span.attributes, of);
    }
    for event in elements(item.span.events) {
        let attributes = MapView::new(event).get(keys::ATTRIBUTES);
        tell(findings, origin, attributes.unwrap_or_default(), of);
    }
}

/// What a log event says that has an evaluation: its telemetry, its attributes and the answer.
pub(super) fn of_log<'a>(
    step: &ItemStep<'a>,
    finder: &memmem::Finder<'_>,
) -> Option<(Telemetry<'a>, &'a [u8], Evaluated)> {
    let ItemStep::Item(item) = step else { return None };
    let telemetry = item.telemetry.filter(|_| item.signal() == Signal::Logs)?;
    finder.find(telemetry.otlp)?;
    let view = LogView::new(telemetry.otlp);
    let ids = view.trace_id().zip(view.span_id());
    let of = Evaluated { ids, unix_nanos: item.event.time.unix_nanos() };
    Some((with_resource(item, telemetry), view.attributes, of))
}

/// Tells of the evaluation that attributes say, if they say one.
pub(super) fn tell(
    findings: &mut Findings,
    origin: &CallOrigin<'_>,
    attributes: &[u8],
    of: Evaluated,
) {
    let attributes = MapView::new(attributes);
    let Some(name) = attributes.get(NAME) else { return };
    findings.evaluation(&ObservedEvaluation {
        origin,
        unix_nanos: of.unix_nanos,
        name,
        score: attributes.get(SCORE).and_then(signed),
        label: attributes.get(LABEL).unwrap_or_default(),
        response_id: attributes.get(RESPONSE_ID).unwrap_or_default(),
        ids: of.ids,
    });
}
