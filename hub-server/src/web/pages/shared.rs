//! Other people's servers that somebody may use, for the home page.

use std::collections::BTreeMap;

use hub_auth::{Owner, ScopeName, ScopeSet, Target};
use hub_names::ServerKey;
use hub_store::{Grantee, StoreError, User};
use minijinja::{Value, context};

use crate::{access::held::scopes_of_share, hub::Hub};

/// What is shared with `user`, each server once: to open when it is up, and to start
/// where the share allows that.
pub(super) async fn with(hub: &Hub, user: &User) -> Result<Vec<Value>, StoreError> {
    let mut servers: BTreeMap<(String, String), (ServerKey, ScopeSet, Vec<String>)> =
        BTreeMap::new();
    for share in hub.store.shares().with_user(user.id).await? {
        let key = &share.server;
        if *key.user() == user.name {
            continue;
        }
        let place = (key.user().to_string(), key.server().to_string());
        let (_, scopes, groups) =
            servers.entry(place).or_insert_with(|| (key.clone(), ScopeSet::default(), Vec::new()));
        let owner = Owner::User(user.name.clone());
        scopes.extend(&ScopeSet::expand(scopes_of_share(&share), &owner, None));
        if let Grantee::Group(group) = share.with {
            groups.push(group);
        }
    }
    let rows = servers.into_values().filter_map(|(key, scopes, groups)| {
        let may = |scope| scopes.has(scope, &Target::server(&key));
        may(ScopeName::AccessServers).then(|| row(hub, &key, may(ScopeName::StartServers), groups))
    });
    Ok(rows.collect())
}

fn row(hub: &Hub, key: &ServerKey, may_start: bool, groups: Vec<String>) -> Value {
    let view = hub.servers.live(key);
    let ready = view.as_ref().is_some_and(|view| view.phase.is_ready());
    let active = view.is_some_and(|view| view.phase.is_active());
    context! {
        owner => key.user().as_str(),
        name => key.server().as_str(),
        groups => groups,
        ready => ready,
        url => hub.paths.server(key),
        start_url => (may_start && !active).then(|| hub.paths.spawn(key, None)),
    }
}
