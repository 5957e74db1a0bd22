//! Waiting without blocking a thread that has other flushes to run.
//!
//! While a chunk is on its way its flush's coroutine is left, and a timer of the host looks every
//! few milliseconds whose fate is known and continues those coroutines. Each thread has a timer of
//! its own. The engine's thread may never block. A worker of the output may: while as much waits on
//! it as may be on its way at once, its timer does not come back, so that it starts no further flush
//! and the host keeps what comes. What is answered meanwhile is told all the same.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use super::barrier::{self, Callback};
use super::coro::Coroutine;
use super::detect::host;
use super::raw::View;
use super::symbols::{OnTimer, OutputFunctions};
use crate::plugin::{Fate, Waiter};

/// `FLB_SCHED_TIMER_CB_PERM`.
const PERMANENT: c_int = 4;
/// Milliseconds between two looks.
const INTERVAL: c_int = 3;

/// Flushes that end in one look at most: the host has to read what each of them writes.
const MOST_ENDS: usize = 64;
/// How long a worker that is full waits for one chunk before it shows what it has to show.
const SLICE: Duration = Duration::from_millis(100);

/// Chunks that wait on one worker before it stops taking more, and their bytes. One that is large by
/// itself is worth a round trip of its own.
const MOST_CHUNKS: usize = 64;
const MOST_BYTES: usize = 2 * 1024 * 1024;
pub(super) const LARGE: usize = 256 * 1024;

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

/// A flush whose chunk is on its way.
pub(super) struct Waiting {
    pub(super) waiter: Waiter,
    pub(super) cell: *const FateCell,
    pub(super) coroutine: Coroutine,
    /// The output instance.
    pub(super) owner: *mut c_void,
    /// The pipe into which the flush will write its end.
    pub(super) pipe: c_int,
    /// Whether this is a thread of the output's own.
    pub(super) on_worker: bool,
    /// The chunk's length.
    pub(super) bytes: usize,
    /// Shows the host, with the instance's context, what came of a flush; all of it, and not only
    /// now and then, if no other flush will.
    pub(super) settle: unsafe fn(*mut c_void, bool),
    pub(super) context: *mut c_void,
}

impl Waiting {
    /// Whether the flush could write its end now. The engine's thread is the one that reads what it
    /// writes, so that it must never wait for room.
    fn can_end(&self) -> bool {
        let mut pipe = libc::pollfd { fd: self.pipe, events: libc::POLLOUT, revents: 0 };
        // SAFETY: the call looks at this one descriptor and does not wait.
        unsafe { libc::poll(&raw mut pipe, 1, 0) };
        pipe.revents & (libc::POLLOUT | libc::POLLERR | libc::POLLNVAL) != 0
    }

    /// Shows the host what came of the flush, and lets it end.
    fn end(self, fate: Fate, is_last: bool) {
        // SAFETY: the context is the instance's, which ends after its flushes.
        barrier::quietly(|| unsafe { (self.settle)(self.context, is_last) });
        // SAFETY: the cell is in the frame of the coroutine that waits.
        if let Some(cell) = unsafe { self.cell.as_ref() } {
            cell.put(fate);
        }
        // SAFETY: the coroutine waits on this thread; nothing of ours is borrowed meanwhile.
        unsafe { self.coroutine.resume() };
    }
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

/// Whether no flush waits on this thread.
pub(super) fn is_idle() -> bool {
    others() == 0
}

fn others() -> usize {
    let count = |poller: &RefCell<Poller>| poller.try_borrow().map_or(0, |all| all.waiting.len());
    POLLER.try_with(count).unwrap_or_default()
}

/// Has the coroutine continued, with the fate in its cell, when the waiter knows it. Returns the
/// waiter if the host gives no timer.
///
/// # Safety
/// Runs on the flush's thread; the cell and the coroutine exist until the coroutine is continued
/// or [`forget`] is called for the owner.
pub(super) unsafe fn wait(
    functions: &'static OutputFunctions,
    waiting: Waiting,
) -> Result<(), Waiter> {
    let mut waiting = Some(waiting);
    let _taken = POLLER.try_with(|poller| {
        let Ok(mut poller) = poller.try_borrow_mut() else { return };
        // SAFETY: the caller vouches for the thread.
        if unsafe { poller.start(functions) } {
            poller.waiting.extend(waiting.take());
        }
    });
    waiting.map_or(Ok(()), |waiting| Err(waiting.waiter))
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
    /// Starts the timer if it does not run; whether it does then.
    ///
    /// # Safety
    /// Runs on a thread of the host that has a scheduler, or none.
    unsafe fn start(&mut self, functions: &'static OutputFunctions) -> bool {
        if !self.timer.is_null() {
            return true;
        }
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
        self.timer = timer;
        self.invalidate = Some(functions.flb_sched_timer_invalidate);
        true
    }

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

    /// Takes those whose fate is known and who can end; all of them once the engine has stopped.
    fn due(&mut self, stopped: bool) -> Vec<(Waiting, Fate)> {
        let mut due = Vec::new();
        let mut still = Vec::new();
        for waiting in self.waiting.drain(..) {
            match waiting.waiter.fate().or(stopped.then_some(Fate::Retry)) {
                Some(fate) if due.len() < MOST_ENDS && waiting.can_end() => {
                    due.push((waiting, fate));
                }
                _ => still.push(waiting),
            }
        }
        self.waiting = still;
        due
    }

    /// Whether a worker has as much on its way as it may have.
    fn is_full(&self) -> bool {
        let on_worker = self.waiting.first().is_some_and(|first| first.on_worker);
        let lengths = || self.waiting.iter().map(|waiting| waiting.bytes);
        on_worker
            && (self.waiting.len() >= MOST_CHUNKS
                || lengths().any(|bytes| bytes >= LARGE)
                || lengths().sum::<usize>() >= MOST_BYTES)
    }

    /// Waits a little, where a worker is full, until something may have become known. Whether it
    /// was full.
    fn pause(&self) -> bool {
        let Some(first) = self.waiting.first().filter(|_| self.is_full()) else { return false };
        let others = self.waiting.len() > 1;
        let limit =
            if others { Duration::from_millis(INTERVAL.unsigned_abs().into()) } else { SLICE };
        if first.waiter.wait(limit).is_none() {
            // SAFETY: the context is the instance's, which ends after its flushes.
            barrier::quietly(|| unsafe { (first.settle)(first.context, false) });
        }
        true
    }
}

/// All that wait on this thread, for the host to bring again.
fn given_up() -> Vec<(Waiting, Fate)> {
    let waiting = POLLER.try_with(|poller| {
        poller.try_borrow_mut().map(|mut poller| std::mem::take(&mut poller.waiting))
    });
    let Ok(Ok(waiting)) = waiting else { return Vec::new() };
    waiting.into_iter().map(|waiting| (waiting, Fate::Retry)).collect()
}

/// Whether the engine has stopped, which comes after the host's own grace period.
///
/// # Safety
/// `config` is the host's live configuration.
pub(super) unsafe fn has_stopped(config: *mut c_void) -> bool {
    let Ok(host) = host() else { return false };
    let row = &host.abi.config;
    // SAFETY: the caller vouches for the configuration.
    let config = unsafe { View::new(config, row.size) };
    config.get::<c_int>(row.is_running) == 0
}

fn end_all(due: Vec<(Waiting, Fate)>) {
    let mut left = due.len().saturating_add(others());
    for (waiting, fate) in due {
        left = left.saturating_sub(1);
        waiting.end(fate, left == 0);
    }
}

unsafe extern "C" fn on_timer(config: *mut c_void, _data: *mut c_void) {
    loop {
        // SAFETY: the host passes its live configuration.
        let stopped = unsafe { has_stopped(config) };
        let look = || {
            POLLER.try_with(|poller| poller.try_borrow_mut().map(|mut poller| poller.due(stopped)))
        };
        let due = match barrier::run(Callback::OutputTimer, look) {
            Ok(Ok(Ok(due))) => due,
            // A panic leaves the flushes waiting for the next look, but not longer than the engine
            // runs: a worker ends after its last flush.
            _ if stopped => given_up(),
            _ => return,
        };
        end_all(due);
        let pause = || POLLER.try_with(|poller| poller.try_borrow().is_ok_and(|all| all.pause()));
        if stopped || !matches!(barrier::around(pause), Some(Ok(true))) {
            break;
        }
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
