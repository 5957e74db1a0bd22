//! Fluent Bit's own formats, read as OTLP and written from it: `CTraces`, `CMetrics`, and ordinary
//! logs.
//!
//! A chunk of traces or metrics is a concatenation of contexts, each one msgpack map. Fluent Bit's
//! own readers give up at the first context that they do not like; these readers frame each context
//! first, so that a context that cannot be read costs itself and nothing else. They are more
//! lenient, too: keys may come in any order, unknown keys are ignored, nil is the empty value, text
//! may hold any byte.

mod cmetrics;
mod context_reader;
mod ctraces;
mod fields;
pub mod fuzz_logic;
mod logs;
mod message;
mod tally;
mod values;
pub mod write;

pub use cmetrics::cmetrics_to_otlp;
pub use context_reader::NativeRequest;
pub use ctraces::ctraces_to_otlp;
pub use logs::{
    FieldAccessors, JsonText, LogAccessors, LogSeverity, PlainLog, TextField, TextFields,
    TraceContext, UsedKey, UsedKeys, find_trace_context, find_trace_context_in_text,
    find_trace_context_with, kubernetes_attributes, log_origin, log_texts, plain_log,
};
