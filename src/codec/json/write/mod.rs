//! OTLP protobuf to OTLP/JSON, by the same tables.

mod message;
mod text;
mod unwritable;

use crate::model::Signal;

use super::schema;
use message::JsonWriter;
pub use unwritable::Unwritable;

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
    let mut writer = JsonWriter { out, unknown: 0, depth: 0 };
    let written = writer.message(schema::request(signal), request);
    let unknown = writer.unknown;
    written.map(|()| unknown).inspect_err(|_| out.truncate(start))
}

#[cfg(test)]
mod tests;
