//! Span transcoder.

use super::envelope::{ItemCount, RecordSink, ScopeStart, metadata, record, transcode};
use super::message::MessageScan;
use super::transcoded::Transcoded;
use crate::codec::records::error::{DecodeError, DecodeFault, DecodeKind, DecodeResult};
use crate::codec::records::record::EventTime;
use crate::codec::records::schema::SPAN;
use crate::model::Signal;

/// Appends the spans of an `ExportTraceServiceRequest` to `out` as records.
///
/// A span that is not valid is left out and counted; those beside it are kept. A span is also not
/// valid without a trace id and a span id: opentelemetry-proto, `Span.trace_id` and `Span.span_id`.
///
/// # Errors
/// The request itself, a `ResourceSpans` or a `ScopeSpans` is not valid; nothing is appended.
pub fn traces_to_records(request: &[u8], out: &mut Vec<u8>) -> Result<Transcoded, DecodeError> {
    transcode(request, out, &mut Spans { metadata: Vec::new() })
}

struct Spans {
    metadata: Vec<u8>,
}

impl RecordSink for Spans {
    const SIGNAL: Signal = Signal::Traces;

    fn begin(&mut self, scope: ScopeStart<'_>, _out: &mut Vec<u8>) {
        self.metadata.clear();
        metadata(Signal::Traces, &scope, &mut self.metadata);
    }

    #[inline]
    fn item(&mut self, item: &[u8], out: &mut Vec<u8>) -> DecodeResult<ItemCount> {
        let mut span = MessageScan::new(&SPAN, item);
        span.read()?;
        check_ids(&span, item)?;
        let start = span.slot(7).map_or(0, |slot| slot.value);
        record(EventTime::from_unix_nanos(start), &self.metadata, &span, out)?;
        Ok(1)
    }

    fn end(&mut self, _records: usize, _out: &mut Vec<u8>) {}
}

#[inline]
fn check_ids(span: &MessageScan<'_>, item: &[u8]) -> DecodeResult {
    let id = |number| span.slot(number).map_or(&[][..], |slot| slot.bytes);
    let valid = |id: &[u8], length| id.len() == length && id.iter().any(|byte| *byte != 0);
    let (trace, own) = (id(1), id(2));
    if !valid(trace, 16) {
        return Err(DecodeFault::new(DecodeKind::TraceId(trace.len()), item).within("trace_id"));
    }
    if !valid(own, 8) {
        return Err(DecodeFault::new(DecodeKind::SpanId(own.len()), item).within("span_id"));
    }
    Ok(())
}
