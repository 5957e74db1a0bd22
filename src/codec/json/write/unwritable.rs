//! Errors of writing OTLP/JSON.

use crate::codec::wire::WireError;

/// Protobuf that OTLP/JSON cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// The bytes are not protobuf.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// A field with another wire type than opentelemetry-proto gives it.
    #[error("{0}: the field has a wire type that opentelemetry-proto does not give it")]
    WireType(&'static str),
    /// Packed numbers that end in the middle of a number.
    #[error("{0}: packed numbers end in the middle of a number")]
    Packed(&'static str),
    /// Text that is not UTF-8, which protobuf forbids.
    #[error("{0}: the text is not UTF-8")]
    Utf8(&'static str),
    /// Values nested too deeply.
    #[error("values are nested deeper than 64")]
    Depth,
}
