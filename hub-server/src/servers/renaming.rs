//! Changes of a stopped server's record: another name, another description, or
//! none of it any more. While one is made, nobody starts the server.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hub_names::{ServerKey, ServerName, UserName};
use hub_store::{Addition, StoreError, User};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Phase, Servers, ServersError, Shared, View, outcome::Wish};
use crate::web::paths::client_id;

/// What must not start now.
#[derive(Debug, Default)]
pub(super) struct Reserved(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    /// Servers whose records are being changed.
    keys: BTreeSet<ServerKey>,
    /// Users who are being deleted.
    users: BTreeSet<UserName>,
}

/// Keeps servers from starting until it is dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    shared: Arc<Shared>,
    keys: Vec<ServerKey>,
    user: Option<UserName>,
}

/// What changes about a server; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change {
    /// What it is called in addresses.
    pub name: Option<ServerName>,
    /// What people call it.
    pub display_name: Option<String>,
    /// What its next start is to have.
    pub options: Option<Value>,
}

impl Reserved {
    /// Why the server of `key` must not start, if it must not.
    pub(super) fn refusal(&self, key: &ServerKey) -> Option<ServersError> {
        let held = self.held();
        if held.users.contains(key.user()) {
            return Some(being_deleted(key.user()));
        }
        let is_changed = held.keys.contains(key);
        is_changed.then(|| ServersError::Pending { key: key.clone(), pending: "rename" })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut held = self.shared.reserved.held();
        for key in &self.keys {
            held.keys.remove(key);
        }
        if let Some(user) = &self.user {
            held.users.remove(user);
        }
    }
}

impl Servers {
    /// Changes what is remembered of a stopped server. Its files go with it where
    /// the spawner can do that; where it cannot, it keeps its name.
    ///
    /// # Errors
    ///
    /// When it is up or pending, the name is taken, or the spawner refuses; nothing
    /// is changed then.
    pub(crate) async fn change(
        &self,
        key: &ServerKey,
        change: Change,
    ) -> Result<ServerKey, ServersError> {
        let (servers, key) = (self.clone(), key.clone());
        self.to_its_end(async move |stop| servers.make_change(&key, change, &stop).await).await
    }

    async fn make_change(
        &self,
        key: &ServerKey,
        change: Change,
        stop: &CancellationToken,
    ) -> Result<ServerKey, ServersError> {
        let renamed = change.name.map(|name| ServerKey::new(key.user().clone(), name));
        let renamed = renamed.filter(|renamed| renamed != key);
        let keys = [Some(key), renamed.as_ref()].into_iter().flatten().cloned().collect();
        self.retired(key, stop).await?;
        let _reservation = self.reserve(keys)?;
        let store = self.shared.store.servers();
        if let Some(renamed) = &renamed {
            // The store first: what it refuses must have cost nothing that was kept.
            if key.server().is_default() {
                // From now on it is one of those that are counted.
                let limit = self.shared.current.get().limits.named.limit_per_user;
                match store.name_default(key.user(), renamed.server(), limit).await? {
                    Addition::Done => {}
                    Addition::Exists => return Err(StoreError::Conflict { what: "server" }.into()),
                    Addition::Full => return Err(ServersError::Refused(too_many(key, limit))),
                }
            } else {
                store.rename(key, renamed.server()).await?;
            }
            if let Err(error) = self.shared.spawner.rename(key, renamed).await {
                store.rename(renamed, key.server()).await?;
                return Err(ServersError::Refused(error.user_message()));
            }
            // Nothing goes on by the old name, nor with a token that was kept for that.
            self.shared.store.oauth().delete_client(&client_id(key)).await?;
            tracing::info!(server = %key, to = %renamed, "server renamed");
        }
        let key = renamed.unwrap_or_else(|| key.clone());
        if change.display_name.is_some() || change.options.is_some() {
            store.describe(&key, change.display_name.as_deref(), change.options.as_ref()).await?;
        }
        Ok(key)
    }

    /// Gives a user another name; all their servers are stopped. Their files go along
    /// where the spawner can do that; where it cannot, the name stays.
    ///
    /// # Errors
    ///
    /// When a server is up or pending, the name is taken, or the spawner refuses;
    /// nothing is changed then.
    pub(crate) async fn rename_user(
        &self,
        user: &User,
        new: &UserName,
    ) -> Result<(), ServersError> {
        let (servers, user, new) = (self.clone(), user.clone(), new.clone());
        self.to_its_end(async move |stop| servers.give_name(&user, &new, &stop).await).await
    }

    async fn give_name(
        &self,
        user: &User,
        new: &UserName,
        stop: &CancellationToken,
    ) -> Result<(), ServersError> {
        let store = &self.shared.store;
        let records = store.servers().of_user(&user.name).await?;
        let default = ServerKey::default_of(user.name.clone());
        let named = records.into_iter().map(|record| record.key).filter(|key| *key != default);
        let keys: Vec<ServerKey> = named.chain([default.clone()]).collect();
        for key in &keys {
            self.retired(key, stop).await?;
        }
        let _reservation = self.reserve(keys.clone())?;
        // Not the store's rename first: while it could still be taken back, somebody might
        // get the old name.
        if store.users().by_name(new).await?.is_some() {
            return Err(StoreError::Conflict { what: "user" }.into());
        }
        if let Err(error) = self.shared.spawner.rename_user(&user.name, new).await {
            return Err(ServersError::Refused(error.user_message()));
        }
        store.users().rename(user.id, new).await?;
        for key in &keys {
            // Nothing goes on by the old name, nor with a token that was kept for that.
            store.oauth().delete_client(&client_id(key)).await?;
        }
        Ok(())
    }

    /// Forgets a stopped server; returns whether it was known. What belongs to it alone
    /// goes as far as the operator wants that (SPN-30).
    ///
    /// # Errors
    ///
    /// When it is up or pending, or what belongs to it could not be removed; it is still
    /// known then.
    pub(crate) async fn forget(&self, key: &ServerKey) -> Result<bool, ServersError> {
        let (servers, key) = (self.clone(), key.clone());
        self.to_its_end(async move |stop| servers.end_of_server(&key, &stop).await).await
    }

    async fn end_of_server(
        &self,
        key: &ServerKey,
        stop: &CancellationToken,
    ) -> Result<bool, ServersError> {
        self.retired(key, stop).await?;
        let _reservation = self.reserve(vec![key.clone()])?;
        if self.shared.store.servers().get(key).await?.is_some() {
            self.shared.spawner.forget_server(key).await?;
            // The token that it may have kept for its next start.
            self.shared.store.oauth().delete_client(&client_id(key)).await?;
        }
        let known = self.shared.store.servers().delete(key).await?;
        if known {
            tracing::info!(server = %key, "server removed");
        }
        Ok(known)
    }

    /// Whether the record of `key` is being changed.
    pub(crate) fn is_reserved(&self, key: &ServerKey) -> bool {
        self.shared.reserved.held().keys.contains(key)
    }

    /// Writes down that the server is to be forgotten when the stop that is under way is over,
    /// for a hub that is started before that.
    ///
    /// # Errors
    ///
    /// When the store cannot be written.
    pub(crate) async fn note_removal(&self, key: &ServerKey) -> Result<(), StoreError> {
        if let Some(View { phase: Phase::Stopping { then, since }, .. }) = self.live(key)
            && let Ok(wish) = serde_json::to_value(Wish { then, remove: true })
        {
            self.shared.store.servers().record_stopping(key, since, &wish, true).await?;
        }
        Ok(())
    }

    /// Forgets the server as soon as the stop that is under way is over.
    pub(crate) fn forget_when_stopped(&self, key: &ServerKey) {
        let (servers, key) = (self.clone(), key.clone());
        self.shared.tasks.spawn(|stop| async move {
            tokio::select! {
                // While it is on its way down the removal is noted for the next hub.
                () = stop.cancelled() => return,
                _ = servers.settled(&key) => {}
            }
            if let Err(error) = servers.forget(&key).await {
                tracing::warn!(server = %key, "the server was not removed after its stop: {error}");
            }
        });
    }

    /// Waits until the worker of a server that has stopped is gone: it says that it
    /// has stopped a moment before.
    ///
    /// # Errors
    ///
    /// [`ServersError::ShuttingDown`] if the hub ends before.
    pub(super) async fn retired(
        &self,
        key: &ServerKey,
        stop: &CancellationToken,
    ) -> Result<(), ServersError> {
        while let Some(mut view) = self.follow(key) {
            if view.borrow_and_update().phase.is_active() {
                break;
            }
            // Either it is gone, or somebody started it again; both are seen above. When the
            // hub ends, workers go without a word.
            if view.changed().await.is_err() && stop.is_cancelled() {
                return Err(ServersError::ShuttingDown);
            }
        }
        Ok(())
    }

    fn reserve(&self, keys: Vec<ServerKey>) -> Result<Reservation, ServersError> {
        // A start looks at the reservations under the same lock.
        let handles = self.shared.handles();
        let mut held = self.shared.reserved.held();
        for key in &keys {
            if held.users.contains(key.user()) {
                return Err(being_deleted(key.user()));
            }
            if held.keys.contains(key) {
                return Err(ServersError::Pending { key: key.clone(), pending: "rename" });
            }
            if handles.contains_key(key) {
                return Err(ServersError::Active(key.clone()));
            }
        }
        held.keys.extend(keys.iter().cloned());
        drop(held);
        Ok(Reservation { shared: Arc::clone(&self.shared), keys, user: None })
    }

    /// Keeps all of a user's servers from starting, those too that nobody knows yet. Those
    /// that are up or on their way go on.
    pub(super) fn reserve_user(&self, user: &UserName) -> Result<Reservation, ServersError> {
        let _handles = self.shared.handles();
        let mut held = self.shared.reserved.held();
        if let Some(key) = held.keys.iter().find(|key| key.user() == user) {
            return Err(ServersError::Pending { key: key.clone(), pending: "rename" });
        }
        if !held.users.insert(user.clone()) {
            return Err(being_deleted(user));
        }
        drop(held);
        let (shared, user) = (Arc::clone(&self.shared), Some(user.clone()));
        Ok(Reservation { shared, keys: Vec::new(), user })
    }
}

fn being_deleted(user: &UserName) -> ServersError {
    ServersError::Refused(format!("{user} is being deleted"))
}

/// What is said to somebody who has as many named servers as they may.
pub(crate) fn too_many(key: &ServerKey, limit: Option<u64>) -> String {
    format!(
        "User {} already has the maximum of {} named servers. One must be deleted before a new \
         server can be created",
        key.user(),
        limit.unwrap_or_default()
    )
}
