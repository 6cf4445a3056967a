//! Which servers ran when they were last looked at: for backends that tell of no ends.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hub_names::ServerKey;

/// The servers that ran when they were last looked at.
#[derive(Debug, Default)]
pub(crate) struct Alive(Mutex<BTreeSet<ServerKey>>);

impl Alive {
    /// A server that was just started.
    pub(crate) fn insert(&self, key: &ServerKey) {
        self.all().insert(key.clone());
    }

    /// Takes over which servers run now, and returns those that ended since.
    pub(crate) fn renew(&self, running: BTreeSet<ServerKey>) -> Vec<ServerKey> {
        let mut all = self.all();
        let ended = all.difference(&running).cloned().collect();
        *all = running;
        ended
    }

    fn all(&self) -> MutexGuard<'_, BTreeSet<ServerKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
