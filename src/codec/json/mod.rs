//! OTLP/JSON <-> OTLP protobuf, by the OpenTelemetry Protocol Specification, section "JSON Protobuf
//! Encoding".
//!
//! [`to_protobuf`] reads JSON once and writes protobuf as it goes; no tree is built. It is strict in
//! what it gives on and lenient in what it takes:
//!
//! - Names of fields in lowerCamelCase, as OTLP asks, and also as they are in the protobuf files.
//!   Fields that are not known are ignored.
//! - Ids as hex digits of either case; bytes as base64, standard or URL-safe, padded or not.
//! - Numbers as JSON numbers or in text, also with a fraction of zero or an exponent. A whole number
//!   that is written with a fraction or an exponent outside of text is a double to every JSON
//!   parser, so beyond 2^53 it is what that double is.
//! - Enums as numbers, as OTLP asks, and also by name.
//! - `null` for a field that is not there. Of a key that comes twice the last value counts, as in
//!   every JavaScript object; two fields of one `oneof` are an error.
//! - Doubles also as `"NaN"`, `"Infinity"` and `"-Infinity"`. All NaNs become one.
//!
//! A span, metric or log record that is not valid is left out and counted, and those beside it are
//! kept. An error of syntax, or in what holds the items, is an error of the request.
//!
//! [`from_protobuf`] writes what the specification asks for: lowerCamelCase, numbers of enums,
//! lower-case hex, 64-bit integers in text, no defaults.

mod error;
pub mod fuzz_logic;
mod number;
mod read;
pub mod scan;
mod schema;
mod write;

pub use error::JsonError;
pub use read::{JsonConversion, to_protobuf};
pub use write::{Unwritable, from_protobuf};
