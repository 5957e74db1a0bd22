//! Ordinary logs: what inputs such as tail, systemd and tcp write, and what parsers make of it.

mod accessors;
mod ids;
mod json_text;
mod leftover;
mod plain_log;
mod plain_text;
mod resource;
mod severity;
mod text;
mod text_fields;
mod trace_context;
mod trace_keys;

pub use self::accessors::{FieldAccessors, LogAccessors};
pub use self::json_text::JsonText;
pub use self::plain_log::{PlainLog, plain_log};
pub use self::plain_text::find_trace_context_in_text;
pub use self::resource::{kubernetes_attributes, log_origin};
pub use self::severity::LogSeverity;
pub use self::text::log_texts;
pub use self::text_fields::{TextField, TextFields};
pub use self::trace_context::{
    TraceContext, UsedKey, UsedKeys, find_trace_context, find_trace_context_with,
};
