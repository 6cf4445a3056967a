//! A log as it is written.

use std::{fmt, sync::Arc};

use futures_util::{FutureExt, future::BoxFuture};
use hub_names::ServerKey;
use hub_spawner::{SavedState, SpawnError, Spawner};
use tokio::sync::mpsc;

/// Pieces that may wait for a slow reader.
const PIECES: usize = 16;

/// What a server writes, until it ends. Dropping it is enough to stop reading.
pub(crate) struct Following {
    /// Reads the log; nothing once that is over.
    reading: Option<BoxFuture<'static, Result<(), SpawnError>>>,
    pieces: mpsc::Receiver<String>,
}

impl Following {
    /// From the last `lines` lines on.
    pub(super) fn of(spawner: Arc<dyn Spawner>, key: ServerKey, lines: usize) -> Self {
        let (sender, pieces) = mpsc::channel(PIECES);
        let reading =
            async move { spawner.follow_log(&key, &SavedState::default(), lines, sender).await };
        Self { reading: Some(reading.boxed()), pieces }
    }

    /// The next lines; `None` when the server has ended and all is read.
    ///
    /// # Cancellation
    ///
    /// Safe: nothing is lost.
    ///
    /// # Errors
    ///
    /// When the backend can be asked no longer; then there is no more to come.
    pub(crate) async fn next(&mut self) -> Option<Result<String, SpawnError>> {
        while let Some(reading) = &mut self.reading {
            tokio::select! {
                biased;
                Some(piece) = self.pieces.recv() => return Some(Ok(piece)),
                end = reading => {
                    self.reading = None;
                    if let Err(error) = end {
                        return Some(Err(error));
                    }
                }
            }
        }
        self.pieces.recv().await.map(Ok)
    }
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").finish_non_exhaustive()
    }
}
