//! Where a listener is bound: an address, or a name that has one.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use super::ConfigError;

/// The address of a listener.
///
/// A name is looked up when the listener is bound, not before. In a container it
/// is the container's own alias on one network, which binds the listener to that
/// network alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddr {
    /// An IP address.
    Ip(SocketAddr),
    /// A host name.
    Name {
        /// The name as it was written.
        host: String,
        /// The port.
        port: u16,
    },
}

impl ListenAddr {
    pub(super) fn parse(key: &str, text: &str) -> Result<Self, ConfigError> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Ip(address));
        }
        // `:443` and `443` are how people write "this port on all addresses".
        if let Ok(port) = text.trim_start_matches(':').parse::<u16>() {
            return Ok(Self::Ip(SocketAddr::new(IpAddr::from([0, 0, 0, 0]), port)));
        }
        let named = text.rsplit_once(':').and_then(|(host, port)| {
            Some(Self::Name { host: host.to_owned(), port: port.parse().ok()? })
        });
        match named {
            Some(Self::Name { host, port }) if is_name(&host) => Ok(Self::Name { host, port }),
            _ => Err(ConfigError::value(
                key,
                format!(
                    "{text:?} is not an address; write IP:PORT or NAME:PORT, for example 0.0.0.0:443"
                ),
            )),
        }
    }

    /// The port; 0 lets the system choose.
    pub fn port(&self) -> u16 {
        match self {
            Self::Ip(address) => address.port(),
            Self::Name { port, .. } => *port,
        }
    }

    /// The same with another port.
    #[must_use]
    pub fn with_port(&self, port: u16) -> Self {
        match self {
            Self::Ip(address) => Self::Ip(SocketAddr::new(address.ip(), port)),
            Self::Name { host, .. } => Self::Name { host: host.clone(), port },
        }
    }

    /// Whether only this machine can connect, as far as the text tells.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Ip(address) => address.ip().is_loopback(),
            Self::Name { host, .. } => host == "localhost",
        }
    }

    /// Whether it stands for all addresses of this machine.
    pub fn is_unspecified(&self) -> bool {
        matches!(self, Self::Ip(address) if address.ip().is_unspecified())
    }

    /// The same as this machine reaches it.
    #[must_use]
    pub fn from_here(&self) -> Self {
        match self {
            Self::Ip(address) if address.ip().is_unspecified() => {
                Self::Ip(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()))
            }
            Self::Ip(_) | Self::Name { .. } => self.clone(),
        }
    }

    /// The addresses to try to bind, best first.
    ///
    /// # Errors
    ///
    /// When the name cannot be looked up or has no address.
    pub async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        match self {
            Self::Ip(address) => Ok(vec![*address]),
            Self::Name { host, port } => {
                let mut found: Vec<_> =
                    tokio::net::lookup_host((host.as_str(), *port)).await?.collect();
                if found.is_empty() {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
                }
                // Docker gives a container IPv4 on every network, IPv6 on some.
                found.sort_by_key(SocketAddr::is_ipv6);
                Ok(found)
            }
        }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl From<SocketAddr> for ListenAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address)
    }
}

/// Whether the text can be a host name; digits and dots alone are an address
/// that was mistyped.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    text.len() <= 253
        && text.bytes().all(plain)
        && text.bytes().any(|byte| byte.is_ascii_alphabetic())
        && !text.starts_with(['.', '-'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_an_address_a_port_or_a_name() {
        for (text, shown) in [
            ("127.0.0.1:8000", Some("127.0.0.1:8000")),
            ("[::1]:1", Some("[::1]:1")),
            ("443", Some("0.0.0.0:443")),
            (":443", Some("0.0.0.0:443")),
            ("jupyterhub:8081", Some("jupyterhub:8081")),
            ("hub_1.example.org:80", Some("hub_1.example.org:80")),
            ("jupyterhub", None),
            ("jupyterhub:http", None),
            ("10.0.0.256:80", None),
            ("http://jupyterhub:80", None),
            ("a b:80", None),
            ("", None),
        ] {
            let parsed = ListenAddr::parse("http.listen", text);
            assert_eq!(
                parsed.ok().map(|address| address.to_string()).as_deref(),
                shown,
                "{text:?}"
            );
        }
    }

    #[tokio::test]
    async fn a_name_is_looked_up_when_it_is_needed() {
        let named = ListenAddr::parse("http.listen", "localhost:80").unwrap();
        let found = named.resolve().await.unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        let unknown = ListenAddr::parse("http.listen", "no-such-host.invalid:80").unwrap();
        assert!(unknown.resolve().await.is_err());
    }
}
