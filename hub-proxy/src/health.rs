//! The question whether the proxy itself is well, asked on the public side.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body::Body;
use tokio_util::sync::CancellationToken;
use tower::Service;

use crate::{BoxError, FallbackBody, Proxy, ProxyBody, RequestBody};

/// What to ask for, exactly: with a query it is an ordinary path (P-069).
pub(crate) const HEALTH_PATH: &str = "/_chp_healthz";

/// Answers `/_chp_healthz` before any route is looked at, and leaves all else to
/// a [`Proxy`].
///
/// 200 and `{"status":"OK"}`, or 503 once the process is draining (D-01).
#[derive(Clone, Debug)]
pub struct HealthCheck<F> {
    proxy: Proxy<F>,
    draining: CancellationToken,
}

impl<F> HealthCheck<F> {
    /// `draining` is cancelled once no new clients should be sent here.
    pub fn new(proxy: Proxy<F>, draining: CancellationToken) -> Self {
        Self { proxy, draining }
    }

    fn answer<B: From<&'static str>>(&self) -> Response<ProxyBody<B>> {
        let (status, text) = match self.draining.is_cancelled() {
            false => (StatusCode::OK, r#"{"status":"OK"}"#),
            true => (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"draining"}"#),
        };
        let mut response = Response::new(ProxyBody::fallback(B::from(text)));
        *response.status_mut() = status;
        let json = HeaderValue::from_static("application/json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

impl<F, B, R> Service<Request<R>> for HealthCheck<F>
where
    R: Into<RequestBody>,
    F: Service<Request<FallbackBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    F::Future: Send,
    B: Body<Data = Bytes> + From<&'static str> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ProxyBody<B>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<R>) -> Self::Future {
        if request.uri().path_and_query().is_some_and(|path| path.as_str() == HEALTH_PATH) {
            let answer = self.answer();
            return Box::pin(async move { Ok(answer) });
        }
        self.proxy.call(request)
    }
}
