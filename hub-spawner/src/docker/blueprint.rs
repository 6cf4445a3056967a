//! The configuration, read once and known to make sense.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use hub_names::ServerKey;
use secrecy::{ExposeSecret, SecretString};

use super::{
    AllowedImages, CreateHostDirs, DockerConfig, Gpus, Isolation, OnUserDelete, PortRange,
    PullPolicy, ReuseStopped, SystemUsers, VolumeMigration,
    disk::DiskLimits,
    extra::Extra,
    isolation::Pool,
    mounts::{self, MountPlan, Mounted},
    object_name::{Names, is_object_name},
    overrides::Override,
    ownership::Account,
    security::Sockets,
};
use crate::{
    InvalidConfig, MemoryAllowance, MemoryLimit, OnUnhealthy, Preset, ServerSettings,
    engine::{ImageReference, LogRotation, RegistryLogin},
    environment,
};

/// All that containers of this deployment have in common.
#[derive(Clone, Debug)]
pub(super) struct Blueprint {
    pub(super) deployment: String,
    pub(super) image: ImageReference,
    pub(super) allowed_images: AllowedImages,
    pub(super) command: Option<Vec<String>>,
    pub(super) args: Vec<String>,
    pub(super) registry_auth: BTreeMap<String, RegistryLogin>,
    pub(super) config_dir: Option<PathBuf>,
    pub(super) prepull: bool,
    pub(super) network: String,
    pub(super) networks: Vec<String>,
    pub(super) isolation: Isolation,
    pub(super) hub_containers: Vec<String>,
    pub(super) subnets: Option<Pool>,
    pub(super) links: BTreeMap<String, String>,
    pub(super) host_ports: Option<PortRange>,
    pub(super) reach: Reach,
    pub(super) names: Names,
    pub(super) volumes: Vec<Mounted>,
    pub(super) mounts: Vec<MountPlan>,
    pub(super) volume_driver: Option<String>,
    pub(super) volume_driver_options: BTreeMap<String, String>,
    pub(super) volume_owner: Account,
    pub(super) create_host_dirs: Option<CreateHostDirs>,
    pub(super) volume_migration: VolumeMigration,
    pub(super) on_user_delete: OnUserDelete,
    pub(super) archive_dir: Option<PathBuf>,
    pub(super) system_users: Option<SystemUsers>,
    pub(super) settings: ServerSettings,
    pub(super) pull_policy: PullPolicy,
    pub(super) memory: MemoryAllowance,
    pub(super) gpus: Gpus,
    pub(super) gpu_pool: Vec<String>,
    pub(super) storage_size: Option<MemoryLimit>,
    pub(super) disk: DiskLimits,
    pub(super) overrides: Vec<Override>,
    pub(super) pids_limit: u32,
    pub(super) allow_privilege_escalation: bool,
    pub(super) user: Option<String>,
    pub(super) drop_capabilities: Vec<String>,
    pub(super) remove: bool,
    pub(super) reuse: ReuseStopped,
    pub(super) post_start: Vec<String>,
    pub(super) post_start_required: bool,
    pub(super) on_unhealthy: OnUnhealthy,
    pub(super) extra: Extra,
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
    /// At its container's name in the network.
    Name,
    /// At a port published on this address of the host.
    Published(IpAddr),
    /// At its own port on this address of the host, whose network it shares.
    Host(IpAddr),
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
        let template = config.name_template.as_deref();
        let names = Names::new(template, &config.prefix, &image, config.escape)?;
        let sockets = Sockets::of(config.host.as_deref());
        sockets.check_driver_options("volume_driver_options", &config.volume_driver_options)?;
        let overrides = config
            .group_overrides
            .iter()
            .map(|(name, one)| Override::read(name, one, config, &names))
            .collect::<Result<_, _>>()?;
        let notebook_dir = Some(notebook_dir(config)).filter(|dir| !dir.is_empty());
        for (key, text) in [("notebook_dir", &notebook_dir), ("default_url", &config.default_url)] {
            if let Some(text) = text {
                environment::check_path(key, text)?;
            }
        }
        Ok(Self {
            deployment: config.deployment.clone(),
            command: config.cmd.as_ref().map(|cmd| cmd.words().to_vec()).filter(|c| !c.is_empty()),
            args: config.args.words().to_vec(),
            registry_auth: config.registry_auth.clone(),
            config_dir: config.config_dir.clone(),
            prepull: config.prepull,
            network: config.network.clone(),
            networks: config.networks.clone(),
            isolation: config.isolation,
            hub_containers: config.hub_containers.clone(),
            subnets: config
                .isolation_subnets
                .as_deref()
                .map(|text| text.parse().map_err(invalid("isolation_subnets")))
                .transpose()?,
            links: config.links.clone(),
            host_ports: config.host_ports,
            reach: reach(config, machine),
            volumes: mounts::read_volumes(config, &names)?,
            mounts: mounts::read_mounts(&config.mounts, &names, &sockets)?,
            volume_driver: config.volume_driver.clone(),
            volume_driver_options: config.volume_driver_options.clone(),
            volume_owner: config.volume_owner,
            create_host_dirs: config.create_host_dirs,
            volume_migration: config.volume_migration,
            on_user_delete: config.on_user_delete,
            archive_dir: config.archive_dir.clone(),
            system_users: config.system_users.clone(),
            names,
            settings: ServerSettings {
                ip: match config.ip {
                    IpAddr::V4(ip) => ip.to_string(),
                    IpAddr::V6(ip) => format!("[{ip}]"),
                },
                port: config.port,
                notebook_dir,
                default_url: config.default_url.clone().filter(|url| !url.is_empty()),
                // What nobody chose is not told to servers.
                memory_limit: config.mem_limit.chosen().map(MemoryLimit::bytes),
                memory_guarantee: config.mem_guarantee.map(MemoryLimit::bytes),
                cpu_limit: config.cpu_limit,
                cpu_guarantee: config.cpu_guarantee,
                image: Some(config.image.clone()),
                debug: config.debug,
                disable_user_config: config.disable_user_config,
                environment: config.environment.clone(),
            },
            image,
            allowed_images: config.allowed_images.clone(),
            pull_policy: config.pull_policy,
            memory: config.mem_limit,
            gpus: config.gpus.clone(),
            gpu_pool: config.gpu_pool.clone(),
            storage_size: config.storage_size,
            disk: DiskLimits { soft: config.disk_soft_limit, hard: config.disk_hard_limit },
            overrides,
            pids_limit: config.pids_limit,
            allow_privilege_escalation: config.allow_privilege_escalation,
            user: config.user.clone(),
            drop_capabilities: config.drop_capabilities.clone(),
            remove: config.remove,
            reuse: config.reuse_stopped,
            post_start: config.post_start_cmd.words().to_vec(),
            post_start_required: config.post_start_required,
            on_unhealthy: config.on_unhealthy,
            extra: Extra::read(
                &config.extra_create_kwargs,
                &config.extra_host_config,
                has_gpus(config),
                config.allow_unsafe_host_config,
                &sockets,
            )?,
            pull_timeout: Duration::from_secs(config.pull_timeout_seconds),
            stop_timeout: Duration::from_secs(config.stop_timeout_seconds),
            log: LogRotation { max_bytes: config.log_max_bytes, max_files: config.log_max_files },
            daemon: machine,
        })
    }

    /// The same with what overrides and `preset` say differently for the server of
    /// `key`. Names stay as they are, so that a user keeps their volume.
    ///
    /// # Errors
    ///
    /// An image that is none.
    pub(super) fn with(&self, key: &ServerKey, preset: &Preset) -> Result<Self, InvalidConfig> {
        let mut own = self.clone();
        for one in self.overrides.iter().filter(|one| one.is_for(key.user(), &preset.groups)) {
            one.apply(&mut own, key);
        }
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

    /// All images that servers may run from.
    pub(super) fn all_images(&self) -> BTreeSet<ImageReference> {
        let allowed = self.allowed_images.images().filter_map(|image| image.parse().ok());
        let overrides = self.overrides.iter().flat_map(Override::images);
        [self.image.clone()].into_iter().chain(allowed).chain(overrides).collect()
    }

    /// Whether all servers share one network.
    pub(super) fn is_shared(&self) -> bool {
        self.isolation == Isolation::Shared
    }

    /// Whether the network is one that has to be made.
    pub(super) fn has_own_network(&self) -> bool {
        !is_of_every_daemon(&self.network)
    }
}

/// Whether this network is one that every daemon has.
pub(super) fn is_of_every_daemon(network: &str) -> bool {
    matches!(network, "bridge" | "host")
}

/// Whether servers of anybody have graphics processors.
pub(super) fn has_gpus(config: &DockerConfig) -> bool {
    let own = config.group_overrides.values().filter_map(|own| own.gpus.as_ref());
    !config.gpu_pool.is_empty() || own.chain([&config.gpus]).any(Gpus::is_some)
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
    if let Some(name) = config.networks.iter().find(|name| !is_object_name(name)) {
        return refuse("networks", &format!("{name:?} is not the name of a network"));
    }
    isolation(config)?;
    if config.host_ports.is_some() && config.network != "host" {
        return refuse("host_ports", "is for network = \"host\"; elsewhere each has its address");
    }
    if config.network == "host" && config.host_ports.is_none() {
        return refuse(
            "host_ports",
            "is needed where network is \"host\": servers share the host's ports; name as many as \
             servers are to run, such as \"9000-9100\"",
        );
    }
    config.gpus.check(&config.gpu_pool)?;
    DiskLimits { soft: config.disk_soft_limit, hard: config.disk_hard_limit }.check()?;
    if config.on_user_delete == OnUserDelete::Archive && config.archive_dir.is_none() {
        return refuse("archive_dir", "is needed by on_user_delete = \"archive\"");
    }
    if config.post_start_required && config.post_start_cmd.words().is_empty() {
        return refuse("post_start_required", "has no effect without post_start_cmd");
    }
    if let Some(users) = &config.system_users {
        users.check()?;
    }
    let guarantee = config.mem_guarantee.zip(config.mem_limit.chosen());
    if guarantee.is_some_and(|(guarantee, limit)| guarantee > limit) {
        return refuse("mem_guarantee", "is more than mem_limit");
    }
    if config.cpu_guarantee.is_some_and(|count| !(count.is_finite() && count > 0.0)) {
        return refuse("cpu_guarantee", "must be more than 0");
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
    check_variables(&config.environment)?;
    if !config.allow_privilege_escalation && asks_for_sudo(&config.environment) {
        return refuse(
            "environment",
            "GRANT_SUDO has no effect without allow_privilege_escalation = true",
        );
    }
    Ok(())
}

fn isolation(config: &DockerConfig) -> Result<(), InvalidConfig> {
    let refuse = |key, reason: &str| Err(InvalidConfig::new(key, reason));
    let pool: Option<Pool> = config
        .isolation_subnets
        .as_deref()
        .map(|text| text.parse().map_err(invalid("isolation_subnets")))
        .transpose()?;
    match (config.isolation, pool) {
        (Isolation::Shared, Some(_)) => {
            refuse("isolation_subnets", "has no effect without isolation = \"per-user\"")
        }
        (Isolation::Shared, None) if !config.hub_containers.is_empty() => {
            refuse("hub_containers", "has no effect without isolation = \"per-user\"")
        }
        (Isolation::PerUser, _) if matches!(config.network.as_str(), "bridge" | "host") => {
            refuse("isolation", "users' networks are named after network; name one of your own")
        }
        (Isolation::PerUser, _) if !config.networks.is_empty() => {
            refuse("networks", "would bring users together whom isolation keeps apart")
        }
        (Isolation::PerUser, Some(pool)) if !pool.is_usable() => {
            refuse("isolation_subnets", "must be between /8 and /28")
        }
        (Isolation::Shared | Isolation::PerUser, _) => Ok(()),
    }
}

/// Where the server's files are. A system user's are at home, unless somebody chose
/// another place.
fn notebook_dir(config: &DockerConfig) -> String {
    match &config.system_users {
        Some(users) if config.notebook_dir == DockerConfig::new("").notebook_dir => {
            users.image_homedir.clone()
        }
        Some(_) | None => config.notebook_dir.clone(),
    }
}

/// Docker's notation: user and perhaps group, each a name or a number.
pub(super) fn is_account(text: &str) -> bool {
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
pub(super) fn asks_for_sudo(environment: &BTreeMap<String, SecretString>) -> bool {
    let asked = environment.get("GRANT_SUDO").map(ExposeSecret::expose_secret);
    asked.is_some_and(|value| matches!(value, "1" | "yes"))
}

/// Refuses names that no variable can have.
pub(super) fn check_variables(
    environment: &BTreeMap<String, SecretString>,
) -> Result<(), InvalidConfig> {
    let is_variable = |name: &str| !name.is_empty() && !name.contains(['=', '\0']);
    match environment.keys().find(|name| !is_variable(name)) {
        Some(name) => {
            let reason = format!("{name:?} is not the name of a variable");
            Err(InvalidConfig::new("environment", reason))
        }
        None => Ok(()),
    }
}

fn reach(config: &DockerConfig, machine: Option<IpAddr>) -> Reach {
    let ip = config.host_ip.or(machine).unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let built_in = matches!(config.network.as_str(), "bridge" | "host");
    match config.network.as_str() {
        "host" => Reach::Host(ip),
        _ if config.use_internal_hostname => Reach::Name,
        _ if config.use_internal_ip.unwrap_or(!built_in) => Reach::Network,
        _ => Reach::Published(ip),
    }
}

fn invalid<E: ToString>(key: &'static str) -> impl Fn(E) -> InvalidConfig {
    move |error| InvalidConfig::new(key, error.to_string())
}
