//! The machine behind the daemon.

use super::{Engine, EngineError};

/// What the daemon tells about itself and its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// Name of the machine.
    pub name: String,
    /// Kind of processor as the kernel calls it, such as `x86_64`.
    pub architecture: String,
    /// Kind of containers: `linux` or `windows`.
    pub os: String,
    /// The distribution, such as `Debian GNU/Linux 12 (bookworm)`.
    pub operating_system: String,
    /// Version of the kernel.
    pub kernel: String,
    /// How many processors it has.
    pub cpus: u32,
    /// How much memory it has, in bytes.
    pub memory: u64,
    /// Where images, containers and volumes are kept on that machine.
    pub root_dir: String,
    /// Whether the daemon runs without root rights.
    pub rootless: bool,
    /// Whether the numbers of users in containers are others on the machine.
    pub user_namespaces: bool,
    /// Where containers' output goes unless they say otherwise, such as
    /// `json-file` or `journald`.
    pub log_driver: String,
    /// Security options in force, such as `name=seccomp,profile=default`.
    pub security: Vec<String>,
    /// What the daemon itself complains about.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Asks the daemon about itself and its machine.
    pub async fn info(&self) -> Result<EngineInfo, EngineError> {
        let found = self.read("tell about itself", || self.docker.info()).await?;
        let security = found.security_options.unwrap_or_default();
        let has = |name: &str| security.iter().any(|option| option.starts_with(name));
        Ok(EngineInfo {
            name: found.name.unwrap_or_default(),
            architecture: found.architecture.unwrap_or_default(),
            os: found.os_type.unwrap_or_default(),
            operating_system: found.operating_system.unwrap_or_default(),
            kernel: found.kernel_version.unwrap_or_default(),
            cpus: found.ncpu.and_then(|count| count.try_into().ok()).unwrap_or_default(),
            memory: found.mem_total.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default(),
            root_dir: found.docker_root_dir.unwrap_or_default(),
            rootless: has("name=rootless"),
            user_namespaces: has("name=userns"),
            log_driver: found.logging_driver.unwrap_or_default(),
            warnings: found.warnings.unwrap_or_default(),
            security,
        })
    }
}
