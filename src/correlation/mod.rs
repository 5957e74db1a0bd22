//! Correlation of signals: logs find their trace by ids of requests, responses, conversations and
//! sessions that spans carry.
//!
//! The ids of spans are remembered for a while. A log with such an id gets the trace's ids at once if
//! its span was seen, and otherwise waits for it, in a window that is bounded in bytes and time: see
//! [`Correlator`]. Which trace it gets is decided in `decision.rs`, which would rather give none than
//! a wrong one.

mod correlator;
mod decision;
mod ids;
mod index;
mod log_ids;
mod waiting;

pub use correlator::{CorrelationConfig, CorrelationTally, Correlator, Unmatched};
pub use ids::{IdKeys, IdKind};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic_tests;
