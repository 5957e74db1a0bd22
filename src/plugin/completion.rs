//! One-shot completion: from any thread an output says what became of a chunk, or that it is to be
//! asked again.

use std::sync::Arc;
use std::time::Duration;

use super::Fate;
use crate::sync::{Condvar, Mutex, MutexGuard};

/// Opens when a chunk that could not be delivered is worth another attempt.
#[derive(Clone)]
pub struct Gate(Arc<dyn Fn() -> bool + Send + Sync>);

impl Gate {
    /// A gate that is open when `is_open` says so. It is asked often, on a thread of the host, and
    /// must not wait.
    pub fn new(is_open: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(is_open))
    }

    /// Whether the chunk is to be handed over again now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        (self.0)()
    }
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Gate")
    }
}

#[derive(Debug)]
enum Resolution {
    Fate(Fate),
    Held(Gate),
}

#[derive(Debug, Default)]
struct Shared {
    resolution: Mutex<Option<Resolution>>,
    changed: Condvar,
}

impl Shared {
    fn resolution(&self) -> MutexGuard<'_, Option<Resolution>> {
        self.resolution.lock()
    }
}

/// The sending half; dropping it without a fate means [`Fate::Retry`].
#[derive(Debug)]
pub struct Completion {
    shared: Arc<Shared>,
}

/// The waiting half, kept by the host layer.
#[derive(Debug)]
pub struct CompletionWaiter {
    shared: Arc<Shared>,
}

impl Completion {
    /// A connected pair.
    #[must_use]
    pub fn pair() -> (Self, CompletionWaiter) {
        let shared = Arc::new(Shared::default());
        (Self { shared: Arc::clone(&shared) }, CompletionWaiter { shared })
    }

    /// Reports what became of the chunk.
    pub fn complete(self, fate: Fate) {
        self.set(Resolution::Fate(fate));
    }

    /// Keeps the host's flush open: the host layer hands the same chunk over again, with another
    /// completion, when the gate is open. Only for a chunk that [`Delivery::may_be_held`].
    ///
    /// [`Delivery::may_be_held`]: super::Delivery::may_be_held
    pub fn hold(self, gate: Gate) {
        self.set(Resolution::Held(gate));
    }

    fn set(&self, news: Resolution) {
        let mut resolution = self.shared.resolution();
        if resolution.is_none() {
            *resolution = Some(news);
            self.shared.changed.notify_all();
        }
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        self.set(Resolution::Fate(Fate::Retry));
    }
}

impl CompletionWaiter {
    /// What became of the chunk, if that is known yet.
    #[must_use]
    pub fn fate(&self) -> Option<Fate> {
        fate_of(self.shared.resolution().as_ref())
    }

    /// What a chunk waits for that is held.
    #[must_use]
    pub fn gate(&self) -> Option<Gate> {
        match &*self.shared.resolution() {
            Some(Resolution::Held(gate)) => Some(gate.clone()),
            _ => None,
        }
    }

    /// Blocks the calling thread until the fate is known, the chunk is held, or `limit` has passed.
    /// `None` unless the fate is known.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> Option<Fate> {
        let resolution = self.shared.resolution();
        let resolution = self
            .shared
            .changed
            .wait_while_for(resolution, limit, |resolution| resolution.is_none());
        fate_of(resolution.as_ref())
    }
}

fn fate_of(resolution: Option<&Resolution>) -> Option<Fate> {
    match resolution {
        Some(Resolution::Fate(fate)) => Some(*fate),
        _ => None,
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
        completion.complete(Fate::Done);
        assert_eq!(waiter.fate(), Some(Fate::Done));
    }

    #[test]
    fn a_held_chunk_has_a_gate_and_no_fate() {
        let (completion, waiter) = Completion::pair();
        assert!(waiter.gate().is_none());
        let open = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let state = Arc::clone(&open);
        completion.hold(Gate::new(move || state.load(std::sync::atomic::Ordering::SeqCst)));
        assert_eq!(waiter.wait(Duration::from_secs(60)), None);
        let gate = waiter.gate().unwrap();
        assert!(!gate.is_open());
        open.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(gate.is_open());
    }
}
