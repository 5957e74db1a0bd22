//! One limit on the memory of all requests, from the first byte read to the host's answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::refusal::Refusal;
use crate::stats::Counter;

/// How many bytes requests may hold together.
#[derive(Debug)]
pub(super) struct Budget {
    used: AtomicUsize,
    limit: usize,
    gauge: Counter,
}

/// What one request holds of the budget; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(super) fn new(limit: usize, gauge: Counter) -> Arc<Self> {
        Arc::new(Self { used: AtomicUsize::new(0), limit, gauge })
    }

    /// Whether a new request would find no room.
    pub(super) fn is_full(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.limit
    }

    /// A share that holds nothing yet.
    pub(super) fn share(self: &Arc<Self>) -> Held {
        Held { budget: Arc::clone(self), bytes: 0 }
    }

    fn show(&self, used: usize) {
        self.gauge.set(u64::try_from(used).unwrap_or(u64::MAX));
    }
}

impl Held {
    /// Holds `more` bytes. Beyond the limit this works only for a request that is alone, so that
    /// one request of the allowed size always gets through, however small the budget.
    ///
    /// # Errors
    /// The budget is used up by others.
    pub(super) fn grow(&mut self, more: usize) -> Result<(), Refusal> {
        let own = self.bytes;
        let limit = self.budget.limit;
        let grown = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
            let total = used.saturating_add(more);
            (total <= limit || used == own).then_some(total)
        });
        let Ok(before) = grown else { return Err(Refusal::QueueFull) };
        self.bytes = own.saturating_add(more);
        self.budget.show(before.saturating_add(more));
        Ok(())
    }

    /// Gives `less` bytes back.
    pub(super) fn shrink(&mut self, less: usize) {
        self.settle(self.bytes.saturating_sub(less));
    }

    /// Holds exactly `bytes`, for memory that is there already.
    pub(super) fn settle(&mut self, bytes: usize) {
        let used = &self.budget.used;
        let used = if bytes >= self.bytes {
            let more = bytes.saturating_sub(self.bytes);
            used.fetch_add(more, Ordering::Relaxed).saturating_add(more)
        } else {
            let less = self.bytes.saturating_sub(bytes);
            used.fetch_sub(less, Ordering::Relaxed).saturating_sub(less)
        };
        self.bytes = bytes;
        self.budget.show(used);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.settle(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_for_all_together() {
        let gauge = Counter::default();
        let budget = Budget::new(100, gauge.clone());
        let mut first = budget.share();
        let mut second = budget.share();
        first.grow(60).unwrap();
        assert!(second.grow(50).is_err());
        second.grow(40).unwrap();
        assert!(budget.is_full());
        assert_eq!(gauge.value(), 100);
        first.settle(10);
        second.grow(50).unwrap();
        second.settle(200);
        assert_eq!(gauge.value(), 210);
        drop(first);
        drop(second);
        assert_eq!((gauge.value(), budget.is_full()), (0, false));
    }

    #[test]
    fn a_request_that_is_alone_gets_through() {
        let budget = Budget::new(100, Counter::default());
        let mut alone = budget.share();
        alone.grow(90).unwrap();
        alone.grow(90).unwrap();
        assert!(budget.share().grow(1).is_err());
    }
}
