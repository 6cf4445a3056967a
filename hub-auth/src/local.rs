//! Accounts that people make for themselves, kept in the hub's store (3.10).
//!
//! Rules are pure and work on plain data; only [`LocalAuthenticator`] does I/O, by
//! the [`AccountStore`] it is given. This module knows no database.

mod change;
mod memory;
mod second_factor;
mod sign_up;
mod store;
mod ticket;
mod totp;
mod tries;

use std::{fmt, sync::Arc};

use async_trait::async_trait;

pub use self::{
    change::{ChangeRefused, NewHash, change_password, reset_password, set_password},
    memory::TriesInMemory,
    second_factor::{
        Asked, FactorAccepted, RecoveryCodes, SecondFactor, SecondFactorMode, second_factor_key,
    },
    sign_up::{AccountStatus, NewAccount, SetUp, SignUp, SignUpMode, SignUpRefused, SignUpRules},
    store::{AccountStore, LocalAccount, TryStore},
    ticket::{Purpose, Redeemed, Ticket, TicketProblem},
    totp::{InvalidSecret, TotpSecret},
    tries::{Tries, TryLimit, account_key, address_key},
};
use crate::{
    Answer, AuthError, Authenticator, BoxError, Claims, Clock, InvalidConfig, LoginStart, Offer,
    password::{Hashing, Verified},
};

const PROVIDER: &str = crate::policy::LOCAL;

/// Signs people in to the accounts of a store, by name and password.
///
/// Every try costs the same whether or not the account exists (A2); failed tries
/// are counted in the store, so that a restart forgives nothing (NAT-2); an old
/// hash is replaced by a new one at the first sign-in. The claims hold the
/// account's id as subject: who makes an account of the same name later is
/// somebody else.
#[derive(Clone)]
pub struct LocalAuthenticator {
    store: Arc<dyn AccountStore>,
    clock: Clock,
    limit: TryLimit,
    hashing: Hashing,
}

impl LocalAuthenticator {
    /// Signs people in to the accounts of `store`, with [`TryLimit::ACCOUNT`].
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] if no hash can be computed on this host.
    pub fn new(store: Arc<dyn AccountStore>, clock: Clock) -> Result<Self, InvalidConfig> {
        Ok(Self { store, clock, limit: TryLimit::ACCOUNT, hashing: Hashing::new(None)? })
    }

    /// With another limit of failed tries for each account.
    #[must_use]
    pub fn with_limit(self, limit: TryLimit) -> Self {
        Self { limit, ..self }
    }

    /// Replaces the old hash of a password that was right. A failure is no reason
    /// to keep somebody out; the next sign-in tries again.
    async fn rehash(&self, account: &LocalAccount, password: secrecy::SecretString) {
        if let Ok(Ok(new)) = self.hashing.hash(password).await {
            // Only if it is still the same: a change of the password wins.
            let replaced = self.store.replace_hash(&account.name, &account.hash, &new);
            drop(replaced.await);
        }
    }
}

#[async_trait]
impl Authenticator for LocalAuthenticator {
    fn provider(&self) -> &str {
        PROVIDER
    }

    fn offer(&self) -> Offer {
        Offer::Form
    }

    async fn begin(&self) -> Result<Option<LoginStart>, AuthError> {
        Ok(None)
    }

    async fn finish(&self, answer: Answer) -> Result<Claims, AuthError> {
        let Answer::Form { username, password } = answer else {
            return Err(AuthError::WrongAnswer { provider: PROVIDER.to_owned() });
        };
        let internal =
            |source: BoxError| AuthError::Internal { action: "read the account", source };
        // Normalised before anything is looked up (CVE-2021-41194). What cannot be
        // a name has no account, but costs the same.
        let bcrypt = self.store.bcrypt_cost().await.map_err(internal)?;
        let Ok(name) = sign_up::normalise(&username) else {
            self.hashing.verify(None, bcrypt, password).await?;
            return Err(AuthError::BadCredentials);
        };
        let key = account_key(&name);
        // Counted as failed before it is looked at: tries at the same moment must
        // not all slip through.
        self.store
            .count_try(&key, &self.limit, (self.clock)())
            .await
            .map_err(internal)?
            .map_err(|retry_after| AuthError::TooManyTries { retry_after })?;
        let account = self.store.account(&name).await.map_err(internal)?;
        let hash = account.as_ref().map(|account| account.hash.as_str().into());
        let verified = self.hashing.verify(hash, bcrypt, password.clone()).await?;
        let Some(account) = account.filter(|_| verified != Verified::Wrong) else {
            return Err(AuthError::BadCredentials);
        };
        self.store.forgive(&key).await.map_err(internal)?;
        // Said only to whoever knows the password.
        if let Some(reason) = account.status.refusal() {
            return Err(AuthError::NotAllowed {
                user: name.to_string(),
                reason: reason.to_owned(),
            });
        }
        if verified == Verified::RightButOld {
            self.rehash(&account, password).await;
        }
        Ok(Claims::new(PROVIDER, account.id, name.as_str()))
    }
}

impl fmt::Debug for LocalAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalAuthenticator").field("limit", &self.limit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
