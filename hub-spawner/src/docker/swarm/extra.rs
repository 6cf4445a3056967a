//! Which further fields of a service an operator may set. Pure.

use bollard::models::{
    EndpointSpec, TaskSpec, TaskSpecContainerSpec, TaskSpecPlacement, TaskSpecResources,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::config::SwarmConfig;
use crate::{InvalidConfig, docker::DockerConfig};

/// Fields of a `ContainerSpec` that have keys of their own.
const OF_CONTAINER: [(&str, &str); 8] = [
    ("Image", "image"),
    ("Env", "environment"),
    ("Mounts", "volumes and mounts"),
    ("Labels", "nothing: they tell whose a service is"),
    ("Args", "cmd and args"),
    ("User", "user"),
    ("CapabilityDrop", "drop_capabilities"),
    ("StopGracePeriod", "stop_timeout_seconds"),
];

/// Fields of a `TaskTemplate` that have keys of their own.
const OF_TASK: [(&str, &str); 4] = [
    ("ContainerSpec", "extra_container_spec"),
    ("Resources", "extra_resources_spec"),
    ("Placement", "extra_placement_spec"),
    ("Networks", "network and networks"),
];

/// Checks the further fields.
///
/// # Errors
///
/// The first that has a key of its own, that Docker does not know, that has the wrong
/// type, or that lets servers out of their containers (SPN-37).
pub(super) fn check(swarm: &SwarmConfig, docker: &DockerConfig) -> Result<(), InvalidConfig> {
    const CONTAINER: &str = "extra_container_spec";
    refuse_ours(CONTAINER, &swarm.extra_container_spec, &OF_CONTAINER)?;
    refuse_ours("extra_task_spec", &swarm.extra_task_spec, &OF_TASK)?;
    known::<TaskSpecContainerSpec>(CONTAINER, &swarm.extra_container_spec)?;
    known::<TaskSpecResources>("extra_resources_spec", &swarm.extra_resources_spec)?;
    known::<TaskSpecPlacement>("extra_placement_spec", &swarm.extra_placement_spec)?;
    known::<TaskSpec>("extra_task_spec", &swarm.extra_task_spec)?;
    known::<EndpointSpec>("extra_endpoint_spec", &swarm.extra_endpoint_spec)?;
    let container = &swarm.extra_container_spec;
    if swarm.token_secrets && container.contains_key("Secrets") {
        let reason = "Secrets would take the place of the token's; with token_secrets leave it out";
        return Err(InvalidConfig::new(CONTAINER, reason));
    }
    match weak_field(container).filter(|_| !docker.allow_unsafe_host_config) {
        Some(field) => Err(InvalidConfig::new(
            CONTAINER,
            format!(
                "{field} lets servers out of their containers; with \
                 spawner.docker.allow_unsafe_host_config = true it is taken nevertheless"
            ),
        )),
        None => Ok(()),
    }
}

fn refuse_ours(
    key: &'static str,
    extra: &Map<String, Value>,
    ours: &[(&str, &str)],
) -> Result<(), InvalidConfig> {
    match ours.iter().find(|(name, _)| extra.contains_key(*name)) {
        Some((name, setting)) => {
            Err(InvalidConfig::new(key, format!("{name} is set by {setting}")))
        }
        None => Ok(()),
    }
}

/// Refuses fields that would vanish on their way to the daemon, at any depth.
fn known<T: DeserializeOwned + Serialize>(
    key: &'static str,
    extra: &Map<String, Value>,
) -> Result<(), InvalidConfig> {
    for (name, value) in extra {
        let alone = Value::Object([(name.clone(), value.clone())].into_iter().collect());
        let read: T = serde_json::from_value(alone.clone()).map_err(|error| {
            InvalidConfig::new(key, format!("{name} has the wrong type: {error}"))
        })?;
        let kept = serde_json::to_value(read).unwrap_or_default();
        if let Some(lost) = lost(&alone, &kept) {
            let reason = format!("{lost} is no field that Docker knows");
            return Err(InvalidConfig::new(key, reason));
        }
    }
    Ok(())
}

/// The first field of `given` that is not in `kept`, such as `Limits.Pid`.
fn lost(given: &Value, kept: &Value) -> Option<String> {
    match (given, kept) {
        (Value::Object(given), Value::Object(kept)) => given
            .iter()
            .filter(|(_, value)| !value.is_null())
            .find_map(|(name, value)| match kept.get(name) {
                None => Some(name.clone()),
                Some(kept) => lost(value, kept).map(|inner| format!("{name}.{inner}")),
            }),
        (Value::Array(given), Value::Array(kept)) => {
            given.iter().zip(kept).find_map(|(given, kept)| lost(given, kept))
        }
        (_, _) => None,
    }
}

/// What takes the walls around a server down, by the first such field.
fn weak_field(container: &Map<String, Value>) -> Option<&'static str> {
    let filled = |name: &str| match container.get(name) {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Null) | None => false,
        Some(_) => true,
    };
    let privilege = |path: &str| container.get("Privileges").and_then(|all| all.pointer(path));
    let is = |path: &str, word: &str| privilege(path).is_some_and(|value| value == word);
    let weak = [
        ("CapabilityAdd", filled("CapabilityAdd")),
        (
            "Privileges.NoNewPrivileges",
            privilege("/NoNewPrivileges").is_some_and(|on| on != &Value::Bool(true)),
        ),
        ("Privileges.Seccomp", is("/Seccomp/Mode", "unconfined")),
        ("Privileges.AppArmor", is("/AppArmor/Mode", "disabled")),
        (
            "Privileges.SELinuxContext",
            privilege("/SELinuxContext/Disable") == Some(&Value::Bool(true)),
        ),
        // Null would take ours away.
        ("Privileges", container.get("Privileges").is_some_and(|value| !value.is_object())),
    ];
    weak.into_iter().find_map(|(field, is)| is.then_some(field))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(docker: Value, swarm: Value) -> String {
        let docker: DockerConfig = serde_json::from_value(docker).unwrap();
        let swarm: SwarmConfig = serde_json::from_value(swarm).unwrap();
        swarm.validate(&docker).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn c1_spn_37_a_service_gets_no_socket_and_no_field_that_has_a_key() {
        let socket = json!([{"Type": "bind", "Source": "/run/docker.sock", "Target": "/s"}]);
        for (swarm, words) in [
            (json!({"extra_container_spec": {"Mounts": socket}}), "Mounts is set by volumes"),
            (
                json!({"extra_task_spec": {"ContainerSpec": {"Mounts": socket}}}),
                "ContainerSpec is set by extra_container_spec",
            ),
            (json!({"extra_container_spec": {"Image": "x"}}), "Image is set by image"),
            (json!({"extra_container_spec": {"Env": ["A=b"]}}), "Env is set by environment"),
            (json!({"extra_container_spec": {"Labels": {"a": "b"}}}), "Labels is set by nothing"),
        ] {
            assert!(said(json!({"image": "lab"}), swarm.clone()).contains(words), "{swarm}");
        }
        let swarm = json!({"token_secrets": true, "extra_container_spec": {"Secrets": []}});
        assert!(said(json!({"image": "lab", "cmd": "x"}), swarm).contains("Secrets would take"));
    }

    #[test]
    fn spn_17_fields_that_docker_does_not_know_are_named() {
        for (swarm, words) in [
            (json!({"extra_container_spec": {"Hostnam": "x"}}), "Hostnam is no field"),
            (
                json!({"extra_resources_spec": {"Limits": {"Pid": 1}}}),
                "extra_resources_spec: Limits.Pid is no field",
            ),
            (
                json!({"extra_placement_spec": {"Preferences": [{"Spred": {}}]}}),
                "Preferences.Spred is no field",
            ),
            (json!({"extra_task_spec": {"ForceUpdate": "x"}}), "ForceUpdate has the wrong type"),
            (json!({"extra_endpoint_spec": {"Modus": "vip"}}), "Modus is no field"),
        ] {
            let said = said(json!({"image": "lab"}), swarm.clone());
            assert!(said.contains(words), "{swarm}: {said}");
        }
        let fine = json!({"extra_container_spec": {"Hosts": ["1.2.3.4 a"], "TTY": true},
                          "extra_placement_spec": {"MaxReplicas": 1}});
        assert_eq!(said(json!({"image": "lab"}), fine), "");
    }

    #[test]
    fn spn_37_walls_of_a_service_come_down_only_where_somebody_says_so() {
        for weak in [
            json!({"CapabilityAdd": ["SYS_ADMIN"]}),
            json!({"Privileges": {"NoNewPrivileges": false}}),
            json!({"Privileges": {"Seccomp": {"Mode": "unconfined"}}}),
            json!({"Privileges": {"AppArmor": {"Mode": "disabled"}}}),
            json!({"Privileges": {"SELinuxContext": {"Disable": true}}}),
            json!({"Privileges": null}),
        ] {
            let swarm = json!({"extra_container_spec": weak});
            let words = said(json!({"image": "lab"}), swarm.clone());
            assert!(words.contains("lets servers out"), "{swarm}: {words}");
            let allowed = json!({"image": "lab", "allow_unsafe_host_config": true});
            assert_eq!(said(allowed, swarm.clone()), "", "{swarm}");
        }
        let fine = json!({"Privileges": {"Seccomp": {"Mode": "default"}}, "CapabilityAdd": []});
        assert_eq!(said(json!({"image": "lab"}), json!({"extra_container_spec": fine})), "");
    }
}
