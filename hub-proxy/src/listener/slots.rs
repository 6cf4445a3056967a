//! How many connections there may be: of all clients (L-02) and of each (L-05).

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{ListenConfig, Network};

/// What a customer of a provider has for itself in IPv6: addresses below can be
/// changed at will.
const NETWORK: u128 = !0 << 64;

/// Room for connections that several listeners share. Clones are the same room.
#[derive(Clone, Debug)]
pub struct Room(Arc<Semaphore>);

impl Room {
    /// Room for so many at once.
    pub fn new(connections: usize) -> Self {
        // Whoever wants no limit may say so by any number.
        Self(Arc::new(Semaphore::new(connections.min(Semaphore::MAX_PERMITS))))
    }
}

/// Room for connections.
#[derive(Debug)]
pub(super) struct Slots {
    all: Arc<Semaphore>,
    addresses: Option<Arc<Addresses>>,
}

/// The room of one connection, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _of_all: OwnedSemaphorePermit,
    _of_address: Option<Share>,
}

/// Counts the connections of each client.
#[derive(Debug)]
struct Addresses {
    limit: usize,
    uncounted: Vec<Network>,
    /// Those that have any.
    open: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection among those of a client.
#[derive(Debug)]
struct Share {
    addresses: Arc<Addresses>,
    client: IpAddr,
}

impl Slots {
    pub(super) fn new(config: &ListenConfig) -> Self {
        let addresses = config.max_connections_per_address.map(|limit| {
            let uncounted = config.uncounted_networks.clone();
            Arc::new(Addresses { limit, uncounted, open: Mutex::default() })
        });
        let room = config.room.clone();
        let Room(all) = room.unwrap_or_else(|| Room::new(config.max_connections));
        Self { all, addresses }
    }

    /// Room for a client at this address, which one of a Unix socket has not;
    /// `None` if there is no more.
    pub(super) fn take(&self, addr: Option<SocketAddr>) -> Option<Slot> {
        let of_address = match (&self.addresses, addr) {
            (Some(addresses), Some(addr)) if addresses.counts(addr.ip()) => {
                Some(addresses.take(addr.ip())?)
            }
            _ => None,
        };
        let of_all = Arc::clone(&self.all).try_acquire_owned().ok()?;
        Some(Slot { _of_all: of_all, _of_address: of_address })
    }
}

impl Addresses {
    fn counts(&self, addr: IpAddr) -> bool {
        !self.uncounted.iter().any(|network| network.contains(addr))
    }

    fn take(self: &Arc<Self>, addr: IpAddr) -> Option<Share> {
        let client = client(addr);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.get(&client).copied().unwrap_or(0);
        if count >= self.limit {
            return None;
        }
        open.insert(client, count + 1);
        Some(Share { addresses: Arc::clone(self), client })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut open = self.addresses.open.lock().unwrap_or_else(PoisonError::into_inner);
        match open.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.remove(&self.client);
            }
        }
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits.
fn client(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V4(addr) => addr.into(),
        IpAddr::V6(addr) => Ipv6Addr::from_bits(addr.to_bits() & NETWORK).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(all: usize, each: usize, uncounted: &[&str]) -> Slots {
        let mut config = ListenConfig::new(([127, 0, 0, 1], 0).into());
        config.max_connections = all;
        config.max_connections_per_address = Some(each);
        config.uncounted_networks = uncounted.iter().map(|text| text.parse().unwrap()).collect();
        Slots::new(&config)
    }

    fn at(addr: &str) -> Option<SocketAddr> {
        Some(SocketAddr::new(addr.parse().unwrap(), 1))
    }

    #[test]
    fn l_05_a_client_is_an_ipv4_address_or_an_ipv6_network() {
        for (one, other, same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.1", "::ffff:192.0.2.1", true),
            ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ] {
            let slots = slots(10, 1, &[]);
            let _held = slots.take(at(one)).unwrap();
            assert_eq!(slots.take(at(other)).is_none(), same, "{one} {other}");
        }
    }

    #[test]
    fn l_05_room_is_given_back_and_nothing_else_is_kept() {
        let slots = slots(10, 2, &[]);
        let first = slots.take(at("192.0.2.1")).unwrap();
        let second = slots.take(at("192.0.2.1")).unwrap();
        assert!(slots.take(at("192.0.2.1")).is_none());
        drop(first);
        let third = slots.take(at("192.0.2.1")).unwrap();
        drop((second, third));
        assert!(slots.addresses.unwrap().open.lock().unwrap().is_empty());
    }

    #[test]
    fn l_02_listeners_that_share_a_room_fill_it_together() {
        let mut config = ListenConfig::new(([127, 0, 0, 1], 0).into());
        config.room = Some(Room::new(2));
        let (public, redirecting) = (Slots::new(&config), Slots::new(&config));
        let held = (public.take(None).unwrap(), redirecting.take(None).unwrap());
        assert!(public.take(None).is_none() && redirecting.take(None).is_none());
        drop(held);
        assert!(redirecting.take(None).is_some());
    }

    #[test]
    fn l_05_proxies_and_unix_sockets_are_not_counted_and_l_02_counts_all() {
        let slots = slots(4, 1, &["10.0.0.0/8"]);
        let _held: Vec<_> = [at("10.0.0.1"), at("10.0.0.1"), None, None]
            .map(|addr| slots.take(addr).unwrap())
            .into();
        assert!(slots.take(None).is_none());
        assert!(slots.take(at("192.0.2.1")).is_none());
        assert!(slots.addresses.unwrap().open.lock().unwrap().is_empty(), "nor those turned away");
    }
}
