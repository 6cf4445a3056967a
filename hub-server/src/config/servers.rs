//! `[servers]`: time limits of single-user servers.

use std::time::Duration;

use serde::Deserialize;

use super::{
    ConfigError,
    key::{Key, Kind, Section},
};

pub(super) const SECTION: Section = Section {
    name: "servers",
    about: "Time limits of single-user servers.",
    keys: &[
        Key::new(
            "servers.start_timeout_seconds",
            Kind::Integer("seconds"),
            "From the request until the spawner says the server was started; pulling an image does not count.",
        )
        .default("60")
        .next_start(),
        Key::new(
            "servers.http_timeout_seconds",
            Kind::Integer("seconds"),
            "From there until the server answers HTTP.",
        )
        .default("30")
        .next_start(),
        Key::new(
            "servers.poll_interval_seconds",
            Kind::Integer("seconds"),
            "How often a running server is looked at, besides the backend's events.",
        )
        .default("30"),
        Key::new(
            "servers.slow_spawn_timeout_seconds",
            Kind::Integer("seconds"),
            "How long an API call waits for a start before it answers 202.",
        )
        .default("10"),
        Key::new(
            "servers.slow_stop_timeout_seconds",
            Kind::Integer("seconds"),
            "How long an API call waits for a stop before it answers 202.",
        )
        .default("10"),
        Key::new(
            "servers.admin_access",
            Kind::Boolean,
            "Whether servers are told that administrators may enter.",
        )
        .default("false")
        .next_start(),
        Key::new(
            "servers.kept_log_kib",
            Kind::Integer("KiB"),
            "How much of a server's log is kept when it ends; 0 for none.",
        )
        .default("64"),
    ],
};

/// How long things may take, and how often we look.
#[derive(Clone, Debug)]
pub struct ServersConfig {
    /// From the request until the spawner says the server was started; pulling
    /// an image does not count.
    pub start_timeout: Duration,
    /// From there until the server answers HTTP.
    pub http_timeout: Duration,
    /// How often a running server is looked at, besides the backend's events.
    pub poll_interval: Duration,
    /// How long an API call waits for a start before it answers 202.
    pub slow_spawn_timeout: Duration,
    /// How long an API call waits for a stop before it answers 202.
    pub slow_stop_timeout: Duration,
    /// Whether servers are told that administrators may enter.
    pub admin_access: bool,
    /// How much of a server's log is kept when it ends, in bytes; 0 for none.
    pub kept_log_bytes: usize,
}

/// Most that is kept of one server's log: what a spawner hands out at once.
const MOST_LOG_KIB: usize = 256;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawServers {
    start_timeout_seconds: u64,
    http_timeout_seconds: u64,
    poll_interval_seconds: u64,
    slow_spawn_timeout_seconds: u64,
    slow_stop_timeout_seconds: u64,
    admin_access: bool,
    kept_log_kib: usize,
}

impl Default for RawServers {
    /// The defaults of JupyterHub's `Spawner` and `JupyterHub` classes.
    fn default() -> Self {
        Self {
            start_timeout_seconds: 60,
            http_timeout_seconds: 30,
            poll_interval_seconds: 30,
            slow_spawn_timeout_seconds: 10,
            slow_stop_timeout_seconds: 10,
            admin_access: false,
            // Ours: JupyterHub keeps nothing.
            kept_log_kib: 64,
        }
    }
}

impl RawServers {
    pub(super) fn check(self) -> Result<ServersConfig, ConfigError> {
        for (key, seconds) in [
            ("servers.start_timeout_seconds", self.start_timeout_seconds),
            ("servers.http_timeout_seconds", self.http_timeout_seconds),
            ("servers.poll_interval_seconds", self.poll_interval_seconds),
        ] {
            if seconds == 0 || seconds > 86_400 {
                return Err(ConfigError::value(
                    key,
                    format!("{seconds} is out of range; use 1 to 86400"),
                ));
            }
        }
        if self.kept_log_kib > MOST_LOG_KIB {
            return Err(ConfigError::value(
                "servers.kept_log_kib",
                format!("{} is out of range; use 0 to {MOST_LOG_KIB}", self.kept_log_kib),
            ));
        }
        Ok(ServersConfig {
            start_timeout: Duration::from_secs(self.start_timeout_seconds),
            http_timeout: Duration::from_secs(self.http_timeout_seconds),
            poll_interval: Duration::from_secs(self.poll_interval_seconds),
            slow_spawn_timeout: Duration::from_secs(self.slow_spawn_timeout_seconds),
            slow_stop_timeout: Duration::from_secs(self.slow_stop_timeout_seconds),
            admin_access: self.admin_access,
            kept_log_bytes: self.kept_log_kib * 1024,
        })
    }
}
