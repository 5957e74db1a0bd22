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
    Field::word(number, "attributes", Kind::Messages(&KEY_VALUE))
}

const fn dropped(number: u32) -> Field {
    Field::new(number, "droppedAttributesCount", "dropped_attributes_count", Kind::Uint32)
}

const fn schema_url(number: u32) -> Field {
    Field::new(number, "schemaUrl", "schema_url", Kind::Str)
}

const fn trace_id(number: u32, kind: Kind) -> Field {
    Field::new(number, "traceId", "trace_id", kind)
}

const fn span_id(number: u32, kind: Kind) -> Field {
    Field::new(number, "spanId", "span_id", kind)
}

const fn trace_state(number: u32) -> Field {
    Field::new(number, "traceState", "trace_state", Kind::Str)
}

const fn start(number: u32) -> Field {
    Field::new(number, "startTimeUnixNano", "start_time_unix_nano", Kind::Fixed64)
}

const fn time(number: u32) -> Field {
    Field::new(number, "timeUnixNano", "time_unix_nano", Kind::Fixed64)
}

const fn one_of(number: u32, name: &'static str, proto_name: &'static str, kind: Kind) -> Field {
    Field::new(number, name, proto_name, kind).when(Presence::OneOf)
}

const fn optional(number: u32, name: &'static str) -> Field {
    Field::word(number, name, Kind::Double).when(Presence::Explicit)
}

const fn flags(number: u32, kind: Kind) -> Field {
    Field::word(number, "flags", kind)
}

const fn count() -> Field {
    Field::word(4, "count", Kind::Fixed64)
}

const fn exemplars(number: u32) -> Field {
    Field::word(number, "exemplars", Kind::Messages(&EXEMPLAR))
}

const fn data_points(message: &'static Message) -> Field {
    Field::new(1, "dataPoints", "data_points", Kind::Points(message))
}

const fn temporality() -> Field {
    Field::new(2, "aggregationTemporality", "aggregation_temporality", Kind::Enum(TEMPORALITIES))
}

static TRACES: Message = Message::new(
    LARGE,
    &[Field::new(1, "resourceSpans", "resource_spans", Kind::Messages(&RESOURCE_SPANS))],
);
static RESOURCE_SPANS: Message = Message::new(
    LARGE,
    &[
        Field::word(1, "resource", Kind::Message(&RESOURCE)),
        Field::new(2, "scopeSpans", "scope_spans", Kind::Messages(&SCOPE_SPANS)),
        schema_url(3),
    ],
);
static SCOPE_SPANS: Message = Message::new(
    LARGE,
    &[
        Field::word(1, "scope", Kind::Message(&SCOPE)),
        Field::word(2, "spans", Kind::Items(&SPAN)),
        schema_url(3),
    ],
);

static METRICS: Message = Message::new(
    LARGE,
    &[Field::new(1, "resourceMetrics", "resource_metrics", Kind::Messages(&RESOURCE_METRICS))],
);
static RESOURCE_METRICS: Message = Message::new(
    LARGE,
    &[
        Field::word(1, "resource", Kind::Message(&RESOURCE)),
        Field::new(2, "scopeMetrics", "scope_metrics", Kind::Messages(&SCOPE_METRICS)),
        schema_url(3),
    ],
);
static SCOPE_METRICS: Message = Message::new(
    LARGE,
    &[
        Field::word(1, "scope", Kind::Message(&SCOPE)),
        Field::word(2, "metrics", Kind::Items(&METRIC)),
        schema_url(3),
    ],
);

static LOGS: Message = Message::new(
    LARGE,
    &[Field::new(1, "resourceLogs", "resource_logs", Kind::Messages(&RESOURCE_LOGS))],
);
static RESOURCE_LOGS: Message = Message::new(
    LARGE,
    &[
        Field::word(1, "resource", Kind::Message(&RESOURCE)),
        Field::new(2, "scopeLogs", "scope_logs", Kind::Messages(&SCOPE_LOGS)),
        schema_url(3),
    ],
);
static SCOPE_LOGS: Message = Message::new(
    LARGE,
    &[
        Field::word(1, "scope", Kind::Message(&SCOPE)),
        Field::new(2, "logRecords", "log_records", Kind::Items(&LOG)),
        schema_url(3),
    ],
);

static RESOURCE: Message = Message::new(
    200,
    &[
        attributes(1),
        dropped(2),
        Field::new(3, "entityRefs", "entity_refs", Kind::Messages(&ENTITY_REF)),
    ],
);
static ENTITY_REF: Message = Message::new(
    100,
    &[
        schema_url(1),
        Field::word(2, "type", Kind::Str),
        Field::new(3, "idKeys", "id_keys", Kind::Strs),
        Field::new(4, "descriptionKeys", "description_keys", Kind::Strs),
    ],
);
static SCOPE: Message = Message::new(
    100,
    &[
        Field::word(1, "name", Kind::Str),
        Field::word(2, "version", Kind::Str),
        attributes(3),
        dropped(4),
    ],
);

static KEY_VALUE: Message = Message::new(
    100,
    &[
        Field::word(1, "key", Kind::Str),
        Field::word(2, "value", Kind::Message(&ANY_VALUE)),
        Field::new(3, "keyStrindex", "key_strindex", Kind::Int32),
    ],
);
static ANY_VALUE: Message = {
    let mut message = Message::new(
        100,
        &[
            one_of(1, "stringValue", "string_value", Kind::Str),
            one_of(2, "boolValue", "bool_value", Kind::Bool),
            one_of(3, "intValue", "int_value", Kind::Int64),
            one_of(4, "doubleValue", "double_value", Kind::Double),
            one_of(5, "arrayValue", "array_value", Kind::Message(&ARRAY_VALUE)),
            one_of(6, "kvlistValue", "kvlist_value", Kind::Message(&KVLIST)),
            one_of(7, "bytesValue", "bytes_value", Kind::Bytes),
            one_of(8, "stringValueStrindex", "string_value_strindex", Kind::Int32),
        ],
    );
    message.is_value = true;
    message
};
static ARRAY_VALUE: Message = Message {
    fields: &[Field::word(1, "values", Kind::Messages(&ANY_VALUE))],
    estimate: 200,
    required: 0,
    one_of: 0,
    counted: false,
    is_value: false,
};
static KVLIST: Message = Message {
    fields: &[Field::word(1, "values", Kind::Messages(&KEY_VALUE))],
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
        Field::new(4, "parentSpanId", "parent_span_id", Kind::Hex),
        flags(16, Kind::Fixed32),
        Field::word(5, "name", Kind::Str),
        Field::word(6, "kind", Kind::Enum(SPAN_KINDS)),
        start(7),
        Field::new(8, "endTimeUnixNano", "end_time_unix_nano", Kind::Fixed64),
        attributes(9),
        dropped(10),
        Field::word(11, "events", Kind::Messages(&EVENT)),
        Field::new(12, "droppedEventsCount", "dropped_events_count", Kind::Uint32),
        Field::word(13, "links", Kind::Messages(&LINK)),
        Field::new(14, "droppedLinksCount", "dropped_links_count", Kind::Uint32),
        Field::word(15, "status", Kind::Message(&STATUS)),
    ],
);
static STATUS: Message = Message::new(
    20,
    &[Field::word(2, "message", Kind::Str), Field::word(3, "code", Kind::Enum(STATUS_CODES))],
);
static EVENT: Message =
    Message::new(200, &[time(1), Field::word(2, "name", Kind::Str), attributes(3), dropped(4)]);
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
        Field::word(1, "name", Kind::Str),
        Field::word(2, "description", Kind::Str),
        Field::word(3, "unit", Kind::Str),
        one_of(5, "gauge", "gauge", Kind::Message(&GAUGE)),
        one_of(7, "sum", "sum", Kind::Message(&SUM)),
        one_of(9, "histogram", "histogram", Kind::Message(&HISTOGRAM)),
        one_of(10, "exponentialHistogram", "exponential_histogram", Kind::Message(&EXPONENTIAL)),
        one_of(11, "summary", "summary", Kind::Message(&SUMMARY)),
        Field::word(12, "metadata", Kind::Messages(&KEY_VALUE)),
    ],
);
static GAUGE: Message = Message::new(1000, &[data_points(&NUMBER)]);
static SUM: Message = Message::new(
    1000,
    &[
        data_points(&NUMBER),
        temporality(),
        Field::new(3, "isMonotonic", "is_monotonic", Kind::Bool),
    ],
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
        one_of(4, "asDouble", "as_double", Kind::Double),
        one_of(6, "asInt", "as_int", Kind::Sfixed64),
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
        Field::new(6, "bucketCounts", "bucket_counts", Kind::Fixed64s),
        Field::new(7, "explicitBounds", "explicit_bounds", Kind::Doubles),
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
        Field::word(6, "scale", Kind::Sint32),
        Field::new(7, "zeroCount", "zero_count", Kind::Fixed64),
        Field::word(8, "positive", Kind::Message(&BUCKETS)),
        Field::word(9, "negative", Kind::Message(&BUCKETS)),
        flags(10, Kind::Uint32),
        exemplars(11),
        optional(12, "min"),
        optional(13, "max"),
        Field::new(14, "zeroThreshold", "zero_threshold", Kind::Double),
    ],
);
static BUCKETS: Message = Message::new(
    100,
    &[
        Field::word(1, "offset", Kind::Sint32),
        Field::new(2, "bucketCounts", "bucket_counts", Kind::Varints),
    ],
);
static SUMMARY_POINT: Message = Message::new(
    200,
    &[
        attributes(7),
        start(2),
        time(3),
        count(),
        Field::word(5, "sum", Kind::Double),
        Field::new(6, "quantileValues", "quantile_values", Kind::Messages(&QUANTILE)),
        flags(8, Kind::Uint32),
    ],
);
static QUANTILE: Message = Message::new(
    20,
    &[Field::word(1, "quantile", Kind::Double), Field::word(2, "value", Kind::Double)],
);
static EXEMPLAR: Message = Message::new(
    100,
    &[
        Field::new(7, "filteredAttributes", "filtered_attributes", Kind::Messages(&KEY_VALUE)),
        time(2),
        one_of(3, "asDouble", "as_double", Kind::Double),
        one_of(6, "asInt", "as_int", Kind::Sfixed64),
        span_id(4, Kind::Hex),
        trace_id(5, Kind::Hex),
    ],
);

static LOG: Message = Message::new(
    300,
    &[
        time(1),
        Field::new(11, "observedTimeUnixNano", "observed_time_unix_nano", Kind::Fixed64),
        Field::new(2, "severityNumber", "severity_number", Kind::Enum(SEVERITIES)),
        Field::new(3, "severityText", "severity_text", Kind::Str),
        Field::word(5, "body", Kind::Message(&ANY_VALUE)),
        attributes(6),
        dropped(7),
        flags(8, Kind::Fixed32),
        trace_id(9, Kind::Hex),
        span_id(10, Kind::Hex),
        Field::new(12, "eventName", "event_name", Kind::Str),
    ],
);

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::MAX_FIELDS;

    fn camel(proto_name: &str) -> String {
        let mut words = proto_name.split('_');
        let mut name = words.next().unwrap().to_owned();
        for word in words {
            let mut letters = word.chars();
            name.extend(letters.next().into_iter().flat_map(char::to_uppercase));
            name.push_str(letters.as_str());
        }
        name
    }

    fn check(message: &'static Message, depth: u32) {
        assert!(message.fields.len() <= MAX_FIELDS);
        for (index, field) in message.fields.iter().enumerate() {
            assert_eq!(message.index(field.number), Some(index), "{}", field.name);
            assert_eq!(field.name, camel(field.proto_name));
            for hint in 0..=message.fields.len() + 1 {
                for name in [field.name, field.proto_name] {
                    assert_eq!(message.find(name, hint).map(|found| found.0), Some(index));
                }
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
