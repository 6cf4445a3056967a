//! The kept connections of one route, and how many it may have at once.
//!
//! They belong to the route, so they are closed when nobody uses it any more: after it
//! was removed or leads elsewhere (K-09), once its last exchange has ended.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http_body::Body;
use hyper_util::{client::legacy::Client, rt::TokioTimer};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::task::TaskTracker;

use crate::{BoxError, ProxyConfig, ProxyError, body::ClientBody, upstream::Connector};

/// Most a target's answer may have as a head.
const MAX_ANSWER_HEAD: usize = 256 * 1024;

pub(crate) type HttpClient = Client<Connector, ClientBody>;

/// What a route keeps for the proxy that used it first.
#[derive(Debug)]
pub(crate) struct Pool {
    /// Which proxy's they are.
    pub(super) owner: Arc<()>,
    pub(super) client: HttpClient,
    pub(super) places: Places,
}

/// The exchanges and WebSocket handshakes of one route (L-06).
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
    pub(super) fn new(config: &ProxyConfig) -> Self {
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
