//! Hashes on threads that may block, no more at once than there are cores.

use std::{num::NonZeroUsize, sync::Arc, thread};

use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::{UnfitPassword, Verified, hash_password, verify_password};
use crate::{AuthError, InvalidConfig};

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
    /// always wrong.
    pub(crate) async fn verify(
        &self,
        known: Option<Arc<str>>,
        password: SecretString,
    ) -> Result<Verified, AuthError> {
        let exists = known.is_some();
        let hash = known.unwrap_or_else(|| Arc::clone(&self.stand_in));
        let verified =
            self.run("compare a password", move || verify_password(&hash, &password)).await?;
        Ok(if exists { verified } else { Verified::Wrong })
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
        let permit = Arc::clone(&self.cores)
            .acquire_owned()
            .await
            .map_err(|error| internal(error.into()))?;
        let done = tokio::task::spawn_blocking(move || {
            // Held here, not in the caller: if that is dropped, the work goes on.
            let _permit = permit;
            work()
        });
        done.await.map_err(|error| internal(error.into()))
    }
}
