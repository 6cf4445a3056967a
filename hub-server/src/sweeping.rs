//! Removes what has expired from the store, so that it does not grow for ever.

use std::{sync::Arc, time::Duration};

use hub_store::StoreError;
use tokio::time::{MissedTickBehavior, interval};

use crate::{hub::Hub, tasks::Tasks};

/// How often. Expired rows are refused anyway; this is about their number.
const EVERY: Duration = Duration::from_secs(3600);

/// Sweeps now and from time to time, until the hub stops.
pub(crate) fn keep_sweeping(tasks: &Tasks, hub: &Arc<Hub>) {
    let hub = Arc::clone(hub);
    tasks.spawn(|stop| async move {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            match sweep(&hub).await {
                Ok(0) => {}
                Ok(rows) => {
                    tracing::debug!(rows, "expired sessions, tokens, codes and links removed")
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &(dyn std::error::Error + 'static),
                        "expired rows could not be removed; trying again in an hour"
                    );
                }
            }
        }
    });
}

async fn sweep(hub: &Hub) -> Result<u64, StoreError> {
    let now = hub.clock.now();
    let sessions = hub.store.sessions().sweep(now).await?;
    let tokens = hub.store.tokens().sweep(now).await?;
    let codes = hub.store.oauth().sweep_codes(now).await?;
    let share_codes = hub.store.share_codes().sweep(now).await?;
    let tickets = hub.store.tickets().sweep(now).await?;
    let tries = hub.store.login_tries().sweep(now).await?;
    Ok(sessions + tokens + codes + share_codes + tickets + tries)
}
