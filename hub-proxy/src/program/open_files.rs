//! How many connections the system lets us have.

use rustix::process::{Resource, getrlimit, setrlimit};

/// For listeners, files, the log and the runtime.
const OTHER_FILES: u64 = 64;

/// Without a limit, some number that no host reaches.
const UNLIMITED: u64 = 2_000_000;

/// Most connections to targets that are kept for later, and their share beside those of
/// clients. What does not fit all the same is let go when there are no files left.
const MOST_KEPT: usize = 4096;
const SHARE_KEPT: usize = 8;

/// How many connections to targets are kept when there is room for so many clients.
pub(super) fn kept(clients: usize) -> usize {
    MOST_KEPT.min(clients / SHARE_KEPT)
}

/// Raises the limit of open files to what is allowed (L-01), and returns how
/// many clients fit, each with a connection to its target (L-02).
pub(super) fn raise() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "cannot raise the limit of open files");
        }
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(UNLIMITED).min(UNLIMITED);
    usize::try_from(files.saturating_sub(OTHER_FILES) / 2).unwrap_or(usize::MAX).max(1)
}
