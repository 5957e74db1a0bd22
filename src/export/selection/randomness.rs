//! Sampling randomness: that of the trace that an item belongs to.

use crate::codec::fluentbit::find_trace_context;
use crate::codec::records::{Event, LogView, SpanView, Telemetry};
use crate::model::Signal;
use crate::sampling::{OtState, Randomness};

/// What decides about the trace of a span or a log, by the OpenTelemetry specification,
/// "TraceState: Probability Sampling": what a span's trace state says, or else the trace id. An
/// ordinary log has it in the spellings of the common log libraries. `None` for what belongs to no
/// trace.
pub(in crate::export) fn randomness(
    signal: Signal,
    event: &Event<'_>,
    telemetry: Option<&Telemetry<'_>>,
) -> Option<Randomness> {
    let Some(telemetry) = telemetry else {
        let context = find_trace_context(event.body, event.metadata);
        return context.map(|context| Randomness::of_trace(context.trace_id));
    };
    match signal {
        Signal::Traces => {
            let span = SpanView::new(event.body);
            let id = span.trace_id()?;
            let explicit = OtState::read(span.trace_state()).randomness;
            Some(explicit.unwrap_or_else(|| Randomness::of_trace(id)))
        }
        Signal::Logs => LogView::new(telemetry.otlp).trace_id().map(Randomness::of_trace),
        Signal::Metrics | Signal::Profiles => None,
    }
}
