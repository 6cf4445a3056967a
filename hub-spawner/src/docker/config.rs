//! How an operator sets up the Docker spawner.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de};

use serde_json::{Map, Value};

use super::{
    AllowedImages, CommandLine, CreateHostDirs, Gpus, GroupOverride, Isolation, MountConfig,
    OnUserDelete, PortRange, RegistryLogin, ReuseStopped, SharedFolder, SystemUsers,
    VolumeMigration, VolumeTarget, blueprint::Blueprint, object_name::Escape, ownership::Account,
};
use crate::{
    InvalidConfig, MemoryAllowance, MemoryLimit, OnUnhealthy,
    engine::{DockerHost, HostSettings},
};

/// Capabilities of Docker's default set that a notebook server does without:
/// raw sockets, device nodes, the audit log, changed roots, file capabilities
/// and ports below 1024. The others stay, since images that change the owner of
/// a home directory or the user they run as need them.
const DROPPED_CAPABILITIES: &[&str] =
    &["AUDIT_WRITE", "MKNOD", "NET_BIND_SERVICE", "NET_RAW", "SETFCAP", "SETPCAP", "SYS_CHROOT"];

/// How servers run as containers. Only `image` has to be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(default = "DockerConfig::without_image", deny_unknown_fields)]
pub struct DockerConfig {
    /// Where the daemon listens: `unix://`, `tcp://`, `http://`, `https://` or
    /// `ssh://`. Default: that of `context`, or the local socket. The environment
    /// is not looked at.
    pub host: Option<String>,
    /// Whether a `tcp://` address is spoken to with TLS. A text is true unless it
    /// is empty, as in `DOCKER_TLS_VERIFY`.
    #[serde(deserialize_with = "switch")]
    pub tls_verify: bool,
    /// The directory with `ca.pem`, `cert.pem` and `key.pem`. Default:
    /// `config_dir`.
    pub cert_path: Option<PathBuf>,
    /// A context made with `docker context create`; `host` goes before it.
    pub context: Option<String>,
    /// Where Docker's own tools keep their settings, such as `/home/hub/.docker`.
    pub config_dir: Option<PathBuf>,
    /// A configuration file for `ssh`. Default: that of the hub's user.
    pub ssh_config: Option<PathBuf>,
    /// Tells what this hub made from what other hubs at the same daemon made.
    /// Default `hub`. Changing it abandons all running servers.
    pub deployment: String,
    /// The image servers run from, `[host[:port]/]path[:tag][@digest]`.
    pub image: String,
    /// Logins at registries, by their host, such as `registry.example:5000`; they go
    /// before what `config.json` in `config_dir` says.
    pub registry_auth: BTreeMap<String, RegistryLogin>,
    /// Whether all images that servers may run from are fetched when the hub starts.
    pub prepull: bool,
    /// The images that users may choose from with the start option `image`: a table
    /// of names and images, a list, or `"*"` for any. Default: nobody chooses.
    pub allowed_images: AllowedImages,
    /// The command, as text or list. Default: the image's own. The entry point of
    /// the image is never touched.
    pub cmd: Option<CommandLine>,
    /// Arguments added to `cmd`, or to the image's command.
    pub args: CommandLine,
    /// The network servers are in; made if it does not exist. Default
    /// `jupyterhub-network`.
    pub network: String,
    /// Further networks servers are in; made if they do not exist.
    pub networks: Vec<String>,
    /// Whether all servers share `network`, or each user has a network of their own.
    pub isolation: Isolation,
    /// Containers of the hub and its proxy, which are taken into each user's network
    /// where `isolation` is `per-user`. None are needed where the hub is no container.
    pub hub_containers: Vec<String>,
    /// From where users' networks get their addresses, such as `10.200.0.0/16`: 14
    /// servers each. Default: the daemon chooses, and mostly has 31 networks to give.
    pub isolation_subnets: Option<String>,
    /// Legacy links to other containers: name to alias.
    pub links: BTreeMap<String, String>,
    /// What is mounted where: volume name or absolute host path to path in the
    /// container. Both may use `{username}`, `{raw_username}`, `{servername}`,
    /// `{raw_servername}`, `{prefix}` and `{imagename}`. Default: the volume
    /// `jupyterhub-user-{username}` at `notebook_dir`.
    pub volumes: Option<BTreeMap<String, VolumeTarget>>,
    /// The same, and servers cannot write there.
    pub read_only_volumes: BTreeMap<String, VolumeTarget>,
    /// Mounts that need more words: kind, driver, part of a volume, size. Volumes among
    /// them are made, labelled and found as those of `volumes`.
    pub mounts: Vec<MountConfig>,
    /// Folders that are mounted for members of groups.
    pub shared: Vec<SharedFolder>,
    /// The driver of volumes that are made for users. Default: the daemon's.
    pub volume_driver: Option<String>,
    /// Options of that driver.
    pub volume_driver_options: BTreeMap<String, String>,
    /// Whom a new volume belongs to where the image has no directory of its own at
    /// its place, `uid` or `uid:gid`. Default `1000:100`; empty: root. One whose driver
    /// options name a `device` keeps its owner.
    pub volume_owner: Account,
    /// How host paths of `volumes` that do not exist are made. Default: by the
    /// daemon, for root.
    pub create_host_dirs: Option<CreateHostDirs>,
    /// What happens to a volume that an older spawner named differently.
    pub volume_migration: VolumeMigration,
    /// What happens to volumes of a user who is deleted.
    pub on_user_delete: OnUserDelete,
    /// Where `on_user_delete = "archive"` puts archives.
    pub archive_dir: Option<PathBuf>,
    /// Homes on the daemon's host, and servers that run as their owners.
    pub system_users: Option<SystemUsers>,
    /// The server's root directory; may use `{username}` (not escaped). Default
    /// `/home/jovyan/work`; empty: whatever the image does.
    pub notebook_dir: String,
    /// The page a server opens with, such as `/lab`.
    pub default_url: Option<String>,
    /// Begins the names of containers. Default `jupyter`.
    pub prefix: String,
    /// How containers are called; fields as in `volumes`. Default
    /// `{prefix}-{username}`, for named servers `{prefix}-{username}--{servername}`.
    pub name_template: Option<String>,
    /// How users' and servers' names are written in names: `dns` (the default), or
    /// `legacy` as before DockerSpawner 12.
    pub escape: Escape,
    /// The address servers listen on inside their container. Default `0.0.0.0`.
    pub ip: IpAddr,
    /// The port servers listen on inside their container. Default 8888.
    pub port: u16,
    /// Whether servers are reached at their address in the network, rather than
    /// at a port of the host. Default: yes, unless `network` is `bridge` or `host`.
    pub use_internal_ip: Option<bool>,
    /// Whether servers are reached by their container's name rather than its address:
    /// for a hub in the same network.
    pub use_internal_hostname: bool,
    /// The ports servers get where `network` is `host`, such as `9000-9100`: one each.
    pub host_ports: Option<PortRange>,
    /// The host's address at which ports are published, if they are. Default: the
    /// machine named in `host`, or `127.0.0.1`.
    pub host_ip: Option<IpAddr>,
    /// When the image is pulled. Default `ifnotpresent`.
    pub pull_policy: PullPolicy,
    /// Memory of one server: bytes, or a number and `K`, `M`, `G` or `T`. Default
    /// `host`; `none` for no limit.
    pub mem_limit: MemoryAllowance,
    /// Processors of one server, such as `1.5`. Default: no limit.
    pub cpu_limit: Option<f64>,
    /// Memory one server is promised.
    pub mem_guarantee: Option<MemoryLimit>,
    /// Processors one server is promised.
    pub cpu_guarantee: Option<f64>,
    /// Graphics processors of one server: `all`, a number, or a list of ids.
    pub gpus: Gpus,
    /// Ids of graphics processors of which each server gets as many as `gpus` says, and
    /// no two the same.
    pub gpu_pool: Vec<String>,
    /// How much a server may write outside its volumes, where the daemon can limit that.
    pub storage_size: Option<MemoryLimit>,
    /// Size of a user's volumes from which a start warns.
    pub disk_soft_limit: Option<MemoryLimit>,
    /// Size of a user's volumes from which nothing of theirs starts.
    pub disk_hard_limit: Option<MemoryLimit>,
    /// What differs for groups or users. Taken in the order of their names.
    pub group_overrides: BTreeMap<String, GroupOverride>,
    /// Processes and threads of one server. Default 4096.
    pub pids_limit: u32,
    /// Whom the container begins as, `user`, `uid` or `uid:gid`. Default: as the image
    /// says. Images whose start script changes to `NB_UID` need `root`.
    pub user: Option<String>,
    /// Variables for servers; they have the last word over all others.
    pub environment: BTreeMap<String, SecretString>,
    /// Whether a container is removed when its server is stopped. Default true.
    /// The files in volumes stay in either case.
    pub remove: bool,
    /// Whether a container that was kept is started again.
    pub reuse_stopped: ReuseStopped,
    /// A command that runs in each server's container after its start.
    pub post_start_cmd: CommandLine,
    /// Whether a server whose `post_start_cmd` fails is ended.
    pub post_start_required: bool,
    /// What a hub does with a server whose own health check fails.
    pub on_unhealthy: OnUnhealthy,
    /// Further fields of the create call, in Docker's words or docker-py's.
    pub extra_create_kwargs: Map<String, Value>,
    /// Further fields of its `HostConfig`.
    pub extra_host_config: Map<String, Value>,
    /// Whether `extra_host_config` may take from servers what keeps them inside.
    pub allow_unsafe_host_config: bool,
    /// Whether servers log in detail.
    pub debug: bool,
    /// Whether servers ignore the user's own Jupyter configuration.
    pub disable_user_config: bool,
    /// Capabilities taken from servers beyond those Docker never gives.
    pub drop_capabilities: Vec<String>,
    /// Whether programs of a server may gain rights that it does not begin with, as
    /// `sudo` does (`no_new_privs` of Linux is off then). Default false.
    pub allow_privilege_escalation: bool,
    /// How long a pull may take. Default 1800.
    pub pull_timeout_seconds: u64,
    /// How long a server may take to end when asked. Default 10.
    pub stop_timeout_seconds: u64,
    /// Size at which a container's log file is rotated. Default 10 MiB.
    pub log_max_bytes: u64,
    /// How many log files are kept per container. Default 3.
    pub log_max_files: u32,
}

/// When the image is pulled. Written in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Before each start.
    Always,
    /// When the daemon does not have it.
    #[default]
    IfNotPresent,
    /// Never; a missing image is an error before anything is created.
    Never,
    /// Never, and nobody looks whether it is there.
    Skip,
}

impl DockerConfig {
    /// The defaults, with this image.
    pub fn new(image: impl Into<String>) -> Self {
        Self { image: image.into(), ..Self::without_image() }
    }

    /// Checks all settings.
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense, with its key.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        if let Some(address) = self.host.as_deref().filter(|address| !address.is_empty()) {
            DockerHost::check(address)?;
        }
        Blueprint::read(self, None).map(drop)
    }

    /// Makes relative paths relative to `dir`, and uses `.docker` in `home` for
    /// Docker's own settings unless `config_dir` says otherwise.
    pub fn settle(&mut self, dir: &Path, home: Option<&Path>) {
        for path in
            [&mut self.cert_path, &mut self.config_dir, &mut self.ssh_config, &mut self.archive_dir]
        {
            *path = path.take().filter(|path| !path.as_os_str().is_empty()).map(|p| dir.join(p));
        }
        self.config_dir = self.config_dir.take().or_else(|| home.map(|home| home.join(".docker")));
    }

    /// What this says about the daemon.
    pub fn host_settings(&self) -> HostSettings {
        HostSettings {
            host: self.host.clone(),
            tls_verify: self.tls_verify,
            cert_path: self.cert_path.clone(),
            context: self.context.clone(),
            config_dir: self.config_dir.clone(),
            ssh_config: self.ssh_config.clone(),
        }
    }

    fn without_image() -> Self {
        Self {
            host: None,
            tls_verify: false,
            cert_path: None,
            context: None,
            config_dir: None,
            ssh_config: None,
            deployment: "hub".to_owned(),
            image: String::new(),
            registry_auth: BTreeMap::new(),
            prepull: false,
            allowed_images: AllowedImages::None,
            cmd: None,
            args: CommandLine::default(),
            network: "jupyterhub-network".to_owned(),
            networks: Vec::new(),
            isolation: Isolation::default(),
            hub_containers: Vec::new(),
            isolation_subnets: None,
            links: BTreeMap::new(),
            volumes: None,
            read_only_volumes: BTreeMap::new(),
            mounts: Vec::new(),
            shared: Vec::new(),
            volume_driver: None,
            volume_driver_options: BTreeMap::new(),
            volume_owner: Account::default(),
            create_host_dirs: None,
            volume_migration: VolumeMigration::default(),
            on_user_delete: OnUserDelete::default(),
            archive_dir: None,
            system_users: None,
            notebook_dir: "/home/jovyan/work".to_owned(),
            default_url: None,
            prefix: "jupyter".to_owned(),
            name_template: None,
            escape: Escape::default(),
            ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 8888,
            use_internal_ip: None,
            use_internal_hostname: false,
            host_ports: None,
            host_ip: None,
            pull_policy: PullPolicy::default(),
            mem_limit: MemoryAllowance::default(),
            cpu_limit: None,
            mem_guarantee: None,
            cpu_guarantee: None,
            gpus: Gpus::default(),
            gpu_pool: Vec::new(),
            storage_size: None,
            disk_soft_limit: None,
            disk_hard_limit: None,
            group_overrides: BTreeMap::new(),
            pids_limit: 4096,
            user: None,
            environment: BTreeMap::new(),
            remove: true,
            reuse_stopped: ReuseStopped::default(),
            post_start_cmd: CommandLine::default(),
            post_start_required: false,
            on_unhealthy: OnUnhealthy::default(),
            extra_create_kwargs: Map::new(),
            extra_host_config: Map::new(),
            allow_unsafe_host_config: false,
            debug: false,
            disable_user_config: false,
            drop_capabilities: DROPPED_CAPABILITIES.iter().map(|&name| name.to_owned()).collect(),
            allow_privilege_escalation: false,
            pull_timeout_seconds: 30 * 60,
            stop_timeout_seconds: 10,
            log_max_bytes: 10 << 20,
            log_max_files: 3,
        }
    }
}

impl<'de> Deserialize<'de> for PullPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.to_ascii_lowercase().as_str() {
            "always" => Ok(Self::Always),
            "ifnotpresent" => Ok(Self::IfNotPresent),
            "never" => Ok(Self::Never),
            "skip" => Ok(Self::Skip),
            _ => {
                Err(de::Error::unknown_variant(&text, &["always", "ifnotpresent", "never", "skip"]))
            }
        }
    }
}

/// True or false, or a text of Docker's environment: on unless it is empty.
fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    struct Switch;

    impl de::Visitor<'_> for Switch {
        type Value = bool;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("true or false")
        }

        fn visit_bool<E: de::Error>(self, on: bool) -> Result<Self::Value, E> {
            Ok(on)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(!text.is_empty())
        }
    }

    deserializer.deserialize_any(Switch)
}

#[cfg(test)]
mod tests;
