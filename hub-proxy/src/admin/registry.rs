//! What routes carry beside their targets, and who may change them when.
//!
//! The [`RouteTable`] says which routes there are; it is what requests read.
//! The registry keeps the rest of what clients of the API sent. Both change
//! under one lock, which no request for a target ever takes.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::record::{self, RouteRecord, WantedTable};
use crate::{RoutePrefix, RouteStatus, RouteTable, Target};

/// The routes with all that clients said about them. Clones share them.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

struct Shared {
    table: RouteTable,
    host_routing: bool,
    state: Mutex<State>,
    /// Says that [`State::access`] has changed.
    access: watch::Sender<Access>,
}

#[derive(Default)]
struct State {
    /// Grows with each change.
    version: u64,
    members: BTreeMap<RoutePrefix, Map<String, Value>>,
}

/// Whether routes may be changed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "cli"), expect(dead_code, reason = "only the program hands over"))]
enum Access {
    Open,
    /// A successor is being told the routes; changes wait.
    Frozen,
    /// The successor has them.
    HandedOver,
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ChangeError {
    #[error("another process has taken over; connect again")]
    HandedOver,
    #[error("the table has version {current}, not {wanted}; read it again")]
    OtherVersion { current: u64, wanted: u64 },
}

impl Registry {
    /// A registry over `table`, which nobody else should change.
    ///
    /// With `host_routing`, the first segment of a prefix is a host, as in
    /// [`ProxyConfig::host_routing`](crate::ProxyConfig::host_routing).
    pub fn new(table: RouteTable, host_routing: bool) -> Self {
        let (state, access) = (Mutex::default(), watch::Sender::new(Access::Open));
        Self(Arc::new(Shared { table, host_routing, state, access }))
    }

    /// Adds a route to a target and nothing else, such as the default one of
    /// the command line. To be called before the API is served.
    pub fn preset(&self, prefix: RoutePrefix, target: Target) {
        tracing::info!("Adding route {} -> {target}", prefix.decoded());
        // Of another target that was read from a file.
        self.lock().members.remove(&prefix);
        self.0.table.insert(prefix.clone(), target);
        tracing::info!("Route added {}", prefix.decoded());
    }

    /// How many routes there are.
    pub fn len(&self) -> usize {
        self.0.table.snapshot().len()
    }

    /// Whether there is no route.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Grows with each change of a route.
    pub fn version(&self) -> u64 {
        self.lock().version
    }

    /// The routes by path, all or those not used since a moment.
    pub(super) fn list(&self, inactive_since: Option<Timestamp>) -> Value {
        Value::Object(self.described(&self.lock(), inactive_since))
    }

    pub(super) fn get(&self, prefix: &RoutePrefix) -> Option<Value> {
        let prefix = self.own(prefix.clone());
        let state = self.lock();
        let status = self.0.table.get(&prefix)?;
        Some(record::describe(&status, state.members.get(&prefix), self.0.host_routing))
    }

    /// The routes and the version they have, at one moment.
    pub(super) fn table(&self) -> Value {
        let state = self.lock();
        json!({ "version": state.version, "routes": self.described(&state, None) })
    }

    /// Adds a route or replaces it whole; live when this returns.
    ///
    /// The same target again keeps the time of last use: a client that repeats
    /// itself is not a person at work.
    pub(super) async fn add(
        &self,
        prefix: RoutePrefix,
        record: RouteRecord,
    ) -> Result<(), ChangeError> {
        let prefix = self.own(prefix);
        let (path, target) = (prefix.decoded(), record.target.clone());
        tracing::info!("Adding route {path} -> {target}");
        self.change(|state| {
            state.version += 1;
            state.members.insert(prefix.clone(), record.members);
            self.0.table.insert(prefix, record.target);
        })
        .await?;
        tracing::info!("Route added {path} -> {target}");
        Ok(())
    }

    /// Removes a route; whether there was one.
    pub(super) async fn remove(&self, prefix: &RoutePrefix) -> Result<bool, ChangeError> {
        let prefix = self.own(prefix.clone());
        self.change(|state| {
            if self.0.table.remove(&prefix).is_none() {
                return false;
            }
            state.version += 1;
            state.members.remove(&prefix);
            tracing::info!("Removing route {}", prefix.decoded());
            true
        })
        .await
    }

    /// Makes `wanted` the whole table, in one step; the new version.
    pub(super) async fn replace(&self, wanted: WantedTable) -> Result<Value, ChangeError> {
        self.change(|state| {
            let current = state.version;
            if let Some(wanted) = wanted.if_version.filter(|&wanted| wanted != current) {
                return Err(ChangeError::OtherVersion { current, wanted });
            }
            let mut targets = Vec::with_capacity(wanted.routes.len());
            state.version += 1;
            state.members.clear();
            for (prefix, RouteRecord { target, members }) in wanted.routes {
                let prefix = self.own(prefix);
                targets.push((prefix.clone(), target));
                state.members.insert(prefix, members);
            }
            let routes = targets.len();
            self.0.table.replace(targets);
            tracing::info!("All routes replaced: {routes} routes, version {}", state.version);
            Ok(json!({ "version": state.version, "routes": routes }))
        })
        .await?
    }

    fn described(&self, state: &State, inactive_since: Option<Timestamp>) -> Map<String, Value> {
        let is_listed = |status: &RouteStatus| {
            inactive_since.is_none_or(|moment| record::last_activity(status) < moment)
        };
        let describe = |status: RouteStatus| {
            let members = state.members.get(&status.prefix);
            let described = record::describe(&status, members, self.0.host_routing);
            (status.prefix.decoded(), described)
        };
        self.0.table.snapshot().into_iter().filter(is_listed).map(describe).collect()
    }

    /// The prefix as it is kept: hosts have no case.
    fn own(&self, prefix: RoutePrefix) -> RoutePrefix {
        if self.0.host_routing { prefix.with_lower_case_host() } else { prefix }
    }

    /// Changes the state, once it may be. Freezing takes the same lock, so it
    /// comes before or after a change, and not in between.
    async fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, ChangeError> {
        let mut access = self.0.access.subscribe();
        loop {
            {
                let mut state = self.lock();
                match *access.borrow_and_update() {
                    Access::Open => return Ok(change(&mut state)),
                    Access::HandedOver => return Err(ChangeError::HandedOver),
                    Access::Frozen => {}
                }
            }
            // The sender lives in `self`, so this cannot fail.
            let _ = access.changed().await;
        }
    }

    /// A panic while the lock was held leaves a sound state: members without a
    /// route are never shown.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("routes", &self.0.table).finish_non_exhaustive()
    }
}

#[cfg(feature = "cli")]
mod handing;

#[cfg(feature = "cli")]
pub(crate) use handing::{ForeignRoute, HandedTable};
