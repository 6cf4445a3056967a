//! What each running server has for itself alone: graphics processors and ports of
//! the host. The labels of containers tell which are taken, so that nothing has to be
//! remembered.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use hub_names::ServerKey;

use super::{blueprint::Blueprint, error::spawn_error, labels};
use crate::{SpawnError, engine::Engine};

/// What one server was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) gpus: Option<Vec<String>>,
    pub(super) port: Option<u16>,
}

/// What was given to servers whose containers are not made yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Assignments(Arc<Mutex<Vec<Assigned>>>);

/// An assignment on its way into a container's labels; given back when dropped.
#[derive(Debug)]
pub(super) struct Reservation {
    held: Assignments,
    pub(super) assigned: Assigned,
}

impl Assignments {
    /// Chooses what a new server, `key`, gets.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoCapacity`] if nothing is free.
    pub(super) async fn reserve(
        &self,
        engine: &Engine,
        blueprint: &Blueprint,
        key: &ServerKey,
    ) -> Result<Reservation, SpawnError> {
        let wants = !blueprint.gpu_pool.is_empty() || blueprint.host_ports.is_some();
        let containers = match wants {
            true => engine
                .containers(&labels::of_servers(&blueprint.deployment))
                .await
                .map_err(|error| spawn_error("look for servers", error))?,
            false => Vec::new(),
        };
        // What a server has already is given back before it starts anew.
        let of_others = |labels| labels::server_key(labels).as_ref() != Some(key);
        let all: Vec<_> =
            containers.iter().filter(|one| is_up(&one.state) && of_others(&one.labels)).collect();
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gpus: BTreeSet<String> =
            all.iter().flat_map(|one| labels::gpus(&one.labels)).collect();
        let mut ports: BTreeSet<u16> =
            all.iter().filter_map(|one| labels::port(&one.labels)).collect();
        for other in held.iter() {
            gpus.extend(other.gpus.iter().flatten().cloned());
            ports.extend(other.port);
        }
        let assigned = Assigned {
            gpus: blueprint.gpus.assign(&blueprint.gpu_pool, &gpus)?,
            port: blueprint.host_ports.map(|range| range.assign(&ports)).transpose()?,
        };
        if assigned != Assigned::default() {
            held.push(assigned.clone());
        }
        Ok(Reservation { held: self.clone(), assigned })
    }
}

/// Whether a container in this state may use what it was given: also one that is
/// about to start.
fn is_up(state: &str) -> bool {
    !matches!(state, "exited" | "dead" | "removing")
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut held = self.held.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = held.iter().position(|other| *other == self.assigned) {
            held.swap_remove(at);
        }
    }
}
