//! The task that reloads: on request, and when files have changed.

use std::time::Duration;

use tokio::{
    sync::{mpsc, oneshot},
    time::{MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;

use super::{Reloader, Report, files::Contents};

/// How often the files are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// How to ask for a reload. Clones ask the same hub.
#[derive(Clone, Debug)]
pub struct ReloadHandle(mpsc::Sender<Option<oneshot::Sender<Report>>>);

/// What was asked for.
#[derive(Debug)]
pub(crate) struct Requests(mpsc::Receiver<Option<oneshot::Sender<Report>>>);

/// Both ends.
pub(crate) fn channel() -> (ReloadHandle, Requests) {
    let (sender, receiver) = mpsc::channel(4);
    (ReloadHandle(sender), Requests(receiver))
}

impl ReloadHandle {
    /// Asks for a reload; what came of it is in the log. If several are waiting
    /// already, they will do.
    pub fn ask(&self) {
        // Full: one that is waiting will see the same files. Closed: the hub stops.
        let _ = self.0.try_send(None);
    }

    /// Reloads and tells what came of it; `None` if this hub cannot, or is stopping.
    pub async fn reload(&self) -> Option<Report> {
        let (reply, report) = oneshot::channel();
        self.0.send(Some(reply)).await.ok()?;
        report.await.ok()
    }
}

/// Serves requests and looks at the files, until `stop`.
pub(super) async fn run(mut reloader: Reloader, mut requests: Requests, stop: CancellationToken) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What the files held when they were last read, with whatever success.
    let mut read = contents(&reloader).await;
    let mut seen = read.clone();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            request = requests.0.recv() => {
                let Some(reply) = request else { return };
                let now = contents(&reloader).await;
                let report = reloader.reload(&read, &now).await;
                if let Some(reply) = reply {
                    // Whoever asked may have gone away.
                    let _ = reply.send(report);
                }
                read = now.about(&reloader.running.files);
                seen = read.clone();
            }
            _ = ticks.tick() => {
                let now = contents(&reloader).await;
                // Twice the same: whoever writes the file has finished.
                if now != read && now == seen {
                    if !reloader.is_about_certificate(&read.differing(&now)) {
                        tracing::info!("files of the configuration have changed");
                        reloader.reload(&read, &now).await;
                    }
                    read = now.about(&reloader.running.files);
                    seen = read.clone();
                } else {
                    seen = now;
                }
            }
        }
    }
}

async fn contents(reloader: &Reloader) -> Contents {
    let files = reloader.running.files.clone();
    tokio::task::spawn_blocking(move || Contents::read(&files)).await.unwrap_or_default()
}
