//! Who acts, and on what.

use std::collections::BTreeSet;

use hub_names::{ServerKey, UserName};

use super::{Filter, Scope, ScopeName};

/// Whose scopes they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A person.
    User(UserName),
    /// A program with a token of its own.
    Service(String),
}

/// For whom a token was made: who asked for it as an OAuth client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// A single-user server.
    Server(ServerKey),
    /// A service.
    Service(String),
}

impl Issuer {
    /// The right to use it, which all its tokens include.
    pub fn access(&self) -> Scope {
        match self {
            Self::Server(key) => {
                Scope::filtered(ScopeName::AccessServers, Filter::Server(key.clone()))
            }
            Self::Service(name) => {
                Scope::filtered(ScopeName::AccessServices, Filter::Service(name.clone()))
            }
        }
    }
}

/// What a request is about. A scope allows the request if it is unlimited or
/// limited to something this target is, or is part of.
///
/// The kinds are kept apart: a right over the *service* called `ada` says nothing
/// about the *user* `ada`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    pub(super) user: Option<UserName>,
    pub(super) server: Option<ServerKey>,
    pub(super) service: Option<String>,
    pub(super) groups: BTreeSet<String>,
}

impl Target {
    /// Something that is nobody's in particular: only an unlimited right will do.
    pub fn whole_hub() -> Self {
        Self::default()
    }

    /// An account.
    pub fn user(user: &UserName) -> Self {
        Self { user: Some(user.clone()), ..Self::default() }
    }

    /// A server, which is part of its user's account.
    pub fn server(key: &ServerKey) -> Self {
        Self { user: Some(key.user().clone()), server: Some(key.clone()), ..Self::default() }
    }

    /// A service.
    pub fn service(name: &str) -> Self {
        Self { service: Some(name.to_owned()), ..Self::default() }
    }

    /// A group itself.
    pub fn group(name: &str) -> Self {
        Self { groups: BTreeSet::from([name.to_owned()]), ..Self::default() }
    }

    /// The same target, told which groups its user belongs to. Without it no
    /// group filter matches.
    #[must_use]
    pub fn in_groups(mut self, groups: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.groups.extend(groups.into_iter().map(Into::into));
        self
    }
}
