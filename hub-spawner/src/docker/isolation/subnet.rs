//! Ranges of addresses for users' networks. Pure.

use std::{net::Ipv4Addr, str::FromStr};

/// Each network has sixteen addresses: itself, the gateway, the broadcast, and
/// thirteen or fourteen servers and hub containers.
const PREFIX: u32 = 28;

/// A range of addresses from which networks are cut. Written `10.200.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::docker) struct Pool {
    first: u32,
    prefix: u32,
}

impl Pool {
    /// The first piece that overlaps none of `used`; those that are no ranges of IPv4
    /// do not count.
    pub(in crate::docker) fn free(self, used: &[String]) -> Option<String> {
        let used: Vec<Pool> = used.iter().filter_map(|text| text.parse().ok()).collect();
        let pieces = 1_u32 << (PREFIX - self.prefix);
        (0..pieces)
            .map(|piece| Pool { first: self.first + (piece << (32 - PREFIX)), prefix: PREFIX })
            .find(|piece| used.iter().all(|other| !piece.overlaps(*other)))
            .map(|piece| format!("{}/{PREFIX}", Ipv4Addr::from(piece.first)))
    }

    /// Whether it can be cut into networks.
    pub(in crate::docker) fn is_usable(self) -> bool {
        (8..=PREFIX).contains(&self.prefix)
    }

    fn overlaps(self, other: Self) -> bool {
        let mask = mask(self.prefix.min(other.prefix));
        self.first & mask == other.first & mask
    }
}

impl FromStr for Pool {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no range of addresses; write it like 10.200.0.0/16");
        let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
        let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
        let prefix: u32 = prefix.parse().map_err(|_| wrong())?;
        if prefix > 32 {
            return Err(wrong());
        }
        Ok(Self { first: u32::from(address) & mask(prefix), prefix })
    }
}

fn mask(prefix: u32) -> u32 {
    u32::MAX.checked_shl(32 - prefix).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spn_36_users_networks_do_not_overlap_any_other() {
        let pool: Pool = "10.200.0.0/26".parse().unwrap();
        let used = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(pool.free(&[]).as_deref(), Some("10.200.0.0/28"));
        let some = used(&["10.200.0.0/28", "10.200.0.16/30", "fd00::/64", "172.17.0.0/16"]);
        assert_eq!(pool.free(&some).as_deref(), Some("10.200.0.32/28"));
        assert_eq!(pool.free(&used(&["10.0.0.0/8"])), None);
        assert_eq!(pool.free(&used(&["10.200.0.0/27", "10.200.0.32/27"])), None);
    }

    #[test]
    fn ranges_are_read() {
        for wrong in ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "x/8"] {
            assert!(wrong.parse::<Pool>().is_err(), "{wrong}");
        }
        assert!("10.0.0.0/8".parse::<Pool>().unwrap().is_usable());
        assert!(!"10.0.0.0/29".parse::<Pool>().unwrap().is_usable());
        assert!(!"0.0.0.0/0".parse::<Pool>().unwrap().is_usable());
    }
}
