//! The directory of one run. It goes with the run; what a killed one has left goes
//! with the next: each has hundreds of megabytes.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::workspace;

/// How the directories' names begin.
const PREFIX: &str = "image-";

/// The file in each that is locked for as long as its run is at work.
const LOCK: &str = "lock";

/// The file beside them that is locked while one is made, or others are looked at:
/// a directory that nobody has locked is then no one's.
const GATE: &str = "images.lock";

/// A directory of this run alone.
#[derive(Debug)]
pub(super) struct Scratch {
    dir: TempDir,
    // After the directory: it is ours until it is gone.
    _lock: File,
}

impl Scratch {
    /// Makes one, and removes those of runs that have ended.
    pub(super) fn new() -> io::Result<Self> {
        Self::new_in(&workspace::state_dir())
    }

    fn new_in(parent: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent)?;
        let _gate = Gate::enter(parent)?;
        for ended in others(parent)?.filter(|other| !other.is_at_work()) {
            if let Err(error) = fs::remove_dir_all(&ended.0) {
                eprintln!("  warning: cannot remove {}: {error}", workspace::shown(&ended.0));
            }
        }
        let dir = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent)?;
        let lock = File::create(dir.path().join(LOCK))?;
        hold(&lock);
        Ok(Self { dir, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Keeps other runs of this checkout from beginning, if none is at work.
    pub(super) fn alone(&self) -> io::Result<Option<Gate>> {
        let Some(parent) = self.path().parent() else { return Ok(None) };
        let gate = Gate::enter(parent)?;
        let is_shared = others(parent)?.any(|other| other.0 != self.path() && other.is_at_work());
        Ok((!is_shared).then_some(gate))
    }
}

/// As long as it is there no run makes a directory.
#[derive(Debug)]
pub(super) struct Gate(#[expect(dead_code, reason = "holds the lock")] File);

impl Gate {
    fn enter(parent: &Path) -> io::Result<Self> {
        let file = File::create(parent.join(GATE))?;
        hold(&file);
        Ok(Self(file))
    }
}

/// A run's directory, seen from outside.
struct Other(PathBuf);

impl Other {
    /// A file system that knows no locks cannot tell; then it counts as at work.
    fn is_at_work(&self) -> bool {
        match File::open(self.0.join(LOCK)) {
            Ok(lock) => lock.try_lock().is_err(),
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }
}

fn others(parent: &Path) -> io::Result<impl Iterator<Item = Other>> {
    let entries = fs::read_dir(parent)?.filter_map(Result::ok);
    Ok(entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(PREFIX))
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| Other(entry.path())))
}

/// A file system that knows no locks keeps nobody from anything.
fn hold(file: &File) {
    let _ = file.lock();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn xt_1_what_a_killed_run_left_goes_with_the_next() {
        let parent = tempfile::tempdir().unwrap();
        let directories = || {
            let mut all: Vec<_> = others(parent.path()).unwrap().map(|other| other.0).collect();
            all.sort();
            all
        };
        let make = || Scratch::new_in(parent.path()).unwrap();
        let (at_work, killed) = (make(), make());
        let left = killed.path().to_owned();
        fs::write(left.join("rootfs.tar"), "large").unwrap();
        // A killed process drops nothing, but its locks are gone.
        let Scratch { dir, _lock } = killed;
        drop((dir.keep(), _lock));
        // Ended before it had a lock.
        fs::create_dir(parent.path().join("image-early")).unwrap();
        fs::write(parent.path().join("image-notes.txt"), "not ours").unwrap();
        fs::create_dir(parent.path().join("npm")).unwrap();
        assert_eq!(directories().len(), 3);

        let next = make();
        let mut expected = [at_work.path().to_owned(), next.path().to_owned()];
        expected.sort();
        assert_eq!(directories(), expected);
        assert!(
            parent.path().join("image-notes.txt").exists() && parent.path().join("npm").exists()
        );

        assert!(next.alone().unwrap().is_none(), "another is at work");
        drop(at_work);
        assert!(next.alone().unwrap().is_some());
        drop(next);
        assert!(directories().is_empty());
    }
}
