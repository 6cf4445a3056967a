//! What runs the servers, as the configuration chooses.

use std::sync::Arc;

use hub_spawner::{
    InvalidConfig, SpawnError, Spawner, docker::DockerSpawner, process::ProcessSpawner,
    swarm::SwarmSpawner,
};

use crate::{config::SpawnerConfig, tasks::Tasks};

/// The spawner, as the kind that it is.
#[derive(Clone, Debug)]
pub(crate) enum Backend {
    /// Containers of one machine.
    Docker(Arc<DockerSpawner>),
    /// Services of a swarm.
    Swarm(Arc<SwarmSpawner>),
    /// Processes of this machine.
    Process(Arc<ProcessSpawner>),
}

/// Makes servers as a new configuration says, from the next start on. Cannot fail.
pub(crate) type Adoption = Box<dyn FnOnce() + Send>;

/// A configuration that servers cannot be made by while others run.
#[derive(Debug, thiserror::Error)]
#[error("spawner.{kind}")]
pub(crate) struct Unfit {
    kind: &'static str,
    #[source]
    source: InvalidConfig,
}

impl Backend {
    /// Connects to what `config` names.
    ///
    /// # Errors
    ///
    /// That it cannot be used, with the reason.
    pub(crate) async fn open(config: &SpawnerConfig) -> Result<Self, SpawnError> {
        Ok(match config.clone() {
            SpawnerConfig::Docker(docker) => {
                Self::Docker(Arc::new(DockerSpawner::connect(*docker).await?))
            }
            SpawnerConfig::Swarm { docker, swarm } => {
                Self::Swarm(Arc::new(SwarmSpawner::connect(*docker, *swarm).await?))
            }
            SpawnerConfig::Process(process) => {
                Self::Process(Arc::new(ProcessSpawner::open(*process).await?))
            }
        })
    }

    /// The conversation with it.
    pub(crate) fn spawner(&self) -> Arc<dyn Spawner> {
        match self {
            Self::Docker(docker) => Arc::clone(docker) as Arc<dyn Spawner>,
            Self::Swarm(swarm) => Arc::clone(swarm) as Arc<dyn Spawner>,
            Self::Process(process) => Arc::clone(process) as Arc<dyn Spawner>,
        }
    }

    /// Reads what servers are to be from now on. Nothing changes until the result is
    /// called.
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense, or cannot change while servers run.
    pub(crate) fn plan(&self, config: &SpawnerConfig) -> Result<Adoption, Unfit> {
        let unfit = |source| Unfit { kind: config.kind(), source };
        match (self, config) {
            (Self::Docker(spawner), SpawnerConfig::Docker(docker)) => {
                let (spawner, plan) = (Arc::clone(spawner), spawner.plan(docker).map_err(unfit)?);
                Ok(Box::new(move || spawner.adopt(plan)))
            }
            (Self::Swarm(spawner), SpawnerConfig::Swarm { docker, .. }) => {
                let (spawner, plan) = (Arc::clone(spawner), spawner.plan(docker).map_err(unfit)?);
                Ok(Box::new(move || spawner.adopt(plan)))
            }
            (Self::Process(spawner), SpawnerConfig::Process(process)) => {
                let (spawner, plan) = (Arc::clone(spawner), spawner.plan(process).map_err(unfit)?);
                Ok(Box::new(move || spawner.adopt(plan)))
            }
            // The key counts at a restart; until then the running kind's section does.
            (Self::Docker(_) | Self::Swarm(_) | Self::Process(_), _) => Ok(Box::new(|| {})),
        }
    }

    /// Fetches what servers run from beside all else, if the operator wants that. In a
    /// swarm, machines do that when they take a server.
    pub(crate) fn fetch_images(&self, tasks: &Tasks) {
        let Self::Docker(docker) = self else { return };
        let docker = Arc::clone(docker);
        tasks.spawn(|stop| async move {
            tokio::select! {
                () = stop.cancelled() => {}
                failed = docker.prepull() => {
                    for (image, error) in failed {
                        tracing::warn!(
                            image, error = &error as &(dyn std::error::Error + 'static),
                            "an image could not be fetched; it is tried again when a server needs it"
                        );
                    }
                }
            }
        });
    }
}
