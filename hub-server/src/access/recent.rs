//! Who has a token, and what people belong to, as it was looked up a moment ago.
//!
//! A single-user server asks who a token is for with nearly every request of its
//! person, and the answer takes half a dozen questions to the database.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use hub_auth::TokenHash;
use hub_store::{StoreError, UserId};
use jiff::{SignedDuration, Timestamp};

use super::Caller;
use crate::{hub::Hub, live::Live, services::Service};

/// For how long an answer is taken again, even if nothing is known to have changed.
const MAX_AGE: SignedDuration = SignedDuration::from_secs(5);
/// How many of each are kept at most.
const CAPACITY: usize = 4096;

/// All that the rights of callers follow from, as it is at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    changes: u64,
    live: Arc<Live>,
    services: Arc<BTreeMap<String, Arc<Service>>>,
    at: Timestamp,
}

/// What was looked up, all on the same ground.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Option<Found>>);

#[derive(Debug)]
struct Found {
    ground: Ground,
    callers: HashMap<TokenHash, Caller>,
    memberships: HashMap<UserId, Membership>,
    users: Option<u64>,
}

/// What a user belongs to by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Membership {
    /// The groups, sorted.
    pub(crate) groups: Vec<String>,
    /// The roles that were given to the user, not to a group, sorted.
    pub(crate) roles: Vec<String>,
}

impl Ground {
    /// The ground now. To be taken before anything is looked up.
    pub(crate) fn now(hub: &Hub) -> Self {
        Self {
            changes: hub.store.changes(),
            live: hub.live(),
            services: hub.services.snapshot(),
            at: hub.clock.now(),
        }
    }

    /// Whether what was found on `self` is what would be found on `now`.
    fn holds(&self, now: &Self) -> bool {
        let age = now.at.duration_since(self.at);
        self.changes == now.changes
            && Arc::ptr_eq(&self.live, &now.live)
            && Arc::ptr_eq(&self.services, &now.services)
            && !age.is_negative()
            && age <= MAX_AGE
    }
}

impl Recent {
    /// Whose token it is, if that was found out and still holds.
    pub(super) fn caller(&self, now: &Ground, token: &TokenHash) -> Option<Caller> {
        self.found(now, |found| found.callers.get(token).cloned())?
    }

    /// Keeps what was found out since `ground`.
    pub(super) fn keep_caller(&self, ground: Ground, token: TokenHash, caller: Caller) {
        self.keep(ground, |found| {
            if found.callers.len() >= CAPACITY {
                found.callers.clear();
            }
            found.callers.insert(token, caller);
        });
    }

    /// Does `look` with what was found out, if it still holds.
    fn found<T>(&self, now: &Ground, look: impl FnOnce(&Found) -> T) -> Option<T> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        found.as_ref().filter(|found| found.ground.holds(now)).map(look)
    }

    /// Lets `add` add to what was found out since `ground`; what no longer holds goes.
    fn keep(&self, ground: Ground, add: impl FnOnce(&mut Found)) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *found {
            Some(found) if found.ground.holds(&ground) => add(found),
            other => add(other.insert(Found {
                ground,
                callers: HashMap::new(),
                memberships: HashMap::new(),
                users: None,
            })),
        }
    }
}

impl Hub {
    /// How many users there are.
    pub(crate) async fn count_users(&self) -> Result<u64, StoreError> {
        let ground = Ground::now(self);
        if let Some(users) = self.recent.found(&ground, |found| found.users).flatten() {
            return Ok(users);
        }
        let users = self.store.users().count(None).await?;
        self.recent.keep(ground, |found| found.users = Some(users));
        Ok(users)
    }

    /// What each of `users` belongs to.
    pub(crate) async fn memberships(
        &self,
        users: &[UserId],
    ) -> Result<HashMap<UserId, Membership>, StoreError> {
        let ground = Ground::now(self);
        let mut known: HashMap<UserId, Membership> = self
            .recent
            .found(&ground, |found| {
                let known = |id: &UserId| Some((*id, found.memberships.get(id)?.clone()));
                users.iter().filter_map(known).collect()
            })
            .unwrap_or_default();
        let others: Vec<UserId> =
            users.iter().filter(|id| !known.contains_key(id)).copied().collect();
        if others.is_empty() {
            return Ok(known);
        }
        let mut groups = self.store.groups().of_users(&others).await?;
        let mut roles = self.store.roles().of_users(&others).await?;
        let looked_up: Vec<(UserId, Membership)> = others
            .into_iter()
            .map(|id| {
                let groups = groups.remove(&id).unwrap_or_default();
                (id, Membership { groups, roles: roles.remove(&id).unwrap_or_default() })
            })
            .collect();
        self.recent.keep(ground, |found| {
            if found.memberships.len() + looked_up.len() > CAPACITY {
                found.memberships.clear();
            }
            found.memberships.extend(looked_up.iter().cloned());
        });
        known.extend(looked_up);
        Ok(known)
    }
}
