//! The REST API of configurable-http-proxy, as a hub uses it (proxy contract,
//! section 2; hub-contract 7.2).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::{
    path::RoutePath,
    wishes::{Listed, Route},
};

/// How long one call may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long a connection to the API may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// How long an unused connection is kept: less than node keeps one (5 s), so that
/// a call never meets one that is being closed.
const IDLE: Duration = Duration::from_secs(3);
/// Longest answer: a hundred times a table of ten thousand routes.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// The proxy's API.
#[derive(Debug)]
pub(super) struct Client {
    http: legacy::Client<HttpConnector, Full<Bytes>>,
    place: ArcSwap<Place>,
}

/// Where the API is, and what opens it.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// Its address.
    pub(crate) api: Url,
    /// Its token.
    pub(crate) token: SecretString,
}

/// Why a call did not do what it was for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ApiError {
    /// No connection, or one that ended.
    #[error("no answer")]
    Unreachable(#[source] legacy::Error),
    /// Too slow.
    #[error("no answer within {} seconds", LIMIT.as_secs())]
    TimedOut,
    /// The token is not the proxy's.
    #[error("the token is refused (403)")]
    Forbidden,
    /// Any other status.
    #[error("{method} {path}: the answer is {status}")]
    Status {
        /// What was asked.
        method: Method,
        /// Of which path.
        path: String,
        /// The answer's status.
        status: StatusCode,
    },
    /// The body broke off or is too long.
    #[error("the answer broke off")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The body is not a table of routes.
    #[error("the answer is not a table of routes; is this the API of a proxy?")]
    Malformed(#[source] serde_json::Error),
}

impl Client {
    pub(super) fn new(place: Place) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_LIMIT));
        let http = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Self { http, place: ArcSwap::from_pointee(place) }
    }

    /// Where the API is.
    pub(super) fn place(&self) -> Arc<Place> {
        self.place.load_full()
    }

    /// Goes on with a proxy elsewhere.
    pub(super) fn move_to(&self, place: Place) {
        self.place.store(Arc::new(place));
    }

    /// The whole table.
    pub(super) async fn list(&self) -> Result<BTreeMap<RoutePath, Listed>, ApiError> {
        let routes = self.table().await?;
        Ok(routes.into_iter().map(|(path, data)| (path, listed(&data))).collect())
    }

    /// The whole table as the proxy tells it.
    pub(super) async fn table(&self) -> Result<BTreeMap<RoutePath, Value>, ApiError> {
        let body = self.call(Method::GET, "", None, &[StatusCode::OK]).await?.1;
        let routes: BTreeMap<String, Value> =
            serde_json::from_slice(&body).map_err(ApiError::Malformed)?;
        Ok(routes.into_iter().map(|(path, data)| (RoutePath::of_listed(&path), data)).collect())
    }

    /// One route.
    pub(super) async fn get(&self, path: &RoutePath) -> Result<Option<Listed>, ApiError> {
        if path.is_root() {
            // Asked for the root's route, configurable-http-proxy lists the table.
            return Ok(self.list().await?.remove(path));
        }
        let expected = [StatusCode::OK, StatusCode::NOT_FOUND];
        let (status, body) = self.call(Method::GET, &path.to_string(), None, &expected).await?;
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let data: Value = serde_json::from_slice(&body).map_err(ApiError::Malformed)?;
        Ok(Some(listed(&data)))
    }

    /// Adds a route or replaces the one that is there.
    pub(super) async fn add(&self, path: &RoutePath, route: &Route) -> Result<(), ApiError> {
        let body = route.body().to_string();
        self.call(Method::POST, &path.to_string(), Some(body), &[StatusCode::CREATED]).await?;
        Ok(())
    }

    /// Takes a route away; it may be gone already.
    pub(super) async fn remove(&self, path: &RoutePath) -> Result<(), ApiError> {
        let expected = [StatusCode::NO_CONTENT, StatusCode::NOT_FOUND];
        self.call(Method::DELETE, &path.to_string(), None, &expected).await?;
        Ok(())
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<String>,
        expected: &[StatusCode],
    ) -> Result<(StatusCode, Bytes), ApiError> {
        let place = self.place();
        let exchange = async {
            let request = Request::builder()
                .method(method.clone())
                .uri(format!("{}/api/routes{path}", place.api.as_str().trim_end_matches('/')))
                .header(header::AUTHORIZATION, format!("token {}", place.token.expose_secret()))
                .header(header::CONTENT_TYPE, "application/json")
                .body(Full::from(body.unwrap_or_default()))
                .expect("the address and the token were checked when they were read");
            let response = self.http.request(request).await.map_err(ApiError::Unreachable)?;
            let status = response.status();
            if status == StatusCode::FORBIDDEN {
                return Err(ApiError::Forbidden);
            }
            if !expected.contains(&status) {
                return Err(ApiError::Status { method, path: path.to_owned(), status });
            }
            let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
            Ok((status, body.map_err(ApiError::Body)?.to_bytes()))
        };
        timeout(LIMIT, exchange).await.map_err(|_| ApiError::TimedOut)?
    }
}

/// What matters of a route's data. Others may put anything there.
fn listed(data: &Value) -> Listed {
    let text = |name: &str| data.get(name).and_then(Value::as_str);
    Listed {
        target: text("target").and_then(|target| target.parse().ok()),
        ours: data.get("jupyterhub").is_some_and(|mark| *mark == Value::Bool(true)),
        last_activity: text("last_activity").and_then(|at| at.parse().ok()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn r_01_only_a_hubs_routes_are_ours() {
        let ours = listed(&json!({
            "target": "http://127.0.0.1:44977", "jupyterhub": true, "user": "ada",
            "last_activity": "2026-01-02T03:04:05.989Z",
        }));
        assert!(ours.ours);
        assert_eq!(ours.target.unwrap().as_str(), "http://127.0.0.1:44977/");
        assert_eq!(ours.last_activity.unwrap().to_string(), "2026-01-02T03:04:05.989Z");
        for foreign in [json!({ "target": "http://h" }), json!({ "jupyterhub": false }), json!(3)] {
            assert!(!listed(&foreign).ours, "{foreign}");
        }
    }
}
