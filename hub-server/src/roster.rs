//! The people and services of the configuration, in the store; and what becomes of
//! those whom it does not name any more.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use hub_auth::AccessPolicy;
use hub_names::UserName;
use hub_store::{Group, Store, StoreError, User, UserFilter, UserOrder};
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use crate::{
    accounts,
    clock::Clock,
    config::{Config, RolesConfig, UserlistMode},
    hub::Hub,
    services::{self, Service},
    tasks::Tasks,
    web::paths::Paths,
};

/// How often people without access are looked for.
const EVERY: Duration = Duration::from_secs(5);
/// How many users are read at once.
const PAGE: u64 = 1000;
/// How many names are told in one line of the log.
const TOLD: usize = 20;

/// Puts into the store what the configuration says: the people on the lists
/// (USR-4), and tokens and OAuth clients of `services`. If the user list decides alone, takes back
/// the rights of administrators whom it does not name (USR-6).
///
/// May be repeated; nothing that is right already is touched.
pub(crate) async fn remember(
    config: &Config,
    services: &[Service],
    paths: &Paths,
    store: &Store,
    clock: &dyn Clock,
) -> Result<(), StoreError> {
    let now = clock.now();
    let policy = &config.auth.policy;
    for name in policy.allowed().union(policy.admins()) {
        let admin = policy.admins().contains(name);
        let (user, created) = store.users().ensure(name, now).await?;
        if admin && !user.admin {
            store.users().set_admin(user.id, true).await?;
        }
        if created {
            tracing::info!(user = %name, admin, "user added from the configuration");
        }
    }
    services::forget_others(services, store).await?;
    for service in services {
        services::remember(service, paths, store, now).await?;
    }
    // Nobody is taken out again: whoever administers groups may have put them there,
    // too.
    for (name, users) in &config.auth.groups {
        let users: Vec<UserName> =
            users.iter().filter_map(|user| policy.normalise(user.as_str()).ok()).collect();
        join(store, name, &users, now).await?;
    }
    organise(&config.roles, store, now).await?;
    let all = everybody(store).await?;
    if config.auth.mode == UserlistMode::Authoritative {
        dismiss_admins(policy.admins(), &all, store).await?;
    }
    warn_of_names(policy, &all, store).await
}

/// Adds people to a group, which is made if it is not there.
async fn join(
    store: &Store,
    name: &str,
    users: &[UserName],
    now: Timestamp,
) -> Result<Group, StoreError> {
    let mut members = Vec::new();
    for user in users {
        members.push(store.users().ensure(user, now).await?.0.id);
    }
    let group = store.groups().ensure(name).await?;
    store.groups().add(group.id, &members).await?;
    Ok(group)
}

/// Groups and who is in them, roles and who has them.
async fn organise(config: &RolesConfig, store: &Store, now: Timestamp) -> Result<(), StoreError> {
    for group in &config.groups {
        let known = join(store, &group.name, &group.users, now).await?;
        if let Some(properties) = group.properties.as_ref().filter(|new| **new != known.properties)
        {
            store.groups().set_properties(known.id, properties).await?;
        }
    }
    for member in &config.members {
        let roles = store.roles();
        if let Some(users) = &member.users {
            for name in users {
                store.users().ensure(name, now).await?;
            }
            roles.replace_users(&member.role, users).await?;
        }
        if let Some(groups) = &member.groups {
            for name in groups {
                store.groups().ensure(name).await?;
            }
            roles.replace_groups(&member.role, groups).await?;
        }
        if let Some(services) = &member.services {
            roles.replace_services(&member.role, services).await?;
        }
    }
    let defined: Vec<&str> = config.roles.iter().map(|role| role.name.as_str()).collect();
    store.roles().forget_except(&defined).await
}

/// Of `all`, nobody but `admins` is an administrator after this.
async fn dismiss_admins(
    admins: &BTreeSet<UserName>,
    all: &[User],
    store: &Store,
) -> Result<(), StoreError> {
    for user in all {
        if user.admin && !admins.contains(&user.name) {
            store.users().set_admin(user.id, false).await?;
            tracing::info!(user = %user.name, "is no administrator any more: not on the user list");
        }
    }
    Ok(())
}

/// Tells of accounts whose names the rules do not allow (any more). The rules are for names
/// that others give out: accounts with the hub itself have the names that they were made
/// with.
async fn warn_of_names(
    policy: &AccessPolicy,
    all: &[User],
    store: &Store,
) -> Result<(), StoreError> {
    let unfit = without_local(unfit(policy, all), store).await?;
    if !unfit.is_empty() {
        let some = unfit.iter().take(TOLD).map(|user| user.name.as_str());
        tracing::warn!(
            count = unfit.len(),
            users = some.collect::<Vec<_>>().join(", "),
            "accounts have names that auth.username_pattern or the rules for names do not allow; rename or delete them"
        );
    }
    Ok(())
}

/// Deletes the accounts that the log tells of at the hub's start, with all that is theirs,
/// where the operator wants that (as JupyterHub does with `delete_invalid_users`). Those
/// whom the configuration names would be there again at the next start, without their files.
pub(crate) fn delete_invalid(tasks: &Tasks, hub: &Arc<Hub>, config: &Config) {
    if !config.auth.delete_invalid_users {
        return;
    }
    let (hub, policy) = (Arc::clone(hub), config.auth.policy.clone());
    tasks.spawn(|stop| async move {
        let delete = async {
            let all = everybody(&hub.store).await?;
            for user in without_local(unfit(&policy, &all), &hub.store).await? {
                if policy.allowed().contains(&user.name) || policy.admins().contains(&user.name) {
                    continue;
                }
                // Whoever is known to a provider may sign in under any name.
                let mut is_known = false;
                for method in hub.live().methods.iter() {
                    let subject = hub.store.users().subject_of(user.id, method.provider()).await?;
                    is_known |= subject.is_some();
                }
                if is_known {
                    continue;
                }
                tracing::info!(user = %user.name, "is to be deleted: the name is none that the rules allow");
                if let Err(error) = hub.servers.delete_user(user, hub.slow_stop_timeout()).await {
                    tracing::warn!(
                        user = %user.name, error = &error as &(dyn std::error::Error + 'static),
                        "an account whose name is not allowed was not deleted; the next start tries again"
                    );
                }
            }
            Ok(())
        };
        let done: Result<(), StoreError> = tokio::select! {
            () = stop.cancelled() => return,
            done = delete => done,
        };
        if let Err(error) = done {
            tracing::warn!(
                error = &error as &(dyn std::error::Error + 'static),
                "accounts whose names are not allowed could not be looked for; the next start tries again"
            );
        }
    });
}

/// The accounts that nobody could get any more by a provider's name.
fn unfit<'a>(policy: &AccessPolicy, all: &'a [User]) -> Vec<&'a User> {
    all.iter().filter(|user| !policy.can_be_account(&user.name)).collect()
}

/// Those that are not accounts with the hub itself.
async fn without_local<'a>(
    users: Vec<&'a User>,
    store: &Store,
) -> Result<Vec<&'a User>, StoreError> {
    let mut others = Vec::new();
    for user in users {
        if store.users().subject_of(user.id, accounts::PROVIDER).await?.is_none() {
            others.push(user);
        }
    }
    Ok(others)
}

async fn everybody(store: &Store) -> Result<Vec<User>, StoreError> {
    let mut all = Vec::new();
    loop {
        let filter = UserFilter {
            name_contains: None,
            offset: all.len() as u64,
            limit: PAGE,
            order: UserOrder::Added,
        };
        let users = store.users().page(&filter).await?;
        let is_last = (users.len() as u64) < PAGE;
        all.extend(users);
        if is_last {
            return Ok(all);
        }
    }
}

/// Stops the servers of people who have lost access, each a while after it was
/// noticed. Their files stay.
pub(crate) fn keep_watching(tasks: &Tasks, hub: &Arc<Hub>) {
    let hub = Arc::clone(hub);
    tasks.spawn(|stop| async move {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut without_access = BTreeMap::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            for name in overdue(&hub, &mut without_access) {
                for key in hub.servers.active_of(&name) {
                    tracing::info!(server = %key, "stopped: its user has no access any more");
                    hub.servers.stop(&key).await;
                }
            }
        }
    });
}

/// The people whose time is up. `without_access` holds when each was noticed.
fn overdue(hub: &Hub, without_access: &mut BTreeMap<UserName, Timestamp>) -> Vec<UserName> {
    let now = hub.clock.now();
    let live = hub.live();
    let active: BTreeSet<UserName> =
        hub.servers.active().into_iter().map(|key| key.user().clone()).collect();
    without_access.retain(|name, _| active.contains(name) && !live.keeps(name));
    for name in active.into_iter().filter(|name| !live.keeps(name)) {
        without_access.entry(name).or_insert_with_key(|name| {
            let seconds = live.removed_user_grace.as_secs();
            tracing::info!(user = %name, seconds, "has no access any more; the server goes on for a while");
            now
        });
    }
    without_access
        .iter()
        .filter(|(_, since)| now.duration_since(**since).unsigned_abs() >= live.removed_user_grace)
        .map(|(name, _)| name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use hub_auth::AccessRules;

    use super::*;

    #[tokio::test]
    async fn aut_1_accounts_that_nobody_could_get_any_more_are_found_and_kept() {
        let store = Store::in_memory().await.unwrap();
        for name in ["ada", "Bob", "cyd.99"] {
            store.users().ensure(&name.parse().unwrap(), Timestamp::UNIX_EPOCH).await.unwrap();
        }
        let with = |pattern: Option<&str>| {
            let username_pattern = pattern.map(str::to_owned);
            AccessPolicy::new(AccessRules { username_pattern, ..AccessRules::default() })
        };
        let all = everybody(&store).await.unwrap();
        let names =
            |unfit: Vec<&User>| unfit.iter().map(|one| one.name.to_string()).collect::<Vec<_>>();
        assert_eq!(names(unfit(&with(None), &all)), ["Bob"]);
        let strict = with(Some("[a-z]+"));
        assert_eq!(names(unfit(&strict, &all)), ["Bob", "cyd.99"]);
        warn_of_names(&strict, &all, &store).await.unwrap();
        assert_eq!(store.users().count(None).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn aut_1_the_name_of_an_account_with_the_hub_itself_is_in_order() {
        let store = Store::in_memory().await.unwrap();
        let at = Timestamp::UNIX_EPOCH;
        for name in ["ada.99", "cyd.99"] {
            store.users().ensure(&name.parse().unwrap(), at).await.unwrap();
        }
        let ada = store.users().by_name(&"ada.99".parse().unwrap()).await.unwrap().unwrap();
        store.users().bind_identity(ada.id, accounts::PROVIDER, "l1", at).await.unwrap();
        let username_pattern = Some("[a-z]+".to_owned());
        let policy = AccessPolicy::new(AccessRules { username_pattern, ..AccessRules::default() });
        let all = everybody(&store).await.unwrap();
        let told = without_local(unfit(&policy, &all), &store).await.unwrap();
        assert_eq!(told.iter().map(|user| user.name.as_str()).collect::<Vec<_>>(), ["cyd.99"]);
    }
}
