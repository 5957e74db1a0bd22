//! Hang detector: how long an endpoint takes to answer, so that one that hangs is known before its
//! timeout has passed.

use std::time::Duration;

use crate::clock::Tick;

/// Answers that come faster than this are never late.
const MIN_LIMIT: Duration = Duration::from_millis(500);
/// How many times longer than usual an answer may take.
const TIMES: u32 = 3;

/// The requests of one endpoint that wait for an answer.
#[derive(Debug, Default)]
pub struct HangDetector {
    waiting: u32,
    /// Since when nothing was answered.
    since: Tick,
    /// What answers take; falls by half with each faster one.
    usual: Duration,
    /// When something was answered last.
    answered: Tick,
}

impl HangDetector {
    /// A request was sent.
    pub const fn begin(&mut self, now: Tick) {
        if self.waiting == 0 {
            self.since = now;
        }
        self.waiting = self.waiting.saturating_add(1);
    }

    /// A request has ended; `took` is how long its answer took, if there was one.
    pub fn end(&mut self, now: Tick, took: Option<Duration>) {
        self.waiting = self.waiting.saturating_sub(1);
        self.since = now;
        if let Some(took) = took {
            self.usual = took.max(self.usual / 2);
            self.answered = now;
        }
    }

    /// When something was answered last; the start of all ticks if nothing was.
    #[must_use]
    pub const fn answered(&self) -> Tick {
        self.answered
    }

    /// How long it is usual to wait for some answer.
    #[must_use]
    pub fn patience(&self) -> Duration {
        MIN_LIMIT.max(self.usual.saturating_mul(TIMES))
    }

    /// Whether requests wait and none was answered for longer than usual.
    #[must_use]
    pub fn hangs(&self, now: Tick) -> bool {
        self.waiting > 0 && now.since(self.since) > self.patience()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Tick {
        Tick(millis * 1_000_000)
    }

    #[test]
    fn nothing_hangs_while_nothing_waits_or_something_is_answered() {
        let mut pace = HangDetector::default();
        assert!(!pace.hangs(at(100_000)));
        pace.begin(at(100_000));
        pace.begin(at(100_400));
        assert!(!pace.hangs(at(100_500)));
        assert!(pace.hangs(at(100_501)));
        pace.end(at(100_600), Some(Duration::from_millis(600)));
        assert!(!pace.hangs(at(102_400)), "answers take 600 ms here");
        assert!(pace.hangs(at(102_401)));
        pace.end(at(103_000), None);
        assert!(!pace.hangs(at(200_000)));
        assert_eq!(pace.answered(), at(100_600));
    }

    #[test]
    fn slow_answers_are_forgotten() {
        let mut pace = HangDetector::default();
        for took in [8_000, 10, 10, 10] {
            pace.begin(at(0));
            pace.end(at(0), Some(Duration::from_millis(took)));
        }
        assert_eq!(pace.patience(), Duration::from_secs(3));
    }
}
