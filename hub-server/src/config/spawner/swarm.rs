//! `[spawner.swarm]`: what a swarm adds to `[spawner.docker]`. The keys are read by
//! `hub-spawner`; here is what the hub says about them.

use hub_spawner::{InvalidConfig, docker::DockerConfig, swarm::SwarmConfig};

use super::{
    super::{
        ConfigError,
        key::{Key, Kind, Section},
    },
    docker, named,
};

const NAME: &str = "spawner.swarm";

pub(in super::super) const SECTION: Section = Section {
    name: NAME,
    about: "What differs where `spawner.kind` is `swarm`: servers are services of a Docker swarm. What they are made of is in `[spawner.docker]`; keys of it that mean nothing in a swarm are errors.",
    keys: &[
        Key::new("spawner.swarm.constraints", Kind::List, "On which machines servers may run.")
            .default("[]")
            .example("[\"node.labels.notebooks == true\"]")
            .restart(),
        Key::new("spawner.swarm.publish", Kind::Choice(&["none", "host", "ingress"]), "How the hub reaches servers: by their service's name in the network, which the hub is in as well, at a port of the machine a server runs on, or at a port of every machine.")
            .default("\"none\"")
            .restart(),
        Key::new("spawner.swarm.host_ip", Kind::Text, "The address at which `publish = \"ingress\"` is reached. Default: that of the machine a server runs on.")
            .example("\"192.0.2.10\"")
            .restart(),
        Key::new("spawner.swarm.restart", Kind::Choice(&["none", "on-failure", "any"]), "Whether the swarm starts a server again that ended. `none`: only the hub starts servers.")
            .default("\"none\"")
            .restart(),
        Key::new("spawner.swarm.pending_timeout_seconds", Kind::Integer("seconds"), "How long a server may wait for a machine that takes it.")
            .default("30")
            .restart(),
        Key::new("spawner.swarm.token_secrets", Kind::Boolean, "Whether servers' tokens are secrets of the swarm rather than variables. Needs `spawner.docker.cmd`, and a shell in the image.")
            .default("false")
            .restart(),
        Key::new("spawner.swarm.extra_container_spec", Kind::Shape("table"), "Further fields of a service's `ContainerSpec`, in Docker's words.")
            .default("{}")
            .restart(),
        Key::new("spawner.swarm.extra_resources_spec", Kind::Shape("table"), "Further fields of its `Resources`.")
            .default("{}")
            .restart(),
        Key::new("spawner.swarm.extra_placement_spec", Kind::Shape("table"), "Further fields of its `Placement`.")
            .default("{}")
            .restart(),
        Key::new("spawner.swarm.extra_task_spec", Kind::Shape("table"), "Further fields of its `TaskTemplate`.")
            .default("{}")
            .restart(),
        Key::new("spawner.swarm.extra_endpoint_spec", Kind::Shape("table"), "Further fields of its `EndpointSpec`.")
            .default("{}")
            .restart(),
    ],
};

/// Settings that make sense with those of `docker`.
pub(super) fn check(swarm: SwarmConfig, docker: &DockerConfig) -> Result<SwarmConfig, ConfigError> {
    swarm.validate(docker).map(|()| swarm).map_err(|error| named(section_of(&error), error))
}

/// Where the key of an error stands: the swarm complains of keys of `[spawner.docker]`, too.
fn section_of(error: &InvalidConfig) -> &'static str {
    match SECTION.keys.iter().any(|key| key.short_name() == error.key) {
        true => NAME,
        false => docker::SECTION.name,
    }
}
