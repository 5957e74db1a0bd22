//! What each shard may take of the room of all.

use super::super::tail::{LogsFollow, TailConfig};

/// The most shards.
pub const MAX_SHARDS: usize = 256;

impl TailConfig {
    /// The configuration of one of so many shards: each has its part of memory, traces and remembered decisions. What
    /// policies may keep is divided where they are made.
    #[must_use]
    pub fn for_shard_of(mut self, shards: usize) -> Self {
        let shards = shards.max(1);
        self.settings.max_bytes /= shards;
        let parts = [&mut self.settings.max_traces, &mut self.kept_cache, &mut self.dropped_cache];
        parts.into_iter().for_each(|part| *part = part.div_ceil(shards));
        self
    }
}

impl LogsFollow {
    /// What one of so many shards remembers.
    #[must_use]
    pub fn for_shard_of(self, shards: usize) -> Self {
        Self { kept_cache: self.kept_cache.div_ceil(shards.max(1)), ..self }
    }
}
