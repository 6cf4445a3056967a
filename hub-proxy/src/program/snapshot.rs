//! The routes in a file, so that a proxy that starts again has them.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval};

use super::{ProgramError, settings::Settings};
use crate::{
    BoxError,
    admin::{HandedTable, Registry},
    error::chain,
    private_file,
};

/// How soon a changed route is in the file.
const PACE: Duration = Duration::from_secs(1);

/// Times of use are written only at each so many-th of these moments.
const USES_EVERY: u32 = 5;

/// Whose turn it is to write, and what this process wrote last. What is written is read in
/// one's turn, so that a writer who was slow, and whom nobody waits for any more, does not
/// put back what was before.
static LAST: Mutex<Option<Written>> = Mutex::new(None);

/// A file that was written, told from any other that takes its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Written {
    device: u64,
    inode: u64,
    changed: (i64, i64),
}

impl Written {
    fn at(path: &Path) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        let changed = (file.ctime(), file.ctime_nsec());
        Ok(Self { device: file.dev(), inode: file.ino(), changed })
    }
}

/// Where the routes are kept: `--storage-backend snapshot:PATH`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot(PathBuf);

/// A file that holds no routes.
#[derive(Debug, thiserror::Error)]
#[error("--storage-backend: {}: cannot be used; correct it, or move it away to start without routes", path.display())]
pub(super) struct BadSnapshot {
    path: PathBuf,
    #[source]
    source: BoxError,
}

impl Snapshot {
    pub(super) fn at(path: &str) -> Self {
        Self(path.into())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// What was written last; nothing if nothing ever was.
    pub(super) fn read(&self) -> Result<Option<HandedTable>, BadSnapshot> {
        let bad = |source: BoxError| BadSnapshot { path: self.0.clone(), source };
        match fs::read(&self.0) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|error| bad(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(bad(error.into())),
        }
    }

    /// Becomes what was read.
    pub(super) fn restore(&self, table: HandedTable, into: &Registry) -> Result<(), BadSnapshot> {
        let routes = table.routes.len();
        into.take_over(table)
            .map_err(|error| BadSnapshot { path: self.0.clone(), source: error.into() })?;
        tracing::info!("{routes} routes read from {}", self.0.display());
        Ok(())
    }

    /// Writes what there is now.
    pub(super) fn write(&self, registry: &Registry) -> io::Result<()> {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(self.put(registry)?);
        Ok(())
    }

    /// As [`write`](Self::write), unless another process has written since we did: what there
    /// is here is older, then.
    pub(super) fn write_if_ours(&self, registry: &Registry) -> io::Result<()> {
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        if *last == Written::at(&self.0).ok() {
            *last = Some(self.put(registry)?);
        }
        Ok(())
    }

    fn put(&self, registry: &Registry) -> io::Result<Written> {
        let mut table = registry.handed();
        // The command line's own route is for it to say.
        table.routes.retain(|route| route.members.is_some());
        let text = serde_json::to_string(&table)?;
        private_file::stage(&self.0, &text, 0o600)?.persist(&self.0)?;
        Written::at(&self.0)
    }

    /// Writes changes as they come, for as long as it is polled.
    pub(super) async fn keep_fresh(&self, registry: &Registry) {
        let mut ticks = interval(PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut version, mut uses) = (None, None);
        for tick in 0_u32.. {
            ticks.tick().await;
            let current = Some(registry.version());
            let used = if tick.is_multiple_of(USES_EVERY) { registry.last_use() } else { uses };
            if (current, used) == (version, uses) {
                continue;
            }
            // What could not be written is tried again at the next moment.
            if self.write_aside(registry.clone()).await {
                (version, uses) = (current, used);
            }
        }
    }

    /// Whether it was written; told if not.
    async fn write_aside(&self, registry: Registry) -> bool {
        let this = self.clone();
        let written = tokio::task::spawn_blocking(move || this.write(&registry)).await;
        let written = written.map_err(io::Error::other).flatten();
        if let Err(error) = &written {
            tracing::error!(error = %chain(error), "the routes could not be written to {}", self.0.display());
        }
        written.is_ok()
    }
}

/// Puts the routes into their file, if they have one.
pub(super) fn write_routes(
    settings: &Settings,
    how: impl Fn(&Snapshot, &Registry) -> io::Result<()>,
    registry: &Registry,
) -> Result<(), ProgramError> {
    let Some(snapshot) = &settings.snapshot else { return Ok(()) };
    how(snapshot, registry).map_err(|source| ProgramError::File {
        flag: "--storage-backend",
        path: snapshot.path().to_owned(),
        source,
    })
}

/// At the end nobody can be told otherwise.
pub(super) fn tell(written: Result<(), ProgramError>) {
    if let Err(error) = written {
        tracing::error!(error = %chain(&error), "the routes were not written");
    }
}
