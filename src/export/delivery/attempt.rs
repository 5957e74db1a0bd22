//! Delivery attempts: what a destination is to get of a chunk, and what came of it.

use std::time::Duration;

use tokio::sync::oneshot;

use crate::export::delivery::claim::Claim;
use crate::export::delivery::destination::Destination;
use crate::export::delivery::retry;
use crate::export::delivery::strategy::PendingRequest;
use crate::routing::{ItemSet, PartId, Progress};

/// What one destination is to get in one attempt.
pub(in crate::export) struct Attempt {
    pub(in crate::export) destination: Destination,
    pub(in crate::export) number: u32,
    pub(in crate::export) work: Vec<PendingRequest>,
    /// Ends after what came of it was put down.
    pub(in crate::export) claim: Claim,
    /// How long it was to be tried, where that is over: what it does not take now is given up.
    pub(in crate::export) overdue: Option<Duration>,
}

/// What came of an attempt.
#[derive(Clone)]
pub(in crate::export) struct AttemptResult {
    /// The number of the destination.
    destination: u32,
    /// How many requests it was to get.
    wanted: usize,
    /// The items that it has, by the number of their request.
    delivered: Vec<(u32, ItemSet)>,
}

impl Attempt {
    /// Makes the attempt, and again where that is worth it; the claim comes back with the result, to
    /// be held until that is recorded.
    pub(in crate::export) async fn run(self) -> (AttemptResult, Claim) {
        let (destination, wanted) = (self.number, self.work.len());
        let Some(limit) = self.overdue else {
            let delivered = retry::deliver(&self.destination, self.work).await;
            return (AttemptResult { destination, wanted, delivered }, self.claim);
        };
        let mut rest = self.work.clone();
        for (number, units) in self.destination.deliver_once(self.work).await {
            if let Some(work) = rest.iter_mut().find(|work| work.number == number) {
                work.done.merge(units);
            }
        }
        let delivered = self.destination.expire(rest, limit).await;
        (AttemptResult { destination, wanted, delivered }, self.claim)
    }
}

/// Records the result of one attempt; whether the destination has everything.
pub(in crate::export) fn record(progress: &mut Progress, result: AttemptResult) -> bool {
    let AttemptResult { destination: endpoint, wanted, delivered } = result;
    if delivered.len() == wanted && delivered.iter().all(|(_, units)| units.is_all()) {
        progress.complete(endpoint);
        return true;
    }
    for (part, units) in delivered {
        progress.add(PartId { endpoint, part }, units);
    }
    false
}

/// The result of an attempt, unless its destination is late: then the chunk need not wait.
pub(in crate::export) async fn result_of(
    destination: Destination,
    mut result: oneshot::Receiver<AttemptResult>,
) -> Option<AttemptResult> {
    loop {
        if let Ok(result) = tokio::time::timeout(destination.patience(), &mut result).await {
            return result.ok();
        }
        if destination.is_late() {
            return None;
        }
    }
}
