//! Accounts with the hub itself: `hub-auth`'s rules over `hub-store`'s rows.

pub mod import;
pub(crate) mod links;
pub(crate) mod making;
pub(crate) mod passwords;
pub(crate) mod second_factor;
pub(crate) mod set_up;

use std::{
    num::NonZeroUsize,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use hub_auth::{
    Authenticator, BoxError, InvalidConfig, LocalAuthenticator, PasswordAccounts,
    PasswordAuthenticator,
    local::{AccountStatus, AccountStore, LocalAccount, Tries, TryLimit, TryStore},
};
use hub_names::UserName;
use hub_store::{LocalStatus, NewTries, Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value as Json;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::{
    clock::Clock,
    config::{Config, LocalConfig},
    live::Live,
    startup::StartupError,
};

/// What such accounts are called as a way to sign in.
pub(crate) const PROVIDER: &str = "local";

/// What accounts in the configuration are called as one.
pub(crate) const PASSWORD: &str = "password";

/// Ways to sign in whose people the hub itself knows.
pub(crate) const OWN: [&str; 3] = [PROVIDER, PASSWORD, "dummy"];

/// Why something about an account was not done, besides what its owner did wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountsError {
    /// The database did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Other passwords are being hashed, for so long that this one had no turn.
    #[error("too many passwords are being hashed")]
    Busy,
    /// The thread that computed a hash has ended early.
    #[error("a password could not be hashed")]
    Hashing(#[from] tokio::task::JoinError),
}

/// How long a password waits for the hashing of others.
pub(crate) const MOST_WAIT: Duration = Duration::from_secs(10);

/// The accounts in the store, and the threads that compute their hashes.
#[derive(Clone, Debug)]
pub(crate) struct Accounts {
    store: Store,
    /// A hash takes a core for a while and 19 MiB, so they wait for one another.
    cores: Arc<Semaphore>,
}

impl Accounts {
    pub(crate) fn new(store: Store) -> Self {
        let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self { store, cores: Arc::new(Semaphore::new(cores)) }
    }

    /// Waits until this one may compute a hash; `None` if that takes too long.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let turn = timeout(MOST_WAIT, Arc::clone(&self.cores).acquire_owned()).await;
        // Nobody closes it.
        turn.ok().and_then(Result::ok)
    }

    /// Does something that computes hashes, beside all else.
    pub(crate) async fn hashing<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AccountsError> {
        let turn = self.turn().await.ok_or(AccountsError::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            // Held here: if the request is dropped, the work goes on.
            let _turn = turn;
            work()
        });
        Ok(done.await?)
    }
}

#[async_trait]
impl AccountStore for Accounts {
    async fn account(&self, name: &UserName) -> Result<Option<LocalAccount>, BoxError> {
        Ok(self.store.local_accounts().by_name(name).await?.map(rules_of))
    }

    async fn bcrypt_cost(&self) -> Result<Option<u32>, BoxError> {
        let cost = self.store.local_accounts().bcrypt_cost().await?;
        Ok(cost.and_then(|cost| cost.parse().ok()))
    }

    async fn replace_hash(&self, name: &UserName, old: &str, new: &str) -> Result<(), BoxError> {
        self.store.local_accounts().rehash(name, old, new).await?;
        Ok(())
    }
}

#[async_trait]
impl TryStore for Accounts {
    async fn count_try(
        &self,
        key: &str,
        limit: &TryLimit,
        now: SystemTime,
    ) -> Result<Result<(), Duration>, BoxError> {
        Ok(count(&self.store, key, limit, Timestamp::try_from(now)?).await?)
    }

    async fn forgive(&self, key: &str) -> Result<(), BoxError> {
        self.store.login_tries().forget(key).await?;
        Ok(())
    }
}

/// Counts a try under `key` as failed. The inner error is how long to wait before the
/// next one is looked at.
pub(crate) async fn count(
    store: &Store,
    key: &str,
    limit: &TryLimit,
    now: Timestamp,
) -> Result<Result<(), Duration>, StoreError> {
    let window = SignedDuration::try_from(limit.window).unwrap_or(SignedDuration::MAX);
    let expires_at = now.checked_add(window).unwrap_or(Timestamp::MAX);
    let decide = |known| {
        let mut tries = tries_of(known);
        match limit.count(&mut tries, now.into()) {
            // A list of numbers is JSON whatever is in it.
            Ok(()) => {
                let tries = serde_json::to_value(&tries).unwrap_or(Json::Null);
                (Some(NewTries { tries, expires_at }), Ok(()))
            }
            Err(wait) => (None, Err(wait)),
        }
    };
    store.login_tries().count(key, now, decide).await
}

/// How long to wait before a try under `key` is looked at; `None` if it is now.
pub(crate) async fn wait(
    store: &Store,
    key: &str,
    limit: &TryLimit,
    now: Timestamp,
) -> Result<Option<Duration>, StoreError> {
    let decide = |known| (None, limit.wait(&tries_of(known), now.into()));
    store.login_tries().count(key, now, decide).await
}

/// What cannot be read counts as none: it would keep people out for good.
fn tries_of(known: Option<Json>) -> Tries {
    known.and_then(|tries| serde_json::from_value(tries).ok()).unwrap_or_default()
}

/// A row as the rules see it.
pub(crate) fn rules_of(row: hub_store::LocalAccount) -> LocalAccount {
    let status = match row.status {
        LocalStatus::Active => AccountStatus::Active,
        LocalStatus::Waiting => AccountStatus::Waiting,
        LocalStatus::Closed => AccountStatus::Closed,
    };
    LocalAccount { id: row.id, name: row.name, hash: row.hash, status }
}

/// What the store is to keep of an account that the rules have made.
pub(crate) fn status_row(status: AccountStatus) -> LocalStatus {
    match status {
        AccountStatus::Active => LocalStatus::Active,
        AccountStatus::Waiting => LocalStatus::Waiting,
        AccountStatus::Closed => LocalStatus::Closed,
    }
}

/// `others` and, if the configuration says so, the sign-in with a name and a password to
/// such accounts, or to those in the configuration. Either counts failed tries in the
/// store. What has not changed since `before` is taken from there.
pub(crate) fn with_local(
    mut others: Vec<Arc<dyn Authenticator>>,
    config: &Config,
    accounts: &Accounts,
    clock: &Arc<dyn Clock>,
    before: Option<&Live>,
) -> Result<Vec<Arc<dyn Authenticator>>, StartupError> {
    if let Some(password) = &config.auth.password {
        let tries: Arc<dyn TryStore> = Arc::new(accounts.clone());
        let authenticator = PasswordAccounts::new(password.accounts.clone())
            .and_then(PasswordAuthenticator::new)
            .map_err(|error| StartupError::Auth(error.into()))?;
        others.push(Arc::new(authenticator.counting_in(tries, of_hub(clock))));
    }
    if let Some(local) = &config.auth.local {
        let same = before
            .filter(|before| before.local.as_ref() == Some(local))
            .and_then(|before| before.authenticator(PROVIDER));
        others.push(match same {
            Some(same) => Arc::clone(same),
            None => Arc::new(
                authenticator(local, accounts, clock)
                    .map_err(|error| StartupError::Auth(error.into()))?,
            ),
        });
    }
    Ok(others)
}

fn authenticator(
    config: &LocalConfig,
    accounts: &Accounts,
    clock: &Arc<dyn Clock>,
) -> Result<LocalAuthenticator, InvalidConfig> {
    let store: Arc<dyn AccountStore> = Arc::new(accounts.clone());
    Ok(LocalAuthenticator::new(store, of_hub(clock))?.with_limit(config.account_limit))
}

/// The hub's clock as the ways of signing in read it.
fn of_hub(clock: &Arc<dyn Clock>) -> hub_auth::Clock {
    let clock = Arc::clone(clock);
    Arc::new(move || clock.now().into())
}
