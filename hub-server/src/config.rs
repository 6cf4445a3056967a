//! The hub's configuration, in the order an operator meets it.
//!
//! [`Config`] is what the rest of the hub sees: every value checked, every
//! path absolute. It is read from [`Sources`], and read again while the hub runs.
//! The libraries own their sections: `[spawner.docker]` is `hub-spawner`'s, for
//! example. What can be said about a key without reading anything is in [`key`],
//! the environment variables are in [`variables`].

mod acme;
mod auth;
mod culling;
mod dummy;
pub mod env_file;
mod error;
mod events;
mod http;
pub mod key;
mod lines;
mod listen;
mod load;
mod local;
mod log;
mod metrics;
mod origin;
mod overlay;
mod pages;
mod proxy;
mod read;
pub mod reference;
mod roles;
mod secret;
mod servers;
mod services;
mod session;
mod settings;
mod sources;
mod spawner;
mod store;
mod subdomains;
mod suggest;
mod userlist;
pub mod variables;
mod weakness;

use std::{collections::BTreeMap, path::PathBuf};

use hub_store::StoreConfig;

pub(crate) use self::proxy::{is_proxy_token, proxy_api_url};
pub(crate) use self::services::{Described, ServiceSpec};
pub use self::{
    auth::{AuthConfig, AuthStateConfig, HostIds, OidcSignIn, PasswordConfig, UserlistMode},
    culling::{CullingConfig, CullingLimits, CullingRule},
    env_file::EnvFile,
    error::ConfigError,
    events::EventsConfig,
    http::{ApiListen, HttpConfig, HubApiConfig, TlsFiles, TlsSource},
    listen::ListenAddr,
    load::{Loaded, parse},
    local::LocalConfig,
    log::{LogConfig, LogFormat},
    metrics::MetricsConfig,
    origin::Origin,
    pages::Landing,
    proxy::ProxyApiConfig,
    roles::{GroupConfig, RoleMembers, RolesConfig},
    secret::fingerprint,
    servers::{AdmissionLimits, NamedServers, ServersConfig},
    services::ServiceConfig,
    session::SessionConfig,
    settings::{Setting, Settings},
    sources::{Environment, Sources},
    spawner::SpawnerConfig,
    subdomains::{Labels, Subdomains},
    weakness::Weakness,
};

/// Everything an operator decides.
#[derive(Clone, Debug)]
pub struct Config {
    /// The public side: addresses, TLS, public URL.
    pub http: HttpConfig,
    /// The private listener that user servers call.
    pub hub_api: HubApiConfig,
    /// The proxy, if it is a program of its own.
    pub proxy: Option<ProxyApiConfig>,
    /// The database.
    pub store: StoreConfig,
    /// File with the secret that signs cookies and XSRF tokens.
    pub cookie_secret: CookieSecretSource,
    /// Who may sign in, and how.
    pub auth: AuthConfig,
    /// Time limits of single-user servers.
    pub servers: ServersConfig,
    /// How single-user servers are run.
    pub spawner: SpawnerConfig,
    /// Roles, who has them, and groups.
    pub roles: RolesConfig,
    /// Programs that work with the hub, with a token of their own.
    pub services: Vec<ServiceConfig>,
    /// Variables of the hub's own environment that the programs it runs are given.
    pub inherited: BTreeMap<String, String>,
    /// Directory whose templates replace or extend the built-in pages.
    pub templates: Option<PathBuf>,
    /// Where people go who did not say where.
    pub landing: Landing,
    /// What everybody is told on every page.
    pub announcement: Option<String>,
    /// What somebody is told whom the rules do not let in.
    pub refusal: Option<String>,
    /// Log level and format.
    pub log: LogConfig,
    /// Stopping servers that nobody uses.
    pub culling: CullingConfig,
    /// A record of starts and stops.
    pub events: EventsConfig,
    /// Numbers for Prometheus.
    pub metrics: MetricsConfig,
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
