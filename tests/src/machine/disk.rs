//! What the machine's engine keeps images, containers and volumes on.

use std::path::Path;

use super::Machine;

/// A disk. It is memory: quick, and gone with the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// How much there is room for.
    pub mebibytes: u32,
}

/// The file that takes what room there is.
const BALLAST: &str = "ballast";

impl Disk {
    /// More than a deployment needs.
    pub const LARGE: Self = Self { mebibytes: 4096 };

    /// The line of shell that makes it, at `place`.
    pub(super) fn mount(self, place: &Path) -> String {
        format!("mount -t tmpfs -o size={}m tmpfs {}", self.mebibytes, place.display())
    }
}

impl Machine {
    /// Makes the disk larger or smaller. What is on it stays.
    pub fn resize_disk(&self, disk: Disk) {
        let size = format!("remount,size={}m", disk.mebibytes);
        let done = self.inside("mount").args(["-o", &size]).arg(self.data()).status();
        assert!(done.unwrap().success());
    }

    /// Takes all room on the disk but so much.
    pub fn fill_disk(&self, left_kibibytes: u64) {
        let place = self.data();
        let ballast = place.join(BALLAST);
        let (place, ballast) = (place.display(), ballast.display());
        let line = format!(
            "free=$(df -k --output=avail {place} | tail -n 1) && \
             fallocate -l $((free - {left_kibibytes}))KiB {ballast}"
        );
        assert!(self.inside("sh").args(["-ec", &line]).status().unwrap().success());
    }

    /// Gives that room back.
    pub fn empty_disk(&self) {
        let ballast = self.data().join(BALLAST);
        assert!(self.inside("rm").arg(ballast).status().unwrap().success());
    }
}
