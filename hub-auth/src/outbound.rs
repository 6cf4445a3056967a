//! Requests to a provider: bounded in time and size, redirects never followed.

pub(crate) mod exchange;
mod limit;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header::USER_AGENT};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use crate::{AuthError, BoxError, Egress, ForwardProxy, InvalidConfig, egress::Connector};

/// Largest answer that is read; those of providers are a few kilobytes.
const ANSWER_BYTES: usize = 1024 * 1024;

/// A sign-in takes several requests; all of them together get this many times the
/// wait for one.
const WHOLE: u32 = 3;

/// GitHub refuses requests that do not name their program.
const PRODUCT: HeaderValue =
    HeaderValue::from_static(concat!("notebook-hub/", env!("CARGO_PKG_VERSION")));

/// An HTTP client for a few small requests to one provider.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    client: Client<HttpsConnector<Connector>, Full<Bytes>>,
    egress: Egress,
    /// What the provider is called in messages.
    service: Arc<str>,
    timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("no complete answer within {} s{}", limit.as_secs_f32(), by_way_of(proxy.as_ref()))]
    TimedOut { limit: Duration, proxy: Option<ForwardProxy> },
    #[error("the answer is larger than {ANSWER_BYTES} bytes")]
    TooLarge,
    #[error("the connection failed")]
    Connection(#[source] BoxError),
    #[error("it answered with status {0}")]
    Unwell(StatusCode),
    #[error("it takes no more requests for now")]
    RateLimited(Option<Duration>),
}

impl Outbound {
    /// A client that goes out as `egress` says. Without any authority to trust, it can
    /// only be made if it will not need them.
    pub(crate) fn new(
        service: &str,
        timeout: Duration,
        egress: Egress,
        plain_http: bool,
    ) -> Result<Self, InvalidConfig> {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(egress.trust(plain_http)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(Connector::new(egress.clone()));
        // Sign-ins are rare: a kept connection would be closed by the other side
        // before the next one, and cost that person an error.
        let client =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { client, egress, service: service.into(), timeout })
    }

    /// What the provider is called in messages.
    pub(crate) fn service(&self) -> String {
        (*self.service).to_owned()
    }

    /// Sends `request` and reads the whole answer. One that says "not now" is no
    /// answer; every other status is for the caller to judge.
    pub(crate) async fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, NoAnswer> {
        let proxy = self.egress.proxy_for(request.uri()).cloned();
        let answer = tokio::time::timeout(self.timeout, self.exchange(request))
            .await
            .map_err(|_| NoAnswer::TimedOut { limit: self.timeout, proxy })??;
        match answer.status() {
            status if status.is_server_error() => Err(NoAnswer::Unwell(status)),
            status if limit::is_rate_limit(status, answer.headers()) => {
                Err(NoAnswer::RateLimited(limit::retry_after(answer.headers())))
            }
            _ => Ok(answer),
        }
    }

    /// Runs several requests within one limit of time, so that a provider that is
    /// slow at each of them cannot hold a sign-in for minutes. Not for the exchange of
    /// a refresh token: it must not be given up half-way.
    pub(crate) async fn whole<T>(
        &self,
        work: impl Future<Output = Result<T, AuthError>>,
    ) -> Result<T, AuthError> {
        let limit = self.timeout * WHOLE;
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(self.failed(NoAnswer::TimedOut { limit, proxy: None }, "the sign-in"))
        })
    }

    /// The error of a sign-in that asked for `what` and got no answer.
    pub(crate) fn failed(&self, error: NoAnswer, what: &'static str) -> AuthError {
        match error {
            NoAnswer::TooLarge => self.bad_answer(error, what),
            NoAnswer::RateLimited(retry_after) => {
                AuthError::RateLimited { provider: self.service(), retry_after }
            }
            NoAnswer::TimedOut { .. } | NoAnswer::Connection(_) | NoAnswer::Unwell(_) => {
                AuthError::Unreachable { provider: self.service(), source: error.into() }
            }
        }
    }

    /// The error of a sign-in that asked for `what` and got nonsense.
    pub(crate) fn bad_answer(&self, source: impl Into<BoxError>, what: &'static str) -> AuthError {
        AuthError::BadAnswer { provider: self.service(), what, source: source.into() }
    }

    async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, NoAnswer> {
        let mut request = request.map(|body| Full::new(Bytes::from(body)));
        request.headers_mut().insert(USER_AGENT, PRODUCT);
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|error| NoAnswer::Connection(error.into()))?;
        let (parts, body) = answer.into_parts();
        let body =
            Limited::new(body, ANSWER_BYTES).collect().await.map_err(|error| match error
                .downcast::<LengthLimitError>(
            ) {
                Ok(_) => NoAnswer::TooLarge,
                Err(error) => NoAnswer::Connection(error),
            })?;
        Ok(Response::from_parts(parts, body.to_bytes().into()))
    }
}

/// The proxy that a request was sent by, for the end of a sentence.
fn by_way_of(proxy: Option<&ForwardProxy>) -> String {
    proxy.map(|proxy| format!(", asked by way of the proxy {proxy}")).unwrap_or_default()
}
