//! What the daemon knows about one image.

use std::collections::BTreeMap;

/// An image, looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageDetails {
    /// The daemon's id: the digest of its configuration.
    pub id: String,
    /// What it is called here, `path:tag`.
    pub tags: Vec<String>,
    /// What registries call it, `path@algorithm:hex`; empty if it was built here.
    pub digests: Vec<String>,
    /// What it is labelled with.
    pub labels: BTreeMap<String, String>,
    /// Its entry point.
    pub entrypoint: Vec<String>,
    /// The command it runs when no other is given.
    pub command: Vec<String>,
    /// Its variables.
    pub env: BTreeMap<String, String>,
    /// The ports it says it listens on, such as `8888/tcp`.
    pub exposed_ports: Vec<String>,
    /// The user it runs as; empty for root.
    pub user: String,
    /// The directory it starts in.
    pub working_dir: String,
    /// Kind of processor it is for, such as `amd64`.
    pub architecture: String,
    /// Kind of system it is for, such as `linux`.
    pub os: String,
    /// Its size, in bytes.
    pub size: u64,
}

pub(super) fn details(found: bollard::models::ImageInspect) -> ImageDetails {
    let config = found.config.unwrap_or_default();
    let env = config.env.unwrap_or_default().into_iter();
    ImageDetails {
        id: found.id.unwrap_or_default(),
        tags: found.repo_tags.unwrap_or_default(),
        digests: found.repo_digests.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        env: env
            .filter_map(|line| line.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())))
            .collect(),
        exposed_ports: config.exposed_ports.unwrap_or_default(),
        user: config.user.unwrap_or_default(),
        working_dir: config.working_dir.unwrap_or_default(),
        architecture: found.architecture.unwrap_or_default(),
        os: found.os.unwrap_or_default(),
        size: found.size.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default(),
    }
}
