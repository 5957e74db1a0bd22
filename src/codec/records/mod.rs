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
mod item_reader;
pub mod layout;
pub mod metric_writer;
mod patch;
mod profiles;
mod raw_values;
mod record;
mod record_reader;
mod schema;
mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod views;

pub use chunk_rewriter::ChunkRewriter;
pub(super) use decode::bucket_problem;
pub use decode::{
    LogOptions, Transcoded, logs_to_groups, logs_to_records, logs_to_records_under,
    metrics_to_records, traces_to_records,
};
pub use encode::{AddedRecord, ProtobufEncoder, RequestBuilder, push_records};
pub use error::{DecodeError, DecodeKind, EncodeError, ValueError};
pub use event_reader::Events;
pub use item_reader::{Item, ItemReader, ItemStep};
pub use patch::Patch;
pub use profiles::{profile_count, profiles_of, profiles_to_records};
pub use raw_values::raw_values_hold_content;
pub use record::event_head;
pub use record::{Event, EventKind, EventTime, Group, StatusCode};
pub use record_reader::{OpenLogRecord, RecordReader};
pub use telemetry::{CommonPairs, ContentHint, Telemetry, is_placing_key};
pub use views::{
    AttributeVisitor, LogView, MetricView, SpanView, has_exception, is_metric_data, names_an_error,
};
