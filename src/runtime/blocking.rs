//! Blocking sections: work that takes long enough to be in other tasks' way.

/// From this many bytes on, work on them counts as heavy (some ten milliseconds).
const HEAVY_BYTES: usize = 8 * 1024 * 1024;

/// Runs `work` on `bytes` bytes on this thread. If there are many, the other tasks of this thread
/// move to another one first, so that a large request does not hold up the small ones.
pub fn heavy<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    let on_worker = || {
        Handle::try_current()
            .is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread)
    };
    if bytes >= HEAVY_BYTES && on_worker() { tokio::task::block_in_place(work) } else { work() }
}

/// Runs `work`, which may wait for a slow file system, on a thread where no task waits behind it. `None` if
/// the runtime stops before.
pub async fn waiting<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    #[expect(clippy::disallowed_methods, reason = "the task that waits for it is tracked")]
    tokio::task::spawn_blocking(work).await.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;

    #[test]
    fn heavy_work_runs_inside_and_outside_the_runtime() {
        assert_eq!(heavy(usize::MAX, || 1), 1);
        let runtime = Runtime::acquire().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        runtime.tasks().spawn(async move { sender.send(heavy(HEAVY_BYTES, || 2)).unwrap() });
        assert_eq!(receiver.recv().unwrap(), 2);
    }

    #[test]
    fn work_that_waits_is_on_a_thread_of_its_own() {
        let runtime = Runtime::acquire().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        runtime.tasks().spawn(async move {
            let here = std::thread::current().id();
            let there = waiting(|| std::thread::current().id()).await.unwrap();
            tell.send(here != there).unwrap();
        });
        assert!(told.recv().unwrap());
    }
}
