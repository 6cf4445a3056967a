//! Where the hub's listeners are, as far as the configuration and Docker's
//! network tell. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use url::{Host, Url};

use crate::{
    config::{ApiListen, Config, ListenAddr, SpawnerConfig},
    web::paths::Paths,
};

/// The private listener, from both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Api {
    /// Where the hub listens.
    pub(super) listen: ListenAddr,
    /// What servers are told to call, without a slash at the end.
    pub(super) url: String,
}

impl Api {
    /// Takes up the port that the system has chosen, if it was left to it.
    pub(super) fn chosen_port(&mut self, port: u16) {
        if self.listen.port() == 0 {
            self.listen = self.listen.with_port(port);
            self.url = self.url.replacen(":0/", &format!(":{port}/"), 1);
        }
    }
}

/// Where servers find the hub's API. `gateway` is this host in their network;
/// `None` if it is needed and not known.
pub(super) fn api(config: &Config, gateway: Option<IpAddr>) -> Option<Api> {
    // In the host's own network, the host is `localhost`.
    let host = match &config.spawner {
        SpawnerConfig::Process(process) => Some(process.ip),
        SpawnerConfig::Docker(docker) if docker.network == "host" => {
            Some(IpAddr::from(Ipv4Addr::LOCALHOST))
        }
        SpawnerConfig::Docker(_) | SpawnerConfig::Swarm { .. } => gateway,
    };
    let listen = match &config.hub_api.listen {
        ApiListen::At(address) => address.clone(),
        ApiListen::Auto { port } => SocketAddr::new(host?, *port).into(),
    };
    let reached = match listen.is_unspecified() {
        true => SocketAddr::new(host?, listen.port()).into(),
        false => listen.clone(),
    };
    let url = match &config.hub_api.url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{reached}{}", Paths::new(&config.http.base_url).api()),
    };
    Some(Api { listen, url })
}

/// Whether a URL leads to the machine of whoever uses it.
pub(super) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// Whether one listener is in the way of the other.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_ip =
        one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_ip
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Environment, parse};

    fn found(text: &str) -> Option<(String, String)> {
        let text = format!("[spawner.docker]\nimage = \"lab\"\n{text}");
        let config = parse(&text, "hub.toml", Path::new("/srv"), &Environment::default(), false)
            .unwrap()
            .config;
        api(&config, "172.20.0.1".parse().ok()).map(|api| (api.listen.to_string(), api.url))
    }

    #[test]
    fn servers_call_the_hosts_address_in_their_network() {
        let url = |host: &str| format!("http://{host}/hub/api");
        for (text, listen, called) in [
            ("", "172.20.0.1:8081", url("172.20.0.1:8081")),
            ("[hub_api]\nlisten = \"auto:9\"", "172.20.0.1:9", url("172.20.0.1:9")),
            ("[hub_api]\nlisten = \":9\"", "0.0.0.0:9", url("172.20.0.1:9")),
            ("[hub_api]\nlisten = \"10.0.0.1:9\"", "10.0.0.1:9", url("10.0.0.1:9")),
            (
                "[hub_api]\nlisten = \":9\"\nurl = \"http://hub:9/hub/api/\"",
                "0.0.0.0:9",
                url("hub:9"),
            ),
        ] {
            assert_eq!(found(text), Some((listen.to_owned(), called)), "{text}");
        }
    }

    #[test]
    fn listeners_collide_on_one_port_of_one_address() {
        let at = |text: &str| text.parse().unwrap();
        assert!(collide(at("0.0.0.0:80"), at("127.0.0.1:80")));
        assert!(collide(at("10.0.0.1:80"), at("10.0.0.1:80")));
        assert!(!collide(at("10.0.0.1:80"), at("10.0.0.2:80")));
        assert!(!collide(at("0.0.0.0:0"), at("0.0.0.0:0")));
        assert!(!collide(at("0.0.0.0:80"), at("0.0.0.0:81")));
    }
}
