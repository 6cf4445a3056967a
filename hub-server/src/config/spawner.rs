//! `[spawner.docker]`: how servers are run. The keys are read by `hub-spawner`;
//! here is what the hub says about them.

use std::path::Path;

use hub_spawner::docker::DockerConfig;
use serde::Deserialize;

use super::{
    ConfigError,
    key::{Key, Kind, Section},
};

const NAME: &str = "spawner.docker";

pub(super) const SECTION: Section = Section {
    name: NAME,
    about: "How servers run as containers. Only `image` has to be set. Templates may use `{username}`, `{raw_username}`, `{servername}`, `{raw_servername}`, `{prefix}` and `{imagename}`.",
    keys: &[
        Key::new(
            "spawner.docker.image",
            Kind::Text,
            "The image servers run from, `[HOST[:PORT]/]PATH[:TAG][@DIGEST]`.",
        )
        .example("\"jupyterhub/singleuser:6\"")
        .next_start(),
        Key::new(
            "spawner.docker.allowed_images",
            Kind::Choices,
            "The images that users may choose from with the start option `image`: a table of names and images, a list of images, or `\"*\"` for any. With more than one the hub shows a form before a start. Default: nobody chooses.",
        )
        .example("[\"jupyterhub/singleuser:5\", \"quay.io/jupyter/scipy-notebook\"]")
        .next_start(),
        Key::new(
            "spawner.docker.pull_policy",
            Kind::Choice(&["always", "ifnotpresent", "never", "skip"]),
            "When the image is pulled: before each start, when the daemon does not have it, never (a missing image is an error), or never and nobody looks.",
        )
        .default("\"ifnotpresent\"")
        .next_start(),
        Key::new("spawner.docker.pull_timeout_seconds", Kind::Integer("seconds"), "How long a pull may take.")
            .default("1800")
            .next_start(),
        Key::new(
            "spawner.docker.cmd",
            Kind::Command,
            "The command. Default: the image's own. The entry point of the image is never touched.",
        )
        .example("\"start-singleuser.py\"")
        .next_start(),
        Key::new(
            "spawner.docker.args",
            Kind::Command,
            "Arguments added to `cmd`, or to the image's command.",
        )
        .default("[]")
        .next_start(),
        Key::new(
            "spawner.docker.mem_limit",
            Kind::Memory,
            "Memory of one server. `host`: what its machine has, less 1 GiB or a tenth.",
        )
        .default("\"host\"")
        .example("\"2G\"")
        .next_start(),
        Key::new(
            "spawner.docker.cpu_limit",
            Kind::Number("processors"),
            "Processors of one server. Default: no limit.",
        )
        .example("1.5")
        .next_start(),
        Key::new(
            "spawner.docker.pids_limit",
            Kind::Integer("processes and threads"),
            "Processes and threads of one server.",
        )
        .default("4096")
        .next_start(),
        Key::new(
            "spawner.docker.allow_privilege_escalation",
            Kind::Boolean,
            "Whether programs of a server may gain rights, as `sudo` does.",
        )
        .default("false")
        .next_start(),
        Key::new(
            "spawner.docker.user",
            Kind::Text,
            "Whom the container begins as, `user`, `uid` or `uid:gid`. Default: as the image says.",
        )
        .example("\"root\"")
        .next_start(),
        Key::new(
            "spawner.docker.notebook_dir",
            Kind::Text,
            "The server's root directory, and where the user's volume is mounted; may use `{username}`. Empty: whatever the image does.",
        )
        .default("\"/home/jovyan/work\"")
        .next_start(),
        Key::new(
            "spawner.docker.default_url",
            Kind::Text,
            "The page a server opens with.",
        )
        .example("\"/lab\"")
        .next_start(),
        Key::new(
            "spawner.docker.volumes",
            Kind::Table,
            "What is mounted where: volume name or absolute host path to path in the container; both are templates. Default: the volume `jupyterhub-user-{username}` at `notebook_dir`.",
        )
        .example("{ \"jupyterhub-user-{username}\" = \"/home/jovyan/work\" }")
        .next_start(),
        Key::new(
            "spawner.docker.environment",
            Kind::Secrets,
            "Variables for servers; they have the last word over all others.",
        )
        .default("{}")
        .next_start(),
        Key::new("spawner.docker.debug", Kind::Boolean, "Whether servers log in detail.")
            .default("false")
            .next_start(),
        Key::new(
            "spawner.docker.disable_user_config",
            Kind::Boolean,
            "Whether servers ignore the user's own Jupyter configuration.",
        )
        .default("false")
        .next_start(),
        Key::new("spawner.docker.port", Kind::Integer(""), "The port servers listen on inside their container.")
            .default("8888")
            .restart(),
        Key::new(
            "spawner.docker.use_internal_ip",
            Kind::Boolean,
            "Whether servers are reached at their address in the network, rather than at a port of the host. Default: yes, unless `network` is `bridge` or `host`.",
        )
        .example("true")
        .restart(),
        Key::new(
            "spawner.docker.host_ip",
            Kind::Text,
            "The host's address at which ports are published, if they are. Default: `127.0.0.1`, or the daemon's machine where that is another one.",
        )
        .example("\"127.0.0.1\"")
        .restart(),
        Key::new(
            "spawner.docker.network",
            Kind::Text,
            "The network servers are in; made if it does not exist.",
        )
        .default("\"jupyterhub-network\"")
        .restart(),
        Key::new(
            "spawner.docker.host",
            Kind::Text,
            "Where the Docker daemon listens: `unix://`, `tcp://`, `http://` or `ssh://`. Default: that of `context`, or the local socket.",
        )
        .example("\"unix:///var/run/docker.sock\"")
        .restart(),
        Key::new(
            "spawner.docker.tls_verify",
            Kind::Boolean,
            "Whether a daemon at a `tcp://` address is asked over TLS. In `DOCKER_TLS_VERIFY` any text means yes.",
        )
        .default("false")
        .restart(),
        Key::new(
            "spawner.docker.cert_path",
            Kind::Place,
            "Directory of `ca.pem`, `cert.pem` and `key.pem` for the daemon. Default: `config_dir`.",
        )
        .example("\"docker-certs\"")
        .restart(),
        Key::new(
            "spawner.docker.context",
            Kind::Text,
            "A context made with `docker context create`; `host` goes before it.",
        )
        .example("\"remote\"")
        .restart(),
        Key::new(
            "spawner.docker.config_dir",
            Kind::Place,
            "Where Docker's own tools keep their settings. Default: `.docker` in the home directory.",
        )
        .example("\"/home/hub/.docker\"")
        .restart(),
        Key::new(
            "spawner.docker.ssh_config",
            Kind::Place,
            "Configuration of `ssh` for `ssh://` daemons, instead of the user's own.",
        )
        .example("\"ssh-config\"")
        .restart(),
        Key::new(
            "spawner.docker.deployment",
            Kind::Text,
            "Tells what this hub made from what other hubs at the same daemon made. Changing it abandons all running servers.",
        )
        .default("\"hub\"")
        .restart(),
        Key::new("spawner.docker.prefix", Kind::Text, "Begins the names of containers.")
            .default("\"jupyter\"")
            .next_start(),
        Key::new(
            "spawner.docker.name_template",
            Kind::Text,
            "How containers are called. Default `{prefix}-{username}`, for named servers `{prefix}-{username}--{servername}`.",
        )
        .example("\"{prefix}-{username}\"")
        .next_start(),
        Key::new(
            "spawner.docker.remove",
            Kind::Boolean,
            "Whether a container is removed when its server is stopped. The files in volumes stay in either case.",
        )
        .default("true"),
        Key::new(
            "spawner.docker.drop_capabilities",
            Kind::List,
            "Capabilities taken from servers beyond those Docker never gives.",
        )
        .default("[\"AUDIT_WRITE\", \"MKNOD\", \"NET_BIND_SERVICE\", \"NET_RAW\", \"SETFCAP\", \"SETPCAP\", \"SYS_CHROOT\"]")
        .next_start(),
        Key::new(
            "spawner.docker.stop_timeout_seconds",
            Kind::Integer("seconds"),
            "How long a server may take to end when asked.",
        )
        .default("10"),
        Key::new(
            "spawner.docker.log_max_bytes",
            Kind::Integer("bytes"),
            "Size at which a container's log file is rotated.",
        )
        .default("10485760")
        .next_start(),
        Key::new(
            "spawner.docker.log_max_files",
            Kind::Integer("files"),
            "How many log files are kept per container.",
        )
        .default("3")
        .next_start(),
    ],
};

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawSpawner {
    pub(super) docker: Option<DockerConfig>,
}

impl RawSpawner {
    pub(super) fn check(
        self,
        dir: &Path,
        home: Option<&Path>,
    ) -> Result<DockerConfig, ConfigError> {
        let mut docker = self.docker.unwrap_or_else(|| DockerConfig::new(""));
        if docker.image.is_empty() {
            return Err(ConfigError::value(
                "spawner.docker.image",
                "is missing; name the image of the notebook servers here or as DOCKER_NOTEBOOK_IMAGE",
            ));
        }
        docker.settle(dir, home);
        docker
            .validate()
            .map(|()| docker)
            .map_err(|error| ConfigError::value(format!("{NAME}.{}", error.key), error.reason))
    }
}
