//! Sampling randomness: that of the trace that an item belongs to.

use crate::codec::fluentbit::find_trace_context;
use crate::codec::msgpack::{MapView, Reader, Token};
use crate::codec::records::layout::keys;
use crate::codec::records::{Event, Telemetry};
use crate::model::{Signal, TraceId};
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
    if telemetry.is_none() {
        let context = find_trace_context(event.body, event.metadata);
        return context.map(|context| Randomness::of_trace(context.trace_id));
    }
    let body = MapView::new(event.body);
    let id = match signal {
        Signal::Traces => body.get(keys::TRACE_ID),
        Signal::Logs => {
            telemetry.and_then(|telemetry| MapView::new(telemetry.otlp).get(keys::TRACE_ID))
        }
        Signal::Metrics | Signal::Profiles => None,
    };
    let id = id.and_then(trace_id)?;
    let explicit = body.get(keys::TRACE_STATE).filter(|_| signal == Signal::Traces);
    let explicit = explicit.and_then(|state| OtState::read(text(state)).randomness);
    Some(explicit.unwrap_or_else(|| Randomness::of_trace(id)))
}

fn text(encoded: &[u8]) -> &[u8] {
    match Reader::new(encoded).token() {
        Ok(Token::Str(text)) => text,
        _ => &[],
    }
}

/// A trace id as hex text or as bytes.
fn trace_id(encoded: &[u8]) -> Option<TraceId> {
    match Reader::new(encoded).token().ok()? {
        Token::Str(text) => TraceId::from_hex(text),
        Token::Bin(bytes) => <[u8; 16]>::try_from(bytes).ok().map(TraceId),
        _ => None,
    }
}
