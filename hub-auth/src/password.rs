//! Accounts of this hub's own, with passwords kept as argon2id hashes.

mod hash;
mod hashing;
mod rules;

use std::{collections::BTreeMap, fmt, sync::Arc};

use async_trait::async_trait;
use hub_names::UserName;

pub(crate) use self::{hash::check_stored, hashing::Hashing};
pub use self::{
    hash::{UnfitPassword, Verified, hash_password, verify_password},
    rules::PasswordRules,
};
use crate::{
    Answer, AuthError, Authenticator, BoxError, Claims, Clock, InvalidConfig, LoginStart, Offer,
    local::{TriesInMemory, TryLimit, TryStore, account_key},
    policy::fold,
    system_clock,
};

const PROVIDER: &str = "password";

/// Accounts by name, each with the hash of its password.
#[derive(Clone, Default)]
pub struct PasswordAccounts {
    hashes: BTreeMap<UserName, String>,
}

/// Signs people in by name and password.
///
/// Every try costs the same whether or not the account exists (A2), a name that
/// failed often has to wait (A1), and no more hashes are computed at once than
/// there are cores, since each takes 19 MiB. Failed tries are counted in memory, or
/// where [`counting_in`](Self::counting_in) says.
pub struct PasswordAuthenticator {
    accounts: PasswordAccounts,
    tries: Arc<dyn TryStore>,
    clock: Clock,
    hashing: Hashing,
}

impl PasswordAccounts {
    /// Accounts as configured: name to a hash that [`hash_password`] made.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] naming the account, if its hash is not argon2id
    /// in PHC format or if two names differ only in case.
    pub fn new(accounts: BTreeMap<UserName, String>) -> Result<Self, InvalidConfig> {
        let mut hashes = BTreeMap::new();
        for (name, text) in accounts {
            let refuse =
                |reason: String| InvalidConfig::setting(format!("accounts.{name}"), reason);
            hash::check(&text).map_err(refuse)?;
            let lower = fold(name.as_str())
                .parse()
                .map_err(|error| refuse(format!("cannot be written in lower case: {error}")))?;
            if hashes.insert(lower, text).is_some() {
                return Err(refuse("is there twice; upper and lower case are the same".to_owned()));
            }
        }
        Ok(Self { hashes })
    }

    /// The names of the accounts, in lower case.
    pub fn names(&self) -> impl Iterator<Item = &UserName> {
        self.hashes.keys()
    }
}

impl PasswordAuthenticator {
    /// Signs people in to `accounts`, with [`TryLimit::ACCOUNT`].
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] if no hash can be computed on this host.
    pub fn new(accounts: PasswordAccounts) -> Result<Self, InvalidConfig> {
        // Another account's hash is the best stand-in: it costs what theirs cost.
        let hashing = Hashing::new(accounts.hashes.values().next().cloned())?;
        let tries = Arc::new(TriesInMemory::default());
        Ok(Self { accounts, tries, clock: system_clock(), hashing })
    }

    /// The same with failed tries in `tries`, so that a restart forgives none if they are
    /// kept there (NAT-2), by another clock.
    #[must_use]
    pub fn counting_in(self, tries: Arc<dyn TryStore>, clock: Clock) -> Self {
        Self { tries, clock, ..self }
    }
}

#[async_trait]
impl Authenticator for PasswordAuthenticator {
    fn provider(&self) -> &str {
        PROVIDER
    }

    fn offer(&self) -> Offer {
        Offer::Form
    }

    fn owns(&self, account: &UserName) -> bool {
        self.accounts.hashes.contains_key(account)
    }

    async fn begin(&self) -> Result<Option<LoginStart>, AuthError> {
        Ok(None)
    }

    async fn finish(&self, answer: Answer) -> Result<Claims, AuthError> {
        let Answer::Form { username, password } = answer else {
            return Err(AuthError::WrongAnswer { provider: PROVIDER.to_owned() });
        };
        // Normalised before anything is looked up (CVE-2021-41194). What cannot be
        // a name has no account, but costs the same.
        let Ok(name) = fold(&username).parse::<UserName>() else {
            self.hashing.verify(None, None, password).await?;
            return Err(AuthError::BadCredentials);
        };
        let key = account_key(&name);
        let internal =
            |source: BoxError| AuthError::Internal { action: "count the try to sign in", source };
        // Counted as failed before it is looked at: tries at the same moment must
        // not all slip through.
        self.tries
            .count_try(&key, &TryLimit::ACCOUNT, (self.clock)())
            .await
            .map_err(internal)?
            .map_err(|retry_after| AuthError::TooManyTries { retry_after })?;
        let known = self.accounts.hashes.get(&name).map(|hash| hash.as_str().into());
        if self.hashing.verify(known, None, password).await? == Verified::Wrong {
            return Err(AuthError::BadCredentials);
        }
        self.tries.forgive(&key).await.map_err(internal)?;
        Ok(Claims::new(PROVIDER, name.as_str(), name.as_str()))
    }
}

impl fmt::Debug for PasswordAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.hashes.keys()).finish()
    }
}

impl fmt::Debug for PasswordAuthenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordAuthenticator")
            .field("accounts", &self.accounts)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
