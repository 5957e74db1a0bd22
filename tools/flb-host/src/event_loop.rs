//! Event loop of one thread: file descriptors and timers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use fluent_bit_ai::clock::{self, Tick};

use crate::memory::Addr;
use crate::report;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoopEvent {
    /// A collector is due: the input's place and the collector's number.
    Collector(usize, i32),
    /// A built-in input is due.
    Builtin(usize),
    /// An output tells what became of a chunk.
    FlushesEnded(usize),
    /// The main thread may have something to say.
    Command,
    /// Chunks go to their outputs.
    Flush,
    /// A task is tried again: task, output.
    Retry(u64, usize),
    /// A plugin's timer is due.
    Timer(Addr),
    /// A paused input goes on.
    Unpause(usize),
    /// It is time to look whether a stop is complete.
    StopTick,
    /// A worker has something to do.
    Job,
    /// A flush on a worker's thread has ended.
    WorkerFlushesEnded,
}

struct Timer {
    event: LoopEvent,
    period: Option<Duration>,
}

/// Waits for descriptors and timers.
pub(crate) struct EventLoop {
    epoll: OwnedFd,
    watched: RefCell<BTreeMap<u64, LoopEvent>>,
    timers: RefCell<BTreeMap<(Tick, u64), Timer>>,
    next: Cell<u64>,
}

impl EventLoop {
    /// An empty loop.
    ///
    /// # Errors
    /// The operating system's.
    pub(crate) fn new() -> std::io::Result<Self> {
        // SAFETY: epoll_create1 has no precondition.
        let epoll = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        Ok(Self {
            epoll: owned(epoll)?,
            watched: RefCell::default(),
            timers: RefCell::default(),
            next: Cell::new(1),
        })
    }

    fn id(&self) -> u64 {
        let id = self.next.get();
        self.next.set(id + 1);
        id
    }

    /// Reports `event` whenever the descriptor can be read.
    pub(crate) fn watch(&self, descriptor: RawFd, event: LoopEvent) -> u64 {
        let id = self.id();
        self.watched.borrow_mut().insert(id, event);
        let mut wanted = libc::epoll_event { events: libc::EPOLLIN.cast_unsigned(), u64: id };
        // SAFETY: the epoll descriptor is open and `wanted` lives through the call.
        let rc = unsafe {
            libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                libc::EPOLL_CTL_ADD,
                descriptor,
                &raw mut wanted,
            )
        };
        if rc != 0 {
            report::problem(&format!("descriptor {descriptor} cannot be watched"));
        }
        id
    }

    /// Ends [`EventLoop::watch`].
    pub(crate) fn unwatch(&self, descriptor: RawFd, id: u64) {
        self.watched.borrow_mut().remove(&id);
        // SAFETY: the epoll descriptor is open; removal takes no event.
        unsafe {
            libc::epoll_ctl(
                self.epoll.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                descriptor,
                std::ptr::null_mut(),
            );
        }
    }

    /// Reports `event` after `delay`, and again every `period`.
    pub(crate) fn after(&self, delay: Duration, period: Option<Duration>, event: LoopEvent) -> u64 {
        let id = self.id();
        self.timers.borrow_mut().insert((clock::now().after(delay), id), Timer { event, period });
        id
    }

    /// Ends a timer; one that is over is left alone.
    pub(crate) fn cancel(&self, id: u64) {
        self.timers.borrow_mut().retain(|(_, timer), _| *timer != id);
    }

    /// Makes every timer with this kind of event due now.
    pub(crate) fn make_due(&self, wanted: impl Fn(LoopEvent) -> bool) {
        let mut timers = self.timers.borrow_mut();
        let due: Vec<_> = timers
            .extract_if(.., |_, timer| wanted(timer.event))
            .map(|((_, id), timer)| ((clock::now(), id), timer))
            .collect();
        timers.extend(due);
    }

    /// Waits for the next events, at most until the next timer.
    pub(crate) fn wait(&self) -> Vec<LoopEvent> {
        let mut ready = [libc::epoll_event { events: 0, u64: 0 }; 32];
        // SAFETY: the array has room for the 32 events that the call may write.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), ready.as_mut_ptr(), 32, self.timeout())
        };
        let count = usize::try_from(count).unwrap_or(0);
        let watched = self.watched.borrow();
        let mut events: Vec<LoopEvent> = ready
            .iter()
            .take(count)
            .filter_map(|event| watched.get(&{ event.u64 }).copied())
            .collect();
        drop(watched);
        self.expire(&mut events);
        events
    }

    fn timeout(&self) -> i32 {
        let timers = self.timers.borrow();
        timers.first_key_value().map_or(-1, |((due, _), _)| {
            let millis = due.since(clock::now()).as_micros().div_ceil(1000);
            i32::try_from(millis).unwrap_or(i32::MAX)
        })
    }

    fn expire(&self, events: &mut Vec<LoopEvent>) {
        let now = clock::now();
        let mut timers = self.timers.borrow_mut();
        while let Some(first) = timers.first_entry() {
            if first.key().0 > now {
                break;
            }
            let ((due, id), timer) = first.remove_entry();
            events.push(timer.event);
            if let Some(period) = timer.period {
                let next = due.after(period).max(now);
                timers.insert((next, id), timer);
            }
        }
    }
}

/// A descriptor that a call has just returned.
fn owned(descriptor: RawFd) -> std::io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the call has just made the descriptor, and no other code has it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A pipe that does not block its reader: the reading and the writing end.
///
/// # Errors
/// The operating system's.
pub(crate) fn pipe() -> std::io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: the array has room for the two descriptors.
    let rc = unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) };
    if rc != 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: the descriptor is open.
    unsafe { libc::fcntl(ends[0], libc::F_SETFL, libc::O_NONBLOCK) };
    Ok((owned(ends[0])?, owned(ends[1])?))
}

/// A descriptor by which another thread wakes a loop.
///
/// # Errors
/// The operating system's.
pub(crate) fn eventfd() -> std::io::Result<OwnedFd> {
    // SAFETY: eventfd has no precondition.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })
}

/// Writes one word.
pub(crate) fn write_word(descriptor: RawFd, word: u64) {
    let bytes = word.to_ne_bytes();
    // SAFETY: the eight bytes live through the call.
    let written = unsafe { libc::write(descriptor, bytes.as_ptr().cast(), bytes.len()) };
    if written != 8 {
        report::problem("a word could not be written to a pipe");
    }
}

/// Reads one word, if there is one.
pub(crate) fn read_word(descriptor: RawFd) -> Option<u64> {
    let mut bytes = [0; 8];
    // SAFETY: the array has room for the eight bytes.
    let count = unsafe { libc::read(descriptor, bytes.as_mut_ptr().cast(), bytes.len()) };
    (count == 8).then(|| u64::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_in_order_and_again() {
        let events = EventLoop::new().unwrap();
        events.after(Duration::from_millis(2), Some(Duration::from_millis(2)), LoopEvent::Flush);
        events.after(Duration::from_millis(1), None, LoopEvent::StopTick);
        // A busy machine may report several at once, but never in another order.
        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.extend(events.wait());
        }
        assert_eq!(seen[..3], [LoopEvent::StopTick, LoopEvent::Flush, LoopEvent::Flush]);
    }

    #[test]
    fn a_cancelled_timer_is_silent() {
        let events = EventLoop::new().unwrap();
        let cancelled = events.after(Duration::ZERO, None, LoopEvent::StopTick);
        events.cancel(cancelled);
        events.after(Duration::from_millis(1), None, LoopEvent::Flush);
        assert_eq!(events.wait(), [LoopEvent::Flush]);
    }

    #[test]
    fn descriptors_wake_the_loop() {
        let events = EventLoop::new().unwrap();
        let (reader, writer) = pipe().unwrap();
        let id = events.watch(reader.as_raw_fd(), LoopEvent::Command);
        write_word(writer.as_raw_fd(), 9);
        assert_eq!(events.wait(), [LoopEvent::Command]);
        assert_eq!(read_word(reader.as_raw_fd()), Some(9));
        assert_eq!(read_word(reader.as_raw_fd()), None);
        events.unwatch(reader.as_raw_fd(), id);
    }

    #[test]
    fn a_timer_can_be_made_due() {
        let events = EventLoop::new().unwrap();
        events.after(Duration::from_secs(60), None, LoopEvent::Retry(1, 2));
        events.make_due(|event| matches!(event, LoopEvent::Retry(..)));
        assert_eq!(events.wait(), [LoopEvent::Retry(1, 2)]);
    }
}
