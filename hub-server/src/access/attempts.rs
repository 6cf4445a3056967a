//! How often an address may fail to sign in (security A1).
//!
//! Accounts have a limit of their own in `hub-auth`; this one stops a client that
//! goes through names. Only failures count, so that a class behind one address
//! gets in. They are kept in the store: a restart forgives nothing (NAT-2).

use std::time::Duration;

use hub_auth::local::{TryLimit, address_key};
use hub_store::StoreError;

use crate::{accounts, hub::Hub};

/// How long the address has to wait, if it has failed too often.
pub(crate) async fn wait(hub: &Hub, remote: &str) -> Result<Option<Duration>, StoreError> {
    match key(remote) {
        Some(key) => accounts::wait(&hub.store, &key, &limit(hub), hub.clock.now()).await,
        None => Ok(None),
    }
}

/// Counts a failure.
pub(crate) async fn failed(hub: &Hub, remote: &str) -> Result<(), StoreError> {
    if let Some(key) = key(remote) {
        // Whether that was the last one is asked before the next try.
        let counted = accounts::count(&hub.store, &key, &limit(hub), hub.clock.now()).await?;
        if counted.is_err() {
            tracing::debug!(remote, "an address fails more often than is counted");
        }
    }
    Ok(())
}

fn limit(hub: &Hub) -> TryLimit {
    hub.live().local.map_or(TryLimit::ADDRESS, |local| local.address_limit)
}

/// Nothing for who has no address, at a Unix socket.
fn key(remote: &str) -> Option<String> {
    remote.parse().ok().map(address_key)
}
