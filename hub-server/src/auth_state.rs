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
use serde_json::Value;

use crate::config::{AuthStateConfig, HostIds};

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
    Ok(kept(store, config, user).await?.map(|kept| kept.opened))
}

/// The same for somebody who will put something else in its place.
pub(crate) async fn kept(
    store: &Store,
    config: &AuthStateConfig,
    user: UserId,
) -> Result<Option<Kept>, StoreError> {
    let owner = owner(user);
    loop {
        let Some(record) = store.auth_states().get(user).await? else { return Ok(None) };
        let mut sealed = record.sealed;
        let opened = match config.keys.open(&sealed, &owner) {
            Ok(opened) => opened,
            Err(why) => {
                tracing::warn!(user_id = user.get(), %why, "what was kept of a sign-in cannot be opened; it counts as absent");
                return Ok(None);
            }
        };
        if opened.is_old {
            let anew = config.keys.seal(&opened.state, &owner, opened.sealed_at);
            if !store.auth_states().reseal(user, &sealed, &anew).await? {
                // Somebody else has put something in its place.
                continue;
            }
            sealed = anew;
        }
        return Ok(Some(Kept { opened, user, sealed }));
    }
}

/// What is kept of a sign-in, as it was when it was looked up.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) opened: Opened,
    user: UserId,
    sealed: String,
}

impl Kept {
    /// Keeps `state` in its place, as known since `at`; `None` forgets it. Returns whether
    /// it was still what is kept: a sign-in that has ended meanwhile is the newer news,
    /// and nothing is changed then.
    pub(crate) async fn replace(
        &mut self,
        store: &Store,
        config: &AuthStateConfig,
        state: Option<&AuthState>,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        let states = store.auth_states();
        let Some(state) = state else { return states.forget_this(self.user, &self.sealed).await };
        let sealed = config.keys.seal(state, &owner(self.user), system_time(at));
        let replaced = states.replace(self.user, &self.sealed, &sealed, at).await?;
        if replaced {
            self.sealed = sealed;
        }
        Ok(replaced)
    }
}

/// What a server of somebody gets of what is kept of their sign-in.
#[derive(Debug, Default)]
pub(crate) struct HandedOver {
    pub(crate) environment: BTreeMap<String, SecretString>,
    /// The numbers of its user and group on the host (SYS-1).
    pub(crate) uid: Option<u32>,
    pub(crate) gid: Option<u32>,
}

/// What a server of the user's gets of it.
pub(crate) async fn hand_over(
    store: &Store,
    config: &AuthStateConfig,
    user: UserId,
) -> Result<HandedOver, StoreError> {
    if config.environment.is_empty() && config.host_ids == HostIds::default() {
        return Ok(HandedOver::default());
    }
    let Some(opened) = of(store, config, user).await? else { return Ok(HandedOver::default()) };
    let (environment, unset) = config.environment.environment(&opened.state);
    for field in unset {
        tracing::warn!(user_id = user.get(), "{field}");
    }
    let number = |path: &Option<String>| {
        let path = path.as_deref()?;
        let number = host_number(opened.state.at(path));
        if number.is_none() {
            tracing::warn!(
                user_id = user.get(),
                path,
                "auth.host_ids_from_auth_state: what is kept of the sign-in has no number of an account there"
            );
        }
        number
    };
    let (uid, gid) = (number(&config.host_ids.uid), number(&config.host_ids.gid));
    Ok(HandedOver { environment, uid, gid })
}

/// Directories tell numbers as numbers, as texts, or as lists of one. Nobody becomes
/// root by a provider's word.
fn host_number(value: Option<&Value>) -> Option<u32> {
    let number: Option<u32> = match value? {
        Value::Number(number) => number.as_u64()?.try_into().ok(),
        Value::String(text) => text.trim().parse().ok(),
        Value::Array(values) if values.len() == 1 => host_number(values.first()),
        _ => None,
    };
    number.filter(|number| *number > 0)
}

/// What ties a sealed state to its account.
pub(crate) fn owner(user: UserId) -> String {
    user.get().to_string()
}

/// The same moment for the library; before 1970 there was none.
fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sys_1_numbers_are_found_in_the_forms_that_directories_have() {
        for (value, expected) in [
            (json!(1001), Some(1001)),
            (json!("1001"), Some(1001)),
            (json!(["1001"]), Some(1001)),
            (json!([1, 2]), None),
            (json!(-1), None),
            (json!(0), None),
            (json!("0"), None),
            (json!(4_294_967_296_u64), None),
            (json!(1.5), None),
            (json!("ada"), None),
            (json!({}), None),
            (json!(null), None),
        ] {
            assert_eq!(host_number(Some(&value)), expected, "{value}");
        }
        assert_eq!(host_number(None), None);
    }
}
