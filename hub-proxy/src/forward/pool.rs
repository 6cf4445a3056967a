//! The kept connections of one target, and how many it may have at once.
//!
//! They belong to the routes that have used it, so they are closed when no route leads
//! there any more (K-09), once the last exchange has ended.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use bytes::Bytes;
use http_body::Body;
use hyper_util::{client::legacy::Client, rt::TokioTimer};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use crate::{BoxError, ProxyConfig, ProxyError, Target, body::ClientBody, upstream::Connector};

/// Most a target's answer may have as a head.
const MAX_ANSWER_HEAD: usize = 256 * 1024;

pub(crate) type HttpClient = Client<Connector, ClientBody>;

/// The pools of one proxy, for as long as somebody else holds them.
#[derive(Debug, Default)]
pub(super) struct Pools(Mutex<HashMap<Origin, Weak<Pool>>>);

/// What connections are kept under: scheme and authority, as an URI without a path.
type Origin = http::Uri;

/// What the routes to one target keep for the proxy that used them first.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Among which it is.
    pub(super) owner: Arc<Pools>,
    origin: Origin,
    pub(super) client: HttpClient,
    pub(super) places: Places,
}

impl Pools {
    /// The pool of `target`, made by `client` if there is none.
    pub(super) fn of(
        self: &Arc<Self>,
        target: &Target,
        config: &ProxyConfig,
        client: impl FnOnce() -> HttpClient,
    ) -> Arc<Pool> {
        let origin = target.uri_for(None, false);
        let mut pools = self.lock();
        if let Some(pool) = pools.get(&origin).and_then(Weak::upgrade) {
            return pool;
        }
        let (owner, places) = (Arc::clone(self), Places::new(config));
        let pool = Arc::new(Pool { owner, origin: origin.clone(), client: client(), places });
        pools.insert(origin, Arc::downgrade(&pool));
        pool
    }

    /// Nothing in here can be half done.
    fn lock(&self) -> MutexGuard<'_, HashMap<Origin, Weak<Pool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut pools = self.owner.lock();
        // Another may have taken its place.
        if pools.get(&self.origin).is_some_and(|pool| pool.strong_count() == 0) {
            pools.remove(&self.origin);
        }
    }
}

/// The exchanges and WebSocket handshakes at one target (L-06).
#[derive(Clone, Debug)]
pub(super) struct Places(Arc<Semaphore>);

/// Counts as one of them until it is dropped.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

/// Runs the tasks of pooled connections. They end when the pool drops their
/// connections, at the latest together with the proxy.
#[derive(Clone, Default)]
struct PoolTasks(TaskTracker);

impl<F> hyper::rt::Executor<F> for PoolTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// A client that keeps so many unused connections.
pub(crate) fn client<B>(
    connector: Connector,
    config: &ProxyConfig,
    kept: usize,
) -> Client<Connector, B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    // A request that never left because its pooled connection had just been closed is
    // sent again on a fresh one (K-01): the default of `retry_canceled_requests`.
    Client::builder(PoolTasks::default())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(config.pool_idle_timeout)
        .pool_max_idle_per_host(kept)
        .http1_max_buf_size(MAX_ANSWER_HEAD)
        .build(connector)
}

impl Places {
    fn new(config: &ProxyConfig) -> Self {
        Self(Arc::new(Semaphore::new(config.max_per_target)))
    }

    /// One of them, waited for no longer than a connection.
    pub(super) async fn take(&self, patience: Duration) -> Result<Place, ProxyError> {
        if let Ok(free) = Arc::clone(&self.0).try_acquire_owned() {
            return Ok(Place(free));
        }
        match timeout(patience, Arc::clone(&self.0).acquire_owned()).await {
            Ok(Ok(free)) => Ok(Place(free)),
            // It is never closed.
            Ok(Err(_)) | Err(_) => Err(ProxyError::Busy),
        }
    }
}
