//! Telemetry records: log events that carry a whole span, metric or log record.
//!
//! The layout is specified in docs/RECORD.md. [`traces_to_records`]
//! and its likes write records from OTLP requests, [`RequestBuilder`] makes OTLP requests of them.

mod chunk_rewriter;
mod decode;
pub mod edit;
mod encode;
mod error;
mod event_reader;
pub mod fuzz_logic;
pub mod layout;
pub mod metric_writer;
mod profiles;
mod raw_values;
mod record;
mod record_reader;
mod schema;
mod span_reader;
mod telemetry;
#[cfg(test)]
pub(crate) mod testing;
pub mod views;

pub use chunk_rewriter::ChunkRewriter;
pub(super) use decode::bucket_problem;
pub use decode::{
    LogOptions, Transcoded, logs_to_groups, logs_to_records, logs_to_records_under,
    metrics_to_records, traces_to_records,
};
pub use encode::{Added, Encoder, RequestBuilder};
pub use error::{DecodeError, DecodeKind, EncodeError, ValueError};
pub use event_reader::Events;
pub use profiles::{profile_count, profiles_of, profiles_to_records};
pub use raw_values::raw_values_hold_content;
pub use record::{Event, EventKind, EventTime, Group, StatusCode};
pub(crate) use record::{event_head, event_kind, event_time};
pub use record_reader::{OpenLog, RecordReader};
pub use span_reader::{AttributeVisitor, SpanEvent, SpanHead, SpanReader, SpanStep};
pub use telemetry::{CommonPairs, Telemetry, is_placing_key};
