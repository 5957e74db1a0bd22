//! Telemetry records to OTLP protobuf.

mod builder;
mod log;
mod message;
mod push_records;
mod raw;
mod value;

pub use builder::{AddedRecord, RequestBuilder};
pub use push_records::push_records;
pub use value::ProtobufEncoder;
