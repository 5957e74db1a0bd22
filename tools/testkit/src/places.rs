//! Places for host tests: which of them run at the same time.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many tests that wait most of their time run beside each other on each processor.
const BESIDE: usize = 3;

static PLACES: Mutex<Places> = Mutex::new(Places { taken: 0, wanted: 0, is_alone: false });
static CHANGED: Condvar = Condvar::new();

struct Places {
    /// Tests that run together.
    taken: usize,
    /// Tests that wait for a place beside others.
    wanted: usize,
    /// Whether one runs alone.
    is_alone: bool,
}

/// What a host test holds as long as it runs.
#[must_use = "the place is left with it"]
pub struct Place {
    is_alone: bool,
}

/// For a test that measures time or memory, or loads the machine: no other host test runs meanwhile. Those
/// that run together go first, as otherwise places would stand empty before each one that runs alone.
pub fn alone() -> Place {
    let busy = |places: &mut Places| places.is_alone || places.taken + places.wanted > 0;
    let places = CHANGED.wait_while(places(), busy);
    places.unwrap_or_else(PoisonError::into_inner).is_alone = true;
    Place { is_alone: true }
}

/// For a test that asks what comes out, and waits most of its time: others of its kind run beside it, as
/// many as there are places and threads for tests.
pub fn together() -> Place {
    let most = BESIDE * std::thread::available_parallelism().map_or(1, usize::from);
    let mut places = places();
    places.wanted += 1;
    let full = |places: &mut Places| places.is_alone || places.taken >= most;
    let mut places = CHANGED.wait_while(places, full).unwrap_or_else(PoisonError::into_inner);
    places.wanted -= 1;
    places.taken += 1;
    Place { is_alone: false }
}

fn places() -> MutexGuard<'static, Places> {
    PLACES.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = places();
        if self.is_alone {
            places.is_alone = false;
        } else {
            places.taken -= 1;
        }
        CHANGED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread::{scope, sleep};
    use std::time::Duration;

    use super::{alone, together};

    /// Scenario: more tests than there are places, some of which are to run alone. Guarantees: those have no
    /// other one beside them, and all come to their turn.
    #[test]
    fn who_is_alone_has_nobody_beside() {
        static RUN: AtomicUsize = AtomicUsize::new(0);
        static ENDED: AtomicUsize = AtomicUsize::new(0);
        let run = |most: usize| {
            let beside = RUN.fetch_add(1, Ordering::SeqCst);
            assert!(beside <= most, "{beside} beside");
            sleep(Duration::from_millis(2));
            RUN.fetch_sub(1, Ordering::SeqCst);
            ENDED.fetch_add(1, Ordering::SeqCst);
        };
        scope(|threads| {
            for number in 0..60 {
                threads.spawn(move || {
                    if number % 5 == 0 {
                        let _alone = alone();
                        run(0);
                    } else {
                        let _together = together();
                        run(usize::MAX);
                    }
                });
            }
        });
        assert_eq!(ENDED.load(Ordering::SeqCst), 60);
    }
}
