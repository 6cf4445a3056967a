//! What is kept from servers whatever an operator's further fields say (SPN-37).
//! Pure.

use serde_json::{Map, Value};

use crate::InvalidConfig;

/// Refuses the daemon's socket as something to mount: whoever has it has the host.
///
/// # Errors
///
/// If `source` is a socket of Docker's, or a directory that holds one.
pub(super) fn check_source(key: &'static str, source: &str) -> Result<(), InvalidConfig> {
    let path = source.trim_end_matches('/');
    let file = path.rsplit('/').next().unwrap_or_default();
    let holds_it = matches!(path, "/run" | "/var/run" | "/var/lib/docker" | "/run/docker")
        || source.starts_with('/') && path.is_empty();
    let is_it = matches!(file, "docker.sock" | "containerd.sock" | "podman.sock");
    match holds_it || is_it {
        true => Err(InvalidConfig::new(
            key,
            format!("{source} holds the socket of the container service, and with it the host"),
        )),
        false => Ok(()),
    }
}

/// Refuses what takes the walls around a server down, by the first such field.
///
/// # Errors
///
/// The field, unless `allowed`; the socket in any case.
pub(super) fn check_host_config(
    host: &Map<String, Value>,
    allowed: bool,
) -> Result<(), InvalidConfig> {
    const KEY: &str = "extra_host_config";
    for source in sources(host) {
        check_source(KEY, &source)?;
    }
    let text = |name: &str| host.get(name).and_then(Value::as_str).unwrap_or_default();
    let filled = |name: &str| match host.get(name) {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Null) | None => false,
        Some(_) => true,
    };
    let options = host.get("SecurityOpt").and_then(Value::as_array);
    let weakens = |option: &Value| {
        let option = option.as_str().unwrap_or_default();
        ["unconfined", "disable", "no-new-privileges:false", "no-new-privileges=false"]
            .iter()
            .any(|word| option.contains(word))
    };
    let weak = [
        ("Privileged", host.get("Privileged") == Some(&Value::Bool(true))),
        ("CapAdd", filled("CapAdd")),
        ("SecurityOpt", options.is_some_and(|options| options.iter().any(weakens))),
        ("PidMode", is_shared(text("PidMode"))),
        ("IpcMode", is_shared(text("IpcMode"))),
        ("UTSMode", is_shared(text("UTSMode"))),
        ("UsernsMode", is_shared(text("UsernsMode"))),
        ("CgroupnsMode", is_shared(text("CgroupnsMode"))),
        ("DeviceCgroupRules", filled("DeviceCgroupRules")),
        ("VolumesFrom", filled("VolumesFrom")),
        ("MaskedPaths", host.contains_key("MaskedPaths")),
        ("ReadonlyPaths", host.contains_key("ReadonlyPaths")),
    ];
    match weak.into_iter().find(|(_, is)| *is).filter(|_| !allowed) {
        Some((field, _)) => Err(InvalidConfig::new(
            KEY,
            format!(
                "{field} lets servers out of their containers; with allow_unsafe_host_config = \
                 true it is taken nevertheless"
            ),
        )),
        None => Ok(()),
    }
}

/// Whether a name space is the host's or another container's.
fn is_shared(mode: &str) -> bool {
    mode == "host" || mode.starts_with("container:")
}

/// What the fields mount.
fn sources(host: &Map<String, Value>) -> Vec<String> {
    let list = |name: &str| host.get(name).and_then(Value::as_array).into_iter().flatten();
    let binds = list("Binds")
        .filter_map(Value::as_str)
        .map(|bind| bind.split(':').next().unwrap_or_default().to_owned());
    let mounts = list("Mounts").filter_map(|mount| mount.get("Source")?.as_str());
    binds.chain(mounts.map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(host: Value, allowed: bool) -> Option<String> {
        let Value::Object(host) = host else { panic!("not an object") };
        check_host_config(&host, allowed).err().map(|error| error.reason)
    }

    #[test]
    fn spn_37_walls_come_down_only_where_somebody_says_so() {
        for weak in [
            json!({"Privileged": true}),
            json!({"CapAdd": ["SYS_ADMIN"]}),
            json!({"SecurityOpt": ["seccomp=unconfined"]}),
            json!({"SecurityOpt": ["no-new-privileges:false"]}),
            json!({"PidMode": "host"}),
            json!({"PidMode": "container:hub"}),
            json!({"IpcMode": "host"}),
            json!({"UsernsMode": "host"}),
            json!({"VolumesFrom": ["hub"]}),
            json!({"MaskedPaths": []}),
        ] {
            assert!(said(weak.clone(), false).is_some(), "{weak}");
            assert_eq!(said(weak.clone(), true), None, "{weak}");
        }
        for fine in [
            json!({}),
            json!({"Privileged": false, "ShmSize": 1, "IpcMode": "private", "CapAdd": []}),
            json!({"SecurityOpt": ["apparmor=docker-default"]}),
        ] {
            assert_eq!(said(fine.clone(), false), None, "{fine}");
        }
    }

    #[test]
    fn c1_the_socket_is_mounted_in_no_way() {
        for socket in [
            json!({"Binds": ["/var/run/docker.sock:/x"]}),
            json!({"Binds": ["/:/host:ro"]}),
            json!({"Mounts": [{"Type": "bind", "Source": "/run/", "Target": "/x"}]}),
        ] {
            assert!(said(socket.clone(), true).unwrap().contains("socket"), "{socket}");
        }
        for source in ["/run/docker.sock", "/var/run/", "/", "/srv/podman.sock", "//"] {
            assert!(check_source("volumes", source).is_err(), "{source}");
        }
        for source in ["/srv/run", "jupyterhub-user-ada", "/home/ada", "docker"] {
            assert!(check_source("volumes", source).is_ok(), "{source}");
        }
    }
}
