//! How much users' volumes hold, and what follows (SPN-38).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hub_names::UserName;
use tokio::time::Instant;

use super::{VolumeMigration, blueprint::Blueprint, deletion, error::spawn_error, labels};
use crate::{InvalidConfig, MemoryLimit, Progress, SpawnError, engine::Engine};

/// How old the daemon's answer may be: it looks at every file for it.
const FRESH: Duration = Duration::from_secs(10 * 60);

/// Sizes from which something follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct DiskLimits {
    /// A start warns.
    pub(super) soft: Option<MemoryLimit>,
    /// Nothing starts.
    pub(super) hard: Option<MemoryLimit>,
}

/// What a user's size means for a start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Fine,
    Warn(String),
    Refuse(String),
}

/// The size of each volume, in bytes.
type Sizes = Arc<BTreeMap<String, u64>>;

/// What the daemon said last about the sizes of all volumes.
#[derive(Debug, Default)]
pub(super) struct DiskWatch(Mutex<Option<(Instant, Sizes)>>);

impl DiskLimits {
    /// Refuses limits of which the second comes first.
    ///
    /// # Errors
    ///
    /// If the soft one is more than the hard one.
    pub(super) fn check(self) -> Result<(), InvalidConfig> {
        match self.soft.zip(self.hard) {
            Some((soft, hard)) if soft > hard => Err(InvalidConfig::new(
                "disk_soft_limit",
                "is more than disk_hard_limit, so nobody is warned",
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// What follows from `bytes` in a user's volumes.
    pub(super) fn judge(self, bytes: u64) -> Verdict {
        let size = MemoryLimit::from_bytes(bytes);
        let reached = |limit: Option<MemoryLimit>| limit.filter(|limit| bytes >= limit.bytes());
        match (reached(self.hard), reached(self.soft)) {
            (Some(limit), _) => Verdict::Refuse(format!(
                "your files take {size}, and {limit} is the most; ask an administrator to make \
                 room"
            )),
            (None, Some(_)) => Verdict::Warn(match self.hard {
                Some(hard) => format!(
                    "Your files take {size}. Remove some: from {hard} on no server of yours starts."
                ),
                None => format!("Your files take {size}. Remove some."),
            }),
            (None, None) => Verdict::Fine,
        }
    }
}

impl DiskWatch {
    /// Refuses a start of `user`, or warns, as the limits say. Asks the daemon at most
    /// every ten minutes; where it cannot tell, nothing follows.
    pub(super) async fn check(
        &self,
        engine: &Engine,
        blueprint: &Blueprint,
        user: &UserName,
        progress: &Progress,
    ) -> Result<(), SpawnError> {
        let limits = blueprint.disk;
        if limits == DiskLimits::default() {
            return Ok(());
        }
        let volumes = in_use(engine, blueprint, user).await?;
        let judge = |sizes: &BTreeMap<String, u64>| {
            limits.judge(volumes.iter().filter_map(|name| sizes.get(name)).sum())
        };
        let (sizes, is_new) = self.sizes(engine).await?;
        let verdict = match judge(&sizes) {
            // Somebody who has made room is not kept waiting.
            Verdict::Refuse(_) if !is_new => judge(&*self.measure(engine).await?),
            verdict => verdict,
        };
        match verdict {
            Verdict::Fine => Ok(()),
            Verdict::Warn(text) => {
                progress.report(None, text);
                Ok(())
            }
            Verdict::Refuse(reason) => {
                Err(SpawnError::Rejected { what: "starting a server".to_owned(), reason })
            }
        }
    }

    /// What is known, and whether that was asked for this time.
    async fn sizes(&self, engine: &Engine) -> Result<(Sizes, bool), SpawnError> {
        if let Some((at, sizes)) = &*self.last()
            && at.elapsed() < FRESH
        {
            return Ok((Arc::clone(sizes), false));
        }
        Ok((self.measure(engine).await?, true))
    }

    async fn measure(&self, engine: &Engine) -> Result<Sizes, SpawnError> {
        let sizes = engine.volume_sizes().await;
        let sizes = Arc::new(sizes.map_err(|error| spawn_error("measure volumes", error))?);
        *self.last() = Some((Instant::now(), Arc::clone(&sizes)));
        Ok(sizes)
    }

    fn last(&self) -> MutexGuard<'_, Option<(Instant, Sizes)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The volumes that the user's servers have their files in. What an older spawner left
/// counts where it is adopted; where it is not, it is nothing that the user can remove.
async fn in_use(
    engine: &Engine,
    blueprint: &Blueprint,
    user: &UserName,
) -> Result<Vec<String>, SpawnError> {
    let called_so = blueprint.volume_names_with_older_of(user);
    let volumes = deletion::volumes_of(engine, blueprint, user).await?.into_iter();
    let in_use = volumes.filter(|volume| {
        blueprint.volume_migration == VolumeMigration::Adopt
            || called_so.contains_key(&volume.name)
            || labels::is_of_deployment(&volume.labels, &blueprint.deployment)
    });
    Ok(in_use.map(|volume| volume.name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spn_38_a_user_is_warned_first_and_refused_at_the_limit() {
        let limit = |text: &str| Some(text.parse().unwrap());
        let limits = DiskLimits { soft: limit("8G"), hard: limit("10G") };
        let gib = |count: u64| count << 30;
        assert_eq!(limits.judge(gib(8) - 1), Verdict::Fine);
        assert!(
            matches!(limits.judge(gib(8)), Verdict::Warn(text) if text.contains("from 10 GiB on"))
        );
        assert!(
            matches!(limits.judge(gib(10)), Verdict::Refuse(text) if text.contains("10 GiB is the most"))
        );
        let soft = DiskLimits { hard: None, ..limits };
        assert!(matches!(soft.judge(gib(100)), Verdict::Warn(_)));
        assert_eq!(DiskLimits::default().judge(u64::MAX), Verdict::Fine);
    }
}
