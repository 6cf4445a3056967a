//! `/hub/metrics`, and the same below `/hub/api`: numbers for Prometheus.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, StatusCode, header};
use hub_auth::{ScopeName, Target};
use hub_proxy::Certificate;

use super::error::PageError;
use crate::{
    access::{bearer, session},
    hub::Hub,
    metrics::Levels,
};

/// Prometheus' text format, as JupyterHub 6 names it.
const FORMAT: &str = "text/plain; version=1.0.0; charset=utf-8";

pub(super) fn routes(hub: &Hub) -> Router<Arc<Hub>> {
    Router::new()
        .route(&hub.paths.in_hub("metrics"), get(show))
        .route(&format!("{}/metrics", hub.paths.api()), get(show))
}

async fn show(State(hub): State<Arc<Hub>>, headers: HeaderMap) -> Result<Response, PageError> {
    if hub.live().authenticate_metrics && !may_read(&hub, &headers).await? {
        return Err(PageError::new(
            StatusCode::FORBIDDEN,
            "Access to metrics requires scope 'read:metrics'",
        )
        .without_cookies());
    }
    let levels = Levels {
        running_servers: hub.servers.running(),
        // Numbers of the process are of use when the database is down, too.
        total_users: hub.store.users().count(None).await.ok(),
        not_after: hub
            .certificate
            .as_ref()
            .map(Certificate::status)
            .and_then(|status| status.not_after)
            .map(jiff::Timestamp::as_second),
    };
    Ok(([(header::CONTENT_TYPE, FORMAT)], hub.metrics.text(levels)).into_response())
}

/// By token, or by cookie: reading changes nothing, so no XSRF token is asked for.
async fn may_read(hub: &Arc<Hub>, headers: &HeaderMap) -> Result<bool, PageError> {
    let by_token = bearer::caller(hub, headers).await.map_err(|_| unavailable())?;
    let scopes = match by_token {
        Some(caller) => caller.scopes,
        None => match session::of(hub, headers).await? {
            Some(session) => hub.scopes_of_user(&session.user).await?,
            None => return Ok(false),
        },
    };
    Ok(scopes.has(ScopeName::ReadMetrics, &Target::whole_hub()))
}

fn unavailable() -> PageError {
    PageError::new(StatusCode::SERVICE_UNAVAILABLE, "The hub's database did not answer.")
}
