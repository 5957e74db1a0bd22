//! Periodic publisher: shows what filters count and say while no chunk passes.
//!
//! The host calls a filter only with chunks. What happens between them, a trace that is decided
//! because its time is over, would be shown with the next chunk, which may never come. So each thread
//! of the host that starts filters has one timer, which shows their numbers and lines.

use std::cell::RefCell;
use std::ffi::{c_int, c_void};
use std::sync::Arc;

use super::barrier;
use super::reporter::Reporter;
use super::symbols::TimerFunctions;
use super::thread_timer::ThreadTimer;
use crate::sync::Mutex;

/// Milliseconds between two looks.
const INTERVAL: c_int = 1000;

/// The reporter of a filter, which the timer shows too as long as the filter lives.
#[derive(Debug)]
pub(super) struct PublishedReporter {
    reporter: Reporter,
    lives: Mutex<bool>,
}

// SAFETY: all that a reporter has beside what is `Send` is a view of the host's instance, which lives until
// `end`, and of which only the log level is read.
unsafe impl Send for PublishedReporter {}
// SAFETY: as above; a reporter is used through shared references alone, whose counters and lines have locks.
unsafe impl Sync for PublishedReporter {}

impl PublishedReporter {
    fn show(&self) {
        // Held while the reporter is used: the filter's instance must not go meanwhile.
        let lives = self.lives.lock();
        if *lives {
            self.reporter.finish();
        }
    }

    fn end(&self) {
        *self.lives.lock() = false;
    }

    /// The reporter.
    pub(super) const fn reporter(&self) -> &Reporter {
        &self.reporter
    }
}

struct Publisher {
    timer: ThreadTimer,
    shown: Vec<Arc<PublishedReporter>>,
}

thread_local! {
    static PUBLISHER: RefCell<Publisher> = const {
        RefCell::new(Publisher { timer: ThreadTimer::new(), shown: Vec::new() })
    };
}

/// Has a reporter shown by this thread's timer until [`dismiss`]. A host that gives no timer shows it
/// with each chunk alone.
///
/// # Safety
/// Runs on a thread of the host that has a scheduler, or none.
pub(super) unsafe fn enlist(
    functions: &TimerFunctions,
    reporter: Reporter,
) -> Arc<PublishedReporter> {
    let shown = Arc::new(PublishedReporter { reporter, lives: Mutex::new(true) });
    let _enlisted = PUBLISHER.try_with(|publisher| {
        let Ok(mut publisher) = publisher.try_borrow_mut() else { return };
        // SAFETY: the caller vouches for the thread; the callback works on what is there when it is
        // called.
        if unsafe { publisher.timer.start(functions, INTERVAL, on_timer) } {
            publisher.shown.push(Arc::clone(&shown));
        }
    });
    shown
}

/// No timer shows this reporter from now on, on whichever thread it runs.
pub(super) fn dismiss(shown: &Arc<PublishedReporter>) {
    shown.end();
    let _dismissed = PUBLISHER.try_with(|publisher| {
        let Ok(mut publisher) = publisher.try_borrow_mut() else { return };
        let before = publisher.shown.len();
        publisher.shown.retain(|other| !Arc::ptr_eq(other, shown));
        // A timer of another thread is left alone.
        if publisher.shown.is_empty() && before > 0 {
            publisher.timer.stop();
        }
    });
}

unsafe extern "C" fn on_timer(_config: *mut c_void, _data: *mut c_void) {
    barrier::quietly(|| {
        // Nothing is borrowed while the host's functions are called.
        let all = PUBLISHER.try_with(|publisher| {
            publisher.try_borrow().map(|publisher| publisher.shown.clone()).unwrap_or_default()
        });
        all.unwrap_or_default().iter().for_each(|shown| shown.show());
    });
}
