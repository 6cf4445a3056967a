//! New keys for what is kept of sign-ins (CRY-1).

use hub_store::{Store, StoreError};

use crate::{
    auth_state::owner,
    config::{AuthStateConfig, Config},
};

/// How many records are read at once.
const PAGE: u64 = 500;

/// Why records were not sealed anew.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RotateError {
    /// Nothing is kept.
    #[error("auth.enable_auth_state is not set, so nothing is kept that is sealed")]
    Disabled,
    /// The database cannot be used; while a hub runs on it, it is that hub's.
    #[error("store.url: the database cannot be used")]
    Store(#[from] StoreError),
}

/// What became of the records.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Rotated {
    /// How many were sealed anew, with the first key.
    pub sealed_anew: u64,
    /// How many were in order.
    pub in_order: u64,
    /// The ids of users whose record no key opens; they sign in again.
    pub unreadable: Vec<i64>,
}

/// Seals everything with the first key that is sealed with another, so that the others
/// can be taken away. The hub must not run; a running one does the same with each
/// record that it looks at.
///
/// # Errors
///
/// [`RotateError`]. What was sealed anew until then stays so.
pub async fn rotate(config: &Config) -> Result<Rotated, RotateError> {
    let state = config.auth.state.as_ref().ok_or(RotateError::Disabled)?;
    let store = Store::open(&config.store).await?;
    let rotated = all(&store, state).await;
    store.close().await;
    rotated
}

async fn all(store: &Store, config: &AuthStateConfig) -> Result<Rotated, RotateError> {
    let mut rotated = Rotated::default();
    let mut after = None;
    loop {
        let page = store.auth_states().page(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(rotated) };
        after = Some(last.user);
        for kept in &page {
            match config.keys.rotate(&kept.sealed, &owner(kept.user)) {
                Ok(Some(anew)) => {
                    store.auth_states().reseal(kept.user, &kept.sealed, &anew).await?;
                    rotated.sealed_anew += 1;
                }
                Ok(None) => rotated.in_order += 1,
                Err(_) => rotated.unreadable.push(kept.user.get()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use hub_auth::{AuthState, CryptKeys, EnvironmentFields, RefreshPolicy};
    use jiff::Timestamp;

    use super::*;
    use crate::config::HostIds;

    fn config(keys: &str) -> AuthStateConfig {
        AuthStateConfig {
            host_ids: HostIds::default(),
            keys: CryptKeys::parse(keys).unwrap().unwrap(),
            refresh: RefreshPolicy::default(),
            environment: EnvironmentFields::default(),
        }
    }

    #[tokio::test]
    async fn cry_1_records_of_old_keys_are_sealed_with_the_first_one() {
        let (old, new) = ("ab".repeat(32), "cd".repeat(32));
        let store = Store::in_memory().await.unwrap();
        let at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        for (name, keys) in [("ada", &old), ("bob", &new), ("cyd", &"ef".repeat(32))] {
            let name = name.parse().unwrap();
            let user = store.users().ensure(&name, Timestamp::UNIX_EPOCH).await.unwrap().0.id;
            let sealed = config(keys).keys.seal(&AuthState::default(), &owner(user), at);
            store.auth_states().set(user, &sealed, Timestamp::UNIX_EPOCH).await.unwrap();
        }
        let both = config(&format!("{new};{old}"));
        let rotated = all(&store, &both).await.unwrap();
        assert_eq!((rotated.sealed_anew, rotated.in_order), (1, 1));
        assert_eq!(rotated.unreadable.len(), 1);
        // The old key can go.
        let rotated = all(&store, &config(&new)).await.unwrap();
        assert_eq!((rotated.sealed_anew, rotated.in_order), (0, 2));
    }
}
