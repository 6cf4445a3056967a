//! What a request handler can reach; nothing else is global.

use std::sync::Arc;

use hub_names::UserName;
use hub_proxy::{Certificate, TrustForwarded};
use hub_store::Store;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    access::{notes::Notes, recent::Recent},
    accounts::Accounts,
    auth_state::refreshes::Refreshes,
    clock::Clock,
    culling::Notices,
    ending::EndRequest,
    keys::Keys,
    live::{Current, Live},
    metrics::Metrics,
    reload::ReloadHandle,
    routes::Routes,
    servers::Servers,
    services::Services,
    tasks::Tasks,
    web::paths::Paths,
};

/// A running hub, as its handlers see it.
#[derive(Debug)]
pub(crate) struct Hub {
    /// What is remembered.
    pub store: Store,
    /// What a reload may replace.
    pub current: Current,
    /// The single-user servers.
    pub servers: Servers,
    /// The proxy's routes.
    pub routes: Routes,
    /// Where servers reach the API.
    pub api_url: String,
    /// The services.
    pub services: Services,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Keys for signing and sealing.
    pub keys: Keys,
    /// The URL space.
    pub paths: Paths,
    /// How people write the hub's address, if it is configured.
    pub public_url: Option<Url>,
    /// Whether browsers speak https to us.
    pub https: bool,
    /// Whose `X-Forwarded-*` fields are believed.
    pub trusted_proxies: TrustForwarded,
    /// Accounts that people have with the hub itself.
    pub(crate) accounts: Accounts,
    /// Whose sign-in was looked at a moment ago.
    pub(crate) refreshes: Refreshes,
    /// Work that goes on when the request that began it is given up.
    pub(crate) tasks: Tasks,
    /// Whose tokens were used a moment ago.
    pub(crate) recent: Recent,
    /// That people were here.
    pub(crate) notes: Notes,
    /// Which servers are stopped soon.
    pub(crate) notices: Notices,
    /// What is counted and timed.
    pub(crate) metrics: Metrics,
    /// How to have the configuration read again.
    pub(crate) reload: ReloadHandle,
    /// What browsers are shown, if this process speaks https.
    pub(crate) certificate: Option<Certificate>,
    /// How to have the hub end.
    pub(crate) end: EndRequest,
    /// Cancelled when the hub begins to stop: answers that go on end then.
    pub(crate) ending: CancellationToken,
}

impl Hub {
    /// What a reload may replace, as it is now. A request takes it once.
    pub(crate) fn live(&self) -> Arc<Live> {
        self.current.get()
    }

    /// How long an API call waits for a start.
    pub(crate) fn slow_spawn_timeout(&self) -> std::time::Duration {
        self.live().limits.slow_spawn_timeout
    }

    /// How long an API call waits for a stop.
    pub(crate) fn slow_stop_timeout(&self) -> std::time::Duration {
        self.live().limits.slow_stop_timeout
    }

    /// A name from a URL or a request body, as the sign-in would spell it.
    ///
    /// # Errors
    ///
    /// When it is not a name.
    pub(crate) fn normalise(&self, name: &str) -> Result<UserName, hub_auth::InvalidName> {
        self.live().policy.normalise(name)
    }
}
