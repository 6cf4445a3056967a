//! One run at a time: two that change the same deployment would each take the
//! other's half-made containers for leftovers.

use std::{
    fs::{File, TryLockError},
    path::Path,
    time::Duration,
};

use anyhow::Context;

use crate::workspace::shown;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(200);

/// The right to change what a directory describes. It ends with this, and with
/// the process at the latest.
#[derive(Debug)]
pub(super) struct Turn(#[expect(dead_code, reason = "holds the lock")] File);

impl Turn {
    /// Waits until no other run has it.
    pub(super) async fn take(dir: &Path) -> anyhow::Result<Self> {
        let file = File::open(dir).with_context(|| format!("cannot open {}", dir.display()))?;
        let mut is_told = false;
        loop {
            match file.try_lock() {
                Err(TryLockError::WouldBlock) if is_told => {}
                Err(TryLockError::WouldBlock) => {
                    eprintln!(
                        "  another `cargo xtask deploy` is at work on {}; waiting for its end",
                        shown(dir)
                    );
                    is_told = true;
                }
                // Without an error it is ours. A file system that knows no locks
                // keeps nobody from anything.
                Ok(()) | Err(TryLockError::Error(_)) => return Ok(Self(file)),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use super::*;

    #[tokio::test]
    async fn xt_1_a_second_run_waits_for_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        let first = Turn::take(dir.path()).await.unwrap();
        let mut second = pin!(Turn::take(dir.path()));
        let elsewhere = Turn::take(other.path());
        tokio::select! {
            biased;
            taken = &mut second => panic!("{taken:?} beside {first:?}"),
            taken = elsewhere => drop(taken.unwrap()),
        }
        drop(first);
        second.await.unwrap();
    }
}
