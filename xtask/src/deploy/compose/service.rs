//! One container as a service of compose's.

use std::net::IpAddr;

use hub_spawner::engine::{ContainerSpec, PublishedPort, RestartPolicy};

use super::yaml::{Map, Node, lines, list, map, plain, some, text};

/// Everything of `spec` but its mounts and variables, which are other ones under
/// compose.
pub(super) fn service(
    spec: &ContainerSpec,
    volumes: &[String],
    environment: Map,
    env_files: Vec<String>,
    after: Option<Node>,
) -> Map {
    let forever = spec.restart == RestartPolicy::UnlessStopped;
    let networks: Map = ["servers", "control"]
        .iter()
        .zip(&spec.networks)
        .map(|(key, end)| ((*key).to_owned(), some(map([("aliases", list(&end.aliases))]))))
        .map(|(key, end)| (key, end.unwrap_or(Node::Nothing)))
        .collect();
    let labels = spec.labels.iter().map(|(name, value)| (name.clone(), text(value))).collect();
    map([
        ("image", Some(text(&spec.image))),
        ("container_name", (!spec.name.is_empty()).then(|| text(&spec.name))),
        ("entrypoint", spec.entrypoint.as_deref().and_then(list)),
        ("command", spec.command.as_deref().and_then(list)),
        ("user", spec.user.as_ref().map(text)),
        ("restart", forever.then(|| text("unless-stopped"))),
        ("stop_grace_period", spec.stop_grace.map(|grace| text(seconds(grace.as_secs())))),
        ("read_only", Some(plain(spec.read_only_root))),
        ("cap_drop", list(&spec.cap_drop)),
        ("cap_add", list(&spec.cap_add)),
        ("group_add", list(&spec.group_add)),
        ("security_opt", list(&spec.security_opt)),
        ("tmpfs", list(&["/tmp:size=64m".to_owned()])),
        ("working_dir", spec.working_dir.as_ref().map(text)),
        ("environment", some(environment)),
        ("env_file", list(&env_files)),
        ("volumes", lines(volumes)),
        ("network_mode", networks.is_empty().then(|| text("none"))),
        ("networks", some(networks)),
        ("ports", list(&ports(spec))),
        ("healthcheck", health(spec)),
        ("logging", logging(spec)),
        ("labels", some(labels)),
        ("depends_on", after),
    ])
}

fn ports(spec: &ContainerSpec) -> Vec<String> {
    let port = |port: &PublishedPort| {
        let ip = match port.host_ip {
            Some(IpAddr::V6(ip)) => format!("[{ip}]:"),
            Some(ip) => format!("{ip}:"),
            None => String::new(),
        };
        let host = port.host_port.map(|port| format!("{port}:")).unwrap_or_default();
        format!("{ip}{host}{}", port.container_port)
    };
    spec.ports.iter().map(port).collect()
}

fn health(spec: &ContainerSpec) -> Option<Node> {
    let check = spec.healthcheck.as_ref()?;
    let command: Vec<String> =
        std::iter::once("CMD".to_owned()).chain(check.command.iter().cloned()).collect();
    some(map([
        ("test", list(&command)),
        ("interval", Some(text(seconds(check.interval.as_secs())))),
        ("timeout", Some(text(seconds(check.timeout.as_secs())))),
        ("retries", Some(plain(check.retries))),
        ("start_period", Some(text(seconds(check.start_period.as_secs())))),
    ]))
}

fn logging(spec: &ContainerSpec) -> Option<Node> {
    let rotation = spec.log.as_ref()?;
    some(map([
        ("driver", Some(text(super::ROTATED))),
        (
            "options",
            some(map([
                ("max-size", Some(text(rotation.max_bytes.to_string()))),
                ("max-file", Some(text(rotation.max_files.to_string()))),
            ])),
        ),
    ]))
}

fn seconds(count: u64) -> String {
    format!("{count}s")
}
