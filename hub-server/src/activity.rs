//! Carries times of last use from the routes to the store.

use std::{collections::HashMap, sync::Arc, time::Duration};

use hub_names::ServerKey;
use jiff::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use crate::{hub::Hub, routes::Routes, tasks::Tasks};

/// How often; an idle culler counts in minutes.
const EVERY: Duration = Duration::from_secs(60);

/// Records the activity of proxied requests until the hub stops. What the proxy
/// stamped is read here on our own schedule: the proxy knows no users.
pub(crate) fn keep_recording(tasks: &Tasks, hub: &Arc<Hub>, routes: Routes) {
    let hub = Arc::clone(hub);
    tasks.spawn(|stop| async move {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut written = HashMap::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    record(&hub, &routes, &mut written).await;
                    return;
                }
                _ = ticks.tick() => record(&hub, &routes, &mut written).await,
            }
        }
    });
}

/// Writes what is new since the last time.
async fn record(hub: &Hub, routes: &Routes, written: &mut HashMap<ServerKey, Timestamp>) {
    let mut seen = HashMap::new();
    for (key, at) in routes.last_used(&hub.servers.active()).await {
        if written.get(&key) != Some(&at) {
            let result = async {
                hub.store.servers().touch(&key, at).await?;
                match hub.store.users().by_name(key.user()).await? {
                    Some(user) => hub.store.users().touch(user.id, at).await,
                    None => Ok(()),
                }
            };
            if let Err(error) = result.await {
                tracing::warn!(
                    error = &error as &(dyn std::error::Error + 'static),
                    "activity could not be written down; it will be next time"
                );
                continue;
            }
        }
        seen.insert(key, at);
    }
    *written = seen;
}
