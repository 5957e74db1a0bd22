//! Health: whether the input that has a page works, and whether it takes data in.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Tick;

/// How long the host's thread may not have called until it is taken to be stuck. It calls four times a second.
const STUCK: Duration = Duration::from_secs(30);

const STARTING: u8 = 0;
const RUNNING: u8 = 1;
const PAUSED: u8 = 2;
const STOPPING: u8 = 3;

/// What an input tells of itself.
#[derive(Debug, Default)]
pub struct Health {
    state: AtomicU8,
    ticked: AtomicU64,
}

impl Health {
    /// The host called, as it does all the time.
    pub fn tick(&self, now: Tick) {
        self.ticked.store(now.0, Ordering::Relaxed);
        self.change(STARTING, RUNNING);
    }

    /// The host's buffers are full.
    pub fn pause(&self) {
        self.change(RUNNING, PAUSED);
        self.change(STARTING, PAUSED);
    }

    /// The host takes data again.
    pub fn resume(&self) {
        self.change(PAUSED, RUNNING);
    }

    /// The host stops or reloads.
    pub fn stop(&self) {
        self.state.store(STOPPING, Ordering::Relaxed);
    }

    fn change(&self, from: u8, to: u8) {
        let _changed = self.state.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// The state in a word: `starting`, `running`, `paused`, `stopping`, `stuck`.
    #[must_use]
    pub fn word(&self, now: Tick) -> &'static str {
        match self.state.load(Ordering::Relaxed) {
            _ if self.is_stuck(now) => "stuck",
            STARTING => "starting",
            RUNNING => "running",
            PAUSED => "paused",
            _ => "stopping",
        }
    }

    /// Whether the host's thread has not called for long, once it has begun to.
    #[must_use]
    pub fn is_stuck(&self, now: Tick) -> bool {
        let ticked = self.ticked.load(Ordering::Relaxed);
        ticked > 0 && now.since(Tick(ticked)) > STUCK
    }

    /// Whether data is taken in.
    #[must_use]
    pub fn is_ready(&self, now: Tick) -> bool {
        self.state.load(Ordering::Relaxed) == RUNNING && !self.is_stuck(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_the_host() {
        let (health, now) = (Health::default(), Tick(7));
        let later = now.after(STUCK * 2);
        let state = |at| (health.word(at), health.is_ready(at), health.is_stuck(at));
        assert_eq!(state(later), ("starting", false, false), "a start may take long");
        health.tick(now);
        assert_eq!(state(now.after(STUCK)), ("running", true, false));
        assert_eq!(state(later), ("stuck", false, true));
        health.pause();
        health.tick(later);
        assert_eq!(state(later), ("paused", false, false));
        health.resume();
        assert_eq!(state(later), ("running", true, false));
        health.stop();
        health.resume();
        health.tick(later);
        assert_eq!(state(later), ("stopping", false, false));
    }
}
