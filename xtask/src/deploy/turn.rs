//! One run at a time: two that change the same deployment would each take the
//! other's half-made containers for leftovers.

use std::{
    fs::{self, DirBuilder, File, TryLockError},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use sha2::{Digest, Sha256};

use crate::workspace::shown;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// The right to change what a directory describes, and the deployment of one name
/// at one engine. It ends with this, and with the process at the latest.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "holds the locks")] Vec<File>);

impl Turn {
    /// Waits until no other run has it. Two directories may describe one deployment.
    pub(super) async fn take(dir: &Path, engine: &str, name: &str) -> anyhow::Result<Self> {
        Self::take_in(dir, &mark(engine, name), name, &marks()).await
    }

    async fn take_in(dir: &Path, mark: &str, name: &str, marks: &Path) -> anyhow::Result<Self> {
        let directory =
            File::open(dir).with_context(|| format!("cannot open {}", dir.display()))?;
        let mut all = vec![locked(directory, &shown(dir)).await];
        // A machine on which no mark can be made keeps nobody from anything.
        if made(marks)
            && let Ok(file) = File::create(marks.join(mark))
        {
            all.push(locked(file, name).await);
        }
        Ok(Self(all))
    }
}

async fn locked(file: File, what: &str) -> File {
    let mut is_told = false;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if is_told => {}
            Err(TryLockError::WouldBlock) => {
                eprintln!(
                    "  another `cargo xtask deploy` is at work on {what}; waiting for its end"
                );
                is_told = true;
            }
            // Without an error it is ours. A file system that knows no locks
            // keeps nobody from anything.
            Ok(()) | Err(TryLockError::Error(_)) => return file,
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Where the runs of one person meet, from whichever checkout.
fn marks() -> PathBuf {
    let user = rustix::process::getuid().as_raw();
    std::env::temp_dir().join(format!("notebook-hub-deploy-{user}"))
}

/// Whether the directory is there and nobody else's.
fn made(marks: &Path) -> bool {
    let _ = DirBuilder::new().mode(0o700).create(marks);
    let user = rustix::process::getuid().as_raw();
    fs::symlink_metadata(marks).is_ok_and(|found| found.is_dir() && found.uid() == user)
}

/// The file for a deployment.
fn mark(engine: &str, name: &str) -> String {
    let hash = Sha256::digest(engine);
    let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{name}-{hash}")
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn xt_1_a_second_run_waits_for_the_first() {
        let marks = tempfile::tempdir().unwrap();
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let take = |dir: &tempfile::TempDir, name: &'static str| {
            let (dir, marks) = (dir.path().to_owned(), marks.path().to_owned());
            async move { Turn::take_in(&dir, &mark("unix:///e", name), name, &marks).await }
        };
        let first = take(&dir, "class").await.unwrap();
        let mut same_directory = pin!(take(&dir, "another"));
        let mut same_name = pin!(take(&other, "class"));
        let third = tempfile::tempdir().unwrap();
        let elsewhere = take(&third, "else");
        tokio::select! {
            biased;
            taken = &mut same_directory => panic!("{taken:?} beside {first:?}"),
            taken = &mut same_name => panic!("{taken:?} beside {first:?}"),
            taken = elsewhere => drop(taken.unwrap()),
        }
        drop(first);
        drop(same_directory.await.unwrap());
        same_name.await.unwrap();
    }

    #[test]
    fn xt_1_deployments_of_one_name_at_two_engines_are_two() {
        assert_ne!(mark("unix:///a", "hub"), mark("unix:///b", "hub"));
        assert_eq!(mark("unix:///a", "hub"), mark("unix:///a", "hub"));
    }
}
