//! What decides about traces: one sampler, or several that have a part of the traces each.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::companions::Companions;
use super::counted::Counted;
use super::shards::Shards;
use crate::clock::Tick;
use crate::hub::Hub;
use crate::model::{Emission, Position};
use crate::sampling::shards::Partition;
use crate::sampling::{FoundIn, JournalFrames, TailConfig, TailSampler};

/// One sampler, or several.
pub(super) enum Samplers {
    One(Box<TailSampler>),
    Shards(Box<Shards>),
}

impl Samplers {
    /// One sampler, or shards, with these configurations.
    pub(super) fn new(
        configs: Vec<TailConfig>,
        companions: Companions,
        position: Position,
        hub: &Arc<Hub>,
    ) -> Self {
        let (found, of_each) = (found_in(hub), companions.for_shard_of(configs.len()));
        let sampler =
            |config| of_each.given_to(TailSampler::new(config).with_findings(found.clone()));
        let mut samplers: Vec<TailSampler> = configs.into_iter().map(sampler).collect();
        match samplers.pop() {
            Some(one) if samplers.is_empty() => Self::One(Box::new(one)),
            last => {
                samplers.extend(last);
                let follows_logs = companions.follows_logs();
                let partition = Partition::new(samplers.len(), follows_logs, position);
                let hub = Arc::downgrade(hub);
                let wake = Arc::new(move || hub.upgrade().into_iter().for_each(|hub| hub.wake()));
                Self::Shards(Box::new(Shards::new(samplers, (partition, follows_logs), wake)))
            }
        }
    }

    /// Takes the spans of a chunk in and says what goes on in the chunk's place; `None` if it is the chunk itself.
    pub(super) fn on_chunk(&mut self, tag: &[u8], chunk: &[u8], now: Tick) -> Option<Vec<u8>> {
        match self {
            Self::One(sampler) => sampler.on_chunk(tag, chunk, now),
            Self::Shards(shards) => shards.on_chunk(tag, chunk, now),
        }
    }

    /// What is to be emitted now; with `everything`, all that is held is decided first.
    pub(super) fn take(&mut self, everything: bool, now: Tick) -> Vec<Emission> {
        match self {
            Self::One(sampler) => sampler.take(everything, now),
            Self::Shards(shards) => shards.take(everything, now),
        }
    }

    /// Takes back what could not be emitted.
    pub(super) fn put_back(&mut self, emission: Emission) {
        match self {
            Self::One(sampler) => sampler.put_back(emission),
            Self::Shards(shards) => shards.put_back(emission),
        }
    }

    /// Whether the last take left something for the next one.
    pub(super) fn is_behind(&self) -> bool {
        match self {
            Self::One(sampler) => sampler.is_behind(),
            Self::Shards(shards) => shards.is_behind(),
        }
    }

    /// What is to be shown. Of shards it is what the last of their work left.
    pub(super) fn counted(&mut self) -> &mut dyn Counted {
        match self {
            Self::One(sampler) => &mut **sampler,
            Self::Shards(shards) => {
                shards.add_up();
                &mut **shards
            }
        }
    }

    /// Takes other configurations, one for each sampler, and says whether they decide from now on.
    pub(super) fn replace(&mut self, configs: Vec<TailConfig>, now: Tick) -> bool {
        match self {
            Self::One(sampler) => {
                configs.into_iter().next().is_none_or(|config| sampler.replace(config, now))
            }
            Self::Shards(shards) => shards.replace(configs, now),
        }
    }

    /// Says how many instances share the goals of a fleet.
    pub(super) fn set_fleet_size(&mut self, size: u32) {
        self.each(&mut |sampler| sampler.set_fleet_size(size));
    }

    /// Notes for a journal from now on, or no more.
    pub(super) fn keep_journal(&mut self, keep: bool) {
        self.each(&mut |sampler| sampler.keep_journal(keep));
    }

    /// What is to be written to the journal: see [`TailSampler::take_journal`].
    pub(super) fn take_journal(&mut self, decided: bool) -> JournalFrames {
        match self {
            Self::One(sampler) => sampler.take_journal(decided),
            Self::Shards(shards) => shards.take_journal(decided),
        }
    }

    /// Holds what waited when an earlier run ended.
    pub(super) fn restore(&mut self, tag: &[u8], events: &[u8], now: Tick) {
        match self {
            Self::One(sampler) => sampler.restore(tag, events, now),
            Self::Shards(shards) => shards.restore(tag, events, now),
        }
    }

    /// How long a span or a log waits at most.
    pub(super) fn longest_wait(&self) -> Duration {
        match self {
            Self::One(sampler) => sampler.longest_wait(),
            Self::Shards(shards) => shards.longest_wait(),
        }
    }

    /// The memory that held and released spans take, in bytes.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::One(sampler) => sampler.held_bytes(),
            Self::Shards(shards) => shards.all_held_bytes(),
        }
    }

    fn each(&mut self, change: &mut dyn FnMut(&mut TailSampler)) {
        match self {
            Self::One(sampler) => change(sampler),
            Self::Shards(shards) => shards.each(change),
        }
    }
}

/// What others of the run know of traces. The hub has the sampler as a source, so that the sampler must not keep the
/// hub.
fn found_in(hub: &Arc<Hub>) -> FoundIn {
    let hub = Arc::downgrade(hub);
    let (for_exemplars, for_kept) = (Weak::clone(&hub), Weak::clone(&hub));
    let found = FoundIn::new(move |trace| {
        hub.upgrade().is_some_and(|hub| hub.trace_hints().contains(&trace))
    });
    found
        .with_exemplars(move |trace| {
            let hub = for_exemplars.upgrade();
            hub.is_some_and(|hub| hub.exemplar_traces().contains(&trace))
        })
        .with_kept(move |trace| {
            if let Some(hub) = for_kept.upgrade() {
                hub.note_kept(trace);
            }
        })
}
