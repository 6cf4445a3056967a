//! Noticing that somebody has replaced the files of a pair.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{Files, TlsError, TlsKeys};

/// What tells one content of the two files from another. Symbolic links are
/// followed, so a link that leads elsewhere now counts as a change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp([Option<FileStamp>; 2]);

#[derive(Clone, Debug, PartialEq, Eq)]
struct FileStamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl TlsKeys {
    /// Reloads the pair when its files have changed, looking each `interval`,
    /// and calls `on_reload` with how that went. Never ends; nothing to do for
    /// a pair from memory, nor for files that hold what is in use already, since
    /// somebody else has [reloaded](Self::reload) them.
    ///
    /// Files count as changed once they have stayed the same for one interval,
    /// so that a pair half replaced is not looked at.
    ///
    /// # Cancellation
    ///
    /// Safe at any time.
    pub async fn watch(&self, interval: Duration, mut on_reload: impl FnMut(Result<(), TlsError>)) {
        let Some(files) = &self.0.files else { return std::future::pending().await };
        let mut loaded = Stamp::of(files).await;
        let mut seen = loaded.clone();
        loop {
            tokio::time::sleep(interval).await;
            let now = Stamp::of(files).await;
            let settled = now == std::mem::replace(&mut seen, now.clone());
            if settled && now != loaded {
                loaded = now;
                match self.read_again() {
                    Ok(fresh) if self.shows(&fresh) => {}
                    read => on_reload(read.map(|fresh| self.adopt(fresh))),
                }
            }
        }
    }
}

impl Stamp {
    async fn of(files: &Files) -> Self {
        Self([FileStamp::of(&files.cert).await, FileStamp::of(&files.key).await])
    }
}

impl FileStamp {
    /// `None` for a file that cannot be looked at, which is a state as well.
    async fn of(path: &Path) -> Option<Self> {
        let path: PathBuf = path.to_owned();
        let look = move || -> io::Result<Self> {
            let found = fs::metadata(path)?;
            Ok(Self {
                device: found.dev(),
                inode: found.ino(),
                bytes: found.len(),
                modified: (found.mtime(), found.mtime_nsec()),
            })
        };
        tokio::task::spawn_blocking(look).await.ok()?.ok()
    }
}
