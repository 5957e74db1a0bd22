//! OTLP's messages as data: the number, name, type and presence of every field, in the order of
//! opentelemetry-proto 1.11.
//!
//! Each format makes its own tables of these rows, at compile time, and adds only what is its own. So a
//! field that OTLP gains is one row here; a test compares the rows with opentelemetry-proto's
//! descriptors.

mod messages;
mod names;
#[cfg(test)]
mod tests;

pub(in crate::codec) use messages::{OtlpEnum, OtlpMessage};

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codec) enum ProtoType {
    /// `uint32`.
    Uint32,
    /// `int32`.
    Int32,
    /// `sint32`.
    Sint32,
    /// `fixed32`.
    Fixed32,
    /// `int64`.
    Int64,
    /// `fixed64`.
    Fixed64,
    /// `sfixed64`.
    Sfixed64,
    /// An enum.
    Enum(OtlpEnum),
    /// `bool`.
    Bool,
    /// `double`.
    Double,
    /// `string`.
    Str,
    /// `bytes` that are the id of a trace or a span, which text formats write as hex digits.
    Id,
    /// Other `bytes`.
    Bytes,
    /// A message.
    Message(OtlpMessage),
    /// Repeated messages.
    Messages(OtlpMessage),
    /// Repeated strings.
    Strs,
    /// Repeated `fixed64`, packed.
    Fixed64s,
    /// Repeated `uint64`, packed.
    Varints,
    /// Repeated `double`, packed.
    Doubles,
}

/// When a field is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::codec) enum ProtoPresence {
    /// When it is neither zero nor empty.
    Implicit,
    /// When it was given: `optional` fields and messages.
    Explicit,
    /// When it was given; only one field of the message's `oneof` may be.
    OneOf,
}

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(in crate::codec) struct OtlpField {
    pub(in crate::codec) number: u32,
    /// Its name in the protobuf files.
    pub(in crate::codec) name: &'static str,
    /// Its name in JSON, the lowerCamelCase of `name`.
    pub(in crate::codec) json_name: &'static str,
    pub(in crate::codec) proto: ProtoType,
    pub(in crate::codec) presence: ProtoPresence,
}

/// The numbers of the fields of `Metric` that hold data points, of which a metric has one; the points
/// are field 1 in each of them.
pub const METRIC_DATA: [u32; 5] = [5, 7, 9, 10, 11];

impl OtlpMessage {
    /// The number of the field with this name. A name that the message does not have does not compile.
    #[expect(clippy::panic, reason = "called by the compiler alone")]
    pub(in crate::codec) const fn number(self, name: &str) -> u32 {
        let mut fields = self.fields();
        while let [field, others @ ..] = fields {
            if names::are_equal(field.name, name) {
                return field.number;
            }
            fields = others;
        }
        panic!("a field that the message does not have");
    }
}

/// The most fields that a message has.
pub(in crate::codec) const MAX_FIELDS: usize = limits().0;

/// The highest number of a field.
pub(in crate::codec) const MAX_NUMBER: usize = limits().1;

/// [`MAX_FIELDS`] and [`MAX_NUMBER`].
const fn limits() -> (usize, usize) {
    let (mut max, mut highest) = (0, 0);
    let mut messages = OtlpMessage::ALL;
    while let [message, others @ ..] = messages {
        let mut fields = message.fields();
        if fields.len() > max {
            max = fields.len();
        }
        while let [field, tail @ ..] = fields {
            if field.number as usize > highest {
                highest = field.number as usize;
            }
            fields = tail;
        }
        messages = others;
    }
    (max, highest)
}
