//! OTLP/JSON to protobuf, as the parser goes along.
//!
//! Visitors never build values: they write each field when they see it. A value that is wrong inside
//! of an item does not stop the parser, which must find the item's end: the fault is noted, the rest
//! of the item is skipped, and what was written of it is taken back.

mod context;
mod field;
mod message;
mod scalar;

use serde::Deserializer as _;

use super::error::JsonError;
use super::schema;
use crate::model::Signal;
use context::JsonReadContext;
use message::RequestVisitor;

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JsonConversion {
    /// The spans, data points or log records that are not valid and were left out.
    pub rejected: usize,
    /// The first reason for that, with the path to the bad field.
    pub reason: Option<String>,
    /// Fields that were ignored, as OTLP asks, although their names are those of OTLP's fields but
    /// for being in snake_case.
    pub misnamed: usize,
    /// The first of them, with its path and the name that it should have.
    pub misnamed_first: Option<String>,
}

/// Appends the protobuf of an OTLP/JSON export request to `out`, which takes at most about `limit`
/// bytes more.
///
/// # Errors
/// The text is not JSON, what holds the items is not valid, or the protobuf would be too large;
/// nothing is appended.
pub fn to_protobuf(
    signal: Signal,
    json: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<JsonConversion, JsonError> {
    // RFC 8259, section 8.1, lets a parser ignore a byte order mark.
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    let text = std::str::from_utf8(json).map_err(|error| JsonError::Utf8(error.valid_up_to()))?;
    let start = out.len();
    let mut context = JsonReadContext::new(out, start.saturating_add(limit));
    let mut parser = serde_json::Deserializer::from_str(text);
    // Our own visitors nest as deep as OTLP's messages do, with a limit for values; what they skip
    // is skipped without recursion.
    parser.disable_recursion_limit();
    let visitor = RequestVisitor { context: &mut context, message: schema::request(signal) };
    let read = parser.deserialize_any(visitor).and_then(|()| parser.end());
    match read {
        Ok(()) => Ok(JsonConversion {
            rejected: context.rejected,
            reason: context.reason,
            misnamed: context.misnamed,
            misnamed_first: context.misnamed_first,
        }),
        Err(error) => {
            let error = context.error(&error, limit);
            out.truncate(start);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;
