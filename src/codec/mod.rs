//! Bytes <-> bytes: OTLP protobuf and JSON, Fluent Bit's chunks, and the telemetry records between
//! them.
//!
//! Nothing here builds trees on the hot path: [`records`] transcodes protobuf to msgpack and back in
//! one pass over borrowed bytes, [`json`] writes protobuf while it reads JSON, [`fluentbit`] turns what
//! Fluent Bit itself writes into OTLP, [`prometheus`] what is on pages of metrics. Every decoder is bounded in depth and size and survives any
//! input.

pub mod fluentbit;
pub mod json;
pub mod msgpack;
pub mod otlp;
pub mod prometheus;
pub mod records;
mod short_copy;
pub mod wire;

pub(crate) use short_copy::ShortText;
