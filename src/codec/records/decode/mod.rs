//! OTLP protobuf to telemetry records.
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
mod value;

pub(super) use envelope::event_head;
pub(in crate::codec) use histogram::bucket_problem;
pub use logs::{LogOptions, logs_to_groups, logs_to_records, logs_to_records_under};
pub(super) use metrics::metric_points;
pub use metrics::metrics_to_records;
pub use traces::traces_to_records;
pub(super) use value::{any_value_is_valid, key_value_is_valid};

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Transcoded {
    /// The log events appended, group markers included.
    pub events: usize,
    /// The log events appended that are no markers.
    pub records: usize,
    /// The spans, data points or log records in them.
    pub items: usize,
    /// The spans, data points or log records that are not valid and were left out.
    pub rejected: usize,
    /// The first reason for that, with the path of the item.
    pub reason: Option<String>,
    /// How many ids of resources and scopes were used up, counted from
    /// [`LogOptions::first_group`].
    pub groups: u32,
    /// The bytes of unknown fields of the request itself that were not kept, because they are more
    /// than every record can hold.
    pub lost_fields: usize,
}
