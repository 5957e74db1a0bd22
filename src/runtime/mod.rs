//! Shared runtime: the one Tokio runtime of the process.
//!
//! The host has threads of its own, and every instance of ours needs sockets: so all instances
//! share one small runtime. It starts with its first user, stops with its last, and is the only
//! place that starts threads and tasks. Its threads are named `flb-ai-*`.
//!
//! Signals: our threads block none, because that needs a call that only `host` may make. Fluent Bit
//! installs handlers for the whole process, and those run on any thread alike.

mod blocking;
pub mod buffer_pool;
mod tasks;

use crate::sync::Mutex;
use std::mem::ManuallyDrop;
use std::sync::{Arc, Weak};
use std::time::Duration;

pub use blocking::{heavy, waiting};
pub use tasks::Tasks;

/// Threads that run tasks: receiving and sending are mostly waiting, and the host needs its cores.
const WORKERS: usize = 2;
/// Threads for work that blocks (name look-ups, large bodies) at most.
const BLOCKING: usize = 16;
/// How long the last user waits for the threads to end.
const STOP_LIMIT: Duration = Duration::from_secs(2);

static RUNNING: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// A user's share of the runtime. It runs as long as any clone lives.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Option<ManuallyDrop<tokio::runtime::Runtime>>,
    handle: tokio::runtime::Handle,
    process: u32,
}

impl Runtime {
    /// The runtime of this process, started now if it does not run. A process that was forked off
    /// after the start has none of the threads, so it gets a runtime of its own.
    ///
    /// # Errors
    /// The system refuses threads or an event queue.
    pub fn acquire() -> std::io::Result<Self> {
        let mut running = RUNNING.lock();
        let process = std::process::id();
        if let Some(shared) = running.upgrade().filter(|shared| shared.process == process) {
            return Ok(Self { shared });
        }
        let shared = Arc::new(Shared::start(process)?);
        *running = Arc::downgrade(&shared);
        Ok(Self { shared })
    }

    /// Tokio's own handle, for what has to be made inside the runtime's context (sockets, timers).
    #[must_use]
    pub fn handle(&self) -> &tokio::runtime::Handle {
        &self.shared.handle
    }

    /// Has `work`, which takes long but waits for nothing, done on a thread where no task waits behind it, as soon as
    /// one is free. What is not begun when the runtime stops is not done.
    pub fn aside(&self, work: impl FnOnce() + Send + 'static) {
        drop(self.shared.handle.spawn_blocking(work));
    }

    /// A new, empty group of tasks.
    #[must_use]
    pub fn tasks(&self) -> Tasks {
        Tasks::new(self.shared.handle.clone())
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Runtime").field("process", &self.shared.process).finish()
    }
}

impl Shared {
    fn start(process: u32) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .max_blocking_threads(BLOCKING)
            .thread_name("flb-ai-worker")
            .enable_all()
            .build()?;
        let handle = runtime.handle().clone();
        Ok(Self { runtime: Some(ManuallyDrop::new(runtime)), handle, process })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else { return };
        if self.process != std::process::id() {
            // A forked child: the threads are the parent's, and a lock that one of them held at the
            // fork would never open. So nothing of it is touched.
            return;
        }
        let runtime = ManuallyDrop::into_inner(runtime);
        if tokio::runtime::Handle::try_current().is_ok() {
            // The last user is one of our own tasks, which cannot wait for itself.
            runtime.shutdown_background();
        } else {
            runtime.shutdown_timeout(STOP_LIMIT);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn users_share_one_runtime() {
        let first = Runtime::acquire().unwrap();
        let second = Runtime::acquire().unwrap();
        assert!(Arc::ptr_eq(&first.shared, &second.shared));
    }

    #[test]
    fn tasks_run_on_threads_with_our_name() {
        let runtime = Runtime::acquire().unwrap();
        let (sender, receiver) = mpsc::channel();
        runtime.tasks().spawn(async move {
            sender.send(std::thread::current().name().map(str::to_owned)).unwrap();
        });
        let name =
            receiver.recv_timeout(test_timeout::at_most(Duration::from_secs(5))).unwrap().unwrap();
        assert!(name.starts_with("flb-ai-"), "{name}");
    }

    #[test]
    fn the_last_user_may_be_a_task() {
        let shared = Arc::new(Shared::start(std::process::id()).unwrap());
        let tasks = Tasks::new(shared.handle.clone());
        let (sender, receiver) = mpsc::channel();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        let last = Arc::clone(&shared);
        tasks.spawn(async move {
            gone.await.unwrap();
            drop(last);
            sender.send(()).unwrap();
        });
        drop(shared);
        go.send(()).unwrap();
        receiver.recv_timeout(test_timeout::at_most(Duration::from_secs(5))).unwrap();
    }

    #[test]
    fn another_process_leaves_the_threads_alone() {
        let shared = Shared::start(u32::MAX).unwrap();
        let handle = shared.handle.clone();
        drop(shared);
        let (sender, receiver) = mpsc::channel();
        drop(handle.spawn(async move { sender.send(()).unwrap() }));
        receiver.recv_timeout(test_timeout::at_most(Duration::from_secs(5))).unwrap();
    }

    #[test]
    fn a_stopped_runtime_ends_its_tasks() {
        let shared = Shared::start(std::process::id()).unwrap();
        let tasks = Tasks::new(shared.handle.clone());
        tasks.spawn(std::future::pending());
        drop(shared);
        assert!(tasks.wait(test_timeout::at_most(Duration::from_secs(5))));
        tasks.spawn(std::future::pending());
        assert!(tasks.wait(test_timeout::at_most(Duration::from_secs(5))));
    }
}
