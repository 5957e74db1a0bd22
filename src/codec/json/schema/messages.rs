//! The tables of opentelemetry-proto 1.11.

use super::names::{SEVERITIES, SPAN_KINDS, STATUS_CODES, TEMPORALITIES};
use super::{FieldPresence, FieldSchema, FieldType, MessageSchema};
use crate::model::Signal;

/// The request message of a signal.
pub(in crate::codec::json) fn request(signal: Signal) -> &'static MessageSchema {
    match signal {
        Signal::Traces => &TRACES,
        Signal::Metrics => &METRICS,
        Signal::Logs => &LOGS,
        Signal::Profiles => &PROFILES,
    }
}

/// Profiles change too much to have a table: every field of theirs is unknown.
static PROFILES: MessageSchema = MessageSchema::new(0, &[]);

/// A large message: its length takes four bytes.
const LARGE: usize = 1 << 22;

const fn attributes(number: u32) -> FieldSchema {
    FieldSchema::new(number, "attributes", FieldType::Messages(&KEY_VALUE))
}

const fn dropped(number: u32) -> FieldSchema {
    FieldSchema::new(number, "droppedAttributesCount", FieldType::Uint32)
}

const fn schema_url(number: u32) -> FieldSchema {
    FieldSchema::new(number, "schemaUrl", FieldType::Str)
}

const fn trace_id(number: u32, kind: FieldType) -> FieldSchema {
    FieldSchema::new(number, "traceId", kind)
}

const fn span_id(number: u32, kind: FieldType) -> FieldSchema {
    FieldSchema::new(number, "spanId", kind)
}

const fn trace_state(number: u32) -> FieldSchema {
    FieldSchema::new(number, "traceState", FieldType::Str)
}

const fn start(number: u32) -> FieldSchema {
    FieldSchema::new(number, "startTimeUnixNano", FieldType::Fixed64)
}

const fn time(number: u32) -> FieldSchema {
    FieldSchema::new(number, "timeUnixNano", FieldType::Fixed64)
}

const fn one_of(number: u32, name: &'static str, kind: FieldType) -> FieldSchema {
    FieldSchema::new(number, name, kind).when(FieldPresence::OneOf)
}

const fn optional(number: u32, name: &'static str) -> FieldSchema {
    FieldSchema::new(number, name, FieldType::Double).when(FieldPresence::Explicit)
}

const fn flags(number: u32, kind: FieldType) -> FieldSchema {
    FieldSchema::new(number, "flags", kind)
}

const fn count() -> FieldSchema {
    FieldSchema::new(4, "count", FieldType::Fixed64)
}

const fn exemplars(number: u32) -> FieldSchema {
    FieldSchema::new(number, "exemplars", FieldType::Messages(&EXEMPLAR))
}

const fn data_points(message: &'static MessageSchema) -> FieldSchema {
    FieldSchema::new(1, "dataPoints", FieldType::Points(message))
}

const fn temporality() -> FieldSchema {
    FieldSchema::new(2, "aggregationTemporality", FieldType::Enum(TEMPORALITIES))
}

static TRACES: MessageSchema = MessageSchema::new(
    LARGE,
    &[FieldSchema::new(1, "resourceSpans", FieldType::Messages(&RESOURCE_SPANS))],
);
static RESOURCE_SPANS: MessageSchema = MessageSchema::new(
    LARGE,
    &[
        FieldSchema::new(1, "resource", FieldType::Message(&RESOURCE)),
        FieldSchema::new(2, "scopeSpans", FieldType::Messages(&SCOPE_SPANS)),
        schema_url(3),
    ],
);
static SCOPE_SPANS: MessageSchema = MessageSchema::new(
    LARGE,
    &[
        FieldSchema::new(1, "scope", FieldType::Message(&SCOPE)),
        FieldSchema::new(2, "spans", FieldType::Items(&SPAN)),
        schema_url(3),
    ],
);

static METRICS: MessageSchema = MessageSchema::new(
    LARGE,
    &[FieldSchema::new(1, "resourceMetrics", FieldType::Messages(&RESOURCE_METRICS))],
);
static RESOURCE_METRICS: MessageSchema = MessageSchema::new(
    LARGE,
    &[
        FieldSchema::new(1, "resource", FieldType::Message(&RESOURCE)),
        FieldSchema::new(2, "scopeMetrics", FieldType::Messages(&SCOPE_METRICS)),
        schema_url(3),
    ],
);
static SCOPE_METRICS: MessageSchema = MessageSchema::new(
    LARGE,
    &[
        FieldSchema::new(1, "scope", FieldType::Message(&SCOPE)),
        FieldSchema::new(2, "metrics", FieldType::Items(&METRIC)),
        schema_url(3),
    ],
);

static LOGS: MessageSchema = MessageSchema::new(
    LARGE,
    &[FieldSchema::new(1, "resourceLogs", FieldType::Messages(&RESOURCE_LOGS))],
);
static RESOURCE_LOGS: MessageSchema = MessageSchema::new(
    LARGE,
    &[
        FieldSchema::new(1, "resource", FieldType::Message(&RESOURCE)),
        FieldSchema::new(2, "scopeLogs", FieldType::Messages(&SCOPE_LOGS)),
        schema_url(3),
    ],
);
static SCOPE_LOGS: MessageSchema = MessageSchema::new(
    LARGE,
    &[
        FieldSchema::new(1, "scope", FieldType::Message(&SCOPE)),
        FieldSchema::new(2, "logRecords", FieldType::Items(&LOG)),
        schema_url(3),
    ],
);

static RESOURCE: MessageSchema = MessageSchema::new(
    200,
    &[
        attributes(1),
        dropped(2),
        FieldSchema::new(3, "entityRefs", FieldType::Messages(&ENTITY_REF)),
    ],
);
static ENTITY_REF: MessageSchema = MessageSchema::new(
    100,
    &[
        schema_url(1),
        FieldSchema::new(2, "type", FieldType::Str),
        FieldSchema::new(3, "idKeys", FieldType::Strs),
        FieldSchema::new(4, "descriptionKeys", FieldType::Strs),
    ],
);
static SCOPE: MessageSchema = MessageSchema::new(
    100,
    &[
        FieldSchema::new(1, "name", FieldType::Str),
        FieldSchema::new(2, "version", FieldType::Str),
        attributes(3),
        dropped(4),
    ],
);

static KEY_VALUE: MessageSchema = MessageSchema::new(
    100,
    &[
        FieldSchema::new(1, "key", FieldType::Str),
        FieldSchema::new(2, "value", FieldType::Message(&ANY_VALUE)),
        FieldSchema::new(3, "keyStrindex", FieldType::Int32),
    ],
);
static ANY_VALUE: MessageSchema = {
    let mut message = MessageSchema::new(
        100,
        &[
            one_of(1, "stringValue", FieldType::Str),
            one_of(2, "boolValue", FieldType::Bool),
            one_of(3, "intValue", FieldType::Int64),
            one_of(4, "doubleValue", FieldType::Double),
            one_of(5, "arrayValue", FieldType::Message(&ARRAY_VALUE)),
            one_of(6, "kvlistValue", FieldType::Message(&KVLIST)),
            one_of(7, "bytesValue", FieldType::Bytes),
            one_of(8, "stringValueStrindex", FieldType::Int32),
        ],
    );
    message.is_value = true;
    message
};
static ARRAY_VALUE: MessageSchema = MessageSchema {
    fields: &[FieldSchema::new(1, "values", FieldType::Messages(&ANY_VALUE))],
    estimate: 200,
    required: 0,
    one_of: 0,
    counted: false,
    is_value: false,
};
static KVLIST: MessageSchema = MessageSchema {
    fields: &[FieldSchema::new(1, "values", FieldType::Messages(&KEY_VALUE))],
    estimate: 200,
    required: 0,
    one_of: 0,
    counted: false,
    is_value: false,
};

static SPAN: MessageSchema = MessageSchema::new(
    400,
    &[
        trace_id(1, FieldType::Id(16)),
        span_id(2, FieldType::Id(8)),
        trace_state(3),
        FieldSchema::new(4, "parentSpanId", FieldType::Hex),
        flags(16, FieldType::Fixed32),
        FieldSchema::new(5, "name", FieldType::Str),
        FieldSchema::new(6, "kind", FieldType::Enum(SPAN_KINDS)),
        start(7),
        FieldSchema::new(8, "endTimeUnixNano", FieldType::Fixed64),
        attributes(9),
        dropped(10),
        FieldSchema::new(11, "events", FieldType::Messages(&EVENT)),
        FieldSchema::new(12, "droppedEventsCount", FieldType::Uint32),
        FieldSchema::new(13, "links", FieldType::Messages(&LINK)),
        FieldSchema::new(14, "droppedLinksCount", FieldType::Uint32),
        FieldSchema::new(15, "status", FieldType::Message(&STATUS)),
    ],
);
static STATUS: MessageSchema = MessageSchema::new(
    20,
    &[
        FieldSchema::new(2, "message", FieldType::Str),
        FieldSchema::new(3, "code", FieldType::Enum(STATUS_CODES)),
    ],
);
static EVENT: MessageSchema = MessageSchema::new(
    200,
    &[time(1), FieldSchema::new(2, "name", FieldType::Str), attributes(3), dropped(4)],
);
static LINK: MessageSchema = MessageSchema::new(
    100,
    &[
        trace_id(1, FieldType::Hex),
        span_id(2, FieldType::Hex),
        trace_state(3),
        attributes(4),
        dropped(5),
        flags(6, FieldType::Fixed32),
    ],
);

static METRIC: MessageSchema = MessageSchema::new(
    1000,
    &[
        FieldSchema::new(1, "name", FieldType::Str),
        FieldSchema::new(2, "description", FieldType::Str),
        FieldSchema::new(3, "unit", FieldType::Str),
        one_of(5, "gauge", FieldType::Message(&GAUGE)),
        one_of(7, "sum", FieldType::Message(&SUM)),
        one_of(9, "histogram", FieldType::Message(&HISTOGRAM)),
        one_of(10, "exponentialHistogram", FieldType::Message(&EXPONENTIAL)),
        one_of(11, "summary", FieldType::Message(&SUMMARY)),
        FieldSchema::new(12, "metadata", FieldType::Messages(&KEY_VALUE)),
    ],
);
static GAUGE: MessageSchema = MessageSchema::new(1000, &[data_points(&NUMBER)]);
static SUM: MessageSchema = MessageSchema::new(
    1000,
    &[data_points(&NUMBER), temporality(), FieldSchema::new(3, "isMonotonic", FieldType::Bool)],
);
static HISTOGRAM: MessageSchema =
    MessageSchema::new(1000, &[data_points(&HISTOGRAM_POINT), temporality()]);
static EXPONENTIAL: MessageSchema =
    MessageSchema::new(1000, &[data_points(&EXPONENTIAL_POINT), temporality()]);
static SUMMARY: MessageSchema = MessageSchema::new(1000, &[data_points(&SUMMARY_POINT)]);

static NUMBER: MessageSchema = MessageSchema::new(
    100,
    &[
        attributes(7),
        start(2),
        time(3),
        one_of(4, "asDouble", FieldType::Double),
        one_of(6, "asInt", FieldType::Sfixed64),
        exemplars(5),
        flags(8, FieldType::Uint32),
    ],
);
static HISTOGRAM_POINT: MessageSchema = MessageSchema::new(
    300,
    &[
        attributes(9),
        start(2),
        time(3),
        count(),
        optional(5, "sum"),
        FieldSchema::new(6, "bucketCounts", FieldType::Fixed64s),
        FieldSchema::new(7, "explicitBounds", FieldType::Doubles),
        exemplars(8),
        flags(10, FieldType::Uint32),
        optional(11, "min"),
        optional(12, "max"),
    ],
);
static EXPONENTIAL_POINT: MessageSchema = MessageSchema::new(
    300,
    &[
        attributes(1),
        start(2),
        time(3),
        count(),
        optional(5, "sum"),
        FieldSchema::new(6, "scale", FieldType::Sint32),
        FieldSchema::new(7, "zeroCount", FieldType::Fixed64),
        FieldSchema::new(8, "positive", FieldType::Message(&BUCKETS)),
        FieldSchema::new(9, "negative", FieldType::Message(&BUCKETS)),
        flags(10, FieldType::Uint32),
        exemplars(11),
        optional(12, "min"),
        optional(13, "max"),
        FieldSchema::new(14, "zeroThreshold", FieldType::Double),
    ],
);
static BUCKETS: MessageSchema = MessageSchema::new(
    100,
    &[
        FieldSchema::new(1, "offset", FieldType::Sint32),
        FieldSchema::new(2, "bucketCounts", FieldType::Varints),
    ],
);
static SUMMARY_POINT: MessageSchema = MessageSchema::new(
    200,
    &[
        attributes(7),
        start(2),
        time(3),
        count(),
        FieldSchema::new(5, "sum", FieldType::Double),
        FieldSchema::new(6, "quantileValues", FieldType::Messages(&QUANTILE)),
        flags(8, FieldType::Uint32),
    ],
);
static QUANTILE: MessageSchema = MessageSchema::new(
    20,
    &[
        FieldSchema::new(1, "quantile", FieldType::Double),
        FieldSchema::new(2, "value", FieldType::Double),
    ],
);
static EXEMPLAR: MessageSchema = MessageSchema::new(
    100,
    &[
        FieldSchema::new(7, "filteredAttributes", FieldType::Messages(&KEY_VALUE)),
        time(2),
        one_of(3, "asDouble", FieldType::Double),
        one_of(6, "asInt", FieldType::Sfixed64),
        span_id(4, FieldType::Hex),
        trace_id(5, FieldType::Hex),
    ],
);

static LOG: MessageSchema = MessageSchema::new(
    300,
    &[
        time(1),
        FieldSchema::new(11, "observedTimeUnixNano", FieldType::Fixed64),
        FieldSchema::new(2, "severityNumber", FieldType::Enum(SEVERITIES)),
        FieldSchema::new(3, "severityText", FieldType::Str),
        FieldSchema::new(5, "body", FieldType::Message(&ANY_VALUE)),
        attributes(6),
        dropped(7),
        flags(8, FieldType::Fixed32),
        trace_id(9, FieldType::Hex),
        span_id(10, FieldType::Hex),
        FieldSchema::new(12, "eventName", FieldType::Str),
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::MAX_FIELDS;

    fn check(message: &'static MessageSchema, depth: u32) {
        assert!(message.fields.len() <= MAX_FIELDS);
        for (index, field) in message.fields.iter().enumerate() {
            assert_eq!(message.index(field.number), Some(index), "{}", field.name);
            assert!(!field.name.contains('_'), "{}", field.name);
            for hint in 0..=message.fields.len() + 1 {
                assert_eq!(message.find(field.name, hint).map(|found| found.0), Some(index));
            }
            if let FieldType::Message(inner)
            | FieldType::Messages(inner)
            | FieldType::Points(inner)
            | FieldType::Items(inner) = field.kind
                && depth > 0
            {
                check(inner, depth - 1);
            }
        }
    }

    #[test]
    fn every_field_is_found_by_name_and_number() {
        for signal in Signal::ALL {
            check(request(signal), 12);
        }
        assert!(METRIC.counted && GAUGE.counted && !NUMBER.counted && !SPAN.counted);
        assert_eq!((SPAN.required, LOG.required, ANY_VALUE.one_of), (0b11, 0, 0xff));
        assert!(SPAN.find("traceid", 0).is_none());
    }
}
