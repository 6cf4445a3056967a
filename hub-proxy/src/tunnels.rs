//! The tasks that outlive a request: upgraded connections.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Owns the tunnels that WebSocket upgrades leave behind.
///
/// [`Listener`](crate::Listener) puts one into the extensions of every request
/// that may become a tunnel, and ends it when it drains. With an accept loop of your own, insert a clone
/// yourself and call [`stop`](Self::stop) at the end; without that, the tunnels
/// belong to the [`Proxy`](crate::Proxy) that opened them and nobody ends them
/// before their peers do.
#[derive(Clone, Debug, Default)]
pub struct Tunnels {
    tasks: TaskTracker,
    cut: CancellationToken,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    open: AtomicUsize,
    ended: AtomicUsize,
}

/// Counts one tunnel while it lives, and its end.
struct Open(Arc<Counts>);

impl Tunnels {
    /// How many tunnels are open.
    pub fn open(&self) -> usize {
        self.counts.open.load(Ordering::Relaxed)
    }

    /// How many tunnels have ended.
    pub fn ended(&self) -> usize {
        self.counts.ended.load(Ordering::Relaxed)
    }

    /// Waits at most `grace` for the tunnels to end by themselves, then closes
    /// the rest, and returns how many that were.
    pub async fn stop(self, grace: Duration) -> usize {
        self.stop_when(tokio::time::sleep(grace)).await
    }

    /// As [`stop`](Self::stop); waits until `cut` is ready.
    pub(crate) async fn stop_when(self, cut: impl Future<Output = ()>) -> usize {
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => {}
            () = cut => {}
        }
        let left = self.open();
        self.cut.cancel();
        self.tasks.wait().await;
        left
    }

    /// Runs `tunnel` until it ends or the tunnels are stopped.
    pub(crate) fn spawn(&self, tunnel: impl Future<Output = ()> + Send + 'static) {
        self.counts.open.fetch_add(1, Ordering::Relaxed);
        let open = Open(Arc::clone(&self.counts));
        let cut = self.cut.clone();
        // Boxed, or it would be in here twice, and there are thousands.
        let mut tunnel = Box::pin(tunnel);
        self.tasks.spawn(async move {
            let _open = open;
            tokio::select! {
                () = cut.cancelled() => {}
                () = &mut tunnel => {}
            }
        });
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
        self.0.ended.fetch_add(1, Ordering::Relaxed);
    }
}
