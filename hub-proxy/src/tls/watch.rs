//! Noticing that somebody has replaced the files of a pair, or those towards targets.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{TlsError, TlsKeys};

/// What tells one content of some files from another. Symbolic links are
/// followed, so a link that leads elsewhere now counts as a change. `None` for a
/// file that cannot be looked at, which is a state as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Vec<Option<FileStamp>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl TlsKeys {
    /// Reloads the pair and the authorities of clients when their files have changed,
    /// looking each `interval`, and calls `on_reload` with how that went. Never ends;
    /// nothing to do for a pair from memory, nor for files that hold what is in use
    /// already, since somebody else has [reloaded](Self::reload) them.
    ///
    /// Files count as changed once they have stayed the same for one interval,
    /// so that a pair half replaced is not looked at.
    ///
    /// # Cancellation
    ///
    /// Safe at any time.
    pub async fn watch(&self, interval: Duration, mut on_reload: impl FnMut(Result<(), TlsError>)) {
        let Some((files, read)) = &self.0.files else { return std::future::pending().await };
        let changed = || match self.read_again() {
            Ok(fresh) if self.shows(&fresh) => {}
            read => on_reload(read.map(|fresh| self.adopt(fresh))),
        };
        follow(&files.paths(), read.clone(), interval, changed).await;
    }
}

/// Calls `changed` whenever the files are no longer what they were when they were
/// `loaded`, and have stayed the same for one interval. Never ends.
pub(super) async fn follow(
    paths: &[PathBuf],
    mut loaded: Stamp,
    interval: Duration,
    mut changed: impl FnMut(),
) {
    // They may have changed since they were read.
    let mut seen = Stamp::look(paths).await;
    loop {
        tokio::time::sleep(interval).await;
        let now = Stamp::look(paths).await;
        let settled = now == std::mem::replace(&mut seen, now.clone());
        if settled && now != loaded {
            loaded = now;
            changed();
        }
    }
}

impl Stamp {
    /// What they are like now.
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        Self(paths.iter().map(|path| FileStamp::of(path).ok()).collect())
    }

    /// The same without keeping a thread of the runtime.
    async fn look(paths: &[PathBuf]) -> Self {
        let paths = paths.to_vec();
        tokio::task::spawn_blocking(move || Self::of(&paths)).await.unwrap_or(Self(Vec::new()))
    }
}

impl FileStamp {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self {
            device: found.dev(),
            inode: found.ino(),
            bytes: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
        })
    }
}
