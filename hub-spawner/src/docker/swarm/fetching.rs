//! The starts that wait for a machine to fetch an image.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use hub_names::ServerKey;
use tokio::time::Instant;

use crate::{SpawnError, docker::blueprint::Blueprint};

/// The servers whose images are fetched now.
#[derive(Debug, Default)]
pub(super) struct Fetches(Mutex<BTreeSet<ServerKey>>);

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Fetch<'a> {
    all: &'a Fetches,
    key: &'a ServerKey,
    since: Instant,
}

impl Fetches {
    pub(super) fn begin<'a>(&'a self, key: &'a ServerKey) -> Fetch<'a> {
        self.keys().insert(key.clone());
        Fetch { all: self, key, since: Instant::now() }
    }

    pub(super) fn contains(&self, key: &ServerKey) -> bool {
        self.keys().contains(key)
    }

    fn keys(&self) -> MutexGuard<'_, BTreeSet<ServerKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetch<'_> {
    /// Whether it takes longer than it may.
    pub(super) fn is_late(&self, blueprint: &Blueprint) -> bool {
        self.since.elapsed() >= blueprint.pull_timeout
    }
}

/// Why a start ends whose image is late; `why` are the swarm's words.
pub(super) fn failure(blueprint: &Blueprint, why: &str) -> SpawnError {
    let seconds = blueprint.pull_timeout.as_secs();
    SpawnError::ImageUnavailable {
        image: blueprint.image.to_string(),
        reason: format!("a machine of the swarm did not have it after {seconds} s"),
        source: why.into(),
    }
}

impl Drop for Fetch<'_> {
    fn drop(&mut self) {
        self.all.keys().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetch_is_over_when_its_start_is() {
        let (all, key) = (Fetches::default(), ServerKey::default_of("ada".parse().unwrap()));
        let fetch = all.begin(&key);
        assert!(all.contains(&key));
        assert!(!all.contains(&ServerKey::default_of("bob".parse().unwrap())));
        drop(fetch);
        assert!(!all.contains(&key));
    }
}
