//! Chunks as Fluent Bit writes them, and what they say in OTLP.
//!
//! The files in `native/` are the contents of chunks that Fluent Bit's own OpenTelemetry input
//! wrote, by release and signal.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod accessors;
mod build;
mod hostile;
mod metrics;
mod metrics_layouts;
mod plain;
mod traces;
