//! Telemetry records: log events that carry a whole span, metric or log record.
//!
//! The layout is specified in ARCHITECTURE.md, section "The telemetry record". [`traces_to_records`]
//! and its likes write records from OTLP requests, [`RequestBuilder`] makes OTLP requests of them.

mod chunk_rewriter;
mod decode;
pub mod edit;
mod encode;
mod error;
mod event;
pub mod exercise;
mod profiles;
mod raw_values;
mod schema;
pub mod skim;
mod spans;
#[cfg(test)]
pub(crate) mod testing;
mod walk;
pub mod write;

pub use chunk_rewriter::ChunkRewriter;
pub(super) use decode::bucket_problem;
pub use decode::{
    LogOptions, Transcoded, logs_to_groups, logs_to_records, logs_to_records_under,
    metrics_to_records, traces_to_records,
};
pub use encode::{Added, Encoder, RequestBuilder};
pub use error::{DecodeError, DecodeKind, EncodeError, ValueError};
pub use event::{Event, EventKind, EventTime, Events, Group, Telemetry, is_placing_key};
pub use profiles::{profile_count, profiles_of, profiles_to_records};
pub use raw_values::raw_values_hold_content;
pub use spans::{AttributeVisitor, SpanEvent, SpanHead, SpanWalker, Step};
pub use walk::{Common, OpenLog, Records};
