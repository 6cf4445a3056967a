//! `[spawner.docker]`: what servers are made of as containers. The keys are read by
//! `hub-spawner`; here is what the hub says about them.

use std::path::Path;

use hub_spawner::docker::DockerConfig;

use super::{
    super::{
        ConfigError,
        key::{Key, Kind, Section},
    },
    named,
};

const NAME: &str = "spawner.docker";

pub(in super::super) const SECTION: Section = Section {
    name: NAME,
    about: "How servers run as containers, where `spawner.kind` is `docker` or `swarm`. Only `image` has to be set. Templates may use `{username}`, `{raw_username}`, `{servername}`, `{raw_servername}`, `{prefix}` and `{imagename}`.",
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
            "Memory of one server. `host`: what its machine has, less 1 GiB or a tenth; in a swarm, what the smallest machine has that may take it. A change counts for running servers as well, but for those that use more; in a swarm it is for new ones.",
        )
        .default("\"host\"")
        .example("\"2G\""),
        Key::new(
            "spawner.docker.cpu_limit",
            Kind::Number("processors"),
            "Processors of one server. Default: no limit. A change counts for running servers as well, but not that there is none any more; in a swarm it is for new ones.",
        )
        .example("1.5"),
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
        Key::new("spawner.docker.registry_auth", Kind::Secrets, "Logins at registries, by their host: tables of `username` and `password`. They go before what `config.json` in `config_dir` says.")
            .default("{}")
            .next_start(),
        Key::new("spawner.docker.prepull", Kind::Boolean, "Whether all images that servers may run from are fetched when the hub starts.")
            .default("false"),
        Key::new("spawner.docker.networks", Kind::List, "Further networks that servers are in; made if they do not exist.")
            .default("[]")
            .restart(),
        Key::new("spawner.docker.isolation", Kind::Choice(&["shared", "per-user"]), "Whether all servers share `network`, or each user has a network of their own, from which nothing reaches other users' servers.")
            .default("\"shared\"")
            .restart(),
        Key::new("spawner.docker.hub_containers", Kind::List, "Containers of the hub and its proxy, which are taken into each user's network where `isolation` is `per-user`. None are needed where the hub is no container.")
            .default("[]")
            .restart(),
        Key::new("spawner.docker.isolation_subnets", Kind::Text, "From where users' networks get their addresses: 14 servers each. Default: the daemon chooses, and mostly has 31 networks to give.")
            .example("\"10.200.0.0/16\"")
            .restart(),
        Key::new("spawner.docker.links", Kind::Table, "Legacy links to other containers: name to alias.")
            .default("{}")
            .next_start(),
        Key::new("spawner.docker.read_only_volumes", Kind::Table, "As `volumes`, and servers cannot write there.")
            .default("{}")
            .next_start(),
        Key::new("spawner.docker.mounts", Kind::Shape("list of tables"), "Mounts that need more words: `target`, `source`, `type` (`volume`, `bind` or `tmpfs`), `read_only`, `subpath`, `tmpfs_size` and more of Docker's. Volumes among them are made, labelled and found as those of `volumes`.")
            .default("[]")
            .next_start(),
        Key::new("spawner.docker.shared", Kind::Shape("list of tables"), "Folders for members of groups: `source`, `target`, `groups` (none: everybody) and `mode` (`rw` or `ro`).")
            .default("[]")
            .next_start(),
        Key::new("spawner.docker.volume_driver", Kind::Text, "The driver of volumes that are made for users. Default: the daemon's.")
            .example("\"local\"")
            .next_start(),
        Key::new("spawner.docker.volume_driver_options", Kind::Table, "Options of that driver.")
            .default("{}")
            .next_start(),
        Key::new("spawner.docker.volume_owner", Kind::Text, "Whom a new volume belongs to where the image has no directory of its own at its place, `UID` or `UID:GID`; empty: root. One whose driver options name a `device` keeps its owner.")
            .default("\"1000:100\"")
            .next_start(),
        Key::new("spawner.docker.create_host_dirs", Kind::Shape("table"), "How host paths of `volumes` that do not exist are made: `owner` and `mode`. Default: by the daemon, for root.")
            .example("{ owner = \"1000:100\", mode = 0o700 }")
            .next_start(),
        Key::new("spawner.docker.volume_migration", Kind::Choice(&["adopt", "copy", "off"]), "What happens to a volume that an older spawner named differently: it is used, a new one gets a copy of its files, or a new, empty one is made.")
            .default("\"adopt\"")
            .next_start(),
        Key::new("spawner.docker.on_user_delete", Kind::Choice(&["keep", "archive", "delete"]), "What happens to the volumes of a user who is deleted: they stay, they are packed into `archive_dir` and removed, or they are removed.")
            .default("\"keep\"")
            .next_start(),
        Key::new("spawner.docker.archive_dir", Kind::Place, "Where archives of deleted users' volumes go.")
            .example("\"archives\"")
            .next_start(),
        Key::new("spawner.docker.system_users", Kind::Shape("table"), "Homes on the daemon's host, and servers that run as their owners: `host_homedir`, `image_homedir`, `run_as_root`, `user_id`, `group_id`, `passwd_file`.")
            .example("{ host_homedir = \"/home/{username}\", passwd_file = \"/etc/passwd\" }")
            .next_start(),
        Key::new("spawner.docker.escape", Kind::Choice(&["dns", "legacy"]), "How users' and servers' names are written in names: for host names, or as before DockerSpawner 12.")
            .default("\"dns\""),
        Key::new("spawner.docker.ip", Kind::Text, "The address servers listen on inside their container.")
            .default("\"0.0.0.0\"")
            .next_start(),
        Key::new("spawner.docker.use_internal_hostname", Kind::Boolean, "Whether servers are reached by their container's name rather than its address: for a hub in the same network.")
            .default("false")
            .restart(),
        Key::new("spawner.docker.host_ports", Kind::Text, "The ports servers get where `network` is `host`: one each.")
            .example("\"9000-9100\"")
            .restart(),
        Key::new("spawner.docker.mem_guarantee", Kind::Memory, "Memory one server is promised.")
            .example("\"512M\"")
            .next_start(),
        Key::new("spawner.docker.cpu_guarantee", Kind::Number("processors"), "Processors one server is promised.")
            .example("0.5")
            .next_start(),
        Key::new("spawner.docker.gpus", Kind::Shape("`all`, a number, or a list of ids"), "Graphics processors of one server. Default: none.")
            .example("1")
            .next_start(),
        Key::new("spawner.docker.gpu_pool", Kind::List, "Ids of graphics processors of which each server gets as many as `gpus` says, and no two the same.")
            .default("[]")
            .next_start(),
        Key::new("spawner.docker.storage_size", Kind::Memory, "How much a server may write outside its volumes, where the daemon can limit that.")
            .example("\"10G\"")
            .next_start(),
        Key::new("spawner.docker.disk_soft_limit", Kind::Memory, "Size of a user's volumes from which a start warns.")
            .example("\"8G\"")
            .next_start(),
        Key::new("spawner.docker.disk_hard_limit", Kind::Memory, "Size of a user's volumes from which nothing of theirs starts.")
            .example("\"10G\"")
            .next_start(),
        Key::new("spawner.docker.group_overrides", Kind::Shape("table of tables"), "What differs for groups or users, in the order of the names: each has `groups` or `users`, and of this section `image`, `allowed_images`, `cmd`, `args`, `default_url`, `mem_limit`, `mem_guarantee`, `cpu_limit`, `cpu_guarantee`, `pids_limit`, `gpus`, `storage_size`, `disk_soft_limit`, `disk_hard_limit`, `user`, `allow_privilege_escalation` and `post_start_cmd`, which take the place of those here; `environment`, `volumes`, `read_only_volumes`, `mounts`, `extra_create_kwargs` and `extra_host_config`, which are added to those here. Changes of `mem_limit` and `cpu_limit` count for running servers as well.")
            .default("{}")
            .next_start(),
        Key::new("spawner.docker.reuse_stopped", Kind::Choice(&["if-same", "always", "never"]), "Whether a container that `remove = false` kept goes on at its server's next start: if a new one would be the same, in any case, or never. It goes on with the token it has, which is valid in between; one whose token the hub has forgotten is replaced.")
            .default("\"if-same\"")
            .next_start(),
        Key::new("spawner.docker.post_start_cmd", Kind::Command, "A command that runs in each server's container after its start.")
            .default("[]")
            .next_start(),
        Key::new("spawner.docker.post_start_required", Kind::Boolean, "Whether a server whose `post_start_cmd` fails is ended.")
            .default("false")
            .next_start(),
        Key::new("spawner.docker.on_unhealthy", Kind::Choice(&["show", "restart", "stop"]), "What the hub does with a server whose own health check fails: it is shown, stopped and started again (and left stopped if it fails again before it has been well), or stopped. A busy kernel can make a check fail.")
            .default("\"show\""),
        Key::new("spawner.docker.extra_create_kwargs", Kind::Shape("table"), "Further fields of Docker's create call, in its words or docker-py's.")
            .default("{}")
            .next_start(),
        Key::new("spawner.docker.extra_host_config", Kind::Shape("table"), "Further fields of its `HostConfig`.")
            .default("{}")
            .next_start(),
        Key::new("spawner.docker.allow_unsafe_host_config", Kind::Boolean, "Whether `extra_host_config`, or `extra_container_spec` of a swarm, may take from servers what keeps them inside.")
            .default("false")
            .next_start(),
    ],
};

/// Settings that make sense, with all paths whole.
pub(super) fn check(
    docker: Option<DockerConfig>,
    dir: &Path,
    home: Option<&Path>,
) -> Result<DockerConfig, ConfigError> {
    let mut docker = docker.unwrap_or_else(|| DockerConfig::new(""));
    if docker.image.is_empty() {
        return Err(ConfigError::value(
            "spawner.docker.image",
            "is missing; name the image of the notebook servers here or as DOCKER_NOTEBOOK_IMAGE",
        ));
    }
    docker.settle(dir, home);
    docker.validate().map(|()| docker).map_err(|error| named(NAME, error))
}
