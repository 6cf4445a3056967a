//! The hub's configuration, for commands that work without a running hub.

use std::path::{Path, PathBuf};

use clap::Args as Group;
use hub_server::config::{Config, ConfigError, Environment, Sources};

/// Where the configuration is.
#[derive(Clone, Debug, Default, Group)]
#[command(next_help_heading = "Configuration")]
pub(crate) struct Located {
    /// The hub's configuration file, as hub-server takes it
    #[arg(long = "config", short = 'c', value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

impl Located {
    /// Reads it, with the environment laid over, as the hub does.
    pub(crate) fn load(&self) -> Result<Config, ConfigError> {
        // A bad line in the list of users is the hub's to complain about.
        let sources = Sources::new(Environment::of_process()).config_file(self.file.clone());
        Ok(sources.lenient(true).load()?.config)
    }

    /// The directory that relative paths in it begin at.
    pub(crate) fn directory(&self) -> PathBuf {
        let parent = self.file.as_deref().and_then(Path::parent);
        parent.filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
    }
}
