//! Schema tables: the layout of telemetry records as data, which OTLP field has which key and which
//! form.
//!
//! One table per OTLP message serves both directions. The fields are those of [`otlp`]; what is
//! here is the record's own: order, keys and forms, as docs/RECORD.md has them.
//!
//! [`otlp`]: crate::codec::otlp

use crate::codec::otlp::{MAX_NUMBER, OtlpField, OtlpMessage, ProtoPresence, ProtoType};

pub(super) use crate::codec::otlp::MAX_FIELDS;

/// The form of a field, on the wire and in the record.
#[derive(Debug, Clone, Copy)]
pub(super) enum FieldForm {
    /// `uint32`: an integer.
    Uint32,
    /// An enum: a name, or a number where there is none.
    Enum(&'static [&'static str]),
    /// `bool`.
    Bool,
    /// `sint32`: an integer.
    Sint32,
    /// `fixed32`: an integer.
    Fixed32,
    /// `fixed64`: an integer.
    Fixed64,
    /// `sfixed64`: an integer.
    Sfixed64,
    /// `double`.
    Double,
    /// `string`.
    Str,
    /// `bytes`, as lower-case hex text.
    Hex,
    /// `bytes`, as they are.
    Bin,
    /// A message.
    Message(&'static MessageLayout),
    /// The body of a log record, which has its own place in the record.
    Body,
    /// Repeated messages: an array of maps.
    Messages(&'static MessageLayout),
    /// Repeated `KeyValue`: one map, which is the innermost of so many maps and lists in the record.
    Attributes(i32),
    /// Repeated strings.
    Strs,
    /// Repeated `fixed64`.
    Fixed64s,
    /// Repeated `uint64`.
    Varints,
    /// Repeated `double`.
    Doubles,
}

/// When a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LayoutPresence {
    /// When it is neither zero nor empty.
    Implicit,
    /// When it was there: `optional` fields and messages.
    Explicit,
    /// When it was there, and no other field of the message's `oneof` came after it.
    OneOf,
    /// Always.
    Always,
}

/// A key with its msgpack header, padded so that it can be copied at once.
#[derive(Debug, Clone, Copy)]
pub(super) struct LayoutKey {
    bytes: [u8; 32],
    /// All bits of the bytes that count, so that a key is compared at once.
    mask: [u8; 32],
    length: usize,
}

impl LayoutKey {
    const fn new(name: &str) -> Self {
        let mut bytes = [0; 32];
        let [low, ..] = name.len().to_le_bytes();
        // A name of 32 bytes or more would be a mistake in the tables and does not compile.
        let [head, tail @ ..] = &mut bytes;
        *head = 0xa0 | low;
        tail.split_at_mut(name.len()).0.copy_from_slice(name.as_bytes());
        let mut mask = [0; 32];
        let mut rest = mask.split_at_mut(name.len() + 1).0;
        while let [first, tail @ ..] = rest {
            *first = 0xff;
            rest = tail;
        }
        Self { bytes, mask, length: name.len() + 1 }
    }

    /// What follows the key, if `input` starts with it.
    #[inline]
    pub(super) fn strip<'a>(&self, input: &'a [u8]) -> Option<&'a [u8]> {
        let Some(block) = input.first_chunk::<32>() else {
            return input.strip_prefix(self.encoded());
        };
        let u64s = |bytes: &[u8; 32]| {
            let [a, b, c, d] = *bytes.as_chunks::<8>().0 else { return [0; 4] };
            [a, b, c, d].map(u64::from_ne_bytes)
        };
        let [block, own, mask] = [block, &self.bytes, &self.mask].map(u64s);
        let pairs = block.iter().zip(own).zip(mask);
        let differ = pairs.fold(0, |differ, ((a, b), mask)| differ | ((a ^ b) & mask));
        if differ == 0 { input.get(self.length..) } else { None }
    }

    /// Appends the encoded key.
    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.length;
        out.extend_from_slice(&self.bytes);
        out.truncate(end);
    }

    /// The encoded key.
    #[inline]
    pub(super) fn encoded(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    /// The text.
    #[inline]
    pub(super) fn text(&self) -> &[u8] {
        self.bytes.get(1..self.length).unwrap_or_default()
    }
}

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldLayout {
    pub(super) number: u32,
    pub(super) key: LayoutKey,
    /// OTLP's name for it, for error messages.
    pub(super) name: &'static str,
    pub(super) kind: FieldForm,
    pub(super) presence: LayoutPresence,
}

impl FieldLayout {
    /// What stands in a table until the field is known.
    const NONE: Self = Self {
        number: 0,
        key: LayoutKey::new(""),
        name: "",
        kind: FieldForm::Bool,
        presence: LayoutPresence::Implicit,
    };

    const fn new(message: OtlpMessage, field: &OtlpField) -> Self {
        let presence = match (message, field.number, field.presence) {
            (OtlpMessage::LogRecord, 8, _) => LayoutPresence::Always,
            (_, _, ProtoPresence::Implicit) => LayoutPresence::Implicit,
            (_, _, ProtoPresence::Explicit) => LayoutPresence::Explicit,
            (_, _, ProtoPresence::OneOf) => LayoutPresence::OneOf,
        };
        Self {
            number: field.number,
            key: LayoutKey::new(key(message, field)),
            name: field.name,
            kind: form(message, field),
            presence,
        }
    }
}

/// The key of a field: its name, but for the keys that Fluent Bit's own input gives a log record. The
/// body has a place and no key.
const fn key(message: OtlpMessage, field: &OtlpField) -> &'static str {
    match (message, field.number) {
        (OtlpMessage::LogRecord, 1) => "timestamp",
        (OtlpMessage::LogRecord, 11) => "observed_timestamp",
        (OtlpMessage::LogRecord, 8) => "trace_flags",
        (OtlpMessage::LogRecord, 5) => "",
        _ => field.name,
    }
}

/// The maps and lists of a record around the values of a message's attributes: `name.list[n].attributes` is
/// four in a body.
#[expect(clippy::panic, reason = "called by the compiler alone")]
const fn attribute_levels(message: OtlpMessage) -> i32 {
    match message {
        OtlpMessage::Span | OtlpMessage::Metric => 2,
        // In `otlp` of the metadata.
        OtlpMessage::LogRecord => 3,
        OtlpMessage::Resource | OtlpMessage::InstrumentationScope => 4,
        OtlpMessage::SpanEvent | OtlpMessage::SpanLink => 4,
        OtlpMessage::NumberDataPoint
        | OtlpMessage::HistogramDataPoint
        | OtlpMessage::ExponentialHistogramDataPoint
        | OtlpMessage::SummaryDataPoint => 5,
        OtlpMessage::Exemplar => 7,
        _ => panic!("a message whose attributes have no place"),
    }
}

/// The form of a field. A type that no record has yet does not compile.
#[expect(clippy::panic, reason = "called by the compiler alone")]
const fn form(message: OtlpMessage, field: &OtlpField) -> FieldForm {
    match (message, field.number) {
        (OtlpMessage::LogRecord, 2) => return FieldForm::Enum(&[]),
        (OtlpMessage::LogRecord, 5) => return FieldForm::Body,
        (OtlpMessage::LogRecord, 9 | 10) => return FieldForm::Bin,
        _ => {}
    }
    match field.proto {
        ProtoType::Uint32 => FieldForm::Uint32,
        ProtoType::Sint32 => FieldForm::Sint32,
        ProtoType::Fixed32 => FieldForm::Fixed32,
        ProtoType::Fixed64 => FieldForm::Fixed64,
        ProtoType::Sfixed64 => FieldForm::Sfixed64,
        ProtoType::Enum(names) => FieldForm::Enum(names.short_names()),
        ProtoType::Bool => FieldForm::Bool,
        ProtoType::Double => FieldForm::Double,
        ProtoType::Str => FieldForm::Str,
        ProtoType::Id => FieldForm::Hex,
        ProtoType::Message(inner) => FieldForm::Message(layout(inner)),
        ProtoType::Messages(OtlpMessage::KeyValue) => {
            FieldForm::Attributes(attribute_levels(message))
        }
        ProtoType::Messages(inner) => FieldForm::Messages(layout(inner)),
        ProtoType::Strs => FieldForm::Strs,
        ProtoType::Fixed64s => FieldForm::Fixed64s,
        ProtoType::Varints => FieldForm::Varints,
        ProtoType::Doubles => FieldForm::Doubles,
        ProtoType::Int32 | ProtoType::Int64 | ProtoType::Bytes => {
            panic!("a type that has no form in records")
        }
    }
}

/// One OTLP message: its fields in the order in which a record has them.
#[derive(Debug)]
pub(super) struct MessageLayout {
    pub(super) fields: &'static [FieldLayout],
    by_number: [u8; MAX_NUMBER + 1],
    /// The bits, by index, of the fields that are always written.
    pub(super) always: u32,
    /// Where keys go that no field has: the number of the attributes field; 0 drops them.
    pub(super) extras: u32,
}

impl MessageLayout {
    const fn new(message: OtlpMessage, fields: &'static [FieldLayout]) -> Self {
        let mut by_number = [u8::MAX; MAX_NUMBER + 1];
        let mut rest = fields;
        let mut index = 0_u8;
        let mut always = 0;
        while let [field, tail @ ..] = rest {
            if let [slot, ..] = by_number.split_at_mut(field.number as usize).1 {
                *slot = index;
            }
            if matches!(field.presence, LayoutPresence::Always) {
                always |= 1 << index;
            }
            index += 1;
            rest = tail;
        }
        let extras = if matches!(message, OtlpMessage::Span) { 9 } else { 0 };
        Self { fields, by_number, always, extras }
    }

    /// The index of the field with this number.
    #[inline]
    pub(super) fn index(&self, number: u32) -> Option<usize> {
        match self.by_number.get(number as usize) {
            Some(&index) if index != u8::MAX => Some(usize::from(index)),
            _ => None,
        }
    }

    /// The index of the field with this key.
    pub(super) fn index_of_key(&self, key: &[u8]) -> Option<usize> {
        self.fields.iter().position(|field| field.key.text() == key)
    }
}

/// The key of a message's unknown fields.
pub(super) const UNKNOWN_FIELDS: &str = "unknown_fields";

/// The fields of a message: first those of `order`, then the others as OTLP has them.
const fn fields<const N: usize>(message: OtlpMessage, order: &[u32]) -> [FieldLayout; N] {
    let mut fields = [FieldLayout::NONE; N];
    let mut slots = fields.as_mut_slice();
    let mut numbers = order;
    while let ([slot, more @ ..], [number, tail @ ..]) = (slots, numbers) {
        let mut rest = message.fields();
        while let [field, others @ ..] = rest {
            if field.number == *number {
                *slot = FieldLayout::new(message, field);
            }
            rest = others;
        }
        (slots, numbers) = (more, tail);
    }
    let mut slots = fields.split_at_mut(order.len()).1;
    let mut rest = message.fields();
    while let [field, others @ ..] = rest {
        rest = others;
        if contains(order, field.number) {
            continue;
        }
        if let [slot, more @ ..] = slots {
            *slot = FieldLayout::new(message, field);
            slots = more;
        }
    }
    fields
}

const fn contains(numbers: &[u32], number: u32) -> bool {
    let mut rest = numbers;
    while let [first, tail @ ..] = rest {
        if *first == number {
            return true;
        }
        rest = tail;
    }
    false
}

/// `NAME = message [fields that come first]`. Attributes, values and the envelope's own messages have no
/// layout: a record has them in forms of their own.
macro_rules! layouts {
    ($($(#[$doc:meta])* $name:ident = $message:ident [$($first:literal),*];)*) => {
        $($(#[$doc])* pub(super) static $name: MessageLayout = {
            static FIELDS: [FieldLayout; OtlpMessage::$message.fields().len()] =
                fields(OtlpMessage::$message, &[$($first),*]);
            MessageLayout::new(OtlpMessage::$message, &FIELDS)
        };)*

        /// The layout of a message. The compiler alone calls it.
        const fn layout(message: OtlpMessage) -> &'static MessageLayout {
            match message {
                $(OtlpMessage::$message => &$name,)*
                _ => panic!("a message that has no layout"),
            }
        }
    };
}

layouts! {
    RESOURCE = Resource [];
    ENTITY_REF = EntityRef [];
    SCOPE = InstrumentationScope [];

    SPAN = Span [1, 2, 4, 3, 16, 5, 6, 7, 8, 15];
    STATUS = Status [3];
    EVENT = SpanEvent [];
    LINK = SpanLink [1, 2, 3, 6];

    METRIC = Metric [1, 2, 3, 12];
    GAUGE = Gauge [];
    SUM = Sum [];
    HISTOGRAM = Histogram [];
    EXPONENTIAL = ExponentialHistogram [];
    SUMMARY = Summary [];
    NUMBER = NumberDataPoint [7, 2, 3, 4, 6, 8];
    HISTOGRAM_POINT = HistogramDataPoint [9, 2, 3, 4, 5, 11, 12, 6, 7, 10];
    EXPONENTIAL_POINT = ExponentialHistogramDataPoint [1, 2, 3, 4, 5, 12, 13, 6, 7, 14];
    BUCKETS = Buckets [];
    SUMMARY_POINT = SummaryDataPoint [];
    QUANTILE = ValueAtQuantile [];
    EXEMPLAR = Exemplar [2, 3, 6, 4, 5];

    /// A log record without its body, with the keys that Fluent Bit's own input gives it.
    LOG = LogRecord [11, 1, 2, 3, 6, 7, 9, 10, 8, 12];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::Reader;

    fn check(message: &MessageLayout) {
        assert!(message.fields.len() <= MAX_FIELDS);
        for (index, field) in message.fields.iter().enumerate() {
            assert_eq!(message.index(field.number), Some(index), "{}", field.name);
            assert_eq!(message.index_of_key(field.key.text()), Some(index), "{}", field.name);
            assert_eq!(Reader::new(field.key.encoded()).str(), Ok(field.key.text()));
            if let FieldForm::Message(inner) | FieldForm::Messages(inner) = field.kind {
                check(inner);
            }
        }
    }

    #[test]
    fn every_field_is_found_by_number_and_by_key() {
        [&RESOURCE, &SCOPE, &SPAN, &METRIC, &LOG].into_iter().for_each(check);
        assert_eq!(SPAN.index(17), None);
        assert_eq!(LINK.index(0), None);
    }
}
