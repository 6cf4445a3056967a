//! How an operator sets up the Docker spawner.

use std::{
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de};

use super::{AllowedImages, blueprint::Blueprint, command::CommandLine};
use crate::{
    InvalidConfig, MemoryAllowance,
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
    /// What is mounted where: volume name or absolute host path to path in the
    /// container. Both may use `{username}`, `{raw_username}`, `{servername}`,
    /// `{raw_servername}`, `{prefix}` and `{imagename}`. Default: the volume
    /// `jupyterhub-user-{username}` at `notebook_dir`.
    pub volumes: Option<BTreeMap<String, String>>,
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
    /// The port servers listen on inside their container. Default 8888.
    pub port: u16,
    /// Whether servers are reached at their address in the network, rather than
    /// at a port of the host. Default: yes, unless `network` is `bridge` or `host`.
    pub use_internal_ip: Option<bool>,
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
        for path in [&mut self.cert_path, &mut self.config_dir, &mut self.ssh_config] {
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
            allowed_images: AllowedImages::None,
            cmd: None,
            args: CommandLine::default(),
            network: "jupyterhub-network".to_owned(),
            volumes: None,
            notebook_dir: "/home/jovyan/work".to_owned(),
            default_url: None,
            prefix: "jupyter".to_owned(),
            name_template: None,
            port: 8888,
            use_internal_ip: None,
            host_ip: None,
            pull_policy: PullPolicy::default(),
            mem_limit: MemoryAllowance::default(),
            cpu_limit: None,
            pids_limit: 4096,
            user: None,
            environment: BTreeMap::new(),
            remove: true,
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
mod tests {
    use super::*;

    fn read(json: &str) -> Result<DockerConfig, String> {
        let config: DockerConfig = serde_json::from_str(json).map_err(|error| error.to_string())?;
        config.validate().map(|()| config).map_err(|error| error.to_string())
    }

    #[test]
    fn only_the_image_has_to_be_set() {
        let config = read(r#"{"image": "lab"}"#).unwrap();
        assert_eq!((config.network.as_str(), config.port), ("jupyterhub-network", 8888));
        assert_eq!(config.mem_limit, MemoryAllowance::Host);
        assert!(config.remove);
        assert!(read("{}").unwrap_err().starts_with("image: "));
    }

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let rows = [
            (r#"{"image": "lab", "iamge": "x"}"#, "unknown field `iamge`"),
            (r#"{"image": "Lab Four"}"#, "image: "),
            (r#"{"image": "lab", "allowed_images": ["Lab Four"]}"#, "allowed_images: "),
            (r#"{"image": "lab", "allowed_images": "lab"}"#, "a list of images, or"),
            (r#"{"image": "lab", "host": "tcp:/x"}"#, "host: "),
            (r#"{"image": "lab", "tls_verify": 1}"#, "true or false"),
            (r#"{"image": "lab", "deployment": "a b"}"#, "deployment: "),
            (r#"{"image": "lab", "network": ""}"#, "network: "),
            (r#"{"image": "lab", "network": "none"}"#, "network: "),
            (r#"{"image": "lab", "name_template": "{user}"}"#, "name_template: "),
            (r#"{"image": "lab", "volumes": {"{nope}": "/x"}}"#, "volumes: "),
            (r#"{"image": "lab", "volumes": {"v": "x"}}"#, "volumes: "),
            (r#"{"image": "lab", "volumes": {"../v": "/x"}}"#, "volumes: "),
            (r#"{"image": "lab", "volumes": {"a:b": "/x"}}"#, "volumes: "),
            (r#"{"image": "lab", "notebook_dir": "/{nope}"}"#, "notebook_dir: "),
            (r#"{"image": "lab", "default_url": "{"}"#, "default_url: "),
            (r#"{"image": "lab", "mem_limit": "1g"}"#, "amount of memory"),
            (r#"{"image": "lab", "cpu_limit": 0}"#, "cpu_limit: "),
            (r#"{"image": "lab", "pids_limit": 0}"#, "pids_limit: "),
            (r#"{"image": "lab", "port": 0}"#, "port: "),
            (r#"{"image": "lab", "pull_policy": "maybe"}"#, "unknown variant `maybe`"),
            (r#"{"image": "lab", "cmd": "a 'b"}"#, "not closed"),
            (r#"{"image": "lab", "environment": {"A=B": "c"}}"#, "environment: "),
            (
                r#"{"image": "lab", "environment": {"GRANT_SUDO": "yes"}}"#,
                "environment: GRANT_SUDO has no effect without allow_privilege_escalation = true",
            ),
            (r#"{"image": "lab", "user": "a b"}"#, "user: "),
            (r#"{"image": "lab", "log_max_files": 0}"#, "log_max_files: "),
        ];
        for (json, complaint) in rows {
            let said = read(json).unwrap_err();
            assert!(said.contains(complaint), "{json}: {said}");
        }
    }

    #[test]
    fn words_are_read_in_any_case_and_limits_can_be_switched_off() {
        let config =
            read(r#"{"image": "lab", "pull_policy": "IfNotPresent", "mem_limit": "none"}"#);
        let config = config.unwrap();
        assert_eq!(
            (config.pull_policy, config.mem_limit),
            (PullPolicy::IfNotPresent, MemoryAllowance::Unlimited)
        );
    }

    #[test]
    fn dm_1_tls_is_switched_on_by_any_text() {
        for (json, on) in [("true", true), ("false", false), (r#""1""#, true), (r#""""#, false)] {
            let json = format!(r#"{{"image": "lab", "tls_verify": {json}}}"#);
            assert_eq!(read(&json).unwrap().tls_verify, on, "{json}");
        }
    }

    #[test]
    fn dm_1_certificates_are_by_default_where_docker_keeps_its_settings() {
        let mut config =
            read(r#"{"image": "lab", "cert_path": "certs", "ssh_config": ""}"#).unwrap();
        config.settle(Path::new("/etc/hub"), Some(Path::new("/home/hub")));
        let settings = config.host_settings();
        assert_eq!(settings.cert_path.as_deref(), Some(Path::new("/etc/hub/certs")));
        assert_eq!(settings.config_dir.as_deref(), Some(Path::new("/home/hub/.docker")));
        assert_eq!(settings.ssh_config, None);
    }

    #[test]
    fn values_of_variables_are_not_printed() {
        let config = read(r#"{"image": "lab", "environment": {"KEY": "hush"}}"#).unwrap();
        assert!(!format!("{config:?}").contains("hush"));
    }
}
