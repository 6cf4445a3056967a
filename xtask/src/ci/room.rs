//! Whether the disks have room for a test run: one that becomes full in the middle
//! fails tests that have nothing to do with it.

use std::path::Path;

use anyhow::ensure;

use crate::workspace;

/// What a build from nothing takes, and the images and packages of the preparation.
const BUILD_MIB: u64 = 12 << 10;

/// What the tests take while they run.
const TESTS_MIB: u64 = 3 << 10;

/// Tells how much is free before anything is built, and warns of too little.
pub(super) fn before_the_build() {
    let free = free_mib();
    eprintln!("{free} MiB free on the fullest disk");
    if free < BUILD_MIB && !workspace::binary("hub-server").exists() {
        eprintln!("warning: a build from nothing and its tests take about {BUILD_MIB} MiB");
    }
}

/// Tells how much is free, and refuses to go on with too little.
pub(super) fn before_the_tests() -> anyhow::Result<()> {
    let free = free_mib();
    eprintln!("{free} MiB free on the fullest disk");
    ensure!(
        free >= TESTS_MIB,
        "the tests need {TESTS_MIB} MiB on the disks of this checkout, of {} and of Docker; \
         `docker image prune --all` and removing target/ make room",
        std::env::temp_dir().display()
    );
    Ok(())
}

/// The least that is free on a disk that the tests write to.
fn free_mib() -> u64 {
    let temporary = std::env::temp_dir();
    let places = [workspace::root(), &temporary, Path::new("/var/lib/docker")];
    let free = places.iter().filter_map(|place| rustix::fs::statvfs(*place).ok());
    free.map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize) >> 20).min().unwrap_or(u64::MAX)
}
