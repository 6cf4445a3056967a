//! The group of processes that the machine's containers are in. The kernel does
//! not take it away with them.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where groups are; those of the first version in one directory for each kind.
const ROOT: &str = "/sys/fs/cgroup";

/// How often it is tried: what has been killed is in its group a moment longer.
const ATTEMPTS: usize = 100;

/// Pause between two of them.
const PAUSE: Duration = Duration::from_millis(50);

/// A group, by name. Gone when dropped.
#[derive(Debug)]
pub(super) struct Cgroup(pub(super) String);

impl Drop for Cgroup {
    fn drop(&mut self) {
        let root = Path::new(ROOT);
        let places = below(root).into_iter().chain([root.to_owned()]);
        let groups: Vec<PathBuf> =
            places.map(|place| place.join(&self.0)).filter(|group| group.is_dir()).collect();
        for _ in 0..ATTEMPTS {
            if groups.iter().filter(|group| !remove(group)).count() == 0 {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        eprintln!("the control group {} could not be removed", self.0);
    }
}

/// Removes a group and all in it; whether it is gone.
fn remove(group: &Path) -> bool {
    for inner in below(group) {
        remove(&inner);
    }
    fs::remove_dir(group).is_ok() || !group.exists()
}

fn below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}
