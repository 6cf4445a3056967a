//! The listening sockets of a process: its own, or taken over.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    os::fd::OwnedFd,
    time::Duration,
};

use tokio::time::timeout;

use super::settings::{Endpoint, Host, Settings};
use crate::{
    ListenConfig, ListenError, Listener, TlsKeys, Traffic,
    handover::{OfferedSocket, Role, SocketLabel},
};

/// How long a name may take to be resolved.
const RESOLVE_LIMIT: Duration = Duration::from_secs(10);

/// All that a process listens on.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) public: Vec<Listener>,
    pub(super) api: Vec<Listener>,
    pub(super) redirect: Vec<Listener>,
    pub(super) metrics: Vec<Listener>,
}

/// Why a process cannot listen where it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum SocketError {
    #[error("{flag}: {host:?} is no address and cannot be resolved")]
    Resolve {
        flag: &'static str,
        host: String,
        #[source]
        source: io::Error,
    },
    #[error("{flag}")]
    Listen {
        flag: &'static str,
        #[source]
        source: ListenError,
    },
}

impl Sockets {
    /// Listens as `settings` say, with the keys of the public side and of the API. Of `offered`, the sockets that fit are used
    /// and the others closed.
    pub(super) async fn open(
        settings: &Settings,
        max_connections: usize,
        [tls, api_tls]: [Option<TlsKeys>; 2],
        offered: Vec<OfferedSocket>,
    ) -> Result<Self, SocketError> {
        let mut config = ListenConfig::new((Ipv6Addr::UNSPECIFIED, 0).into());
        config.keep_alive_timeout = settings.keep_alive_timeout;
        config.busy_idle_timeout = settings.busy_idle_timeout;
        config.max_connections = max_connections;
        let plain = config.clone();
        let mut api_config = config.clone();
        api_config.tls = api_tls;
        config.tls = tls;
        config.http2 = settings.http2;

        let mut offered = Offered(offered);
        let public = offered.listen(Role::Public, "--ip", &settings.public, &config).await?;
        let api = offered.listen(Role::Api, "--api-ip", &settings.api, &api_config).await?;
        let redirect = match &settings.redirect {
            None => Vec::new(),
            Some(redirect) => {
                offered.listen(Role::Redirect, "--redirect-port", &redirect.from, &plain).await?
            }
        };
        let metrics = match &settings.metrics {
            None => Vec::new(),
            Some(endpoint) => {
                offered.listen(Role::Metrics, "--metrics-port", endpoint, &plain).await?
            }
        };
        Ok(Self { public, api, redirect, metrics })
    }

    /// Other handles of all sockets, to hand over.
    pub(super) fn duplicate(&self) -> io::Result<Vec<(SocketLabel, OwnedFd)>> {
        let all = [
            (Role::Public, &self.public),
            (Role::Api, &self.api),
            (Role::Redirect, &self.redirect),
            (Role::Metrics, &self.metrics),
        ];
        let of_role = |(role, listeners): (Role, &Vec<Listener>)| {
            let labelled = |listener: &Listener| {
                let label = SocketLabel { role, addr: listener.local_addr() };
                Ok((label, listener.duplicate()?))
            };
            listeners.iter().map(labelled).collect::<Vec<_>>()
        };
        all.into_iter().flat_map(of_role).collect()
    }

    /// What the listeners for browsers serve.
    pub(super) fn traffic(&self) -> Vec<Traffic> {
        self.public.iter().map(Listener::traffic).collect()
    }
}

/// Sockets of a predecessor that nobody has taken yet.
struct Offered(Vec<OfferedSocket>);

impl Offered {
    async fn listen(
        &mut self,
        role: Role,
        flag: &'static str,
        endpoint: &Endpoint,
        config: &ListenConfig,
    ) -> Result<Vec<Listener>, SocketError> {
        let mut listeners: Vec<Listener> = Vec::new();
        let mut refused = None;
        for mut addr in addresses(flag, endpoint).await? {
            // A name for several addresses has one port.
            if let Some(first) = listeners.first() {
                addr.set_port(first.local_addr().port());
            }
            let mut config = config.clone();
            config.addr = addr;
            let bound = match self.take(role, addr) {
                Some(socket) => Listener::adopt(socket, &config).await,
                None => Listener::bind(&config).await,
            };
            match bound {
                Ok(listener) => listeners.push(listener),
                // `localhost` has an IPv6 address on hosts without IPv6.
                Err(error @ ListenError::Other { .. }) => refused = refused.or(Some(error)),
                Err(source) => return Err(SocketError::Listen { flag, source }),
            }
            if endpoint.host == Host::Any && !listeners.is_empty() {
                break;
            }
        }
        match refused {
            Some(source) if listeners.is_empty() => Err(SocketError::Listen { flag, source }),
            _ => Ok(listeners),
        }
    }

    fn take(&mut self, role: Role, addr: SocketAddr) -> Option<std::net::TcpListener> {
        let fits = |offered: &OfferedSocket| {
            let label = offered.label;
            let same_port = addr.port() == 0 || label.addr.port() == addr.port();
            label.role == role && label.addr.ip() == addr.ip() && same_port
        };
        let at = self.0.iter().position(fits)?;
        Some(self.0.swap_remove(at).socket)
    }
}

/// At least one address. Of those for all interfaces, the first that works is
/// enough: IPv6's takes IPv4 clients, too.
async fn addresses(
    flag: &'static str,
    endpoint: &Endpoint,
) -> Result<Vec<SocketAddr>, SocketError> {
    let Host::Named(host) = &endpoint.host else {
        let any = [IpAddr::from(Ipv6Addr::UNSPECIFIED), Ipv4Addr::UNSPECIFIED.into()];
        return Ok(any.map(|ip| SocketAddr::new(ip, endpoint.port)).into());
    };
    let failed = |source| SocketError::Resolve { flag, host: host.clone(), source };
    let resolved = timeout(RESOLVE_LIMIT, tokio::net::lookup_host((host.as_str(), endpoint.port)))
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
