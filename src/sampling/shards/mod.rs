//! Shards: the traces of one tail sampler, divided among several samplers by a hash of their ids, so that threads can
//! work on them beside each other.
//!
//! Each shard is a [`TailSampler`](super::TailSampler) with its part of the room. All spans and logs of a trace
//! are one shard's, so that no decision needs more than one.

mod partition;
mod settings;
mod sum;

pub use partition::{Partition, without_empty_groups};
pub use settings::MAX_SHARDS;
pub use sum::{add_log_tally, add_tally};

#[cfg(test)]
mod tests;
