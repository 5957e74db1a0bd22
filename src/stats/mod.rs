//! Self-telemetry: our own counters and log lines, kept here until the host layer publishes them
//! on a host thread.

mod counters;
mod log;

pub use counters::{Counter, CounterFamily, CounterReading, Counters};
pub use log::{Log, LogLevel, LogLine};
