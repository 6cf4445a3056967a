//! What a deployment is called and where its things are (design.md 3).
//!
//! Two containers of one image: the proxy, which has the ports and the TLS keys,
//! and the hub, which has the Docker socket and the data. They meet in a network
//! of their own, which user containers are not in; in the servers' network the
//! hub has only its API.

use hub_spawner::engine::Labels;

/// The deployment's name when nobody chooses one: that of the hub's container,
/// which images and scripts know.
pub(super) const DEFAULT_NAME: &str = "jupyterhub";

/// The user and group that both programs run as.
pub(super) const UID: u32 = 1000;

/// Where the proxy's volume is mounted.
pub(super) const PROXY_DIR: &str = "/srv/hub-proxy";

/// Where a newer program of the proxy's is put while it runs. A volume of the
/// container's own: the next container begins with the program of its image.
pub(super) const PROGRAM_DIR: &str = "/srv/hub-proxy-program";

/// Where the daemon's socket is, on its host and in the hub's container.
pub(super) const SOCKET: &str = "/var/run/docker.sock";

/// Where the hub's pages are, in the network of hub and proxy.
pub(super) const WEB_PORT: u16 = 8000;

/// Where the proxy takes orders, in the same network.
pub(super) const PROXY_API_PORT: u16 = 8001;

/// The proxy's numbers for Prometheus, in the network of hub and proxy.
pub(super) const PROXY_METRICS_PORT: u16 = 8002;

/// Where the hub's API is, in the servers' network.
pub(super) const API_PORT: u16 = 8081;

/// Where the proxy listens in its container. Above 1024: it is not root.
pub(super) const HTTPS_PORT: u16 = 8443;

/// The same for plain HTTP.
pub(super) const HTTP_PORT: u16 = 8080;

/// The names of one deployment's things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// What tells it from others at the same daemon.
    pub(super) name: String,
    /// The hub's container.
    pub(super) hub: String,
    /// The proxy's container.
    pub(super) proxy: String,
    /// The network of the servers.
    pub(super) servers: String,
    /// The network of hub and proxy.
    pub(super) control: String,
    /// The hub's state.
    pub(super) data: String,
    /// Where `data` is mounted in the hub's container.
    pub(super) data_dir: String,
    /// The proxy's certificates and token.
    pub(super) keys: String,
}

impl Layout {
    pub(super) fn new(name: &str, servers: &str, data: &str, data_dir: &str) -> Self {
        Self {
            name: name.to_owned(),
            hub: name.to_owned(),
            proxy: if name == DEFAULT_NAME {
                "hub-proxy".to_owned()
            } else {
                format!("{name}-proxy")
            },
            servers: servers.to_owned(),
            control: format!("{servers}-control"),
            data: data.to_owned(),
            data_dir: data_dir.trim_end_matches('/').to_owned(),
            keys: format!("{data}-proxy"),
        }
    }

    /// What the hub is called by the proxy, in the control network only.
    pub(super) fn web_host(&self) -> String {
        format!("{}-web", self.hub)
    }

    /// What the hub is called by servers, in their network only. Not the
    /// container's name: inside the container that one means both networks.
    pub(super) fn api_host(&self) -> String {
        format!("{}-api", self.hub)
    }

    /// What the proxy is called by the hub, in the control network only.
    pub(super) fn proxy_host(&self) -> String {
        format!("{}-api", self.proxy)
    }

    /// A file below the hub's data directory, as the hub sees it.
    pub(super) fn in_data(&self, path: &str) -> String {
        format!("{}/{path}", self.data_dir)
    }

    /// The labels of everything that a deployment makes (SPN-7).
    pub(super) fn labels(&self, kind: &str) -> Labels {
        [
            ("hub.deployment", self.name.as_str()),
            ("hub.kind", kind),
            ("hub.version", env!("CARGO_PKG_VERSION")),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
    }

    /// By which the containers of users are found.
    pub(super) fn servers_labels(&self) -> Labels {
        [("hub.deployment", self.name.as_str()), ("hub.kind", "server")]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_names_are_kept_and_others_do_not_meet_them() {
        let seed = Layout::new(DEFAULT_NAME, "jupyterhub-network", "jupyterhub-data", "/data/");
        assert_eq!((seed.hub.as_str(), seed.proxy.as_str()), ("jupyterhub", "hub-proxy"));
        assert_eq!(seed.in_data("hub.sqlite"), "/data/hub.sqlite");
        let other = Layout::new("class", "class-network", "class-data", "/data");
        let names = |l: &Layout| {
            [&l.hub, &l.proxy, &l.servers, &l.control, &l.data, &l.keys].map(String::clone)
        };
        for name in names(&other) {
            assert!(!names(&seed).contains(&name), "{name}");
        }
    }
}
