//! Stack switching: room for our callbacks.
//!
//! The host calls filters and flushes on coroutine stacks of 24 KiB (64 KiB from 5.1) without a
//! guard page, where an overflow silently spoils the heap. So a callback that was entered outside
//! the thread's own stack goes on on a stack of ours, and comes back before anything else happens:
//! no coroutine is ever left while one of our stacks is in use.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ops::Range;
use std::ptr;

/// Bytes of a stack of ours.
const STACK: usize = 1 << 20;
/// Bytes below a stack of ours that may not be touched.
const GUARD: usize = 1 << 16;
/// Stacks that a thread keeps for the next time; more are needed only while callbacks nest.
const KEPT: usize = 2;

struct Stack {
    mapping: *mut c_void,
}

impl Stack {
    fn new() -> Option<Self> {
        // SAFETY: asks for new memory at any place; nothing existing is touched.
        let mapping = unsafe {
            libc::mmap(
                ptr::null_mut(),
                GUARD.saturating_add(STACK),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK,
                -1,
                0,
            )
        };
        if mapping == libc::MAP_FAILED {
            return None;
        }
        let stack = Self { mapping };
        // SAFETY: the range is the start of the new mapping.
        let guarded = unsafe { libc::mprotect(mapping, GUARD, libc::PROT_NONE) };
        (guarded == 0).then_some(stack)
    }

    fn base(&self) -> *mut u8 {
        self.mapping.cast::<u8>().wrapping_add(GUARD)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and nothing runs on it any more.
        unsafe { libc::munmap(self.mapping, GUARD.saturating_add(STACK)) };
    }
}

struct Stacks {
    own: Range<usize>,
    free: Vec<Stack>,
}

thread_local! {
    static STACKS: RefCell<Stacks> =
        RefCell::new(Stacks { own: own_stack(), free: Vec::new() });
}

/// Where the thread's own stack lies; empty if the system does not say.
fn own_stack() -> Range<usize> {
    // SAFETY: all bytes zero is a value of this plain structure.
    let mut attributes: libc::pthread_attr_t = unsafe { std::mem::zeroed() };
    // SAFETY: pthread_self is always callable.
    let thread = unsafe { libc::pthread_self() };
    // SAFETY: the attributes are ours to write to.
    if unsafe { libc::pthread_getattr_np(thread, &raw mut attributes) } != 0 {
        return 0..0;
    }
    let mut base = ptr::null_mut();
    let mut size = 0;
    // SAFETY: the attributes were just filled, and the results are ours to write to.
    let known =
        unsafe { libc::pthread_attr_getstack(&raw const attributes, &raw mut base, &raw mut size) };
    // SAFETY: the attributes were filled and are not used again.
    unsafe { libc::pthread_attr_destroy(&raw mut attributes) };
    if known != 0 { 0..0 } else { base.addr()..base.addr().saturating_add(size) }
}

/// Takes a stack if this code does not run on the thread's own.
fn borrow_stack() -> Option<Stack> {
    STACKS
        .try_with(|stacks| {
            let mut stacks = stacks.try_borrow_mut().ok()?;
            if stacks.own.contains(&psm::stack_pointer().addr()) {
                return None;
            }
            stacks.free.pop().or_else(Stack::new)
        })
        .ok()
        .flatten()
}

fn give_back(stack: Stack) {
    let mut stack = Some(stack);
    // A thread that is ending has no place for it any more; then it is unmapped here.
    let _kept = STACKS.try_with(|stacks| {
        if let Ok(mut stacks) = stacks.try_borrow_mut()
            && stacks.free.len() < KEPT
        {
            stacks.free.extend(stack.take());
        }
    });
}

/// Runs `body` where there is room for it. `body` must not unwind: it ends in the barrier.
pub(super) fn on_large_stack<R>(body: impl FnOnce() -> R) -> R {
    let Some(stack) = borrow_stack() else { return body() };
    // SAFETY: the memory is mapped, aligned, long enough and used by nothing else, and `body` does
    // not unwind.
    let result = unsafe { psm::on_stack(stack.base(), STACK, body) };
    give_back(stack);
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_foreign_stack<R>(body: impl FnOnce() -> R) -> R {
        let stack = Stack::new().unwrap();
        // SAFETY: as in `on_large_stack`.
        unsafe { psm::on_stack(stack.base(), STACK, body) }
    }

    #[test]
    fn the_threads_own_stack_is_left_only_when_foreign() {
        let here = psm::stack_pointer().addr();
        assert!(on_large_stack(|| psm::stack_pointer().addr()).abs_diff(here) < STACK);
        let (foreign, ours) = on_foreign_stack(|| {
            (psm::stack_pointer().addr(), on_large_stack(|| psm::stack_pointer().addr()))
        });
        assert!(foreign.abs_diff(ours) > GUARD);
    }

    #[test]
    fn stacks_are_used_again() {
        let used = on_foreign_stack(|| {
            let first = on_large_stack(|| psm::stack_pointer().addr());
            let second = on_large_stack(|| psm::stack_pointer().addr());
            first.abs_diff(second)
        });
        assert!(used < 4096);
    }

    #[test]
    fn half_a_mebibyte_fits() {
        let sum = on_foreign_stack(|| {
            on_large_stack(|| {
                let block = [1_u8; 512 * 1024];
                std::hint::black_box(&block).iter().map(|byte| u64::from(*byte)).sum::<u64>()
            })
        });
        assert_eq!(sum, 512 * 1024);
    }
}
