//! Where the hub listens, and under which address servers reach it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hub_proxy::{ListenConfig, Listener, TlsKeys};
use hub_spawner::Spawner;

use super::StartupError;
use crate::{
    config::{ApiListen, HubApiConfig, ListenAddr},
    web::paths::Paths,
};

/// Binds the first of the address's meanings that can be bound.
pub(super) async fn bind(
    key: &'static str,
    addr: &ListenAddr,
    tls: Option<TlsKeys>,
) -> Result<Listener, StartupError> {
    let unknown = |source| StartupError::Resolve { key, name: addr.to_string(), source };
    let mut found = addr.resolve().await.map_err(unknown)?.into_iter();
    let mut failure = None;
    loop {
        let Some(addr) = found.next() else {
            // The first meaning was the best one.
            return Err(failure.unwrap_or_else(|| unknown(std::io::ErrorKind::NotFound.into())));
        };
        let mut config = ListenConfig::new(addr);
        config.tls = tls.clone();
        match Listener::bind(&config).await {
            Ok(listener) => return Ok(listener),
            Err(source) => failure = failure.or(Some(StartupError::Listen { key, source })),
        }
    }
}

/// Where the private listener goes: the address that servers see us under.
pub(super) async fn api_address(
    config: &HubApiConfig,
    spawner: &dyn Spawner,
) -> Result<ListenAddr, StartupError> {
    match &config.listen {
        ApiListen::At(address) => Ok(address.clone()),
        ApiListen::Auto { port } => {
            let host = spawner.host_address().await?.ok_or(StartupError::NoApiAddress)?;
            Ok(SocketAddr::new(host, *port).into())
        }
    }
}

/// The API's URL that servers are told, without a slash at the end.
pub(super) async fn api_url(
    config: &HubApiConfig,
    bound: SocketAddr,
    paths: &Paths,
    spawner: &dyn Spawner,
) -> Result<String, StartupError> {
    if let Some(url) = &config.url {
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    }
    let address = match &config.listen {
        // The name stays right when the container gets another address.
        ApiListen::At(named @ ListenAddr::Name { .. }) => named.with_port(bound.port()),
        ApiListen::At(ListenAddr::Ip(_)) | ApiListen::Auto { .. } => {
            reachable(bound, spawner).await?.into()
        }
    };
    Ok(format!("http://{address}{}", paths.api()))
}

/// The API's URL for programs of this machine, without a slash at the end. The
/// listener's own address, since what servers are told may mean nothing here.
pub(super) fn local_api_url(mut bound: SocketAddr, paths: &Paths) -> String {
    if bound.ip().is_unspecified() {
        let ip: IpAddr = match bound {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        bound.set_ip(ip);
    }
    format!("http://{bound}{}", paths.api())
}

/// The address under which servers reach a listener that is bound to all.
async fn reachable(bound: SocketAddr, spawner: &dyn Spawner) -> Result<SocketAddr, StartupError> {
    if !bound.ip().is_unspecified() {
        return Ok(bound);
    }
    let host = spawner.host_address().await?.ok_or(StartupError::NoApiAddress)?;
    Ok(SocketAddr::new(host, bound.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_told_an_address_of_this_machine() {
        let url = |bound: &str| local_api_url(bound.parse().unwrap(), &Paths::new("/base/"));
        assert_eq!(url("0.0.0.0:8081"), "http://127.0.0.1:8081/base/hub/api");
        assert_eq!(url("[::]:8081"), "http://[::1]:8081/base/hub/api");
        assert_eq!(url("172.17.0.1:8081"), "http://172.17.0.1:8081/base/hub/api");
    }
}
