//! One ordinary HTTP exchange with a target.

use std::{pin::pin, sync::Arc, time::Duration};

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{CaptureConnection, capture_connection},
    },
    rt::TokioTimer,
};
use tokio_util::task::TaskTracker;

use crate::{
    ProxyConfig, ProxyError,
    body::{ClientBody, Taken, UpstreamBody},
    headers::strip_hop_by_hop,
    table::Route,
    upstream::Connector,
};

/// Most a target's answer may have as a head.
const MAX_ANSWER_HEAD: usize = 256 * 1024;

/// The pooled connections to all targets.
#[derive(Clone, Debug)]
pub(crate) struct Upstreams {
    connector: Connector,
    client: Client<Connector, ClientBody>,
}

/// Runs the tasks of pooled connections. They end when the pool drops their
/// connections, at the latest together with the proxy.
#[derive(Clone, Default)]
pub(crate) struct PoolTasks(TaskTracker);

impl<F> hyper::rt::Executor<F> for PoolTasks
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

impl Upstreams {
    pub(crate) fn new(config: &ProxyConfig) -> Self {
        // A request that never left because its pooled connection had just
        // been closed is sent again on a fresh one (K-01): the default of
        // `retry_canceled_requests`. Anything that may have arrived is not.
        let connector = Connector::new(config);
        let client = Client::builder(PoolTasks::default())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.pool_idle_timeout)
            .pool_max_idle_per_host(config.pool_idle_per_target)
            .http1_max_buf_size(MAX_ANSWER_HEAD)
            .build(connector.clone());
        Self { connector, client }
    }

    /// For connections that are not shared.
    pub(crate) fn connector(&self) -> Connector {
        self.connector.clone()
    }

    /// Sends the request and returns the answer as soon as its head is there;
    /// both bodies are streamed.
    ///
    /// # Cancellation
    ///
    /// Dropping the future closes the connection to the target (E-07).
    pub(crate) async fn exchange(
        &self,
        config: &ProxyConfig,
        route: &Arc<Route>,
        request: Request<Incoming>,
    ) -> Result<Response<UpstreamBody>, ProxyError> {
        let taken = Taken::default();
        let mut request = upstream_request(config, route, request, taken.clone());
        let connection = capture_connection(&mut request);
        let answer = self.client.request(request);
        let answer = match config.response_header_timeout {
            None => answer.await,
            Some(limit) => within(limit, &taken, answer).await?,
        };
        let response = answer.map_err(|error| match error.is_connect() {
            true => ProxyError::from_connect(error.into()),
            false => ProxyError::from_exchange(error.into()),
        })?;
        client_response(config, route, response).inspect_err(|_| spoil(&connection))
    }
}

/// Keeps a connection from being used again: whose answers have two readings may
/// go on with another answer than we think.
fn spoil(connection: &CaptureConnection) {
    if let Some(connected) = connection.connection_metadata().as_ref() {
        connected.poison();
    }
}

/// Waits for an answer as long as the target takes of the request, and `limit`
/// after that.
async fn within<T>(
    limit: Duration,
    taken: &Taken,
    answer: impl Future<Output = T>,
) -> Result<T, ProxyError> {
    let mut answer = pin!(answer);
    loop {
        let before = taken.count();
        match tokio::time::timeout(limit, answer.as_mut()).await {
            Ok(answer) => return Ok(answer),
            Err(_) if taken.count() != before => {}
            Err(_) => return Err(ProxyError::TimedOut),
        }
    }
}

fn upstream_request(
    config: &ProxyConfig,
    route: &Arc<Route>,
    request: Request<Incoming>,
    taken: Taken,
) -> Request<ClientBody> {
    let (mut head, body) = request.into_parts();
    head.uri = route.target().uri_for(head.uri.path_and_query(), config.prepend_path);
    head.version = Version::HTTP_11;
    head.headers.entry(header::HOST).or_insert_with(|| route.target().host());
    strip_hop_by_hop(&mut head.headers);
    // The listener has answered an expectation itself by the time bytes come.
    head.headers.remove(header::EXPECT);
    if body.is_end_stream() {
        // H-07: some servers wait for a body that these two never announce.
        if matches!(head.method, Method::DELETE | Method::OPTIONS)
            && !head.headers.contains_key(header::CONTENT_LENGTH)
        {
            head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
    } else if body.size_hint().exact().is_none() {
        // Written anew, not copied; without it hyper would drop the body of a
        // GET (H-11).
        head.headers.remove(header::CONTENT_LENGTH);
        head.headers.insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    head.extensions.clear();
    Request::from_parts(head, ClientBody::new(body, Arc::clone(route), taken, config))
}

fn client_response(
    config: &ProxyConfig,
    route: &Arc<Route>,
    response: Response<Incoming>,
) -> Result<Response<UpstreamBody>, ProxyError> {
    let (mut head, body) = response.into_parts();
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(ProxyError::BadAnswer("it switches protocols unasked"));
    }
    // SM-44: the client's parser might choose the other one.
    if head.headers.contains_key(header::TRANSFER_ENCODING)
        && head.headers.contains_key(header::CONTENT_LENGTH)
    {
        return Err(ProxyError::BadAnswer("it has two framings"));
    }
    strip_hop_by_hop(&mut head.headers);
    // Written for the client's version by the listener, whatever the target's.
    head.version = Version::HTTP_11;
    head.extensions.clear();
    let used = head.status.as_u16() < 300;
    let body = UpstreamBody::new(body, used.then(|| Arc::clone(route)), config);
    Ok(Response::from_parts(head, body))
}
