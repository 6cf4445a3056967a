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
    /// looking each `interval`, and calls `on_reload` with how that went; likewise each of
    /// the pairs that are [shown by name](Self::show_by_name) by now. Never ends;
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
        self.watch_each(interval, |_, reloaded| on_reload(reloaded)).await;
    }

    /// As [`watch`](Self::watch), and says whose files changed.
    pub(super) async fn watch_each(
        &self,
        interval: Duration,
        mut on_reload: impl FnMut(&Self, Result<(), TlsError>),
    ) {
        let others = self.others();
        let mut watched = Vec::new();
        for keys in std::iter::once(self).chain(&*others) {
            if let Some((files, read)) = &keys.0.files {
                watched.push((keys, Followed::new(files.paths(), read.clone()).await));
            }
        }
        loop {
            tokio::time::sleep(interval).await;
            for (keys, files) in &mut watched {
                if !files.have_changed().await {
                    continue;
                }
                match keys.read_own() {
                    Ok(fresh) if keys.shows(fresh.as_ref()) => {}
                    read => on_reload(keys, read.map(|fresh| keys.adopt_own(fresh))),
                }
            }
        }
    }
}

/// Files that may be replaced.
struct Followed {
    paths: Vec<PathBuf>,
    loaded: Stamp,
    seen: Stamp,
}

impl Followed {
    /// What they were like when they were `loaded`; they may have changed since.
    async fn new(paths: Vec<PathBuf>, loaded: Stamp) -> Self {
        let seen = Stamp::look(&paths).await;
        Self { paths, loaded, seen }
    }

    /// Whether they are no longer what they were the last time that this was so, and have
    /// stayed the same since they were looked at last.
    async fn have_changed(&mut self) -> bool {
        let now = Stamp::look(&self.paths).await;
        let has_settled = now == std::mem::replace(&mut self.seen, now.clone());
        let has_changed = has_settled && now != self.loaded;
        if has_changed {
            self.loaded = now;
        }
        has_changed
    }
}

/// Calls `changed` whenever the files are no longer what they were when they were
/// `loaded`, and have stayed the same for one interval. Never ends.
pub(super) async fn follow(
    paths: &[PathBuf],
    loaded: Stamp,
    interval: Duration,
    mut changed: impl FnMut(),
) {
    let mut files = Followed::new(paths.to_vec(), loaded).await;
    loop {
        tokio::time::sleep(interval).await;
        if files.have_changed().await {
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
