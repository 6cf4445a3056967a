//! Counts requests and answers under configurable-http-proxy's names (M-01).

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Method, Request, Response};
use metrics::{counter, describe_counter};
use pin_project_lite::pin_project;
use tower::Service;

use super::measured::{Measured, Running};
use crate::{Meters, upgrade};

const WEB: &str = "requests_web";
const WEBSOCKETS: &str = "requests_ws";
const PROXY: &str = "requests_proxy";
const API: &str = "requests_api";
const ROUTE_GET: &str = "api_route_get";
const ROUTE_ADD: &str = "api_route_add";
const ROUTE_DELETE: &str = "api_route_delete";

/// A service whose requests are counted if there is somebody to count for.
#[derive(Clone, Debug)]
pub(super) struct Counted<S> {
    inner: S,
    side: Side,
    /// Where it is also measured how long requests take.
    meters: Option<Meters>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Public,
    Api,
    /// Nobody will ask for numbers.
    Uncounted,
}

pin_project! {
    /// The answer to be counted; `action` is what a successful request to the API
    /// was about.
    pub(super) struct CountedAnswer<F> {
        #[pin]
        inner: F,
        side: Side,
        action: Option<&'static str>,
        running: Option<Running>,
    }
}

impl<S> Counted<S> {
    /// For what browsers ask.
    pub(super) fn public(inner: S, meters: Option<Meters>) -> Self {
        let side = if meters.is_some() { Side::Public } else { Side::Uncounted };
        Self { inner, side, meters }
    }

    /// For the REST API.
    pub(super) fn api(inner: S, counts: bool) -> Self {
        let side = if counts { Side::Api } else { Side::Uncounted };
        Self { inner, side, meters: None }
    }
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>, Error = Infallible>,
{
    type Response = Response<Measured<B>>;
    type Error = Infallible;
    type Future = CountedAnswer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let mut running = None;
        let action = match self.side {
            Side::Uncounted => None,
            Side::Api => action(request.method()),
            Side::Public => {
                let websocket = upgrade::is_websocket(&request);
                counter!(if websocket { WEBSOCKETS } else { WEB }).increment(1);
                running = self.meters.clone().filter(|_| !websocket).map(Running::new);
                None
            }
        };
        CountedAnswer { inner: self.inner.call(request), side: self.side, action, running }
    }
}

impl<F, B> Future for CountedAnswer<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<Measured<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.inner.poll(cx));
        let status = response.status();
        let running = this.running.take();
        if let Some(running) = &running {
            running.is_answered();
        }
        let response = response.map(|body| Measured::new(body, running));
        let name = match this.side {
            Side::Public => PROXY,
            Side::Api => API,
            Side::Uncounted => return Poll::Ready(Ok(response)),
        };
        counter!(name, "status" => status.as_u16().to_string()).increment(1);
        if let Some(action) = this.action.filter(|_| status.is_success()) {
            counter!(action).increment(1);
        }
        Poll::Ready(Ok(response))
    }
}

fn action(method: &Method) -> Option<&'static str> {
    match *method {
        Method::GET => Some(ROUTE_GET),
        Method::POST => Some(ROUTE_ADD),
        Method::DELETE => Some(ROUTE_DELETE),
        _ => None,
    }
}

/// Says what the names mean, and makes those without a label begin with 0.
pub(super) fn describe() {
    for (name, meaning) in [
        (WEB, "Requests of browsers that are no WebSockets."),
        (WEBSOCKETS, "WebSocket handshakes of browsers."),
        (ROUTE_GET, "Routes that were read over the REST API."),
        (ROUTE_ADD, "Routes that were added over the REST API."),
        (ROUTE_DELETE, "Routes that were deleted over the REST API."),
    ] {
        describe_counter!(name, meaning);
        counter!(name).absolute(0);
    }
    describe_counter!(PROXY, "Answers to browsers, by status.");
    describe_counter!(API, "Answers of the REST API, by status.");
}
