//! One ordinary HTTP exchange with a target.

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use http::{HeaderMap, Method, Response, StatusCode, header};
use tokio::time::sleep;

use self::{
    budget::Budget,
    link::{MAX_ANSWER_HEAD, Unanswered},
    pool::Pools,
    tries::Tries,
};
use crate::{
    Meter, Meters, ProxyConfig, ProxyError,
    activity::Activity,
    body::{ClientBody, ClientBytes, Taken, UpstreamBody},
    descriptors,
    headers::{strip_hop_by_hop, strip_origin_wide},
    http1::{Answer, Http1Error, Interims},
    table::Route,
    upstream::Connector,
};

mod budget;
mod busy;
mod link;
#[cfg(feature = "admin")]
mod link_body;
mod places;
mod pool;
mod tries;

pub(crate) use self::{
    busy::Busy,
    link::{Bounds, Link, OnInterim, Question},
    places::{Attendance, Place},
    pool::Pool,
};

/// How long to wait for descriptors that are being given back.
const LACK_PAUSE: Duration = Duration::from_millis(50);

/// The connections of one proxy to all targets.
#[derive(Clone, Debug)]
pub(crate) struct Upstreams {
    /// Of this one, of several proxies over one table.
    pools: Arc<Pools>,
    connector: Connector,
    /// How long who refuses is asked again (K-06).
    patience: Duration,
    budget: Arc<Budget>,
    meters: Option<Meters>,
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

/// A request but for its body, which may be sent twice.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) question: Question<'a>,
    /// Who hears what the target says before its answer.
    pub(crate) interims: Option<Interims>,
    /// Whether trailers are passed on.
    pub(crate) has_trailers: bool,
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
        let (budget, meters) = (Arc::new(Budget::new()), config.meters.clone());
        let patience = config.connect_retry;
        Self { pools: Arc::default(), connector, patience, budget, meters }
    }

    /// A connection of its own to the target of a route.
    ///
    /// Only as long as the route is there, and who has refused is asked again only so long
    /// (K-06): after that, somebody else's server may listen at the address.
    ///
    /// # Cancellation
    ///
    /// Dropping the future ends the tries.
    pub(crate) async fn open(&self, route: &Route) -> Result<Box<Link<ClientBody>>, ProxyError> {
        let mut opened = self.attempt(route).await;
        if matches!(&opened, Err(error) if error.lacks_descriptors()) {
            // Those that rest at any target are closed meanwhile (L-03).
            descriptors::tell_of_lack();
            sleep(LACK_PAUSE).await;
            opened = Box::pin(self.attempt(route)).await;
        }
        if !self.patience.is_zero() {
            let mut tries = Tries::over(self.patience);
            while let Err(error) = &opened
                && error.is_refusal()
                && tries.another().await
                && !route.has_gone()
            {
                Meters::add(self.meters.as_ref(), Meter::ConnectRetries, 1);
                opened = self.attempt(route).await;
            }
        }
        let meter = if opened.is_ok() { Meter::Connects } else { Meter::FailedConnects };
        Meters::add(self.meters.as_ref(), meter, 1);
        opened
    }

    /// One try to connect. The route may go before it, while a place was waited for, and
    /// meanwhile.
    async fn attempt(&self, route: &Route) -> Result<Box<Link<ClientBody>>, ProxyError> {
        let gone = || ProxyError::Refused("its route has gone".into());
        if route.has_gone() {
            return Err(gone());
        }
        let link = Link::open(self.connector.clone(), route.target()).await?;
        if route.has_gone() { Err(gone()) } else { Ok(link) }
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
        asked: &Asked<'_>,
        body: ClientBytes,
        over: Connections,
    ) -> Result<Response<UpstreamBody>, Failed> {
        let (place, attendance) = match self.place(config, route).await? {
            Some(place) if !body.is_end_stream() => {
                let (place, attendance) = place.attended();
                (Some(place), attendance)
            }
            place => (place, None),
        };
        let is_repeatable = is_idempotent(asked.question.method) && over == Connections::Kept;
        let (body, kept) = match is_repeatable {
            true => {
                self.budget.deposit();
                let (lent, kept) = body.lend();
                (lent, Some(kept))
            }
            false => (body, None),
        };
        let on_interim = |status, headers: &HeaderMap| {
            if let Some(interims) = &asked.interims {
                interims.say(status, &for_interim(headers));
            }
        };
        let taken = Taken::of(&body);
        let body = ClientBody::new(
            body,
            Activity::on(route, config),
            taken.clone(),
            asked.has_trailers,
            config,
        )
        .attended(attendance);
        let pool = self.pool(config, route);
        let how = (over, config.upload_stall_timeout);
        let answer = {
            let mut answer = pin!(self.answer(route, pool, asked.question, body, how, &on_interim));
            match config.response_header_timeout {
                None => answer.await,
                Some(limit) => Box::pin(within(limit, &taken, answer.as_mut())).await?,
            }
        };
        let (answer, link) = answer.map_err(|unanswered| match unanswered {
            NoAnswer::Refused(error) => Failed::from(error),
            NoAnswer::Broken { error, is_doubtful } => {
                let error = ProxyError::from_exchange(error);
                let is_unseen = matches!(error, ProxyError::NoAnswer(_))
                    && taken.count() == 0
                    && kept.is_some()
                    && is_doubtful
                    && self.budget.withdraw();
                Failed { error, unseen: kept.filter(|_| is_unseen).map(ClientBytes::again) }
            }
        })?;
        if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(ProxyError::BadAnswer("it switches protocols unasked").into());
        }
        let busy = Busy::new(link, pool.cloned(), config.upload_stall_timeout);
        Ok(client_response(config, route, answer, busy, place))
    }

    /// The head of the answer, and the connection that the rest comes over.
    async fn answer(
        &self,
        route: &Route,
        pool: Option<&Arc<Pool>>,
        question: Question<'_>,
        mut body: ClientBody,
        (over, upload_stall): (Connections, Duration),
        on_interim: OnInterim<'_>,
    ) -> Result<(Answer, Box<Link<ClientBody>>), NoAnswer> {
        let kept = pool.filter(|_| over == Connections::Kept);
        let bounds = Bounds { head: MAX_ANSWER_HEAD, stall: Some(upload_stall) };
        loop {
            let link = match kept {
                Some(pool) => poll_fn(|cx| Poll::Ready(pool.take(cx))).await,
                None => None,
            };
            let is_kept = link.is_some();
            let mut link = match link {
                Some(link) => {
                    Meters::add(self.meters.as_ref(), Meter::Reuses, 1);
                    link
                }
                // Apart: it is large, and most requests do without.
                None => Box::pin(self.open(route)).await.map_err(NoAnswer::Refused)?,
            };
            match link.send(question, body, bounds, on_interim).await {
                Ok(answer) => return Ok((answer, link)),
                // It closed before the request left: another one takes it (K-01).
                Err(Unanswered { unsent: Some(unsent), .. }) if is_kept => body = unsent,
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
    Broken { error: Http1Error, is_doubtful: bool },
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
    mut answer: Pin<&mut impl Future<Output = T>>,
) -> Result<T, ProxyError> {
    loop {
        let before = taken.count();
        match tokio::time::timeout(limit, answer.as_mut()).await {
            Ok(answer) => return Ok(answer),
            Err(_) if taken.count() != before => {}
            Err(_) => return Err(ProxyError::TimedOut),
        }
    }
}

/// What is said before the answer, without what concerns one hop, and without what only
/// an answer may say to a browser, if it may.
fn for_interim(headers: &HeaderMap) -> HeaderMap {
    let mut headers = headers.clone();
    strip_hop_by_hop(&mut headers);
    strip_origin_wide(&mut headers);
    headers.remove(header::SET_COOKIE);
    headers
}

fn client_response(
    config: &ProxyConfig,
    route: &Arc<Route>,
    answer: Answer,
    busy: Busy,
    place: Option<Place>,
) -> Response<UpstreamBody> {
    let used = answer.status.as_u16() < 300;
    let activity = used.then(|| Activity::on(route, config));
    let mut response = Response::new(UpstreamBody::new(busy, activity, place, config));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if let Some(reason) = answer.reason {
        response.extensions_mut().insert(reason);
    }
    strip_hop_by_hop(response.headers_mut());
    response
}
