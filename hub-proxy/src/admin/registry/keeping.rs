//! Routes that a store of the library's user keeps as well (P-042).

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use tokio::{
    sync::MutexGuard,
    time::{MissedTickBehavior, interval},
};

use super::{ChangeError, Registry, State};
use crate::{
    OpenTunnels, RoutePrefix, RouteStatus, RouteTable,
    admin::{
        RouteChange, RouteStore, StoreError,
        store::{Kept, StoredRoute},
    },
    error::chain,
};

/// How often a store is told of uses (proxy contract, section 8).
const USES_EVERY: Duration = Duration::from_secs(5);

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
        let _turn = kept.turn.lock().await;
        let mut fresh = BTreeMap::new();
        for stored in kept.store.load_any().await.map_err(StoreError::Unreadable)? {
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
            match kept.store.keep_any_uses(&new).await {
                Ok(()) => known = uses.into_iter().collect(),
                // Told again at the next moment.
                Err(error) => {
                    tracing::error!(error = %chain(&*error), "the store of routes did not take when they were used");
                }
            }
        }
    }

    /// Lets the store keep what is about to change, if there is one; `plan` may refuse.
    /// The turn is to be held until the change is made.
    pub(super) async fn keep(
        &self,
        plan: impl FnOnce(&State) -> Result<Option<RouteChange>, ChangeError>,
    ) -> Result<Option<MutexGuard<'_, ()>>, ChangeError> {
        let Some(kept) = &self.0.store else { return Ok(None) };
        let turn = kept.turn.lock().await;
        if let Some(change) = self.change(|state| plan(state)).await?? {
            kept.store.keep_any(&change).await.map_err(|error| {
                // Handled here: the client is told no more than that it failed.
                tracing::error!(error = %chain(&*error), "the store of routes did not take a change");
                ChangeError::NotKept
            })?;
        }
        Ok(Some(turn))
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
