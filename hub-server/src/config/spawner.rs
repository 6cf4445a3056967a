//! `[spawner]`: what runs the servers, and how.

mod docker;
mod process;
mod swarm;

use std::path::Path;

use hub_spawner::{
    InvalidConfig, docker::DockerConfig, engine::HostSettings, process::ProcessConfig,
    swarm::SwarmConfig,
};
use serde::Deserialize;

use super::{
    ConfigError,
    key::{Key, Kind, Section},
};

pub(super) const SECTION: Section = Section {
    name: "spawner",
    about: "What runs the servers: containers of one machine, services of a Docker swarm, or processes. Each has a section of its own; those of the others do not count. See [spawners.md](spawners.md).",
    keys: &[Key::new(
        "spawner.kind",
        Kind::Choice(&["docker", "swarm", "process"]),
        "What servers are: containers (`[spawner.docker]`), services of a swarm (`[spawner.swarm]` as well), or processes of this machine (`[spawner.process]`). Servers that run are lost from sight when it changes: stop them before.",
    )
    .default("\"docker\"")
    .restart()],
};

pub(super) const DOCKER_SECTION: Section = docker::SECTION;
pub(super) const SWARM_SECTION: Section = swarm::SECTION;
pub(super) const PROCESS_SECTION: Section = process::SECTION;

/// What runs the servers.
#[derive(Clone, Debug)]
pub enum SpawnerConfig {
    /// Containers of one machine.
    Docker(Box<DockerConfig>),
    /// Services of a Docker swarm.
    Swarm {
        /// What servers are made of.
        docker: Box<DockerConfig>,
        /// What a swarm adds.
        swarm: Box<SwarmConfig>,
    },
    /// Processes of this machine.
    Process(Box<ProcessConfig>),
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SpawnerKind {
    #[default]
    Docker,
    Swarm,
    Process,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSpawner {
    kind: SpawnerKind,
    docker: Option<DockerConfig>,
    swarm: SwarmConfig,
    process: ProcessConfig,
}

impl RawSpawner {
    /// What counts of it. `dir` is where relative paths begin, `data` where the hub's
    /// own files are.
    pub(super) fn check(
        self,
        dir: &Path,
        data: &Path,
        home: Option<&Path>,
    ) -> Result<SpawnerConfig, ConfigError> {
        Ok(match self.kind {
            SpawnerKind::Docker => {
                SpawnerConfig::Docker(Box::new(docker::check(self.docker, dir, home)?))
            }
            SpawnerKind::Swarm => {
                let docker = Box::new(docker::check(self.docker, dir, home)?);
                let swarm = Box::new(swarm::check(self.swarm, &docker)?);
                SpawnerConfig::Swarm { docker, swarm }
            }
            SpawnerKind::Process => {
                SpawnerConfig::Process(Box::new(process::check(self.process, data)?))
            }
        })
    }
}

impl SpawnerConfig {
    /// The word for it in the configuration.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Docker(_) => "docker",
            Self::Swarm { .. } => "swarm",
            Self::Process(_) => "process",
        }
    }

    /// What servers are made of, if they are containers.
    pub fn docker(&self) -> Option<&DockerConfig> {
        match self {
            Self::Docker(docker) | Self::Swarm { docker, .. } => Some(docker),
            Self::Process(_) => None,
        }
    }

    /// The same, for what is of no use without.
    ///
    /// # Errors
    ///
    /// That servers are no containers.
    pub fn into_docker(self) -> Result<DockerConfig, ConfigError> {
        match self {
            Self::Docker(docker) | Self::Swarm { docker, .. } => Ok(*docker),
            Self::Process(_) => Err(ConfigError::value(
                "spawner.kind",
                "is process: servers are no containers, and have no volumes",
            )),
        }
    }

    /// Where Docker is, if servers are containers.
    pub fn host_settings(&self) -> Option<HostSettings> {
        self.docker().map(DockerConfig::host_settings)
    }
}

/// An error of a section's own check.
fn named(section: &str, error: InvalidConfig) -> ConfigError {
    ConfigError::value(format!("{section}.{}", error.key), error.reason)
}

#[cfg(test)]
mod tests;
