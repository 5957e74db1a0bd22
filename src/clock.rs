//! Clock: the only place that asks what time it is.
//!
//! Pure code takes a [`Tick`] or Unix nanoseconds as an argument, so that tests decide the time.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Nanoseconds on a clock that never goes back, counted from the first use in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick `by` later.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The monotonic clock.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one home of Instant::now")]
pub fn now() -> Tick {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    Tick(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

/// Wall-clock time in nanoseconds since the Unix epoch.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the one home of SystemTime::now")]
pub fn unix_nanos() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_go_forward() {
        let first = now();
        assert!(now() >= first);
        assert_eq!(Tick(5).since(Tick(7)), Duration::ZERO);
        assert_eq!(Tick(5).after(Duration::from_nanos(3)), Tick(8));
    }
}
