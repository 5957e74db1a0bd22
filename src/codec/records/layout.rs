//! Constants of the record layout: its version, the bytes of an event's head, the keys of an `otlp` map
//! and the limits on nesting. The layout is specified in docs/RECORD.md, "The telemetry
//! record"; the fields of items are tables in [`super::schema`].

/// The version of the layout that we write, and the newest that we read.
pub const VERSION: u64 = 1;

/// What an event of Fluent Bit starts with: two arrays of two elements, and an extension of type 0
/// and 8 bytes, which is the time.
pub const EVENT_HEAD: [u8; 4] = [0x92, 0x92, 0xd7, 0x00];

/// The seconds in the time of an event that starts a group.
pub const GROUP_START: u32 = u32::MAX;

/// The seconds in the time of an event that ends a group. No record has this many or more.
pub const GROUP_END: u32 = u32::MAX - 1;

/// The extension type of a value that msgpack cannot express, in records that builds before 1.0
/// wrote: as a map's value its data is a `KeyValue` without key, elsewhere an `AnyValue`. It is read
/// and never written, because Fluent Bit's own plugins do not survive it.
pub const EXT_RAW: i8 = 79;

/// How deep attribute values may nest.
pub const MAX_DEPTH: u32 = 64;

/// How deep maps and lists nest in the metadata and in the body of a record, its own and those of values.
/// Before 5.1 Fluent Bit's outputs run on stacks of 24 KiB without a guard at their end. From 4.0 on
/// `file` leaves 12 KiB of them, of which each level takes 680 bytes where JSON is made of it, and
/// numbers and text 2 to 4 KiB more.
pub const MAX_RECORD_DEPTH: i32 = 10;

/// How much deeper a value may nest.
#[derive(Debug, Clone, Copy)]
pub struct Nesting {
    /// In OTLP.
    left: u32,
    /// In the record, from which it is left out below.
    in_place: i32,
}

impl Nesting {
    /// That of a value with so many maps and lists of the record around it.
    #[must_use]
    pub const fn within(levels: i32) -> Self {
        Self { left: MAX_DEPTH, in_place: MAX_RECORD_DEPTH - levels }
    }

    /// That of a value which is only validated, and may nest so deep.
    #[must_use]
    pub const fn of_validated(left: u32) -> Self {
        Self { left, in_place: 0 }
    }

    /// That of the values in a list or a map.
    #[must_use]
    pub const fn inner(self) -> Self {
        Self { left: self.left.saturating_sub(1), in_place: self.in_place.saturating_sub(1) }
    }

    /// Whether a value here is nested too deep.
    #[must_use]
    pub const fn is_too_deep(self) -> bool {
        self.left == 0
    }

    /// Whether a list or a map may stand here in the record.
    #[must_use]
    pub const fn is_in_place(self) -> bool {
        self.in_place > 0
    }
}

/// Keys of records, as the bytes that readers compare and writers copy.
pub mod keys {
    use crate::codec::otlp::OtlpMessage;

    /// A key that is the name of a field in OTLP.
    const fn field(message: OtlpMessage, name: &'static str) -> &'static [u8] {
        // A name that OTLP does not have does not compile.
        let _number = message.number(name);
        name.as_bytes()
    }

    /// The map of the metadata that makes an event telemetry.
    pub const OTLP: &[u8] = b"otlp";
    /// The layout's version: see [`super::VERSION`].
    pub const VERSION: &[u8] = b"v";
    /// What the record is: `span`, `metric`, `log` or `profiles`.
    pub const SIGNAL: &[u8] = b"signal";
    /// The resource's map.
    pub const RESOURCE: &[u8] = b"resource";
    /// The scope's map.
    pub const SCOPE: &[u8] = b"scope";
    /// Which of our filters emitted the record: `[run, position]`.
    pub const FROM: &[u8] = b"from";
    /// Whether a policy of sampling wants the content of the item kept or dropped, where an endpoint goes by that.
    pub const CONTENT: &[u8] = b"content";
    /// How many equal envelopes stood before the record's own: `[resources, scopes]`.
    pub const ENVELOPE: &[u8] = b"envelope";
    /// The resource's id in a group.
    pub const RESOURCE_ID: &[u8] = b"resource_id";
    /// The scope's id, in a group and in the records that came in it.
    pub const SCOPE_ID: &[u8] = b"scope_id";
    /// The key under which a log's body stands, if it is not `log`.
    pub const BODY_KEY: &[u8] = b"body_key";
    /// What a log's body does not say by its own form.
    pub const BODY: &[u8] = b"body";
    /// What stands in a map as nil or in part only: see [`super::super::decode`].
    pub const RAW_VALUES: &[u8] = b"raw_values";
    /// The attributes of an item, a resource or a scope.
    pub const ATTRIBUTES: &[u8] = field(OtlpMessage::Span, "attributes");
    /// The schema URL of a resource or scope.
    pub const SCHEMA_URL: &[u8] = field(OtlpMessage::ResourceSpans, "schema_url");
    /// The name of a span, an event or a metric.
    pub const NAME: &[u8] = field(OtlpMessage::Span, "name");
    /// The trace id of a span, a log record or an exemplar.
    pub const TRACE_ID: &[u8] = field(OtlpMessage::Span, "trace_id");
    /// The id of a span, also of that of a log record or an exemplar.
    pub const SPAN_ID: &[u8] = field(OtlpMessage::Span, "span_id");
    /// The id of the span around a span.
    pub const PARENT_SPAN_ID: &[u8] = field(OtlpMessage::Span, "parent_span_id");
    /// The W3C tracestate of a span.
    pub const TRACE_STATE: &[u8] = field(OtlpMessage::Span, "trace_state");
    /// The flags of a span.
    pub const FLAGS: &[u8] = field(OtlpMessage::Span, "flags");
    /// The kind of a span.
    pub const KIND: &[u8] = field(OtlpMessage::Span, "kind");
    /// When a span started.
    pub const START_TIME: &[u8] = field(OtlpMessage::Span, "start_time_unix_nano");
    /// When a span ended.
    pub const END_TIME: &[u8] = field(OtlpMessage::Span, "end_time_unix_nano");
    /// The events of a span.
    pub const EVENTS: &[u8] = field(OtlpMessage::Span, "events");
    /// The links of a span.
    pub const LINKS: &[u8] = field(OtlpMessage::Span, "links");
    /// The status of a span.
    pub const STATUS: &[u8] = field(OtlpMessage::Span, "status");
    /// The code of a status.
    pub const STATUS_CODE: &[u8] = field(OtlpMessage::Status, "code");
    /// The message of a status.
    pub const STATUS_MESSAGE: &[u8] = field(OtlpMessage::Status, "message");
    /// When an event of a span was.
    pub const TIME: &[u8] = field(OtlpMessage::SpanEvent, "time_unix_nano");
    /// The data of a metric, by what kind they are of.
    pub const METRIC_DATA: [&[u8]; 5] = [
        field(OtlpMessage::Metric, "gauge"),
        field(OtlpMessage::Metric, "sum"),
        field(OtlpMessage::Metric, "histogram"),
        field(OtlpMessage::Metric, "exponential_histogram"),
        field(OtlpMessage::Metric, "summary"),
    ];
    /// The metadata of a metric.
    pub const METADATA: &[u8] = field(OtlpMessage::Metric, "metadata");
    /// The points of a metric's data.
    pub const DATA_POINTS: &[u8] = field(OtlpMessage::Gauge, "data_points");
    /// The exemplars of a point.
    pub const EXEMPLARS: &[u8] = field(OtlpMessage::NumberDataPoint, "exemplars");
    /// The attributes of an exemplar that its point does not have.
    pub const FILTERED_ATTRIBUTES: &[u8] = field(OtlpMessage::Exemplar, "filtered_attributes");
    /// The severity of a log record as a number.
    pub const SEVERITY_NUMBER: &[u8] = field(OtlpMessage::LogRecord, "severity_number");
    /// The severity of a log record as its source spells it.
    pub const SEVERITY_TEXT: &[u8] = field(OtlpMessage::LogRecord, "severity_text");
    /// The W3C trace flags of a log record, by Fluent Bit's name.
    pub const TRACE_FLAGS: &[u8] = b"trace_flags";
    /// The name of the event that a log record is.
    pub const EVENT_NAME: &[u8] = field(OtlpMessage::LogRecord, "event_name");
}
