//! Shards of a tail sampler at work.
//!
//! The host's thread divides a chunk among the shards; they work on their parts beside each other, on threads of the
//! runtime and on the host's own, which does what no other thread has begun and waits for what has. So a chunk is done
//! when its call returns, as without shards, and no part waits for a thread. Traces whose wait is over are decided by
//! a sweep, on threads of the runtime alone; the host's thread takes what that released, and waits for no shard that is
//! deciding.

mod fork;
mod shown;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use self::fork::Fork;
use self::shown::{Shown, append};
use super::counted::Counted;
use crate::clock::Tick;
use crate::model::Emission;
use crate::runtime::Runtime;
use crate::sampling::adaptive::TenantCount;
use crate::sampling::shards::{Partition, without_empty_groups};
use crate::sampling::{
    AdaptiveKeys, JournalFrames, LogTally, TailConfig, TailSampler, TailTally, TombstoneTally,
};
use crate::sync::{Mutex, MutexGuard};

/// From how many bytes on other threads help with a chunk: below, waking them costs more than they save.
const SHARED_BYTES: usize = 128 << 10;
/// How many bytes one take gives to the host, or the shard more with which it comes there.
const TURN_BYTES: usize = 1 << 20;
/// The largest buffer of a part that is used again.
const KEPT_BUFFER: usize = 1 << 20;

/// Shards, and what they share.
pub(super) struct Shards {
    all: Arc<[Shard]>,
    partition: Partition,
    cleans_groups: bool,
    /// How many threads may work at once.
    threads: usize,
    runtime: Option<Runtime>,
    /// The parts of a chunk, used again.
    parts: Vec<Vec<u8>>,
    sum: Shown,
    /// Which shard is asked first for what it released.
    first: usize,
    is_behind: bool,
    sweep: Option<Arc<Fork>>,
    /// Until when changed policies are only compared, if they are.
    compared_until: Option<Tick>,
    /// The run is at its end.
    is_closed: Arc<AtomicBool>,
    /// Has the host's thread come for what was released.
    wake: Arc<dyn Fn() + Send + Sync>,
}

/// One shard.
struct Shard {
    sampler: Mutex<TailSampler>,
    /// How many threads wait for the sampler: a sweep lets them in between two turns.
    waiting: AtomicUsize,
    shown: Mutex<Shown>,
}

impl Shard {
    fn new(mut sampler: TailSampler) -> Self {
        let mut shown = Shown::default();
        shown.update(&mut sampler);
        let waiting = AtomicUsize::new(0);
        Self { sampler: Mutex::new(sampler), waiting, shown: Mutex::new(shown) }
    }

    /// The sampler, after the turn of a sweep at most.
    fn enter(&self) -> MutexGuard<'_, TailSampler> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let sampler = self.sampler.lock();
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        sampler
    }

    /// Does something with the sampler, and notes what it shows then.
    fn with<T>(&self, work: impl FnOnce(&mut TailSampler) -> T) -> T {
        let mut sampler = self.enter();
        let result = work(&mut sampler);
        self.note(&mut sampler);
        result
    }

    fn note(&self, sampler: &mut TailSampler) {
        self.shown.lock().update(sampler);
    }

    /// Decides what is due, in turns, until nothing more is or enough was released.
    fn sweep(&self, now: Tick, is_closed: &AtomicBool, wake: &dyn Fn()) {
        loop {
            let mut sampler = self.sampler.lock();
            sampler.decide_due(false, now);
            let released = sampler.released_bytes();
            let goes_on = sampler.is_behind() && released < TURN_BYTES;
            self.note(&mut sampler);
            drop(sampler);
            if !goes_on || is_closed.load(Ordering::Relaxed) {
                if released > 0 {
                    wake();
                }
                return;
            }
            while self.waiting.load(Ordering::Acquire) > 0 {
                std::thread::yield_now();
            }
        }
    }
}

/// A chunk on its way through the shards.
struct ChunkWork {
    all: Arc<[Shard]>,
    tag: Vec<u8>,
    now: Tick,
    parts: Vec<(usize, Mutex<PartWork>)>,
}

/// What a shard gets of a chunk, and what goes on of that.
#[derive(Default)]
struct PartWork {
    events: Vec<u8>,
    /// `None` if all of it does.
    goes_on: Option<Vec<u8>>,
}

impl ChunkWork {
    fn run(&self, index: usize) {
        let Some((shard, part)) = self.parts.get(index) else { return };
        let Some(shard) = self.all.get(*shard) else { return };
        let PartWork { events, goes_on } = &mut *part.lock();
        *goes_on = shard.with(|sampler| sampler.on_chunk(&self.tag, events, self.now));
    }
}

impl Shards {
    /// Shards with these samplers. `wake` has the host's thread come for what was released.
    pub(super) fn new(
        samplers: Vec<TailSampler>,
        (partition, follows_logs): (Partition, bool),
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let parts = samplers.iter().map(|_| Vec::new()).collect();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            threads: samplers.len().min(cores),
            all: samplers.into_iter().map(Shard::new).collect(),
            partition,
            cleans_groups: follows_logs,
            runtime: None,
            parts,
            sum: Shown::default(),
            first: 0,
            is_behind: false,
            sweep: None,
            compared_until: None,
            is_closed: Arc::default(),
            wake,
        }
    }

    /// The runtime, from when the host runs. Without one the host's thread does all.
    fn spawn(&mut self, fork: &Arc<Fork>, threads: usize) -> bool {
        if self.runtime.is_none() {
            self.runtime = Runtime::acquire().ok();
        }
        self.runtime.as_ref().map(|runtime| fork.spawn(threads, runtime)).is_some()
    }

    /// See [`TailSampler::on_chunk`].
    pub(super) fn on_chunk(&mut self, tag: &[u8], chunk: &[u8], now: Tick) -> Option<Vec<u8>> {
        self.end_comparison(now);
        let rest = self.partition.divide(chunk, &mut self.parts);
        let parts = self.parts.iter_mut().enumerate().filter(|(_, part)| !part.is_empty());
        let parts: Vec<_> = parts
            .map(|(shard, part)| {
                let events = std::mem::take(part);
                (shard, Mutex::new(PartWork { events, goes_on: None }))
            })
            .collect();
        if parts.is_empty() {
            return rest;
        }
        let (all, tag) = (Arc::clone(&self.all), tag.to_vec());
        let work = Arc::new(ChunkWork { all, tag, now, parts });
        let ours = Arc::clone(&work);
        let fork = Fork::new(work.parts.len(), move |part| ours.run(part));
        if chunk.len() >= SHARED_BYTES {
            self.spawn(&fork, self.threads.saturating_sub(1));
        }
        fork.join();
        let mut out = Vec::new();
        for (shard, part) in &work.parts {
            let PartWork { mut events, goes_on } = std::mem::take(&mut *part.lock());
            let goes_on = goes_on.unwrap_or_else(|| std::mem::take(&mut events));
            add(&mut out, if self.cleans_groups { without_empty_groups(goes_on) } else { goes_on });
            if let Some(part) =
                self.parts.get_mut(*shard).filter(|_| events.capacity() <= KEPT_BUFFER)
            {
                events.clear();
                *part = events;
            }
        }
        add(&mut out, rest.unwrap_or_default());
        Some(out)
    }

    /// See [`TailSampler::take`]: what was released so far, while what is due now is decided on other threads.
    pub(super) fn take(&mut self, everything: bool, now: Tick) -> Vec<Emission> {
        self.end_comparison(now);
        if everything {
            return self.take_everything(now);
        }
        let mut released = Vec::new();
        if self.is_closed.load(Ordering::Relaxed) {
            self.take_here(now, &mut released);
            return released;
        }
        self.take_released(now, &mut released);
        if self.sweep.as_ref().is_some_and(|sweep| !sweep.is_over()) {
            return released;
        }
        self.sweep.take().iter().for_each(|sweep| sweep.go_on_with_panics());
        if self.all_held_bytes() == 0 {
            return released;
        }
        let (all, is_closed) = (Arc::clone(&self.all), Arc::clone(&self.is_closed));
        let wake = Arc::clone(&self.wake);
        let sweep = Fork::new(self.all.len(), move |shard| {
            all.get(shard).into_iter().for_each(|shard| shard.sweep(now, &is_closed, &*wake));
        });
        if self.spawn(&sweep, self.threads) {
            self.sweep = Some(sweep);
        } else {
            self.take_here(now, &mut released);
        }
        released
    }

    /// Takes what shards released that no sweep is deciding in, until it is enough for one call of the host.
    fn take_released(&mut self, now: Tick, released: &mut Vec<Emission>) {
        let (count, first, mut bytes) = (self.all.len(), self.first, 0);
        self.is_behind = false;
        for index in (first..first + count).map(|step| step % count) {
            let Some(shard) = self.all.get(index) else { return };
            if bytes >= TURN_BYTES {
                self.is_behind |= shard.shown.lock().released_bytes > 0;
                continue;
            }
            self.first = index + 1;
            let Some(mut sampler) = shard.sampler.try_lock() else { continue };
            let before = released.len();
            released.extend(sampler.take_released(false, now));
            shard.note(&mut sampler);
            bytes += released.iter().skip(before).map(|it| it.events.len()).sum::<usize>();
        }
    }

    /// Decides what is due on this thread, a turn of each shard.
    fn take_here(&mut self, now: Tick, released: &mut Vec<Emission>) {
        for shard in &*self.all {
            shard.with(|sampler| {
                released.extend(sampler.take(false, now));
                self.is_behind |= sampler.is_behind();
            });
        }
    }

    /// Decides all that is held, and nothing is held from then on.
    fn take_everything(&mut self, now: Tick) -> Vec<Emission> {
        self.is_closed.store(true, Ordering::Relaxed);
        self.is_behind = false;
        let released: Arc<[Mutex<Vec<Emission>>]> =
            self.all.iter().map(|_| Mutex::default()).collect();
        let (all, ours) = (Arc::clone(&self.all), Arc::clone(&released));
        let fork = Fork::new(self.all.len(), move |shard| {
            if let (Some(shard), Some(released)) = (all.get(shard), ours.get(shard)) {
                *released.lock() = shard.with(|sampler| sampler.take(true, now));
            }
        });
        self.spawn(&fork, self.threads.saturating_sub(1));
        fork.join();
        released.iter().flat_map(|released| std::mem::take(&mut *released.lock())).collect()
    }

    /// Takes back what could not be emitted: the shard of its traces gives it again.
    pub(super) fn put_back(&mut self, emission: Emission) {
        let shard = self.partition.shard_of_first(&emission.events);
        if let Some(shard) = self.all.get(shard) {
            shard.with(|sampler| sampler.put_back(emission));
        }
    }

    /// Whether the last take left something that was released.
    pub(super) const fn is_behind(&self) -> bool {
        self.is_behind
    }

    /// Adds up what the shards show.
    pub(super) fn add_up(&mut self) {
        self.sum.begin();
        self.all.iter().for_each(|shard| self.sum.add(&mut shard.shown.lock()));
    }

    /// Gives each shard a configuration.
    pub(super) fn replace(&mut self, configs: Vec<TailConfig>, now: Tick) -> bool {
        let wait = configs.first().map(|config| config.compare_for).unwrap_or_default();
        self.compared_until = Some(now.after(wait)).filter(|_| !wait.is_zero());
        let mut decides = true;
        for (shard, config) in self.all.iter().zip(configs) {
            decides &= shard.with(|sampler| {
                // One that was compared for long enough comes first, as it does in the other shards.
                sampler.advance(now);
                sampler.replace(config, now)
            });
        }
        decides
    }

    /// Ends a comparison whose time is over, in all shards together, those to which nothing comes too.
    fn end_comparison(&mut self, now: Tick) {
        if self.compared_until.take_if(|until| now >= *until).is_some() {
            self.each(&mut |sampler| sampler.advance(now));
        }
    }

    /// Changes each shard.
    pub(super) fn each(&self, change: &mut dyn FnMut(&mut TailSampler)) {
        self.all.iter().for_each(|shard| shard.with(&mut *change));
    }

    /// See [`TailSampler::take_journal`]. A shard that is deciding says later what it has decided.
    pub(super) fn take_journal(&self, decided: bool) -> JournalFrames {
        let mut frames = JournalFrames::default();
        for shard in &*self.all {
            let sampler = decided.then(|| shard.sampler.try_lock()).flatten();
            let of_decided = sampler.map(|mut sampler| sampler.take_journal(true));
            append(&mut frames, std::mem::take(&mut shard.shown.lock().frames));
            of_decided.into_iter().for_each(|more| append(&mut frames, more));
        }
        frames
    }

    /// See [`TailSampler::longest_wait`].
    pub(super) fn longest_wait(&self) -> Duration {
        self.all.first().map_or(Duration::ZERO, |shard| shard.shown.lock().longest_wait)
    }

    /// See [`TailSampler::held_bytes`].
    pub(super) fn all_held_bytes(&self) -> usize {
        self.all.iter().map(|shard| shard.shown.lock().held_bytes).sum()
    }

    /// See [`TailSampler::restore`].
    pub(super) fn restore(&self, tag: &[u8], events: &[u8], now: Tick) {
        let mut parts: Vec<Vec<u8>> = self.all.iter().map(|_| Vec::new()).collect();
        self.partition.of_earlier_runs().divide(events, &mut parts);
        for (shard, part) in self.all.iter().zip(parts).filter(|(_, part)| !part.is_empty()) {
            shard.with(|sampler| sampler.restore(tag, &part, now));
        }
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}

/// Appends events to others.
fn add(out: &mut Vec<u8>, events: Vec<u8>) {
    if out.is_empty() {
        *out = events;
    } else {
        out.extend_from_slice(&events);
    }
}

impl Counted for Shards {
    fn names(&self) -> &[String] {
        &self.sum.names
    }

    fn tally(&self) -> &TailTally {
        &self.sum.tally
    }

    fn log_tally(&self) -> Option<&LogTally> {
        self.sum.logs.as_ref()
    }

    fn tombstone_tally(&self) -> Option<TombstoneTally> {
        self.sum.tombstones
    }

    fn held_bytes(&self) -> usize {
        self.sum.held_bytes
    }

    fn is_shedding(&self) -> bool {
        self.sum.is_shedding
    }

    fn generation(&self) -> u32 {
        self.sum.generation.unwrap_or_default()
    }

    fn fleet_size(&self) -> u32 {
        self.sum.fleet_size
    }

    fn adaptive(&self, policy: usize) -> Option<AdaptiveKeys> {
        self.sum.adaptive.iter().find(|(known, _)| *known == policy).map(|(_, keys)| *keys)
    }

    fn take_tenants(&mut self, show: &mut dyn FnMut(&str, &str, TenantCount)) {
        for (policy, tenant, count) in self.sum.tenants.drain(..) {
            show(&policy, &tenant, count);
        }
    }

    fn begin_dropped_counts(&mut self, unix_nanos: u64) {
        self.each(&mut |sampler| sampler.begin_dropped_counts(unix_nanos));
    }

    /// One sum of all shards, so that a series has one point.
    fn take_dropped_counts(&mut self, is_end: bool, unix_nanos: u64) -> Vec<Emission> {
        let Some((first, others)) = self.all.split_first() else { return Vec::new() };
        first.with(|sampler| {
            others.iter().for_each(|other| sampler.absorb_dropped_counts(&mut other.enter()));
            sampler.take_dropped_counts(is_end, unix_nanos)
        })
    }

    fn with_policies(&self, show: &mut dyn FnMut(&TailSampler)) {
        self.all.first().into_iter().for_each(|shard| show(&shard.enter()));
    }
}

#[cfg(test)]
mod tests;
