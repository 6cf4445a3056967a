//! What is kept of a sign-in, and when the provider is asked again.

use std::{collections::BTreeMap, time::Duration};

use hub_auth::{CryptKeys, EnvironmentFields, InvalidConfig, RefreshPolicy};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::provider::in_section;
use crate::config::ConfigError;

/// What is kept of people's sign-ins, and what for.
#[derive(Clone, Debug)]
pub struct AuthStateConfig {
    /// Seal it.
    pub keys: CryptKeys,
    /// When the provider is asked again.
    pub refresh: RefreshPolicy,
    /// What servers get of it.
    pub environment: EnvironmentFields,
    /// Where it says who somebody is on the host.
    pub host_ids: HostIds,
}

/// Dotted paths of somebody's numbers on the host, where servers run as accounts of it
/// (SYS-1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostIds {
    /// The account's number.
    pub uid: Option<String>,
    /// The number of its group.
    pub gid: Option<String>,
}

/// The same as it is written.
pub(super) struct RawAuthState {
    pub(super) enabled: bool,
    pub(super) crypt_key: Option<SecretString>,
    pub(super) refresh_age_seconds: Option<u64>,
    pub(super) grace_seconds: Option<u64>,
    pub(super) refresh_pre_spawn: Option<bool>,
    pub(super) refresh_strict: bool,
    pub(super) spawn_env: BTreeMap<String, String>,
    pub(super) host_ids: HostIds,
}

impl RawAuthState {
    /// `None` if nothing is kept. Keys are looked at only if something is: an older
    /// deployment may have one of any kind.
    pub(super) fn check(self) -> Result<Option<AuthStateConfig>, ConfigError> {
        let auth = |error: InvalidConfig| in_section("auth", error);
        let environment = EnvironmentFields::new(self.spawn_env).map_err(auth)?;
        if !self.enabled {
            if !environment.is_empty() {
                return Err(ConfigError::value(
                    "auth.spawn_env_from_auth_state",
                    "needs auth.enable_auth_state = true; without it nothing is kept that could be handed over",
                ));
            }
            if self.host_ids != HostIds::default() {
                return Err(ConfigError::value(
                    "auth.host_ids_from_auth_state",
                    "needs auth.enable_auth_state = true; without it nothing is kept to look them up in",
                ));
            }
            if self.refresh_strict {
                return Err(ConfigError::value(
                    "auth.auth_refresh_strict",
                    "needs auth.enable_auth_state = true; without it no provider is asked again",
                ));
            }
            return Ok(None);
        }
        let text = self.crypt_key.as_ref().map_or("", |key| key.expose_secret());
        let keys = CryptKeys::parse(text).map_err(auth)?;
        let default = RefreshPolicy::default();
        let seconds = |given: Option<u64>, default| given.map_or(default, Duration::from_secs);
        Ok(Some(AuthStateConfig {
            keys: CryptKeys::require(keys).map_err(auth)?,
            refresh: RefreshPolicy {
                max_age: seconds(self.refresh_age_seconds, default.max_age),
                grace: seconds(self.grace_seconds, default.grace),
                before_spawn: self.refresh_pre_spawn.unwrap_or(true),
                strict: self.refresh_strict,
            },
            environment,
            host_ids: self.host_ids,
        }))
    }
}
