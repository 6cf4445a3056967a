//! What follows the `!` of a scope.

use std::{fmt, str::FromStr};

use hub_names::{ServerKey, UserName};

use super::ScopeName;

/// To whom a scope is limited.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filter {
    /// `user=ada`
    User(UserName),
    /// `group=staff`: the group, and the people in it.
    Group(String),
    /// `server=ada/lab`; `server=ada/` is the default server.
    Server(ServerKey),
    /// `service=culler`
    Service(String),
    /// `user`: whoever owns the token.
    OwnUser,
    /// `server`: the server the token was made for.
    OwnServer,
    /// `service`: the service that owns the token.
    OwnService,
}

impl Filter {
    /// Whether a right under this filter passes the filter on to `implied`.
    ///
    /// Under a server filter the rights to read accounts are dropped: being let
    /// into one of somebody's servers does not open their account.
    pub(super) fn reaches(&self, implied: &ScopeName) -> bool {
        let by_server = matches!(self, Self::Server(_) | Self::OwnServer);
        !(by_server && implied.as_str().starts_with("read:user"))
    }
}

impl FromStr for Filter {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let Some((kind, value)) = text.split_once('=') else {
            return match text {
                "user" => Ok(Self::OwnUser),
                "server" => Ok(Self::OwnServer),
                "service" => Ok(Self::OwnService),
                _ => Err(()),
            };
        };
        match kind {
            "user" => value.parse().map(Self::User).map_err(drop),
            "group" if !value.is_empty() => Ok(Self::Group(value.to_owned())),
            "service" if !value.is_empty() => Ok(Self::Service(value.to_owned())),
            "server" => {
                let (user, server) = value.split_once('/').ok_or(())?;
                let user = user.parse().map_err(drop)?;
                Ok(Self::Server(ServerKey::new(user, server.parse().map_err(drop)?)))
            }
            _ => Err(()),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(name) => write!(f, "user={name}"),
            Self::Group(name) => write!(f, "group={name}"),
            Self::Server(key) => write!(f, "server={key}"),
            Self::Service(name) => write!(f, "service={name}"),
            Self::OwnUser => f.write_str("user"),
            Self::OwnServer => f.write_str("server"),
            Self::OwnService => f.write_str("service"),
        }
    }
}
