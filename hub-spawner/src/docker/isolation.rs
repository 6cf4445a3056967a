//! The networks of servers: one for all, or one for each user (SPN-36).

mod subnet;

use futures_util::StreamExt;
use hub_names::{ServerKey, UserName};
use serde::Deserialize;

pub(super) use subnet::Pool;

use super::{
    blueprint::{Blueprint, Reach},
    error::spawn_error,
    labels,
};
use crate::{
    SpawnError,
    engine::{Engine, EngineError, NetworkSpec},
};

/// Who meets whom in a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// All servers are in one network and reach each other's ports.
    #[default]
    Shared,
    /// Each user has a network. The daemon lets nothing pass from one to another.
    PerUser,
}

/// How often a range is chosen that another program may have taken meanwhile.
const SUBNET_TRIES: usize = 5;

/// Makes sure that the networks of `user`'s servers are there, and the hub in them.
///
/// # Errors
///
/// [`SpawnError::Rejected`] if a container of the hub is missing,
/// [`SpawnError::NoCapacity`] if no range of addresses is free.
pub(super) async fn ensure(
    engine: &Engine,
    blueprint: &Blueprint,
    user: &UserName,
) -> Result<(), SpawnError> {
    if blueprint.isolation == Isolation::Shared {
        return Ok(());
    }
    let name = blueprint.network_of(user);
    ensure_own(engine, blueprint, user, &name).await?;
    for container in &blueprint.hub_containers {
        match engine.connect_network(&name, container, &[]).await {
            Ok(()) => {}
            Err(EngineError::NotFound { .. }) => {
                return Err(SpawnError::Rejected {
                    what: "the setting hub_containers".to_owned(),
                    reason: format!("there is no container {container}"),
                });
            }
            Err(error) => return Err(spawn_error("take the hub into the user's network", error)),
        }
    }
    Ok(())
}

/// Takes the hub's containers into the networks of users whose servers run already: an
/// upgrade may have put new ones in the place of those that were in them. What goes
/// wrong is told in the log, and tried again when a server of that user starts.
pub(super) async fn rejoin(engine: &Engine, blueprint: &Blueprint) {
    if blueprint.isolation == Isolation::Shared || blueprint.hub_containers.is_empty() {
        return;
    }
    let labels = labels::all_of_kind(&blueprint.deployment, "network");
    let networks = match engine.networks_labelled(&labels).await {
        Ok(networks) => networks,
        Err(error) => {
            tracing::warn!(%error, "the hub is not taken into the networks of its users");
            return;
        }
    };
    for container in &blueprint.hub_containers {
        let found = match engine.inspect(container).await {
            Ok(Some(found)) => found,
            Ok(None) => {
                tracing::warn!(container, "hub_containers names a container that is not there");
                continue;
            }
            Err(error) => {
                tracing::warn!(container, %error, "it is not taken into users' networks");
                continue;
            }
        };
        let of_users = networks.iter().filter(|network| labels::user(&network.labels).is_some());
        for network in of_users.filter(|network| !found.networks.contains(&network.name)) {
            match engine.connect_network(&network.id, container, &[]).await {
                // The last server of a user may have ended meanwhile.
                Ok(()) | Err(EngineError::NotFound { .. }) => {}
                Err(error) => {
                    let network = &network.name;
                    tracing::warn!(container, network, %error, "it is not taken into a user's network");
                }
            }
        }
    }
}

/// Does the same whenever one of the hub's containers starts, such as a proxy that is
/// replaced while the hub goes on. Ends with the daemon's stream of events.
pub(super) async fn follow(engine: &Engine, blueprint: &Blueprint) -> Result<(), EngineError> {
    if blueprint.isolation == Isolation::Shared || blueprint.hub_containers.is_empty() {
        return std::future::pending().await;
    }
    let mut starts = std::pin::pin!(engine.starts_of(&blueprint.hub_containers));
    loop {
        // One may have started before anybody listened.
        let (start, ()) = tokio::join!(starts.next(), rejoin(engine, blueprint));
        match start {
            Some(start) => start?,
            None => return Ok(()),
        }
    }
}

async fn ensure_own(
    engine: &Engine,
    blueprint: &Blueprint,
    user: &UserName,
    name: &str,
) -> Result<(), SpawnError> {
    let failed = |error| spawn_error("find or make the user's network", error);
    let wanted = labels::of_network_of(&blueprint.deployment, user);
    let mut tries = 0;
    loop {
        tries += 1;
        let subnet = match &blueprint.subnets {
            Some(pool) if engine.network(name).await.map_err(failed)?.is_none() => {
                let used = engine.subnets().await.map_err(failed)?;
                Some(pool.free(&used).ok_or_else(|| SpawnError::NoCapacity {
                    reason: "all networks for users are in use",
                    source: "isolation_subnets has no free range".into(),
                })?)
            }
            Some(_) | None => None,
        };
        let spec = NetworkSpec {
            name: name.to_owned(),
            labels: wanted.clone(),
            subnet: subnet.clone(),
            ..NetworkSpec::default()
        };
        match engine.ensure_network_from(&spec).await {
            Ok(network)
                if labels::is_of_deployment(&network.labels, &blueprint.deployment)
                    && labels::user(&network.labels) == Some(user.as_str()) =>
            {
                return Ok(());
            }
            Ok(_) => {
                return Err(SpawnError::Rejected {
                    what: format!("the network {name}"),
                    reason: "it is not of this hub, or of another user".to_owned(),
                });
            }
            // Two starts may choose one range.
            Err(error)
                if subnet.is_some()
                    && tries < SUBNET_TRIES
                    && error.text().is_some_and(|text| text.contains("overlap")) => {}
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Takes a new container into the further networks of all.
pub(super) async fn join(
    engine: &Engine,
    blueprint: &Blueprint,
    id: &str,
) -> Result<(), SpawnError> {
    for network in &blueprint.networks {
        engine
            .connect_network(network, id, &[])
            .await
            .map_err(|error| spawn_error("take the container into its networks", error))?;
    }
    Ok(())
}

/// Removes the network of `user` if no server of theirs is left. What stands in the
/// way, such as a start under way, leaves it for the next time.
pub(super) async fn release(engine: &Engine, blueprint: &Blueprint, user: &UserName) {
    if blueprint.isolation == Isolation::Shared {
        return;
    }
    let servers = engine.containers(&labels::of_servers_of(&blueprint.deployment, user)).await;
    if !servers.is_ok_and(|servers| servers.is_empty()) {
        return;
    }
    let name = blueprint.network_of(user);
    let ours = labels::of_network_of(&blueprint.deployment, user);
    for network in engine.networks(&name).await.unwrap_or_default() {
        if ours.iter().any(|(label, value)| network.labels.get(label) != Some(value)) {
            continue;
        }
        for container in &blueprint.hub_containers {
            let _ = engine.disconnect_network(&network.id, container).await;
        }
        if let Err(error) = engine.remove_network(&network.id).await {
            tracing::debug!(network = name, %error, "a user's network stays for now");
        }
    }
}

impl Blueprint {
    /// The network in which a server is reached.
    pub(super) fn network_of(&self, user: &UserName) -> String {
        match (self.isolation, self.reach) {
            (Isolation::Shared, _) | (_, Reach::Host(_)) => self.network.clone(),
            (Isolation::PerUser, _) => self.names.own_network(&self.network, user),
        }
    }

    /// The same, for a server by its key.
    pub(super) fn network_of_server(&self, key: Option<&ServerKey>) -> String {
        key.map_or_else(|| self.network.clone(), |key| self.network_of(key.user()))
    }
}
