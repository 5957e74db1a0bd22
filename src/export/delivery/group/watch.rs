//! Outage detector of a group: whether none of its deliveries was answered for too long.

use std::time::Duration;

use crate::clock::Tick;
use crate::sync::{Mutex, MutexGuard};

/// The deliveries to a group that are under way.
#[derive(Debug, Default)]
pub(super) struct GroupWatch(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: usize,
    /// When the first of them began.
    since: Tick,
}

/// A delivery under way, also when its task is ended.
pub(super) struct WatchedDelivery<'a>(&'a GroupWatch);

impl GroupWatch {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// A delivery begins.
    pub(super) fn begin(&self, now: Tick) -> WatchedDelivery<'_> {
        let mut state = self.state();
        if state.waiting == 0 {
            state.since = now;
        }
        state.waiting = state.waiting.saturating_add(1);
        WatchedDelivery(self)
    }

    /// For how long deliveries have been under way without an answer; the last one was `answered`.
    pub(super) fn silence(&self, now: Tick, answered: Tick) -> Duration {
        let state = self.state();
        if state.waiting == 0 { Duration::ZERO } else { now.since(state.since.max(answered)) }
    }
}

impl Drop for WatchedDelivery<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.waiting = state.waiting.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_begins_with_a_delivery_and_ends_with_an_answer() {
        let at = |seconds: u64| Tick(seconds * 1_000_000_000);
        let watch = GroupWatch::default();
        assert_eq!(watch.silence(at(9), Tick::default()), Duration::ZERO);
        let first = watch.begin(at(10));
        let second = watch.begin(at(12));
        assert_eq!(watch.silence(at(15), at(3)), Duration::from_secs(5));
        // One that ends without an answer breaks no silence.
        drop(first);
        assert_eq!(watch.silence(at(16), at(3)), Duration::from_secs(6));
        assert_eq!(watch.silence(at(16), at(14)), Duration::from_secs(2));
        drop(second);
        assert_eq!(watch.silence(at(17), at(3)), Duration::ZERO);
    }
}
