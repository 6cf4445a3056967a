//! Which server or service a path leads to, as the hub wants it, in one of two proxies.
//!
//! The proxy is either in this process, and then a route is there as soon as it
//! is written, or a program of its own that is driven over its REST API. What is
//! above this file does not see the difference: it says what it wants, waits
//! where that matters, and reads times of last use.

mod client;
mod keeper;
mod listing;
mod path;
mod tether;
mod wishes;

use std::{collections::HashMap, sync::Arc, time::Duration};

use hub_names::ServerKey;
use hub_proxy::{RoutePrefix, RouteTable, Target};
use jiff::Timestamp;
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use url::Url;

pub(crate) use self::{client::Place, listing::RouteShown};
use self::{
    client::{ApiError, Client},
    path::RoutePath,
    wishes::{Owner, Route, Wishes},
};
use crate::{
    config::ProxyApiConfig,
    metrics::{Metrics, Work},
    tasks::Tasks,
    web::paths::Paths,
};

/// How long somebody who asks for a check waits for it.
const CHECK_LIMIT: Duration = Duration::from_secs(15);

/// Why the proxy elsewhere does not do what somebody asks for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    /// There is none.
    #[error("the hub is its own proxy")]
    Embedded,
    /// It does not answer as it should.
    #[error("the proxy's API at {api} does not answer")]
    Api {
        /// Where it is looked for.
        api: Url,
        /// What happened.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Its table could not be mended in time.
    #[error("the proxy's routes could not be checked in {} seconds", CHECK_LIMIT.as_secs())]
    TooSlow,
}

/// The routes of all servers and services. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    paths: Paths,
    proxy: Side,
    metrics: Metrics,
}

/// Where the proxy is.
#[derive(Clone, Debug)]
enum Side {
    /// In this process.
    Embedded(RouteTable),
    /// Elsewhere; a task of ours makes its table what we wish.
    External { client: Arc<Client>, wishes: watch::Sender<Wishes> },
}

impl Routes {
    /// Routes in the table of a proxy in this process.
    pub(crate) fn embedded(paths: Paths, table: RouteTable, metrics: Metrics) -> Self {
        Self { paths, proxy: Side::Embedded(table), metrics }
    }

    /// Routes in a proxy elsewhere, whose default route leads to us.
    pub(crate) fn external(paths: Paths, config: &ProxyApiConfig, metrics: Metrics) -> Self {
        let hub = Route { target: config.hub_url.clone(), owner: Owner::Hub };
        let mut wishes = Wishes::default();
        wishes.want(RoutePath::of_escaped(paths.hub_route()), hub);
        let proxy = Side::External {
            client: Arc::new(Client::new(Place {
                api: config.api_url.clone(),
                token: config.auth_token.clone(),
            })),
            wishes: watch::Sender::new(wishes),
        };
        Self { paths, proxy, metrics }
    }

    /// Leaves the server's route as the proxy has it, if it has one, until
    /// [`add`](Self::add) or [`remove`](Self::remove) says more: it may be in use
    /// while we find out about the server.
    pub(crate) fn keep(&self, key: &ServerKey) {
        if let Side::External { wishes, .. } = &self.proxy {
            wishes.send_modify(|wishes| wishes.keep(self.path(key)));
        }
    }

    /// Makes the server's route lead to `target`, and returns when the proxy has
    /// it. Does not return while the proxy cannot be reached.
    ///
    /// # Cancellation
    ///
    /// The route stays wanted.
    pub(crate) async fn add(&self, key: &ServerKey, target: &Url) {
        let began = Instant::now();
        self.change(key, target);
        if let Side::External { wishes, .. } = &self.proxy {
            let path = self.path(key);
            let settled = |wishes: &Wishes| wishes.is_settled(&path);
            // The sender is in our hands, so this cannot fail.
            let _ = wishes.subscribe().wait_for(settled).await;
        }
        self.metrics.proxy_add(true, began.elapsed());
    }

    /// Makes the server's route lead to `target`, soon.
    pub(crate) fn change(&self, key: &ServerKey, target: &Url) {
        self.want(&self.paths.server_route(key), target, Owner::Server(key.clone()));
    }

    /// Takes the server's route away, soon.
    pub(crate) fn remove(&self, key: &ServerKey) {
        self.forget(&self.paths.server_route(key));
    }

    /// Makes the service's route lead to `target`, soon.
    pub(crate) fn change_service(&self, name: &str, target: &Url) {
        self.want(&self.paths.service_route(name), target, Owner::Service(name.to_owned()));
    }

    /// Takes the service's route away, soon.
    pub(crate) fn remove_service(&self, name: &str) {
        self.forget(&self.paths.service_route(name));
    }

    fn want(&self, path: &str, target: &Url, owner: Owner) {
        match &self.proxy {
            Side::Embedded(table) => match (path.parse(), Target::try_from(target.clone())) {
                (Ok(prefix), Ok(target)) => {
                    table.insert(prefix, target);
                }
                // Both are made by us from checked names and addresses.
                (_, _) => tracing::error!(path, upstream = %target, "no route can be made"),
            },
            Side::External { wishes, .. } => {
                let route = Route { target: target.clone(), owner };
                wishes.send_modify(|wishes| wishes.want(RoutePath::of_escaped(path), route));
            }
        }
    }

    fn forget(&self, path: &str) {
        match &self.proxy {
            Side::Embedded(table) => {
                if let Ok(prefix) = path.parse() {
                    let began = Instant::now();
                    table.remove(&prefix);
                    self.metrics.proxy_delete(true, began.elapsed());
                }
            }
            Side::External { wishes, .. } => {
                wishes.send_modify(|wishes| wishes.forget(RoutePath::of_escaped(path)));
            }
        }
    }

    /// When the routes of these servers were last used, for those that were.
    pub(crate) async fn last_used(&self, keys: &[ServerKey]) -> HashMap<ServerKey, Timestamp> {
        let began = Instant::now();
        let used = self.read_last_used(keys).await;
        self.metrics.took(Work::ProxyPoll, began.elapsed());
        used
    }

    async fn read_last_used(&self, keys: &[ServerKey]) -> HashMap<ServerKey, Timestamp> {
        match &self.proxy {
            Side::Embedded(table) => keys
                .iter()
                .filter_map(|key| Some((key.clone(), table.last_used(&self.prefix(key)?)?)))
                .collect(),
            Side::External { client, wishes } => match client.list().await {
                Ok(listed) => {
                    let wishes = wishes.borrow();
                    let used = |key: &ServerKey| {
                        let path = self.path(key);
                        let at = listed.get(&path)?.last_activity?;
                        wishes.is_use(&path, at).then(|| (key.clone(), at))
                    };
                    keys.iter().filter_map(used).collect()
                }
                // The task that keeps the table says so, and how to mend it.
                Err(error) => {
                    tracing::debug!(
                        error = &error as &(dyn std::error::Error + 'static),
                        "the proxy could not be asked for activity"
                    );
                    HashMap::new()
                }
            },
        }
    }

    /// Keeps a proxy elsewhere in step with what is wanted, until the hub stops.
    pub(crate) fn keep_in_step(&self, tasks: &Tasks) {
        if let Side::External { client, wishes } = &self.proxy {
            let keeping = keeper::keep(Arc::clone(client), wishes.clone(), self.metrics.clone());
            tasks.spawn(|stop| async move {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = keeping => {}
                }
            });
        }
    }

    /// Compares the proxy's table with what is wanted and mends it; returns when that
    /// is done. There is nothing to mend in a table that is in this process.
    pub(crate) async fn check(&self) -> Result<(), ProxyError> {
        let Side::External { wishes, .. } = &self.proxy else { return Ok(()) };
        let mut request = 0;
        wishes.send_modify(|wishes| request = wishes.ask_for_check());
        let mut changes = wishes.subscribe();
        let checked = changes.wait_for(|wishes| wishes.is_checked(request));
        match timeout(CHECK_LIMIT, checked).await {
            Ok(_) => Ok(()),
            Err(_) => Err(ProxyError::TooSlow),
        }
    }

    /// Where the proxy elsewhere is.
    pub(crate) fn place(&self) -> Result<Arc<Place>, ProxyError> {
        match &self.proxy {
            Side::Embedded(_) => Err(ProxyError::Embedded),
            Side::External { client, .. } => Ok(client.place()),
        }
    }

    /// Goes on with a proxy at another place, if one answers there, and gives it all
    /// routes.
    pub(crate) async fn move_to(&self, place: Place) -> Result<(), ProxyError> {
        let Side::External { client, .. } = &self.proxy else { return Err(ProxyError::Embedded) };
        let tried = Client::new(place.clone()).list().await;
        tried.map_err(|error| unanswered(&place, error))?;
        tracing::info!(api = %place.api, "the proxy is elsewhere from now on");
        client.move_to(place);
        self.check().await
    }

    /// All routes of this hub that the proxy has, by where they begin. `api_url` is the
    /// hub's own address, `servers` are those whose routes there may be.
    pub(crate) async fn all(
        &self,
        api_url: &str,
        servers: &[ServerKey],
        now: Timestamp,
    ) -> Result<Vec<RouteShown>, ProxyError> {
        match &self.proxy {
            Side::Embedded(table) => {
                Ok(listing::of_table(&self.paths, api_url, table, servers, now))
            }
            Side::External { client, .. } => {
                let place = client.place();
                let table = client.table().await.map_err(|error| unanswered(&place, error))?;
                Ok(listing::of_proxy(&self.paths, table))
            }
        }
    }

    fn prefix(&self, key: &ServerKey) -> Option<RoutePrefix> {
        self.paths.server_route(key).parse().ok()
    }

    fn path(&self, key: &ServerKey) -> RoutePath {
        RoutePath::of_escaped(&self.paths.server_route(key))
    }
}

fn unanswered(place: &Place, error: ApiError) -> ProxyError {
    ProxyError::Api { api: place.api.clone(), source: error.into() }
}
