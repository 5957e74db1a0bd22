//! Telemetry records to OTLP protobuf.

mod builder;
mod log;
mod message;
mod raw;
mod value;

pub use builder::{Added, RequestBuilder};
pub use value::Encoder;
