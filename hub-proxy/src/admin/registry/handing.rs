//! The routes on their way to another process.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Access, Registry, State};
use crate::{RoutePrefix, RouteStatus, Target};

/// All routes with data and times, as a successor gets them.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct HandedTable {
    pub(crate) version: u64,
    pub(crate) routes: Vec<HandedRoute>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HandedRoute {
    /// Decoded.
    pub(crate) path: String,
    pub(crate) target: String,
    pub(crate) added: Timestamp,
    pub(crate) last_used: Option<Timestamp>,
    /// What clients of the API said; `None` for a preset route.
    pub(crate) members: Option<Map<String, Value>>,
}

/// Keeps a registry unchanged. Dropped, it allows changes again.
#[derive(Debug)]
pub(crate) struct Frozen(Option<Registry>);

/// A table of a kind this version cannot take over.
#[derive(Debug, thiserror::Error)]
#[error("the route {path:?} cannot be taken over: {reason}")]
pub(crate) struct ForeignRoute {
    path: String,
    reason: String,
}

impl Registry {
    /// Lets changes wait, until the guard is dropped or used.
    pub(crate) fn freeze(&self) -> Frozen {
        let state = self.lock();
        self.0.access.send_replace(Access::Frozen);
        drop(state);
        Frozen(Some(self.clone()))
    }

    /// All there is.
    pub(crate) fn handed(&self) -> HandedTable {
        let state = self.lock();
        let routes = self.0.table.snapshot().into_iter().map(|status| HandedRoute {
            path: status.prefix.decoded(),
            target: status.target.as_url().to_string(),
            added: status.added,
            last_used: status.last_used,
            members: state.members.get(&status.prefix).cloned(),
        });
        HandedTable { version: state.version, routes: routes.collect() }
    }

    /// Becomes what a predecessor had. All of it, or nothing changes.
    pub(crate) fn take_over(&self, handed: HandedTable) -> Result<(), ForeignRoute> {
        let mut state = State { version: handed.version, members: BTreeMap::new() };
        let mut routes = Vec::with_capacity(handed.routes.len());
        for HandedRoute { path, target, added, last_used, members } in handed.routes {
            let foreign = |reason: String| ForeignRoute { path: path.clone(), reason };
            let prefix =
                RoutePrefix::from_decoded(&path).map_err(|error| foreign(error.to_string()))?;
            let target: Target =
                target.parse().map_err(|error: crate::InvalidTarget| foreign(error.to_string()))?;
            if let Some(members) = members {
                state.members.insert(prefix.clone(), members);
            }
            routes.push(RouteStatus { prefix, target, added, last_used });
        }
        let mut current = self.lock();
        self.0.table.restore(routes);
        *current = state;
        Ok(())
    }

    /// Whether changes are made at once.
    #[cfg(test)]
    pub(crate) fn is_open(&self) -> bool {
        *self.0.access.borrow() == Access::Open
    }

    /// When any route was last used.
    pub(crate) fn last_use(&self) -> Option<Timestamp> {
        self.0.table.snapshot().into_iter().filter_map(|status| status.last_used).max()
    }

    /// Learns of a use that a predecessor saw.
    pub(crate) fn used(&self, path: &str, at: Timestamp) {
        if let Ok(prefix) = RoutePrefix::from_decoded(path) {
            self.0.table.used(&prefix, at);
        }
    }
}

impl Frozen {
    /// The successor has the routes: whoever waits is sent to it.
    pub(crate) fn hand_over(mut self) {
        if let Some(registry) = self.0.take() {
            registry.0.access.send_replace(Access::HandedOver);
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Some(registry) = self.0.take() {
            registry.0.access.send_replace(Access::Open);
        }
    }
}
