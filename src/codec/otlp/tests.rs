//! The rows against opentelemetry-proto's descriptors.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::codec::wire::{WireFields, WireValue};

/// The packages whose messages have rows: profiles change too much.
const PACKAGES: [&str; 5] = [
    "opentelemetry.proto.common.v1",
    "opentelemetry.proto.resource.v1",
    "opentelemetry.proto.trace.v1",
    "opentelemetry.proto.metrics.v1",
    "opentelemetry.proto.logs.v1",
];

/// Enums that no field has: the bits of `flags`.
const FLAGS: [&str; 3] = [
    "opentelemetry.proto.trace.v1.SpanFlags",
    "opentelemetry.proto.metrics.v1.DataPointFlags",
    "opentelemetry.proto.logs.v1.LogRecordFlags",
];

/// A field as descriptor.proto has it: number, name, JSON name, type, type name, whether it is repeated,
/// `optional` and in a `oneof`.
type Row = (u32, String, String, u64, String, bool, bool, bool);

/// What a protobuf message has under a number.
fn all(message: &[u8], number: u32) -> Vec<WireValue<'_>> {
    let mut fields = WireFields::new(message);
    let mut found = Vec::new();
    while let Some(field) = fields.read().unwrap() {
        if field.number == number {
            found.push(field.value);
        }
    }
    found
}

fn messages(message: &[u8], number: u32) -> Vec<&[u8]> {
    let bytes =
        |value| if let WireValue::Bytes(bytes) = value { bytes } else { panic!("a message") };
    all(message, number).into_iter().map(bytes).collect()
}

fn text(message: &[u8], number: u32) -> String {
    let found = messages(message, number);
    String::from_utf8(found.last().copied().unwrap_or_default().to_vec()).unwrap()
}

fn number(message: &[u8], number: u32) -> Option<u64> {
    all(message, number).last().map(|value| match value {
        WireValue::Varint(value) => *value,
        _ => panic!("a number"),
    })
}

/// What the descriptors of a file or of a message define, by full names.
#[derive(Default)]
struct Defined {
    messages: BTreeMap<String, Vec<Row>>,
    enums: BTreeMap<String, Vec<(u64, String)>>,
}

impl Defined {
    /// Everything in opentelemetry-proto that has rows.
    fn read() -> Self {
        let mut defined = Self::default();
        for file in messages(opentelemetry_proto::DESCRIPTORS, 1) {
            let package = text(file, 2);
            if PACKAGES.contains(&package.as_str()) {
                messages(file, 4)
                    .into_iter()
                    .for_each(|message| defined.message(&package, message));
                messages(file, 5).into_iter().for_each(|one| defined.enumeration(&package, one));
            }
        }
        defined
    }

    fn message(&mut self, around: &str, descriptor: &[u8]) {
        let name = format!("{around}.{}", text(descriptor, 1));
        messages(descriptor, 3).into_iter().for_each(|inner| self.message(&name, inner));
        messages(descriptor, 4).into_iter().for_each(|inner| self.enumeration(&name, inner));
        let rows = messages(descriptor, 2).into_iter().map(|field| {
            let optional = number(field, 17) == Some(1);
            (
                u32::try_from(number(field, 3).unwrap()).unwrap(),
                text(field, 1),
                text(field, 10),
                number(field, 5).unwrap(),
                text(field, 6).trim_start_matches('.').to_owned(),
                number(field, 4) == Some(3),
                optional,
                number(field, 9).is_some() && !optional,
            )
        });
        let rows = rows.collect();
        self.messages.insert(name, rows);
    }

    fn enumeration(&mut self, around: &str, descriptor: &[u8]) {
        let name = format!("{around}.{}", text(descriptor, 1));
        let values = messages(descriptor, 2).into_iter();
        let values = values.map(|value| (number(value, 2).unwrap_or(0), text(value, 1))).collect();
        self.enums.insert(name, values);
    }
}

/// A row as descriptor.proto would have it. The types' numbers are those of `FieldDescriptorProto.Type`.
fn row(field: &OtlpField) -> Row {
    let (proto, name, repeated) = match field.proto {
        ProtoType::Double => (1, "", false),
        ProtoType::Doubles => (1, "", true),
        ProtoType::Int64 => (3, "", false),
        ProtoType::Varints => (4, "", true),
        ProtoType::Int32 => (5, "", false),
        ProtoType::Fixed64 => (6, "", false),
        ProtoType::Fixed64s => (6, "", true),
        ProtoType::Fixed32 => (7, "", false),
        ProtoType::Bool => (8, "", false),
        ProtoType::Str => (9, "", false),
        ProtoType::Strs => (9, "", true),
        ProtoType::Message(message) => (11, message.full_name(), false),
        ProtoType::Messages(message) => (11, message.full_name(), true),
        ProtoType::Id | ProtoType::Bytes => (12, "", false),
        ProtoType::Uint32 => (13, "", false),
        ProtoType::Enum(names) => (14, names.full_name(), false),
        ProtoType::Sfixed64 => (16, "", false),
        ProtoType::Sint32 => (17, "", false),
    };
    (
        field.number,
        field.name.to_owned(),
        field.json_name.to_owned(),
        proto,
        name.to_owned(),
        repeated,
        field.presence == ProtoPresence::Explicit && proto != 11,
        field.presence == ProtoPresence::OneOf,
    )
}

#[test]
fn every_message_and_field_of_otlp_has_its_row() {
    let defined = Defined::read();
    let ours: BTreeSet<&str> = OtlpMessage::ALL.iter().map(|one| one.full_name()).collect();
    assert_eq!(ours, defined.messages.keys().map(String::as_str).collect());
    for message in OtlpMessage::ALL {
        let rows: Vec<Row> = message.fields().iter().map(row).collect();
        assert_eq!(rows, defined.messages[message.full_name()], "{}", message.full_name());
    }
}

#[test]
fn every_value_of_an_enum_has_its_name() {
    let defined = Defined::read();
    let ours = OtlpEnum::ALL.iter().map(|one| one.full_name()).chain(FLAGS);
    assert_eq!(
        ours.collect::<BTreeSet<&str>>(),
        defined.enums.keys().map(String::as_str).collect()
    );
    for one in OtlpEnum::ALL {
        let names = one.names().iter().map(|name| (*name).to_owned());
        let named: Vec<(u64, String)> = (0..).zip(names).collect();
        assert_eq!(named, defined.enums[one.full_name()], "{}", one.full_name());
        for (name, short) in one.names().iter().zip(one.short_names()) {
            assert!(name.ends_with(&short.to_uppercase()) && short.len() > 1, "{name} {short}");
        }
    }
}

#[test]
fn names_are_unique_and_the_limits_are_those_of_the_rows() {
    for message in OtlpMessage::ALL {
        let numbers: BTreeSet<u32> = message.fields().iter().map(|field| field.number).collect();
        assert_eq!(numbers.len(), message.fields().len(), "{message:?}");
    }
    assert_eq!((MAX_FIELDS, MAX_NUMBER), (16, 16));
}

#[test]
fn the_data_of_a_metric_are_its_oneof() {
    let one_of = |field: &&OtlpField| field.presence == ProtoPresence::OneOf;
    let data = OtlpMessage::Metric.fields().iter().filter(one_of);
    assert!(data.clone().map(|field| field.number).eq(METRIC_DATA));
    for field in data {
        let ProtoType::Message(data) = field.proto else { panic!("{}", field.name) };
        assert_eq!(data.number("data_points"), 1, "{}", field.name);
    }
}
