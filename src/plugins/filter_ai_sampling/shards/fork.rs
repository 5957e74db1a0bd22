//! Work in parts, each of which is done by the next thread that is free.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::runtime::Runtime;
use crate::sync::{Condvar, Mutex};

/// Parts of some work, which are done once each.
pub(super) struct Fork {
    work: Box<dyn Fn(usize) + Send + Sync>,
    parts: usize,
    next: AtomicUsize,
    left: Mutex<Left>,
    ended: Condvar,
}

/// What is not done yet.
struct Left {
    parts: usize,
    has_panicked: bool,
}

/// A part is over at its end, also at one by a panic.
struct Part<'f>(&'f Fork);

impl Fork {
    /// So many parts, none of which is begun.
    pub(super) fn new(parts: usize, work: impl Fn(usize) + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            work: Box::new(work),
            parts,
            next: AtomicUsize::new(0),
            left: Mutex::new(Left { parts, has_panicked: false }),
            ended: Condvar::new(),
        })
    }

    /// Has so many of our threads begin as soon as they are free.
    pub(super) fn spawn(self: &Arc<Self>, threads: usize, runtime: &Runtime) {
        for _ in 0..threads.min(self.parts) {
            let ours = Arc::clone(self);
            runtime.aside(move || ours.help());
        }
    }

    /// Does parts that no other thread has begun, until there are none.
    fn help(&self) {
        loop {
            let part = self.next.fetch_add(1, Ordering::Relaxed);
            if part >= self.parts {
                return;
            }
            let _part = Part(self);
            (self.work)(part);
        }
    }

    /// Does what no other thread has begun, and waits for the rest. A panic of another thread goes on here.
    pub(super) fn join(&self) {
        self.help();
        let mut left = self.left.lock();
        while left.parts > 0 {
            left = self.ended.wait_while_for(left, Duration::from_secs(1), |left| left.parts > 0);
        }
        drop(left);
        self.go_on_with_panics();
    }

    /// Whether all is done.
    pub(super) fn is_over(&self) -> bool {
        self.left.lock().parts == 0
    }

    /// Panics here if a part did, so that the border to the host sees it.
    pub(super) fn go_on_with_panics(&self) {
        if self.left.lock().has_panicked {
            std::panic::resume_unwind(Box::new("a shard's thread panicked"));
        }
    }
}

impl Drop for Part<'_> {
    fn drop(&mut self) {
        let mut left = self.0.left.lock();
        left.has_panicked |= std::thread::panicking();
        left.parts = left.parts.saturating_sub(1);
        if left.parts == 0 {
            self.0.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guarantees: each part is done once, whether other threads help or not.
    #[test]
    fn each_part_is_done_once() {
        let runtime = Runtime::acquire().unwrap();
        for threads in [0, 1, 4] {
            let done: Arc<Vec<AtomicUsize>> =
                Arc::new((0..100).map(|_| AtomicUsize::new(0)).collect());
            let ours = Arc::clone(&done);
            let fork = Fork::new(100, move |part| {
                ours[part].fetch_add(1, Ordering::Relaxed);
            });
            fork.spawn(threads, &runtime);
            fork.join();
            assert!(fork.is_over());
            assert!(done.iter().all(|times| times.load(Ordering::Relaxed) == 1), "{threads}");
        }
    }

    /// Guarantees: a panic on another thread is one of who waits, after all other parts.
    #[test]
    fn a_panic_of_another_thread_goes_on_here() {
        let runtime = Runtime::acquire().unwrap();
        let here = std::thread::current().id();
        let fork = Fork::new(50, move |_| {
            assert!(std::thread::current().id() == here, "wanted by the test");
            std::thread::sleep(Duration::from_millis(5));
        });
        fork.spawn(1, &runtime);
        let waiting = Arc::clone(&fork);
        #[expect(clippy::disallowed_methods, reason = "a test looks at the panic")]
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || waiting.join()));
        assert!(caught.is_err() && fork.is_over());
    }
}
