//! Callers whose token was looked up a moment ago.
//!
//! A single-user server asks who a token is for with nearly every request of its
//! person, and the answer takes half a dozen questions to the database.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use hub_auth::TokenHash;
use jiff::{SignedDuration, Timestamp};

use super::Caller;
use crate::{hub::Hub, live::Live, services::Service};

/// For how long an answer is taken again, even if nothing is known to have changed.
const MAX_AGE: SignedDuration = SignedDuration::from_secs(5);
/// How many are kept at most.
const CAPACITY: usize = 4096;

/// All that the rights of callers follow from, as it is at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Ground {
    changes: u64,
    live: Arc<Live>,
    services: Arc<BTreeMap<String, Arc<Service>>>,
    at: Timestamp,
}

/// Callers by their token, all found on the same ground.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<Option<Found>>);

#[derive(Debug)]
struct Found {
    ground: Ground,
    callers: HashMap<TokenHash, Caller>,
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
    pub(super) fn get(&self, now: &Ground, token: &TokenHash) -> Option<Caller> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = found.as_ref().filter(|found| found.ground.holds(now))?;
        found.callers.get(token).cloned()
    }

    /// Keeps what was found out since `ground`.
    pub(super) fn keep(&self, ground: Ground, token: TokenHash, caller: Caller) {
        let mut found = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *found {
            Some(found) if found.ground.holds(&ground) && found.callers.len() < CAPACITY => {
                found.callers.insert(token, caller);
            }
            other => *other = Some(Found { ground, callers: HashMap::from([(token, caller)]) }),
        }
    }
}
