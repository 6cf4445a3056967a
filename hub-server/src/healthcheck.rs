//! Asks a running hub whether it serves, as `curl --fail /hub/health` would: for
//! images that have no curl.

use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tokio::time::timeout;
use url::Url;

use crate::{
    config::{ApiListen, Config},
    web::paths::Paths,
};

/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Why a hub does not count as healthy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Unhealthy {
    /// The configuration does not tell where to ask.
    #[error(
        "with [http.tls] and `hub_api.listen = \"auto\"` it is not known where to ask; give --url"
    )]
    NoAddress,
    /// Not an address that can be asked.
    #[error("{url}: write http://HOST:PORT/PATH")]
    Url {
        /// What was given.
        url: Url,
    },
    /// Nobody answers.
    #[error("{url}: no answer; is the hub running?")]
    NoAnswer {
        /// Who was asked.
        url: Url,
        /// What went wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time.
    #[error("{url}: no answer within {} seconds", LIMIT.as_secs())]
    TimedOut {
        /// Who was asked.
        url: Url,
    },
    /// Another answer than 200.
    #[error("{url}: the answer is {status}; the hub's log tells why")]
    Status {
        /// Who was asked.
        url: Url,
        /// The answer.
        status: StatusCode,
    },
}

/// Where a hub with this configuration says whether it serves, as seen from the
/// machine or container it runs in.
///
/// # Errors
///
/// [`Unhealthy::NoAddress`]: a plain request cannot be made to a listener with
/// TLS, and the other one is wherever Docker's network is.
pub fn health_url(config: &Config) -> Result<Url, Unhealthy> {
    let listen = match (&config.http.tls, &config.hub_api.listen) {
        (None, _) => &config.http.listen,
        (Some(_), ApiListen::At(listen)) => listen,
        (Some(_), ApiListen::Auto { .. }) => return Err(Unhealthy::NoAddress),
    };
    let path = Paths::new(&config.http.base_url).in_hub("health");
    format!("http://{}{path}", listen.from_here()).parse().map_err(|_| Unhealthy::NoAddress)
}

/// Asks `url`; anything but a 200 is an error.
///
/// # Errors
///
/// As the variants of [`Unhealthy`] say.
pub async fn healthcheck(url: Url) -> Result<(), Unhealthy> {
    let uri: Uri = match url.as_str().parse() {
        Ok(uri) if url.scheme() == "http" => uri,
        _ => return Err(Unhealthy::Url { url }),
    };
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    match timeout(LIMIT, client.get(uri)).await {
        Err(_) => Err(Unhealthy::TimedOut { url }),
        Ok(Err(error)) => Err(Unhealthy::NoAnswer { url, source: error.into() }),
        Ok(Ok(response)) if response.status() == StatusCode::OK => Ok(()),
        Ok(Ok(response)) => Err(Unhealthy::Status { url, status: response.status() }),
    }
}
