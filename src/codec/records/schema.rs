//! Schema tables: the layout of telemetry records as data, which OTLP field has which key and which
//! form.
//!
//! One table per OTLP message serves both directions. Field numbers and types are those of
//! opentelemetry-proto 1.11; keys and forms are specified in docs/RECORD.md, "The
//! telemetry record".

/// No message has more fields.
pub(super) const MAX_FIELDS: usize = 16;

/// The form of a field, on the wire and in the record.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
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
    Message(&'static Message),
    /// The body of a log record, which has its own place in the record.
    Body,
    /// Repeated messages: an array of maps.
    Messages(&'static Message),
    /// Repeated `KeyValue`: one map.
    Attributes,
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
pub(super) enum Presence {
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
#[derive(Debug)]
pub(super) struct Key {
    bytes: [u8; 32],
    /// All bits of the bytes that count, so that a key is compared at once.
    mask: [u8; 32],
    length: usize,
}

impl Key {
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
        let words = |bytes: &[u8; 32]| {
            let [a, b, c, d] = *bytes.as_chunks::<8>().0 else { return [0; 4] };
            [a, b, c, d].map(u64::from_ne_bytes)
        };
        let [block, own, mask] = [block, &self.bytes, &self.mask].map(words);
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
#[derive(Debug)]
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) key: Key,
    /// OTLP's name for it, for error messages.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) presence: Presence,
}

impl Field {
    const fn new(number: u32, name: &'static str, kind: Kind) -> Self {
        let presence = match kind {
            Kind::Message(_) | Kind::Body => Presence::Explicit,
            _ => Presence::Implicit,
        };
        Self { number, key: Key::new(name), name, kind, presence }
    }

    const fn keyed(mut self, key: &str) -> Self {
        self.key = Key::new(key);
        self
    }

    const fn when(mut self, presence: Presence) -> Self {
        self.presence = presence;
        self
    }
}

/// One OTLP message: its fields in the order in which a record has them.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) fields: &'static [Field],
    by_number: [u8; MAX_FIELDS + 1],
    /// The bits, by index, of the fields that are always written.
    pub(super) always: u32,
    /// Where keys go that no field has: the number of the attributes field; 0 drops them.
    pub(super) extras: u32,
}

impl Message {
    const fn new(fields: &'static [Field]) -> Self {
        let mut by_number = [u8::MAX; MAX_FIELDS + 1];
        let mut rest = fields;
        let mut index = 0_u8;
        let mut always = 0;
        while let [field, tail @ ..] = rest {
            if let [place, ..] = by_number.split_at_mut(field.number as usize).1 {
                *place = index;
            }
            if matches!(field.presence, Presence::Always) {
                always |= 1 << index;
            }
            index += 1;
            rest = tail;
        }
        Self { fields, by_number, always, extras: 0 }
    }

    const fn with_extras(mut self, number: u32) -> Self {
        self.extras = number;
        self
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

const SPAN_KINDS: &[&str] =
    &["unspecified", "internal", "server", "client", "producer", "consumer"];
const STATUS_CODES: &[&str] = &["unset", "ok", "error"];
const TEMPORALITIES: &[&str] = &["unspecified", "delta", "cumulative"];

/// The key of a message's unknown fields.
pub(super) const UNKNOWN_FIELDS: &str = "unknown_fields";

const fn dropped(number: u32) -> Field {
    Field::new(number, "dropped_attributes_count", Kind::Uint32)
}

const fn attributes(number: u32) -> Field {
    Field::new(number, "attributes", Kind::Attributes)
}

pub(super) static RESOURCE: Message = Message::new(&[
    attributes(1),
    dropped(2),
    Field::new(3, "entity_refs", Kind::Messages(&ENTITY_REF)),
]);

static ENTITY_REF: Message = Message::new(&[
    Field::new(1, "schema_url", Kind::Str),
    Field::new(2, "type", Kind::Str),
    Field::new(3, "id_keys", Kind::Strs),
    Field::new(4, "description_keys", Kind::Strs),
]);

pub(super) static SCOPE: Message = Message::new(&[
    Field::new(1, "name", Kind::Str),
    Field::new(2, "version", Kind::Str),
    attributes(3),
    dropped(4),
]);

pub(super) static SPAN: Message = Message::new(&[
    Field::new(1, "trace_id", Kind::Hex),
    Field::new(2, "span_id", Kind::Hex),
    Field::new(4, "parent_span_id", Kind::Hex),
    Field::new(3, "trace_state", Kind::Str),
    Field::new(16, "flags", Kind::Fixed32),
    Field::new(5, "name", Kind::Str),
    Field::new(6, "kind", Kind::Enum(SPAN_KINDS)),
    Field::new(7, "start_time_unix_nano", Kind::Fixed64),
    Field::new(8, "end_time_unix_nano", Kind::Fixed64),
    Field::new(15, "status", Kind::Message(&STATUS)),
    attributes(9),
    dropped(10),
    Field::new(11, "events", Kind::Messages(&EVENT)),
    Field::new(12, "dropped_events_count", Kind::Uint32),
    Field::new(13, "links", Kind::Messages(&LINK)),
    Field::new(14, "dropped_links_count", Kind::Uint32),
])
.with_extras(9);

static STATUS: Message = Message::new(&[
    Field::new(3, "code", Kind::Enum(STATUS_CODES)),
    Field::new(2, "message", Kind::Str),
]);

static EVENT: Message = Message::new(&[
    Field::new(1, "time_unix_nano", Kind::Fixed64),
    Field::new(2, "name", Kind::Str),
    attributes(3),
    dropped(4),
]);

static LINK: Message = Message::new(&[
    Field::new(1, "trace_id", Kind::Hex),
    Field::new(2, "span_id", Kind::Hex),
    Field::new(3, "trace_state", Kind::Str),
    Field::new(6, "flags", Kind::Fixed32),
    attributes(4),
    dropped(5),
]);

pub(super) static METRIC: Message = Message::new(&[
    Field::new(1, "name", Kind::Str),
    Field::new(2, "description", Kind::Str),
    Field::new(3, "unit", Kind::Str),
    Field::new(12, "metadata", Kind::Attributes),
    Field::new(5, "gauge", Kind::Message(&GAUGE)).when(Presence::OneOf),
    Field::new(7, "sum", Kind::Message(&SUM)).when(Presence::OneOf),
    Field::new(9, "histogram", Kind::Message(&HISTOGRAM)).when(Presence::OneOf),
    Field::new(10, "exponential_histogram", Kind::Message(&EXPONENTIAL)).when(Presence::OneOf),
    Field::new(11, "summary", Kind::Message(&SUMMARY)).when(Presence::OneOf),
]);

/// The numbers of the fields of `Metric` that hold data points; they are field 1 in each of them.
pub(super) const METRIC_DATA: [u32; 5] = [5, 7, 9, 10, 11];

const fn data_points(message: &'static Message) -> Field {
    Field::new(1, "data_points", Kind::Messages(message))
}

const fn temporality() -> Field {
    Field::new(2, "aggregation_temporality", Kind::Enum(TEMPORALITIES))
}

static GAUGE: Message = Message::new(&[data_points(&NUMBER)]);

static SUM: Message =
    Message::new(&[data_points(&NUMBER), temporality(), Field::new(3, "is_monotonic", Kind::Bool)]);

static HISTOGRAM: Message = Message::new(&[data_points(&HISTOGRAM_POINT), temporality()]);
static EXPONENTIAL: Message = Message::new(&[data_points(&EXPONENTIAL_POINT), temporality()]);
static SUMMARY: Message = Message::new(&[data_points(&SUMMARY_POINT)]);

const fn start() -> Field {
    Field::new(2, "start_time_unix_nano", Kind::Fixed64)
}

const fn time(number: u32) -> Field {
    Field::new(number, "time_unix_nano", Kind::Fixed64)
}

const fn optional(number: u32, name: &'static str) -> Field {
    Field::new(number, name, Kind::Double).when(Presence::Explicit)
}

const fn exemplars(number: u32) -> Field {
    Field::new(number, "exemplars", Kind::Messages(&EXEMPLAR))
}

const fn count() -> Field {
    Field::new(4, "count", Kind::Fixed64)
}

static NUMBER: Message = Message::new(&[
    attributes(7),
    start(),
    time(3),
    Field::new(4, "as_double", Kind::Double).when(Presence::OneOf),
    Field::new(6, "as_int", Kind::Sfixed64).when(Presence::OneOf),
    Field::new(8, "flags", Kind::Uint32),
    exemplars(5),
]);

static HISTOGRAM_POINT: Message = Message::new(&[
    attributes(9),
    start(),
    time(3),
    count(),
    optional(5, "sum"),
    optional(11, "min"),
    optional(12, "max"),
    Field::new(6, "bucket_counts", Kind::Fixed64s),
    Field::new(7, "explicit_bounds", Kind::Doubles),
    Field::new(10, "flags", Kind::Uint32),
    exemplars(8),
]);

static EXPONENTIAL_POINT: Message = Message::new(&[
    attributes(1),
    start(),
    time(3),
    count(),
    optional(5, "sum"),
    optional(12, "min"),
    optional(13, "max"),
    Field::new(6, "scale", Kind::Sint32),
    Field::new(7, "zero_count", Kind::Fixed64),
    Field::new(14, "zero_threshold", Kind::Double),
    Field::new(8, "positive", Kind::Message(&BUCKETS)),
    Field::new(9, "negative", Kind::Message(&BUCKETS)),
    Field::new(10, "flags", Kind::Uint32),
    exemplars(11),
]);

static BUCKETS: Message = Message::new(&[
    Field::new(1, "offset", Kind::Sint32),
    Field::new(2, "bucket_counts", Kind::Varints),
]);

static SUMMARY_POINT: Message = Message::new(&[
    attributes(7),
    start(),
    time(3),
    count(),
    Field::new(5, "sum", Kind::Double),
    Field::new(6, "quantile_values", Kind::Messages(&QUANTILE)),
    Field::new(8, "flags", Kind::Uint32),
]);

static QUANTILE: Message =
    Message::new(&[Field::new(1, "quantile", Kind::Double), Field::new(2, "value", Kind::Double)]);

static EXEMPLAR: Message = Message::new(&[
    time(2),
    Field::new(3, "as_double", Kind::Double).when(Presence::OneOf),
    Field::new(6, "as_int", Kind::Sfixed64).when(Presence::OneOf),
    Field::new(4, "span_id", Kind::Hex),
    Field::new(5, "trace_id", Kind::Hex),
    Field::new(7, "filtered_attributes", Kind::Attributes),
]);

/// A log record without its body, with the keys that Fluent Bit's own input gives it.
pub(super) static LOG: Message = Message::new(&[
    Field::new(11, "observed_time_unix_nano", Kind::Fixed64).keyed("observed_timestamp"),
    time(1).keyed("timestamp"),
    Field::new(2, "severity_number", Kind::Enum(&[])),
    Field::new(3, "severity_text", Kind::Str),
    attributes(6),
    dropped(7),
    Field::new(9, "trace_id", Kind::Bin),
    Field::new(10, "span_id", Kind::Bin),
    Field::new(8, "flags", Kind::Fixed32).keyed("trace_flags").when(Presence::Always),
    Field::new(12, "event_name", Kind::Str),
    Field::new(5, "body", Kind::Body).keyed(""),
]);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::msgpack::Reader;

    fn check(message: &Message) {
        assert!(message.fields.len() <= MAX_FIELDS);
        for (index, field) in message.fields.iter().enumerate() {
            assert_eq!(message.index(field.number), Some(index), "{}", field.name);
            assert_eq!(message.index_of_key(field.key.text()), Some(index), "{}", field.name);
            assert_eq!(Reader::new(field.key.encoded()).str(), Ok(field.key.text()));
            if let Kind::Message(inner) | Kind::Messages(inner) = field.kind {
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
