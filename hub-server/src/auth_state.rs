//! What is kept of people's sign-ins: sealed, and opened for those who need it.

pub(crate) mod refresh;
pub(crate) mod refreshes;

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use hub_auth::{AuthState, Opened};
use hub_store::{Store, StoreError, UserId};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::config::AuthStateConfig;

/// Keeps `state` as the user's, as known since `at`; `None` forgets what was kept.
pub(crate) async fn keep(
    store: &Store,
    config: &AuthStateConfig,
    user: UserId,
    state: Option<&AuthState>,
    at: Timestamp,
) -> Result<(), StoreError> {
    let states = store.auth_states();
    match state {
        Some(state) => {
            let sealed = config.keys.seal(state, &owner(user), system_time(at));
            states.set(user, &sealed, at).await
        }
        None => states.forget(user).await.map(|_| ()),
    }
}

/// What is kept of the user's sign-in. A record that does not open is as good as none:
/// the person signs in again (CRY-2). One that was sealed with an older key is sealed
/// anew.
pub(crate) async fn of(
    store: &Store,
    config: &AuthStateConfig,
    user: UserId,
) -> Result<Option<Opened>, StoreError> {
    let Some(kept) = store.auth_states().get(user).await? else { return Ok(None) };
    let owner = owner(user);
    match config.keys.open(&kept.sealed, &owner) {
        Ok(opened) => {
            if opened.is_old {
                let anew = config.keys.seal(&opened.state, &owner, opened.sealed_at);
                store.auth_states().reseal(user, &kept.sealed, &anew).await?;
            }
            Ok(Some(opened))
        }
        Err(why) => {
            tracing::warn!(user_id = user.get(), %why, "what was kept of a sign-in cannot be opened; it counts as absent");
            Ok(None)
        }
    }
}

/// The variables that a server of the user's gets from it.
pub(crate) async fn environment(
    store: &Store,
    config: &AuthStateConfig,
    user: UserId,
) -> Result<BTreeMap<String, SecretString>, StoreError> {
    if config.environment.is_empty() {
        return Ok(BTreeMap::new());
    }
    let Some(opened) = of(store, config, user).await? else { return Ok(BTreeMap::new()) };
    let (set, unset) = config.environment.environment(&opened.state);
    for field in unset {
        tracing::warn!(user_id = user.get(), "{field}");
    }
    Ok(set)
}

/// What ties a sealed state to its account.
pub(crate) fn owner(user: UserId) -> String {
    user.get().to_string()
}

/// The same moment for the library; before 1970 there was none.
fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0))
}
