//! How an output tells, from any thread, what became of a chunk.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::Fate;

#[derive(Debug, Default)]
struct Shared {
    fate: Mutex<Option<Fate>>,
    told: Condvar,
}

/// The telling half; dropping it untold means [`Fate::Retry`].
#[derive(Debug)]
pub struct Completion {
    shared: Arc<Shared>,
}

/// The waiting half, kept by the host layer.
#[derive(Debug)]
pub struct Waiter {
    shared: Arc<Shared>,
}

impl Completion {
    /// A connected pair.
    #[must_use]
    pub fn pair() -> (Self, Waiter) {
        let shared = Arc::new(Shared::default());
        (Self { shared: Arc::clone(&shared) }, Waiter { shared })
    }

    /// Tells what became of the chunk.
    pub fn tell(self, fate: Fate) {
        self.set(fate);
    }

    fn set(&self, fate: Fate) {
        let mut told = self.shared.fate.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none() {
            *told = Some(fate);
            self.shared.told.notify_all();
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.set(Fate::Retry);
    }
}

impl Waiter {
    /// What became of the chunk, if that is known yet.
    #[must_use]
    pub fn fate(&self) -> Option<Fate> {
        *self.shared.fate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks the calling thread until the fate is known or `limit` has passed.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<Fate> {
        let told = self.shared.fate.lock().unwrap_or_else(PoisonError::into_inner);
        let (told, _timeout) = self
            .shared
            .told
            .wait_timeout_while(told, limit, |fate| fate.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_untold_completion_means_retry() {
        let (completion, waiter) = Completion::pair();
        assert_eq!(waiter.fate(), None);
        drop(completion);
        assert_eq!(waiter.wait(Duration::ZERO), Some(Fate::Retry));
    }

    #[test]
    fn the_first_word_counts() {
        let (completion, waiter) = Completion::pair();
        completion.tell(Fate::Done);
        assert_eq!(waiter.fate(), Some(Fate::Done));
    }
}
