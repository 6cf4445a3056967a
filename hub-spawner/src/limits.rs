//! How much of the host one server may use.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, de};

/// Docker refuses less.
const LEAST_BYTES: u64 = 6 << 20;

/// An amount of memory: bytes, or a number and `K`, `M`, `G` or `T`, which are
/// powers of 1024. Decimals are fine, small letters are not (as JupyterHub's
/// `mem_limit`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemoryLimit(u64);

/// How much memory one server may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MemoryAllowance {
    /// What its machine has, less a reserve for all else there: one server alone
    /// cannot take the machine down. Written `host`.
    #[default]
    Host,
    /// Whatever it takes. Written `none`.
    Unlimited,
    /// This much.
    Limited(MemoryLimit),
}

/// What is left to the machine by [`MemoryAllowance::Host`]: this or a tenth of
/// all, whichever is more, but never more than half.
const RESERVE_BYTES: u64 = 1 << 30;

impl MemoryAllowance {
    /// The limit on a machine with `total` bytes; 0 stands for a machine that does
    /// not tell.
    pub fn on_machine(self, total: u64) -> Option<MemoryLimit> {
        match self {
            Self::Host if total == 0 => None,
            Self::Host => {
                let reserve = RESERVE_BYTES.max(total / 10).min(total / 2);
                Some(MemoryLimit((total - reserve).max(LEAST_BYTES)))
            }
            Self::Unlimited => None,
            Self::Limited(limit) => Some(limit),
        }
    }

    /// The limit that somebody chose.
    pub fn chosen(self) -> Option<MemoryLimit> {
        match self {
            Self::Limited(limit) => Some(limit),
            Self::Host | Self::Unlimited => None,
        }
    }
}

impl FromStr for MemoryAllowance {
    type Err = InvalidMemory;

    fn from_str(text: &str) -> Result<Self, InvalidMemory> {
        match text.to_ascii_lowercase().as_str() {
            "host" => Ok(Self::Host),
            "none" => Ok(Self::Unlimited),
            _ => text.parse().map(Self::Limited),
        }
    }
}

impl<'de> Deserialize<'de> for MemoryAllowance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Amount {
            expected: "an amount of memory, such as \"1G\", or \"host\" or \"none\"",
            read: str::parse,
        })
    }
}

/// The text is no amount of memory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an amount of memory: {reason}")]
pub struct InvalidMemory {
    text: String,
    reason: &'static str,
}

impl MemoryLimit {
    /// This many bytes.
    pub fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }

    /// In bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for MemoryLimit {
    type Err = InvalidMemory;

    fn from_str(text: &str) -> Result<Self, InvalidMemory> {
        let refuse = |reason| InvalidMemory { text: text.to_owned(), reason };
        let shift = match text.bytes().last() {
            Some(b'K') => 10,
            Some(b'M') => 20,
            Some(b'G') => 30,
            Some(b'T') => 40,
            _ => 0,
        };
        let number = if shift > 0 { &text[..text.len() - 1] } else { text };
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(refuse("write bytes, or a number and K, M, G or T, such as 1.5G"));
        }
        let number: f64 = number.parse().map_err(|_| refuse("the number is malformed"))?;
        let bytes = number * (1_u64 << shift) as f64;
        if bytes < LEAST_BYTES as f64 {
            return Err(refuse("at least 6M is needed"));
        }
        if bytes >= i64::MAX as f64 {
            return Err(refuse("that is more than any host has"));
        }
        Ok(Self(bytes as u64))
    }
}

impl fmt::Display for MemoryLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
        match units.into_iter().find(|(shift, _)| self.0 >= 1 << shift) {
            Some((shift, unit)) => {
                let amount = (self.0 as f64 / (1_u64 << shift) as f64 * 10.0).round() / 10.0;
                write!(f, "{amount} {unit}")
            }
            None => write!(f, "{} bytes", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for MemoryLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Amount {
            expected: "an amount of memory, such as \"1G\"",
            read: str::parse,
        })
    }
}

/// Reads a text, or a number of bytes.
struct Amount<T> {
    expected: &'static str,
    read: fn(&str) -> Result<T, InvalidMemory>,
}

impl<T> de::Visitor<'_> for Amount<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expected)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<T, E> {
        self.visit_str(&bytes.to_string())
    }

    fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<T, E> {
        self.visit_str(&bytes.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_powers_of_1024() {
        let rows = [
            ("536870912", Some(536_870_912)),
            ("512M", Some(536_870_912)),
            ("1G", Some(1 << 30)),
            ("1.5G", Some(1_610_612_736)),
            ("2T", Some(2 << 40)),
            ("6M", Some(6 << 20)),
            ("5M", None),
            ("1g", None),
            ("1GB", None),
            ("1 G", None),
            ("-1G", None),
            ("1e9", None),
            ("1..5G", None),
            ("G", None),
            ("", None),
            ("99999999T", None),
        ];
        for (text, bytes) in rows {
            let read = text.parse::<MemoryLimit>().ok().map(MemoryLimit::bytes);
            assert_eq!(read, bytes, "{text:?}");
        }
    }

    #[test]
    fn spn_37_without_a_limit_of_its_own_a_server_leaves_its_machine_a_reserve() {
        const GIB: u64 = 1 << 30;
        let host = |total| MemoryAllowance::Host.on_machine(total).map(MemoryLimit::bytes);
        for (total, left) in [
            (100 * GIB, 90 * GIB),
            (16 * GIB, 16 * GIB - (16 * GIB / 10)),
            (8 * GIB, 7 * GIB),
            (2 * GIB, GIB),
            (GIB, GIB / 2),
        ] {
            assert_eq!(host(total), Some(left), "{total}");
        }
        assert_eq!(host(0), None, "a machine that does not tell");
        let chosen: MemoryAllowance = "2G".parse().unwrap();
        assert_eq!(chosen.on_machine(GIB), Some(MemoryLimit(2 * GIB)));
        assert_eq!("None".parse(), Ok(MemoryAllowance::Unlimited));
        assert_eq!("host".parse(), Ok(MemoryAllowance::Host));
        assert_eq!(MemoryAllowance::Unlimited.on_machine(GIB), None);
    }

    #[test]
    fn amounts_are_printed_for_people() {
        assert_eq!(MemoryLimit::from_bytes(1 << 30).to_string(), "1 GiB");
        assert_eq!(MemoryLimit::from_bytes(1_610_612_736).to_string(), "1.5 GiB");
        assert_eq!(MemoryLimit::from_bytes(100).to_string(), "100 bytes");
    }
}
