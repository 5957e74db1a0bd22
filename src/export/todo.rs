//! What a destination is to get of a chunk, and what came of it.

use std::time::Duration;

use tokio::sync::oneshot;

use super::destination::Destination;
use super::endpoint::Work;
use super::late::Claim;
use crate::routing::{PartId, Progress, Units};

/// What one destination is to get in one attempt.
pub(super) struct Todo {
    pub(super) destination: Destination,
    pub(super) number: u32,
    pub(super) work: Vec<Work>,
    /// Ends after what came of it was put down.
    pub(super) claim: Claim,
    /// How long it was to be tried, where that is over: what it does not take now is given up.
    pub(super) overdue: Option<Duration>,
}

/// What came of it: the number of the destination, of its requests, and what of those is done.
pub(super) type Outcome = (u32, usize, Vec<(u32, Units)>);

impl Todo {
    pub(super) async fn run(self) -> (Outcome, Claim) {
        let wanted = self.work.len();
        let Some(limit) = self.overdue else {
            let delivered = self.destination.deliver(self.work).await;
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
pub(super) fn note(progress: &mut Progress, (endpoint, wanted, delivered): Outcome) -> bool {
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
pub(super) async fn answer_of(
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
