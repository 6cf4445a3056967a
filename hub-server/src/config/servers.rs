//! `[servers]`: time limits of single-user servers, how many there may be, and
//! named ones.

use std::{ops::RangeInclusive, path::Path, time::Duration};

use hub_names::ServerName;

use serde::Deserialize;

use super::{
    ConfigError,
    key::{Key, Kind, Section},
    read,
};

pub(super) const SECTION: Section = Section {
    name: "servers",
    about: "Single-user servers: time limits, how many there may be, named servers, and what people may choose.",
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
        Key::new(
            "servers.allow_named_servers",
            Kind::Boolean,
            "Whether users may have more servers than one, each with a name.",
        )
        .default("false"),
        Key::new(
            "servers.named_server_limit_per_user",
            Kind::Integer("servers"),
            "How many named servers a user may have; 0: no limit.",
        )
        .default("0"),
        Key::new(
            "servers.default_server_name",
            Kind::Text,
            "The named server that `/hub/user-redirect/...` leads to, if named servers are allowed. Empty: the one without a name.",
        )
        .default("\"\""),
        Key::new(
            "servers.options_form",
            Kind::Text,
            "HTML that is put into the form before a start; what people fill in becomes the options of the start.",
        )
        .example("\"<label>Size <input name=size></label>\""),
        Key::new(
            "servers.options_form_file",
            Kind::File,
            "A file with that HTML, instead of `options_form`.",
        )
        .example("\"options.html\""),
        Key::new(
            "servers.concurrent_spawn_limit",
            Kind::Integer("servers"),
            "How many servers may be starting at once; others are told to come again. 0: no limit.",
        )
        .default("100"),
        Key::new(
            "servers.spawn_throttle_retry_range_seconds",
            Kind::Text,
            "When to come again: a random number of seconds in this range.",
        )
        .default("\"30-60\""),
        Key::new(
            "servers.active_server_limit",
            Kind::Integer("servers"),
            "How many servers may be up or on their way at once. 0: no limit.",
        )
        .default("0"),
        Key::new(
            "servers.consecutive_failure_limit",
            Kind::Integer("starts"),
            "After how many failed starts in a row the hub ends with exit code 1, for whoever watches over it to start it anew; what users chose wrongly does not count, nor that there is no room. 0: never.",
        )
        .default("0"),
        Key::new(
            "servers.init_spawners_timeout_seconds",
            Kind::Integer("seconds"),
            "How long the hub's start waits until the servers that ran before were looked at. The looks go on after that. -1: until they are done.",
        )
        .default("0")
        .restart(),
        Key::new(
            "servers.implicit_spawn_seconds",
            Kind::Number("seconds"),
            "After how long the page of a stopped server starts it by itself. 0: it does not.",
        )
        .default("0.0"),
        Key::new(
            "servers.use_legacy_stopped_server_status_code",
            Kind::Boolean,
            "Whether requests to a stopped server are answered with 503, for JupyterLab before 3.2, rather than with 424.",
        )
        .default("false"),
        Key::new(
            "servers.shutdown_on_logout",
            Kind::Boolean,
            "Whether the servers of somebody who signs out are stopped.",
        )
        .default("false"),
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
    /// Servers with a name.
    pub named: NamedServers,
    /// HTML of the form before a start, if the operator wrote one.
    pub options_form: Option<String>,
    /// How many servers there may be.
    pub admission: AdmissionLimits,
    /// After how many failed starts in a row the hub ends; 0: never.
    pub consecutive_failure_limit: u32,
    /// How long the hub's start waits for the looks at servers that ran before;
    /// `None`: until they are done.
    pub init_timeout: Option<Duration>,
    /// After how long the page of a stopped server starts it by itself.
    pub implicit_spawn: Option<Duration>,
    /// Whether requests to a stopped server are answered with 503.
    pub legacy_stopped_status: bool,
    /// Whether the servers of somebody who signs out are stopped.
    pub shutdown_on_logout: bool,
}

/// Servers with a name, beside the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamedServers {
    /// Whether there are any.
    pub allowed: bool,
    /// How many a user may have.
    pub limit_per_user: Option<u64>,
    /// The one that `/hub/user-redirect/` leads to; the default server if named
    /// servers are not allowed.
    pub default: ServerName,
}

/// How many servers there may be at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// On their way up.
    pub starting: Option<usize>,
    /// Up, or on their way.
    pub active: Option<usize>,
    /// When those who come too many are to come again, in seconds.
    pub retry_seconds: RangeInclusive<u64>,
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
    allow_named_servers: bool,
    named_server_limit_per_user: u64,
    default_server_name: String,
    options_form: Option<String>,
    options_form_file: Option<String>,
    concurrent_spawn_limit: usize,
    spawn_throttle_retry_range_seconds: String,
    active_server_limit: usize,
    consecutive_failure_limit: u32,
    init_spawners_timeout_seconds: i64,
    implicit_spawn_seconds: f64,
    use_legacy_stopped_server_status_code: bool,
    shutdown_on_logout: bool,
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
            allow_named_servers: false,
            named_server_limit_per_user: 0,
            default_server_name: String::new(),
            options_form: None,
            options_form_file: None,
            concurrent_spawn_limit: 100,
            spawn_throttle_retry_range_seconds: "30-60".to_owned(),
            active_server_limit: 0,
            consecutive_failure_limit: 0,
            // JupyterHub waits up to ten seconds; we listen first (RST-4).
            init_spawners_timeout_seconds: 0,
            implicit_spawn_seconds: 0.0,
            use_legacy_stopped_server_status_code: false,
            shutdown_on_logout: false,
        }
    }
}

impl RawServers {
    pub(super) fn check(self, dir: &Path) -> Result<ServersConfig, ConfigError> {
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
            named: self.named()?,
            admission: self.admission()?,
            init_timeout: self.init_timeout()?,
            implicit_spawn: self.implicit_spawn()?,
            options_form: self.options_form(dir)?,
            consecutive_failure_limit: self.consecutive_failure_limit,
            legacy_stopped_status: self.use_legacy_stopped_server_status_code,
            shutdown_on_logout: self.shutdown_on_logout,
            start_timeout: Duration::from_secs(self.start_timeout_seconds),
            http_timeout: Duration::from_secs(self.http_timeout_seconds),
            poll_interval: Duration::from_secs(self.poll_interval_seconds),
            slow_spawn_timeout: Duration::from_secs(self.slow_spawn_timeout_seconds),
            slow_stop_timeout: Duration::from_secs(self.slow_stop_timeout_seconds),
            admin_access: self.admin_access,
            kept_log_bytes: self.kept_log_kib * 1024,
        })
    }

    fn named(&self) -> Result<NamedServers, ConfigError> {
        let default: ServerName = self.default_server_name.parse().map_err(|error| {
            ConfigError::value(
                "servers.default_server_name",
                format!("is no server's name: {error}"),
            )
        })?;
        Ok(NamedServers {
            allowed: self.allow_named_servers,
            limit_per_user: Some(self.named_server_limit_per_user).filter(|limit| *limit > 0),
            default: if self.allow_named_servers { default } else { ServerName::DEFAULT },
        })
    }

    fn admission(&self) -> Result<AdmissionLimits, ConfigError> {
        let range = &self.spawn_throttle_retry_range_seconds;
        let retry_seconds = range
            .split_once('-')
            .and_then(|(from, to)| Some(from.trim().parse().ok()?..=to.trim().parse().ok()?))
            .filter(|range: &RangeInclusive<u64>| !range.is_empty() && *range.end() <= 86_400)
            .ok_or_else(|| {
                ConfigError::value(
                    "servers.spawn_throttle_retry_range_seconds",
                    format!("{range:?} is no range of seconds up to 86400; write \"30-60\""),
                )
            })?;
        Ok(AdmissionLimits {
            starting: Some(self.concurrent_spawn_limit).filter(|limit| *limit > 0),
            active: Some(self.active_server_limit).filter(|limit| *limit > 0),
            retry_seconds,
        })
    }

    fn init_timeout(&self) -> Result<Option<Duration>, ConfigError> {
        match self.init_spawners_timeout_seconds {
            -1 => Ok(None),
            seconds => match u64::try_from(seconds) {
                Ok(seconds) if seconds <= 86_400 => Ok(Some(Duration::from_secs(seconds))),
                _ => Err(ConfigError::value(
                    "servers.init_spawners_timeout_seconds",
                    format!("{seconds} is out of range; use -1 to 86400"),
                )),
            },
        }
    }

    fn implicit_spawn(&self) -> Result<Option<Duration>, ConfigError> {
        match self.implicit_spawn_seconds {
            0.0 => Ok(None),
            seconds if seconds > 0.0 && seconds <= 86_400.0 => {
                Ok(Some(Duration::from_secs_f64(seconds)))
            }
            seconds => Err(ConfigError::value(
                "servers.implicit_spawn_seconds",
                format!("{seconds} is out of range; use 0 to 86400"),
            )),
        }
    }

    /// The operator's form; an empty one is none.
    fn options_form(&self, dir: &Path) -> Result<Option<String>, ConfigError> {
        let form = match (&self.options_form, &self.options_form_file) {
            (Some(_), Some(_)) => {
                return Err(ConfigError::value(
                    "servers.options_form_file",
                    "options_form is set, too; keep one of them",
                ));
            }
            (Some(html), None) => Some(html.clone()),
            (None, Some(file)) if !file.is_empty() => Some(read::text(&dir.join(file))?),
            (None, _) => None,
        };
        Ok(form.filter(|html| !html.trim().is_empty()))
    }
}
