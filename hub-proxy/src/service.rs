//! The proxy as a service: a matching route's target answers, or the fallback.
//!
//! The life of a request: is its head unambiguous ([`head`](crate::head)); what
//! the client claims about itself is replaced by what is true
//! ([`headers`](crate::headers)); its path finds a route or none; the target
//! answers ([`forward`](crate::forward), [`upgrade`](crate::upgrade)) or fails,
//! and then the fallback is asked for a page. What came of it is told to the
//! [access log](crate::AccessLog), if there is one.

use std::{
    borrow::Cow,
    convert::Infallible,
    fmt,
    future::ready,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, header,
    request::Parts, uri::PathAndQuery,
};
use http_body::Body;
use tower::{Service, ServiceExt};

use crate::{
    AccessLog, BoxError, FallbackBody, GatewayFailure, Meter, Meters, Peer, ProxyBody, ProxyConfig,
    ProxyError, RequestBody, RoutePrefix, RouteTable, RouteTimings, Tunnels,
    access_log::Line,
    body::{ClientBytes, UpstreamBody},
    error::chain,
    forward::{Asked, Connections, Question, Upstreams},
    head,
    headers::{
        add_forwarded, join_cookies, rewrite_location, strip_aliases, strip_claims,
        strip_hop_by_hop, strip_origin_rules, strip_tossed_cookies,
    },
    http1::escaped_path,
    path,
    table::Route,
    upgrade,
};

/// Fields of a request that are about its body or about a stored answer, and
/// would mean something else on the request for an error page.
const NOT_FOR_ERROR_PAGES: [HeaderName; 12] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::EXPECT,
    header::TRAILER,
    header::RANGE,
    header::IF_MATCH,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_UNMODIFIED_SINCE,
    header::IF_RANGE,
];

/// Sends each request to the target of its route, or to `F` when it has none.
///
/// A [`tower::Service`] over requests whose bodies can be made [`RequestBody`]s, hyper's
/// for instance; [`Listener`](crate::Listener) runs it. The fallback sees the same `X-Forwarded-*` fields a target would,
/// and renders the pages for failures ([`GatewayFailure`]). It is any service
/// that cannot fail, an HTTP framework's router for instance.
///
/// Clones share routes, configuration and pooled connections.
#[derive(Clone)]
pub struct Proxy<F> {
    shared: Arc<Shared>,
    fallback: F,
}

struct Shared {
    routes: RouteTable,
    config: ProxyConfig,
    upstreams: Upstreams,
    /// For requests that bring none.
    tunnels: Tunnels,
}

impl<F> Proxy<F> {
    /// A proxy over `routes`; changes to the table take effect at once.
    pub fn new(routes: RouteTable, config: ProxyConfig, fallback: F) -> Self {
        let upstreams = Upstreams::new(&config);
        let shared = Shared { routes, config, upstreams, tunnels: Tunnels::default() };
        Self { shared: Arc::new(shared), fallback }
    }
}

impl<F> fmt::Debug for Proxy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("routes", &self.shared.routes)
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

impl<F, B, R> Service<Request<R>> for Proxy<F>
where
    R: Into<RequestBody>,
    F: Service<Request<FallbackBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    F::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ProxyBody<B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    /// Always ready: readiness of the fallback is awaited per request, since
    /// most requests never reach it.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        let Self { shared, fallback } = self.clone();
        let config = &shared.config;
        let begin = |log: &AccessLog| log.begin(&request, &config.trusted_proxies);
        let line = config.access_log.as_ref().map(begin);
        // One future for each way to go on: what a request does not need, it does not carry.
        match plan(&shared, request.map(Into::into), line.as_ref()) {
            Plan::Refuse(status) => Box::pin(ready(Ok(logged(bare(status), line)))),
            Plan::Page(head, error) => Box::pin(async move {
                Ok(logged(error_page(fallback, head, &error, line.as_ref()).await, line))
            }),
            Plan::Ask(request) => Box::pin(async move {
                let answer = ask(fallback, request.map(FallbackBody::client)).await;
                Ok(logged(answer.map(ProxyBody::fallback), line))
            }),
            Plan::Tunnel(route, request) => Box::pin(async move {
                let answer = tunnel(&shared, &route, request, line.as_ref()).await;
                Ok(logged(answer.map(ProxyBody::upstream), line))
            }),
            Plan::Forward(route, head, body) => Box::pin(async move {
                let answer = match forward(&shared, &route, &head, body).await {
                    Ok(answer) => rewritten(&shared, &route, &head, answer),
                    // Nobody is there to read a page, or somebody who does not speak HTTP (E-07).
                    Err(error @ ProxyError::ClientGone(_)) => {
                        report(&route, &error, line.as_ref());
                        bare(error.status())
                    }
                    Err(error) => {
                        report(&route, &error, line.as_ref());
                        Box::pin(error_page(fallback, head, &error, line.as_ref())).await
                    }
                };
                Ok(logged(answer, line))
            }),
        }
    }
}

/// What becomes of a request.
enum Plan {
    Refuse(StatusCode),
    Page(Parts, ProxyError),
    /// The fallback answers.
    Ask(Request<RequestBody>),
    Tunnel(Arc<Route>, Request<RequestBody>),
    Forward(Arc<Route>, Parts, RequestBody),
}

/// Decides without waiting for anybody.
fn plan(shared: &Shared, mut request: Request<RequestBody>, line: Option<&Line>) -> Plan {
    let meters = shared.config.meters.as_ref();
    if let Some(status) = head::refusal(&request) {
        Meters::refused(meters, status);
        return Plan::Refuse(status);
    }
    let websocket = upgrade::is_websocket(&request);
    prepare(shared, &mut request, websocket);

    let look_up = || {
        let decoded = path::decode(request.uri().path())?;
        Ok(match shared.config.host_routing {
            true => shared.routes.lookup(&behind_host(request.headers(), &decoded)),
            false => shared.routes.lookup(&decoded),
        })
    };
    let route = match RouteTimings::look_up(shared.config.timings.as_ref(), look_up) {
        Ok(route) => route,
        Err(bad) => {
            Meters::add(meters, Meter::BadPaths, 1);
            return match websocket {
                true => Plan::Refuse(StatusCode::BAD_REQUEST),
                false => Plan::Page(request.into_parts().0, ProxyError::BadPath(bad)),
            };
        }
    };
    let Some(route) = route else {
        if let Some(line) = line {
            line.mark(request.headers_mut());
        }
        return Plan::Ask(request);
    };
    if let Some(line) = line {
        line.leads_to(route.target());
    }
    // Without the query, for what it may carry (G-05).
    let kind = if websocket { "WS" } else { "WEB" };
    tracing::debug!("PROXY {kind} {} to {}", request.uri().path(), route.target());
    if websocket {
        return Plan::Tunnel(route, request);
    }
    let (mut head, body) = request.into_parts();
    strip_hop_by_hop(&mut head.headers);
    if let Some(line) = line {
        line.mark(&mut head.headers);
    }
    Plan::Forward(route, head, body)
}

/// A target's answer as the client gets it.
fn rewritten<B>(
    shared: &Shared,
    route: &Route,
    head: &Parts,
    mut answer: Response<UpstreamBody>,
) -> Response<ProxyBody<B>> {
    let config = &shared.config;
    if config.auto_rewrite || config.protocol_rewrite.is_some() {
        let (status, scheme) = (answer.status(), config.protocol_rewrite.as_ref());
        let host = head.headers.get(header::HOST).filter(|_| config.auto_rewrite);
        rewrite_location(answer.headers_mut(), status, route.target(), host, scheme);
    }
    guarded(shared, route, answer).map(ProxyBody::upstream)
}

/// Passes a handshake on.
async fn tunnel(
    shared: &Shared,
    route: &Arc<Route>,
    request: Request<RequestBody>,
    line: Option<&Line>,
) -> Response<UpstreamBody> {
    let Shared { config, upstreams, .. } = shared;
    let tunnels = request.extensions().get().unwrap_or(&shared.tunnels).clone();
    let path = target_path(config, route, request.uri());
    match upgrade::exchange(upstreams, config, route, &path, (&tunnels, line), request).await {
        Ok(response) => guarded(shared, route, response),
        // A script waits for this answer, not a person: no page (E-05).
        Err(error) => {
            report(route, &error, line);
            bare(error.status()).map(|_: ProxyBody<FallbackBody>| UpstreamBody::empty())
        }
    }
}

/// Asks the target; a second time if it cannot have seen the first (K-02, K-03).
async fn forward(
    shared: &Shared,
    route: &Arc<Route>,
    head: &Parts,
    body: RequestBody,
) -> Result<Response<UpstreamBody>, ProxyError> {
    let Shared { config, upstreams, .. } = shared;
    let path = target_path(config, route, &head.uri);
    let mut headers = Cow::Borrowed(&head.headers);
    if config.change_origin || !config.custom_headers.is_empty() {
        readdress(config, route, headers.to_mut());
    }
    let question =
        Question { method: &head.method, path: &path, headers: &headers, is_upgrade: false };
    let has_trailers = head.version == Version::HTTP_2 || head.headers.contains_key(header::TE);
    let asked = Asked { question, interims: body.interims(), has_trailers };
    let body = ClientBytes::new(body);
    let failed = match upstreams.exchange(config, route, &asked, body, Connections::Kept).await {
        Ok(response) => return Ok(response),
        Err(failed) => failed,
    };
    let Some(unseen) = failed.unseen else { return Err(failed.error) };
    tracing::debug!(route = %route.prefix(), error = %chain(&failed.error), "sent once more");
    Meters::add(config.meters.as_ref(), Meter::Retries, 1);
    // Apart, as it is large and rare.
    Box::pin(upstreams.exchange(config, route, &asked, unseen, Connections::Fresh))
        .await
        .map_err(|failed| failed.error)
}

/// Makes the head say what is true, for targets and fallback alike.
fn prepare(shared: &Shared, request: &mut Request<RequestBody>, websocket: bool) {
    // SM-22, RFC 9112 section 3.2.2: of an absolute target and `Host`, the
    // former counts.
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::from_str(authority.as_str())
            .expect("an authority holds only visible ASCII");
        request.headers_mut().insert(header::HOST, host);
        // It has been said; what follows is about the path.
        if let Some(path) = request.uri().path_and_query().cloned() {
            *request.uri_mut() = path.into();
        }
    }
    if request.version() == Version::HTTP_2 {
        join_cookies(request.headers_mut());
        if let Some(path) = request.uri().path_and_query().and_then(escaped_path) {
            *request.uri_mut() = path.into();
        }
    }
    let peer = request.extensions().get::<Peer>().copied();
    let trust = &shared.config.trusted_proxies;
    let trusted = peer.is_some_and(|peer| trust.trusts_peer(&peer));
    let headers = request.headers_mut();
    strip_aliases(headers);
    if !shared.config.x_forward {
        return;
    }
    if !trusted {
        strip_claims(headers);
    }
    add_forwarded(headers, peer.as_ref(), websocket);
}

/// What to ask the target for, as far as the configuration wants it changed.
fn target_path(config: &ProxyConfig, route: &Route, uri: &Uri) -> PathAndQuery {
    if config.include_prefix {
        return route.target().path_for(uri.path_and_query(), config.prepend_path);
    }
    let prefix = local_prefix(config, route);
    let mut path = path::behind(uri.path(), prefix.decoded_len());
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let path = path.parse().expect("the end of a valid path is one");
    route.target().path_for(Some(&path), config.prepend_path)
}

/// Makes the fields ones for this target, as far as the configuration wants it.
pub(crate) fn readdress(config: &ProxyConfig, route: &Route, headers: &mut HeaderMap) {
    if config.change_origin {
        headers.insert(header::HOST, route.target().host());
    }
    for (name, value) in &config.custom_headers {
        headers.insert(name, value.clone());
    }
}

/// The part of a route's prefix that is in the path of its requests.
fn local_prefix<'a>(config: &ProxyConfig, route: &'a Route) -> Cow<'a, RoutePrefix> {
    match config.host_routing {
        true => Cow::Owned(route.prefix().below_host()),
        false => Cow::Borrowed(route.prefix()),
    }
}

/// What host routing looks up: the host in lower case and without port, then
/// the path. Without a `Host` there is only everybody's route.
fn behind_host(headers: &HeaderMap, decoded: &str) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = match host.rsplit_once(':') {
        // The last colon of an IPv6 literal is inside its brackets.
        Some((name, port)) if !port.ends_with(']') => name,
        _ => host,
    };
    match name {
        "" => "/".to_owned(),
        name => format!("/{}/{}", name.to_lowercase(), decoded.trim_start_matches('/')),
    }
}

/// A target's answer without what it may not say on an origin it shares.
fn guarded<B>(shared: &Shared, route: &Route, mut response: Response<B>) -> Response<B> {
    if shared.config.origin_owner.as_ref() == Some(&*local_prefix(&shared.config, route)) {
        return response;
    }
    let headers = response.headers_mut();
    strip_tossed_cookies(headers, &shared.config.reserved_cookies);
    if shared.config.guard_origin {
        strip_origin_rules(headers, &local_prefix(&shared.config, route));
    }
    response
}

async fn error_page<F, B>(
    fallback: F,
    head: Parts,
    error: &ProxyError,
    line: Option<&Line>,
) -> Response<ProxyBody<B>>
where
    F: Service<Request<FallbackBody>, Response = Response<B>, Error = Infallible>,
{
    let path = head.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let mut request = page_request(head);
    if let Some(line) = line {
        line.mark(request.headers_mut());
    }
    let status = error.status();
    request.extensions_mut().insert(GatewayFailure { status, path });
    let mut response = ask(fallback, request).await;
    *response.status_mut() = status;
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response.map(ProxyBody::fallback)
}

async fn ask<F, B>(fallback: F, request: Request<FallbackBody>) -> Response<B>
where
    F: Service<Request<FallbackBody>, Response = Response<B>, Error = Infallible>,
{
    match fallback.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// An answer whose end is told to the access log, if there is one.
fn logged<B>(mut answer: Response<ProxyBody<B>>, line: Option<Line>) -> Response<ProxyBody<B>> {
    let Some(line) = line else { return answer };
    line.is_answered(answer.status(), answer.headers_mut());
    answer.map(|body| body.logged(line))
}

/// An answer without content after which the connection is closed.
fn bare<B>(status: StatusCode) -> Response<ProxyBody<B>> {
    let mut response = Response::new(ProxyBody::empty());
    *response.status_mut() = status;
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Logs a failure where it is handled: here it becomes an answer. The path is
/// left out for what its query may carry (G-05); the prefix says enough.
fn report(route: &Route, error: &ProxyError, line: Option<&Line>) {
    let (prefix, target, error_chain) = (route.prefix(), route.target(), chain(error));
    // Not there without an access log.
    let request_id = line.map(Line::id).map(tracing::field::display);
    match error {
        ProxyError::ClientGone(_) => {
            tracing::debug!(route = %prefix, error = %error_chain, request_id, "a client broke off");
        }
        // As configurable-http-proxy does (G-04).
        _ => tracing::error!(
            route = %prefix, upstream = %target, error = %error_chain, request_id, "a target failed"
        ),
    }
}

/// The question for a page about a request.
fn page_request(head: Parts) -> Request<FallbackBody> {
    let mut request = Request::new(FallbackBody::empty());
    *request.uri_mut() = head.uri;
    *request.version_mut() = head.version;
    *request.headers_mut() = head.headers;
    let headers = request.headers_mut();
    strip_hop_by_hop(headers);
    for name in &NOT_FOR_ERROR_PAGES {
        headers.remove(name);
    }
    if let Some(peer) = head.extensions.get::<Peer>() {
        request.extensions_mut().insert(*peer);
    }
    request
}
