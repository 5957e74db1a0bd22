//! OTLP's messages in their JSON form: the name, the number and the form of every field.
//!
//! One table per message serves both directions. The fields are those of [`otlp`]; what is here is
//! JSON's own.
//!
//! [`otlp`]: crate::codec::otlp

mod messages;

pub(super) use messages::request;

pub(in crate::codec::json) use crate::codec::otlp::{MAX_FIELDS, ProtoPresence};

/// How deep attribute values may nest, as in telemetry records.
pub(in crate::codec::json) const MAX_DEPTH: u32 = 64;

/// The form of a field, in protobuf and in JSON.
#[derive(Debug, Clone, Copy)]
pub(in crate::codec::json) enum JsonFieldType {
    /// `uint32`: a number.
    Uint32,
    /// `int32`: a number.
    Int32,
    /// `sint32`: a number.
    Sint32,
    /// `fixed32`: a number.
    Fixed32,
    /// `int64`: a number in text.
    Int64,
    /// `fixed64`: a number in text.
    Fixed64,
    /// `sfixed64`: a number in text.
    Sfixed64,
    /// An enum, with the names of its numbers.
    Enum(&'static [&'static str]),
    /// `bool`.
    Bool,
    /// `double`.
    Double,
    /// `string`.
    Str,
    /// `bytes` as hex digits: an id of any length.
    Hex,
    /// `bytes` as hex digits: an id that must have so many bytes, of which not all are zero.
    Id(usize),
    /// `bytes` as base64.
    Bytes,
    /// A message.
    Message(&'static MessageSchema),
    /// Repeated messages.
    Messages(&'static MessageSchema),
    /// Repeated messages that are the data points of a metric, and are counted.
    Points(&'static MessageSchema),
    /// Repeated messages that stand for themselves: if one is bad, those beside it are kept.
    Items(&'static MessageSchema),
    /// Repeated strings.
    Strs,
    /// Repeated `fixed64`, packed.
    Fixed64s,
    /// Repeated `uint64`, packed.
    Varints,
    /// Repeated `double`, packed.
    Doubles,
}

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(in crate::codec::json) struct FieldSchema {
    pub(in crate::codec::json) number: u32,
    /// Its lowerCamelCase name. OTLP does not allow the names of the protobuf files.
    pub(in crate::codec::json) name: &'static str,
    pub(in crate::codec::json) kind: JsonFieldType,
    pub(in crate::codec::json) presence: ProtoPresence,
}

/// One OTLP message.
#[derive(Debug)]
pub(in crate::codec::json) struct MessageSchema {
    pub(in crate::codec::json) fields: &'static [FieldSchema],
    /// About how many bytes of protobuf it takes.
    pub(in crate::codec::json) estimate: usize,
    /// The bits, by index, of the fields that must be there.
    pub(in crate::codec::json) required: u32,
    /// The bits, by index, of the fields of the `oneof`.
    pub(in crate::codec::json) one_of: u32,
    /// Whether it holds data points, which are counted even in a bad metric.
    pub(in crate::codec::json) counted: bool,
    /// Whether it is `AnyValue`, the one message that may nest in itself.
    pub(in crate::codec::json) is_value: bool,
}

impl MessageSchema {
    /// The field with this name. Senders keep an order, so the search begins at `hint`.
    #[inline]
    pub(in crate::codec::json) fn find(
        &self,
        name: &str,
        hint: usize,
    ) -> Option<(usize, &'static FieldSchema)> {
        let (before, after) = self.fields.split_at_checked(hint).unwrap_or((self.fields, &[]));
        let named = |field: &FieldSchema| field.name == name;
        if let Some((index, field)) = after.iter().enumerate().find(|(_, field)| named(field)) {
            return Some((hint + index, field));
        }
        before.iter().enumerate().find(|(_, field)| named(field))
    }

    /// The index of the field with this number.
    #[inline]
    pub(in crate::codec::json) fn index(&self, number: u32) -> Option<usize> {
        self.fields.iter().position(|field| field.number == number)
    }
}
