//! How an operator sets up servers as processes.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
};

use secrecy::SecretString;
use serde::Deserialize;

use crate::{
    InvalidConfig, ServerSettings, command::CommandLine, environment, port_range::PortRange,
};

/// How servers run as processes. Only `dir` has to be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessConfig {
    /// Where the hub keeps what it knows of running servers, and users' files unless
    /// `notebook_dir` says otherwise. An absolute path.
    pub dir: PathBuf,
    /// The command. Default `jupyterhub-singleuser`.
    pub cmd: CommandLine,
    /// Arguments added to it.
    pub args: CommandLine,
    /// Where programs are looked for. Default `/usr/local/bin:/usr/bin:/bin`.
    pub path: String,
    /// A user's directory; may use `{username}`. Default: `users/{username}` in `dir`.
    pub notebook_dir: Option<String>,
    /// The page a server opens with, such as `/lab`.
    pub default_url: Option<String>,
    /// The address servers listen on. Default `127.0.0.1`.
    pub ip: IpAddr,
    /// The ports servers get, such as `9000-9100`. Default: any that is free.
    pub ports: Option<PortRange>,
    /// Variables for servers; they have the last word over all others. The hub's own
    /// are not handed on.
    pub environment: BTreeMap<String, SecretString>,
    /// Whether servers log in detail.
    pub debug: bool,
    /// Whether servers ignore the user's own Jupyter configuration.
    pub disable_user_config: bool,
    /// How long a server may take to end when asked. Default 10.
    pub stop_timeout_seconds: u64,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            cmd: ["jupyterhub-singleuser"].into_iter().collect(),
            args: CommandLine::default(),
            path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
            notebook_dir: None,
            default_url: None,
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            ports: None,
            environment: BTreeMap::new(),
            debug: false,
            disable_user_config: false,
            stop_timeout_seconds: 10,
        }
    }
}

impl ProcessConfig {
    /// The defaults, with this directory.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), ..Self::default() }
    }

    /// Makes a relative `dir` relative to `base`.
    pub fn settle(&mut self, base: &Path) {
        if !self.dir.as_os_str().is_empty() {
            self.dir = base.join(&self.dir);
        }
    }

    /// Checks all settings.
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense, with its key.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        if !self.dir.is_absolute() {
            return Err(InvalidConfig::new("dir", "name an absolute path"));
        }
        if self.cmd.words().is_empty() {
            return Err(InvalidConfig::new("cmd", "name the program of the servers"));
        }
        let is_variable = |name: &String| !name.is_empty() && !name.contains(['=', '\0']);
        if let Some(name) = self.environment.keys().find(|name| !is_variable(name)) {
            let reason = format!("{name:?} is not the name of a variable");
            return Err(InvalidConfig::new("environment", reason));
        }
        if let Some(url) = &self.default_url {
            environment::check_path("default_url", url)?;
        }
        let dir = self.notebook_dir();
        environment::check_path("notebook_dir", &dir)?;
        match dir.starts_with('/') {
            true => Ok(()),
            false => Err(InvalidConfig::new("notebook_dir", "name an absolute path")),
        }
    }

    pub(super) fn notebook_dir(&self) -> String {
        match &self.notebook_dir {
            Some(dir) => dir.clone(),
            None => {
                // Braces in the path are no fields.
                let dir = self.dir.display().to_string().replace('{', "{{").replace('}', "}}");
                format!("{dir}/users/{{username}}")
            }
        }
    }

    pub(super) fn settings(&self, port: u16) -> ServerSettings {
        ServerSettings {
            ip: match self.ip {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            },
            port,
            notebook_dir: Some(self.notebook_dir()),
            default_url: self.default_url.clone().filter(|url| !url.is_empty()),
            debug: self.debug,
            disable_user_config: self.disable_user_config,
            environment: self.environment.clone(),
            ..ServerSettings::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_make_no_sense_are_named() {
        let read = |json: &str| -> Result<(), String> {
            let config: ProcessConfig =
                serde_json::from_str(json).map_err(|error| error.to_string())?;
            config.validate().map_err(|error| error.to_string())
        };
        assert_eq!(read(r#"{"dir": "/srv/hub"}"#), Ok(()));
        for (json, words) in [
            ("{}", "dir: "),
            (r#"{"dir": "hub"}"#, "dir: "),
            (r#"{"dir": "/x", "cmd": ""}"#, "cmd: "),
            (r#"{"dir": "/x", "notebook_dir": "{nope}"}"#, "notebook_dir: "),
            (r#"{"dir": "/x", "notebook_dir": "users"}"#, "notebook_dir: "),
            (r#"{"dir": "/x", "default_url": "{"}"#, "default_url: "),
            (r#"{"dir": "/x", "environment": {"A=B": ""}}"#, "environment: "),
            (r#"{"dir": "/x", "ports": "9"}"#, "range of ports"),
            (r#"{"dir": "/x", "image": "lab"}"#, "unknown field `image`"),
        ] {
            let said = read(json).unwrap_err();
            assert!(said.contains(words), "{json}: {said}");
        }
    }

    #[test]
    fn a_directory_with_braces_is_a_directory() {
        let config = ProcessConfig::new("/srv/{a}");
        config.validate().unwrap();
        assert_eq!(config.notebook_dir(), "/srv/{{a}}/users/{username}");
    }
}
