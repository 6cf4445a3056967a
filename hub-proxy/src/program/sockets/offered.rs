//! Listening, at sockets that are there already where they fit.

use std::{net::SocketAddr, path::Path};

use super::{SocketError, addresses::addresses};
use crate::{
    ListenConfig, ListenError, Listener,
    handover::{OfferedSocket, Place, Role, SocketLabel},
    program::endpoint::{Endpoint, Host},
};

/// Sockets of a supervisor or a predecessor that nobody has taken yet.
pub(super) struct Offered {
    sockets: Vec<OfferedSocket>,
    /// Where those of a supervisor have been taken.
    given: Vec<Role>,
}

impl Offered {
    pub(super) fn new(sockets: Vec<OfferedSocket>) -> Self {
        Self { sockets, given: Vec::new() }
    }

    /// What sockets of a supervisor were taken for. None may be left.
    pub(super) fn given(self) -> Result<Vec<Role>, SocketError> {
        match self.sockets.iter().find(|offered| offered.label.given) {
            None => Ok(self.given),
            Some(left) => {
                let role = left.label.role;
                Err(SocketError::Unwanted { role: name(role), flag: address_flag(role) })
            }
        }
    }

    /// Listens at `endpoint`, which has at least one address.
    pub(super) async fn listen(
        &mut self,
        role: Role,
        endpoint: &Endpoint,
        config: &ListenConfig,
    ) -> Result<Vec<Listener>, SocketError> {
        let given = self.listen_as_given(role, config).await?;
        if !given.is_empty() {
            self.given.push(role);
            return Ok(given);
        }
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
            let bound = match self.take(role, |label| fits(&label.addr, addr)) {
                Some(offered) => Listener::adopt(offered.socket.into(), &config).await,
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

    /// At the sockets that a supervisor made for this.
    async fn listen_as_given(
        &mut self,
        role: Role,
        config: &ListenConfig,
    ) -> Result<Vec<Listener>, SocketError> {
        let failed = |source| SocketError::Listen { flag: "LISTEN_FDS", source };
        let mut listeners = Vec::new();
        while let Some(offered) = self.take(role, |label| label.given) {
            let adopted = match offered.label.addr {
                Place::Tcp(_) => Listener::adopt(offered.socket.into(), config).await,
                Place::Unix(_) => Listener::adopt_unix(offered.socket.into(), config).await,
            };
            listeners.push(adopted.map_err(failed)?);
        }
        Ok(listeners)
    }

    async fn listen_at(
        &mut self,
        role: Role,
        path: &Path,
        config: &ListenConfig,
    ) -> Result<Listener, ListenError> {
        let wanted = Place::unix(path);
        match self.take(role, |label| label.addr == wanted) {
            // The predecessor leaves the file to whoever serves there.
            Some(offered) => {
                let listener = Listener::adopt_unix(offered.socket.into(), config).await?;
                Ok(listener.removing_file())
            }
            None => Listener::bind_unix(path, config).await,
        }
    }

    fn take(&mut self, role: Role, fits: impl Fn(&SocketLabel) -> bool) -> Option<OfferedSocket> {
        let wanted = |offered: &OfferedSocket| offered.label.role == role && fits(&offered.label);
        let at = self.sockets.iter().position(wanted)?;
        Some(self.sockets.remove(at))
    }
}

/// What a supervisor calls a socket.
fn name(role: Role) -> &'static str {
    match role {
        Role::Public => "public",
        Role::Api => "api",
        Role::Redirect => "redirect",
        Role::Metrics => "metrics",
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
