//! Listening, at sockets that are there already where they fit.

use std::{net::SocketAddr, os::fd::OwnedFd, path::Path};

use super::{SocketError, addresses::addresses};
use crate::{
    ListenConfig, ListenError, Listener,
    handover::{OfferedSocket, Place, Role},
    program::endpoint::{Endpoint, Host},
};

/// Sockets of a predecessor that nobody has taken yet.
pub(super) struct Offered(Vec<OfferedSocket>);

impl Offered {
    pub(super) fn new(offered: Vec<OfferedSocket>) -> Self {
        Self(offered)
    }

    /// Listens at `endpoint`, which has at least one address.
    pub(super) async fn listen(
        &mut self,
        role: Role,
        endpoint: &Endpoint,
        config: &ListenConfig,
    ) -> Result<Vec<Listener>, SocketError> {
        let (flag, host, port) = match endpoint {
            Endpoint::Tcp { host, port } => (address_flag(role), host, *port),
            Endpoint::Unix(path) => {
                let failed = |source| SocketError::Listen { flag: socket_flag(role), source };
                return Ok(vec![self.listen_at(role, path, config).await.map_err(failed)?]);
            }
        };
        let mut listeners: Vec<Listener> = Vec::new();
        let mut refused = None;
        for mut addr in addresses(flag, host, port).await? {
            // A name for several addresses has one port.
            if let Some(first) = listeners.first() {
                addr.set_port(first.local_addr().port());
            }
            let mut config = config.clone();
            config.addr = addr;
            let bound = match self.take(role, |place| fits(place, addr)) {
                Some(socket) => Listener::adopt(socket.into(), &config).await,
                None => Listener::bind(&config).await,
            };
            match bound {
                Ok(listener) => listeners.push(listener),
                // `localhost` has an IPv6 address on hosts without IPv6.
                Err(error @ ListenError::Other { .. }) => refused = refused.or(Some(error)),
                Err(source) => return Err(SocketError::Listen { flag, source }),
            }
            if *host == Host::Any && !listeners.is_empty() {
                break;
            }
        }
        match refused {
            Some(source) if listeners.is_empty() => Err(SocketError::Listen { flag, source }),
            _ => Ok(listeners),
        }
    }

    async fn listen_at(
        &mut self,
        role: Role,
        path: &Path,
        config: &ListenConfig,
    ) -> Result<Listener, ListenError> {
        let wanted = Place::unix(path);
        match self.take(role, |place| *place == wanted) {
            // The predecessor leaves the file to whoever serves there.
            Some(socket) => Ok(Listener::adopt_unix(socket.into(), config).await?.removing_file()),
            None => Listener::bind_unix(path, config).await,
        }
    }

    fn take(&mut self, role: Role, fits: impl Fn(&Place) -> bool) -> Option<OwnedFd> {
        let wanted =
            |offered: &OfferedSocket| offered.label.role == role && fits(&offered.label.addr);
        let at = self.0.iter().position(wanted)?;
        Some(self.0.swap_remove(at).socket)
    }
}

/// Whether a socket is at the address, or on any port of it for port 0.
fn fits(place: &Place, addr: SocketAddr) -> bool {
    match place {
        Place::Tcp(offered) => {
            offered.ip() == addr.ip() && (addr.port() == 0 || offered.port() == addr.port())
        }
        Place::Unix(_) => false,
    }
}

/// The flag to look at if there is no listening at an address.
fn address_flag(role: Role) -> &'static str {
    match role {
        Role::Public => "--ip",
        Role::Api => "--api-ip",
        Role::Redirect => "--redirect-port",
        Role::Metrics => "--metrics-port",
    }
}

/// The flag that asked for a Unix socket; there is none for redirects.
fn socket_flag(role: Role) -> &'static str {
    match role {
        Role::Public | Role::Redirect => "--socket",
        Role::Api => "--api-socket",
        Role::Metrics => "--metrics-socket",
    }
}
