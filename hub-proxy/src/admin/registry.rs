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

use super::{
    condition::{Conditions, Found, Unmet},
    record::{self, RouteRecord, WantedTable},
    store::{Kept, RouteChange},
};
use crate::{OpenTunnels, RoutePrefix, RouteStatus, RouteTable, Target, clock};

/// The routes with all that clients said about them. Clones share them.
#[derive(Clone)]
pub struct Registry(Arc<Shared>);

struct Shared {
    table: RouteTable,
    host_routing: bool,
    state: Mutex<State>,
    /// Where the routes are kept beside memory.
    store: Option<Kept>,
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
    #[error("{}", .unmet.told())]
    Unmet { unmet: Unmet, version: u64 },
    #[error(
        "Nothing was done: the store of routes did not take the change. The proxy's log says \
         why; try again"
    )]
    NotKept,
    #[error(
        "Nothing was done: the store of routes has not answered an earlier change yet, or cannot \
         be read after one. The proxy's log says why; try again"
    )]
    StoreBusy,
    #[error(
        "It is not known whether the change was made: the store of routes did not say so in \
         time. Read the routes, and repeat the change if it is not there"
    )]
    Unknown,
}

impl Unmet {
    /// As a request to a table of this version fails.
    pub(super) fn at(self, version: u64) -> ChangeError {
        ChangeError::Unmet { unmet: self, version }
    }

    fn told(self) -> &'static str {
        match self {
            Self::NotModified => "nothing has changed",
            Self::Changed => {
                "Nothing was done: the routes are no longer those that If-Match names. Read them \
                 again and repeat the request with the ETag of that answer"
            }
            Self::Absent => {
                "Nothing was done: If-Match is * and there is no such route. Leave it out to add one"
            }
            Self::Unchanged => {
                "Nothing was done: If-None-Match names the routes as they are. Leave it out to \
                 change them all the same"
            }
            Self::Present => {
                "Nothing was done: If-None-Match is * and there are routes here. Leave it out to \
                 replace what is there"
            }
        }
    }
}

impl Registry {
    /// A registry over `table`, which nobody else should change.
    ///
    /// With `host_routing`, the first segment of a prefix is a host, as in
    /// [`ProxyConfig::host_routing`](crate::ProxyConfig::host_routing).
    pub fn new(table: RouteTable, host_routing: bool) -> Self {
        Self::over(table, host_routing, None)
    }

    fn over(table: RouteTable, host_routing: bool, store: Option<Kept>) -> Self {
        let (state, access) = (Mutex::default(), watch::Sender::new(Access::Open));
        Self(Arc::new(Shared { table, host_routing, state, store, access }))
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

    /// How many routes there are, and the version they have, at one moment.
    pub(super) fn size(&self) -> (usize, u64) {
        let state = self.lock();
        (self.len(), state.version)
    }

    /// The routes by path, all or those not used since a moment; and their version.
    pub(super) fn list(&self, inactive_since: Option<Timestamp>) -> (Value, u64) {
        let state = self.lock();
        (Value::Object(self.described(&state, inactive_since)), state.version)
    }

    /// One route, and the version of all.
    pub(super) fn get(&self, prefix: &RoutePrefix) -> Option<(Value, u64)> {
        let prefix = self.own(prefix.clone());
        let state = self.lock();
        let status = self.0.table.get(&prefix)?;
        let members = state.members.get(&prefix);
        Some((record::describe(&status, members, self.0.host_routing), state.version))
    }

    /// The routes and the version they have, at one moment; the latter twice.
    pub(super) fn table(&self) -> (Value, u64) {
        let state = self.lock();
        let routes = self.described(&state, None);
        (json!({ "version": state.version, "routes": routes }), state.version)
    }

    /// Adds a route or replaces it whole; live when this returns. The new version.
    ///
    /// The same target again keeps the time of last use: a client that repeats
    /// itself is not a person at work.
    pub(super) async fn add(
        &self,
        prefix: RoutePrefix,
        record: RouteRecord,
        tunnels: OpenTunnels,
        conditions: &Conditions,
    ) -> Result<u64, ChangeError> {
        let prefix = self.own(prefix);
        let (this, conditions) = (self.clone(), conditions.clone());
        self.to_the_end(async move {
            let (path, target, added) = (prefix.decoded(), record.target.clone(), clock::now());
            let turn = this
                .keep(|state| {
                    state.check(&conditions, this.0.table.get(&prefix).is_some())?;
                    Ok(Some(RouteChange::Put(this.stored(prefix.clone(), &record, added))))
                })
                .await?;
            let version = this
                .change(|state| {
                    state.check(&conditions, this.0.table.get(&prefix).is_some())?;
                    tracing::info!("Adding route {path} -> {target}");
                    state.version += 1;
                    state.members.insert(prefix.clone(), record.members);
                    this.0.table.put(prefix, record.target, added, tunnels);
                    Ok(state.version)
                })
                .await??;
            turn.end();
            tracing::info!("Route added {path} -> {target}");
            Ok(version)
        })
        .await
    }

    /// Removes a route; the new version, `None` if there was none.
    pub(super) async fn remove(
        &self,
        prefix: &RoutePrefix,
        tunnels: OpenTunnels,
        conditions: &Conditions,
    ) -> Result<Option<u64>, ChangeError> {
        let prefix = self.own(prefix.clone());
        let (this, conditions) = (self.clone(), conditions.clone());
        self.to_the_end(async move {
            let turn = this
                .keep(|state| {
                    if this.0.table.get(&prefix).is_none() {
                        return Ok(None);
                    }
                    state.check(&conditions, true)?;
                    Ok(Some(RouteChange::Removed(prefix.clone())))
                })
                .await?;
            let removed = this
                .change(|state| {
                    // What is not there is not there, whatever is asked of it (RFC 9110
                    // section 13.2.1).
                    if this.0.table.get(&prefix).is_none() {
                        return Ok(None);
                    }
                    state.check(&conditions, true)?;
                    state.version += 1;
                    state.members.remove(&prefix);
                    this.0.table.remove_with(&prefix, tunnels);
                    tracing::info!("Removing route {}", prefix.decoded());
                    Ok(Some(state.version))
                })
                .await??;
            turn.end();
            Ok(removed)
        })
        .await
    }

    /// Makes `wanted` the whole table, in one step; what to tell the client, and
    /// the new version.
    pub(super) async fn replace(
        &self,
        wanted: WantedTable,
        tunnels: OpenTunnels,
        conditions: &Conditions,
    ) -> Result<(Value, u64), ChangeError> {
        let (this, conditions) = (self.clone(), conditions.clone());
        self.to_the_end(async move {
            let added = clock::now();
            let turn = this
                .keep(|state| {
                    state.check(&conditions, true)?;
                    state.check_version(wanted.if_version)?;
                    let stored = |(prefix, record): (&RoutePrefix, _)| {
                        this.stored(this.own(prefix.clone()), record, added)
                    };
                    Ok(Some(RouteChange::Replaced(wanted.routes.iter().map(stored).collect())))
                })
                .await?;
            let told = this
                .change(|state| {
                    state.check(&conditions, true)?;
                    state.check_version(wanted.if_version)?;
                    Ok(this.become_all(state, wanted, added, tunnels))
                })
                .await??;
            turn.end();
            Ok(told)
        })
        .await
    }

    fn become_all(
        &self,
        state: &mut State,
        wanted: WantedTable,
        added: Timestamp,
        tunnels: OpenTunnels,
    ) -> (Value, u64) {
        let mut routes = Vec::with_capacity(wanted.routes.len());
        state.version += 1;
        state.members.clear();
        for (prefix, RouteRecord { target, members }) in wanted.routes {
            let prefix = self.own(prefix);
            routes.push(RouteStatus { prefix: prefix.clone(), target, added, last_used: None });
            state.members.insert(prefix, members);
        }
        let (version, count) = (state.version, routes.len());
        self.0.table.settle(routes, tunnels);
        tracing::info!("All routes replaced: {count} routes, version {version}");
        (json!({ "version": version, "routes": count }), version)
    }

    /// When each route was last used, for those that were.
    pub(crate) fn uses(&self) -> Vec<(RoutePrefix, Timestamp)> {
        let used = |status: RouteStatus| Some((status.prefix, status.last_used?));
        self.0.table.snapshot().into_iter().filter_map(used).collect()
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

impl State {
    fn check(&self, conditions: &Conditions, exists: bool) -> Result<(), ChangeError> {
        let version = self.version;
        conditions.check(Found { version, exists }).map_err(|unmet| unmet.at(version))
    }

    fn check_version(&self, wanted: Option<u64>) -> Result<(), ChangeError> {
        let current = self.version;
        match wanted {
            Some(wanted) if wanted != current => Err(ChangeError::OtherVersion { current, wanted }),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry").field("routes", &self.0.table).finish_non_exhaustive()
    }
}

#[cfg(feature = "cli")]
mod handing;
mod keeping;

#[cfg(feature = "cli")]
pub(crate) use handing::{ForeignRoute, HandedTable};
