//! Claims: exclusive rights to deliver a chunk, for deliveries that the chunk does not wait for.
//!
//! To find out whether an endpoint that was away is back, a request has to be made, and an endpoint
//! that hangs takes a whole timeout to say nothing. So such a delivery goes on by itself: the chunk
//! waits for it a little longer than for the others and then goes back to the host, and what comes
//! of the delivery is in the ledger when the host brings the chunk again.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::routing::ChunkId;
use crate::sync::Mutex;

/// How long a chunk waits for a delivery to an endpoint that was away, after all others are done.
pub(in crate::export) const PROBE_GRACE: Duration = Duration::from_millis(100);

/// The deliveries under way: chunk and number of the destination. The host may bring a chunk again
/// while one is, because it was asked to, or by itself when it stops.
#[derive(Debug, Default)]
pub(in crate::export) struct InFlight(Mutex<HashSet<(ChunkId, u32)>>);

/// The exclusive right to deliver a chunk to a destination.
#[derive(Debug)]
pub(in crate::export) struct Claim {
    in_flight: Arc<InFlight>,
    chunk: ChunkId,
    destination: u32,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.in_flight.set().remove(&(self.chunk, self.destination));
    }
}

impl InFlight {
    fn set(&self) -> std::sync::MutexGuard<'_, HashSet<(ChunkId, u32)>> {
        self.0.lock()
    }

    /// Whether a delivery of a chunk to a destination is under way.
    pub(in crate::export) fn is_claimed(&self, chunk: ChunkId, destination: u32) -> bool {
        self.set().contains(&(chunk, destination))
    }

    /// Claims a chunk for so many destinations; `None` where a delivery of it is under way. To be
    /// done before the ledger is asked, which has what is no longer under way.
    pub(in crate::export) fn claim(
        self: &Arc<Self>,
        chunk: ChunkId,
        destinations: usize,
    ) -> Vec<Option<Claim>> {
        let mut set = self.set();
        let all = (0_u32..).take(destinations);
        all.map(|destination| {
            let claim = || Claim { in_flight: Arc::clone(self), chunk, destination };
            set.insert((chunk, destination)).then(claim)
        })
        .collect()
    }
}
