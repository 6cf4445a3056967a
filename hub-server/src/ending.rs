//! The end of the hub, when somebody asks for it over the REST API.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::{sync::watch, time::timeout};

use crate::{hub::Hub, servers::Servers};

/// How long the servers may take to stop before the hub ends all the same. The next hub goes
/// on with those that are left.
const SERVERS_GRACE: Duration = Duration::from_secs(60);

/// What is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// The single-user servers, too.
    pub(crate) servers: bool,
}

/// A request for the end. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct EndRequest(watch::Sender<Option<End>>);

impl Default for EndRequest {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl EndRequest {
    /// Asks the hub to end.
    pub(crate) fn ask(&self, end: End) {
        self.0.send_replace(Some(end));
    }

    /// Waits until somebody asks.
    async fn asked(&self) -> End {
        let mut changes = self.0.subscribe();
        let found = changes.wait_for(Option::is_some).await;
        // The sender is in our hands, so there is always something found.
        found.ok().and_then(|end| *end).unwrap_or(End { servers: false })
    }
}

/// Waits until somebody asks the hub to end, and has stopped what is to end before it.
pub(crate) async fn asked(hub: &Hub) {
    let End { servers } = hub.end.asked().await;
    if servers && timeout(SERVERS_GRACE, stop_all(&hub.servers)).await.is_err() {
        tracing::warn!(left = hub.servers.active().len(), "not all servers stopped in time");
    }
}

async fn stop_all(servers: &Servers) {
    let all = servers.close();
    tracing::info!(servers = all.len(), "stopping all servers");
    join_all(all.iter().map(|key| async move {
        servers.stop(key).await;
        servers.settled(key).await;
    }))
    .await;
}
