//! The one timer that the fake host gives.

use std::ffi::{c_int, c_void};
use std::ptr;

use super::note;
use crate::host::symbols::{OnTimer, TimerFunctions};

/// What gives it.
pub(super) const FUNCTIONS: TimerFunctions = TimerFunctions {
    flb_sched_ctx_get: something,
    flb_sched_timer_cb_create: create,
    flb_sched_timer_invalidate: end,
};

unsafe extern "C" fn something() -> *mut c_void {
    ptr::without_provenance_mut(1)
}

unsafe extern "C" fn create(
    _: *mut c_void,
    kind: c_int,
    millis: c_int,
    callback: OnTimer,
    _: *mut c_void,
    out: *mut *mut c_void,
) -> c_int {
    assert_eq!((kind, millis), (4, 1000));
    note(|notes| notes.timer = Some(callback));
    // SAFETY: the code under test passes a place for the timer.
    unsafe { out.write(ptr::without_provenance_mut(2)) };
    0
}

unsafe extern "C" fn end(timer: *mut c_void) {
    assert_eq!(timer.addr(), 2);
    note(|notes| notes.timer = None);
}
