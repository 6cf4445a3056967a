//! The ports of servers that share the host's network (SPN-21). Pure.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

use crate::SpawnError;

/// A range of ports, both ends in it. Written `9000-9100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The lowest port that is not `taken`.
    ///
    /// # Errors
    ///
    /// [`SpawnError::NoCapacity`] if all are.
    pub(crate) fn assign(self, taken: &BTreeSet<u16>) -> Result<u16, SpawnError> {
        (self.first..=self.last).find(|port| !taken.contains(port)).ok_or_else(|| {
            SpawnError::NoCapacity {
                reason: "all ports for servers are in use",
                source: format!("no port of {self} is free").into(),
            }
        })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for PortRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let range = text.split_once('-').and_then(|(first, last)| {
            Some(Self { first: first.trim().parse().ok()?, last: last.trim().parse().ok()? })
        });
        range
            .filter(|range| range.first > 0 && range.first <= range.last)
            .ok_or_else(|| format!("{text:?} is no range of ports; write it like 9000-9100"))
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spn_21_each_server_gets_a_port_of_its_own() {
        let range: PortRange = "9000-9001".parse().unwrap();
        assert_eq!(range.assign(&BTreeSet::new()).unwrap(), 9000);
        assert_eq!(range.assign(&[9000].into()).unwrap(), 9001);
        assert!(range.assign(&[9000, 9001].into()).unwrap_err().is_transient());
        for wrong in ["", "9000", "9001-9000", "0-5", "1-70000", "a-b"] {
            assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
        }
    }
}
