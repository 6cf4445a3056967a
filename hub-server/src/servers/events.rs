//! The spawner's events: a server that dies is looked at at once (RST-8).

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::Shared;

/// How many notices may wait.
const BACKLOG: usize = 256;
/// First pause before a broken event stream is opened again; doubles up to
/// [`MAX_PAUSE`].
const MIN_PAUSE: Duration = Duration::from_millis(250);
/// Longest pause before a broken event stream is opened again.
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// Passes notices on to the workers until the hub stops; opens the stream again
/// when it breaks, and then lets everybody look, since a break loses notices.
pub(super) fn keep_watching(shared: &Arc<Shared>) {
    let (sender, mut notices) = mpsc::channel(BACKLOG);
    let workers = Arc::clone(shared);
    shared.tasks.spawn(|stop| async move {
        let pass_on = async {
            while let Some(key) = notices.recv().await {
                workers.nudge(Some(&key));
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = pass_on => {}
        }
    });
    let shared_here = Arc::clone(shared);
    shared.tasks.spawn(|stop| async move {
        let listen = async {
            let mut pause = MIN_PAUSE;
            loop {
                let opened = Instant::now();
                let ended = shared_here.spawner.watch(sender.clone()).await;
                // One that held for a while was a good one.
                if opened.elapsed() > MAX_PAUSE {
                    pause = MIN_PAUSE;
                }
                match ended {
                    Ok(()) => {}
                    Err(error) => {
                        tracing::warn!(
                            error = &error as &(dyn std::error::Error + 'static),
                            "the spawner's event stream broke; servers are polled until it is back"
                        );
                        pause = (pause * 2).min(MAX_PAUSE);
                    }
                }
                sleep(pause).await;
                shared_here.nudge(None);
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = listen => {}
        }
    });
}
