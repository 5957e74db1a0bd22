//! The tables of opentelemetry-proto 1.11.

use super::names::{SEVERITIES, SPAN_KINDS, STATUS_CODES, TEMPORALITIES};
use super::{Field, Kind, Message, Presence};
use crate::model::Signal;

/// The request message of a signal.
pub(in crate::codec::json) fn request(signal: Signal) -> &'static Message {
    match signal {
        Signal::Traces => &TRACES,
        Signal::Metrics => &METRICS,
        Signal::Logs => &LOGS,
        Signal::Profiles => &PROFILES,
    }
}

/// Profiles change too much to have a table: every field of theirs is unknown.
static PROFILES: Message = Message::new(0, &[]);

/// A large message: its length takes four bytes.
const LARGE: usize = 1 << 22;

const fn attributes(number: u32) -> Field {
    Field::new(number, "attributes", Kind::Messages(&KEY_VALUE))
}

const fn dropped(number: u32) -> Field {
    Field::new(number, "droppedAttributesCount", Kind::Uint32)
}

const fn schema_url(number: u32) -> Field {
    Field::new(number, "schemaUrl", Kind::Str)
}

const fn trace_id(number: u32, kind: Kind) -> Field {
    Field::new(number, "traceId", kind)
}

const fn span_id(number: u32, kind: Kind) -> Field {
    Field::new(number, "spanId", kind)
}

const fn trace_state(number: u32) -> Field {
    Field::new(number, "traceState", Kind::Str)
}

const fn start(number: u32) -> Field {
    Field::new(number, "startTimeUnixNano", Kind::Fixed64)
}

const fn time(number: u32) -> Field {
    Field::new(number, "timeUnixNano", Kind::Fixed64)
}

const fn one_of(number: u32, name: &'static str, kind: Kind) -> Field {
    Field::new(number, name, kind).when(Presence::OneOf)
}

const fn optional(number: u32, name: &'static str) -> Field {
    Field::new(number, name, Kind::Double).when(Presence::Explicit)
}

const fn flags(number: u32, kind: Kind) -> Field {
    Field::new(number, "flags", kind)
}

const fn count() -> Field {
    Field::new(4, "count", Kind::Fixed64)
}

const fn exemplars(number: u32) -> Field {
    Field::new(number, "exemplars", Kind::Messages(&EXEMPLAR))
}

const fn data_points(message: &'static Message) -> Field {
    Field::new(1, "dataPoints", Kind::Points(message))
}

const fn temporality() -> Field {
    Field::new(2, "aggregationTemporality", Kind::Enum(TEMPORALITIES))
}

static TRACES: Message =
    Message::new(LARGE, &[Field::new(1, "resourceSpans", Kind::Messages(&RESOURCE_SPANS))]);
static RESOURCE_SPANS: Message = Message::new(
    LARGE,
    &[
        Field::new(1, "resource", Kind::Message(&RESOURCE)),
        Field::new(2, "scopeSpans", Kind::Messages(&SCOPE_SPANS)),
        schema_url(3),
    ],
);
static SCOPE_SPANS: Message = Message::new(
    LARGE,
    &[
        Field::new(1, "scope", Kind::Message(&SCOPE)),
        Field::new(2, "spans", Kind::Items(&SPAN)),
        schema_url(3),
    ],
);

static METRICS: Message =
    Message::new(LARGE, &[Field::new(1, "resourceMetrics", Kind::Messages(&RESOURCE_METRICS))]);
static RESOURCE_METRICS: Message = Message::new(
    LARGE,
    &[
        Field::new(1, "resource", Kind::Message(&RESOURCE)),
        Field::new(2, "scopeMetrics", Kind::Messages(&SCOPE_METRICS)),
        schema_url(3),
    ],
);
static SCOPE_METRICS: Message = Message::new(
    LARGE,
    &[
        Field::new(1, "scope", Kind::Message(&SCOPE)),
        Field::new(2, "metrics", Kind::Items(&METRIC)),
        schema_url(3),
    ],
);

static LOGS: Message =
    Message::new(LARGE, &[Field::new(1, "resourceLogs", Kind::Messages(&RESOURCE_LOGS))]);
static RESOURCE_LOGS: Message = Message::new(
    LARGE,
    &[
        Field::new(1, "resource", Kind::Message(&RESOURCE)),
        Field::new(2, "scopeLogs", Kind::Messages(&SCOPE_LOGS)),
        schema_url(3),
    ],
);
static SCOPE_LOGS: Message = Message::new(
    LARGE,
    &[
        Field::new(1, "scope", Kind::Message(&SCOPE)),
        Field::new(2, "logRecords", Kind::Items(&LOG)),
        schema_url(3),
    ],
);

static RESOURCE: Message = Message::new(
    200,
    &[attributes(1), dropped(2), Field::new(3, "entityRefs", Kind::Messages(&ENTITY_REF))],
);
static ENTITY_REF: Message = Message::new(
    100,
    &[
        schema_url(1),
        Field::new(2, "type", Kind::Str),
        Field::new(3, "idKeys", Kind::Strs),
        Field::new(4, "descriptionKeys", Kind::Strs),
    ],
);
static SCOPE: Message = Message::new(
    100,
    &[
        Field::new(1, "name", Kind::Str),
        Field::new(2, "version", Kind::Str),
        attributes(3),
        dropped(4),
    ],
);

static KEY_VALUE: Message = Message::new(
    100,
    &[
        Field::new(1, "key", Kind::Str),
        Field::new(2, "value", Kind::Message(&ANY_VALUE)),
        Field::new(3, "keyStrindex", Kind::Int32),
    ],
);
static ANY_VALUE: Message = {
    let mut message = Message::new(
        100,
        &[
            one_of(1, "stringValue", Kind::Str),
            one_of(2, "boolValue", Kind::Bool),
            one_of(3, "intValue", Kind::Int64),
            one_of(4, "doubleValue", Kind::Double),
            one_of(5, "arrayValue", Kind::Message(&ARRAY_VALUE)),
            one_of(6, "kvlistValue", Kind::Message(&KVLIST)),
            one_of(7, "bytesValue", Kind::Bytes),
            one_of(8, "stringValueStrindex", Kind::Int32),
        ],
    );
    message.is_value = true;
    message
};
static ARRAY_VALUE: Message = Message {
    fields: &[Field::new(1, "values", Kind::Messages(&ANY_VALUE))],
    estimate: 200,
    required: 0,
    one_of: 0,
    counted: false,
    is_value: false,
};
static KVLIST: Message = Message {
    fields: &[Field::new(1, "values", Kind::Messages(&KEY_VALUE))],
    estimate: 200,
    required: 0,
    one_of: 0,
    counted: false,
    is_value: false,
};

static SPAN: Message = Message::new(
    400,
    &[
        trace_id(1, Kind::Id(16)),
        span_id(2, Kind::Id(8)),
        trace_state(3),
        Field::new(4, "parentSpanId", Kind::Hex),
        flags(16, Kind::Fixed32),
        Field::new(5, "name", Kind::Str),
        Field::new(6, "kind", Kind::Enum(SPAN_KINDS)),
        start(7),
        Field::new(8, "endTimeUnixNano", Kind::Fixed64),
        attributes(9),
        dropped(10),
        Field::new(11, "events", Kind::Messages(&EVENT)),
        Field::new(12, "droppedEventsCount", Kind::Uint32),
        Field::new(13, "links", Kind::Messages(&LINK)),
        Field::new(14, "droppedLinksCount", Kind::Uint32),
        Field::new(15, "status", Kind::Message(&STATUS)),
    ],
);
static STATUS: Message = Message::new(
    20,
    &[Field::new(2, "message", Kind::Str), Field::new(3, "code", Kind::Enum(STATUS_CODES))],
);
static EVENT: Message =
    Message::new(200, &[time(1), Field::new(2, "name", Kind::Str), attributes(3), dropped(4)]);
static LINK: Message = Message::new(
    100,
    &[
        trace_id(1, Kind::Hex),
        span_id(2, Kind::Hex),
        trace_state(3),
        attributes(4),
        dropped(5),
        flags(6, Kind::Fixed32),
    ],
);

static METRIC: Message = Message::new(
    1000,
    &[
        Field::new(1, "name", Kind::Str),
        Field::new(2, "description", Kind::Str),
        Field::new(3, "unit", Kind::Str),
        one_of(5, "gauge", Kind::Message(&GAUGE)),
        one_of(7, "sum", Kind::Message(&SUM)),
        one_of(9, "histogram", Kind::Message(&HISTOGRAM)),
        one_of(10, "exponentialHistogram", Kind::Message(&EXPONENTIAL)),
        one_of(11, "summary", Kind::Message(&SUMMARY)),
        Field::new(12, "metadata", Kind::Messages(&KEY_VALUE)),
    ],
);
static GAUGE: Message = Message::new(1000, &[data_points(&NUMBER)]);
static SUM: Message = Message::new(
    1000,
    &[data_points(&NUMBER), temporality(), Field::new(3, "isMonotonic", Kind::Bool)],
);
static HISTOGRAM: Message = Message::new(1000, &[data_points(&HISTOGRAM_POINT), temporality()]);
static EXPONENTIAL: Message = Message::new(1000, &[data_points(&EXPONENTIAL_POINT), temporality()]);
static SUMMARY: Message = Message::new(1000, &[data_points(&SUMMARY_POINT)]);

static NUMBER: Message = Message::new(
    100,
    &[
        attributes(7),
        start(2),
        time(3),
        one_of(4, "asDouble", Kind::Double),
        one_of(6, "asInt", Kind::Sfixed64),
        exemplars(5),
        flags(8, Kind::Uint32),
    ],
);
static HISTOGRAM_POINT: Message = Message::new(
    300,
    &[
        attributes(9),
        start(2),
        time(3),
        count(),
        optional(5, "sum"),
        Field::new(6, "bucketCounts", Kind::Fixed64s),
        Field::new(7, "explicitBounds", Kind::Doubles),
        exemplars(8),
        flags(10, Kind::Uint32),
        optional(11, "min"),
        optional(12, "max"),
    ],
);
static EXPONENTIAL_POINT: Message = Message::new(
    300,
    &[
        attributes(1),
        start(2),
        time(3),
        count(),
        optional(5, "sum"),
        Field::new(6, "scale", Kind::Sint32),
        Field::new(7, "zeroCount", Kind::Fixed64),
        Field::new(8, "positive", Kind::Message(&BUCKETS)),
        Field::new(9, "negative", Kind::Message(&BUCKETS)),
        flags(10, Kind::Uint32),
        exemplars(11),
        optional(12, "min"),
        optional(13, "max"),
        Field::new(14, "zeroThreshold", Kind::Double),
    ],
);
static BUCKETS: Message = Message::new(
    100,
    &[Field::new(1, "offset", Kind::Sint32), Field::new(2, "bucketCounts", Kind::Varints)],
);
static SUMMARY_POINT: Message = Message::new(
    200,
    &[
        attributes(7),
        start(2),
        time(3),
        count(),
        Field::new(5, "sum", Kind::Double),
        Field::new(6, "quantileValues", Kind::Messages(&QUANTILE)),
        flags(8, Kind::Uint32),
    ],
);
static QUANTILE: Message = Message::new(
    20,
    &[Field::new(1, "quantile", Kind::Double), Field::new(2, "value", Kind::Double)],
);
static EXEMPLAR: Message = Message::new(
    100,
    &[
        Field::new(7, "filteredAttributes", Kind::Messages(&KEY_VALUE)),
        time(2),
        one_of(3, "asDouble", Kind::Double),
        one_of(6, "asInt", Kind::Sfixed64),
        span_id(4, Kind::Hex),
        trace_id(5, Kind::Hex),
    ],
);

static LOG: Message = Message::new(
    300,
    &[
        time(1),
        Field::new(11, "observedTimeUnixNano", Kind::Fixed64),
        Field::new(2, "severityNumber", Kind::Enum(SEVERITIES)),
        Field::new(3, "severityText", Kind::Str),
        Field::new(5, "body", Kind::Message(&ANY_VALUE)),
        attributes(6),
        dropped(7),
        flags(8, Kind::Fixed32),
        trace_id(9, Kind::Hex),
        span_id(10, Kind::Hex),
        Field::new(12, "eventName", Kind::Str),
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::MAX_FIELDS;

    fn check(message: &'static Message, depth: u32) {
        assert!(message.fields.len() <= MAX_FIELDS);
        for (index, field) in message.fields.iter().enumerate() {
            assert_eq!(message.index(field.number), Some(index), "{}", field.name);
            assert!(!field.name.contains('_'), "{}", field.name);
            for hint in 0..=message.fields.len() + 1 {
                assert_eq!(message.find(field.name, hint).map(|found| found.0), Some(index));
            }
            if let Kind::Message(inner)
            | Kind::Messages(inner)
            | Kind::Points(inner)
            | Kind::Items(inner) = field.kind
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
