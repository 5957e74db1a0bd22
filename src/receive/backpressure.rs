//! Backpressure: how long senders are asked to wait while the pipeline does not keep up.
//!
//! A short pause is over in a second; while a longer one lasts, senders wait for two. More would
//! be worse for exporters that have a limit of time or of tries: those of JavaScript send five times
//! more within ten seconds and take the time asked for as it is, so that a wait of one second ends
//! their patience after five, one of two after eight or nine, and one of five after five again.
//! Senders with more patience make their own waits longer, and ours are the least they keep.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Tick;

/// What senders wait while it may be over soon, in seconds.
pub(super) const SOON: u32 = 1;
/// What they wait afterwards, in seconds.
const LATER: u32 = 2;
/// How long it may be over soon.
const SHORT: Duration = Duration::from_secs(1);

/// Since when the pipeline does not keep up.
#[derive(Debug, Default)]
pub(super) struct Backpressure {
    /// The tick after the first refusal, in nanoseconds; 0 for none.
    since: AtomicU64,
}

impl Backpressure {
    /// A request is refused `now` because the pipeline does not keep up: how many seconds its
    /// sender is to wait.
    pub(super) fn wait(&self, now: Tick) -> u32 {
        let mark = now.0.saturating_add(1);
        let known = self.since.compare_exchange(0, mark, Ordering::Relaxed, Ordering::Relaxed);
        let since = known.err().unwrap_or(mark);
        if Duration::from_nanos(mark.saturating_sub(since)) < SHORT { SOON } else { LATER }
    }

    /// The pipeline takes data in.
    pub(super) fn end(&self) {
        // A look costs less than a write that no one needs.
        if self.since.load(Ordering::Relaxed) != 0 {
            self.since.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When a sender tries again that takes the wait as it is, has so many tries and so much time.
    fn tries(pressure: &Backpressure, start: Tick, tries: usize, patience: Duration) -> Vec<u64> {
        let mut at = start;
        let mut times = Vec::new();
        while times.len() < tries {
            let next = at.after(Duration::from_secs(pressure.wait(at).into()));
            if next.since(start) >= patience {
                break;
            }
            at = next;
            times.push(at.since(start).as_secs());
        }
        times
    }

    #[test]
    fn waits_get_longer_until_the_pipeline_takes_data_again() {
        let pressure = Backpressure::default();
        let at = |millis| Tick::default().after(Duration::from_millis(millis));
        let waits: Vec<u32> =
            [0, 500, 999, 1000, 60_000].iter().map(|&time| pressure.wait(at(time))).collect();
        assert_eq!(waits, [1, 1, 1, 2, 2]);
        pressure.end();
        assert_eq!((pressure.wait(at(61_000)), pressure.wait(at(62_000))), (1, 2));
    }

    #[test]
    fn the_tries_of_impatient_exporters_last_as_long_as_their_time() {
        let (pressure, patience) = (Backpressure::default(), Duration::from_secs(10));
        // The first one that is refused, and one that comes when the pause is long.
        assert_eq!(tries(&pressure, Tick(5), 5, patience), [1, 3, 5, 7, 9]);
        let later = Tick(5).after(Duration::from_secs(100));
        assert_eq!(tries(&pressure, later, 5, patience), [2, 4, 6, 8]);
    }
}
