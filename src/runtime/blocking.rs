//! Work that takes long enough to be in other tasks' way.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;

    #[test]
    fn heavy_work_runs_inside_and_outside_the_runtime() {
        assert_eq!(heavy(usize::MAX, || 1), 1);
        let runtime = Runtime::acquire().unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        runtime.tasks().spawn(async move { tell.send(heavy(HEAVY_BYTES, || 2)).unwrap() });
        assert_eq!(told.recv().unwrap(), 2);
    }
}
