//! Retention rules: which items keep their content where not all of them do.

use crate::codec::msgpack::{MapView, Reader, Token};
use crate::codec::records::{ContentHint, Event, LogView, SpanView, Telemetry};
use crate::export::selection::content::errors::is_error;
use crate::export::selection::randomness;
use crate::export::settings::KeepContentWhen;
use crate::genai::FINDINGS;
use crate::model::{Signal, TraceId};
use crate::sampling::Randomness;

/// Whether one of the reasons holds for an item.
pub(super) fn is_kept(
    reasons: KeepContentWhen,
    event: &Event<'_>,
    telemetry: Option<&Telemetry<'_>>,
) -> bool {
    let hint = telemetry.and_then(|telemetry| telemetry.content).filter(|_| reasons.hinted);
    if let Some(hint) = hint {
        return hint == ContentHint::Keep;
    }
    let sampled = || reasons.sample.is_some_and(|from| from.keeps(randomness(event, telemetry)));
    (reasons.errors && is_error(event, telemetry))
        || (reasons.findings && has_findings(event, telemetry))
        || sampled()
}

/// Whether an item names something that was found in it: a span or an OTLP log in its attributes,
/// an ordinary log, which may have got its place in a trace, in its body.
fn has_findings(event: &Event<'_>, telemetry: Option<&Telemetry<'_>>) -> bool {
    let maps = match telemetry {
        None => [event.body, &[]],
        Some(telemetry) if telemetry.signal == Some(Signal::Traces) => {
            [SpanView::new(event.body).attributes, &[]]
        }
        Some(telemetry) => [LogView::new(telemetry.otlp).attributes, event.body],
    };
    let value = maps.into_iter().find_map(|map| MapView::new(map).get(FINDINGS.as_bytes()));
    match value.map(|value| Reader::new(value).token()) {
        Some(Ok(Token::Array(count))) => count > 0,
        Some(Ok(Token::Str(text))) => !text.is_empty(),
        _ => false,
    }
}

/// What decides about an item: its trace, so that all of a trace goes the same way, and the same
/// way at every endpoint of one percentage. What belongs to no trace decides for itself.
fn randomness(event: &Event<'_>, telemetry: Option<&Telemetry<'_>>) -> Randomness {
    let signal = telemetry.and_then(|telemetry| telemetry.signal).unwrap_or(Signal::Logs);
    randomness::randomness(signal, event, telemetry).unwrap_or_else(|| {
        let hash = xxhash_rust::xxh3::xxh3_128(event.raw);
        Randomness::of_trace(TraceId(hash.to_be_bytes()))
    })
}
