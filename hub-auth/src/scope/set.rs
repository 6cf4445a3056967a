//! Scopes with everything they imply, and questions about them.

use std::collections::{BTreeMap, BTreeSet};

use hub_names::{ServerKey, UserName};

use super::{Filter, Groups, Issuer, Owner, Scope, ScopeName, Target};

/// What `self` stands for, each limited to the person themselves.
const SELF_SCOPES: [ScopeName; 7] = [
    ScopeName::ReadUsers,
    ScopeName::UsersShares,
    ScopeName::ReadShares,
    ScopeName::UsersActivity,
    ScopeName::Servers,
    ScopeName::Tokens,
    ScopeName::AccessServers,
];

/// Everything somebody may do: implied rights are spelled out and every filter
/// names somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScopeSet {
    grants: BTreeMap<ScopeName, Grant>,
}

/// How far one right reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access<'a> {
    /// The right is not held.
    None,
    /// Held for some; a list shows only these.
    Filtered(&'a Filters),
    /// Held for everybody.
    All,
}

/// To whom a right is limited; any one of them is enough.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    users: BTreeSet<UserName>,
    groups: BTreeSet<String>,
    servers: BTreeSet<ServerKey>,
    services: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Grant {
    All,
    Only(Filters),
}

impl ScopeSet {
    /// Expands scopes as written: `self` becomes what it stands for, filters
    /// without a name take the name of the owner or of the server or service the
    /// token was made for (`client`), and implied rights are added under the same filter.
    ///
    /// A filter that has nobody to stand for grants nothing, and `inherit` is not
    /// looked at here: see [`resolve_token`](super::resolve_token).
    pub fn expand(
        raw: impl IntoIterator<Item = Scope>,
        owner: &Owner,
        client: Option<&Issuer>,
    ) -> Self {
        let mut set = Self::default();
        for Scope { name, filter } in raw {
            match name {
                ScopeName::Inherit => {}
                ScopeName::Own => {
                    if let Owner::User(user) = owner {
                        for name in SELF_SCOPES {
                            set.grant(name, Some(&Filter::User(user.clone())));
                        }
                    }
                }
                name => match filter {
                    None => set.grant(name, None),
                    Some(filter) => {
                        if let Some(named) = named(filter, owner, client) {
                            set.grant(name, Some(&named));
                        }
                    }
                },
            }
        }
        set
    }

    /// How far `name` reaches.
    pub fn access(&self, name: ScopeName) -> Access<'_> {
        match self.grants.get(&name) {
            None => Access::None,
            Some(Grant::All) => Access::All,
            Some(Grant::Only(filters)) => Access::Filtered(filters),
        }
    }

    /// Whether `name` is held for `target`.
    pub fn has(&self, name: ScopeName, target: &Target) -> bool {
        match self.access(name) {
            Access::None => false,
            Access::All => true,
            Access::Filtered(filters) => filters.matches(target),
        }
    }

    /// The groups that rights are limited to. A question about somebody needs to
    /// know which of these they belong to.
    pub fn groups(&self) -> BTreeSet<&str> {
        let filters = self.grants.values().filter_map(|grant| match grant {
            Grant::All => None,
            Grant::Only(filters) => Some(&filters.groups),
        });
        filters.flatten().map(String::as_str).collect()
    }

    /// Adds what `other` holds.
    pub fn extend(&mut self, other: &Self) {
        for (name, grant) in &other.grants {
            match grant {
                Grant::All => {
                    self.grants.insert(name.clone(), Grant::All);
                }
                Grant::Only(filters) => {
                    for filter in filters.each() {
                        self.grant_one(name.clone(), &filter);
                    }
                }
            }
        }
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.grants.is_empty()
    }

    /// What both sets hold. `groups` tells whose rights over a group cover which
    /// people; unknown members are left out, so a missing entry makes the result
    /// smaller, never larger.
    #[must_use]
    pub fn intersect(&self, other: &Self, groups: &Groups) -> Self {
        let both = self.grants.iter().filter_map(|(name, ours)| {
            let grant = match (ours, other.grants.get(name)?) {
                (Grant::All, grant) | (grant, Grant::All) => grant.clone(),
                (Grant::Only(ours), Grant::Only(theirs)) => {
                    Grant::Only(ours.intersect(theirs, groups).nonempty()?)
                }
            };
            Some((name.clone(), grant))
        });
        Self { grants: both.collect() }
    }

    /// Whether `other` holds everything that this set holds.
    pub fn is_within(&self, other: &Self, groups: &Groups) -> bool {
        self.grants.iter().all(|(name, grant)| match (grant, other.grants.get(name)) {
            (_, None) | (Grant::All, Some(Grant::Only(_))) => false,
            (_, Some(Grant::All)) => true,
            (Grant::Only(ours), Some(Grant::Only(theirs))) => ours.is_within(theirs, groups),
        })
    }

    /// The scopes as text, sorted: what the REST API shows.
    pub fn to_strings(&self) -> Vec<String> {
        let mut texts: Vec<String> = self.scopes().map(|scope| scope.to_string()).collect();
        texts.sort_unstable();
        texts
    }

    fn scopes(&self) -> impl Iterator<Item = Scope> {
        self.grants.iter().flat_map(|(name, grant)| match grant {
            Grant::All => vec![Scope::new(name.clone())],
            Grant::Only(filters) => {
                filters.each().map(|filter| Scope::filtered(name.clone(), filter)).collect()
            }
        })
    }

    fn grant(&mut self, name: ScopeName, filter: Option<&Filter>) {
        for implied in name.closure() {
            match filter {
                None => {
                    self.grants.insert(implied, Grant::All);
                }
                Some(filter) if implied == name || filter.reaches(&implied) => {
                    self.grant_one(implied, filter);
                }
                Some(_) => {}
            }
        }
    }

    fn grant_one(&mut self, name: ScopeName, filter: &Filter) {
        match self.grants.entry(name).or_insert_with(|| Grant::Only(Filters::default())) {
            // Unlimited beats limited.
            Grant::All => {}
            Grant::Only(filters) => filters.add(filter),
        }
    }
}

impl Filters {
    /// Whether the right reaches `target`: itself, its user, or one of the
    /// groups it was said to be in.
    pub fn matches(&self, target: &Target) -> bool {
        target.server.as_ref().is_some_and(|key| self.servers.contains(key))
            || target.user.as_ref().is_some_and(|user| self.users.contains(user))
            || target.service.as_ref().is_some_and(|service| self.services.contains(service))
            || !target.groups.is_disjoint(&self.groups)
    }

    /// People by name.
    pub fn users(&self) -> &BTreeSet<UserName> {
        &self.users
    }

    /// Groups, and with them the people in them.
    pub fn groups(&self) -> &BTreeSet<String> {
        &self.groups
    }

    /// Single servers.
    pub fn servers(&self) -> &BTreeSet<ServerKey> {
        &self.servers
    }

    /// Services.
    pub fn services(&self) -> &BTreeSet<String> {
        &self.services
    }

    fn add(&mut self, filter: &Filter) {
        match filter {
            Filter::User(user) => drop(self.users.insert(user.clone())),
            Filter::Group(group) => drop(self.groups.insert(group.clone())),
            Filter::Server(key) => drop(self.servers.insert(key.clone())),
            Filter::Service(service) => drop(self.services.insert(service.clone())),
            Filter::OwnUser | Filter::OwnServer | Filter::OwnService => {}
        }
    }

    fn each(&self) -> impl Iterator<Item = Filter> {
        let users = self.users.iter().cloned().map(Filter::User);
        let groups = self.groups.iter().cloned().map(Filter::Group);
        let servers = self.servers.iter().cloned().map(Filter::Server);
        let services = self.services.iter().cloned().map(Filter::Service);
        users.chain(groups).chain(servers).chain(services)
    }

    /// A server is part of its user, a user part of their groups; of two filters
    /// that meet, the smaller is what both have. Of two different groups both have
    /// the people known to be in both.
    fn intersect(&self, other: &Self, groups: &Groups) -> Self {
        let mut both = Self {
            users: self.users.intersection(&other.users).cloned().collect(),
            groups: self.groups.intersection(&other.groups).cloned().collect(),
            servers: self.servers.intersection(&other.servers).cloned().collect(),
            services: self.services.intersection(&other.services).cloned().collect(),
        };
        let by_both = |user: &&UserName| self.reaches(user, groups) && other.reaches(user, groups);
        // Somebody who is named stays so, also beside a group that both have: a
        // server asks for the filter with its owner's name.
        let named = self.users.iter().chain(&other.users);
        let members = groups.users().filter(|user| !groups.any(user, &both.groups));
        let met: Vec<UserName> = named.chain(members).filter(by_both).cloned().collect();
        both.users.extend(met);
        for (small, large) in [(self, other), (other, self)] {
            let met = small.servers.iter().filter(|key| large.reaches(key.user(), groups));
            both.servers.extend(met.cloned());
        }
        both
    }

    fn is_within(&self, other: &Self, groups: &Groups) -> bool {
        let reached = |user: &UserName| other.reaches(user, groups);
        self.users.iter().all(reached)
            && self.groups.is_subset(&other.groups)
            && self.servers.iter().all(|key| other.servers.contains(key) || reached(key.user()))
            && self.services.is_subset(&other.services)
    }

    /// Whether all of `user`'s account is reached, by name or through a group.
    fn reaches(&self, user: &UserName, groups: &Groups) -> bool {
        self.users.contains(user) || groups.any(user, &self.groups)
    }

    fn nonempty(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }
}

/// The filter with a name in place of "own"; `None` if it has nobody to stand for.
fn named(filter: Filter, owner: &Owner, client: Option<&Issuer>) -> Option<Filter> {
    match (filter, owner, client) {
        (Filter::OwnUser, Owner::User(user), _) => Some(Filter::User(user.clone())),
        (Filter::OwnUser, Owner::Service(_), _) => None,
        (Filter::OwnService, Owner::Service(name), _)
        | (Filter::OwnService, Owner::User(_), Some(Issuer::Service(name))) => {
            Some(Filter::Service(name.clone()))
        }
        (Filter::OwnService, Owner::User(_), _) => None,
        (Filter::OwnServer, _, Some(Issuer::Server(key))) => Some(Filter::Server(key.clone())),
        (Filter::OwnServer, ..) => None,
        (filter, ..) => Some(filter),
    }
}
