//! Requests to the provider: bounded in time and size, redirects never followed.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{RETRY_AFTER, USER_AGENT},
};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs};

use super::SERVICE;
use crate::{AuthError, BoxError, InvalidConfig};

/// Largest answer that is read; GitHub's are a few kilobytes.
const ANSWER_BYTES: usize = 1024 * 1024;

/// GitHub refuses requests that do not name their program.
const PRODUCT: HeaderValue =
    HeaderValue::from_static(concat!("notebook-hub/", env!("CARGO_PKG_VERSION")));

/// An HTTP client for a few small requests.
#[derive(Clone, Debug)]
pub(super) struct Outbound {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    timeout: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    #[error("no complete answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    #[error("the answer is larger than {ANSWER_BYTES} bytes")]
    TooLarge,
    #[error("the connection failed")]
    Connection(#[source] BoxError),
    #[error("it answered with status {0}")]
    Unwell(StatusCode),
    #[error("it takes no more requests for now")]
    RateLimited,
}

impl NoAnswer {
    /// The same as an error of a sign-in that asked for `what`.
    pub(super) fn while_asking_for(self, what: &'static str) -> AuthError {
        let provider = SERVICE.to_owned();
        match self {
            Self::TooLarge => AuthError::BadAnswer { provider, what, source: self.into() },
            Self::TimedOut(_) | Self::Connection(_) | Self::Unwell(_) | Self::RateLimited => {
                AuthError::Unreachable { provider, source: self.into() }
            }
        }
    }
}

impl Outbound {
    /// A client that trusts the authorities the host trusts. Without any, it can
    /// only be made if it will not need them.
    pub(super) fn new(timeout: Duration, plain_http: bool) -> Result<Self, InvalidConfig> {
        // Named here, because the process-wide provider is for `main` to install.
        let builder = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .map_err(|error| InvalidConfig::TrustStore(error.into()))?;
        let builder = match builder.clone().with_native_roots() {
            Ok(builder) => builder,
            Err(_) if plain_http => builder.with_root_certificates(RootCertStore::empty()),
            Err(error) => return Err(InvalidConfig::TrustStore(error.into())),
        };
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(builder.with_no_client_auth())
            .https_or_http()
            .enable_http1()
            .build();
        // Sign-ins are rare: a kept connection would be closed by the other side
        // before the next one, and cost that person an error.
        let client =
            Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(connector);
        Ok(Self { client, timeout })
    }

    /// Sends `request` and reads the whole answer. One that says "not now" is no
    /// answer; every other status is for the caller to judge.
    pub(super) async fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, NoAnswer> {
        let answer = tokio::time::timeout(self.timeout, self.exchange(request))
            .await
            .map_err(|_| NoAnswer::TimedOut(self.timeout))??;
        match answer.status() {
            status if status.is_server_error() => Err(NoAnswer::Unwell(status)),
            status if is_rate_limit(status, answer.headers()) => Err(NoAnswer::RateLimited),
            _ => Ok(answer),
        }
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

/// GitHub limits requests with 403 or 429 (GH-4), and 403 has other meanings too.
fn is_rate_limit(status: StatusCode, headers: &HeaderMap) -> bool {
    let used_up = headers.get("x-ratelimit-remaining").is_some_and(|left| left == "0");
    match status {
        StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::FORBIDDEN => used_up || headers.contains_key(RETRY_AFTER),
        _ => false,
    }
}
