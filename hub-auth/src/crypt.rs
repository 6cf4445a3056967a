//! Sealing what is kept of a sign-in, in JupyterHub's format (3.9).

mod fernet;
mod keys;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use self::{fernet::Fernet, keys::parse};
use crate::{AuthState, InvalidConfig, clock::unix_seconds, random};

/// The field that ties a sealed state to its owner. JupyterHub keeps fields that it
/// does not know.
const OWNER: &str = "hub:owner";

/// The setting that errors are about.
const KEY: &str = "crypt_key";

/// How far in the future a seal may be made: clocks differ.
const SKEW: Duration = Duration::from_secs(60);

/// Keys that seal secrets for the store and for cookies: Fernet, as
/// `JUPYTERHUB_CRYPT_KEY` has them. The first seals, all open.
#[derive(Clone)]
pub struct CryptKeys {
    keys: Vec<Fernet>,
}

/// A state that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The state.
    pub state: AuthState,
    /// When it was sealed, to the second: how old the knowledge in it is.
    pub sealed_at: SystemTime,
    /// Whether it should be sealed anew: it was by an older key, or by a JupyterHub
    /// that does not tie it to its owner.
    pub is_old: bool,
}

/// Why something sealed cannot be opened. Treat the record as absent; the person
/// signs in again (CRY-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CannotOpen {
    /// None of the keys fits, or it was changed.
    #[error("none of the keys in JUPYTERHUB_CRYPT_KEY opens it; was a key removed too early?")]
    NoKeyFits,
    /// It was sealed for somebody else, and put in the wrong place.
    #[error("it was sealed for somebody else")]
    OtherOwner,
    /// It is older than is good.
    #[error("it is too old")]
    TooOld,
    /// A key fits, but what is inside is nothing of ours.
    #[error("it was sealed by one of the keys, but does not hold what it should")]
    Content,
}

impl CryptKeys {
    /// Reads keys as in `JUPYTERHUB_CRYPT_KEY`: one or more, separated by `;`. Each
    /// is 64 hexadecimal digits, 44 characters of URL-safe base64, or 32 bytes of
    /// ASCII. `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] that tells which key is wrong by its place; the
    /// key itself is not repeated.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidConfig> {
        let texts = text.split(';').map(str::trim).filter(|key| !key.is_empty());
        let keys: Result<Vec<Fernet>, InvalidConfig> = texts
            .enumerate()
            .map(|(index, text)| {
                parse(text).map(|key| Fernet::new(&key)).ok_or_else(|| {
                    InvalidConfig::setting(
                        KEY,
                        format!(
                            "key {} is not 64 hexadecimal digits, nor 44 characters of base64, nor \
                             32 bytes; make one with `openssl rand -hex 32`",
                            index + 1
                        ),
                    )
                })
            })
            .collect();
        let keys = keys?;
        Ok((!keys.is_empty()).then_some(Self { keys }))
    }

    /// New keys for a process that needs none that last.
    pub fn generate() -> Self {
        Self { keys: vec![Fernet::new(&random::bytes())] }
    }

    /// For `enable_auth_state` without keys (CRY-2).
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::Setting`] with the command that makes one.
    pub fn require(keys: Option<Self>) -> Result<Self, InvalidConfig> {
        keys.ok_or_else(|| {
            InvalidConfig::setting(
                KEY,
                "is missing, and enable_auth_state needs it; make a key with `openssl rand -hex 32`, \
                 set it as JUPYTERHUB_CRYPT_KEY, and keep it outside the database",
            )
        })
    }

    /// Marks by which keys are told apart in backups and logs, in order: 16
    /// hexadecimal digits each, from which no key can be found.
    pub fn fingerprints(&self) -> Vec<String> {
        self.keys.iter().map(Fernet::fingerprint).collect()
    }

    /// Seals a state with the first key. `owner` is what never changes about the
    /// account, such as its row's id: a record that is moved to another row does
    /// not open there (security F2).
    pub fn seal(&self, state: &AuthState, owner: &str, now: SystemTime) -> String {
        let mut fields = state.fields().clone();
        fields.insert(OWNER.to_owned(), owner.into());
        self.seal_bytes(Value::from(fields).to_string().as_bytes(), unix_seconds(now))
    }

    /// Opens what [`seal`](Self::seal), or a JupyterHub, sealed (CRY-1).
    ///
    /// # Errors
    ///
    /// [`CannotOpen`].
    pub fn open(&self, sealed: &str, owner: &str) -> Result<Opened, CannotOpen> {
        let (place, seconds, plain) = self.open_bytes(sealed)?;
        let mut fields: Map<String, Value> =
            serde_json::from_slice(&plain).map_err(|_| CannotOpen::Content)?;
        let bound = match fields.remove(OWNER) {
            Some(Value::String(told)) if told == owner => true,
            Some(_) => return Err(CannotOpen::OtherOwner),
            None => false,
        };
        Ok(Opened {
            state: AuthState::new(fields),
            sealed_at: UNIX_EPOCH + Duration::from_secs(seconds),
            is_old: place > 0 || !bound,
        })
    }

    /// Seals again with the first key what is sealed with another, or is not tied
    /// to its owner; keeps the time (`hub crypt rotate`). `None` if nothing has to
    /// be done.
    ///
    /// # Errors
    ///
    /// [`CannotOpen`].
    pub fn rotate(&self, sealed: &str, owner: &str) -> Result<Option<String>, CannotOpen> {
        let Opened { state, sealed_at, is_old } = self.open(sealed, owner)?;
        Ok(is_old.then(|| self.seal(&state, owner, sealed_at)))
    }

    /// Seals any value, for a cookie: nobody can read or change it. `purpose` says
    /// what it is, so that it does not open as something else.
    ///
    /// # Errors
    ///
    /// When the value cannot be JSON.
    pub fn seal_value<T: Serialize>(
        &self,
        purpose: &str,
        value: &T,
        now: SystemTime,
    ) -> Result<String, serde_json::Error> {
        let plain = serde_json::to_vec(&(purpose, value))?;
        Ok(self.seal_bytes(&plain, unix_seconds(now)))
    }

    /// Opens what [`seal_value`](Self::seal_value) sealed at most `max_age` ago.
    ///
    /// # Errors
    ///
    /// [`CannotOpen`].
    pub fn open_value<T: DeserializeOwned>(
        &self,
        purpose: &str,
        sealed: &str,
        max_age: Duration,
        now: SystemTime,
    ) -> Result<T, CannotOpen> {
        let (_, seconds, plain) = self.open_bytes(sealed)?;
        let now = unix_seconds(now);
        if seconds > now.saturating_add(SKEW.as_secs())
            || now.saturating_sub(seconds) >= max_age.as_secs()
        {
            return Err(CannotOpen::TooOld);
        }
        let (told, value): (String, T) =
            serde_json::from_slice(&plain).map_err(|_| CannotOpen::Content)?;
        if told != purpose {
            return Err(CannotOpen::Content);
        }
        Ok(value)
    }

    fn seal_bytes(&self, plain: &[u8], seconds: u64) -> String {
        // There is at least one key, whichever way these came to be.
        self.keys.first().map(|key| key.seal(plain, seconds, random::bytes())).unwrap_or_default()
    }

    /// Also the place of the key that fits.
    fn open_bytes(&self, sealed: &str) -> Result<(usize, u64, Vec<u8>), CannotOpen> {
        let opened = self.keys.iter().enumerate().find_map(|(place, key)| {
            key.open(sealed).map(|(seconds, plain)| (place, seconds, plain))
        });
        opened.ok_or(CannotOpen::NoKeyFits)
    }
}

impl std::fmt::Debug for CryptKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CryptKeys").field("count", &self.keys.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
