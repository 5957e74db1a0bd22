//! Holding in flight: chunks that wait here, and not in the host's retries, while an endpoint is
//! away.
//!
//! The host's timer for a chunk that it is to bring again grows with each attempt, so that a chunk
//! of a short outage would come long after its end. So a chunk that only absent endpoints miss is
//! held for a while: its flush stays open, its bytes stay with the host, which has them anyway, and
//! it is tried again as soon as one of the endpoints may take it. What is held is bounded in time,
//! number and bytes; beyond that the chunk goes back to the host.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{self, Tick};
use crate::export::delivery::claim::InFlight;
use crate::export::delivery::destination::Destination;
use crate::plugin::Gate;
use crate::routing::ChunkId;
use crate::stats::Counter;
use crate::sync::{Mutex, MutexGuard};

/// Chunks that are held at most: each keeps a coroutine of the host.
const MAX_CHUNKS: usize = 1024;
/// The wait after a chunk failed although the endpoint was there; each further time doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const MAX_WAIT: Duration = Duration::from_secs(8);

/// A chunk that is held, or was and is tried again.
#[derive(Debug, Clone, Copy)]
struct Held {
    since: Tick,
    bytes: usize,
    /// How often it failed although the endpoint was there.
    failures: u32,
}

#[derive(Debug, Default)]
struct State {
    chunks: HashMap<ChunkId, Held>,
    bytes: usize,
}

/// The chunks that one exporter holds.
pub(in crate::export) struct Holds {
    state: Mutex<State>,
    max_bytes: usize,
    chunks: Counter,
    bytes: Counter,
}

/// What a held chunk waits for.
pub(in crate::export) struct Missing {
    /// The number of the destination.
    pub(in crate::export) number: u32,
    pub(in crate::export) destination: Destination,
    /// How long the chunk may still be tried there, where that is limited.
    pub(in crate::export) left: Option<Duration>,
}

impl Holds {
    pub(in crate::export) fn new(max_bytes: usize, chunks: Counter, bytes: Counter) -> Self {
        Self { state: Mutex::default(), max_bytes, chunks, bytes }
    }

    /// Holds a chunk of so many bytes for the destinations that miss it, if it is worth it and there
    /// is room.
    pub(in crate::export) fn hold(
        &self,
        chunk: ChunkId,
        bytes: usize,
        missing: Vec<Missing>,
        late: &Arc<InFlight>,
    ) -> Option<Gate> {
        let now = clock::now();
        let mut state = self.state();
        let known = state.chunks.get(&chunk).copied();
        let mut held = known.unwrap_or(Held { since: now, bytes, failures: 0 });
        let has_room = known.is_some()
            || (state.chunks.len() < MAX_CHUNKS
                && state.bytes.saturating_add(bytes) <= self.max_bytes);
        let expiry = missing.iter().filter_map(|missing| missing.left).min();
        let awaited: Vec<(Missing, Duration)> = missing
            .into_iter()
            .filter_map(|missing| time_left(&missing, held.since, now).map(|left| (missing, left)))
            .collect();
        let end = awaited.iter().map(|(_, left)| *left).max().filter(|_| has_room);
        let Some(end) = end else {
            self.remove(&mut state, chunk);
            return None;
        };
        // What is to be given up is so in time.
        let end = expiry.filter(|left| !left.is_zero()).map_or(end, |left| left.min(end));
        // It failed somewhere although that was there: not at once again.
        let mut not_before = now;
        if awaited.iter().any(|(missing, _)| missing.destination.is_up()) {
            let wait = FIRST_WAIT.saturating_mul(1 << held.failures.min(16)).min(MAX_WAIT);
            held.failures = held.failures.saturating_add(1);
            not_before = now.after(wait);
        }
        if state.chunks.insert(chunk, held).is_none() {
            state.bytes = state.bytes.saturating_add(bytes);
        }
        self.show(&state);
        drop(state);
        let end = now.after(end);
        let awaited: Vec<(u32, Destination)> =
            awaited.into_iter().map(|(missing, _)| (missing.number, missing.destination)).collect();
        let late = Arc::clone(late);
        Some(Gate::new(move || {
            let now = clock::now();
            let may_take = |(number, destination): &(u32, Destination)| {
                !late.is_claimed(chunk, *number) && destination.invites(now)
            };
            now >= end || (now >= not_before && awaited.iter().any(may_take))
        }))
    }

    /// A chunk is done with, or goes back to the host.
    pub(in crate::export) fn release(&self, chunk: ChunkId) {
        let mut state = self.state();
        self.remove(&mut state, chunk);
    }

    fn remove(&self, state: &mut State, chunk: ChunkId) {
        if let Some(held) = state.chunks.remove(&chunk) {
            state.bytes = state.bytes.saturating_sub(held.bytes);
            self.show(state);
        }
    }

    fn show(&self, state: &State) {
        self.chunks.set(u64::try_from(state.chunks.len()).unwrap_or(u64::MAX));
        self.bytes.set(u64::try_from(state.bytes).unwrap_or(u64::MAX));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// How long a chunk that is held `since` may still wait for a destination: neither the chunk nor the
/// destination's absence may be older than is configured. `None` if that is over, or will be before
/// the destination is asked again.
fn time_left(missing: &Missing, since: Tick, now: Tick) -> Option<Duration> {
    let destination = &missing.destination;
    let age = now.since(since).max(destination.away(now));
    let left = destination.retry_in_place().checked_sub(age)?;
    (!left.is_zero() && destination.wait(now) < left).then_some(left)
}
