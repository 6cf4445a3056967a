//! The listening sockets of a process: its own, or taken over.

use std::{io, net::Ipv6Addr, os::fd::OwnedFd};

use self::offered::Offered;
use super::settings::Settings;
use crate::{
    ListenConfig, ListenError, Listener, Room, TlsKeys, Traffic, TrustForwarded,
    handover::{OfferedSocket, Place, Role, SocketLabel},
};

mod addresses;
mod offered;

/// All that a process listens on.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) public: Vec<Listener>,
    pub(super) api: Vec<Listener>,
    pub(super) redirect: Vec<Listener>,
    pub(super) metrics: Vec<Listener>,
    /// The port that redirects name, if there are any (P-016).
    pub(super) redirect_to: Option<u16>,
    /// Which of them a supervisor made.
    given: Vec<Role>,
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
    #[error("LISTEN_FDNAMES: there is a socket for {role:?}, but no {flag}, which has to be given")]
    Unwanted { role: &'static str, flag: &'static str },
    #[error(
        "--redirect-to: the public socket has no port; give the one that clients are to be sent to"
    )]
    NoPort,
}

impl Sockets {
    /// Listens as `settings` say, with the keys of the public side and of the
    /// API. Of `offered`, the sockets that fit are used and the others closed; a
    /// supervisor's always fit, and must be wanted.
    pub(super) async fn open(
        settings: &Settings,
        max_connections: usize,
        [tls, api_tls]: [Option<TlsKeys>; 2],
        offered: Vec<OfferedSocket>,
    ) -> Result<Self, SocketError> {
        let mut config = ListenConfig::new((Ipv6Addr::UNSPECIFIED, 0).into());
        config.keep_alive_timeout = settings.keep_alive_timeout;
        config.busy_idle_timeout = settings.busy_idle_timeout;
        settings.timers.set_clients(&mut config);
        config.max_connections = max_connections;
        // The API's clients are few, and may all be the hub.
        let plain = config.clone();
        let mut api_config = config.clone();
        api_config.tls = api_tls;
        config.meters.clone_from(&settings.proxy.meters);
        // Browsers have one limit, whatever they come to.
        config.room = Some(Room::new(max_connections));
        config.max_connections_per_address = settings.max_connections_per_address;
        if let TrustForwarded::Networks(networks) = &settings.proxy.trusted_proxies {
            config.uncounted_networks.clone_from(networks);
        }
        let redirecting = config.clone();
        config.tls = tls;
        config.http2 = settings.http2;
        config.h2c = settings.h2c;

        let mut offered = Offered::new(offered);
        let public = offered.listen(Role::Public, &settings.public, &config).await?;
        let api = offered.listen(Role::Api, &settings.api, &api_config).await?;
        let redirect = match &settings.redirect {
            None => Vec::new(),
            Some(redirect) => offered.listen(Role::Redirect, &redirect.from, &redirecting).await?,
        };
        let metrics = match &settings.metrics {
            None => Vec::new(),
            Some(endpoint) => offered.listen(Role::Metrics, endpoint, &plain).await?,
        };
        let given = offered.given()?;
        let redirect_to = match &settings.redirect {
            None => None,
            Some(redirect) => {
                Some(redirect.to.or_else(|| port(&public)).ok_or(SocketError::NoPort)?)
            }
        };
        Ok(Self { public, api, redirect, metrics, redirect_to, given })
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
                let given = self.given.contains(&role);
                let label = SocketLabel { role, addr: Place::of(listener), given };
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

/// The port that these listen on, which a supervisor or the system may have chosen.
fn port(listeners: &[Listener]) -> Option<u16> {
    let listener = listeners.first().filter(|listener| listener.path().is_none())?;
    Some(listener.local_addr().port())
}
