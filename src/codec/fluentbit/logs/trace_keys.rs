//! Keys of trace context: the spellings that log libraries and instrumentations have for the ids and
//! flags of a trace.
//!
//! They are those of OpenTelemetry's log appenders, its Python and Node.js logging instrumentations, the
//! Elastic Common Schema, Datadog's, Google Cloud's, AWS X-Ray's and B3's.

/// What a key says about its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TraceKey {
    Trace,
    Span,
    Flags,
    Traceparent,
    /// Datadog's id of a trace, which counts only where there is no other.
    DatadogTrace,
    /// Datadog's id of a span, which counts only where there is no other.
    DatadogSpan,
    Xray,
    /// All of B3 in one: `trace-span-sampled-parent`.
    B3,
    /// B3's id of a trace, which may have half the length.
    B3Trace,
    /// B3's `1`, `0` or `d`, for "debug".
    B3Sampled,
    /// A map that may have the ids.
    Container,
}

/// The spellings that are known, by the lengths that most keys do not have.
pub(super) const SPELLINGS: &[(&str, TraceKey)] = &[
    ("trace_id", TraceKey::Trace),
    ("traceId", TraceKey::Trace),
    ("TraceId", TraceKey::Trace),
    ("traceID", TraceKey::Trace),
    ("TraceID", TraceKey::Trace),
    ("traceid", TraceKey::Trace),
    ("trace.id", TraceKey::Trace),
    ("trace-id", TraceKey::Trace),
    ("TRACE_ID", TraceKey::Trace),
    ("otelTraceID", TraceKey::Trace),
    ("otel.trace_id", TraceKey::Trace),
    ("otel_trace_id", TraceKey::Trace),
    ("dd.trace_id", TraceKey::DatadogTrace),
    ("dd_trace_id", TraceKey::DatadogTrace),
    ("x-datadog-trace-id", TraceKey::DatadogTrace),
    ("X-Datadog-Trace-Id", TraceKey::DatadogTrace),
    ("logging.googleapis.com/trace", TraceKey::Trace),
    ("span_id", TraceKey::Span),
    ("spanId", TraceKey::Span),
    ("SpanId", TraceKey::Span),
    ("spanID", TraceKey::Span),
    ("SpanID", TraceKey::Span),
    ("spanid", TraceKey::Span),
    ("span.id", TraceKey::Span),
    ("span-id", TraceKey::Span),
    ("SPAN_ID", TraceKey::Span),
    ("otelSpanID", TraceKey::Span),
    ("otel.span_id", TraceKey::Span),
    ("otel_span_id", TraceKey::Span),
    ("dd.span_id", TraceKey::DatadogSpan),
    ("dd_span_id", TraceKey::DatadogSpan),
    ("x-datadog-parent-id", TraceKey::DatadogSpan),
    ("X-Datadog-Parent-Id", TraceKey::DatadogSpan),
    ("logging.googleapis.com/spanId", TraceKey::Span),
    ("trace_flags", TraceKey::Flags),
    ("traceFlags", TraceKey::Flags),
    ("TraceFlags", TraceKey::Flags),
    ("trace.flags", TraceKey::Flags),
    ("trace-flags", TraceKey::Flags),
    ("TRACE_FLAGS", TraceKey::Flags),
    ("trace_sampled", TraceKey::Flags),
    ("otelTraceSampled", TraceKey::Flags),
    ("logging.googleapis.com/trace_sampled", TraceKey::Flags),
    ("traceparent", TraceKey::Traceparent),
    ("traceParent", TraceKey::Traceparent),
    ("Traceparent", TraceKey::Traceparent),
    ("xray_trace_id", TraceKey::Xray),
    ("xray.trace_id", TraceKey::Xray),
    ("xrayTraceId", TraceKey::Xray),
    ("AWS-XRAY-TRACE-ID", TraceKey::Xray),
    ("X-Amzn-Trace-Id", TraceKey::Xray),
    ("x-amzn-trace-id", TraceKey::Xray),
    ("_X_AMZN_TRACE_ID", TraceKey::Xray),
    // In the last line that a function of AWS Lambda writes.
    ("SegmentId", TraceKey::Span),
    ("b3", TraceKey::B3),
    ("B3", TraceKey::B3),
    ("X-B3-TraceId", TraceKey::B3Trace),
    ("X-B3-Traceid", TraceKey::B3Trace),
    ("x-b3-traceid", TraceKey::B3Trace),
    ("X-B3-SpanId", TraceKey::Span),
    ("X-B3-Spanid", TraceKey::Span),
    ("x-b3-spanid", TraceKey::Span),
    ("X-B3-Sampled", TraceKey::B3Sampled),
    ("x-b3-sampled", TraceKey::B3Sampled),
    ("X-B3-Flags", TraceKey::B3Sampled),
    ("x-b3-flags", TraceKey::B3Sampled),
    ("context", TraceKey::Container),
    ("trace", TraceKey::Container),
    ("span", TraceKey::Container),
    ("otel", TraceKey::Container),
    ("mdc", TraceKey::Container),
    ("contextMap", TraceKey::Container),
    ("trace_context", TraceKey::Container),
    ("traceContext", TraceKey::Container),
    ("dd", TraceKey::Container),
    // Where Fluent Bit's kubernetes filter puts an application's JSON by `Merge_Log_Key`, as its
    // documentation has it.
    ("log_processed", TraceKey::Container),
    ("headers", TraceKey::Container),
];

/// Which first bytes, last bytes and lengths spellings have together, by which most other keys are told
/// apart without a comparison.
#[expect(
    clippy::indexing_slicing,
    reason = "a constant with an index out of bounds does not compile"
)]
const FILTER: [u64; 8] = {
    let mut filter = [0; 8];
    let mut index = 0;
    while index < SPELLINGS.len() {
        let bit = filter_bit(SPELLINGS[index].0.as_bytes());
        filter[bit >> 6] |= 1 << (bit & 63);
        index += 1;
    }
    filter
};

/// The place of a key in the filter, below 512.
const fn filter_bit(key: &[u8]) -> usize {
    let (Some(first), Some(last)) = (key.first(), key.last()) else { return 0 };
    (key.len() ^ ((*first as usize) << 2) ^ ((*last as usize) << 4)) & 511
}

/// In a map `trace`, `span` or `dd` the ids may be called just so.
fn short_key(within: &str, key: &[u8]) -> Option<(&'static str, TraceKey)> {
    match (within, key) {
        ("trace", b"id") => Some(("id", TraceKey::Trace)),
        ("trace", b"flags") => Some(("flags", TraceKey::Flags)),
        ("span", b"id") => Some(("id", TraceKey::Span)),
        ("dd", b"trace_id") => Some(("trace_id", TraceKey::DatadogTrace)),
        ("dd", b"span_id") => Some(("span_id", TraceKey::DatadogSpan)),
        _ => None,
    }
}

/// What a key in the map under the container `within` says.
pub(super) fn key_within(within: &str, key: &[u8]) -> Option<(&'static str, TraceKey)> {
    short_key(within, key).or_else(|| spelling(key))
}

/// What a key at the top says.
#[inline]
pub(super) fn spelling(key: &[u8]) -> Option<(&'static str, TraceKey)> {
    let bit = filter_bit(key);
    if FILTER.get(bit >> 6).is_none_or(|bits| bits & (1 << (bit & 63)) == 0) {
        return None;
    }
    SPELLINGS.iter().find(|(spelling, _)| spelling.as_bytes() == key).copied()
}
