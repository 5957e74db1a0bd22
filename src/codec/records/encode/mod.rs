//! Telemetry records to OTLP protobuf.

mod builder;
mod log;
mod message;
mod value;

pub use builder::RequestBuilder;
pub use value::Encoder;
