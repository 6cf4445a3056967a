//! The rights there are, and which of them imply which.

use std::{collections::BTreeSet, fmt, str::FromStr, sync::Arc};

/// Lists each right once: variant, text, meaning, and what it implies directly.
macro_rules! scope_names {
    ($($variant:ident = $text:literal, $meaning:literal $(=> $($implied:ident),+)?;)+) => {
        /// A right without its filter.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ScopeName {
            $(#[doc = concat!("`", $text, "`: ", $meaning)] $variant,)+
            /// One that an operator has made up: see
            /// [`Roles::define_scope`](crate::Roles::define_scope).
            Custom(CustomName),
        }

        impl ScopeName {
            /// Every right that is not made up, metascopes included.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The right as it is written.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)+
                    Self::Custom(name) => name.as_str(),
                }
            }

            /// What it allows, for the person who is asked to grant it; empty for a
            /// right that was made up, which [`Roles`](crate::Roles) describes.
            pub fn meaning(&self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)+
                    Self::Custom(_) => "",
                }
            }

            fn implied(&self) -> &'static [Self] {
                match self {
                    $(Self::$variant => &[$($(Self::$implied),+)?],)+
                    Self::Custom(_) => &[],
                }
            }
        }
    };
}

scope_names! {
    Own = "self", "Everything people may do with their own account.";
    Inherit = "inherit", "Everything the token's owner may do.";
    AdminUi = "admin-ui", "Open the administration page.";
    AdminUsers = "admin:users", "Create, change and delete accounts."
        => AdminAuthState, Users, ReadRolesUsers, DeleteUsers;
    AdminAuthState = "admin:auth_state", "Read what the sign-in provider handed over.";
    Users = "users", "Read and change accounts, except to create and delete them."
        => ReadUsers, ListUsers, UsersActivity;
    DeleteUsers = "delete:users", "Delete accounts.";
    ListUsers = "list:users", "List accounts." => ReadUsersName;
    ReadUsers = "read:users", "Read accounts: names, groups, times of last activity."
        => ReadUsersName, ReadUsersGroups, ReadUsersActivity;
    ReadUsersName = "read:users:name", "Read the names of accounts.";
    ReadUsersGroups = "read:users:groups", "Read the groups of accounts.";
    ReadUsersActivity = "read:users:activity", "Read when accounts were last active.";
    ReadRoles = "read:roles", "Read who has which role."
        => ReadRolesUsers, ReadRolesServices, ReadRolesGroups;
    ReadRolesUsers = "read:roles:users", "Read the roles of accounts.";
    ReadRolesServices = "read:roles:services", "Read the roles of services.";
    ReadRolesGroups = "read:roles:groups", "Read the roles of groups.";
    UsersActivity = "users:activity", "Report when accounts were last active."
        => ReadUsersActivity;
    AdminServers = "admin:servers", "Start, stop and inspect servers, their inner state included."
        => AdminServerState, Servers;
    AdminServerState = "admin:server_state", "Read and change the inner state of servers.";
    Servers = "servers", "Start and stop servers." => ReadServers, StartServers, DeleteServers;
    ReadServers = "read:servers", "Read which servers there are and how they do."
        => ReadUsersName;
    StartServers = "start:servers", "Start servers.";
    DeleteServers = "delete:servers", "Stop and delete servers.";
    Tokens = "tokens", "Make, read and revoke API tokens." => ReadTokens;
    ReadTokens = "read:tokens", "Read which API tokens there are.";
    AdminGroups = "admin:groups", "Create, change and delete groups."
        => Groups, ReadRolesGroups, DeleteGroups;
    Groups = "groups", "Read groups and change who belongs to them." => ReadGroups, ListGroups;
    ListGroups = "list:groups", "List groups." => ReadGroupsName;
    ReadGroups = "read:groups", "Read groups and who belongs to them." => ReadGroupsName;
    ReadGroupsName = "read:groups:name", "Read the names of groups.";
    DeleteGroups = "delete:groups", "Delete groups.";
    AdminServices = "admin:services", "Create, change and delete services."
        => ListServices, ReadServices, ReadRolesServices;
    ListServices = "list:services", "List services." => ReadServicesName;
    ReadServices = "read:services", "Read services." => ReadServicesName;
    ReadServicesName = "read:services:name", "Read the names of services.";
    ReadHub = "read:hub", "Read how this hub is set up.";
    AccessServers = "access:servers", "Use servers: open them and run code there.";
    AccessServices = "access:services", "Use services.";
    UsersShares = "users:shares", "Read and revoke what was shared with accounts."
        => ReadUsersShares;
    ReadUsersShares = "read:users:shares", "Read what was shared with accounts.";
    GroupsShares = "groups:shares", "Read and revoke what was shared with groups."
        => ReadGroupsShares;
    ReadGroupsShares = "read:groups:shares", "Read what was shared with groups.";
    ReadShares = "read:shares", "Read which servers are shared.";
    Shares = "shares", "Share servers with others."
        => AccessServers, ReadShares, UsersShares, GroupsShares;
    Proxy = "proxy", "Read and change the proxy's routes.";
    Shutdown = "shutdown", "Stop this hub.";
    ReadMetrics = "read:metrics", "Read this hub's measurements.";
}

impl ScopeName {
    /// Whether this is `self` or `inherit`, which stand for a whole set.
    pub fn is_metascope(&self) -> bool {
        matches!(self, Self::Own | Self::Inherit)
    }

    /// This right and all that follow from it.
    pub(crate) fn closure(&self) -> BTreeSet<Self> {
        let mut found = BTreeSet::new();
        let mut open = vec![self];
        while let Some(name) = open.pop() {
            if found.insert(name.clone()) {
                open.extend(name.implied());
            }
        }
        found
    }
}

impl FromStr for ScopeName {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match Self::ALL.iter().find(|name| name.as_str() == text) {
            Some(name) => Ok(name.clone()),
            None => text.parse().map(Self::Custom),
        }
    }
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The name of a right that an operator has made up, `custom:` included:
/// `custom:grades:read`. Whether anybody has made it up, it does not tell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CustomName(Arc<str>);

impl CustomName {
    /// What all of them begin with.
    pub const PREFIX: &'static str = "custom:";

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CustomName {
    type Err = ();

    /// `custom:`, then at least three of `a-z 0-9 _ - * :`, the first a letter or a
    /// digit, the last neither `-` nor `:` (JupyterHub's rule).
    fn from_str(text: &str) -> Result<Self, ()> {
        let name = text.strip_prefix(Self::PREFIX).ok_or(())?.as_bytes();
        let plain = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        match name {
            [first, middle @ .., last]
                if !middle.is_empty()
                    && plain(first)
                    && middle.iter().all(|c| plain(c) || b"_-*:".contains(c))
                    && (plain(last) || b"_*".contains(last)) =>
            {
                Ok(Self(text.into()))
            }
            _ => Err(()),
        }
    }
}
