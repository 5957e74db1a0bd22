//! Correlation of signals: logs find their trace by ids of requests, responses, conversations and
//! sessions that spans carry, and the items of a trace share what one of its spans says of the request:
//! see [`Inheritor`]. The span of a model call gets where its time went from the spans of those that it
//! called: see [`LatencySplitter`]. Spans of model servers get in which state the server was from metrics that pass:
//! see [`ServerState`].
//!
//! The ids of spans are remembered for a while. A log with such an id gets the trace's ids at once if
//! its span was seen, and otherwise waits for it, in a window that is bounded in bytes and time: see
//! [`Correlator`]. Which trace it gets is decided in `decision.rs`, which would rather give none than
//! a wrong one.

mod attributes;
mod baggage;
mod broken_context;
mod correlator;
mod decision;
mod held_spans;
mod ids;
mod index;
mod inherit;
mod latency;
mod log_ids;
mod server_state;
mod waiting;
mod window_map;

pub use baggage::{BaggageKeys, BaggageReader, BaggageTally};
pub use broken_context::{
    BrokenContextConfig, BrokenContextFinder, BrokenContextTally, BrokenKind, MetricTemporality,
    Unexamined,
};
pub use correlator::{CorrelationConfig, CorrelationTally, Correlator, Unmatched};
pub use ids::{IdKeys, IdKind};
pub use inherit::{InheritConfig, InheritTally, InheritedFields, InheritedKind, Inheritor};
pub use latency::{LatencyConfig, LatencySplitter, LatencyTally, SplitOutcome};
pub use server_state::{ServerState, ServerStateConfig, ServerStateTally};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod traffic_tests;
