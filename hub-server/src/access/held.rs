//! What people and services may do now (hub-contract 6.4, 6.5).

use std::collections::BTreeSet;

use hub_auth::{Filter, Groups, Issuer, Owner, Role, Scope, ScopeName, ScopeSet, Target};
use hub_names::{ServerKey, UserName};
use hub_store::{ClientOf, OauthClient, Share, StoreError, User};

use crate::hub::Hub;

impl Hub {
    /// What `user` may do now: by their own roles, by those of their groups, and by
    /// what is shared with them.
    pub(crate) async fn scopes_of_user(&self, user: &User) -> Result<ScopeSet, StoreError> {
        let mut roles = self.store.roles().of_user(user.id).await?;
        roles.extend(self.store.roles().of_groups_of(user.id).await?);
        let live = self.live();
        let mut held = live.roles.user_scopes(&user.name, user.admin, &roles);
        let shared = self.store.shares().with_user(user.id).await?;
        let shared = live.roles.spell_out(shared.iter().flat_map(scopes_of_share));
        held.extend(&ScopeSet::expand(shared, &Owner::User(user.name.clone()), None));
        Ok(held)
    }

    /// What the service called `name` may do now.
    pub(crate) async fn scopes_of_service(&self, name: &str) -> Result<ScopeSet, StoreError> {
        let roles = self.store.roles().of_service(name).await?;
        let live = self.live();
        let mut raw =
            self.services.get(name).map(|one| one.config.scopes.clone()).unwrap_or_default();
        raw.extend(live.roles.scopes_of(roles.iter().map(String::as_str)));
        Ok(ScopeSet::expand(live.roles.spell_out(raw), &Owner::Service(name.to_owned()), None))
    }

    /// The names of the service's roles, as the API shows them.
    pub(crate) async fn roles_of_service(&self, name: &str) -> Result<Vec<String>, StoreError> {
        let mut roles: BTreeSet<String> =
            self.store.roles().of_service(name).await?.into_iter().collect();
        if self.services.get(name).is_some_and(|service| service.config.admin) {
            roles.insert(Role::Admin.name().to_owned());
        }
        Ok(roles.into_iter().collect())
    }

    /// Who belongs to the groups that rights in `sets` are limited to: all that a
    /// decision about these sets needs to know.
    pub(crate) async fn groups_behind(&self, sets: &[&ScopeSet]) -> Result<Groups, StoreError> {
        let mut known = Groups::default();
        let names: BTreeSet<&str> = sets.iter().flat_map(|set| set.groups()).collect();
        for name in names {
            for member in self.store.groups().member_names(name).await? {
                known.add(member, name);
            }
        }
        Ok(known)
    }

    /// The account `name` as the target of somebody who holds `scopes`: with its
    /// groups, if any right is limited to groups.
    pub(crate) async fn user_target(
        &self,
        scopes: &ScopeSet,
        name: &UserName,
    ) -> Result<Target, StoreError> {
        self.with_groups(scopes, name, Target::user(name)).await
    }

    /// As [`user_target`](Self::user_target), for a server.
    pub(crate) async fn server_target(
        &self,
        scopes: &ScopeSet,
        key: &ServerKey,
    ) -> Result<Target, StoreError> {
        self.with_groups(scopes, key.user(), Target::server(key)).await
    }

    async fn with_groups(
        &self,
        scopes: &ScopeSet,
        name: &UserName,
        target: Target,
    ) -> Result<Target, StoreError> {
        if scopes.groups().is_empty() {
            return Ok(target);
        }
        match self.store.users().by_name(name).await? {
            Some(user) => Ok(target.in_groups(self.store.groups().of_user(user.id).await?)),
            None => Ok(target),
        }
    }
}

/// The names of the user's roles, as the API shows them: those they were `given`, and
/// those that follow from who they are.
pub(crate) fn roles_of(user: &User, given: Vec<String>) -> Vec<String> {
    let mut roles = BTreeSet::from_iter(given);
    roles.insert(Role::User.name().to_owned());
    if user.admin {
        roles.insert(Role::Admin.name().to_owned());
    }
    roles.into_iter().collect()
}

/// The scopes of a share, each limited to the server.
pub(crate) fn scopes_of_share(share: &Share) -> Vec<Scope> {
    share
        .scopes
        .iter()
        .filter_map(|name| name.parse::<ScopeName>().ok())
        .map(|name| Scope::filtered(name, Filter::Server(share.server.clone())))
        .collect()
}

/// The client as the issuer of tokens.
pub(crate) fn issuer(client: &OauthClient) -> Issuer {
    match &client.of {
        ClientOf::Server(key) => Issuer::Server(key.clone()),
        ClientOf::Service(name) => Issuer::Service(name.clone()),
    }
}
