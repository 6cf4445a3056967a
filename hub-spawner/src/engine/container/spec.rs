//! A container as we want it -> the body of a create-container call. Pure.

use std::{
    collections::BTreeMap, collections::HashMap, net::IpAddr, path::PathBuf, time::Duration,
};

use bollard::models::{self as wire, ContainerCreateBody, HostConfig, MountType};
use secrecy::{ExposeSecret, SecretString};

use crate::engine::Labels;

/// Drivers that keep files which the daemon rotates.
const LOG_FILES: [&str; 2] = ["json-file", "local"];

/// A container to make. [`ContainerSpec::new`] runs what the image says; each
/// field changes one thing.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Its name, unique at the daemon.
    pub name: String,
    /// The image; it has to be there.
    pub image: String,
    /// The command; `None` for the image's own.
    pub command: Option<Vec<String>>,
    /// The entry point; `None` for the image's own, empty for none.
    pub entrypoint: Option<Vec<String>>,
    /// Variables. Their values are not printed.
    pub env: BTreeMap<String, SecretString>,
    /// What it is labelled with.
    pub labels: Labels,
    /// The user it runs as, `uid[:gid]` or a name the image knows; `None` for
    /// the image's own.
    pub user: Option<String>,
    /// Further groups of that user, by number or name.
    pub group_add: Vec<String>,
    /// The directory it starts in; `None` for the image's own.
    pub working_dir: Option<String>,
    /// Its host name; `None` for its id.
    pub hostname: Option<String>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// The networks it is in; none: the daemon's default bridge.
    pub networks: Vec<NetworkEnd>,
    /// Ports reached from outside.
    pub ports: Vec<PublishedPort>,
    /// Whether its own file system cannot be written to.
    pub read_only_root: bool,
    /// Capabilities taken away, such as `ALL`.
    pub cap_drop: Vec<String>,
    /// Capabilities given back.
    pub cap_add: Vec<String>,
    /// Security options, such as `no-new-privileges`.
    pub security_opt: Vec<String>,
    /// When the daemon starts it again.
    pub restart: RestartPolicy,
    /// How long it may take to end when asked; `None`: the daemon's 10 s.
    pub stop_grace: Option<Duration>,
    /// How the daemon finds out that it works; `None`: as the image says.
    pub healthcheck: Option<HealthCheck>,
    /// Whether a small init process reaps orphans.
    pub init: bool,
    /// Whether somebody is to be joined to its streams; for
    /// [`Engine::run_joined`](crate::engine::Engine::run_joined).
    pub interactive: Interactive,
    /// Memory it may use, in bytes; no swap on top.
    pub memory: Option<u64>,
    /// Processes and threads it may have.
    pub pids_limit: Option<u32>,
    /// When its log file is rotated; `None`: as the daemon is set up, often never.
    pub log: Option<LogRotation>,
}

/// Something to mount into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Absolute path in the container.
    pub target: String,
    /// Whether the container may not write there.
    pub read_only: bool,
}

/// Where mounted files come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MountSource {
    /// A named volume; made without labels if it does not exist.
    Volume(String),
    /// A volume of the container's own, which is removed with it.
    Anonymous,
    /// A path on the daemon's host; it has to exist.
    Bind(PathBuf),
    /// Memory.
    Tmpfs {
        /// How much, in bytes; `None`: half of the host's.
        bytes: Option<u64>,
    },
}

/// A network a container is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkEnd {
    /// Name or id of the network.
    pub network: String,
    /// Further names by which containers in it find this one.
    pub aliases: Vec<String>,
}

/// A port of the host that leads into a container, over TCP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    /// The host's address; `None` for all of them.
    pub host_ip: Option<IpAddr>,
    /// The host's port; `None`: the daemon chooses.
    pub host_port: Option<u16>,
    /// The port in the container.
    pub container_port: u16,
}

/// When the daemon starts a container again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// Whenever it ends, and when the daemon starts.
    Always,
    /// As `Always`, unless somebody stopped it.
    UnlessStopped,
    /// When it ends with another code than 0.
    OnFailure,
}

/// A command the daemon runs in a container to find out that it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The command and its arguments; no shell is involved.
    pub command: Vec<String>,
    /// Pause between two runs.
    pub interval: Duration,
    /// How long a run may take.
    pub timeout: Duration,
    /// How often in a row it may fail.
    pub retries: u32,
    /// How long failures do not count after the start.
    pub start_period: Duration,
}

/// Whether a container's standard input is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Interactive {
    /// It has ended from the start.
    #[default]
    No,
    /// Until whoever is joined to it ends it.
    Piped,
    /// The same, and all streams are a terminal.
    Terminal,
}

/// When a container's log file is rotated, where the daemon keeps log files.
/// Where its default is to send them elsewhere, they go there (FAQ-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRotation {
    /// Size of one file, in bytes.
    pub max_bytes: u64,
    /// How many files are kept.
    pub max_files: u32,
}

impl ContainerSpec {
    /// A container that runs what the image says.
    pub fn new(name: impl Into<String>, image: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            image: image.into(),
            command: None,
            entrypoint: None,
            env: BTreeMap::new(),
            labels: Labels::new(),
            user: None,
            group_add: Vec::new(),
            working_dir: None,
            hostname: None,
            mounts: Vec::new(),
            networks: Vec::new(),
            ports: Vec::new(),
            read_only_root: false,
            cap_drop: Vec::new(),
            cap_add: Vec::new(),
            security_opt: Vec::new(),
            restart: RestartPolicy::No,
            stop_grace: None,
            healthcheck: None,
            init: false,
            interactive: Interactive::No,
            memory: None,
            pids_limit: None,
            log: None,
        }
    }

    pub(super) fn body(&self, log_driver: &str) -> ContainerCreateBody {
        let first = self.networks.first();
        let env = self.env.iter().map(|(name, value)| format!("{name}={}", value.expose_secret()));
        let joined = (self.interactive != Interactive::No).then_some(true);
        ContainerCreateBody {
            image: Some(self.image.clone()),
            cmd: self.command.clone(),
            entrypoint: self.entrypoint.clone().map(entrypoint),
            env: Some(env.collect()),
            labels: Some(self.labels.clone().into_iter().collect()),
            user: self.user.clone(),
            working_dir: self.working_dir.clone(),
            hostname: self.hostname.clone(),
            open_stdin: joined,
            stdin_once: joined,
            attach_stdin: joined,
            attach_stdout: joined,
            attach_stderr: joined,
            tty: (self.interactive == Interactive::Terminal).then_some(true),
            exposed_ports: Some(self.ports.iter().map(PublishedPort::key).collect()),
            stop_timeout: self.stop_grace.map(whole_seconds),
            healthcheck: self.healthcheck.as_ref().map(healthcheck),
            host_config: Some(self.host_config(log_driver)),
            networking_config: first.map(|end| wire::NetworkingConfig {
                endpoints_config: Some(HashMap::from([(end.network.clone(), end.settings())])),
            }),
            ..ContainerCreateBody::default()
        }
    }

    fn host_config(&self, log_driver: &str) -> HostConfig {
        let memory = self.memory.and_then(|bytes| i64::try_from(bytes).ok());
        HostConfig {
            mounts: Some(self.mounts.iter().map(Mount::body).collect()),
            network_mode: self.networks.first().map(|end| end.network.clone()),
            port_bindings: Some(port_bindings(&self.ports)),
            group_add: some(&self.group_add),
            readonly_rootfs: Some(self.read_only_root),
            cap_drop: some(&self.cap_drop),
            cap_add: some(&self.cap_add),
            security_opt: some(&self.security_opt),
            restart_policy: Some(self.restart.body()),
            init: Some(self.init),
            memory,
            // Equal to memory: no swap on top, so that a limit is a limit (API-4).
            memory_swap: memory,
            pids_limit: self.pids_limit.map(i64::from),
            log_config: self.log.and_then(|rotation| rotation.body(log_driver)),
            ..HostConfig::default()
        }
    }
}

impl Mount {
    /// A named volume at `target`.
    pub fn volume(name: impl Into<String>, target: impl Into<String>) -> Self {
        Self::of(MountSource::Volume(name.into()), target)
    }

    /// A volume of the container's own at `target`.
    pub fn anonymous(target: impl Into<String>) -> Self {
        Self::of(MountSource::Anonymous, target)
    }

    /// A path of the daemon's host at `target`.
    pub fn bind(path: impl Into<PathBuf>, target: impl Into<String>) -> Self {
        Self::of(MountSource::Bind(path.into()), target)
    }

    /// Memory at `target`.
    pub fn tmpfs(target: impl Into<String>) -> Self {
        Self::of(MountSource::Tmpfs { bytes: None }, target)
    }

    /// The same, but the container may not write there.
    #[must_use]
    pub fn read_only(self) -> Self {
        Self { read_only: true, ..self }
    }

    fn of(source: MountSource, target: impl Into<String>) -> Self {
        Self { source, target: target.into(), read_only: false }
    }

    fn body(&self) -> wire::Mount {
        let (typ, source, tmpfs) = match &self.source {
            MountSource::Volume(name) => (MountType::VOLUME, Some(name.clone()), None),
            MountSource::Anonymous => (MountType::VOLUME, None, None),
            MountSource::Bind(path) => {
                (MountType::BIND, Some(path.to_string_lossy().into_owned()), None)
            }
            MountSource::Tmpfs { bytes } => {
                let size_bytes = bytes.and_then(|bytes| i64::try_from(bytes).ok());
                (MountType::TMPFS, None, Some(size_bytes))
            }
        };
        wire::Mount {
            target: Some(self.target.clone()),
            source,
            typ: Some(typ),
            read_only: Some(self.read_only),
            tmpfs_options: tmpfs.map(|size_bytes| wire::MountTmpfsOptions {
                size_bytes,
                ..wire::MountTmpfsOptions::default()
            }),
            ..wire::Mount::default()
        }
    }
}

impl NetworkEnd {
    /// In `network`, under the container's own name only.
    pub fn new(network: impl Into<String>) -> Self {
        Self { network: network.into(), aliases: Vec::new() }
    }

    /// The same, also found as `alias`.
    #[must_use]
    pub fn alias(mut self, alias: impl Into<String>) -> Self {
        self.aliases.push(alias.into());
        self
    }

    fn settings(&self) -> wire::EndpointSettings {
        wire::EndpointSettings { aliases: some(&self.aliases), ..wire::EndpointSettings::default() }
    }
}

impl PublishedPort {
    fn key(&self) -> String {
        format!("{}/tcp", self.container_port)
    }
}

impl RestartPolicy {
    fn body(self) -> wire::RestartPolicy {
        use wire::RestartPolicyNameEnum as Name;
        let name = match self {
            Self::No => Name::NO,
            Self::Always => Name::ALWAYS,
            Self::UnlessStopped => Name::UNLESS_STOPPED,
            Self::OnFailure => Name::ON_FAILURE,
        };
        wire::RestartPolicy { name: Some(name), maximum_retry_count: None }
    }
}

impl LogRotation {
    /// For a daemon whose default is `driver`; `None` leaves it at that.
    pub(crate) fn body(self, driver: &str) -> Option<wire::HostConfigLogConfig> {
        LOG_FILES.contains(&driver).then(|| wire::HostConfigLogConfig {
            typ: Some(driver.to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), self.max_bytes.to_string()),
                ("max-file".to_owned(), self.max_files.to_string()),
            ])),
        })
    }
}

/// An empty list means "as the image says" to the daemon, one empty text "none".
fn entrypoint(words: Vec<String>) -> Vec<String> {
    if words.is_empty() { vec![String::new()] } else { words }
}

fn port_bindings(ports: &[PublishedPort]) -> wire::PortMap {
    let mut map = wire::PortMap::new();
    for port in ports {
        let binding = wire::PortBinding {
            host_ip: port.host_ip.map(|ip| ip.to_string()),
            host_port: port.host_port.map(|port| port.to_string()),
        };
        map.entry(port.key()).or_default().get_or_insert_default().push(binding);
    }
    map
}

fn healthcheck(check: &HealthCheck) -> wire::HealthConfig {
    let nanos = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let mut test = vec!["CMD".to_owned()];
    test.extend(check.command.iter().cloned());
    wire::HealthConfig {
        test: Some(test),
        interval: Some(nanos(check.interval)),
        timeout: Some(nanos(check.timeout)),
        retries: Some(check.retries.into()),
        start_period: Some(nanos(check.start_period)),
        start_interval: None,
    }
}

fn whole_seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

fn some(words: &[String]) -> Option<Vec<String>> {
    (!words.is_empty()).then(|| words.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_container_says_little() {
        let body = ContainerSpec::new("c", "lab").body("json-file");
        assert_eq!((body.cmd, body.entrypoint, body.user), (None, None, None));
        let host = body.host_config.unwrap();
        assert_eq!((host.network_mode, host.log_config, host.memory), (None, None, None));
    }

    #[test]
    fn faq_1_logs_go_where_the_daemon_sends_them() {
        let rotation = LogRotation { max_bytes: 9, max_files: 2 };
        for driver in ["json-file", "local"] {
            let body = rotation.body(driver).unwrap();
            assert_eq!(body.typ.as_deref(), Some(driver));
            assert_eq!(body.config.unwrap()["max-size"], "9");
        }
        for driver in ["journald", "fluentd", "none", ""] {
            assert!(rotation.body(driver).is_none(), "{driver}");
        }
        let spec = ContainerSpec { log: Some(rotation), ..ContainerSpec::new("c", "lab") };
        let config = |driver| spec.body(driver).host_config.unwrap().log_config;
        assert_eq!(config("local"), rotation.body("local"));
        assert_eq!(config("syslog"), None);
    }

    #[test]
    fn one_port_may_be_published_twice() {
        let mut spec = ContainerSpec::new("c", "lab");
        for ip in ["127.0.0.1", "::1"] {
            spec.ports.push(PublishedPort {
                host_ip: ip.parse().ok(),
                host_port: Some(8443),
                container_port: 443,
            });
        }
        let bindings = spec.body("json-file").host_config.unwrap().port_bindings.unwrap();
        assert_eq!(bindings["443/tcp"].as_ref().unwrap().len(), 2);
    }

    #[test]
    fn the_first_network_is_joined_at_creation() {
        let mut spec = ContainerSpec::new("c", "lab");
        spec.networks.push(NetworkEnd::new("front").alias("hub"));
        spec.networks.push(NetworkEnd::new("back"));
        let body = spec.body("json-file");
        let ends = body.networking_config.unwrap().endpoints_config.unwrap();
        assert_eq!(ends.len(), 1);
        assert_eq!(ends["front"].aliases, Some(vec!["hub".to_owned()]));
        assert_eq!(body.host_config.unwrap().network_mode.as_deref(), Some("front"));
    }

    #[test]
    fn an_entry_point_can_be_taken_away() {
        let spec = ContainerSpec { entrypoint: Some(vec![]), ..ContainerSpec::new("c", "lab") };
        assert_eq!(spec.body("json-file").entrypoint, Some(vec![String::new()]));
    }

    #[test]
    fn values_of_variables_are_not_printed() {
        let mut spec = ContainerSpec::new("c", "lab");
        spec.env.insert("KEY".to_owned(), "hush".into());
        assert!(!format!("{spec:?}").contains("hush"));
        assert_eq!(spec.body("json-file").env, Some(vec!["KEY=hush".to_owned()]));
    }
}
