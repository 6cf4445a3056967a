//! Noticing that somebody has replaced the files of a pair.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path, time::Duration};

use super::{Files, TlsError, TlsKeys};

/// What tells one content of the two files from another. Symbolic links are
/// followed, so a link that leads elsewhere now counts as a change. `None` for a
/// file that cannot be looked at, which is a state as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp([Option<FileStamp>; 2]);

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
        let Some((files, read)) = &self.0.files else { return std::future::pending().await };
        // They may have changed since they were read.
        let mut loaded = read.clone();
        let mut seen = Stamp::look(files).await;
        loop {
            tokio::time::sleep(interval).await;
            let now = Stamp::look(files).await;
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
    /// What they are like now.
    pub(super) fn of(files: &Files) -> Self {
        Self([FileStamp::of(&files.cert).ok(), FileStamp::of(&files.key).ok()])
    }

    /// The same without keeping a thread of the runtime.
    async fn look(files: &Files) -> Self {
        let paths = [files.cert.clone(), files.key.clone()];
        let look = move || Self(paths.each_ref().map(|path| FileStamp::of(path).ok()));
        tokio::task::spawn_blocking(look).await.unwrap_or(Self([None, None]))
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
