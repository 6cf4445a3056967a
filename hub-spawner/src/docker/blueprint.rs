//! The configuration, read once and known to make sense.

use std::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use hub_names::ServerKey;
use secrecy::ExposeSecret;

use super::{
    AllowedImages, DockerConfig, PullPolicy,
    object_name::{FIELDS, Names, is_object_name},
};
use crate::{
    InvalidConfig, MemoryAllowance, MemoryLimit, Preset, ServerSettings,
    engine::{ImageReference, LogRotation},
    environment,
    template::Template,
};

/// All that containers of this deployment have in common.
#[derive(Clone, Debug)]
pub(super) struct Blueprint {
    pub(super) deployment: String,
    pub(super) image: ImageReference,
    pub(super) allowed_images: AllowedImages,
    pub(super) command: Option<Vec<String>>,
    pub(super) args: Vec<String>,
    pub(super) network: String,
    pub(super) reach: Reach,
    pub(super) names: Names,
    pub(super) volumes: Vec<Mounted>,
    pub(super) settings: ServerSettings,
    pub(super) pull_policy: PullPolicy,
    pub(super) memory: MemoryAllowance,
    pub(super) pids_limit: u32,
    pub(super) allow_privilege_escalation: bool,
    pub(super) user: Option<String>,
    pub(super) drop_capabilities: Vec<String>,
    pub(super) remove: bool,
    pub(super) pull_timeout: Duration,
    pub(super) stop_timeout: Duration,
    pub(super) log: LogRotation,
    /// Where the daemon is, if it is asked over a network.
    pub(super) daemon: Option<IpAddr>,
}

/// How the hub reaches a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// At its address in the network.
    Network,
    /// At a port published on this address of the host.
    Published(IpAddr),
    /// At its own port on this address of the host, whose network it shares.
    Host(IpAddr),
}

/// A volume or host path, and where it is mounted.
#[derive(Clone, Debug)]
pub(super) struct Mounted {
    pub(super) source: Template,
    pub(super) target: Template,
}

impl Blueprint {
    /// Reads the configuration. `machine` is the daemon's address, if it is asked
    /// over a network: ports are published there unless `host_ip` says otherwise
    /// (DM-2).
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense.
    pub(super) fn read(
        config: &DockerConfig,
        machine: Option<IpAddr>,
    ) -> Result<Self, InvalidConfig> {
        check(config)?;
        let image: ImageReference = match config.image.as_str() {
            "" => return Err(InvalidConfig::new("image", "is missing; name an image")),
            text => text.parse().map_err(invalid("image"))?,
        };
        for text in config.allowed_images.images() {
            let _: ImageReference = text.parse().map_err(invalid("allowed_images"))?;
        }
        let names = Names::new(config.name_template.as_deref(), &config.prefix, &image)?;
        let notebook_dir = Some(config.notebook_dir.clone()).filter(|dir| !dir.is_empty());
        for (key, text) in [("notebook_dir", &notebook_dir), ("default_url", &config.default_url)] {
            if let Some(text) = text {
                environment::check_path(key, text)?;
            }
        }
        Ok(Self {
            deployment: config.deployment.clone(),
            command: config.cmd.as_ref().map(|cmd| cmd.words().to_vec()).filter(|c| !c.is_empty()),
            args: config.args.words().to_vec(),
            network: config.network.clone(),
            reach: reach(config, machine),
            volumes: volumes(config, &names)?,
            names,
            settings: ServerSettings {
                port: config.port,
                notebook_dir,
                default_url: config.default_url.clone().filter(|url| !url.is_empty()),
                // What nobody chose is not told to servers.
                memory_limit: config.mem_limit.chosen().map(MemoryLimit::bytes),
                cpu_limit: config.cpu_limit,
                image: Some(config.image.clone()),
                debug: config.debug,
                disable_user_config: config.disable_user_config,
                environment: config.environment.clone(),
                ..ServerSettings::default()
            },
            image,
            allowed_images: config.allowed_images.clone(),
            pull_policy: config.pull_policy,
            memory: config.mem_limit,
            pids_limit: config.pids_limit,
            allow_privilege_escalation: config.allow_privilege_escalation,
            user: config.user.clone(),
            drop_capabilities: config.drop_capabilities.clone(),
            remove: config.remove,
            pull_timeout: Duration::from_secs(config.pull_timeout_seconds),
            stop_timeout: Duration::from_secs(config.stop_timeout_seconds),
            log: LogRotation { max_bytes: config.log_max_bytes, max_files: config.log_max_files },
            daemon: machine,
        })
    }

    /// The same with what `preset` says differently. Names stay as they are, so that
    /// a user keeps their volume.
    ///
    /// # Errors
    ///
    /// An image that is none.
    pub(super) fn with(&self, preset: &Preset) -> Result<Self, InvalidConfig> {
        let mut own = self.clone();
        if let Some(image) = &preset.image {
            own.image = image.parse().map_err(invalid("image"))?;
            own.settings.image = Some(image.clone());
        }
        if let Some(limit) = preset.memory_limit {
            own.memory = MemoryAllowance::Limited(limit);
            own.settings.memory_limit = Some(limit.bytes());
        }
        own.settings.cpu_limit = preset.cpu_limit.or(own.settings.cpu_limit);
        Ok(own)
    }

    /// Whether the network is one that has to be made, rather than one that every
    /// daemon has.
    pub(super) fn has_own_network(&self) -> bool {
        !matches!(self.network.as_str(), "bridge" | "host")
    }
}

fn check(config: &DockerConfig) -> Result<(), InvalidConfig> {
    let refuse = |key, reason: &str| Err(InvalidConfig::new(key, reason));
    if !is_object_name(&config.deployment) {
        return refuse("deployment", "use two or more letters, digits, dots, dashes, underscores");
    }
    match config.network.as_str() {
        "none" => return refuse("network", "a server without a network cannot be reached"),
        name if !is_object_name(name) => return refuse("network", "is not the name of a network"),
        _ => {}
    }
    if config.port == 0 {
        return refuse("port", "0 is no port");
    }
    if config.cpu_limit.is_some_and(|count| !(count.is_finite() && count >= 0.01)) {
        return refuse("cpu_limit", "must be at least 0.01");
    }
    if config.pids_limit == 0 {
        return refuse("pids_limit", "must be at least 1");
    }
    if config.log_max_bytes == 0 || config.log_max_files == 0 {
        let key = if config.log_max_bytes == 0 { "log_max_bytes" } else { "log_max_files" };
        return refuse(key, "must be at least 1");
    }
    if config.user.as_deref().is_some_and(|user| !is_account(user)) {
        return refuse("user", "write a user of the image, or uid, or uid:gid");
    }
    if let Some(name) = config.environment.keys().find(|name| !is_variable(name)) {
        return refuse("environment", &format!("{name:?} is not the name of a variable"));
    }
    if !config.allow_privilege_escalation && asks_for_sudo(config) {
        return refuse(
            "environment",
            "GRANT_SUDO has no effect without allow_privilege_escalation = true",
        );
    }
    Ok(())
}

/// Docker's notation: user and perhaps group, each a name or a number.
fn is_account(text: &str) -> bool {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
    };
    match text.split_once(':') {
        Some((user, group)) => is_part(user) && is_part(group),
        None => is_part(text),
    }
}

/// As the start script of docker-stacks reads it.
fn asks_for_sudo(config: &DockerConfig) -> bool {
    let asked = config.environment.get("GRANT_SUDO").map(ExposeSecret::expose_secret);
    asked.is_some_and(|value| matches!(value, "1" | "yes"))
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0'])
}

fn reach(config: &DockerConfig, machine: Option<IpAddr>) -> Reach {
    let ip = config.host_ip.or(machine).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let built_in = matches!(config.network.as_str(), "bridge" | "host");
    match config.network.as_str() {
        "host" => Reach::Host(ip),
        _ if config.use_internal_ip.unwrap_or(!built_in) => Reach::Network,
        _ => Reach::Published(ip),
    }
}

fn volumes(config: &DockerConfig, names: &Names) -> Result<Vec<Mounted>, InvalidConfig> {
    let read = |text: &str| Template::parse(text, FIELDS).map_err(invalid("volumes"));
    let mut volumes = Vec::new();
    match &config.volumes {
        Some(table) => {
            for (source, target) in table {
                volumes.push(Mounted { source: read(source)?, target: read(target)? });
            }
        }
        None if config.notebook_dir.is_empty() => {}
        None => {
            // In `notebook_dir` the name is not escaped, in `volumes` it is.
            let target = config.notebook_dir.replace("{username}", "{raw_username}");
            let source = read("jupyterhub-user-{username}")?;
            volumes.push(Mounted { source, target: read(&target)? });
        }
    }
    let sample = ServerKey::default_of("ada".parse().expect("a valid name"));
    for mounted in &volumes {
        mounted.render(names, &sample).map_err(|reason| InvalidConfig::new("volumes", reason))?;
    }
    Ok(volumes)
}

impl Mounted {
    /// Source and target for a server, or what is wrong with them.
    pub(super) fn render(
        &self,
        names: &Names,
        key: &ServerKey,
    ) -> Result<(String, String), String> {
        let source = names.render(&self.source, key);
        let target = names.render(&self.target, key);
        // A colon ends the source or target in Docker's notation, so a user's
        // name with one in it could choose the rest.
        let bad_path = |path: &str| {
            !path.starts_with('/') || path.contains(':') || path.split('/').any(|part| part == "..")
        };
        if bad_path(&target) {
            return Err(format!(
                "the target {target:?} is not an absolute path without `:` or `..`"
            ));
        }
        if !is_object_name(&source) && bad_path(&source) {
            return Err(format!(
                "the source {source:?} is neither a volume's name nor an absolute path"
            ));
        }
        Ok((source, target))
    }

    /// What the volume was called by older spawners, the newest first.
    pub(super) fn older_volumes(&self, names: &Names, key: &ServerKey) -> Vec<String> {
        let mut older = names.render_older(&self.source, key);
        older.retain(|name| is_object_name(name));
        older
    }
}

fn invalid<E: ToString>(key: &'static str) -> impl Fn(E) -> InvalidConfig {
    move |error| InvalidConfig::new(key, error.to_string())
}
