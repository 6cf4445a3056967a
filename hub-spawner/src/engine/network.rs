//! Networks: find, make, join, leave, remove.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use bollard::{
    models::{
        EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest,
        NetworkDisconnectRequest,
    },
    query_parameters::ListNetworksOptionsBuilder,
};

use super::{Engine, EngineError, Labels, dialect};

/// How often the list is looked at until one network of the name is left.
const SETTLE_TRIES: u32 = 50;

/// How often whoever made the oldest one looks before taking the other: its maker did
/// not see ours, which the daemon dates before it lists it, and goes on with its own.
const PATIENT_TRIES: u32 = 10;

/// Pause between two looks.
const SETTLE_PAUSE: Duration = Duration::from_millis(200);

/// A network of the daemon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The daemon's id.
    pub id: String,
    /// Its name, which the daemon does not keep unique.
    pub name: String,
    /// The kind: `bridge`, `overlay`, ...
    pub driver: String,
    /// How far it reaches: `local` is one machine, `swarm` or `global` all of a swarm's.
    pub scope: String,
    /// The host's address in it, if it has one.
    pub gateway: Option<IpAddr>,
    /// Its ranges of addresses, such as `172.18.0.0/16`.
    pub subnets: Vec<String>,
    /// Whether nothing outside can be reached from it.
    pub internal: bool,
    /// What it was labelled with.
    pub labels: Labels,
    created: String,
}

/// A bridge network to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Its name.
    pub name: String,
    /// What it is labelled with.
    pub labels: Labels,
    /// Whether nothing outside can be reached from it.
    pub internal: bool,
    /// Its range of addresses, such as `10.9.0.0/24`; `None`: the daemon chooses.
    pub subnet: Option<String>,
}

impl Engine {
    /// All networks called exactly `name`.
    pub async fn networks(&self, name: &str) -> Result<Vec<Network>, EngineError> {
        // The daemon's filter also finds names that merely contain the text.
        let filters = HashMap::from([("name", vec![name])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let all =
            self.read("list networks", || self.docker.list_networks(Some(options.clone()))).await?;
        Ok(all.into_iter().map(network).filter(|network| network.name == name).collect())
    }

    /// All networks with these labels.
    pub async fn networks_labelled(&self, labels: &Labels) -> Result<Vec<Network>, EngineError> {
        let all = self.read("list networks", || self.docker.list_networks(None)).await?;
        let has = |network: &Network| dialect::carries(&network.labels, labels);
        Ok(all.into_iter().map(network).filter(has).collect())
    }

    /// The ranges of addresses of all networks of the daemon.
    pub async fn subnets(&self) -> Result<Vec<String>, EngineError> {
        let all = self.read("list networks", || self.docker.list_networks(None)).await?;
        Ok(all.into_iter().flat_map(|found| network(found).subnets).collect())
    }

    /// The one network called `name`, if there is one.
    ///
    /// # Errors
    ///
    /// [`EngineError::Ambiguous`] with the ids if there are several (XT-7).
    pub async fn network(&self, name: &str) -> Result<Option<Network>, EngineError> {
        let mut found = self.networks(name).await?;
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => Err(ambiguous(name, found)),
        }
    }

    /// Makes sure that exactly one network is called `name`, and returns it: an
    /// existing one as it is, else a new bridge with these labels.
    ///
    /// Safe to call from several processes at once: of networks made at the
    /// same time one stays, mostly the oldest.
    ///
    /// # Errors
    ///
    /// [`EngineError::Ambiguous`] if the name stays taken more than once (XT-7).
    pub async fn ensure_network(
        &self,
        name: &str,
        labels: &Labels,
    ) -> Result<Network, EngineError> {
        let (name, labels) = (name.to_owned(), labels.clone());
        self.ensure_network_from(&NetworkSpec { name, labels, ..NetworkSpec::default() }).await
    }

    /// As [`Engine::ensure_network`], but a new network is made as `spec` wants
    /// it. An existing one is not compared with it.
    pub async fn ensure_network_from(&self, spec: &NetworkSpec) -> Result<Network, EngineError> {
        // Boxed: the wire model's body would make callers' futures large.
        Box::pin(self.find_or_create_network(spec)).await
    }

    async fn find_or_create_network(&self, spec: &NetworkSpec) -> Result<Network, EngineError> {
        let name = spec.name.as_str();
        let _alone = self.shared.networks.lock().await;
        let mut made = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut found = self.networks(name).await?;
            match found.len() {
                0 => made = Some(self.create_network(spec).await?),
                1 => return Ok(found.remove(0)),
                _ if tries >= SETTLE_TRIES => return Err(ambiguous(name, found)),
                _ => {
                    let ours = made.take_if(|id| tries > PATIENT_TRIES || !is_oldest(id, &found));
                    match ours {
                        Some(id) => self.remove_network(&id).await?,
                        None => tokio::time::sleep(SETTLE_PAUSE).await,
                    }
                }
            }
        }
    }

    /// Removes a network by id or name. Succeeds if there is none.
    pub async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        match self.change("remove a network", self.docker.remove_network(id)).await {
            Ok(()) | Err(EngineError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Takes a container into a network, where others also find it by `aliases`.
    /// Succeeds if it is in it, with the aliases it has.
    pub async fn connect_network(
        &self,
        network: &str,
        container: &str,
        aliases: &[String],
    ) -> Result<(), EngineError> {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(EndpointSettings {
                aliases: (!aliases.is_empty()).then(|| aliases.to_vec()),
                ..EndpointSettings::default()
            }),
        };
        let call = self.docker.connect_network(network, request);
        match self.change("connect a container to a network", call).await {
            Err(error) if error.text().is_some_and(|text| text.contains("already exists in")) => {
                Ok(())
            }
            answer => answer,
        }
    }

    /// Takes a container out of a network. Succeeds if it is not in it, or if
    /// there is no such container or network.
    pub async fn disconnect_network(
        &self,
        network: &str,
        container: &str,
    ) -> Result<(), EngineError> {
        let request =
            NetworkDisconnectRequest { container: container.to_owned(), force: Some(true) };
        let call = self.docker.disconnect_network(network, request);
        match self.change("disconnect a container from a network", call).await {
            Err(EngineError::NotFound { .. }) => Ok(()),
            Err(error) if error.text().is_some_and(|text| text.contains("is not connected")) => {
                Ok(())
            }
            answer => answer,
        }
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<String, EngineError> {
        let range = spec.subnet.clone().map(|subnet| Ipam {
            config: Some(vec![IpamConfig { subnet: Some(subnet), ..IpamConfig::default() }]),
            ..Ipam::default()
        });
        let request = NetworkCreateRequest {
            name: spec.name.clone(),
            driver: Some("bridge".to_owned()),
            internal: Some(spec.internal),
            ipam: range,
            labels: Some(spec.labels.clone().into_iter().collect()),
            ..NetworkCreateRequest::default()
        };
        match self.change("create a network", self.docker.create_network(request)).await {
            Ok(answer) => Ok(answer.id),
            // Newer daemons refuse a second network of a name: somebody else
            // was faster, and the next look finds theirs.
            Err(EngineError::Conflict { .. }) => Ok(String::new()),
            Err(error) => Err(error),
        }
    }
}

fn ambiguous(name: &str, found: Vec<Network>) -> EngineError {
    EngineError::Ambiguous {
        what: "network",
        name: name.to_owned(),
        ids: found.into_iter().map(|network| network.id).collect(),
    }
}

fn is_oldest(id: &str, found: &[Network]) -> bool {
    found.iter().min_by_key(|network| age(network)).is_some_and(|network| network.id == id)
}

/// Orders networks of one daemon by creation. The fraction of a second comes
/// without trailing zeros, so plain text does not compare as time does.
fn age(network: &Network) -> (String, String, &str) {
    let (seconds, fraction) = network.created.split_once('.').unwrap_or((&network.created, ""));
    let digits: String = fraction.chars().take_while(char::is_ascii_digit).collect();
    (seconds.trim_end_matches('Z').to_owned(), format!("{digits:0<9}"), &network.id)
}

fn network(found: bollard::models::Network) -> Network {
    let pools = found.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let subnets = pools.iter().filter_map(|pool| pool.subnet.clone()).collect();
    let mut gateways: Vec<IpAddr> =
        pools.into_iter().filter_map(|pool| pool.gateway?.parse().ok()).collect();
    // An IPv4 gateway is reachable from every container, an IPv6 one is not.
    gateways.sort_by_key(IpAddr::is_ipv6);
    Network {
        id: found.id.unwrap_or_default(),
        name: found.name.unwrap_or_default(),
        driver: found.driver.unwrap_or_default(),
        scope: found.scope.unwrap_or_default(),
        gateway: gateways.into_iter().next(),
        subnets,
        internal: found.internal.unwrap_or_default(),
        labels: found.labels.unwrap_or_default().into_iter().collect(),
        created: found.created.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(id: &str, created: &str) -> Network {
        Network {
            id: id.to_owned(),
            name: "n".to_owned(),
            driver: "bridge".to_owned(),
            scope: "local".to_owned(),
            gateway: None,
            subnets: Vec::new(),
            internal: false,
            labels: Labels::new(),
            created: created.to_owned(),
        }
    }

    #[test]
    fn xt_7_of_two_networks_of_a_name_the_oldest_stays() {
        let found = [
            made("later", "2026-11-23T00:00:05.12Z"),
            made("first", "2026-11-23T00:00:05.1Z"),
            made("last", "2026-11-23T00:00:06Z"),
        ];
        assert!(is_oldest("first", &found));
        assert!(!is_oldest("later", &found));
    }
}
