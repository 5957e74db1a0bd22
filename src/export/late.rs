//! Deliveries that a chunk does not wait for.
//!
//! To find out whether an endpoint that was away is back, somebody has to ask it, and an endpoint
//! that hangs takes a whole timeout to say nothing. So such a delivery goes on by itself: the chunk
//! waits for it a little longer than for the others and then goes back to the host, and what comes
//! of the delivery is in the ledger when the host brings the chunk again.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::routing::ChunkId;

/// How long a chunk waits for a delivery to an endpoint that was away, after all others are done.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// The deliveries that go on by themselves: chunk and number of the destination.
#[derive(Debug, Default)]
pub(super) struct Late(Mutex<HashSet<(ChunkId, u32)>>);

impl Late {
    fn set(&self) -> std::sync::MutexGuard<'_, HashSet<(ChunkId, u32)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start(&self, chunk: ChunkId, destination: u32) {
        self.set().insert((chunk, destination));
    }

    pub(super) fn end(&self, chunk: ChunkId, destination: u32) {
        self.set().remove(&(chunk, destination));
    }

    /// The destinations that have a delivery of this chunk under way. To be asked before the
    /// ledger, which has what is no longer under way.
    pub(super) fn of(&self, chunk: ChunkId) -> Vec<u32> {
        let set = self.set();
        set.iter().filter(|(known, _)| *known == chunk).map(|(_, number)| *number).collect()
    }
}
