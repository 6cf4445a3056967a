//! What is kept from servers whatever an operator's further fields say (SPN-37).
//! Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::InvalidConfig;

/// Sockets of container services, and directories that say all about containers.
const HELD_BACK: [&str; 9] = [
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/docker",
    "/var/run/docker",
    "/run/containerd/containerd.sock",
    "/var/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/var/run/podman/podman.sock",
    "/var/lib/docker",
];

/// What is never mounted into a server: whoever has the daemon's socket has the host.
#[derive(Clone, Debug, Default)]
pub(super) struct Sockets {
    /// The socket that the hub itself asks at, where `host` names one.
    own: Option<String>,
}

impl Sockets {
    /// Those of a hub whose setting `host` is this.
    pub(super) fn of(host: Option<&str>) -> Self {
        let own = host.and_then(|host| host.strip_prefix("unix://"));
        Self { own: own.and_then(plain_path) }
    }

    /// Refuses a socket, or a directory that holds one, as something to mount.
    ///
    /// # Errors
    ///
    /// If `source` is such a path, however it is written.
    pub(super) fn check(&self, key: &'static str, source: &str) -> Result<(), InvalidConfig> {
        let Some(path) = plain_path(source) else { return Ok(()) };
        let file = path.rsplit('/').next().unwrap_or_default();
        let is_it = matches!(file, "docker.sock" | "containerd.sock" | "podman.sock");
        let inside = format!("{}/", path.trim_end_matches('/'));
        let mut held = HELD_BACK.into_iter().chain(self.own.as_deref());
        if is_it || held.any(|socket| socket == path || socket.starts_with(&inside)) {
            return Err(InvalidConfig::new(
                key,
                format!("{source} holds the socket of the container service, and with it the host"),
            ));
        }
        Ok(())
    }

    /// The same for a volume's driver options: `device` is a path of the host, unless
    /// the file system comes over a network.
    ///
    /// # Errors
    ///
    /// As of [`check`](Self::check).
    pub(super) fn check_driver_options(
        &self,
        key: &'static str,
        options: &BTreeMap<String, String>,
    ) -> Result<(), InvalidConfig> {
        let kind = options.get("type").map(String::as_str).unwrap_or_default();
        let is_remote = kind.starts_with("nfs") || matches!(kind, "cifs" | "smb3");
        match options.get("device") {
            Some(device) if !is_remote => self.check(key, device),
            Some(_) | None => Ok(()),
        }
    }
}

/// An absolute path without `//`, `.` and `..`, as the daemon takes it; `None` for what
/// is no path.
fn plain_path(path: &str) -> Option<String> {
    path.starts_with('/').then(|| {
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => drop(parts.pop()),
                part => parts.push(part),
            }
        }
        format!("/{}", parts.join("/"))
    })
}

/// Refuses what takes the walls around a server down, by the first such field.
///
/// # Errors
///
/// The field, unless `allowed`; the socket in any case.
pub(super) fn check_host_config(
    host: &Map<String, Value>,
    allowed: bool,
    sockets: &Sockets,
) -> Result<(), InvalidConfig> {
    const KEY: &str = "extra_host_config";
    for source in sources(host) {
        sockets.check(KEY, &source)?;
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
        check_host_config(&host, allowed, &Sockets::default()).err().map(|error| error.reason)
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
        let sockets = Sockets::default();
        for source in ["/run/docker.sock", "/var/run/", "/", "/srv/podman.sock", "//"] {
            assert!(sockets.check("volumes", source).is_err(), "{source}");
        }
        for source in ["/srv/run", "jupyterhub-user-ada", "/home/ada", "docker", "/run/user"] {
            assert!(sockets.check("volumes", source).is_ok(), "{source}");
        }
    }

    #[test]
    fn c1_the_socket_is_known_however_its_path_is_written() {
        let sockets = Sockets::of(Some("unix:///srv/engine/d.sock"));
        for source in [
            "//run",
            "/run/.",
            "/srv/../run",
            "/run//docker.sock/",
            "/var",
            "/run/containerd",
            "/srv/engine/d.sock",
            "/srv/engine/",
            "/srv",
        ] {
            assert!(sockets.check("volumes", source).is_err(), "{source}");
        }
        for source in ["/srv/engines", "/runs", "/srv/engine/files"] {
            assert!(sockets.check("volumes", source).is_ok(), "{source}");
        }
        let options = |rows: &[(&str, &str)]| {
            rows.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let bound = options(&[("type", "none"), ("o", "bind"), ("device", "/var/run")]);
        assert!(sockets.check_driver_options("mounts", &bound).is_err());
        let remote = options(&[("type", "cifs"), ("device", "//run/homes")]);
        assert!(sockets.check_driver_options("mounts", &remote).is_ok());
    }
}
