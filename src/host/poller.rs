//! Waiting on the engine's thread, which may never block.
//!
//! A flush without workers runs on the engine's own thread. While its chunk is on its way the
//! flush's coroutine is left, and a timer of the host looks every few milliseconds whose fate is
//! known and continues those coroutines.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use super::barrier::{self, Callback};
use super::coro::Coroutine;
use super::symbols::{OnTimer, OutputFunctions};
use crate::plugin::{Fate, Waiter};

/// `FLB_SCHED_TIMER_CB_PERM`.
const PERMANENT: c_int = 4;
/// Milliseconds between two looks.
const INTERVAL: c_int = 3;

/// Where a coroutine finds its chunk's fate after it was continued. Lives in the coroutine's frame
/// and owns nothing.
#[derive(Debug)]
pub(super) struct FateCell(AtomicI32);

impl FateCell {
    pub(super) const fn new() -> Self {
        Self(AtomicI32::new(-1))
    }

    fn put(&self, fate: Fate) {
        let number = match fate {
            Fate::Done => 0,
            Fate::Retry => 1,
            Fate::Failed => 2,
        };
        self.0.store(number, Ordering::Release);
    }

    /// The fate, once it is known.
    pub(super) fn fate(&self) -> Option<Fate> {
        match self.0.load(Ordering::Acquire) {
            0 => Some(Fate::Done),
            1 => Some(Fate::Retry),
            2 => Some(Fate::Failed),
            _ => None,
        }
    }
}

struct Waiting {
    waiter: Waiter,
    cell: *const FateCell,
    coroutine: Coroutine,
    owner: *mut c_void,
}

struct Poller {
    timer: *mut c_void,
    invalidate: Option<unsafe extern "C" fn(*mut c_void)>,
    waiting: Vec<Waiting>,
}

thread_local! {
    static POLLER: RefCell<Poller> = const {
        RefCell::new(Poller { timer: ptr::null_mut(), invalidate: None, waiting: Vec::new() })
    };
}

/// Has `coroutine` continued, with the fate in `cell`, when `waiter` knows it. `owner` is the
/// output instance. Returns false if the host gives no timer.
///
/// # Safety
/// Runs on the engine's thread; the cell and the coroutine exist until the coroutine is continued
/// or [`forget`] is called for the owner.
pub(super) unsafe fn wait(
    functions: &'static OutputFunctions,
    waiter: Waiter,
    cell: *const FateCell,
    coroutine: Coroutine,
    owner: *mut c_void,
) -> bool {
    POLLER
        .try_with(|poller| {
            let Ok(mut poller) = poller.try_borrow_mut() else { return false };
            if poller.timer.is_null() {
                // SAFETY: the function only reads a thread-local variable.
                let scheduler = unsafe { (functions.flb_sched_ctx_get)() };
                if scheduler.is_null() {
                    return false;
                }
                let mut timer = ptr::null_mut();
                let on_timer: OnTimer = on_timer;
                // SAFETY: the scheduler is this thread's own, and the callback needs no data.
                let made = unsafe {
                    (functions.flb_sched_timer_cb_create)(
                        scheduler,
                        PERMANENT,
                        INTERVAL,
                        on_timer,
                        ptr::null_mut(),
                        &raw mut timer,
                    )
                };
                if made != 0 || timer.is_null() {
                    return false;
                }
                poller.timer = timer;
                poller.invalidate = Some(functions.flb_sched_timer_invalidate);
            }
            poller.waiting.push(Waiting { waiter, cell, coroutine, owner });
            true
        })
        .unwrap_or(false)
}

/// Forgets the coroutines of an output that ends; the host drops them.
pub(super) fn forget(owner: *mut c_void) {
    let _forgotten = POLLER.try_with(|poller| {
        if let Ok(mut poller) = poller.try_borrow_mut() {
            poller.waiting.retain(|waiting| waiting.owner != owner);
            poller.rest();
        }
    });
}

impl Poller {
    /// Stops the timer when nothing waits. The host drops it at the end of its loop.
    fn rest(&mut self) {
        if !self.waiting.is_empty() || self.timer.is_null() {
            return;
        }
        if let Some(invalidate) = self.invalidate.take() {
            // SAFETY: the timer is ours, on this thread, and was not given up before.
            unsafe { invalidate(self.timer) };
        }
        self.timer = ptr::null_mut();
    }

    /// Takes those whose fate is known.
    fn due(&mut self) -> Vec<(Waiting, Fate)> {
        let mut due = Vec::new();
        let mut still = Vec::new();
        for waiting in self.waiting.drain(..) {
            match waiting.waiter.fate() {
                Some(fate) => due.push((waiting, fate)),
                None => still.push(waiting),
            }
        }
        self.waiting = still;
        due
    }
}

unsafe extern "C" fn on_timer(_config: *mut c_void, _data: *mut c_void) {
    let look = || POLLER.try_with(|poller| poller.try_borrow_mut().map(|mut poller| poller.due()));
    // A panic here leaves the flushes waiting for the next look.
    let Ok(Ok(Ok(due))) = barrier::run(Callback::OutputTimer, look) else { return };
    for (waiting, fate) in due {
        // SAFETY: the cell is in the frame of the coroutine that waits.
        if let Some(cell) = unsafe { waiting.cell.as_ref() } {
            cell.put(fate);
        }
        // SAFETY: the coroutine waits on this thread; nothing of ours is borrowed meanwhile.
        unsafe { waiting.coroutine.resume() };
    }
    let _rested = POLLER.try_with(|poller| {
        if let Ok(mut poller) = poller.try_borrow_mut() {
            poller.rest();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_holds_each_fate() {
        let cell = FateCell::new();
        assert_eq!(cell.fate(), None);
        for fate in [Fate::Done, Fate::Retry, Fate::Failed] {
            cell.put(fate);
            assert_eq!(cell.fate(), Some(fate));
        }
    }
}
