//! Where a listening socket is, as the two processes write it.

use std::{
    net::{AddrParseError, SocketAddr},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Listener;

/// What is before the path of a Unix socket.
const UNIX: &str = "unix:";

/// The address of a listening socket. Written as an address and port, or as
/// `unix:` and a path, which processes that know no Unix sockets do not take for
/// an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) enum Place {
    Tcp(SocketAddr),
    /// Absolute: the two may have started in different directories.
    Unix(PathBuf),
}

impl Place {
    pub(crate) fn of(listener: &Listener) -> Self {
        match listener.path() {
            Some(path) => Self::unix(path),
            None => Self::Tcp(listener.local_addr()),
        }
    }

    pub(crate) fn unix(path: &Path) -> Self {
        // Fails for an empty path, where nobody listens.
        Self::Unix(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
    }
}

impl TryFrom<String> for Place {
    type Error = AddrParseError;

    fn try_from(text: String) -> Result<Self, AddrParseError> {
        match text.strip_prefix(UNIX) {
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        match place {
            Place::Tcp(addr) => addr.to_string(),
            Place::Unix(path) => format!("{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn z_1_places_are_addresses_or_paths() {
        for (text, place) in [
            ("127.0.0.1:80", Place::Tcp(([127, 0, 0, 1], 80).into())),
            ("[::1]:80", Place::Tcp("[::1]:80".parse().unwrap())),
            ("unix:/run/a:b", Place::Unix("/run/a:b".into())),
        ] {
            assert_eq!(Place::try_from(text.to_owned()).unwrap(), place);
            assert_eq!(String::from(place), text);
        }
        assert!(Place::try_from("/run/a".to_owned()).is_err());
        assert!(matches!(Place::unix(Path::new("a")), Place::Unix(path) if path.is_absolute()));
    }
}
