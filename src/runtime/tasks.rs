//! Task groups: tasks that can be waited for and ended together.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::sync::{Condvar, Mutex};
use tokio::sync::watch;

/// The tasks of one user. Clones are the same group. It does not keep the runtime running: when the
/// runtime stops, the tasks end.
#[derive(Clone)]
pub struct Tasks {
    group: Arc<Group>,
    handle: tokio::runtime::Handle,
}

struct Group {
    live: Mutex<usize>,
    ended: Condvar,
    cancel: watch::Sender<bool>,
}

/// Counts a task from its spawn to its end, however that comes.
struct Live(Arc<Group>);

impl Tasks {
    pub(super) fn new(handle: tokio::runtime::Handle) -> Self {
        let group =
            Group { live: Mutex::new(0), ended: Condvar::new(), cancel: watch::Sender::new(false) };
        Self { group: Arc::new(group), handle }
    }

    /// Starts a task. After [`Tasks::cancel`] it ends at once.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let live = Live::new(Arc::clone(&self.group));
        let mut cancel = self.group.cancel.subscribe();
        drop(self.handle.spawn(async move {
            let _live = live;
            tokio::select! {
                biased;
                _ = cancel.wait_for(|cancelled| *cancelled) => {}
                () = future => {}
            }
        }));
    }

    /// How many tasks run.
    #[must_use]
    pub fn live(&self) -> usize {
        *self.group.live.lock()
    }

    /// Blocks the calling thread, which must not be one of the runtime's, until no task runs or
    /// `limit` has passed. Returns whether none runs.
    #[must_use]
    pub fn wait(&self, limit: Duration) -> bool {
        let live = self.group.live.lock();
        *self.group.ended.wait_while_for(live, limit, |live| *live > 0) == 0
    }

    /// Ends every task at the next point where it waits.
    pub fn cancel(&self) {
        self.group.cancel.send_replace(true);
    }
}

impl std::fmt::Debug for Tasks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Tasks").field("live", &self.live()).finish()
    }
}

/// Lets HTTP/2 run the streams of a connection as tasks of the group.
impl<F> hyper::rt::Executor<F> for Tasks
where
    F: Future + Send + 'static,
{
    fn execute(&self, future: F) {
        self.spawn(async move { drop(future.await) });
    }
}

impl Live {
    fn new(group: Arc<Group>) -> Self {
        let mut live = group.live.lock();
        *live = live.saturating_add(1);
        drop(live);
        Self(group)
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut live = self.0.live.lock();
        *live = live.saturating_sub(1);
        if *live == 0 {
            self.0.ended.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;

    const LONG: Duration = Duration::from_secs(5);

    #[test]
    fn a_group_is_waited_for() {
        let runtime = Runtime::acquire().unwrap();
        let tasks = runtime.tasks();
        let (go, gone) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn(async move { gone.await.unwrap() });
        assert_eq!(tasks.live(), 1);
        assert!(!tasks.wait(Duration::from_millis(10)));
        go.send(()).unwrap();
        assert!(tasks.wait(LONG));
    }

    #[test]
    fn cancelling_ends_tasks_now_and_later() {
        let runtime = Runtime::acquire().unwrap();
        let tasks = runtime.tasks();
        tasks.spawn(std::future::pending());
        tasks.cancel();
        assert!(tasks.wait(LONG));
        tasks.spawn(std::future::pending());
        assert!(tasks.wait(LONG));
    }

    #[test]
    fn a_panicking_task_is_over() {
        let runtime = Runtime::acquire().unwrap();
        let tasks = runtime.tasks();
        tasks.spawn(async { panic!("wanted by the test") });
        assert!(tasks.wait(LONG));
    }
}
