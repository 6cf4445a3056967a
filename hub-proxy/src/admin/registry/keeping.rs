//! Routes that a store of the library's user keeps as well (P-042).

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::OwnedMutexGuard,
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::task::TaskTracker;

use super::{ChangeError, Registry, State};
use crate::{
    OpenTunnels, RoutePrefix, RouteStatus, RouteTable,
    admin::{
        RouteChange, RouteStore, StoreError,
        store::{Agreement, Kept, StoredRoute},
    },
    error::chain,
};

/// How often a store is told of uses (proxy contract, section 8).
const USES_EVERY: Duration = Duration::from_secs(5);

/// How long a call of a store may take, and how long a change waits for its turn. Both
/// together are less than the 20 seconds after which JupyterHub gives up a request.
const LIMIT: Duration = Duration::from_secs(10);

/// The turn of a change. Dropped before its [end](Self::end), the store may have a change
/// that the table has not, or be about to.
#[must_use = "a change that is made ends its turn"]
pub(super) struct Turn(Option<OwnedMutexGuard<Agreement>>);

impl Turn {
    /// Store and table both have the change.
    pub(super) fn end(self) {
        if let Some(mut agreement) = self.0 {
            *agreement = Agreement::Certain;
        }
    }
}

impl Registry {
    /// As [`new`](Self::new), with a store that keeps the routes, too: the table has those
    /// of the store when this returns. Routes that are [preset](Self::preset) are not kept.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot be read.
    pub async fn open(
        table: RouteTable,
        host_routing: bool,
        store: impl RouteStore,
    ) -> Result<Self, StoreError> {
        let registry = Self::over(table, host_routing, Some(Kept::new(store)));
        registry.refresh().await?;
        Ok(registry)
    }

    /// Takes the routes from the store anew, where others have changed them: all at once
    /// and in turn with the changes of the API. Routes that stay with their target keep
    /// their connections, and the later of both times of use. Without a store nothing
    /// happens.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the store cannot be read; the table stays as it is then.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let Some(kept) = &self.0.store else { return Ok(()) };
        let mut agreement = kept.turn.lock().await;
        self.read_anew(kept, &mut agreement).await
    }

    /// Takes the routes from the store, whose turn the caller has.
    async fn read_anew(&self, kept: &Kept, agreement: &mut Agreement) -> Result<(), StoreError> {
        let loaded = timeout(LIMIT, kept.store.load_any()).await;
        let loaded = loaded.unwrap_or_else(|late| Err(late.into()));
        let mut fresh = BTreeMap::new();
        for stored in loaded.map_err(StoreError::Unreadable)? {
            let (mut status, members) = stored.taken_apart()?;
            status.prefix = self.own(status.prefix);
            fresh.insert(status.prefix.clone(), (status, members));
        }
        let mut state = self.lock();
        let present = self.0.table.snapshot();
        let is_preset = |status: &RouteStatus| {
            !state.members.contains_key(&status.prefix) && !fresh.contains_key(&status.prefix)
        };
        let mut routes: Vec<_> = present.iter().filter(|one| is_preset(one)).cloned().collect();
        let targets: BTreeMap<_, _> =
            present.iter().map(|one| (&one.prefix, &one.target)).collect();
        let mut members = BTreeMap::new();
        let mut is_same = true;
        for (prefix, (status, told)) in fresh {
            is_same &= targets.get(&prefix) == Some(&&status.target);
            routes.push(status);
            members.insert(prefix, told);
        }
        if !is_same || members != state.members {
            state.version += 1;
        }
        state.members = members;
        self.0.table.settle(routes, OpenTunnels::Stay);
        *agreement = Agreement::Certain;
        Ok(())
    }

    /// Tells the store when routes were used, at most every 5 seconds and where that is
    /// new. Never ends; without a store there is nothing to do.
    ///
    /// # Cancellation
    ///
    /// Safe at any time; the uses of the last seconds may be lost then.
    pub async fn keep_uses(&self) {
        let Some(kept) = &self.0.store else { return std::future::pending().await };
        let mut known: BTreeMap<RoutePrefix, Timestamp> = self.uses().into_iter().collect();
        let mut ticks = interval(USES_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let _turn = kept.turn.lock().await;
            let uses = self.uses();
            let is_new = |(prefix, at): &&(RoutePrefix, Timestamp)| known.get(prefix) != Some(at);
            let new: Vec<_> = uses.iter().filter(is_new).cloned().collect();
            if new.is_empty() {
                continue;
            }
            let told = timeout(LIMIT, kept.store.keep_any_uses(&new)).await;
            match told.unwrap_or_else(|late| Err(late.into())) {
                Ok(()) => known = uses.into_iter().collect(),
                // Told again at the next moment.
                Err(error) => {
                    tracing::error!(error = %chain(&*error), "the store of routes did not take when they were used");
                }
            }
        }
    }

    /// Makes a change to its end, whoever still waits for that. Without a store it is made in
    /// one step anyway.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, ChangeError>> + Send + 'static,
    ) -> Result<T, ChangeError> {
        if self.0.store.is_none() {
            return change.await;
        }
        // A store that panics has said nothing about what it did.
        TaskTracker::new().spawn(change).await.unwrap_or(Err(ChangeError::Unknown))
    }

    /// Lets the store keep what is about to change, if there is one; `plan` may refuse.
    /// The turn is to be held until the change is made.
    pub(super) async fn keep(
        &self,
        plan: impl FnOnce(&State) -> Result<Option<RouteChange>, ChangeError>,
    ) -> Result<Turn, ChangeError> {
        let Some(kept) = &self.0.store else { return Ok(Turn(None)) };
        let mut agreement =
            timeout(LIMIT, kept.turn.clone().lock_owned()).await.map_err(|_late| {
                tracing::error!("a change of routes waited too long for the store of routes");
                ChangeError::StoreBusy
            })?;
        if *agreement == Agreement::InDoubt {
            self.read_anew(kept, &mut agreement).await.map_err(|error| {
                // Handled here: the client is told no more than that it failed.
                tracing::error!(error = %chain(&error), "no route is changed until the store of routes is read");
                ChangeError::StoreBusy
            })?;
        }
        let Some(change) = self.change(|state| plan(state)).await?? else {
            return Ok(Turn(Some(agreement)));
        };
        *agreement = Agreement::InDoubt;
        match timeout(LIMIT, kept.store.keep_any(&change)).await {
            Ok(Ok(())) => Ok(Turn(Some(agreement))),
            Ok(Err(error)) => {
                *agreement = Agreement::Certain;
                tracing::error!(error = %chain(&*error), "the store of routes did not take a change");
                Err(ChangeError::NotKept)
            }
            Err(_late) => {
                tracing::error!("the store of routes did not answer a change; it is read again");
                TaskTracker::new().spawn(self.clone().agree(agreement));
                Err(ChangeError::Unknown)
            }
        }
    }

    /// Reads the store at once, so that its doubt ends before anybody comes with a change.
    async fn agree(self, mut agreement: OwnedMutexGuard<Agreement>) {
        let Some(kept) = &self.0.store else { return };
        if let Err(error) = self.read_anew(kept, &mut agreement).await {
            tracing::error!(error = %chain(&error), "the store of routes is read before the next change");
        }
    }

    /// A route as the store gets it.
    pub(super) fn stored(
        &self,
        prefix: RoutePrefix,
        record: &super::RouteRecord,
        added: Timestamp,
    ) -> StoredRoute {
        StoredRoute::wanted(prefix, record, added, &self.0.table)
    }
}
