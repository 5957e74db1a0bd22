//! The tables, made of OTLP's rows.

use super::{FieldSchema, JsonFieldType, MessageSchema, ProtoPresence};
use crate::codec::otlp::{OtlpField, OtlpMessage, ProtoType};
use crate::model::Signal;

/// The request message of a signal.
pub(in crate::codec::json) fn request(signal: Signal) -> &'static MessageSchema {
    match signal {
        Signal::Traces => schema(OtlpMessage::TracesData),
        Signal::Metrics => schema(OtlpMessage::MetricsData),
        Signal::Logs => schema(OtlpMessage::LogsData),
        Signal::Profiles => &PROFILES,
    }
}

/// Profiles change too much to have a table: every field of theirs is unknown.
static PROFILES: MessageSchema = MessageSchema {
    fields: &[],
    estimate: 0,
    required: 0,
    one_of: 0,
    counted: false,
    is_value: false,
};

/// A large message: its length takes four bytes.
const LARGE: usize = 1 << 22;

/// `message: about how many bytes of protobuf it takes`.
macro_rules! schemas {
    ($($message:ident: $estimate:expr,)*) => {
        /// The table of a message.
        const fn schema(message: OtlpMessage) -> &'static MessageSchema {
            match message {
                $(OtlpMessage::$message => {
                    static FIELDS: [FieldSchema; OtlpMessage::$message.fields().len()] =
                        fields(OtlpMessage::$message);
                    static SCHEMA: MessageSchema =
                        MessageSchema::new(OtlpMessage::$message, $estimate, &FIELDS);
                    &SCHEMA
                })*
            }
        }
    };
}

schemas! {
    TracesData: LARGE,
    ResourceSpans: LARGE,
    ScopeSpans: LARGE,
    Span: 400,
    SpanEvent: 200,
    SpanLink: 100,
    Status: 20,
    MetricsData: LARGE,
    ResourceMetrics: LARGE,
    ScopeMetrics: LARGE,
    Metric: 1000,
    Gauge: 1000,
    Sum: 1000,
    Histogram: 1000,
    ExponentialHistogram: 1000,
    Summary: 1000,
    NumberDataPoint: 100,
    HistogramDataPoint: 300,
    ExponentialHistogramDataPoint: 300,
    Buckets: 100,
    SummaryDataPoint: 200,
    ValueAtQuantile: 20,
    Exemplar: 100,
    LogsData: LARGE,
    ResourceLogs: LARGE,
    ScopeLogs: LARGE,
    LogRecord: 300,
    Resource: 200,
    EntityRef: 100,
    InstrumentationScope: 100,
    KeyValue: 100,
    AnyValue: 100,
    ArrayValue: 200,
    KeyValueList: 200,
}

/// The fields of a message.
const fn fields<const N: usize>(message: OtlpMessage) -> [FieldSchema; N] {
    let none = FieldSchema {
        number: 0,
        name: "",
        kind: JsonFieldType::Bool,
        presence: ProtoPresence::Implicit,
    };
    let mut fields = [none; N];
    let mut slots = fields.as_mut_slice();
    let mut rest = message.fields();
    while let ([slot, more @ ..], [field, others @ ..]) = (slots, rest) {
        *slot = FieldSchema {
            number: field.number,
            name: field.json_name,
            kind: form(message, field),
            presence: field.presence,
        };
        (slots, rest) = (more, others);
    }
    fields
}

const fn form(message: OtlpMessage, field: &OtlpField) -> JsonFieldType {
    match (message, field.proto) {
        (OtlpMessage::Span, ProtoType::Id) if field.number == 1 => JsonFieldType::Id(16),
        (OtlpMessage::Span, ProtoType::Id) if field.number == 2 => JsonFieldType::Id(8),
        (_, ProtoType::Messages(inner)) if is_item(inner) => JsonFieldType::Items(schema(inner)),
        (_, ProtoType::Messages(inner)) if is_metric_data(message) => {
            JsonFieldType::Points(schema(inner))
        }
        (_, ProtoType::Messages(inner)) => JsonFieldType::Messages(schema(inner)),
        (_, ProtoType::Message(inner)) => JsonFieldType::Message(schema(inner)),
        (_, ProtoType::Uint32) => JsonFieldType::Uint32,
        (_, ProtoType::Int32) => JsonFieldType::Int32,
        (_, ProtoType::Sint32) => JsonFieldType::Sint32,
        (_, ProtoType::Fixed32) => JsonFieldType::Fixed32,
        (_, ProtoType::Int64) => JsonFieldType::Int64,
        (_, ProtoType::Fixed64) => JsonFieldType::Fixed64,
        (_, ProtoType::Sfixed64) => JsonFieldType::Sfixed64,
        (_, ProtoType::Enum(names)) => JsonFieldType::Enum(names.names()),
        (_, ProtoType::Bool) => JsonFieldType::Bool,
        (_, ProtoType::Double) => JsonFieldType::Double,
        (_, ProtoType::Str) => JsonFieldType::Str,
        (_, ProtoType::Id) => JsonFieldType::Hex,
        (_, ProtoType::Bytes) => JsonFieldType::Bytes,
        (_, ProtoType::Strs) => JsonFieldType::Strs,
        (_, ProtoType::Fixed64s) => JsonFieldType::Fixed64s,
        (_, ProtoType::Varints) => JsonFieldType::Varints,
        (_, ProtoType::Doubles) => JsonFieldType::Doubles,
    }
}

/// Whether messages stand for themselves: if one is bad, those beside it are kept.
const fn is_item(message: OtlpMessage) -> bool {
    matches!(message, OtlpMessage::Span | OtlpMessage::Metric | OtlpMessage::LogRecord)
}

/// Whether it is the data of a metric: the messages in it are points.
const fn is_metric_data(message: OtlpMessage) -> bool {
    matches!(
        message,
        OtlpMessage::Gauge
            | OtlpMessage::Sum
            | OtlpMessage::Histogram
            | OtlpMessage::ExponentialHistogram
            | OtlpMessage::Summary
    )
}

impl MessageSchema {
    const fn new(message: OtlpMessage, estimate: usize, fields: &'static [FieldSchema]) -> Self {
        let (mut required, mut one_of) = (0, 0);
        let mut bit = 1_u32;
        let mut rest = fields;
        while let [field, tail @ ..] = rest {
            if matches!(field.kind, JsonFieldType::Id(_)) {
                required |= bit;
            }
            if matches!(field.presence, ProtoPresence::OneOf) {
                one_of |= bit;
            }
            bit <<= 1;
            rest = tail;
        }
        let counted = matches!(message, OtlpMessage::Metric) || is_metric_data(message);
        let is_value = matches!(message, OtlpMessage::AnyValue);
        Self { fields, estimate, required, one_of, counted, is_value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &'static MessageSchema, depth: u32) {
        for (index, field) in message.fields.iter().enumerate() {
            assert_eq!(message.index(field.number), Some(index), "{}", field.name);
            assert!(!field.name.contains('_'), "{}", field.name);
            for hint in 0..=message.fields.len() + 1 {
                assert_eq!(message.find(field.name, hint).map(|found| found.0), Some(index));
            }
            if let JsonFieldType::Message(inner)
            | JsonFieldType::Messages(inner)
            | JsonFieldType::Points(inner)
            | JsonFieldType::Items(inner) = field.kind
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
        let [span, log, value, metric, gauge, number] = [
            OtlpMessage::Span,
            OtlpMessage::LogRecord,
            OtlpMessage::AnyValue,
            OtlpMessage::Metric,
            OtlpMessage::Gauge,
            OtlpMessage::NumberDataPoint,
        ]
        .map(schema);
        assert!(metric.counted && gauge.counted && !number.counted && !span.counted);
        assert_eq!((span.required, log.required, value.one_of), (0b11, 0, 0xff));
        assert!(value.is_value && !span.is_value);
        assert!(span.find("traceid", 0).is_none());
    }

    #[test]
    fn every_kind_of_metric_has_points() {
        let one_of = |field: &&FieldSchema| field.presence == ProtoPresence::OneOf;
        for field in schema(OtlpMessage::Metric).fields.iter().filter(one_of) {
            let JsonFieldType::Message(data) = field.kind else { panic!("{}", field.name) };
            assert!(data.counted, "{}", field.name);
            assert!(matches!(data.fields[0].kind, JsonFieldType::Points(_)), "{}", field.name);
        }
    }
}
