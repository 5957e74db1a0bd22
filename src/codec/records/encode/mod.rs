//! Telemetry records to OTLP protobuf.

mod builder;
mod log;
mod message;
mod raw;
mod value;

pub use builder::{AddedRecord, RequestBuilder};
pub use value::ProtobufEncoder;
