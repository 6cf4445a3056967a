//! What the files of a configuration hold, to see when that changes.
//!
//! Contents are compared, not times: a mounted file, an atomic rename and a link
//! that points elsewhere look alike then.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};

/// Deepest directory that is looked into; a loop of links ends there.
const DEEPEST: usize = 8;

/// File or directory to the hash of what it holds; `None` if it cannot be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contents(BTreeMap<PathBuf, Option<[u8; 32]>>);

impl Contents {
    /// What `paths` hold now.
    pub(super) fn read(paths: &[PathBuf]) -> Self {
        let hashed = |path: &PathBuf| {
            let mut hash = Sha256::new();
            let read = add(path, &mut hash, 0);
            (path.clone(), read.ok().map(|()| hash.finalize().into()))
        };
        Self(paths.iter().map(hashed).collect())
    }

    /// The same for other `paths`: what is known is kept, as a change since then is
    /// still to be seen, and what is not known is read.
    pub(super) fn about(&self, paths: &[PathBuf]) -> Self {
        let unknown: Vec<PathBuf> =
            paths.iter().filter(|path| !self.0.contains_key(*path)).cloned().collect();
        let mut all = Self::read(&unknown).0;
        let known = self.0.iter().filter(|(path, _)| paths.contains(path));
        all.extend(known.map(|(path, hash)| (path.clone(), *hash)));
        Self(all)
    }

    /// The paths that hold something else in `other`.
    pub(super) fn differing(&self, other: &Self) -> BTreeSet<PathBuf> {
        let paths = self.0.keys().chain(other.0.keys());
        paths.filter(|path| self.0.get(*path) != other.0.get(*path)).cloned().collect()
    }
}

fn add(path: &Path, hash: &mut Sha256, depth: usize) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        hash.update(fs::read(path)?);
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    entries.sort();
    for entry in entries.iter().filter(|_| depth < DEEPEST) {
        hash.update(entry.as_os_str().as_encoded_bytes());
        // A file that is gone since is a change that the next look sees.
        let _ = add(entry, hash, depth + 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_content_is_seen_however_it_came() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("pages")).unwrap();
        fs::write(path("list"), "ada\n").unwrap();
        let paths = [path("list"), path("pages"), path("absent")];
        let before = Contents::read(&paths);
        assert_eq!(before, Contents::read(&paths));

        fs::write(path("new"), "bob\n").unwrap();
        fs::rename(path("new"), path("list")).unwrap();
        fs::write(path("pages/login.html"), "x").unwrap();
        fs::write(path("absent"), "").unwrap();
        let after = Contents::read(&paths);
        assert_eq!(before.differing(&after), paths.iter().cloned().collect());
    }
}
