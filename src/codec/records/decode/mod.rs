//! Transcoder: OTLP protobuf to telemetry records.
//!
//! One pass over the borrowed request: each message's top level is read once to find its fields and
//! once more, where fields repeat, to write their elements. Nothing is built in between.

mod envelope;
mod histogram;
mod logs;
mod message;
mod metrics;
mod raw;
mod traces;
mod transcoded;
mod value;

pub(in crate::codec) use histogram::bucket_problem;
pub use logs::{LogOptions, logs_to_groups, logs_to_records, logs_to_records_under};
pub(super) use metrics::metric_points;
pub use metrics::metrics_to_records;
pub use traces::traces_to_records;
pub use transcoded::Transcoded;
pub(super) use value::{any_value_is_valid, key_value_is_valid};
