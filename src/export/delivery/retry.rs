//! Retry with exponential backoff and jitter: a request that failed is made again in place after a
//! short wait.
//!
//! This is for single failures of an endpoint that is there. While it is away, or asked for a wait,
//! nothing is held here: see [`crate::export::delivery::hold`].

use std::time::Duration;

use crate::clock::{self, Tick};
use crate::export::delivery::destination::Destination;
use crate::export::delivery::strategy::PendingRequest;
use crate::routing::ItemSet;

/// Attempts in a row at most, the first one included.
const MAX_ATTEMPTS: u32 = 6;
/// The wait before the second attempt; each further one doubles it.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// The longest wait.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// The attempts of one delivery.
struct Attempts<'a> {
    destination: &'a Destination,
    since: Tick,
    made: u32,
}

/// Sends requests, again where one fails and the destination is still there. Says what of each is
/// done.
pub(in crate::export) async fn deliver(
    destination: &Destination,
    work: Vec<PendingRequest>,
) -> Vec<(u32, ItemSet)> {
    if destination.retry_in_place().is_zero() {
        return destination.deliver_once(work).await;
    }
    let mut attempts = Attempts { destination, since: clock::now(), made: 1 };
    let (mut done, mut rest) = (Vec::with_capacity(work.len()), work);
    loop {
        for (number, units) in destination.deliver_once(rest.clone()).await {
            if let Some(work) = rest.iter_mut().find(|work| work.number == number) {
                work.done.merge(units);
            }
        }
        let finished = rest.extract_if(.., |work| work.done.is_all());
        done.extend(finished.map(|work| (work.number, work.done)));
        if rest.is_empty() || !attempts.wait().await {
            break;
        }
        destination.meters().repeated.add_items(rest.len());
    }
    done.extend(rest.into_iter().map(|work| (work.number, work.done)));
    done
}

impl Attempts<'_> {
    /// Waits before the next attempt; whether there is to be one.
    async fn wait(&mut self) -> bool {
        let wait = backoff(self.made, self.destination.jitter());
        let left = self.destination.retry_in_place().saturating_sub(clock::now().since(self.since));
        if self.made >= MAX_ATTEMPTS || wait > left || !self.destination.is_up() {
            return false;
        }
        tokio::time::sleep(wait).await;
        self.made = self.made.saturating_add(1);
        self.destination.is_up()
    }
}

/// The wait after so many attempts; `jitter` from 0 to 1 spreads it over its upper half.
fn backoff(made: u32, jitter: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << made.saturating_sub(1).min(16));
    doubled.min(MAX_WAIT).mul_f64(0.5 + 0.5 * jitter.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_are_spread_and_end() {
        assert_eq!(backoff(1, 1.0), FIRST_WAIT);
        assert_eq!(backoff(1, 0.0), FIRST_WAIT / 2);
        assert_eq!(backoff(2, 1.0), FIRST_WAIT * 2);
        assert_eq!(backoff(4, 1.0), FIRST_WAIT * 8);
        for made in [5, 6, 60, u32::MAX] {
            assert_eq!(backoff(made, 1.0), MAX_WAIT);
        }
        let all: Duration = (1..MAX_ATTEMPTS).map(|made| backoff(made, 1.0)).sum();
        assert!(all < Duration::from_secs(3), "{all:?}");
    }
}
