//! The containers of a hub's servers at the Docker engine, and what the hub's
//! store knows of them, whether or not the hub runs.

use std::time::Duration;

use anyhow::{Context, bail};
use hub_server::config::{ConfigError, SpawnerConfig};
use hub_spawner::{
    docker::{DockerConfig, inventory},
    engine::{ContainerSummary, Engine},
    swarm,
};
use hub_store::{Depth, ServerKey, Store, StoreConfig};

use crate::backup::deployed::Deployed;

/// A container, and the server that its labels name; `None` if they make no sense.
pub(crate) type Labelled = (Option<ServerKey>, ContainerSummary);

/// The containers of the servers of one hub.
#[derive(Debug)]
pub(crate) struct Containers {
    engine: Engine,
    servers: Servers,
    store: Source,
}

/// What a hub's servers are.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) config: DockerConfig,
    /// Whether they are services of a swarm, rather than containers of one machine.
    pub(crate) are_services: bool,
}

impl Servers {
    /// What the configuration says.
    ///
    /// # Errors
    ///
    /// That they are processes.
    pub(crate) fn of(config: SpawnerConfig) -> Result<Self, ConfigError> {
        let are_services = matches!(config, SpawnerConfig::Swarm { .. });
        Ok(Self { config: config.into_docker()?, are_services })
    }
}

/// Where the hub's store is.
#[derive(Debug)]
pub(crate) enum Source {
    /// Where the configuration of this machine says.
    Here(StoreConfig),
    /// In a container's volume, or where that container reaches it.
    Deployed(Box<Deployed>),
}

impl Containers {
    /// Those at `engine`, by the hub's configuration.
    pub(crate) fn new(engine: Engine, servers: Servers, store: Source) -> Self {
        Self { engine, servers, store }
    }

    /// Those that the store does not know, by name.
    pub(crate) async fn orphans(&self) -> anyhow::Result<Vec<Labelled>> {
        // The containers first: a server that is started meanwhile is in the store
        // before its container is here.
        let deployment = &self.servers.config.deployment;
        let found = match self.servers.are_services {
            true => swarm::inventory::servers(&self.engine, deployment).await?,
            false => inventory::servers(&self.engine, deployment).await?,
        };
        if found.is_empty() {
            return Ok(Vec::new());
        }
        let known = match &self.store {
            Source::Here(store) => known(store).await?,
            Source::Deployed(hub) => Box::pin(hub.known_servers()).await?,
        };
        let mut orphans = inventory::orphans(found, &known);
        orphans.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        Ok(orphans)
    }

    /// Ends a server as the hub does, and removes its container or service. Named volumes
    /// stay.
    pub(crate) async fn remove(&self, server: &ContainerSummary) -> anyhow::Result<()> {
        let Servers { config, are_services } = &self.servers;
        if *are_services
            && swarm::inventory::remove(&self.engine, &config.deployment, server).await?
        {
            return Ok(());
        }
        let grace = Duration::from_secs(config.stop_timeout_seconds);
        self.engine.stop_container(&server.id, grace).await?;
        Ok(self.engine.remove_container(&server.id, true).await?)
    }
}

/// The servers that a store knows, whether they run or not.
///
/// # Errors
///
/// Also when there is no store: nothing in it would mean that all are orphans.
pub(crate) async fn known(config: &StoreConfig) -> anyhow::Result<Vec<ServerKey>> {
    let seen = Box::pin(Store::examine(config, Depth::Quick)).await.context("store.url")?;
    if seen.schema.is_some() {
        return Ok(seen.servers);
    }
    match seen.file {
        Some(file) => bail!(
            "store.url: {} is no database of a hub yet, so it cannot tell which servers it knows",
            file.display()
        ),
        None => bail!("store.url: the database is empty, so it cannot tell which servers it knows"),
    }
}
