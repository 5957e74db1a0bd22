//! Telemetry records: log events that carry a whole span, metric or log record.
//!
//! The layout is specified in ARCHITECTURE.md, section "The telemetry record".

mod event;
mod spans;
#[cfg(test)]
pub(crate) mod testing;

pub use event::{Event, EventKind, EventTime, Events, Group, Telemetry};
pub use spans::{AttributeVisitor, SpanEvent, SpanHead, SpanWalker, Status, Step};
