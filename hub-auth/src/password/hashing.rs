//! Hashes on threads that may block, no more at once than there are cores.

use std::{num::NonZeroUsize, sync::Arc, thread, time::Duration};

use secrecy::SecretString;
use tokio::{sync::Semaphore, time::timeout};

use super::{
    UnfitPassword, Verified,
    hash::{bcrypt_cost, bcrypt_of_nobody},
    hash_password, verify_password,
};
use crate::{AuthError, InvalidConfig};

/// How long a password waits for its turn: whoever sends many must not have others wait
/// for minutes (security A1).
const MOST_WAIT: Duration = Duration::from_secs(10);

/// Compares passwords, each at the same cost whether or not there is an account
/// (A2). Each takes 19 MiB, so they wait for one another.
#[derive(Clone, Debug)]
pub(crate) struct Hashing {
    /// What a password is compared with when there is no account.
    stand_in: Arc<str>,
    cores: Arc<Semaphore>,
}

impl Hashing {
    /// With this stand-in, or a new one.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] if no hash can be computed on this host.
    pub(crate) fn new(stand_in: Option<String>) -> Result<Self, InvalidConfig> {
        let stand_in = match stand_in {
            Some(hash) => hash,
            None => hash_password(&crate::random_code().into())
                .map_err(|error| InvalidConfig::setting("accounts", error.to_string()))?,
        };
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Ok(Self { stand_in: stand_in.into(), cores: Arc::new(Semaphore::new(cores)) })
    }

    /// Compares with the hash of an account; `None` stands for no account, and is
    /// always wrong. `bcrypt`: what the dearest hash of that kind costs, as long as any
    /// account has one. Then every try is compared with one hash of each kind.
    pub(crate) async fn verify(
        &self,
        known: Option<Arc<str>>,
        bcrypt: Option<u32>,
        password: SecretString,
    ) -> Result<Verified, AuthError> {
        let exists = known.is_some();
        let hashes = self.compared(known, bcrypt);
        let verified = self
            .run("compare a password", move || {
                // All of them, whatever the first one says.
                let each: Vec<Verified> =
                    hashes.iter().map(|hash| verify_password(hash, &password)).collect();
                each.first().copied().unwrap_or(Verified::Wrong)
            })
            .await?;
        Ok(if exists { verified } else { Verified::Wrong })
    }

    /// The hashes that a password is compared with: that of the account or its stand-in,
    /// and a stand-in of the other kind where there are two.
    fn compared(&self, known: Option<Arc<str>>, bcrypt: Option<u32>) -> Vec<Arc<str>> {
        let hash = known.unwrap_or_else(|| Arc::clone(&self.stand_in));
        let other = match (bcrypt, bcrypt_cost(&hash)) {
            (None, _) => None,
            (Some(_), Some(_)) => Some(Arc::clone(&self.stand_in)),
            (Some(cost), None) => Some(bcrypt_of_nobody(cost).into()),
        };
        [Some(hash), other].into_iter().flatten().collect()
    }

    /// A new hash.
    pub(crate) async fn hash(
        &self,
        password: SecretString,
    ) -> Result<Result<String, UnfitPassword>, AuthError> {
        self.run("hash a password", move || hash_password(&password)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AuthError> {
        let internal = |source| AuthError::Internal { action, source };
        let permit = timeout(MOST_WAIT, Arc::clone(&self.cores).acquire_owned())
            .await
            .map_err(|_| AuthError::Busy { retry_after: MOST_WAIT })?
            .map_err(|error| internal(error.into()))?;
        let done = tokio::task::spawn_blocking(move || {
            // Held here, not in the caller: if that is dropped, the work goes on.
            let _permit = permit;
            work()
        });
        done.await.map_err(|error| internal(error.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a2_as_long_as_there_are_old_hashes_every_try_is_compared_with_both_kinds() {
        let hashing = Hashing::new(None).unwrap();
        let argon2: Arc<str> = hash_password(&"correct horse".into()).unwrap().into();
        let old: Arc<str> = bcrypt::hash("correct horse", 4).unwrap().into();
        let costs = |known: Option<&Arc<str>>, bcrypt| {
            let hashes = hashing.compared(known.cloned(), bcrypt);
            let mut costs: Vec<_> = hashes.iter().map(|hash| bcrypt_cost(hash)).collect();
            costs.sort_unstable();
            costs
        };
        for known in [None, Some(&argon2), Some(&old)] {
            assert_eq!(costs(known, Some(4)), [None, Some(4)], "{known:?}");
        }
        assert_eq!(costs(None, None), [None]);
        assert_eq!(costs(Some(&argon2), None), [None]);
        assert_eq!(&*hashing.compared(Some(Arc::clone(&old)), Some(4))[0], &*old);
    }

    #[tokio::test(start_paused = true)]
    async fn a1_a_password_that_has_no_turn_is_told_so() {
        let hashing = Hashing::new(None).unwrap();
        let cores = u32::try_from(hashing.cores.available_permits()).unwrap();
        let others = hashing.cores.acquire_many(cores).await.unwrap();
        let refused = hashing.hash("correct horse".into()).await;
        assert!(matches!(refused, Err(AuthError::Busy { .. })), "{refused:?}");
        drop(others);
        assert!(hashing.hash("correct horse".into()).await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a2_the_hash_of_nobody_costs_what_one_costs_and_lets_nobody_in() {
        let nobody = bcrypt_of_nobody(4);
        assert_eq!(bcrypt::verify("any", &nobody).ok(), Some(false), "{nobody}");
        assert_eq!(bcrypt_cost(&bcrypt_of_nobody(12)), Some(12));
        let hashing = Hashing::new(None).unwrap();
        let old: Arc<str> = bcrypt::hash("correct horse", 4).unwrap().into();
        let verify = async |known: Option<&Arc<str>>, password: &str| {
            hashing.verify(known.cloned(), Some(4), password.into()).await.unwrap()
        };
        assert_eq!(verify(Some(&old), "correct horse").await, Verified::RightButOld);
        assert_eq!(verify(Some(&old), "wrong horse").await, Verified::Wrong);
        assert_eq!(verify(None, "correct horse").await, Verified::Wrong);
    }
}
