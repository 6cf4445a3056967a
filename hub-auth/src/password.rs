//! Accounts of this hub's own, with passwords kept as argon2id hashes.

mod hash;
mod hashing;
mod lockout;
mod rules;

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use hub_names::UserName;
use tokio::time::Instant;

use self::lockout::Lockout;
pub(crate) use self::{hash::check_stored, hashing::Hashing};
pub use self::{
    hash::{UnfitPassword, Verified, hash_password, verify_password},
    rules::PasswordRules,
};
use crate::{
    Answer, AuthError, Authenticator, Claims, InvalidConfig, LoginStart, Offer, policy::fold,
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
/// there are cores, since each takes 19 MiB.
pub struct PasswordAuthenticator {
    accounts: PasswordAccounts,
    lockout: Lockout,
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
    /// Signs people in to `accounts`.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig`] if no hash can be computed on this host.
    pub fn new(accounts: PasswordAccounts) -> Result<Self, InvalidConfig> {
        // Another account's hash is the best stand-in: it costs what theirs cost.
        let hashing = Hashing::new(accounts.hashes.values().next().cloned())?;
        Ok(Self { accounts, lockout: Lockout::default(), hashing })
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
        // Counted as failed before it is looked at: tries at the same moment must
        // not all slip through.
        self.lockout
            .count(&name, Instant::now())
            .map_err(|retry_after| AuthError::TooManyTries { retry_after })?;
        let known = self.accounts.hashes.get(&name).map(|hash| hash.as_str().into());
        if self.hashing.verify(known, None, password).await? == Verified::Wrong {
            return Err(AuthError::BadCredentials);
        }
        self.lockout.forgive(&name);
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
