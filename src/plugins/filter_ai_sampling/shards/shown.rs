//! What a shard showed when its last work was done, and the sum of all.

use std::time::Duration;

use crate::sampling::adaptive::TenantCount;
use crate::sampling::shards::{add_log_tally, add_tally};
use crate::sampling::{
    AdaptiveKeys, JournalFrames, LogTally, TailSampler, TailTally, TombstoneTally,
};

/// What a shard shows, or all of them together.
#[derive(Default)]
pub(super) struct Shown {
    pub(super) names: Vec<String>,
    pub(super) tally: TailTally,
    pub(super) logs: Option<LogTally>,
    pub(super) tombstones: Option<TombstoneTally>,
    pub(super) held_bytes: usize,
    /// Bytes of what was released and not taken.
    pub(super) released_bytes: usize,
    pub(super) is_shedding: bool,
    pub(super) generation: Option<u32>,
    pub(super) fleet_size: u32,
    pub(super) longest_wait: Duration,
    /// Of policies that have an adaptive sampler, by their index.
    pub(super) adaptive: Vec<(usize, AdaptiveKeys)>,
    /// What was decided by tenant and not told yet.
    pub(super) tenants: Vec<(String, String, TenantCount)>,
    /// What is to be written to a journal.
    pub(super) frames: JournalFrames,
}

impl Shown {
    /// What a sampler shows now; what it shows only once is added to what is there.
    pub(super) fn update(&mut self, sampler: &mut TailSampler) {
        if self.generation != Some(sampler.generation())
            || self.names.len() != sampler.names().len()
        {
            self.generation = Some(sampler.generation());
            self.names = sampler.names().to_vec();
            let policies = 0..sampler.policies().list().len();
            let adaptive = policies.filter_map(|it| sampler.adaptive(it).map(|keys| (it, keys)));
            self.adaptive = adaptive.collect();
        }
        self.tally.clone_from(sampler.tally());
        self.logs = sampler.log_tally().cloned();
        self.tombstones = sampler.tombstone_tally();
        (self.held_bytes, self.released_bytes) = (sampler.held_bytes(), sampler.released_bytes());
        (self.is_shedding, self.fleet_size) = (sampler.is_shedding(), sampler.fleet_size());
        self.longest_wait = sampler.longest_wait();
        for (policy, keys) in &mut self.adaptive {
            *keys = sampler.adaptive(*policy).unwrap_or(*keys);
        }
        let tenants = &mut self.tenants;
        sampler.take_tenants(&mut |policy, tenant, count| {
            tenants.push((policy.to_owned(), tenant.to_owned(), count));
        });
        append(&mut self.frames, sampler.take_journal(false));
    }

    /// Begins a sum: nothing but what was not told yet.
    pub(super) fn begin(&mut self) {
        let (names, tenants) = (std::mem::take(&mut self.names), std::mem::take(&mut self.tenants));
        *self = Self { names, tenants, ..Self::default() };
    }

    /// Adds what a shard shows. What all have alike is that of the first one.
    pub(super) fn add(&mut self, shard: &mut Self) {
        if self.generation.is_none() {
            (self.generation, self.fleet_size) = (shard.generation, shard.fleet_size);
            if self.names.len() != shard.names.len() {
                self.names.clone_from(&shard.names);
            }
        }
        add_tally(&mut self.tally, &shard.tally);
        if let Some(logs) = &shard.logs {
            add_log_tally(self.logs.get_or_insert_default(), logs);
        }
        if let Some(tombstones) = shard.tombstones {
            let sum = self.tombstones.get_or_insert_default();
            sum.made += tombstones.made;
            sum.skipped += tombstones.skipped;
        }
        self.held_bytes += shard.held_bytes;
        self.is_shedding |= shard.is_shedding;
        for (policy, keys) in &shard.adaptive {
            match self.adaptive.iter_mut().find(|(known, _)| known == policy) {
                // Shards know the same keys, as far as traces of these came to each.
                Some((_, sum)) => {
                    sum.known = sum.known.max(keys.known);
                    sum.beyond += keys.beyond;
                }
                None => self.adaptive.push((*policy, *keys)),
            }
        }
        self.tenants.append(&mut shard.tenants);
    }
}

/// Appends frames to others.
pub(super) fn append(frames: &mut JournalFrames, more: JournalFrames) {
    frames.spans += more.spans;
    if frames.bytes.is_empty() {
        frames.bytes = more.bytes;
    } else {
        frames.bytes.extend_from_slice(&more.bytes);
    }
}
