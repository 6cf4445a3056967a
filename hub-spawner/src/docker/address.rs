//! An inspected container -> where the hub reaches it. Pure (SPN-18).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use url::Url;

use super::{
    blueprint::{Blueprint, Reach},
    labels,
};
use crate::engine::ContainerDetails;

/// The base URL of a container's server, without a path.
///
/// # Errors
///
/// What is missing, as text; it may come a moment later (SPN-19).
pub(super) fn of(found: &ContainerDetails, blueprint: &Blueprint) -> Result<Url, String> {
    let port = labels::port(&found.labels).unwrap_or(blueprint.settings.port);
    let address = match blueprint.reach {
        Reach::Host(ip) => SocketAddr::new(ip, port),
        Reach::Network => {
            let network = blueprint.network_of_server(labels::server_key(&found.labels).as_ref());
            let ip = found.addresses.get(&network).ok_or_else(|| {
                format!("container {} has no address in network {network}", found.name)
            })?;
            SocketAddr::new(*ip, port)
        }
        Reach::Name => {
            let name = &found.name;
            let url = Url::parse(&format!("http://{name}:{port}"));
            return url.map_err(|error| format!("{name} is no host name: {error}"));
        }
        Reach::Published(_) => {
            let published = found.published.get(&format!("{port}/tcp")).ok_or_else(|| {
                format!("port {port} of container {} is not published", found.name)
            })?;
            let ip = if published.ip().is_unspecified() {
                blueprint.daemon.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
            } else {
                published.ip()
            };
            SocketAddr::new(ip, published.port())
        }
    };
    Url::parse(&format!("http://{address}")).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::DockerConfig;

    fn container(ip: &str, published: &str) -> ContainerDetails {
        let network = "jupyterhub-network".to_owned();
        ContainerDetails {
            name: "jupyter-ada".to_owned(),
            addresses: ip.parse().map(|ip| [(network, ip)].into()).unwrap_or_default(),
            published: published
                .parse()
                .map(|at| [("8888/tcp".to_owned(), at)].into())
                .unwrap_or_default(),
            ..ContainerDetails::default()
        }
    }

    fn blueprint(change: impl FnOnce(&mut DockerConfig)) -> Blueprint {
        let mut config = DockerConfig::new("lab");
        change(&mut config);
        Blueprint::read(&config, None).unwrap()
    }

    /// Servers at ports of a daemon's host elsewhere.
    fn remote(change: impl FnOnce(&mut DockerConfig)) -> Blueprint {
        let mut config = DockerConfig::new("lab");
        config.use_internal_ip = Some(false);
        change(&mut config);
        Blueprint::read(&config, "192.0.2.7".parse().ok()).unwrap()
    }

    #[test]
    fn spn_18_in_a_network_the_containers_own_address_counts() {
        let blueprint = blueprint(|_| {});
        let url = of(&container("172.18.0.3", ""), &blueprint).unwrap();
        assert_eq!(url.as_str(), "http://172.18.0.3:8888/");
        let url = of(&container("fd00::3", ""), &blueprint).unwrap();
        assert_eq!(url.as_str(), "http://[fd00::3]:8888/");
        let error = of(&container("", "127.0.0.1:49153"), &blueprint).unwrap_err();
        assert!(error.contains("jupyterhub-network"), "{error}");
    }

    #[test]
    fn spn_18_a_published_port_is_reached_at_the_host() {
        let local = blueprint(|config| config.network = "bridge".to_owned());
        let url = of(&container("172.17.0.2", "127.0.0.1:49153"), &local).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:49153/");
        let remote = remote(|config| config.host_ip = "0.0.0.0".parse().ok());
        let url = of(&container("", "0.0.0.0:49153"), &remote).unwrap();
        assert_eq!(url.as_str(), "http://192.0.2.7:49153/");
        assert!(of(&container("172.17.0.2", ""), &local).is_err());
    }

    #[test]
    fn dm_2_ports_are_published_where_the_daemon_is() {
        let published = |blueprint: &Blueprint| match blueprint.reach {
            Reach::Published(ip) => ip.to_string(),
            Reach::Network | Reach::Name | Reach::Host(_) => panic!("not published"),
        };
        assert_eq!(published(&remote(|_| {})), "192.0.2.7");
        let other = remote(|config| config.host_ip = "198.51.100.1".parse().ok());
        assert_eq!(published(&other), "198.51.100.1");
        let local = blueprint(|config| config.use_internal_ip = Some(false));
        assert_eq!(published(&local), "127.0.0.1");
    }

    #[test]
    fn spn_18_a_hub_in_the_same_network_uses_the_containers_name() {
        let named = blueprint(|config| config.use_internal_hostname = true);
        let url = of(&container("172.18.0.3", ""), &named).unwrap();
        assert_eq!(url.as_str(), "http://jupyter-ada:8888/");
    }

    #[test]
    fn spn_21_servers_in_the_hosts_network_have_ports_of_their_own() {
        let host = blueprint(|config| {
            config.network = "host".to_owned();
            config.host_ports = "9000-9001".parse().ok();
        });
        let mut found = container("", "");
        found.labels = labels::of_assigned(None, Some(9001));
        assert_eq!(of(&found, &host).unwrap().as_str(), "http://127.0.0.1:9001/");
    }

    #[test]
    fn spn_36_the_address_in_the_users_own_network_counts() {
        let own = blueprint(|config| config.isolation = crate::docker::Isolation::PerUser);
        let key = crate::ServerKey::default_of("ada".parse().unwrap());
        let mut found = container("172.18.0.3", "");
        found.labels = labels::for_container("hub", &key, "h");
        assert!(of(&found, &own).is_err(), "that is the shared one");
        found.addresses.insert(own.network_of(key.user()), "172.19.0.2".parse().unwrap());
        assert_eq!(of(&found, &own).unwrap().as_str(), "http://172.19.0.2:8888/");
    }

    #[test]
    fn a_server_of_before_host_ports_is_at_its_own_port() {
        let host = blueprint(|config| {
            config.network = "host".to_owned();
            config.host_ports = "9000-9001".parse().ok();
        });
        let url = of(&container("", ""), &host).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8888/");
    }
}
