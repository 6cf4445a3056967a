//! Finding programs, also those outside a user's PATH.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::surroundings;

/// Where administrators' programs are; not in every user's PATH.
const SYSTEM_DIRS: [&str; 5] = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Debian keeps each PostgreSQL version's programs in a directory of its own.
const POSTGRES_ROOT: &str = "/usr/lib/postgresql";

/// The path of the program called `name`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = surroundings::variable("PATH").unwrap_or_default();
    let dirs = path
        .split(':')
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
        .chain(SYSTEM_DIRS.map(PathBuf::from))
        .chain(postgres_dirs());
    dirs.map(|dir| dir.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// Newest version first.
fn postgres_dirs() -> Vec<PathBuf> {
    let versions = fs::read_dir(POSTGRES_ROOT).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, dir)| dir).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_every_system_is_found_and_an_invented_one_is_not() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
