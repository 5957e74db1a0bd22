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
#[derive(Debug)]
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
pub(super) struct FieldLayout {
    pub(super) number: u32,
    pub(super) key: LayoutKey,
    /// OTLP's name for it, for error messages.
    pub(super) name: &'static str,
    pub(super) kind: FieldForm,
    pub(super) presence: LayoutPresence,
}

impl FieldLayout {
    const fn new(number: u32, name: &'static str, kind: FieldForm) -> Self {
        let presence = match kind {
            FieldForm::Message(_) | FieldForm::Body => LayoutPresence::Explicit,
            _ => LayoutPresence::Implicit,
        };
        Self { number, key: LayoutKey::new(name), name, kind, presence }
    }

    const fn keyed(mut self, key: &str) -> Self {
        self.key = LayoutKey::new(key);
        self
    }

    const fn when(mut self, presence: LayoutPresence) -> Self {
        self.presence = presence;
        self
    }
}

/// One OTLP message: its fields in the order in which a record has them.
#[derive(Debug)]
pub(super) struct MessageLayout {
    pub(super) fields: &'static [FieldLayout],
    by_number: [u8; MAX_FIELDS + 1],
    /// The bits, by index, of the fields that are always written.
    pub(super) always: u32,
    /// Where keys go that no field has: the number of the attributes field; 0 drops them.
    pub(super) extras: u32,
}

impl MessageLayout {
    const fn new(fields: &'static [FieldLayout]) -> Self {
        let mut by_number = [u8::MAX; MAX_FIELDS + 1];
        let mut rest = fields;
        let mut index = 0_u8;
        let mut always = 0;
        while let [field, tail @ ..] = rest {
            if let [place, ..] = by_number.split_at_mut(field.number as usize).1 {
                *place = index;
            }
            if matches!(field.presence, LayoutPresence::Always) {
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

const fn dropped(number: u32) -> FieldLayout {
    FieldLayout::new(number, "dropped_attributes_count", FieldForm::Uint32)
}

const fn attributes(number: u32) -> FieldLayout {
    FieldLayout::new(number, "attributes", FieldForm::Attributes)
}

pub(super) static RESOURCE: MessageLayout = MessageLayout::new(&[
    attributes(1),
    dropped(2),
    FieldLayout::new(3, "entity_refs", FieldForm::Messages(&ENTITY_REF)),
]);

static ENTITY_REF: MessageLayout = MessageLayout::new(&[
    FieldLayout::new(1, "schema_url", FieldForm::Str),
    FieldLayout::new(2, "type", FieldForm::Str),
    FieldLayout::new(3, "id_keys", FieldForm::Strs),
    FieldLayout::new(4, "description_keys", FieldForm::Strs),
]);

pub(super) static SCOPE: MessageLayout = MessageLayout::new(&[
    FieldLayout::new(1, "name", FieldForm::Str),
    FieldLayout::new(2, "version", FieldForm::Str),
    attributes(3),
    dropped(4),
]);

pub(super) static SPAN: MessageLayout = MessageLayout::new(&[
    FieldLayout::new(1, "trace_id", FieldForm::Hex),
    FieldLayout::new(2, "span_id", FieldForm::Hex),
    FieldLayout::new(4, "parent_span_id", FieldForm::Hex),
    FieldLayout::new(3, "trace_state", FieldForm::Str),
    FieldLayout::new(16, "flags", FieldForm::Fixed32),
    FieldLayout::new(5, "name", FieldForm::Str),
    FieldLayout::new(6, "kind", FieldForm::Enum(SPAN_KINDS)),
    FieldLayout::new(7, "start_time_unix_nano", FieldForm::Fixed64),
    FieldLayout::new(8, "end_time_unix_nano", FieldForm::Fixed64),
    FieldLayout::new(15, "status", FieldForm::Message(&STATUS)),
    attributes(9),
    dropped(10),
    FieldLayout::new(11, "events", FieldForm::Messages(&EVENT)),
    FieldLayout::new(12, "dropped_events_count", FieldForm::Uint32),
    FieldLayout::new(13, "links", FieldForm::Messages(&LINK)),
    FieldLayout::new(14, "dropped_links_count", FieldForm::Uint32),
])
.with_extras(9);

static STATUS: MessageLayout = MessageLayout::new(&[
    FieldLayout::new(3, "code", FieldForm::Enum(STATUS_CODES)),
    FieldLayout::new(2, "message", FieldForm::Str),
]);

static EVENT: MessageLayout = MessageLayout::new(&[
    FieldLayout::new(1, "time_unix_nano", FieldForm::Fixed64),
    FieldLayout::new(2, "name", FieldForm::Str),
    attributes(3),
    dropped(4),
]);

static LINK: MessageLayout = MessageLayout::new(&[
    FieldLayout::new(1, "trace_id", FieldForm::Hex),
    FieldLayout::new(2, "span_id", FieldForm::Hex),
    FieldLayout::new(3, "trace_state", FieldForm::Str),
    FieldLayout::new(6, "flags", FieldForm::Fixed32),
    attributes(4),
    dropped(5),
]);

pub(super) static METRIC: MessageLayout = MessageLayout::new(&[
    FieldLayout::new(1, "name", FieldForm::Str),
    FieldLayout::new(2, "description", FieldForm::Str),
    FieldLayout::new(3, "unit", FieldForm::Str),
    FieldLayout::new(12, "metadata", FieldForm::Attributes),
    FieldLayout::new(5, "gauge", FieldForm::Message(&GAUGE)).when(LayoutPresence::OneOf),
    FieldLayout::new(7, "sum", FieldForm::Message(&SUM)).when(LayoutPresence::OneOf),
    FieldLayout::new(9, "histogram", FieldForm::Message(&HISTOGRAM)).when(LayoutPresence::OneOf),
    FieldLayout::new(10, "exponential_histogram", FieldForm::Message(&EXPONENTIAL))
        .when(LayoutPresence::OneOf),
    FieldLayout::new(11, "summary", FieldForm::Message(&SUMMARY)).when(LayoutPresence::OneOf),
]);

/// The numbers of the fields of `Metric` that hold data points; they are field 1 in each of them.
pub(super) const METRIC_DATA: [u32; 5] = [5, 7, 9, 10, 11];

const fn data_points(message: &'static MessageLayout) -> FieldLayout {
    FieldLayout::new(1, "data_points", FieldForm::Messages(message))
}

const fn temporality() -> FieldLayout {
    FieldLayout::new(2, "aggregation_temporality", FieldForm::Enum(TEMPORALITIES))
}

static GAUGE: MessageLayout = MessageLayout::new(&[data_points(&NUMBER)]);

static SUM: MessageLayout = MessageLayout::new(&[
    data_points(&NUMBER),
    temporality(),
    FieldLayout::new(3, "is_monotonic", FieldForm::Bool),
]);

static HISTOGRAM: MessageLayout =
    MessageLayout::new(&[data_points(&HISTOGRAM_POINT), temporality()]);
static EXPONENTIAL: MessageLayout =
    MessageLayout::new(&[data_points(&EXPONENTIAL_POINT), temporality()]);
static SUMMARY: MessageLayout = MessageLayout::new(&[data_points(&SUMMARY_POINT)]);

const fn start() -> FieldLayout {
    FieldLayout::new(2, "start_time_unix_nano", FieldForm::Fixed64)
}

const fn time(number: u32) -> FieldLayout {
    FieldLayout::new(number, "time_unix_nano", FieldForm::Fixed64)
}

const fn optional(number: u32, name: &'static str) -> FieldLayout {
    FieldLayout::new(number, name, FieldForm::Double).when(LayoutPresence::Explicit)
}

const fn exemplars(number: u32) -> FieldLayout {
    FieldLayout::new(number, "exemplars", FieldForm::Messages(&EXEMPLAR))
}

const fn count() -> FieldLayout {
    FieldLayout::new(4, "count", FieldForm::Fixed64)
}

static NUMBER: MessageLayout = MessageLayout::new(&[
    attributes(7),
    start(),
    time(3),
    FieldLayout::new(4, "as_double", FieldForm::Double).when(LayoutPresence::OneOf),
    FieldLayout::new(6, "as_int", FieldForm::Sfixed64).when(LayoutPresence::OneOf),
    FieldLayout::new(8, "flags", FieldForm::Uint32),
    exemplars(5),
]);

static HISTOGRAM_POINT: MessageLayout = MessageLayout::new(&[
    attributes(9),
    start(),
    time(3),
    count(),
    optional(5, "sum"),
    optional(11, "min"),
    optional(12, "max"),
    FieldLayout::new(6, "bucket_counts", FieldForm::Fixed64s),
    FieldLayout::new(7, "explicit_bounds", FieldForm::Doubles),
    FieldLayout::new(10, "flags", FieldForm::Uint32),
    exemplars(8),
]);

static EXPONENTIAL_POINT: MessageLayout = MessageLayout::new(&[
    attributes(1),
    start(),
    time(3),
    count(),
    optional(5, "sum"),
    optional(12, "min"),
    optional(13, "max"),
    FieldLayout::new(6, "scale", FieldForm::Sint32),
    FieldLayout::new(7, "zero_count", FieldForm::Fixed64),
    FieldLayout::new(14, "zero_threshold", FieldForm::Double),
    FieldLayout::new(8, "positive", FieldForm::Message(&BUCKETS)),
    FieldLayout::new(9, "negative", FieldForm::Message(&BUCKETS)),
    FieldLayout::new(10, "flags", FieldForm::Uint32),
    exemplars(11),
]);

static BUCKETS: MessageLayout = MessageLayout::new(&[
    FieldLayout::new(1, "offset", FieldForm::Sint32),
    FieldLayout::new(2, "bucket_counts", FieldForm::Varints),
]);

static SUMMARY_POINT: MessageLayout = MessageLayout::new(&[
    attributes(7),
    start(),
    time(3),
    count(),
    FieldLayout::new(5, "sum", FieldForm::Double),
    FieldLayout::new(6, "quantile_values", FieldForm::Messages(&QUANTILE)),
    FieldLayout::new(8, "flags", FieldForm::Uint32),
]);

static QUANTILE: MessageLayout = MessageLayout::new(&[
    FieldLayout::new(1, "quantile", FieldForm::Double),
    FieldLayout::new(2, "value", FieldForm::Double),
]);

static EXEMPLAR: MessageLayout = MessageLayout::new(&[
    time(2),
    FieldLayout::new(3, "as_double", FieldForm::Double).when(LayoutPresence::OneOf),
    FieldLayout::new(6, "as_int", FieldForm::Sfixed64).when(LayoutPresence::OneOf),
    FieldLayout::new(4, "span_id", FieldForm::Hex),
    FieldLayout::new(5, "trace_id", FieldForm::Hex),
    FieldLayout::new(7, "filtered_attributes", FieldForm::Attributes),
]);

/// A log record without its body, with the keys that Fluent Bit's own input gives it.
pub(super) static LOG: MessageLayout = MessageLayout::new(&[
    FieldLayout::new(11, "observed_time_unix_nano", FieldForm::Fixed64).keyed("observed_timestamp"),
    time(1).keyed("timestamp"),
    FieldLayout::new(2, "severity_number", FieldForm::Enum(&[])),
    FieldLayout::new(3, "severity_text", FieldForm::Str),
    attributes(6),
    dropped(7),
    FieldLayout::new(9, "trace_id", FieldForm::Bin),
    FieldLayout::new(10, "span_id", FieldForm::Bin),
    FieldLayout::new(8, "flags", FieldForm::Fixed32)
        .keyed("trace_flags")
        .when(LayoutPresence::Always),
    FieldLayout::new(12, "event_name", FieldForm::Str),
    FieldLayout::new(5, "body", FieldForm::Body).keyed(""),
]);

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
