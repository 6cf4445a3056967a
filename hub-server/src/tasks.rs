//! The only way to start background work in the hub, and to see it end.

use std::{future::Future, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Background tasks of the hub. Clones share the same tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
}

impl Tasks {
    /// Runs `task` until it returns; it is handed a token that is cancelled
    /// when the hub begins to stop.
    pub(crate) fn spawn<F, Fut>(&self, task: F)
    where
        F: FnOnce(CancellationToken) -> Fut,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task(self.stopping.child_token()));
    }

    /// Asks every task to finish and waits at most `grace`.
    ///
    /// Returns how many were still running when the time was up.
    pub(crate) async fn stop(self, grace: Duration) -> usize {
        self.stopping.cancel();
        self.tracker.close();
        // Running out of time is not an error here: the count below tells it.
        let _ = tokio::time::timeout(grace, self.tracker.wait()).await;
        self.tracker.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stopping_cancels_and_waits() {
        let tasks = Tasks::default();
        tasks.spawn(|stop| async move { stop.cancelled().await });
        assert_eq!(tasks.stop(Duration::from_secs(30)).await, 0);
    }

    #[tokio::test]
    async fn a_task_that_does_not_listen_is_counted() {
        let tasks = Tasks::default();
        tasks.spawn(|_| std::future::pending());
        assert_eq!(tasks.stop(Duration::from_millis(1)).await, 1);
    }
}
