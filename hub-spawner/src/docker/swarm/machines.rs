//! How large the machines are that may take a server, and where its output goes. Pure.

use bollard::models::{Node, NodeSpecAvailabilityEnum};
use serde_json::Value;

use super::{config::SwarmConfig, task::is_down};
use crate::docker::blueprint::Blueprint;

/// What the machines of a swarm have in common, as far as servers are bounded by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Machines {
    /// The memory of the smallest that may take the server, in bytes; 0 if none tells.
    pub(super) memory: u64,
    /// The log driver of the manager, which the others are taken to have as well.
    pub(super) log_driver: String,
}

/// The memory of the smallest machine that takes servers of this kind, in bytes; 0 if
/// none tells. One that is down or drained does not count, unless all are.
pub(super) fn smallest_memory(nodes: &[Node], blueprint: &Blueprint, swarm: &SwarmConfig) -> u64 {
    let promised = blueprint.settings.memory_guarantee.unwrap_or_default();
    let constraints = constraints(swarm);
    let fits = |node: &&Node| {
        constraints.iter().all(|text| allows(text, node)) && memory(node) >= promised
    };
    let fitting: Vec<&Node> = nodes.iter().filter(fits).collect();
    let takes = |node: &&&Node| {
        let availability = node.spec.as_ref().and_then(|spec| spec.availability);
        !is_down(node) && matches!(availability, None | Some(NodeSpecAvailabilityEnum::ACTIVE))
    };
    let smallest = |nodes: &mut dyn Iterator<Item = &&Node>| {
        nodes.map(|node| memory(node)).filter(|bytes| *bytes > 0).min()
    };
    let taking = smallest(&mut fitting.iter().filter(takes));
    taking.or_else(|| smallest(&mut fitting.iter())).unwrap_or_default()
}

/// Those of both settings that count.
fn constraints(swarm: &SwarmConfig) -> Vec<String> {
    match swarm.extra_placement_spec.get("Constraints").and_then(Value::as_array) {
        Some(list) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        None => swarm.constraints.clone(),
    }
}

fn memory(node: &Node) -> u64 {
    let resources = node.description.as_ref().and_then(|told| told.resources.as_ref());
    let bytes = resources.and_then(|resources| resources.memory_bytes);
    bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
}

/// Whether a constraint allows this machine; one that is not understood does, so that no
/// machine is forgotten.
fn allows(constraint: &str, node: &Node) -> bool {
    let (left, right, wanted) = match (constraint.split_once("=="), constraint.split_once("!=")) {
        (Some((left, right)), _) => (left, right, true),
        (None, Some((left, right))) => (left, right, false),
        (None, None) => return true,
    };
    let (left, right) = (left.trim(), right.trim());
    let (spec, told) = (node.spec.as_ref(), node.description.as_ref());
    let platform = told.and_then(|told| told.platform.as_ref());
    let value = if let Some(label) = left.strip_prefix("node.labels.") {
        spec.and_then(|spec| spec.labels.as_ref()?.get(label).cloned())
    } else if let Some(label) = left.strip_prefix("engine.labels.") {
        told.and_then(|told| told.engine.as_ref()?.labels.as_ref()?.get(label).cloned())
    } else {
        match left.to_ascii_lowercase().as_str() {
            "node.id" => node.id.clone(),
            "node.hostname" => told.and_then(|told| told.hostname.clone()),
            "node.role" => spec.and_then(|spec| Some(spec.role?.to_string())),
            "node.platform.os" => platform.and_then(|platform| platform.os.clone()),
            "node.platform.arch" => platform.and_then(|platform| platform.architecture.clone()),
            _ => return true,
        }
    };
    value.unwrap_or_default().eq_ignore_ascii_case(right) == wanted
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::docker::DockerConfig;

    const GIB: u64 = 1 << 30;

    /// A small manager, two workers, and one that is gone.
    fn nodes() -> Vec<Node> {
        let node = |name: &str, role: &str, gib: u64, state: &str, availability: &str| {
            let json = json!({
                "ID": name,
                "Spec": {"Role": role, "Availability": availability, "Labels": {"disk": name}},
                "Description": {"Hostname": name, "Resources": {"MemoryBytes": gib * GIB},
                    "Engine": {"Labels": {"zone": "x"}}},
                "Status": {"State": state},
            });
            serde_json::from_value(json).unwrap()
        };
        vec![
            node("m", "manager", 2, "ready", "active"),
            node("w1", "worker", 64, "ready", "active"),
            node("w2", "worker", 32, "ready", "active"),
            node("drained", "worker", 8, "ready", "drain"),
            node("gone", "worker", 16, "down", "active"),
        ]
    }

    #[test]
    fn c8_the_smallest_machine_that_may_take_a_server_bounds_it() {
        for (constraints, promised, gib) in [
            (json!([]), None, 2),
            (json!(["node.role == worker"]), None, 32),
            (json!(["node.role==worker", "node.hostname != w2"]), None, 64),
            (json!(["node.labels.disk == W1"]), None, 64),
            (json!(["engine.labels.zone != x"]), None, 0),
            (json!(["node.labels.none == x"]), None, 0),
            (json!(["node.ip == 10.0.0.1"]), None, 2),
            (json!([]), Some("33G"), 64),
            (json!(["node.hostname == drained"]), None, 8),
            (json!(["node.hostname == gone"]), None, 16),
        ] {
            let json = json!({"image": "lab", "mem_guarantee": promised});
            let docker: DockerConfig = serde_json::from_value(json).unwrap();
            let blueprint = Blueprint::read(&docker, None).unwrap();
            for key in ["constraints", "extra"] {
                let json = match key {
                    "constraints" => json!({"constraints": constraints}),
                    _ => json!({"extra_placement_spec": {"Constraints": constraints},
                                "constraints": ["node.role == nobody"]}),
                };
                let swarm: SwarmConfig = serde_json::from_value(json).unwrap();
                let found = smallest_memory(&nodes(), &blueprint, &swarm);
                assert_eq!(found / GIB, gib, "{key} {constraints} {promised:?}");
            }
        }
    }
}
