//! What the hub's store does for local accounts.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use async_trait::async_trait;
use hub_names::UserName;

use super::{AccountStatus, TryLimit, sign_up::normalise};
use crate::{BoxError, InvalidConfig, password, random};

/// An account as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct LocalAccount {
    /// Never changes and never comes back: 32 hexadecimal digits.
    pub id: String,
    /// The name, in lower case.
    pub name: UserName,
    /// The password's hash: argon2id in PHC format, or bcrypt of an older hub.
    pub hash: String,
    /// Whether it may be used.
    pub status: AccountStatus,
}

/// Where failed tries are kept, under keys of [`account_key`](super::account_key) and
/// [`address_key`](super::address_key), as [`Tries`](super::Tries) in JSON or
/// otherwise. Any error means that nobody is let in.
#[async_trait]
pub trait TryStore: fmt::Debug + Send + Sync + 'static {
    /// Reads the tries under `key`, counts one with [`TryLimit::count`], and stores
    /// them, all in one transaction. The inner error is how long to wait.
    ///
    /// # Errors
    ///
    /// When the store cannot be changed.
    async fn count_try(
        &self,
        key: &str,
        limit: &TryLimit,
        now: SystemTime,
    ) -> Result<Result<(), Duration>, BoxError>;

    /// Forgets the tries under `key`.
    ///
    /// # Errors
    ///
    /// When the store cannot be changed.
    async fn forgive(&self, key: &str) -> Result<(), BoxError>;
}

/// Where accounts are kept, and the failed tries to sign in to them. Any error means
/// that nobody is let in.
#[async_trait]
pub trait AccountStore: TryStore {
    /// The account of this name.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn account(&self, name: &UserName) -> Result<Option<LocalAccount>, BoxError>;

    /// The cost of the dearest bcrypt hash that any account has; `None` if none has one.
    /// As long as there are some, each try costs as much as for one of them (A2).
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    async fn bcrypt_cost(&self) -> Result<Option<u32>, BoxError> {
        Ok(None)
    }

    /// Puts `new` in place of `old`, and does nothing if the account has another
    /// hash by now.
    ///
    /// # Errors
    ///
    /// When the store cannot be changed.
    async fn replace_hash(&self, name: &UserName, old: &str, new: &str) -> Result<(), BoxError>;
}

impl LocalAccount {
    /// An account of a NativeAuthenticator (`users_info`: `username`, `password`,
    /// `is_authorized`) or a FirstUseAuthenticator (`passwords.dbm`), with a new id.
    /// Its bcrypt hash is replaced at the first sign-in.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] naming the account, if its name cannot be one, or
    /// its hash is of no known kind. The hash is not repeated.
    pub fn import(username: &str, hash: &str, is_authorized: bool) -> Result<Self, InvalidConfig> {
        let refuse = |reason: String| {
            InvalidConfig::setting(format!("accounts.{}", crate::error::excerpt(username)), reason)
        };
        let name = normalise(username).map_err(|error| refuse(error.to_string()))?;
        password::check_stored(hash).map_err(refuse)?;
        let status = if is_authorized { AccountStatus::Active } else { AccountStatus::Waiting };
        Ok(Self { id: random::hex::<16>(), name, hash: hash.to_owned(), status })
    }
}

impl fmt::Debug for LocalAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalAccount")
            .field("name", &self.name)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}
