//! What Fluent Bit itself writes, turned into OTLP: `CTraces`, `CMetrics`, and ordinary logs.

mod context;

pub use context::{TraceContext, UsedKey, UsedKeys, find_trace_context};
