//! Our own counters and log lines, kept here until the host layer publishes them on a host thread.

mod counters;
mod log;

pub use counters::{Counter, CounterFamily, Counters, Reading};
pub use log::{Level, Line, Log};
