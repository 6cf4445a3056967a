//! What a swarm adds to the configuration of servers.

use std::net::IpAddr;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::extra;
use crate::{
    InvalidConfig, OnUnhealthy,
    docker::{
        Account, DockerConfig, Gpus, GroupOverride, Isolation, OnUserDelete, PullPolicy,
        VolumeMigration,
    },
};

/// Why a setting is refused that means nothing in a swarm.
const SINGLE: &str = "is for a single machine, not for a swarm";

/// What a swarm adds to [`DockerConfig`]. Nothing has to be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SwarmConfig {
    /// On which machines servers may run, such as `node.labels.notebooks == true`.
    pub constraints: Vec<String>,
    /// How the hub reaches servers. Default: by their service's name in the network,
    /// which the hub is in as well.
    pub publish: Publish,
    /// The address at which `publish = "ingress"` is reached. Default: that of the
    /// machine a server runs on.
    pub host_ip: Option<IpAddr>,
    /// Whether the swarm starts a server again that ended. Default: never; only the hub
    /// starts servers.
    pub restart: Restart,
    /// How long a server may wait for a machine that takes it. Default 30.
    pub pending_timeout_seconds: u64,
    /// Whether tokens are secrets of the swarm rather than variables. Needs `cmd`, and a
    /// shell in the image. A hub that has lost its database cannot take over servers
    /// whose tokens are secrets.
    pub token_secrets: bool,
    /// Further fields of the service's parts, in Docker's words.
    pub extra_container_spec: Map<String, Value>,
    /// See `extra_container_spec`.
    pub extra_resources_spec: Map<String, Value>,
    /// See `extra_container_spec`.
    pub extra_placement_spec: Map<String, Value>,
    /// See `extra_container_spec`.
    pub extra_task_spec: Map<String, Value>,
    /// See `extra_container_spec`.
    pub extra_endpoint_spec: Map<String, Value>,
}

/// How the hub reaches servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Publish {
    /// In the network, by the service's name.
    #[default]
    None,
    /// At a port of the machine a server runs on.
    Host,
    /// At a port of every machine.
    Ingress,
}

/// Whether the swarm starts a task again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Never.
    #[default]
    None,
    /// When it ends with another code than 0.
    OnFailure,
    /// Whenever it ends.
    Any,
}

impl Default for SwarmConfig {
    fn default() -> Self {
        Self {
            constraints: Vec::new(),
            publish: Publish::default(),
            host_ip: None,
            restart: Restart::default(),
            pending_timeout_seconds: 30,
            token_secrets: false,
            extra_container_spec: Map::new(),
            extra_resources_spec: Map::new(),
            extra_placement_spec: Map::new(),
            extra_task_spec: Map::new(),
            extra_endpoint_spec: Map::new(),
        }
    }
}

impl SwarmConfig {
    /// Checks the settings, and those of `docker` that mean nothing in a swarm.
    ///
    /// # Errors
    ///
    /// The first setting that makes no sense.
    pub fn validate(&self, docker: &DockerConfig) -> Result<(), InvalidConfig> {
        let refuse = |key, reason: &str| Err(InvalidConfig::new(key, reason));
        let is_expression = |text: &String| {
            let sides = text.split_once("==").or_else(|| text.split_once("!="));
            sides.is_some_and(|(left, right)| !left.trim().is_empty() && !right.trim().is_empty())
        };
        if let Some(text) = self.constraints.iter().find(|text| !is_expression(text)) {
            return refuse("constraints", &format!("{text:?} is not like node.role == worker"));
        }
        if self.token_secrets && docker.cmd.as_ref().is_none_or(|cmd| cmd.words().is_empty()) {
            return refuse("token_secrets", "needs cmd, which is given the token in a shell");
        }
        if !docker.args.words().is_empty() && docker.cmd.is_none() {
            return refuse("args", "needs cmd in a swarm: nobody knows the image's own command");
        }
        let extra = [
            &self.extra_container_spec,
            &self.extra_resources_spec,
            &self.extra_placement_spec,
            &self.extra_task_spec,
            &self.extra_endpoint_spec,
        ];
        let camel = |name: &String| name.starts_with(|c: char| c.is_ascii_uppercase());
        if let Some(name) = extra.iter().flat_map(|map| map.keys()).find(|name| !camel(name)) {
            return refuse("extra_task_spec", &format!("{name}: use Docker's own word for it"));
        }
        extra::check(self, docker)?;
        for (key, is_set) in [
            ("isolation", docker.isolation == Isolation::PerUser),
            ("links", !docker.links.is_empty()),
            ("host_ports", docker.host_ports.is_some()),
            ("gpus", docker.gpus != Gpus::None),
            ("gpu_pool", !docker.gpu_pool.is_empty()),
            ("storage_size", docker.storage_size.is_some()),
            ("create_host_dirs", docker.create_host_dirs.is_some()),
            ("post_start_cmd", !docker.post_start_cmd.words().is_empty()),
            ("extra_create_kwargs", !docker.extra_create_kwargs.is_empty()),
            ("extra_host_config", !docker.extra_host_config.is_empty()),
            ("disk_soft_limit", docker.disk_soft_limit.is_some()),
            ("disk_hard_limit", docker.disk_hard_limit.is_some()),
            ("on_user_delete", docker.on_user_delete != OnUserDelete::default()),
            ("archive_dir", docker.archive_dir.is_some()),
            ("volume_owner", docker.volume_owner != Account::default()),
            ("volume_migration", docker.volume_migration != VolumeMigration::default()),
            ("pull_policy", docker.pull_policy != PullPolicy::default()),
            ("use_internal_ip", docker.use_internal_ip.is_some()),
            ("use_internal_hostname", docker.use_internal_hostname),
            ("on_unhealthy", docker.on_unhealthy != OnUnhealthy::default()),
            ("network", matches!(docker.network.as_str(), "bridge" | "host")),
        ] {
            if is_set {
                return refuse(key, SINGLE);
            }
        }
        for (name, own) in &docker.group_overrides {
            self.validate_override(own, docker).map_err(|error| {
                let reason = format!("{name}.{}: {}", error.key, error.reason);
                InvalidConfig::new("group_overrides", reason)
            })?;
        }
        Ok(())
    }

    /// The same for an override; the key of an error is one of the override's.
    fn validate_override(
        &self,
        own: &GroupOverride,
        docker: &DockerConfig,
    ) -> Result<(), InvalidConfig> {
        let refuse = |key, reason: &str| Err(InvalidConfig::new(key, reason));
        let cmd = own.cmd.as_ref().or(docker.cmd.as_ref());
        let has_cmd = cmd.is_some_and(|cmd| !cmd.words().is_empty());
        if self.token_secrets && !has_cmd {
            return refuse("cmd", "is needed with token_secrets: it is given the token in a shell");
        }
        if !has_cmd && own.args.as_ref().is_some_and(|args| !args.words().is_empty()) {
            return refuse("args", "needs cmd in a swarm: nobody knows the image's own command");
        }
        for (key, is_set) in [
            ("gpus", own.gpus.as_ref().is_some_and(|gpus| *gpus != Gpus::None)),
            ("storage_size", own.storage_size.is_some()),
            ("post_start_cmd", own.post_start_cmd.is_some()),
            ("extra_create_kwargs", !own.extra_create_kwargs.is_empty()),
            ("extra_host_config", !own.extra_host_config.is_empty()),
            ("disk_soft_limit", own.disk_soft_limit.is_some()),
            ("disk_hard_limit", own.disk_hard_limit.is_some()),
        ] {
            if is_set {
                return refuse(key, SINGLE);
            }
        }
        Ok(())
    }
}
