//! Timer polling: waits without blocking a thread that has other flushes to run.
//!
//! While a chunk is on its way its flush's coroutine is left, and a timer of the host looks every
//! few milliseconds whose fate is known and continues those coroutines. Each thread has a timer of
//! its own. The engine's thread may never block. A worker of the output may: while as much waits on
//! it as may be on its way at once, its timer does not come back, so that it starts no further flush
//! and the host keeps what comes. What is answered meanwhile is told all the same.
//!
//! A chunk that is held for another attempt costs nothing of that: its bytes stay with the host, and
//! its coroutine begins anew when the gate opens and the thread has room.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use super::barrier::{self, Callback};
use super::coro::Coroutine;
use super::detect::host;
use super::host_struct::HostStruct;
use super::symbols::TimerFunctions;
use super::thread_timer::ThreadTimer;
use crate::plugin::{CompletionWaiter, Fate, Gate};

/// Milliseconds between two looks.
const INTERVAL: c_int = 3;

/// Flushes that end in one look at most: the host has to read what each of them writes.
const MAX_ENDS: usize = 64;
/// Looks after which the gates of held chunks are asked once.
const LOOKS_PER_GATE: u32 = 10;
/// How long a worker that is full waits for one chunk before it shows what it has to show.
const SLICE: Duration = Duration::from_millis(100);

/// Chunks that wait on one worker before it stops taking more, and their bytes. One that is large by
/// itself is worth a round trip of its own.
const MAX_CHUNKS: usize = 64;
const MAX_BYTES: usize = 2 * 1024 * 1024;
pub(super) const LARGE: usize = 256 * 1024;

/// Why a coroutine is continued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Resumption {
    /// The chunk's fate is known.
    End(Fate),
    /// The chunk is worth another attempt.
    Again,
}

/// Where a coroutine finds why it was continued. Lives in the coroutine's frame and owns nothing.
#[derive(Debug)]
pub(super) struct ResumptionCell(AtomicI32);

impl ResumptionCell {
    const EMPTY: i32 = -1;

    pub(super) const fn new() -> Self {
        Self(AtomicI32::new(Self::EMPTY))
    }

    fn put(&self, why: Resumption) {
        let number = match why {
            Resumption::End(Fate::Done) => 0,
            Resumption::End(Fate::Retry) => 1,
            Resumption::End(Fate::Failed) => 2,
            Resumption::Again => 3,
        };
        self.0.store(number, Ordering::Release);
    }

    /// The reason, once there is one; the cell is empty then.
    pub(super) fn take(&self) -> Option<Resumption> {
        match self.0.swap(Self::EMPTY, Ordering::AcqRel) {
            0 => Some(Resumption::End(Fate::Done)),
            1 => Some(Resumption::End(Fate::Retry)),
            2 => Some(Resumption::End(Fate::Failed)),
            3 => Some(Resumption::Again),
            _ => None,
        }
    }
}

/// A flush whose chunk is on its way, or held.
pub(super) struct WaitingFlush {
    pub(super) waiter: CompletionWaiter,
    /// What a held chunk waits for.
    pub(super) gate: Option<Gate>,
    pub(super) cell: *const ResumptionCell,
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

impl WaitingFlush {
    /// Whether the flush could write its end now. The engine's thread is the one that reads what it
    /// writes, so that it must never wait for room.
    fn can_end(&self) -> bool {
        let mut pipe = libc::pollfd { fd: self.pipe, events: libc::POLLOUT, revents: 0 };
        // SAFETY: the call looks at this one descriptor and does not wait.
        unsafe { libc::poll(&raw mut pipe, 1, 0) };
        pipe.revents & (libc::POLLOUT | libc::POLLERR | libc::POLLNVAL) != 0
    }

    /// Shows the host what came of the flush, and lets it end or begin anew.
    fn resume(self, why: Resumption, is_last: bool) {
        // SAFETY: the context is the instance's, which ends after its flushes.
        barrier::quietly(|| unsafe { (self.settle)(self.context, is_last) });
        // SAFETY: the cell is in the frame of the coroutine that waits.
        if let Some(cell) = unsafe { self.cell.as_ref() } {
            cell.put(why);
        }
        // SAFETY: the coroutine waits on this thread; nothing of ours is borrowed meanwhile.
        unsafe { self.coroutine.resume() };
    }
}

struct Poller {
    timer: ThreadTimer,
    waiting: Vec<WaitingFlush>,
    looks: u32,
}

/// How far the engine is with its stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// What is held is to be tried once more, while there is time.
    Stopping,
    /// Nothing can be told any more.
    Stopped,
}

/// What is on its way from one thread.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    chunks: usize,
    bytes: usize,
    has_large: bool,
}

impl Load {
    const fn add(&mut self, bytes: usize) {
        self.chunks = self.chunks.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.has_large |= bytes >= LARGE;
    }

    const fn is_full(self) -> bool {
        self.chunks >= MAX_CHUNKS || self.has_large || self.bytes >= MAX_BYTES
    }
}

thread_local! {
    static POLLER: RefCell<Poller> = const {
        RefCell::new(Poller::new())
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
    functions: &TimerFunctions,
    waiting: WaitingFlush,
) -> Result<(), CompletionWaiter> {
    let mut waiting = Some(waiting);
    let _taken = POLLER.try_with(|poller| {
        let Ok(mut poller) = poller.try_borrow_mut() else { return };
        // SAFETY: the caller vouches for the thread; the callback works on what is there when it is
        // called.
        if unsafe { poller.timer.start(functions, INTERVAL, on_timer) } {
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
    const fn new() -> Self {
        Self { timer: ThreadTimer::new(), waiting: Vec::new(), looks: 0 }
    }

    /// Stops the timer when nothing waits.
    fn rest(&mut self) {
        if self.waiting.is_empty() {
            self.timer.stop();
        }
    }

    /// Takes those whose fate is known and who can end, and those held whose gate is open; all of
    /// them once the engine has stopped.
    fn due(&mut self, phase: Phase) -> Vec<(WaitingFlush, Resumption)> {
        self.looks = self.looks.wrapping_add(1);
        let asks_gates = phase != Phase::Running || self.looks.is_multiple_of(LOOKS_PER_GATE);
        let mut due = Vec::new();
        let mut still = Vec::new();
        let mut load = self.load();
        for mut waiting in self.waiting.drain(..) {
            if waiting.gate.is_none() {
                waiting.gate = waiting.waiter.gate();
            }
            let why = match &waiting.gate {
                _ if phase == Phase::Stopped => {
                    Some(Resumption::End(waiting.waiter.fate().unwrap_or(Fate::Retry)))
                }
                None => waiting.waiter.fate().map(Resumption::End),
                Some(gate) => {
                    let is_wanted = asks_gates
                        && !load.is_full()
                        && (phase == Phase::Stopping || gate.is_open());
                    is_wanted.then_some(Resumption::Again)
                }
            };
            match why {
                Some(why) if due.len() < MAX_ENDS && waiting.can_end() => {
                    if why == Resumption::Again {
                        load.add(waiting.bytes);
                    }
                    due.push((waiting, why));
                }
                _ => still.push(waiting),
            }
        }
        self.waiting = still;
        due
    }

    fn load(&self) -> Load {
        let mut load = Load::default();
        let on_their_way = self.waiting.iter().filter(|waiting| waiting.gate.is_none());
        on_their_way.for_each(|waiting| load.add(waiting.bytes));
        load
    }

    /// Waits a little, where a worker is full, until something may have become known. Whether it
    /// was full.
    fn pause(&self) -> bool {
        let on_its_way = |waiting: &&WaitingFlush| waiting.on_worker && waiting.gate.is_none();
        let Some(first) = self.waiting.iter().find(on_its_way) else { return false };
        if !self.load().is_full() {
            return false;
        }
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
fn given_up() -> Vec<(WaitingFlush, Resumption)> {
    let waiting = POLLER.try_with(|poller| {
        poller.try_borrow_mut().map(|mut poller| std::mem::take(&mut poller.waiting))
    });
    let Ok(Ok(waiting)) = waiting else { return Vec::new() };
    waiting.into_iter().map(|waiting| (waiting, Resumption::End(Fate::Retry))).collect()
}

/// Whether the engine has stopped, which comes after the host's own grace period.
///
/// # Safety
/// `config` is the host's live configuration.
pub(super) unsafe fn has_stopped(config: *mut c_void) -> bool {
    let Ok(host) = host() else { return false };
    let row = &host.abi.config;
    // SAFETY: the caller vouches for the configuration.
    let config = unsafe { HostStruct::new(config, row.size) };
    config.get::<c_int>(row.is_running) == 0
}

/// Whether the engine is about to stop and takes nothing in any more.
///
/// # Safety
/// `config` is the host's live configuration.
pub(super) unsafe fn is_stopping(config: *mut c_void) -> bool {
    let Ok(host) = host() else { return false };
    let row = &host.abi.config;
    // SAFETY: the caller vouches for the configuration.
    let config = unsafe { HostStruct::new(config, row.size) };
    config.get::<c_int>(row.is_shutting_down) != 0
        || config.get::<c_int>(row.is_ingestion_active) == 0
}

fn resume_all(due: Vec<(WaitingFlush, Resumption)>) {
    let mut left = due.len().saturating_add(others());
    for (waiting, why) in due {
        left = left.saturating_sub(1);
        waiting.resume(why, left == 0);
    }
}

unsafe extern "C" fn on_timer(config: *mut c_void, _data: *mut c_void) {
    loop {
        // SAFETY: the host passes its live configuration.
        let stopped = unsafe { has_stopped(config) };
        // SAFETY: as above.
        let phase = match unsafe { is_stopping(config) } {
            _ if stopped => Phase::Stopped,
            true => Phase::Stopping,
            false => Phase::Running,
        };
        let look = || {
            POLLER.try_with(|poller| poller.try_borrow_mut().map(|mut poller| poller.due(phase)))
        };
        let due = match barrier::run(Callback::OutputTimer, look) {
            Ok(Ok(Ok(due))) => due,
            // A panic leaves the flushes waiting for the next look, but not longer than the engine
            // runs: a worker ends after its last flush.
            _ if stopped => given_up(),
            _ => return,
        };
        resume_all(due);
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
    fn a_cell_holds_each_reason_once() {
        let cell = ResumptionCell::new();
        assert_eq!(cell.take(), None);
        let ends = [Fate::Done, Fate::Retry, Fate::Failed].map(Resumption::End);
        for why in ends.into_iter().chain([Resumption::Again]) {
            cell.put(why);
            assert_eq!(cell.take(), Some(why));
            assert_eq!(cell.take(), None);
        }
    }

    #[test]
    fn a_thread_is_full_by_number_by_bytes_and_by_one_large_chunk() {
        let of = |count: usize, bytes: usize| {
            let mut load = Load::default();
            (0..count).for_each(|_| load.add(bytes));
            load.is_full()
        };
        assert!(!of(0, 0) && !of(63, 10) && of(64, 10));
        assert!(!of(9, 200 * 1024) && of(11, 200 * 1024));
        assert!(!of(1, LARGE - 1) && of(1, LARGE));
    }
}
