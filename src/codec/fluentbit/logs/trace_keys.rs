//! Keys of trace context: the spellings that log libraries and instrumentations have for the ids and
//! flags of a trace.
//!
//! They are those of OpenTelemetry's log appenders, its Python and Node.js logging instrumentations, the
//! Elastic Common Schema, Datadog's, Google Cloud's and AWS X-Ray's.

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
];

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
pub(super) fn spelling(key: &[u8]) -> Option<(&'static str, TraceKey)> {
    SPELLINGS.iter().find(|(spelling, _)| spelling.as_bytes() == key).copied()
}
