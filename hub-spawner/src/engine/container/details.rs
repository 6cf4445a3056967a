//! What the daemon knows about one container, cut down to what we use. Pure
//! (API-2, API-3).

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};

use bollard::models::{
    self as wire, ContainerInspectResponse, ContainerStateStatusEnum, HealthStatusEnum,
};

use crate::{Health, engine::Labels};

/// A container, looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerDetails {
    /// The daemon's id.
    pub id: String,
    /// Its name, without the slash the daemon puts in front.
    pub name: String,
    /// What its image was called when it was made.
    pub image: String,
    /// The id of that image; its name may mean another one by now.
    pub image_id: String,
    /// What it was labelled with.
    pub labels: Labels,
    /// Whether it runs, and how it ended if it does not.
    pub state: ContainerState,
    /// The verdict of its health check, if it has one and runs; or that it is paused or
    /// restarting, of which the verdict would be an old one.
    pub health: Option<Health>,
    /// When it was started last, in RFC 3339; `None` if it never was.
    pub started_at: Option<String>,
    /// How often its restart policy started it again.
    pub restarts: u64,
    /// Names of the networks it is in.
    pub networks: BTreeSet<String>,
    /// Address in each network; absent while there is none.
    pub addresses: BTreeMap<String, IpAddr>,
    /// Where each published container port, such as `8888/tcp`, is reached on
    /// the daemon's host.
    pub published: BTreeMap<String, SocketAddr>,
    /// What is mounted.
    pub mounts: Vec<ContainerMount>,
    /// Names of its variables. The values may be secrets.
    pub variables: BTreeSet<String>,
    /// Memory it may use, in bytes; `None` for no limit.
    pub memory_limit: Option<u64>,
}

/// Whether a container runs, and how it ended if it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ContainerState {
    /// Made, but never started.
    #[default]
    Created,
    /// Also paused and restarting, as its health tells: it is there and may go on (SPN-26).
    Running,
    /// Its process ended.
    Exited {
        /// The exit code.
        code: i64,
        /// Whether the kernel ended it for want of memory.
        oom_killed: bool,
        /// What the daemon says went wrong.
        error: Option<String>,
        /// When, in RFC 3339.
        finished_at: Option<String>,
    },
    /// About to be gone.
    Removing,
}

/// Something mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerMount {
    /// Name of a volume, path on the daemon's host, or empty for a tmpfs.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Whether the container may not write there.
    pub read_only: bool,
}

impl ContainerDetails {
    /// Whether its process is there.
    pub fn is_running(&self) -> bool {
        self.state == ContainerState::Running
    }
}

pub(super) fn details(found: ContainerInspectResponse) -> ContainerDetails {
    let settings = found.network_settings.unwrap_or_default();
    let networks = settings.networks.unwrap_or_default();
    let published = settings.ports.unwrap_or_default().into_iter();
    let memory = found.host_config.and_then(|host| host.memory).filter(|bytes| *bytes > 0);
    let config = found.config.unwrap_or_default();
    let variables = config.env.unwrap_or_default().into_iter();
    let state = found.state.unwrap_or_default();
    ContainerDetails {
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default().trim_start_matches('/').to_owned(),
        image: config.image.unwrap_or_default(),
        image_id: found.image.unwrap_or_default(),
        labels: config.labels.unwrap_or_default().into_iter().collect(),
        health: doing(&state),
        started_at: moment(state.started_at.clone()),
        state: lifecycle(state),
        restarts: found.restart_count.and_then(|count| count.try_into().ok()).unwrap_or_default(),
        networks: networks.keys().cloned().collect(),
        addresses: networks
            .into_iter()
            .filter_map(|(network, end)| Some((network, address(end)?)))
            .collect(),
        published: published
            .filter_map(|(port, bindings)| {
                // An IPv4 and an IPv6 binding of the same port may both be there.
                let mut bound: Vec<SocketAddr> =
                    bindings?.into_iter().filter_map(binding).collect();
                bound.sort_by_key(SocketAddr::is_ipv6);
                Some((port, *bound.first()?))
            })
            .collect(),
        mounts: found.mounts.unwrap_or_default().into_iter().map(mount).collect(),
        variables: variables
            .map(|line| line.split('=').next().unwrap_or_default().to_owned())
            .collect(),
        memory_limit: memory.and_then(|bytes| u64::try_from(bytes).ok()),
    }
}

fn lifecycle(found: wire::ContainerState) -> ContainerState {
    use ContainerStateStatusEnum as Status;
    match found.status {
        Some(Status::CREATED) => ContainerState::Created,
        Some(Status::REMOVING) => ContainerState::Removing,
        Some(Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING) => {
            ContainerState::Running
        }
        None | Some(Status::EMPTY) if found.running == Some(true) => ContainerState::Running,
        None | Some(Status::EMPTY | Status::EXITED | Status::DEAD) => ContainerState::Exited {
            code: found.exit_code.unwrap_or_default(),
            oom_killed: found.oom_killed.unwrap_or_default(),
            error: found.error.filter(|text| !text.is_empty()),
            finished_at: moment(found.finished_at),
        },
    }
}

/// What never happened is told with year one.
fn moment(at: Option<String>) -> Option<String> {
    at.filter(|at| !at.is_empty() && !at.starts_with("0001"))
}

fn doing(found: &wire::ContainerState) -> Option<Health> {
    match found.status {
        Some(ContainerStateStatusEnum::PAUSED) => Some(Health::Paused),
        Some(ContainerStateStatusEnum::RESTARTING) => Some(Health::Restarting),
        _ => found.health.as_ref().and_then(|health| verdict(health.status?)),
    }
}

fn verdict(status: HealthStatusEnum) -> Option<Health> {
    match status {
        HealthStatusEnum::STARTING => Some(Health::Starting),
        HealthStatusEnum::HEALTHY => Some(Health::Healthy),
        HealthStatusEnum::UNHEALTHY => Some(Health::Unhealthy),
        HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
    }
}

fn address(end: wire::EndpointSettings) -> Option<IpAddr> {
    [end.ip_address, end.global_ipv6_address].into_iter().flatten().find_map(|ip| ip.parse().ok())
}

fn binding(found: wire::PortBinding) -> Option<SocketAddr> {
    let ip: IpAddr = found.host_ip?.parse().ok()?;
    Some(SocketAddr::new(ip, found.host_port?.parse().ok()?))
}

fn mount(found: wire::MountPoint) -> ContainerMount {
    ContainerMount {
        // A volume has both; its name is what an operator knows.
        source: found.name.or(found.source).unwrap_or_default(),
        target: found.destination.unwrap_or_default(),
        read_only: found.rw == Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_2_an_inspection_is_cut_down_to_what_we_use() {
        let json = r#"{
            "Id": "c0ffee", "Name": "/proxy", "Image": "sha256:1", "RestartCount": 2,
            "State": {"Status": "running", "StartedAt": "2026-11-23T00:00:00Z",
                      "Health": {"Status": "unhealthy"}},
            "Config": {"Image": "hub:1", "Env": ["KEY=hush", "EMPTY="], "Labels": {"a": "b"}},
            "HostConfig": {"Memory": 1024},
            "Mounts": [
                {"Type": "volume", "Name": "data", "Source": "/var/lib/x", "Destination": "/data", "RW": true},
                {"Type": "bind", "Source": "/etc/hub", "Destination": "/etc/hub", "RW": false}
            ],
            "NetworkSettings": {
                "Networks": {"front": {"IPAddress": "172.18.0.2"}, "back": {"IPAddress": ""}},
                "Ports": {"443/tcp": [{"HostIp": "::", "HostPort": "443"},
                                      {"HostIp": "0.0.0.0", "HostPort": "443"}],
                          "80/tcp": null}
            }
        }"#;
        let found = details(serde_json::from_str(json).unwrap());
        assert_eq!((found.name.as_str(), found.image.as_str()), ("proxy", "hub:1"));
        assert!(found.is_running());
        assert_eq!((found.health, found.restarts), (Some(Health::Unhealthy), 2));
        assert_eq!(found.networks, ["back".to_owned(), "front".to_owned()].into());
        assert_eq!(found.addresses.keys().collect::<Vec<_>>(), ["front"]);
        assert_eq!(found.published["443/tcp"].to_string(), "0.0.0.0:443");
        assert_eq!((found.mounts[0].source.as_str(), found.mounts[1].read_only), ("data", true));
        assert!(!format!("{found:?}").contains("hush"), "values may be secrets");
    }

    #[test]
    fn spn_26_each_status_is_running_ended_or_neither() {
        let look = |state: serde_json::Value| {
            details(serde_json::from_value(serde_json::json!({ "State": state })).unwrap())
        };
        let status = |status: &str| {
            // Docker goes on to tell the last verdict, and when the container ended before.
            look(serde_json::json!({
                "Status": status, "ExitCode": 3, "Error": "", "OOMKilled": true,
                "StartedAt": "2026-11-22T00:00:00Z",
                "FinishedAt": "2026-11-23T00:00:00.123456789Z",
                "Health": {"Status": "healthy"},
            }))
        };
        let exited = ContainerState::Exited {
            code: 3,
            oom_killed: true,
            error: None,
            finished_at: Some("2026-11-23T00:00:00.123456789Z".to_owned()),
        };
        for (word, state, health) in [
            ("created", ContainerState::Created, Health::Healthy),
            ("running", ContainerState::Running, Health::Healthy),
            ("paused", ContainerState::Running, Health::Paused),
            ("restarting", ContainerState::Running, Health::Restarting),
            ("removing", ContainerState::Removing, Health::Healthy),
            ("exited", exited.clone(), Health::Healthy),
            ("dead", exited, Health::Healthy),
        ] {
            let found = status(word);
            assert_eq!((found.state, found.health), (state, Some(health)), "{word}");
        }
        let unknown = look(serde_json::json!({
            "Status": "exited", "FinishedAt": "0001-01-01T00:00:00Z"
        }));
        assert!(
            matches!(unknown.state, ContainerState::Exited { finished_at: None, .. }),
            "{unknown:?}"
        );
    }

    #[test]
    fn api_3_an_empty_inspection_is_no_error() {
        let found = details(serde_json::from_str("{}").unwrap());
        assert!(matches!(found.state, ContainerState::Exited { .. }));
        let never = r#"{"State": {"Status": "created", "StartedAt": "0001-01-01T00:00:00Z"}}"#;
        let found = details(serde_json::from_str(never).unwrap());
        assert_eq!((found.state, found.started_at), (ContainerState::Created, None));
    }
}
