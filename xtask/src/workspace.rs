//! Where things are in the checkout.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use crate::surroundings;

/// The workspace's root directory.
pub(crate) fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        // Cargo names the package it runs. What was set when xtask was built may be
        // another checkout that shares the target directory.
        let package = surroundings::variable("CARGO_MANIFEST_DIR")
            .unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").to_owned());
        Path::new(&package)
            .parent()
            .expect("the package lies in a directory of the workspace")
            .to_path_buf()
    })
}

/// A path as a person in this checkout would write it.
pub(crate) fn shown(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_path_buf));
    relative.as_deref().unwrap_or(path).display().to_string()
}

/// Files that commands keep between runs; ignored by git.
pub(crate) fn state_dir() -> PathBuf {
    root().join(".hub")
}

/// A binary of the workspace as the dev profile builds it.
pub(crate) fn binary(name: &str) -> PathBuf {
    // Next to the binary that runs now, so that a target directory given to
    // cargo is honoured.
    let here = std::env::current_exe().ok();
    let dir = here.as_deref().and_then(Path::parent).map(Path::to_path_buf);
    dir.unwrap_or_else(|| root().join("target/debug")).join(name)
}
