//! Self-telemetry: our own counters and log lines, kept here until the host layer publishes them
//! on a host thread.

mod counters;
mod log;
mod log_text;

pub use counters::{Counter, CounterFamily, CounterReading, Counters};
pub use log::{KeptLine, Log, LogLevel, LogLine};
pub use log_text::LogText;
