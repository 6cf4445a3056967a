//! How overrides are written in a configuration.

use std::collections::BTreeMap;

use hub_names::UserName;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    MemoryAllowance, MemoryLimit,
    docker::{AllowedImages, CommandLine, Gpus, MountConfig, VolumeTarget},
};

/// What differs for members of groups, and for users by name. What is left out stays.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GroupOverride {
    /// It counts for members of any of these groups.
    pub groups: Vec<String>,
    /// It counts for these users.
    pub users: Vec<UserName>,
    /// The image.
    pub image: Option<String>,
    /// The images that they may choose from, instead of those of all.
    pub allowed_images: Option<AllowedImages>,
    /// The command.
    pub cmd: Option<CommandLine>,
    /// Arguments added to the command, instead of those of all.
    pub args: Option<CommandLine>,
    /// The page a server opens with.
    pub default_url: Option<String>,
    /// Memory of one server.
    pub mem_limit: Option<MemoryAllowance>,
    /// Memory one server is promised.
    pub mem_guarantee: Option<MemoryLimit>,
    /// Processors of one server.
    pub cpu_limit: Option<f64>,
    /// Processors one server is promised.
    pub cpu_guarantee: Option<f64>,
    /// Processes and threads of one server.
    pub pids_limit: Option<u32>,
    /// Graphics processors of one server.
    pub gpus: Option<Gpus>,
    /// How much a server may write outside its volumes.
    pub storage_size: Option<MemoryLimit>,
    /// Size of a user's volumes from which a start warns.
    pub disk_soft_limit: Option<MemoryLimit>,
    /// Size of a user's volumes from which nothing of theirs starts.
    pub disk_hard_limit: Option<MemoryLimit>,
    /// Whom the container begins as.
    pub user: Option<String>,
    /// Whether programs of a server may gain rights that it does not begin with.
    pub allow_privilege_escalation: Option<bool>,
    /// Variables beside those of all.
    pub environment: BTreeMap<String, SecretString>,
    /// Volumes beside those of all; one takes the place of another with the same source
    /// or target.
    pub volumes: BTreeMap<String, VolumeTarget>,
    /// The same, and servers cannot write there.
    pub read_only_volumes: BTreeMap<String, VolumeTarget>,
    /// Mounts beside those of all; one takes the place of another, or of a volume, with
    /// the same source or target.
    pub mounts: Vec<MountConfig>,
    /// A command that runs in each server's container after its start.
    pub post_start_cmd: Option<CommandLine>,
    /// Further fields of the create call, merged into those of all.
    pub extra_create_kwargs: Map<String, Value>,
    /// Further fields of its `HostConfig`, merged into those of all.
    pub extra_host_config: Map<String, Value>,
}
