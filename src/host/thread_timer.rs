//! Thread timer: a permanent timer of the host, on the thread that starts it.
//!
//! A timer belongs to the scheduler of its thread, so that its owner keeps it in a thread-local
//! variable, and its callback finds there what it is to do.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::symbols::{OnTimer, TimerFunctions};

/// `FLB_SCHED_TIMER_CB_PERM`.
const PERMANENT: c_int = 4;

/// A timer of the thread that has it, or none yet.
#[derive(Debug)]
pub(super) struct ThreadTimer {
    timer: *mut c_void,
    invalidate: Option<unsafe extern "C" fn(*mut c_void)>,
}

impl ThreadTimer {
    /// No timer.
    pub(super) const fn new() -> Self {
        Self { timer: ptr::null_mut(), invalidate: None }
    }

    /// Has the host call `on_timer` with no data every `interval` milliseconds, if it does not yet;
    /// whether it does then.
    ///
    /// # Safety
    /// Runs on a thread of the host that has a scheduler, or none, and always on the same; the
    /// callback may be called there at any time until [`Self::stop`].
    pub(super) unsafe fn start(
        &mut self,
        functions: &TimerFunctions,
        interval: c_int,
        on_timer: OnTimer,
    ) -> bool {
        if !self.timer.is_null() {
            return true;
        }
        // SAFETY: the function only reads a thread-local variable.
        let scheduler = unsafe { (functions.flb_sched_ctx_get)() };
        if scheduler.is_null() {
            return false;
        }
        let mut timer = ptr::null_mut();
        // SAFETY: the scheduler is this thread's own, and the callback needs no data.
        let made = unsafe {
            (functions.flb_sched_timer_cb_create)(
                scheduler,
                PERMANENT,
                interval,
                on_timer,
                ptr::null_mut(),
                &raw mut timer,
            )
        };
        if made != 0 || timer.is_null() {
            return false;
        }
        self.timer = timer;
        self.invalidate = Some(functions.flb_sched_timer_invalidate);
        true
    }

    /// Stops the timer, if there is one. The host drops it at the end of its loop.
    pub(super) fn stop(&mut self) {
        if let Some(invalidate) = self.invalidate.take() {
            // SAFETY: the timer is ours, on this thread, and was not given up before.
            unsafe { invalidate(self.timer) };
        }
        self.timer = ptr::null_mut();
    }
}
