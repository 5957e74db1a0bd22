//! Errors with paths: what is wrong with a request, and with a record.

use crate::codec::msgpack::ReadError;
use crate::codec::wire::WireError;
use crate::model::Signal;

/// What is wrong with OTLP protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeKind {
    /// The bytes are not protobuf.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// A known field with another wire type than opentelemetry-proto gives it.
    #[error("the field has a wire type that opentelemetry-proto does not give it")]
    WireType,
    /// Packed numbers whose bytes are no whole number of numbers.
    #[error("packed numbers end in the middle of a number")]
    Packed,
    /// Text that is not UTF-8, which protobuf forbids.
    #[error("the text is not UTF-8")]
    Utf8,
    /// Values nested too deeply.
    #[error("values are nested deeper than 64")]
    Depth,
    /// The records of the request grew too large.
    #[error(
        "the records would take more than 16 MiB and 16 times the request, because each holds its \
         resource and scope; send less of them or fewer items in a request"
    )]
    Growth,
    /// A trace id that OTLP calls invalid.
    #[error("a trace id has 16 bytes that are not all zero; this one has {0} bytes or is all zero")]
    TraceId(usize),
    /// Bounds of a histogram that do not ascend, or are no numbers.
    #[error("the bounds of a histogram ascend, each above the one before")]
    Bounds,
    /// Buckets of a histogram that do not go with its bounds.
    #[error(
        "a histogram has one bucket more than bounds, or neither; this one has {counts} buckets and {bounds} bounds"
    )]
    Buckets {
        /// How many buckets there are.
        counts: usize,
        /// How many bounds there are.
        bounds: usize,
    },
    /// A span id that OTLP calls invalid.
    #[error("a span id has 8 bytes that are not all zero; this one has {0} bytes or is all zero")]
    SpanId(usize),
}

/// A request that is not OTLP, or an item of it that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {kind} (at byte {offset})")]
pub struct DecodeError {
    /// What is wrong.
    pub kind: DecodeKind,
    /// Where, as OTLP's field names, as in `resource_spans[0].scope_spans[2].spans[5].name`.
    pub path: String,
    /// Where, as the offset of a byte near it in the request.
    pub offset: usize,
}

/// A fault on its way up: each level adds its part of the path. The address becomes an offset when
/// the request's own address is known.
#[derive(Debug)]
pub(super) struct DecodeFault {
    kind: DecodeKind,
    address: usize,
    path: Vec<String>,
}

/// The result of decoding; boxed because faults are rare and results are returned often.
pub(super) type DecodeResult<T = ()> = Result<T, Box<DecodeFault>>;

impl DecodeFault {
    #[cold]
    pub(super) fn new(kind: impl Into<DecodeKind>, near: &[u8]) -> Box<Self> {
        Box::new(Self { kind: kind.into(), address: near.as_ptr().addr(), path: Vec::new() })
    }

    /// Adds the name of the field that holds what was added before.
    #[cold]
    pub(super) fn within(mut self: Box<Self>, name: &str) -> Box<Self> {
        self.path.push(name.to_owned());
        self
    }

    /// Adds a field's name and an index.
    #[cold]
    pub(super) fn within_index(mut self: Box<Self>, name: &str, index: u32) -> Box<Self> {
        self.path.push(format!("{name}[{index}]"));
        self
    }

    /// Adds an attribute's key, of which a message shows the first 64 bytes.
    #[cold]
    pub(super) fn within_key(mut self: Box<Self>, key: &[u8]) -> Box<Self> {
        let shown = String::from_utf8_lossy(key.get(..64).unwrap_or(key));
        self.path.push(format!("[{shown:?}]"));
        self
    }

    /// The error for a caller, who has the whole request. A fault in bytes that were put together
    /// from repeated fields has no offset of its own and gets that of `item`.
    pub(super) fn error(&self, request: &[u8], item: &[u8]) -> DecodeError {
        let base = request.as_ptr().addr();
        let inside =
            |address: usize| address.checked_sub(base).filter(|offset| *offset <= request.len());
        let offset = inside(self.address).or_else(|| inside(item.as_ptr().addr())).unwrap_or(0);
        let mut path = String::new();
        for part in self.path.iter().rev() {
            if !path.is_empty() && !part.starts_with('[') {
                path.push('.');
            }
            path.push_str(part);
        }
        if path.is_empty() {
            path.push_str("request");
        }
        DecodeError { kind: self.kind, path, offset }
    }
}

/// What is wrong with a value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// The bytes are not msgpack, or the type cannot stand for OTLP's.
    #[error("{0}")]
    Read(#[from] ReadError),
    /// A number that the field cannot hold, or an enum's name that OTLP does not have.
    #[error("the value is outside of what the field can hold")]
    Range,
    /// An id that is not hex digits.
    #[error("an id is hex text")]
    Hex,
    /// Values nested too deeply.
    #[error("values are nested deeper than 64")]
    Depth,
    /// Raw values or unknown fields that are not protobuf.
    #[error("raw fields do not hold valid protobuf")]
    Raw,
}

/// Why a record cannot be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A value in the record is wrong.
    #[error("{field}: {error}")]
    Field {
        /// OTLP's name for the field.
        field: &'static str,
        /// What is wrong with it.
        error: ValueError,
    },
    /// A record of a layout that this version does not know.
    #[error("the record has layout version {0}; this version reads up to 1")]
    Version(u64),
    /// The record carries no telemetry, or that of another signal.
    #[error("the record does not carry telemetry of the signal `{}`", .0.name())]
    Signal(Signal),
}
