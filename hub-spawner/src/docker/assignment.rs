//! What each running server has for itself alone: graphics processors and ports of
//! the host. The labels of containers tell which are taken, so that nothing has to be
//! remembered.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hub_names::ServerKey;

use super::{blueprint::Blueprint, error::spawn_error, labels};
use crate::{
    SpawnError,
    engine::{ContainerSummary, Engine},
};

/// What one server was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Assigned {
    pub(super) gpus: Option<Vec<String>>,
    pub(super) port: Option<u16>,
}

/// What was given to servers whose containers are not made yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Assignments(Arc<Held>);

#[derive(Debug, Default)]
struct Held {
    all: Mutex<Vec<Assigned>>,
    /// Held by the one who chooses: nobody else does so between the look at the
    /// containers and the reservation.
    choosing: tokio::sync::Mutex<()>,
}

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
        if blueprint.gpu_pool.is_empty() && blueprint.host_ports.is_none() {
            return Ok(Reservation { held: self.clone(), assigned: Assigned::default() });
        }
        let labels = labels::of_servers(&blueprint.deployment);
        let containers = async {
            let found = engine.containers(&labels).await;
            found.map_err(|error| spawn_error("look for servers", error))
        };
        self.choose(blueprint, key, containers).await
    }

    async fn choose(
        &self,
        blueprint: &Blueprint,
        key: &ServerKey,
        containers: impl Future<Output = Result<Vec<ContainerSummary>, SpawnError>>,
    ) -> Result<Reservation, SpawnError> {
        let _alone = self.0.choosing.lock().await;
        // Before the containers: what is given back meanwhile has one by then.
        let held = self.all().clone();
        let containers = containers.await?;
        // What a server has already is given back before it starts anew.
        let of_others = |labels| labels::server_key(labels).as_ref() != Some(key);
        let all: Vec<_> =
            containers.iter().filter(|one| is_up(&one.state) && of_others(&one.labels)).collect();
        let mut gpus: BTreeSet<String> =
            all.iter().flat_map(|one| labels::gpus(&one.labels)).collect();
        let mut ports: BTreeSet<u16> =
            all.iter().filter_map(|one| labels::port(&one.labels)).collect();
        for other in held {
            gpus.extend(other.gpus.into_iter().flatten());
            ports.extend(other.port);
        }
        let assigned = Assigned {
            gpus: blueprint.gpus.assign(&blueprint.gpu_pool, &gpus)?,
            port: blueprint.host_ports.map(|range| range.assign(&ports)).transpose()?,
        };
        if assigned != Assigned::default() {
            self.all().push(assigned.clone());
        }
        Ok(Reservation { held: self.clone(), assigned })
    }

    fn all(&self) -> MutexGuard<'_, Vec<Assigned>> {
        self.0.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a container in this state may use what it was given: also one that is
/// about to start.
fn is_up(state: &str) -> bool {
    !matches!(state, "exited" | "dead" | "removing")
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut held = self.held.all();
        if let Some(at) = held.iter().position(|other| *other == self.assigned) {
            held.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::DockerConfig;

    fn blueprint() -> Blueprint {
        let json = serde_json::json!({"image": "lab", "gpus": 1, "gpu_pool": ["0", "1"]});
        let config: DockerConfig = serde_json::from_value(json).unwrap();
        Blueprint::read(&config, None).unwrap()
    }

    fn key(user: &str) -> ServerKey {
        ServerKey::default_of(user.parse().unwrap())
    }

    #[tokio::test]
    async fn spn_35_what_a_container_takes_over_during_a_look_is_not_given_again() {
        let (assignments, blueprint) = (Assignments::default(), blueprint());
        let nothing = async || Ok(Vec::new());
        let ada = assignments.choose(&blueprint, &key("ada"), nothing()).await.unwrap();
        // Its container is made after the daemon has written the list.
        let late = async {
            let list = nothing().await;
            drop(ada);
            list
        };
        let bob = assignments.choose(&blueprint, &key("bob"), late).await.unwrap();
        assert_eq!(bob.assigned.gpus, Some(vec!["1".to_owned()]));
        drop(bob);
        let eve = assignments.choose(&blueprint, &key("eve"), nothing()).await.unwrap();
        assert_eq!(eve.assigned.gpus, Some(vec!["0".to_owned()]), "both were given back");
    }

    #[tokio::test]
    async fn spn_35_one_chooses_after_the_other() {
        let (assignments, blueprint) = (Assignments::default(), blueprint());
        let slow = async || {
            tokio::task::yield_now().await;
            Ok(Vec::new())
        };
        let (ada, bob) = (key("ada"), key("bob"));
        let (one, other) = tokio::join!(
            assignments.choose(&blueprint, &ada, slow()),
            assignments.choose(&blueprint, &bob, slow()),
        );
        assert_ne!(one.unwrap().assigned, other.unwrap().assigned);
    }
}
