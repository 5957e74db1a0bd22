//! What a destination is to get of a chunk, and what came of it.

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

/// What came of it: the number of the destination, of its requests, and what of those is done.
pub(in crate::export) type Outcome = (u32, usize, Vec<(u32, ItemSet)>);

impl Attempt {
    pub(in crate::export) async fn run(self) -> (Outcome, Claim) {
        let wanted = self.work.len();
        let Some(limit) = self.overdue else {
            let delivered = retry::deliver(&self.destination, self.work).await;
            return ((self.number, wanted, delivered), self.claim);
        };
        let mut rest = self.work.clone();
        for (number, units) in self.destination.deliver_once(self.work).await {
            if let Some(work) = rest.iter_mut().find(|work| work.number == number) {
                work.done.merge(units);
            }
        }
        let done = self.destination.expire(rest, limit).await;
        ((self.number, wanted, done), self.claim)
    }
}

/// Puts down what came of one delivery; whether the destination has everything.
pub(in crate::export) fn note(
    progress: &mut Progress,
    (endpoint, wanted, delivered): Outcome,
) -> bool {
    if delivered.len() == wanted && delivered.iter().all(|(_, units)| units.is_all()) {
        progress.complete(endpoint);
        return true;
    }
    for (part, units) in delivered {
        progress.add(PartId { endpoint, part }, units);
    }
    false
}

/// What came of a delivery, unless its destination is late: then the chunk need not wait.
pub(in crate::export) async fn answer_of(
    destination: Destination,
    mut told: oneshot::Receiver<Outcome>,
) -> Option<Outcome> {
    loop {
        if let Ok(outcome) = tokio::time::timeout(destination.patience(), &mut told).await {
            return outcome.ok();
        }
        if destination.is_late() {
            return None;
        }
    }
}
