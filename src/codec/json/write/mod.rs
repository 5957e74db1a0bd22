//! OTLP protobuf to OTLP/JSON, by the same tables.

mod message;
mod text;

use crate::codec::wire::WireError;
use crate::model::Signal;

use super::schema;
use message::Writer;

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

/// Appends the OTLP/JSON of an encoded export request to `out`. Returns how many fields were left
/// out because this version does not know them, and so cannot name them.
///
/// # Errors
/// The bytes are not such a request; nothing is appended.
pub fn from_protobuf(
    signal: Signal,
    request: &[u8],
    out: &mut Vec<u8>,
) -> Result<usize, Unwritable> {
    let start = out.len();
    out.reserve(request.len() * 2);
    let mut writer = Writer { out, unknown: 0, depth: 0 };
    let written = writer.message(schema::request(signal), request);
    let unknown = writer.unknown;
    written.map(|()| unknown).inspect_err(|_| out.truncate(start))
}

#[cfg(test)]
mod tests;
