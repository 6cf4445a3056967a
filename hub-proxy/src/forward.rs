//! One ordinary HTTP exchange with a target.

use std::{future::poll_fn, pin::pin, sync::Arc, task::Poll, time::Duration};

use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::{Body, Incoming};

use self::{budget::Budget, link::Unanswered, pool::Pools};
use crate::{
    ProxyConfig, ProxyError,
    body::{ClientBody, ClientBytes, Taken, UpstreamBody},
    headers::strip_hop_by_hop,
    table::Route,
    upstream::Connector,
};

mod budget;
mod link;
#[cfg(feature = "admin")]
mod link_body;
mod pool;

pub(crate) use self::{
    link::Link,
    pool::{Place, Pool},
};

/// The connections of one proxy to all targets.
#[derive(Clone, Debug)]
pub(crate) struct Upstreams {
    /// Of this one, of several proxies over one table.
    pools: Arc<Pools>,
    connector: Connector,
    budget: Arc<Budget>,
}

/// A connection while its answer comes. It is kept when that is complete, and closed
/// when that is given up.
#[derive(Debug)]
pub(crate) struct Busy {
    link: Link<ClientBody>,
    /// Where it is kept, if it is.
    pool: Option<Arc<Pool>>,
}

impl Busy {
    /// Goes on with what there is to read and to write.
    pub(crate) fn drive(&mut self, cx: &mut std::task::Context<'_>) {
        self.link.drive(cx);
    }

    /// Leaves it to a task of its own.
    fn run(self) {
        pool::run(self.link, self.pool);
    }

    /// The answer is complete.
    pub(crate) fn release(self) {
        pool::keep(self.link, self.pool);
    }
}

/// Why there is no answer, and what can be sent again, if anything.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: ProxyError,
    /// The client's bytes of a request that its target has not seen (K-02, K-03).
    pub(crate) unseen: Option<ClientBytes>,
}

impl From<ProxyError> for Failed {
    fn from(error: ProxyError) -> Self {
        Self { error, unseen: None }
    }
}

/// Which connections a request may go over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    /// Those that are kept.
    Kept,
    /// One that nobody has used: the second time that it is sent.
    Fresh,
}

impl Upstreams {
    pub(crate) fn new(config: &ProxyConfig) -> Self {
        let connector = Connector::new(config);
        Self { pools: Arc::default(), connector, budget: Arc::new(Budget::new()) }
    }

    /// For connections that are not shared.
    pub(crate) fn connector(&self) -> Connector {
        self.connector.clone()
    }

    /// One of the places at the target of a route (L-06). A proxy that came second to
    /// the table does not count.
    pub(crate) async fn place(
        &self,
        config: &ProxyConfig,
        route: &Route,
    ) -> Result<Option<Place>, ProxyError> {
        match self.pool(config, route) {
            Some(pool) => pool.places.take(config.connect_timeout).await.map(Some),
            None => Ok(None),
        }
    }

    fn pool<'a>(&self, config: &ProxyConfig, route: &'a Route) -> Option<&'a Arc<Pool>> {
        let pool = route.pool().get_or_init(|| self.pools.of(route.target(), config));
        Arc::ptr_eq(&pool.owner, &self.pools).then_some(pool)
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
        request: Request<ClientBytes>,
        over: Connections,
    ) -> Result<Response<UpstreamBody>, Failed> {
        let place = self.place(config, route).await?;
        let (request, kept) = match is_idempotent(request.method()) && over == Connections::Kept {
            true => {
                self.budget.deposit();
                let (head, body) = request.into_parts();
                let (lent, kept) = body.lend();
                (Request::from_parts(head, lent), Some(kept))
            }
            false => (request, None),
        };
        let taken = Taken::default();
        let request = upstream_request(config, route, request, taken.clone());
        let pool = self.pool(config, route);
        let answer = self.answer(route, pool, request, over);
        let answer = match config.response_header_timeout {
            None => answer.await,
            Some(limit) => within(limit, &taken, answer).await?,
        };
        let (response, busy) = answer.map_err(|unanswered| match unanswered {
            NoAnswer::Refused(error) => Failed::from(error),
            NoAnswer::Broken { error, is_doubtful } => {
                let error = ProxyError::from_exchange(error.into());
                let is_unseen = matches!(error, ProxyError::NoAnswer(_))
                    && taken.count() == 0
                    && kept.is_some()
                    && is_doubtful
                    && self.budget.withdraw();
                Failed { error, unseen: kept.filter(|_| is_unseen).map(ClientBytes::again) }
            }
        })?;
        let busy = match taken.is_over() {
            true => Some(busy),
            false => {
                busy.run();
                None
            }
        };
        client_response(config, route, response, busy, place).map_err(Failed::from)
    }

    /// The head of the answer, and the connection that the rest comes over.
    async fn answer(
        &self,
        route: &Route,
        pool: Option<&Arc<Pool>>,
        mut request: Request<ClientBody>,
        over: Connections,
    ) -> Result<(Response<Incoming>, Busy), NoAnswer> {
        let kept = pool.filter(|_| over == Connections::Kept);
        loop {
            let link = match kept {
                Some(pool) => poll_fn(|cx| Poll::Ready(pool.take(cx))).await,
                None => None,
            };
            let is_kept = link.is_some();
            let mut link = match link {
                Some(link) => link,
                None => Link::open(self.connector(), route.target().uri_for(None, false))
                    .await
                    .map_err(NoAnswer::Refused)?,
            };
            match link.send(request).await {
                Ok(response) => return Ok((response, Busy { link, pool: pool.cloned() })),
                // It closed before the request left: another one takes it (K-01).
                Err(Unanswered { unsent: Some(unsent), .. }) if is_kept => request = unsent,
                Err(Unanswered { error, is_doubtful, .. }) => {
                    return Err(NoAnswer::Broken { error, is_doubtful });
                }
            }
        }
    }
}

/// Why there is no answer.
enum NoAnswer {
    /// There is no connection.
    Refused(ProxyError),
    /// There was one; whether the target may have closed it before it saw the request.
    Broken { error: hyper::Error, is_doubtful: bool },
}

/// Whether sending it twice does what sending it once does (RFC 9110 section 9.2.2).
/// TRACE does, too, but does not come here.
fn is_idempotent(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE)
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
    request: Request<ClientBytes>,
    taken: Taken,
) -> Request<ClientBody> {
    let (mut head, bytes) = request.into_parts();
    let body = ClientBody::new(bytes, Arc::clone(route), taken, config);
    // Origin form: the connection leads to one place only.
    head.uri = route.target().path_for(head.uri.path_and_query(), config.prepend_path).into();
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
    Request::from_parts(head, body)
}

fn client_response(
    config: &ProxyConfig,
    route: &Arc<Route>,
    response: Response<Incoming>,
    busy: Option<Busy>,
    place: Option<Place>,
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
    let route = used.then(|| Arc::clone(route));
    let body = UpstreamBody::new(body, busy, route, place, config);
    Ok(Response::from_parts(head, body))
}
