//! Numbers that are counted now and then, because counting them costs the database
//! something.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{hub::Hub, tasks::Tasks};

/// How often what was observed is sorted into buckets.
const SETTLE_EVERY: Duration = Duration::from_secs(60);
/// How often active users are counted, as in JupyterHub.
const COUNT_EVERY: Duration = Duration::from_secs(3600);

const PERIODS: [(&str, i64); 3] = [("24h", 24), ("7d", 7 * 24), ("30d", 30 * 24)];

/// Counts until the hub stops.
pub(crate) fn keep_counting(tasks: &Tasks, hub: &Arc<Hub>) {
    let hub = Arc::clone(hub);
    tasks.spawn(|stop| async move {
        let mut ticks = interval(SETTLE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut counted: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = ticks.tick() => {}
            }
            hub.metrics.settle();
            if counted.is_none_or(|at| at.elapsed() >= COUNT_EVERY) {
                count_active(&hub).await;
                counted = Some(Instant::now());
            }
        }
    });
}

async fn count_active(hub: &Hub) {
    let now = hub.clock.now();
    for (period, hours) in PERIODS {
        match hub.store.users().count_seen(now - SignedDuration::from_hours(hours)).await {
            Ok(users) => hub.metrics.active_users(period, users),
            Err(error) => {
                tracing::warn!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "active users could not be counted; trying again in an hour"
                );
                return;
            }
        }
    }
}
