//! Coroutines on small painted stacks.
//!
//! A stack is `malloc`ed without a guard page, as the host's are. Below it lies a zone that no
//! callback may reach; both are painted, so that afterwards one can see how deep a callback went.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::memory::{Addr, Block};
use crate::report;

/// What a callback may use of a coroutine's stack.
pub(crate) const ALLOWED: usize = 16 * 1024;
const ZONE: usize = 64 * 1024;
const PAINT: u8 = 0xa5;

static CHECK: AtomicBool = AtomicBool::new(false);
static DEEPEST: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    fn flb_host_coroutine(
        stack: Addr,
        size: usize,
        entry: extern "C" fn(Addr),
        argument: Addr,
    ) -> Addr;
    safe fn co_active() -> Addr;
    fn co_switch(to: Addr);
    fn co_delete(coroutine: Addr);
    fn flb_host_stack_readable(start: Addr, size: usize);
}

/// Makes the overuse of a stack a problem.
pub(crate) fn check_stacks() {
    CHECK.store(true, Ordering::Relaxed);
}

/// The most that any callback has used of a coroutine's stack, in bytes.
pub(crate) fn deepest() -> usize {
    DEEPEST.load(Ordering::Relaxed)
}

/// A coroutine that has not ended.
#[derive(Debug)]
pub(crate) struct Coroutine {
    handle: Addr,
    stack: Block,
    size: usize,
}

impl Coroutine {
    /// A coroutine of `size` bytes of stack that starts with `entry(argument)` when it is first
    /// switched to. `entry` must not return.
    pub(crate) fn new(size: usize, entry: extern "C" fn(Addr), argument: Addr) -> Self {
        let stack = Block::zeroed(ZONE + size);
        stack.put_bytes(0, &vec![PAINT; ZONE + size]);
        // SAFETY: the stack is as large as said and lives as long as the coroutine.
        let handle = unsafe { flb_host_coroutine(stack.addr().plus(ZONE), size, entry, argument) };
        if handle.is_null() {
            report::problem("a coroutine could not be made");
        }
        Self { handle, stack, size }
    }

    /// What the host's structure calls `callee`.
    pub(crate) const fn handle(&self) -> Addr {
        self.handle
    }

    fn used(&self) -> usize {
        // SAFETY: the stack and the zone are one block of this size.
        unsafe { flb_host_stack_readable(self.stack.addr(), ZONE + self.size) };
        let whole = self.stack.addr().bytes(ZONE + self.size);
        whole.len() - whole.iter().take_while(|byte| **byte == PAINT).count()
    }

    /// Looks how deep it went, for the one that `what` names.
    pub(crate) fn check(&self, what: &str) {
        let used = self.used();
        DEEPEST.fetch_max(used, Ordering::Relaxed);
        if used > self.size {
            report::problem(&format!(
                "{what} overran its coroutine's stack of {} bytes by {} bytes",
                self.size,
                used - self.size
            ));
        } else if used > ALLOWED && CHECK.load(Ordering::Relaxed) {
            report::problem(&format!(
                "{what} used {used} bytes of its coroutine's stack; {ALLOWED} are allowed"
            ));
        }
    }
}

impl Drop for Coroutine {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: the handle was made by `new`, and nothing runs on it when its owner drops it.
            unsafe { co_delete(self.handle) };
        }
    }
}

/// The coroutine that runs on this thread.
pub(crate) fn active() -> Addr {
    co_active()
}

/// Goes on with another coroutine of this thread.
pub(crate) fn switch(to: Addr) {
    // SAFETY: callers pass a coroutine of this thread that has been switched away from.
    unsafe { co_switch(to) }
}

struct Errand<'a> {
    work: Cell<Option<Box<dyn FnOnce() + 'a>>>,
    back: Addr,
}

extern "C" fn run_errand(argument: Addr) {
    // SAFETY: `on_small_stack` passes its own errand, which lives until the errand is done.
    let errand = unsafe { argument.pointer::<Errand<'_>>().as_ref() };
    if let Some(errand) = errand {
        if let Some(work) = errand.work.take() {
            work();
        }
        switch(errand.back);
    }
}

/// Runs `work` to its end on a coroutine's stack of `size` bytes.
pub(crate) fn on_small_stack<T>(size: usize, what: &str, work: impl FnOnce() -> T) -> Option<T> {
    let mut outcome = None;
    let slot = &mut outcome;
    let errand =
        Errand { work: Cell::new(Some(Box::new(move || *slot = Some(work())))), back: active() };
    let coroutine = Coroutine::new(size, run_errand, Addr::of(&raw const errand));
    switch(coroutine.handle());
    coroutine.check(what);
    drop(errand);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Uses `SIZE` bytes of the stack, at most three times as many without optimisation.
    #[inline(never)]
    fn deep<const SIZE: usize>() -> bool {
        let room = [7_u8; SIZE];
        std::hint::black_box(&room).contains(&7)
    }

    #[test]
    fn work_runs_on_the_small_stack_and_its_depth_is_seen() {
        let mut ran = false;
        let outcome = on_small_stack(65536, "a test", || {
            ran = true;
            deep::<8192>()
        });
        assert!(ran && outcome == Some(true));
        assert!(deepest() > 8192);
        let shallow = Coroutine::new(24576, run_errand, Addr::NULL);
        assert!(shallow.used() < 1024);
    }

    #[test]
    fn an_overrun_is_a_problem() {
        let before = report::problems();
        on_small_stack(24576, "an overrun", deep::<28_000>);
        assert!(report::problems() > before);
    }
}
