//! What an aggregator counts of its work.

use super::cost::CostTally;
use super::server_logs::ServerLogTally;

/// What has happened so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AggregationTally {
    /// Spans of GenAI operations and of the Model Context Protocol.
    pub measured: u64,
    /// Of these, those that were sampled with a probability that is not known, and count as one.
    pub unknown_weights: u64,
    /// Log events of GenAI operations.
    pub measured_events: u64,
    /// Input tokens, each call once, adjusted for sampling.
    pub input_tokens: u64,
    /// Output tokens, likewise.
    pub output_tokens: u64,
    /// What calls cost.
    pub cost: CostTally,
    /// Model call spans whose tokens another span tells of, of the same trace or another one, and events
    /// of operations that a span or another event tells of.
    pub duplicate_calls: u64,
    /// Series that there are: one of each metric and set of attributes.
    pub series: u64,
    /// Spans and events that went to an overflow series.
    pub overflow: u64,
    /// Series of resources that were forgotten to make room for others.
    pub evicted: u64,
    /// Points of metrics that services report themselves and that are measured here, too.
    pub reported_points: u64,
    /// Of these, those that were taken out.
    pub replaced_points: u64,
    /// Those of services that there was no room to remember.
    pub unnoted_points: u64,
    /// Logs of model servers.
    pub server_logs: ServerLogTally,
}
