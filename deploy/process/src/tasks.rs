//! Background tasks: every one has a name, an owner and an end that can be waited for.

use std::{future::Future, time::Duration};

use tokio::{runtime::Handle, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

/// The tasks of one owner. Clones share the same set.
#[derive(Clone, Debug)]
pub struct Tasks {
    owner: &'static str,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// An empty set.
    pub fn new(owner: &'static str) -> Self {
        Self { owner, tracker: TaskTracker::new(), stop: CancellationToken::new() }
    }

    /// Starts a task on the current runtime. It should watch [`Tasks::stopping`] and end soon after.
    pub fn spawn<F>(&self, name: &'static str, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tracker.spawn(task.instrument(tracing::debug_span!("task", owner = self.owner, name)))
    }

    /// Starts a task on a given runtime.
    pub fn spawn_on<F>(&self, name: &'static str, task: F, runtime: &Handle) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.tracker
            .spawn_on(task.instrument(tracing::debug_span!("task", owner = self.owner, name)), runtime)
    }

    /// A token that is cancelled when the owner stops.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Tells all tasks to end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Tells all tasks to end and waits for them; `false` when some had not ended within `limit`.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        let ended = tokio::time::timeout(limit, self.tracker.wait()).await.is_ok();
        if !ended {
            tracing::warn!(owner = self.owner, left = self.tracker.len(), "tasks did not end in time");
        }
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn draining_ends_tasks_that_watch_the_token() {
        let tasks = Tasks::new("test");
        let stopping = tasks.stopping();
        let task = tasks.spawn("waiter", async move { stopping.cancelled().await });
        assert!(tasks.drain(Duration::from_secs(5)).await);
        task.await.unwrap();
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_told_of() {
        let tasks = Tasks::new("test");
        tasks.spawn("stubborn", std::future::pending::<()>());
        assert!(!tasks.drain(Duration::from_millis(10)).await);
    }
}
