//! Memory budget: one limit on the memory of all requests, from the first byte read to the host's
//! answer.
//!
//! One request at a time may go beyond the limit. Otherwise a large one, which needs room for its
//! body, its decompressed form and its events at once, would find that room only when no other
//! request is under way, which on a busy receiver is never.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::memory::WaitingMemory;
use super::refusal::Refusal;
use crate::stats::Counter;

/// How many bytes requests may hold together.
#[derive(Debug)]
pub(super) struct MemoryBudget {
    used: AtomicUsize,
    limit: usize,
    /// Whether a request has leave to go beyond the limit.
    exceeded: AtomicBool,
    gauge: Counter,
    /// What the host's chunks leave.
    memory: Arc<WaitingMemory>,
}

/// What one request holds of the budget; given back when it is dropped.
#[derive(Debug)]
pub(super) struct HeldMemory {
    budget: Arc<MemoryBudget>,
    bytes: usize,
    /// This is the one that may go beyond the limit, until it is dropped.
    exceeds: bool,
}

impl MemoryBudget {
    pub(super) fn new(limit: usize, gauge: Counter, memory: Arc<WaitingMemory>) -> Arc<Self> {
        let (used, exceeded) = (AtomicUsize::new(0), AtomicBool::new(false));
        Arc::new(Self { used, limit, exceeded, gauge, memory })
    }

    /// Whether a new request would find room.
    ///
    /// # Errors
    /// What is full.
    pub(super) fn check(&self) -> Result<(), Refusal> {
        let used = self.used.load(Ordering::Relaxed);
        if used >= self.limit {
            Err(Refusal::QueueFull)
        } else if used >= self.memory.left() {
            Err(Refusal::MemoryFull)
        } else {
            Ok(())
        }
    }

    /// A share that holds nothing yet.
    pub(super) fn share(self: &Arc<Self>) -> HeldMemory {
        HeldMemory { budget: Arc::clone(self), bytes: 0, exceeds: false }
    }

    fn show(&self, used: usize) {
        self.gauge.set(u64::try_from(used).unwrap_or(u64::MAX));
    }
}

impl HeldMemory {
    /// Holds `more` bytes.
    ///
    /// # Errors
    /// The budget is used up, and another request is beyond it already.
    pub(super) fn grow(&mut self, more: usize) -> Result<(), Refusal> {
        let budget = &self.budget;
        let grow = |limit: usize| {
            budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                let total = used.saturating_add(more);
                (total <= limit).then_some(total)
            })
        };
        let left = budget.memory.left();
        let mut grown = grow(budget.limit.min(left));
        if grown.is_err() && (self.exceeds || !budget.exceeded.swap(true, Ordering::Relaxed)) {
            self.exceeds = true;
            grown = grow(usize::MAX);
        }
        let full = if left < budget.limit { Refusal::MemoryFull } else { Refusal::QueueFull };
        let Ok(before) = grown else { return Err(full) };
        self.bytes = self.bytes.saturating_add(more);
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

impl Drop for HeldMemory {
    fn drop(&mut self) {
        self.settle(0);
        if self.exceeds {
            self.budget.exceeded.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::{AppendRefused, Chunks, Sink};
    use crate::receive::counters::ReceiveCounters;
    use crate::stats::Counters;

    #[test]
    fn the_hosts_chunks_leave_less() {
        let meters = ReceiveCounters::new(&Counters::default());
        let memory = Arc::new(WaitingMemory::new(Some(1000), &meters, Arc::default()));
        let budget = MemoryBudget::new(500, Counter::default(), Arc::clone(&memory));
        let (mut first, mut second) = (budget.share(), budget.share());
        first.grow(400).unwrap();
        assert_eq!(budget.check(), Ok(()));
        assert!(!memory.has_room(&Holds(900)));
        assert_eq!(budget.check(), Err(Refusal::MemoryFull));
        // One has leave, as ever.
        first.grow(100).unwrap();
        assert_eq!(second.grow(1), Err(Refusal::MemoryFull));
        assert!(memory.has_room(&Holds(0)));
        assert_eq!(
            (budget.check(), second.grow(1)),
            (Err(Refusal::QueueFull), Err(Refusal::QueueFull))
        );
        first.shrink(200);
        second.grow(200).unwrap();
    }

    struct Holds(usize);

    impl Sink for Holds {
        fn append(&mut self, _: &[u8], _: usize, _: &[u8]) -> Result<(), AppendRefused> {
            Ok(())
        }

        fn chunks(&self) -> Chunks {
            Chunks { bytes: self.0, bounded: false }
        }

        fn flush_now(&mut self) {}
    }

    #[test]
    fn the_limit_holds_for_all_but_one() {
        let gauge = Counter::default();
        let budget = MemoryBudget::new(100, gauge.clone(), WaitingMemory::unlimited());
        let mut first = budget.share();
        let mut second = budget.share();
        let mut third = budget.share();
        first.grow(60).unwrap();
        second.grow(40).unwrap();
        assert_eq!(budget.check(), Err(Refusal::QueueFull));
        assert_eq!(gauge.value(), 100);
        // One has leave, and keeps it.
        first.grow(100).unwrap();
        assert!(second.grow(1).is_err() && third.grow(1).is_err());
        first.grow(100).unwrap();
        assert_eq!(gauge.value(), 300);
        first.settle(10);
        third.grow(50).unwrap();
        assert!(third.grow(1).is_err());
        drop(first);
        third.grow(10).unwrap();
        // The next may.
        third.grow(10).unwrap();
        assert!(second.grow(1).is_err());
        third.shrink(65);
        assert_eq!(gauge.value(), 45);
        second.settle(200);
        assert_eq!(gauge.value(), 205);
        drop((second, third));
        assert_eq!((gauge.value(), budget.check()), (0, Ok(())));
    }
}
