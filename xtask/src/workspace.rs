//! Where things are in the checkout.

use std::path::{Path, PathBuf};

/// The workspace's root directory.
pub(crate) fn root() -> &'static Path {
    // Set when xtask is built, which `cargo xtask` does in the same checkout.
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the package lies in a directory of the workspace")
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
