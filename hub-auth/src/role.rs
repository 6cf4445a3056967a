//! Roles: named sets of scopes.

use std::{fmt, str::FromStr};

use hub_names::ServerKey;

use crate::scope::{Filter, Owner, Scope, ScopeName};

/// Rights that say who a user is, each under `!user`.
pub(crate) const IDENTIFY_SCOPES: [ScopeName; 2] =
    [ScopeName::ReadUsersName, ScopeName::ReadUsersGroups];

const ADMIN_SCOPES: [ScopeName; 16] = [
    ScopeName::AdminUi,
    ScopeName::AdminUsers,
    ScopeName::AdminServers,
    ScopeName::AdminServices,
    ScopeName::Tokens,
    ScopeName::AdminGroups,
    ScopeName::ListServices,
    ScopeName::ReadServices,
    ScopeName::ReadHub,
    ScopeName::Proxy,
    ScopeName::Shutdown,
    ScopeName::AccessServices,
    ScopeName::AccessServers,
    ScopeName::ReadRoles,
    ScopeName::ReadMetrics,
    ScopeName::Shares,
];

/// The roles that exist without being configured, with JupyterHub's contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Everybody has it: the own account and the own servers.
    User,
    /// Administrators have it as well.
    Admin,
    /// What the token of a running server may do.
    Server,
    /// What a token may do if nothing else was asked for.
    Token,
}

impl Role {
    /// Every built-in role.
    pub const ALL: [Self; 4] = [Self::User, Self::Admin, Self::Server, Self::Token];

    /// The role's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Admin => "admin",
            Self::Server => "server",
            Self::Token => "token",
        }
    }

    /// What the role is for.
    pub fn description(self) -> &'static str {
        match self {
            Self::User => "Everybody: the own account and the own servers.",
            Self::Admin => "Administrators: everything.",
            Self::Server => "The token of a running server.",
            Self::Token => "A token for which nothing else was asked.",
        }
    }

    /// The role's scopes, as written.
    pub fn scopes(self) -> Vec<Scope> {
        match self {
            Self::User => vec![Scope::new(ScopeName::Own)],
            Self::Admin => ADMIN_SCOPES.map(Scope::new).to_vec(),
            Self::Server => vec![
                Scope::filtered(ScopeName::UsersActivity, Filter::OwnUser),
                Scope::filtered(ScopeName::AccessServers, Filter::OwnServer),
            ],
            Self::Token => vec![Scope::new(ScopeName::Inherit)],
        }
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|role| role.name() == text).ok_or(())
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The scopes of the token that the server `key` is born with, as text for the
/// store: the role `server` with both names filled in.
pub fn server_scopes(key: &ServerKey) -> Vec<String> {
    vec![
        Scope::filtered(ScopeName::UsersActivity, Filter::User(key.user().clone())).to_string(),
        Scope::filtered(ScopeName::AccessServers, Filter::Server(key.clone())).to_string(),
    ]
}

/// What every token may do: say whose it is. Asked for as `identify` by clients
/// older than the scopes.
pub fn identify_scopes(owner: &Owner) -> Vec<Scope> {
    match owner {
        Owner::User(_) => {
            IDENTIFY_SCOPES.map(|name| Scope::filtered(name, Filter::OwnUser)).to_vec()
        }
        Owner::Service(_) => vec![Scope::filtered(ScopeName::ReadServicesName, Filter::OwnService)],
    }
}
