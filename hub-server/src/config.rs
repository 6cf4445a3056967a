//! The hub's configuration, in the order an operator meets it.
//!
//! [`Config`] is what the rest of the hub sees: every value checked, every
//! path absolute. How text becomes a `Config` is in [`load`]. The libraries own
//! their sections: `[spawner.docker]` is `hub-spawner`'s, for example.

mod auth;
mod error;
mod http;
mod load;
mod servers;
mod services;
mod suggest;

use std::path::PathBuf;

use hub_spawner::docker::DockerConfig;
use hub_store::StoreConfig;
use serde::Deserialize;

pub use self::{
    auth::{AuthConfig, PasswordConfig},
    error::ConfigError,
    http::{ApiListen, HttpConfig, HubApiConfig, TlsFiles},
    load::{Environment, load, parse},
    servers::ServersConfig,
    services::ServiceConfig,
};

/// Everything an operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// The public side: addresses, TLS, public URL.
    pub http: HttpConfig,
    /// The private listener that user servers call.
    pub hub_api: HubApiConfig,
    /// The database.
    pub store: StoreConfig,
    /// File with the secret that signs cookies and XSRF tokens.
    pub cookie_secret: CookieSecretSource,
    /// Who may sign in, and how.
    pub auth: AuthConfig,
    /// Time limits of single-user servers.
    pub servers: ServersConfig,
    /// How single-user servers are run.
    pub spawner: DockerConfig,
    /// Programs that use the REST API with a token of their own.
    pub services: Vec<ServiceConfig>,
    /// Directory whose templates replace or extend the built-in pages.
    pub templates: Option<PathBuf>,
    /// Log level and format.
    pub log: LogConfig,
}

/// Where the cookie secret comes from (RST-6).
#[derive(Clone)]
pub enum CookieSecretSource {
    /// Given in the environment, as 64 hexadecimal digits.
    Given(String),
    /// In this file, which is made when it is absent.
    File(PathBuf),
}

impl std::fmt::Debug for CookieSecretSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Given(_) => f.write_str("Given(..)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// The `[log]` section.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
    /// `info,hub_proxy=debug`.
    pub level: String,
    /// Lines for people or for programs.
    pub format: LogFormat,
}

impl LogConfig {
    /// Finds a level that would silently switch the log off.
    fn check(&self) -> Result<(), ConfigError> {
        const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
        for part in self.level.split(',').map(str::trim) {
            let level = part.rsplit_once('=').map_or(part, |(_, level)| level);
            if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
                return Err(ConfigError::value(
                    "log.level",
                    format!("{level:?} is not a level; use one of {}", LEVELS.join(", ")),
                ));
            }
        }
        Ok(())
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// What a log line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
