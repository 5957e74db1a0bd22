//! The rows: one for each field of each message, and one for each enum.

use super::names::{camel, camel_length, lower, text};
use super::{OtlpField, ProtoPresence, ProtoType};

/// `Name = "its full name" { number name: type presence, }`, where the presence is left out if it is
/// that of the type.
macro_rules! messages {
    ($($message:ident = $full:literal {
        $($number:literal $name:tt: $proto:ident $(($of:ident))? $($presence:ident)?,)*
    })*) => {
        /// A message of OTLP.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::codec) enum OtlpMessage {
            $(#[doc = concat!("`", $full, "`")] $message,)*
        }

        impl OtlpMessage {
            /// Every message.
            pub(in crate::codec) const ALL: &[Self] = &[$(Self::$message,)*];

            /// Its fields.
            pub(in crate::codec) const fn fields(self) -> &'static [OtlpField] {
                match self {
                    $(Self::$message => const { &[$(OtlpField {
                        number: $number,
                        name: stringify!($name),
                        json_name: {
                            const NAME: &str = stringify!($name);
                            const BYTES: [u8; camel_length(NAME)] = camel(NAME);
                            text(&BYTES)
                        },
                        proto: messages!(@proto $proto $($of)?),
                        presence: messages!(@presence $proto $($presence)?),
                    },)*] },)*
                }
            }

            /// Its name in the protobuf files.
            #[cfg(test)]
            pub(super) const fn full_name(self) -> &'static str {
                match self {
                    $(Self::$message => $full,)*
                }
            }
        }
    };
    (@proto Enum $of:ident) => { ProtoType::Enum(OtlpEnum::$of) };
    (@proto Message $of:ident) => { ProtoType::Message(OtlpMessage::$of) };
    (@proto Messages $of:ident) => { ProtoType::Messages(OtlpMessage::$of) };
    (@proto $proto:ident) => { ProtoType::$proto };
    (@presence $proto:ident oneof) => { ProtoPresence::OneOf };
    (@presence $proto:ident optional) => { ProtoPresence::Explicit };
    (@presence Message) => { ProtoPresence::Explicit };
    (@presence $proto:ident) => { ProtoPresence::Implicit };
}

/// `Name = "its full name" "the prefix of its values" [value, ...]`, in the order of their numbers.
macro_rules! enums {
    ($($name:ident = $full:literal $prefix:literal [$($value:ident),* $(,)?])*) => {
        /// An enum of OTLP, whose values are numbered from 0 on.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(in crate::codec) enum OtlpEnum {
            $(#[doc = concat!("`", $full, "`")] $name,)*
        }

        impl OtlpEnum {
            /// Every enum.
            #[cfg(test)]
            pub(super) const ALL: &[Self] = &[$(Self::$name,)*];

            /// The names of its values, as JSON has them.
            pub(in crate::codec) const fn names(self) -> &'static [&'static str] {
                match self {
                    $(Self::$name => &[$(concat!($prefix, stringify!($value)),)*],)*
                }
            }

            /// The same in lower case and without what all of them begin with.
            pub(in crate::codec) const fn short_names(self) -> &'static [&'static str] {
                match self {
                    $(Self::$name => const { &[$({
                        const NAME: &str = stringify!($value);
                        const BYTES: [u8; NAME.len()] = lower(NAME);
                        text(&BYTES)
                    },)*] },)*
                }
            }

            /// Its name in the protobuf files.
            #[cfg(test)]
            pub(super) const fn full_name(self) -> &'static str {
                match self {
                    $(Self::$name => $full,)*
                }
            }
        }
    };
}

messages! {
    TracesData = "opentelemetry.proto.trace.v1.TracesData" {
        1 resource_spans: Messages(ResourceSpans),
    }
    ResourceSpans = "opentelemetry.proto.trace.v1.ResourceSpans" {
        1 resource: Message(Resource),
        2 scope_spans: Messages(ScopeSpans),
        3 schema_url: Str,
    }
    ScopeSpans = "opentelemetry.proto.trace.v1.ScopeSpans" {
        1 scope: Message(InstrumentationScope),
        2 spans: Messages(Span),
        3 schema_url: Str,
    }
    Span = "opentelemetry.proto.trace.v1.Span" {
        1 trace_id: Id,
        2 span_id: Id,
        3 trace_state: Str,
        4 parent_span_id: Id,
        16 flags: Fixed32,
        5 name: Str,
        6 kind: Enum(SpanKind),
        7 start_time_unix_nano: Fixed64,
        8 end_time_unix_nano: Fixed64,
        9 attributes: Messages(KeyValue),
        10 dropped_attributes_count: Uint32,
        11 events: Messages(SpanEvent),
        12 dropped_events_count: Uint32,
        13 links: Messages(SpanLink),
        14 dropped_links_count: Uint32,
        15 status: Message(Status),
    }
    SpanEvent = "opentelemetry.proto.trace.v1.Span.Event" {
        1 time_unix_nano: Fixed64,
        2 name: Str,
        3 attributes: Messages(KeyValue),
        4 dropped_attributes_count: Uint32,
    }
    SpanLink = "opentelemetry.proto.trace.v1.Span.Link" {
        1 trace_id: Id,
        2 span_id: Id,
        3 trace_state: Str,
        4 attributes: Messages(KeyValue),
        5 dropped_attributes_count: Uint32,
        6 flags: Fixed32,
    }
    Status = "opentelemetry.proto.trace.v1.Status" {
        2 message: Str,
        3 code: Enum(StatusCode),
    }

    MetricsData = "opentelemetry.proto.metrics.v1.MetricsData" {
        1 resource_metrics: Messages(ResourceMetrics),
    }
    ResourceMetrics = "opentelemetry.proto.metrics.v1.ResourceMetrics" {
        1 resource: Message(Resource),
        2 scope_metrics: Messages(ScopeMetrics),
        3 schema_url: Str,
    }
    ScopeMetrics = "opentelemetry.proto.metrics.v1.ScopeMetrics" {
        1 scope: Message(InstrumentationScope),
        2 metrics: Messages(Metric),
        3 schema_url: Str,
    }
    Metric = "opentelemetry.proto.metrics.v1.Metric" {
        1 name: Str,
        2 description: Str,
        3 unit: Str,
        5 gauge: Message(Gauge) oneof,
        7 sum: Message(Sum) oneof,
        9 histogram: Message(Histogram) oneof,
        10 exponential_histogram: Message(ExponentialHistogram) oneof,
        11 summary: Message(Summary) oneof,
        12 metadata: Messages(KeyValue),
    }
    Gauge = "opentelemetry.proto.metrics.v1.Gauge" {
        1 data_points: Messages(NumberDataPoint),
    }
    Sum = "opentelemetry.proto.metrics.v1.Sum" {
        1 data_points: Messages(NumberDataPoint),
        2 aggregation_temporality: Enum(AggregationTemporality),
        3 is_monotonic: Bool,
    }
    Histogram = "opentelemetry.proto.metrics.v1.Histogram" {
        1 data_points: Messages(HistogramDataPoint),
        2 aggregation_temporality: Enum(AggregationTemporality),
    }
    ExponentialHistogram = "opentelemetry.proto.metrics.v1.ExponentialHistogram" {
        1 data_points: Messages(ExponentialHistogramDataPoint),
        2 aggregation_temporality: Enum(AggregationTemporality),
    }
    Summary = "opentelemetry.proto.metrics.v1.Summary" {
        1 data_points: Messages(SummaryDataPoint),
    }
    NumberDataPoint = "opentelemetry.proto.metrics.v1.NumberDataPoint" {
        7 attributes: Messages(KeyValue),
        2 start_time_unix_nano: Fixed64,
        3 time_unix_nano: Fixed64,
        4 as_double: Double oneof,
        6 as_int: Sfixed64 oneof,
        5 exemplars: Messages(Exemplar),
        8 flags: Uint32,
    }
    HistogramDataPoint = "opentelemetry.proto.metrics.v1.HistogramDataPoint" {
        9 attributes: Messages(KeyValue),
        2 start_time_unix_nano: Fixed64,
        3 time_unix_nano: Fixed64,
        4 count: Fixed64,
        5 sum: Double optional,
        6 bucket_counts: Fixed64s,
        7 explicit_bounds: Doubles,
        8 exemplars: Messages(Exemplar),
        10 flags: Uint32,
        11 min: Double optional,
        12 max: Double optional,
    }
    ExponentialHistogramDataPoint = "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint" {
        1 attributes: Messages(KeyValue),
        2 start_time_unix_nano: Fixed64,
        3 time_unix_nano: Fixed64,
        4 count: Fixed64,
        5 sum: Double optional,
        6 scale: Sint32,
        7 zero_count: Fixed64,
        8 positive: Message(Buckets),
        9 negative: Message(Buckets),
        10 flags: Uint32,
        11 exemplars: Messages(Exemplar),
        12 min: Double optional,
        13 max: Double optional,
        14 zero_threshold: Double,
    }
    Buckets = "opentelemetry.proto.metrics.v1.ExponentialHistogramDataPoint.Buckets" {
        1 offset: Sint32,
        2 bucket_counts: Varints,
    }
    SummaryDataPoint = "opentelemetry.proto.metrics.v1.SummaryDataPoint" {
        7 attributes: Messages(KeyValue),
        2 start_time_unix_nano: Fixed64,
        3 time_unix_nano: Fixed64,
        4 count: Fixed64,
        5 sum: Double,
        6 quantile_values: Messages(ValueAtQuantile),
        8 flags: Uint32,
    }
    ValueAtQuantile = "opentelemetry.proto.metrics.v1.SummaryDataPoint.ValueAtQuantile" {
        1 quantile: Double,
        2 value: Double,
    }
    Exemplar = "opentelemetry.proto.metrics.v1.Exemplar" {
        7 filtered_attributes: Messages(KeyValue),
        2 time_unix_nano: Fixed64,
        3 as_double: Double oneof,
        6 as_int: Sfixed64 oneof,
        4 span_id: Id,
        5 trace_id: Id,
    }

    LogsData = "opentelemetry.proto.logs.v1.LogsData" {
        1 resource_logs: Messages(ResourceLogs),
    }
    ResourceLogs = "opentelemetry.proto.logs.v1.ResourceLogs" {
        1 resource: Message(Resource),
        2 scope_logs: Messages(ScopeLogs),
        3 schema_url: Str,
    }
    ScopeLogs = "opentelemetry.proto.logs.v1.ScopeLogs" {
        1 scope: Message(InstrumentationScope),
        2 log_records: Messages(LogRecord),
        3 schema_url: Str,
    }
    LogRecord = "opentelemetry.proto.logs.v1.LogRecord" {
        1 time_unix_nano: Fixed64,
        11 observed_time_unix_nano: Fixed64,
        2 severity_number: Enum(SeverityNumber),
        3 severity_text: Str,
        5 body: Message(AnyValue),
        6 attributes: Messages(KeyValue),
        7 dropped_attributes_count: Uint32,
        8 flags: Fixed32,
        9 trace_id: Id,
        10 span_id: Id,
        12 event_name: Str,
    }

    Resource = "opentelemetry.proto.resource.v1.Resource" {
        1 attributes: Messages(KeyValue),
        2 dropped_attributes_count: Uint32,
        3 entity_refs: Messages(EntityRef),
    }
    EntityRef = "opentelemetry.proto.common.v1.EntityRef" {
        1 schema_url: Str,
        2 type: Str,
        3 id_keys: Strs,
        4 description_keys: Strs,
    }
    InstrumentationScope = "opentelemetry.proto.common.v1.InstrumentationScope" {
        1 name: Str,
        2 version: Str,
        3 attributes: Messages(KeyValue),
        4 dropped_attributes_count: Uint32,
    }
    KeyValue = "opentelemetry.proto.common.v1.KeyValue" {
        1 key: Str,
        2 value: Message(AnyValue),
        3 key_strindex: Int32,
    }
    AnyValue = "opentelemetry.proto.common.v1.AnyValue" {
        1 string_value: Str oneof,
        2 bool_value: Bool oneof,
        3 int_value: Int64 oneof,
        4 double_value: Double oneof,
        5 array_value: Message(ArrayValue) oneof,
        6 kvlist_value: Message(KeyValueList) oneof,
        7 bytes_value: Bytes oneof,
        8 string_value_strindex: Int32 oneof,
    }
    ArrayValue = "opentelemetry.proto.common.v1.ArrayValue" {
        1 values: Messages(AnyValue),
    }
    KeyValueList = "opentelemetry.proto.common.v1.KeyValueList" {
        1 values: Messages(KeyValue),
    }
}

enums! {
    SpanKind = "opentelemetry.proto.trace.v1.Span.SpanKind" "SPAN_KIND_" [
        UNSPECIFIED, INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER,
    ]
    StatusCode = "opentelemetry.proto.trace.v1.Status.StatusCode" "STATUS_CODE_" [UNSET, OK, ERROR]
    AggregationTemporality =
        "opentelemetry.proto.metrics.v1.AggregationTemporality" "AGGREGATION_TEMPORALITY_" [
        UNSPECIFIED, DELTA, CUMULATIVE,
    ]
    SeverityNumber = "opentelemetry.proto.logs.v1.SeverityNumber" "SEVERITY_NUMBER_" [
        UNSPECIFIED,
        TRACE, TRACE2, TRACE3, TRACE4,
        DEBUG, DEBUG2, DEBUG3, DEBUG4,
        INFO, INFO2, INFO3, INFO4,
        WARN, WARN2, WARN3, WARN4,
        ERROR, ERROR2, ERROR3, ERROR4,
        FATAL, FATAL2, FATAL3, FATAL4,
    ]
}
