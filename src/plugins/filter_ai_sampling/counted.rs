//! What one sampler or several of them count, as it is shown.

use crate::model::Emission;
use crate::sampling::adaptive::TenantCount;
use crate::sampling::{AdaptiveKeys, LogTally, TailSampler, TailTally, TombstoneTally};

/// What samplers count.
pub(super) trait Counted {
    fn names(&self) -> &[String];
    fn tally(&self) -> &TailTally;
    fn log_tally(&self) -> Option<&LogTally>;
    fn tombstone_tally(&self) -> Option<TombstoneTally>;
    fn held_bytes(&self) -> usize;
    fn is_shedding(&self) -> bool;
    fn generation(&self) -> u32;
    fn fleet_size(&self) -> u32;
    fn adaptive(&self, policy: usize) -> Option<AdaptiveKeys>;
    fn take_tenants(&mut self, show: &mut dyn FnMut(&str, &str, TenantCount));
    /// Says when the counts of dropped traces begin.
    fn begin_dropped_counts(&mut self, unix_nanos: u64);
    /// The counts of dropped traces: see [`TailSampler::take_dropped_counts`].
    fn take_dropped_counts(&mut self, is_end: bool, unix_nanos: u64) -> Vec<Emission>;
    /// Shows a sampler, for what all of them have alike.
    fn with_policies(&self, show: &mut dyn FnMut(&TailSampler));
}

impl Counted for TailSampler {
    fn names(&self) -> &[String] {
        self.names()
    }

    fn tally(&self) -> &TailTally {
        self.tally()
    }

    fn log_tally(&self) -> Option<&LogTally> {
        self.log_tally()
    }

    fn tombstone_tally(&self) -> Option<TombstoneTally> {
        self.tombstone_tally()
    }

    fn held_bytes(&self) -> usize {
        self.held_bytes()
    }

    fn is_shedding(&self) -> bool {
        self.is_shedding()
    }

    fn generation(&self) -> u32 {
        self.generation()
    }

    fn fleet_size(&self) -> u32 {
        self.fleet_size()
    }

    fn adaptive(&self, policy: usize) -> Option<AdaptiveKeys> {
        self.adaptive(policy)
    }

    fn take_tenants(&mut self, show: &mut dyn FnMut(&str, &str, TenantCount)) {
        self.take_tenants(show);
    }

    fn begin_dropped_counts(&mut self, unix_nanos: u64) {
        self.begin_dropped_counts(unix_nanos);
    }

    fn take_dropped_counts(&mut self, is_end: bool, unix_nanos: u64) -> Vec<Emission> {
        self.take_dropped_counts(is_end, unix_nanos)
    }

    fn with_policies(&self, show: &mut dyn FnMut(&TailSampler)) {
        show(self);
    }
}
