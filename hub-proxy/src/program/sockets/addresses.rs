//! The addresses that a host stands for.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::time::timeout;

use super::SocketError;
use crate::program::endpoint::Host;

/// How long a name may take to be resolved.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// At least one address. Of those for all interfaces, the first that works is
/// enough: IPv6's takes IPv4 clients, too.
pub(super) async fn addresses(
    flag: &'static str,
    host: &Host,
    port: u16,
) -> Result<Vec<SocketAddr>, SocketError> {
    let Host::Named(host) = host else {
        let any = [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()];
        return Ok(any.map(|ip| SocketAddr::new(ip, port)).into());
    };
    let failed = |source| SocketError::Resolve { flag, host: host.clone(), source };
    let resolved = timeout(RESOLVE_LIMIT, tokio::net::lookup_host((host.as_str(), port)))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(failed)?;
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for addr in resolved {
        if !addresses.contains(&addr) {
            addresses.push(addr);
        }
    }
    match addresses.is_empty() {
        true => Err(failed(io::ErrorKind::NotFound.into())),
        false => Ok(addresses),
    }
}
