//! Room on a file system.

use std::path::Path;

use super::Finding;

/// Less than this, and nothing can be written soon.
const PROBLEM_BYTES: u64 = 100 << 20;

/// Bytes free for those who are not root at `path`, if it can be told.
pub(super) fn free_at(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Judges how much is free for `what`, which should have `wanted` bytes.
pub(super) fn judge(what: &str, free: u64, wanted: u64) -> Finding {
    let seen = format!("{} free for {what}", size(free));
    match free {
        free if free < PROBLEM_BYTES => Finding::problem(seen, "make room there"),
        free if free < wanted => {
            Finding::warning(seen, format!("make room; {} should be free there", size(wanted)))
        }
        _ => Finding::ok(seen),
    }
}

/// A number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        bytes if bytes < 1 << 20 => format!("{} KiB", bytes >> 10),
        bytes if bytes < 1 << 30 => format!("{} MiB", bytes >> 20),
        bytes => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    #[test]
    fn little_room_is_a_warning_and_next_to_none_a_problem() {
        let outcome = |free| judge("x", free, 1 << 30).outcome;
        assert_eq!(outcome(1 << 30), Outcome::Ok);
        assert_eq!(outcome((1 << 30) - 1), Outcome::Warning);
        assert_eq!(outcome(PROBLEM_BYTES - 1), Outcome::Problem);
        assert_eq!(judge("x", 3 << 29, 0).seen, "1.5 GiB free for x");
    }

    #[test]
    fn the_room_of_a_directory_can_be_told() {
        let directory = tempfile::tempdir().unwrap();
        assert!(free_at(directory.path()).unwrap() > 0);
        assert_eq!(free_at(&directory.path().join("none")), None);
    }
}
