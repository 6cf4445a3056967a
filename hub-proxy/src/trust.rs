//! Whose `X-Forwarded-*` fields are believed.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::Peer;

/// Which clients may speak for others by `X-Forwarded-*` and `Forwarded`.
///
/// From anybody else these fields are dropped and replaced by what the proxy
/// sees itself: a forged address or scheme must not reach a server that trusts
/// its proxy (security rule A11).
///
/// A client of a Unix socket is in no network. It is believed unless nobody is:
/// whoever expects proxies in front of this one has let nobody else open the
/// socket's file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrustForwarded {
    /// Nobody: this proxy faces the browsers itself.
    #[default]
    Nobody,
    /// Clients in one of these networks, such as a load balancer's.
    Networks(Vec<Network>),
    /// Everybody, as configurable-http-proxy does. Only where nothing but a
    /// trusted proxy can connect.
    Everyone,
}

/// A range of addresses, `10.0.0.0/8` or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    addr: IpAddr,
    prefix_len: u8,
}

/// A text that is no [`Network`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct InvalidNetwork(String);

impl TrustForwarded {
    /// Whether a client at this address is believed.
    pub fn trusts(&self, client: IpAddr) -> bool {
        match self {
            Self::Nobody => false,
            Self::Everyone => true,
            Self::Networks(networks) => networks.iter().any(|network| network.contains(client)),
        }
    }

    /// Whether this client is believed.
    pub fn trusts_peer(&self, peer: &Peer) -> bool {
        match peer.addr {
            Some(addr) => self.trusts(addr.ip()),
            None => *self != Self::Nobody,
        }
    }
}

impl Network {
    /// Whether `addr` lies in the network. An IPv4-mapped IPv6 address counts
    /// as the IPv4 address it carries.
    pub fn contains(&self, addr: IpAddr) -> bool {
        match (self.addr, addr.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(addr)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix_len)).unwrap_or(0);
                (u32::from(network) ^ u32::from(addr)) & mask == 0
            }
            (IpAddr::V6(network), IpAddr::V6(addr)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix_len)).unwrap_or(0);
                (u128::from(network) ^ u128::from(addr)) & mask == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(raw: &str) -> Result<Self, InvalidNetwork> {
        let invalid = || InvalidNetwork(raw.chars().take(64).collect());
        let (addr, len) = match raw.split_once('/') {
            Some((addr, len)) => (addr, Some(len)),
            None => (raw, None),
        };
        let addr: IpAddr = addr.parse().map_err(|_| invalid())?;
        let bits = match addr {
            IpAddr::V4(_) => Ipv4Addr::BITS,
            IpAddr::V6(_) => Ipv6Addr::BITS,
        };
        let prefix_len = match len {
            None => bits,
            Some(len) => len.parse().map_err(|_| invalid())?,
        };
        match u8::try_from(prefix_len) {
            Ok(prefix_len) if u32::from(prefix_len) <= bits => Ok(Self { addr, prefix_len }),
            _ => Err(invalid()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a11_only_addresses_in_the_networks_are_trusted() {
        for (network, addr, inside) in [
            ("10.0.0.0/8", "10.255.1.2", true),
            ("10.0.0.0/8", "11.0.0.0", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "::1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7/32", "192.0.2.6", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::", false),
            ("::/0", "2001:db9::", true),
        ] {
            let trust = TrustForwarded::Networks(vec![network.parse().unwrap()]);
            assert_eq!(trust.trusts(addr.parse().unwrap()), inside, "{addr} in {network}");
        }
        assert!(!TrustForwarded::default().trusts(IpAddr::from([127, 0, 0, 1])));
    }

    #[test]
    fn a11_clients_of_a_unix_socket_are_trusted_where_any_proxy_is() {
        let peer = Peer { addr: None, tls: false };
        let networks = TrustForwarded::Networks(vec!["10.0.0.0/8".parse().unwrap()]);
        assert!(networks.trusts_peer(&peer) && TrustForwarded::Everyone.trusts_peer(&peer));
        assert!(!TrustForwarded::Nobody.trusts_peer(&peer));
    }

    #[test]
    fn texts_that_are_no_network_are_refused() {
        for raw in ["", "10", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/-1", "a/8"] {
            assert!(raw.parse::<Network>().is_err(), "{raw}");
        }
    }
}
