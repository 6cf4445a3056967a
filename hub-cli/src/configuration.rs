//! The hub's configuration, for commands that work without a running hub.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args as Group;
use hub_server::config::{Config, ConfigError, Environment, Loaded, Sources};
use hub_spawner::{
    docker::DockerConfig,
    engine::{DockerHost, Engine},
};

use crate::{
    args::UsageError,
    backup::{deployed::Deployed, volumes::Volumes},
    containers::{Containers, Servers, Source},
};

/// A hub, as far as it can be reached without its help.
#[derive(Debug)]
pub(crate) enum Subject<'a> {
    /// Its files are on this machine.
    Here(&'a Located),
    /// They are in a container's volume.
    Deployed(Box<Deployed>),
}

impl Subject<'_> {
    /// The volumes of the hub's users.
    pub(crate) async fn volumes(&self) -> anyhow::Result<Volumes> {
        match self {
            Self::Deployed(hub) => hub.volumes().await,
            Self::Here(located) => {
                Volumes::connect(located.configured()?.spawner.into_docker()?).await
            }
        }
    }

    /// The containers of the hub's servers.
    pub(crate) async fn containers(self) -> anyhow::Result<Containers> {
        Ok(match self {
            Self::Deployed(hub) => {
                let servers = Servers::of(hub.spawner().await?)?;
                let engine = hub.engine().clone();
                Containers::new(engine, servers, Source::Deployed(hub))
            }
            Self::Here(located) => {
                let config = located.configured()?;
                let servers = Servers::of(config.spawner)?;
                let engine = engine(&servers.config).await?;
                Containers::new(engine, servers, Source::Here(config.store))
            }
        })
    }
}

/// The engine that the hub's servers run at.
pub(crate) async fn engine(config: &DockerConfig) -> anyhow::Result<Engine> {
    let host = DockerHost::resolve(&config.host_settings()).context("spawner.docker")?;
    Ok(Engine::connect_to(&host).await?)
}

/// Where the configuration is.
#[derive(Clone, Debug, Default, Group)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct Located {
    /// The hub's configuration file, as hub-server takes it
    #[arg(long = "config", short = 'c', value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// A hub that `cargo xtask deploy` made, by the name of its container; Docker is where
    /// DOCKER_HOST says
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub(crate) deployment: Option<String>,
    // For a program that knows where Docker is, and says so by variables.
    /// Look for no `.env` in the working directory
    #[arg(long, hide = true, requires = "deployment")]
    pub(crate) environment_only: bool,
}

impl Located {
    /// The hub that is meant.
    pub(crate) async fn subject(&self) -> anyhow::Result<Subject<'_>> {
        Ok(match &self.deployment {
            Some(name) => {
                Subject::Deployed(Box::new(Deployed::find(name, self.environment_only).await?))
            }
            None => Subject::Here(self),
        })
    }

    /// The volumes of that hub's users.
    pub(crate) async fn volumes(&self) -> anyhow::Result<Volumes> {
        self.subject().await?.volumes().await
    }

    /// Reads it, with the environment laid over, as the hub does.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        Ok(self.loaded()?.config)
    }

    /// The same, with everything there is to say about it.
    pub(crate) fn loaded(&self) -> Result<Loaded, ConfigError> {
        // A bad line in the list of users is the hub's to complain about.
        let sources = Sources::new(Environment::of_process()).config_file(self.file.clone());
        sources.lenient(true).load()
    }

    /// The same, and if nobody said which configuration is meant, an error that says how.
    pub(crate) fn configured(&self) -> anyhow::Result<Config> {
        const HINT: &str = "name the configuration with --config, or a hub that `cargo xtask \
                            deploy` made with --deployment";
        self.load().map_err(|error| match self.file {
            Some(_) => error.into(),
            None => UsageError { message: error.to_string(), hint: HINT.to_owned() }.into(),
        })
    }

    /// The directory that relative paths in it begin at.
    pub(crate) fn directory(&self) -> PathBuf {
        let parent = self.file.as_deref().and_then(Path::parent);
        parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
    }
}
