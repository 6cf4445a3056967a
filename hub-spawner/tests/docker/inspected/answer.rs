//! The part of the daemon's answers that is compared, in a form that is the same on
//! each machine.

use std::{collections::BTreeMap, path::Path};

use bollard::{
    Docker,
    query_parameters::{InspectContainerOptions, InspectNetworkOptions},
};
use serde_json::{Map, Value, json};
use url::Url;

use crate::bench::{Corner, docker};

/// What is looked at: fields that are set by whoever makes a container.
const FIELDS: [(&str, &[&str]); 2] = [
    (
        "Config",
        &[
            "Cmd",
            "Entrypoint",
            "Env",
            "ExposedPorts",
            "Hostname",
            "Image",
            "Labels",
            "StopSignal",
            "User",
            "WorkingDir",
        ],
    ),
    (
        "HostConfig",
        &[
            "AutoRemove",
            "Binds",
            "CapAdd",
            "CapDrop",
            "CpuPeriod",
            "CpuQuota",
            "DeviceRequests",
            "Devices",
            "Dns",
            "ExtraHosts",
            "Init",
            "Links",
            "LogConfig",
            "Memory",
            "MemorySwap",
            "Mounts",
            "NetworkMode",
            "OomScoreAdj",
            "PidsLimit",
            "PortBindings",
            "Privileged",
            "ReadonlyRootfs",
            "RestartPolicy",
            "SecurityOpt",
            "ShmSize",
            "StorageOpt",
        ],
    ),
];

/// What a container may be told by to be the same in each run.
pub(super) struct Seen<'a> {
    pub(super) corner: &'a Corner,
    /// The directory that `/HOST` stands for.
    pub(super) host: &'a Path,
}

impl Seen<'_> {
    /// What is looked at of a container, with that of its volumes and networks.
    pub(super) async fn container(&self, id: &str) -> Value {
        let docker = docker();
        let options = None::<InspectContainerOptions>;
        let answer = docker.inspect_container(id, options).await.expect("inspect");
        let answer = serde_json::to_value(answer).expect("JSON");
        let mut told = json!({"Name": answer["Name"]});
        for (section, fields) in FIELDS {
            let fields = fields.iter().map(|&name| (name, answer[section][name].clone()));
            told[section] = fields.collect::<BTreeMap<_, _>>().into_iter().collect();
        }
        // One that nobody chose is the beginning of the id, or the host's.
        let hostname = told["Config"]["Hostname"].as_str().unwrap_or_default();
        if id.starts_with(hostname) || told["HostConfig"]["NetworkMode"] == "host" {
            told["Config"]["Hostname"] = Value::Null;
        }
        told["Config"]["Env"] = variables(&told["Config"]["Env"]);
        told["Config"]["ExposedPorts"] = names(&told["Config"]["ExposedPorts"]);
        told["Config"]["Labels"]["hub.spec-hash"] = "HASH".into();
        told["HostConfig"]["CapDrop"] = capabilities(&told["HostConfig"]["CapDrop"]);
        told["HostConfig"]["CapAdd"] = capabilities(&told["HostConfig"]["CapAdd"]);
        told["Ports"] = answer["NetworkSettings"]["Ports"].clone();
        told["Mounts"] = Map::new().into();
        for mount in answer["Mounts"].as_array().into_iter().flatten() {
            let (at, what) = self.mount(&docker, mount).await;
            told["Mounts"][at] = what;
        }
        told["Networks"] = Map::new().into();
        let networks = answer["NetworkSettings"]["Networks"].as_object();
        for (name, end) in networks.into_iter().flatten() {
            told["Networks"][name] = network(&docker, name, end).await;
        }
        told
    }

    /// Where something is mounted, and what.
    async fn mount(&self, docker: &Docker, mount: &Value) -> (String, Value) {
        let at = mount["Destination"].as_str().expect("mounts have a place").to_owned();
        let mut what = mount.clone();
        if mount["Type"] == "volume" {
            let name = mount["Name"].as_str().expect("volumes have names");
            let volume = docker.inspect_volume(name).await.expect("inspect a volume");
            // Where the daemon keeps it, and what it makes of a mode; `RW` is told as well.
            what["Source"] = Value::Null;
            what["Mode"] = Value::Null;
            what["Labels"] = volume.labels.into_iter().collect();
            what["Options"] = volume.options.into_iter().collect();
        }
        (at, what)
    }

    /// Where the spawner says that the server is; its address in a network is chosen
    /// by the daemon.
    pub(super) fn address(&self, url: &Url, told: &Value) -> Value {
        let mut text = url.to_string();
        for end in told["Networks"].as_object().into_iter().flatten() {
            if let Some(address) = end.1["IPAddress"].as_str().filter(|ip| !ip.is_empty()) {
                text = text.replace(&format!("//{address}:"), &format!("//{}:", end.0));
            }
        }
        text.into()
    }

    /// The same without what is empty, or is different in each run.
    pub(super) fn shown(&self, told: &Value) -> Value {
        let mut told = told.clone();
        let mut chosen = Vec::new();
        for end in told["Networks"].as_object_mut().into_iter().flatten() {
            end.1["IPAddress"] = Value::Null;
        }
        for binding in told["Ports"].as_object_mut().into_iter().flatten() {
            for end in binding.1.as_array_mut().into_iter().flatten() {
                chosen.extend(end["HostPort"].as_str().map(|port| format!(":{port}/")));
                end["HostPort"] = "PORT".into();
            }
        }
        if let Some(address) = told["Address"].as_str() {
            let shown = chosen
                .iter()
                .fold(address.to_owned(), |shown, port| shown.replace(port.as_str(), ":PORT/"));
            told["Address"] = shown.into();
        }
        let text = told.to_string().replace(&self.corner.name, "CORNER");
        let text = text.replace(&self.host.display().to_string(), "/HOST");
        let version = |version: &str| format!(r#""hub.version":"{version}""#);
        let text = text.replace(&version(env!("CARGO_PKG_VERSION")), &version("VERSION"));
        without_nothing(serde_json::from_str(&without_hashes(&text)).expect("names are plain"))
    }
}

/// Names that are cut end in `---` and the beginning of a hash, which depends on the
/// test's name.
fn without_hashes(text: &str) -> String {
    let mut parts = text.split("---");
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_hexdigit());
        shown.push_str("---HASH");
        shown.push_str(rest);
    }
    shown
}

/// A network as one of its containers sees it.
async fn network(docker: &Docker, name: &str, end: &Value) -> Value {
    let options = None::<InspectNetworkOptions>;
    let network = docker.inspect_network(name, options).await.expect("inspect a network");
    let network = serde_json::to_value(network).expect("JSON");
    if network["Labels"].as_object().is_none_or(Map::is_empty) {
        // One of the daemon's own, with whoever else is in it.
        return json!({"Links": end["Links"]});
    }
    let members = network["Containers"].as_object().into_iter().flatten();
    let mut members: Vec<&Value> = members.map(|member| &member.1["Name"]).collect();
    members.sort_by_key(|name| name.as_str());
    // What the daemon chooses is in its own ranges.
    let subnet = network["IPAM"]["Config"][0]["Subnet"].as_str().unwrap_or_default();
    let chosen = subnet.starts_with("198.18.").then_some(subnet);
    json!({
        "IPAddress": end["IPAddress"], "Links": end["Links"], "Labels": network["Labels"],
        "Members": members, "Subnet": chosen,
    })
}

/// The names of fields that hold nothing.
fn names(fields: &Value) -> Value {
    fields.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

/// Some versions of Docker tell them with the kernel's prefix.
fn capabilities(list: &Value) -> Value {
    let list = list.as_array().into_iter().flatten().filter_map(Value::as_str);
    list.map(|name| name.trim_start_matches("CAP_")).collect()
}

/// Variables by their names.
fn variables(lines: &Value) -> Value {
    let lines = lines.as_array().into_iter().flatten().filter_map(Value::as_str);
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

/// Without fields that say nothing: versions of Docker differ in how they say it.
fn without_nothing(value: Value) -> Value {
    let says_something = |value: &Value| match value {
        Value::Null => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::String(text) => !text.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .map(|(name, value)| (name, without_nothing(value)))
            .filter(|(_, value)| says_something(value))
            .collect(),
        Value::Array(list) => list.into_iter().map(without_nothing).collect(),
        other => other,
    }
}

/// What differs, as `path: value` of `after`; `null` where something is gone. Lists are
/// values.
pub(super) fn changes(before: &Value, after: &Value) -> Map<String, Value> {
    let mut found = Map::new();
    collect("", before, after, &mut found);
    found
}

fn collect(path: &str, before: &Value, after: &Value, into: &mut Map<String, Value>) {
    match (before, after) {
        (one, other) if one == other => {}
        (Value::Object(one), Value::Object(other)) => {
            let names: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                let value = |fields: &Map<_, _>| fields.get(name).cloned().unwrap_or_default();
                collect(&path, &value(one), &value(other), into);
            }
        }
        (_, other) => {
            into.insert(path.to_owned(), other.clone());
        }
    }
}

/// The same with the fields of objects in order, as files have them.
pub(super) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields: BTreeMap<_, _> = fields.into_iter().collect();
            fields.into_iter().map(|(name, value)| (name, sorted(value))).collect()
        }
        Value::Array(list) => list.into_iter().map(sorted).collect(),
        other => other,
    }
}
